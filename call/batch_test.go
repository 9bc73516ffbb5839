package call_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// requests are n that differ in whom they call.
func requests(n int) []call.Request {
	reqs := make([]call.Request, n)
	for i := range reqs {
		reqs[i] = call.Request{AgentID: "agent", To: telephony.Number(fmt.Sprintf("+1202555%04d", 1000+i)), From: ours}
	}
	return reqs
}

func TestBatchTellsWhatBecameOfEachRequestInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(context.Context, *call.Session) error { return nil }), nil)
		o.Carrier.Otherwise(sim.Behavior{Ring: time.Second})
		reqs := requests(40)
		reqs[7].To = "7"
		reqs[11].AgentID = "nobody"
		reqs[13].To = "+19005550123"
		reqs[20].IdempotencyKey, reqs[21].IdempotencyKey = "once", "once"
		reqs[21].To = reqs[20].To
		wrong := map[int]error{7: telephony.ErrInvalidNumber, 11: call.ErrUnknownAgent, 13: call.ErrNotAllowed}

		placements := o.PlaceAll(t.Context(), reqs)
		if len(placements) != len(reqs) {
			t.Fatalf("%d placements of %d requests", len(placements), len(reqs))
		}
		ids := make(map[string]bool)
		for i, p := range placements {
			if want := wrong[i]; want != nil {
				if !errors.Is(p.Err, want) || p.Call != nil {
					t.Errorf("request %d: %v, %v; want %v", i, p.Call, p.Err, want)
				}
				continue
			}
			if p.Err != nil || p.Call.To != reqs[i].To {
				t.Fatalf("request %d to %v: %v, %v", i, reqs[i].To, p.Call, p.Err)
			}
			ids[p.Call.ID] = true
			if c := o.wait(p.Call.ID); c.State != call.Completed {
				t.Errorf("call %d ended %v", i, c.State)
			}
		}
		if placements[20].Call.ID != placements[21].Call.ID {
			t.Error("one key has made two calls")
		}
		if n := len(o.Carrier.Calls()); n != 36 || len(ids) != n {
			t.Errorf("%d calls at the carrier and %d ids, want 36", n, len(ids))
		}
	})
}

func TestBatchOfMoreThanAThousandIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.Echo, nil)
		for i, p := range o.PlaceAll(t.Context(), requests(1001)) {
			if !errors.Is(p.Err, call.ErrInvalidRequest) || p.Call != nil {
				t.Fatalf("request %d: %v, %v", i, p.Call, p.Err)
			}
		}
		if p := o.PlaceAll(t.Context(), nil); len(p) != 0 {
			t.Errorf("of nothing came %v", p)
		}
		if st := o.Stats(); st.Placed != 0 || st.Live != 0 {
			t.Errorf("%d calls were placed, %d are live", st.Placed, st.Live)
		}
	})
}

// leisurely is a store that takes a second for each call, and counts how many
// wait for it.
type leisurely struct {
	call.Store
	waiting atomic.Int64

	mu   sync.Mutex
	most int64
}

func (l *leisurely) Create(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
	n := l.waiting.Add(1)
	defer l.waiting.Add(-1)
	l.mu.Lock()
	l.most = max(l.most, n)
	l.mu.Unlock()
	time.Sleep(time.Second)
	return l.Store.Create(ctx, c, events)
}

func TestBatchBeginsNothingAfterTheEndOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &leisurely{Store: call.NewMemoryStore()}
		o := newOffice(t, call.Echo, func(c *call.Config) { c.Store = store })
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		begun := time.Now()
		placements := o.PlaceAll(ctx, requests(1000))
		if took := time.Since(begun); took >= 3*time.Second {
			t.Errorf("it took %v, want less than 3 s", took)
		}
		time.Sleep(time.Second) // until what was too late has been stored
		placed := 0
		for i, p := range placements {
			switch {
			case p.Err == nil && p.Call != nil:
				placed++
			case !errors.Is(p.Err, context.DeadlineExceeded):
				t.Fatalf("request %d: %v, %v", i, p.Call, p.Err)
			}
		}
		if st := o.Stats(); placed != int(st.Placed) || placed != 32 || st.HostHeld != 0 {
			t.Errorf("%d calls are said to be placed, and %d were; the store keeps %d", placed, st.Placed, st.HostHeld)
		}
		stored, err := store.List(t.Context(), call.Filter{Limit: 1000})
		if err != nil || len(stored) != placed {
			t.Errorf("%d calls are stored: %v", len(stored), err)
		}
		if most := store.most; most != 16 {
			t.Errorf("%d calls were stored at once, want 16", most)
		}
	})
}

// A panic of the host's concerns one request, and not the process.
func TestPanicInABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.Echo, func(c *call.Config) { c.Policy = panickyPolicy{} })
		for i, p := range o.PlaceAll(t.Context(), requests(3)) {
			if p.Err == nil || p.Call != nil {
				t.Errorf("request %d: %v, %v", i, p.Call, p.Err)
			}
		}
	})
}

type panickyPolicy struct{}

func (panickyPolicy) Allow(context.Context, call.Leg) error { panic("host code: Allow") }
