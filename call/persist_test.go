package call_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// slowUpdates is a store that takes its time, or does not take the end of a call at
// first, and notes what it is given that does not fit together.
type slowUpdates struct {
	call.Store
	fails bool
	torn  chan string

	mu    sync.Mutex
	began map[string]time.Time // when it was first told that a call ends
}

func (s *slowUpdates) Update(ctx context.Context, c *call.Call, events []call.Event) error {
	last := call.Event{}
	for _, e := range events {
		if last = e; e.State.Terminal() && !c.State.Terminal() || e.Seq > c.Events {
			s.torn <- fmt.Sprintf("%v was stored with a record that does not know it", e.State)
		}
	}
	if c.State.Terminal() && !last.State.Terminal() {
		s.torn <- fmt.Sprintf("a record was %v before its events were", c.State)
	}
	switch {
	case !s.fails:
		time.Sleep(time.Second)
	case c.State >= call.Ending && !s.ready(c.ID):
		return errors.New("out of order")
	}
	return s.Store.Update(ctx, c, events)
}

func (s *slowUpdates) ready(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began[id].IsZero() {
		s.began[id] = time.Now()
	}
	return time.Since(s.began[id]) > 10*time.Second
}

// A record and the events that are stored with it tell of the same moment, so
// that a process that dies between two writes leaves nothing that was not so. In
// particular no end is in the log before it is on the record, nor after it.
func TestRecordAndEventsAreOfOneMoment(t *testing.T) {
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := &slowUpdates{
				Store: call.NewMemoryStore(), fails: fails, torn: make(chan string, 1000), began: make(map[string]time.Time),
			}
			o := newOffice(t, hello(time.Second), func(c *call.Config) { c.Store = store })
			o.Phone(callee).Behave(sim.Behavior{Outcome: sim.Busy, Ring: 100 * time.Millisecond})
			for range 30 {
				o.wait(o.place(call.Options{}).ID)
			}
			if err := o.Shutdown(t.Context()); err != nil { // until all is stored
				t.Error(err)
			}
			close(store.torn)
			for what := range store.torn {
				t.Errorf("it fails %t: %s", fails, what)
			}
		})
	}
}

// A shutdown waits, within its time, for a store that fails; and says so if that
// was in vain.
func TestShutdownWaitsForTheStore(t *testing.T) {
	for name, outage := range map[string]time.Duration{"for a while": 20 * time.Second, "for good": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				records := call.NewMemoryStore()
				store := &failing{Store: records}
				o := newOffice(t, hello(time.Second), func(c *call.Config) { c.Store = store })
				c := o.place(call.Options{})
				store.fails.Store(true)
				heal := time.AfterFunc(outage, func() { store.fails.Store(false) })
				defer heal.Stop()
				o.wait(c.ID)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begun := time.Now()
				err := o.Shutdown(ctx)
				if took := time.Since(begun); took > 2*time.Minute {
					t.Errorf("shutdown took %v", took)
				}
				stored, getErr := records.Get(t.Context(), c.ID)
				if getErr != nil {
					t.Fatal(getErr)
				}
				if unsaved := errors.Is(err, call.ErrUnsaved); unsaved == stored.State.Terminal() {
					t.Errorf("shutdown: %v; the stored call is %v", err, stored.State)
				}
				if outage < time.Minute && err != nil {
					t.Errorf("shutdown: %v", err)
				}
			})
		})
	}
}
