package call_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// left are the records of calls that a process had when it ended.
func left(t *testing.T, store call.Store, n int, change func(i int, c *call.Call)) {
	t.Helper()
	for i := range n {
		leg := fmt.Sprintf("CA%032x", i+1)
		c := &call.Call{
			ID: fmt.Sprintf("call_%04d", i), AgentID: "agent", Provider: "sim", ProviderCallID: leg,
			To: callee, From: ours, State: call.Active, Version: 1, CreatedAt: time.Now().Add(time.Duration(i)),
			Life: []byte(`{"direction":"outbound","state":"active","dial":1,"answered":true,"stream":2,"leg":"` + leg + `"}`),
		}
		change(i, c)
		if _, err := store.Create(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// A call that cannot be recovered does not keep the others from it.
func TestRecoverLeavesNoneForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := call.NewMemoryStore()
		left(t, store, 3, func(i int, c *call.Call) {
			if i == 1 {
				c.Provider = "gone"
			}
		})
		o := newOffice(t, call.Echo, func(c *call.Config) { c.Store = store })
		if err := o.Recover(t.Context()); !errors.Is(err, call.ErrUnknownProvider) {
			t.Errorf("recover: %v", err)
		}
		for _, id := range []string{"call_0000", "call_0002"} {
			if c := o.wait(id); c.State != call.Completed || c.Cause != call.Interrupted {
				t.Errorf("%s ended %v, %q", id, c.State, c.Cause)
			}
		}
	})
}

// busyCarrier counts how much is asked of it at once.
type busyCarrier struct {
	call.Provider
	now, most atomic.Int64
}

func (b *busyCarrier) Hangup(context.Context, string) error {
	n := b.now.Add(1)
	defer b.now.Add(-1)
	for most := b.most.Load(); n > most; most = b.most.Load() {
		if b.most.CompareAndSwap(most, n) {
			break
		}
	}
	time.Sleep(100 * time.Millisecond)
	return nil
}

// Thousands of calls are recovered without a flood of requests to the carrier.
func TestRecoverDoesNotFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 1100 // more than one page
		store := call.NewMemoryStore()
		left(t, store, calls, func(int, *call.Call) {})
		var carrier busyCarrier
		o := newOffice(t, call.Echo, func(c *call.Config) {
			carrier.Provider = c.Providers[0]
			c.Store, c.Providers, c.Logger = store, []call.Provider{&carrier}, slog.New(slog.DiscardHandler)
		})
		if err := o.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range calls {
			if c := o.wait(fmt.Sprintf("call_%04d", i)); c.State != call.Completed {
				t.Fatalf("%s ended %v", c.ID, c.State)
			}
		}
		if most := carrier.most.Load(); most > 64 {
			t.Errorf("%d requests at once", most)
		}
	})
}

// A call whose end had begun before the process ended can be hung up as any other.
func TestHangupOfARecoveredCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := call.NewMemoryStore()
		left(t, store, 1, func(_ int, c *call.Call) {
			c.State = call.Ending
			c.Life = []byte(`{"direction":"outbound","state":"ending","cause":"agent_done","dial":1,"answered":true,"stream":3,"step":1,"leg":"` + c.ProviderCallID + `"}`)
		})
		o := newOffice(t, call.Echo, func(c *call.Config) { c.Store = store })
		if err := o.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := o.Hangup(ctx, "call_0000"); err != nil {
			t.Errorf("hangup: %v", err)
		}
		if c := o.wait("call_0000"); c.State != call.Completed || c.Cause != call.AgentDone {
			t.Errorf("call ended %v, %q", c.State, c.Cause)
		}
	})
}

// A service that is shut down while it recovers takes up no more.
func TestRecoverDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := call.NewMemoryStore()
		left(t, store, 3, func(int, *call.Call) {})
		o := newOffice(t, call.Echo, func(c *call.Config) { c.Store = store })
		if err := o.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := o.Recover(t.Context()); !errors.Is(err, call.ErrShutdown) {
			t.Errorf("recover: %v", err)
		}
		time.Sleep(time.Minute)
		if n := o.Stats().Live; n != 0 {
			t.Errorf("%d calls are live", n)
		}
	})
}

// slowCommit stores what it is given and says that it did not.
type slowCommit struct {
	call.Store
	fails atomic.Int64
}

func (s *slowCommit) Update(ctx context.Context, c *call.Call, events []call.Event) error {
	err := s.Store.Update(ctx, c, events)
	if err == nil && s.fails.Add(-1) >= 0 {
		return context.DeadlineExceeded
	}
	return err
}

// A write that was done, and whose reply was lost, is no conflict.
func TestStoreWhoseReplyIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := call.NewMemoryStore()
		store := &slowCommit{Store: records}
		store.fails.Store(2)
		o := newOffice(t, hello(time.Second), func(c *call.Config) { c.Store = store })
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		if stored, err := records.Get(t.Context(), c.ID); err != nil || stored.State != call.Completed {
			t.Errorf("stored: %v, %v", stored.State, err)
		}
	})
}
