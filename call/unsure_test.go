package call_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// twofaced is a store that creates a record and says that it could not, or that
// cannot, and tells nothing while it is mute.
type twofaced struct {
	call.Store
	lies, fails, mute atomic.Bool
}

var errTwofaced = errors.New("reply lost")

func (s *twofaced) Create(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
	if s.fails.Load() {
		return nil, errTwofaced
	}
	existing, err := s.Store.Create(ctx, c, events)
	if s.lies.Load() {
		return nil, errors.Join(err, errTwofaced)
	}
	return existing, err
}

func (s *twofaced) Get(ctx context.Context, id string) (*call.Call, error) {
	if s.mute.Load() {
		return nil, errTwofaced
	}
	return s.Store.Get(ctx, id)
}

// liar places a call of which the store says that it has no record, and returns
// that record.
func liar(t *testing.T) (*office, *twofaced, *call.Call, func() (*call.Call, error)) {
	t.Helper()
	store := &twofaced{Store: call.NewMemoryStore()}
	store.lies.Store(true)
	o := newOffice(t, hello(time.Second), func(c *call.Config) { c.Store = store })
	place := func() (*call.Call, error) {
		return o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours, IdempotencyKey: "key"})
	}
	if c, err := place(); !errors.Is(err, call.ErrStore) || !errors.Is(err, errTwofaced) {
		t.Fatalf("placed: %+v, %v", c, err)
	}
	store.lies.Store(false)
	all, err := store.List(t.Context(), call.Filter{})
	if err != nil || len(all) != 1 || all[0].State != call.Initiated {
		t.Fatalf("stored: %v, %v", all, err)
	}
	return o, store, all[0], place
}

// A record that a store says it does not have is brought to its end, however long
// the store is silent then. The call was not dialed, and who asks again learns so.
func TestRecordOfACallThatDidNotComeAboutIsEnded(t *testing.T) {
	for name, silence := range map[string]time.Duration{"at once": 0, "after a while": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, store, c, place := liar(t)
				store.mute.Store(true)
				time.Sleep(silence)
				store.mute.Store(false)
				time.Sleep(time.Minute)
				ended, err := o.Call(t.Context(), c.ID)
				if err != nil || ended.State != call.Failed || ended.Cause != call.DialFailed {
					t.Errorf("%+v, %v", ended, err)
				}
				if again, err := place(); err != nil || again.ID != c.ID {
					t.Errorf("asked again: %+v, %v", again, err)
				}
				if dialed := len(o.Carrier.Calls()); dialed != 0 {
					t.Errorf("dialed %d times", dialed)
				}
				if st := o.Stats(); st.Placed != 1 || st.TakenOver != 0 || st.Ended[call.Failed] != 1 { // it was nobody else's
					t.Errorf("%+v", st)
				}
				if err := o.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A shutdown right after it says that there is such a record, and the next process
// ends it. If the store had told the truth, the shutdown has nothing to say.
func TestShutdownTellsOfARecordThatMayBeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, store, c, _ := liar(t)
		if err := o.Shutdown(t.Context()); !errors.Is(err, call.ErrUnsaved) {
			t.Errorf("shutdown: %v", err)
		}
		next := newOffice(t, hello(time.Second), func(c *call.Config) { c.Store = store })
		if err := next.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ended := next.wait(c.ID); ended.State != call.Failed {
			t.Errorf("%+v", ended)
		}
		if dialed := len(o.Carrier.Calls()) + len(next.Carrier.Calls()); dialed != 0 {
			t.Errorf("dialed %d times", dialed)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		store := &twofaced{Store: call.NewMemoryStore()}
		o := newOffice(t, hello(time.Second), func(c *call.Config) { c.Store = store })
		store.fails.Store(true)
		if _, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours}); !errors.Is(err, call.ErrStore) {
			t.Errorf("placed: %v", err)
		}
		store.fails.Store(false)
		if err := o.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
