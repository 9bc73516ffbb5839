package call_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// crashing is a store that stops taking writes, as one does whose process has
// been killed.
type crashing struct {
	call.Store
	dead atomic.Bool
}

func (c *crashing) Create(ctx context.Context, r *call.Call, e []call.Event) (*call.Call, error) {
	if c.dead.Load() {
		return nil, call.ErrConflict
	}
	return c.Store.Create(ctx, r, e)
}

func (c *crashing) Update(ctx context.Context, r *call.Call, e []call.Event) error {
	if c.dead.Load() {
		return call.ErrConflict
	}
	return c.Store.Update(ctx, r, e)
}

// After a crash at any moment of a call, a new process settles it within half a
// minute, and never dials it again.
func TestRecoveryAfterACrash(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 2 * time.Second, 5 * time.Second, 12 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				records := call.NewMemoryStore()
				store := &crashing{Store: records}
				o := newOffice(t, hello(10*time.Second), func(c *call.Config) { c.Store = store })
				o.Phone(callee).Behave(sim.Behavior{Ring: 4 * time.Second})
				c := o.place(call.Options{})
				time.Sleep(after)
				synctest.Wait()
				store.dead.Store(true) // nothing of the old process is written any more

				again, err := call.New(call.Config{
					PublicURL: "https://again.test/phone/",
					Providers: []call.Provider{o.Network.Provider},
					Agents:    call.Agents{"agent": hello(time.Second)},
					Store:     records,
					Logger:    slog.New(slog.NewTextHandler(t.Output(), nil)),
				})
				if err != nil {
					t.Fatal(err)
				}
				o.Network.Connect(again, "+12025550101")
				if err := again.Recover(t.Context()); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				settled, err := again.Wait(ctx, c.ID)
				if err != nil {
					t.Fatal(err)
				}
				if !settled.State.Terminal() {
					t.Errorf("call is %v", settled.State)
				}
				if n := len(o.Carrier.Calls()); n > 1 {
					t.Errorf("%d calls were placed", n)
				}
				time.Sleep(time.Minute)
				for _, k := range o.Carrier.Calls() {
					if !k.Status.Final() {
						t.Errorf("the carrier's call is left %v", k.Status)
					}
				}
				t.Logf("crashed after %v: %v, %q", after, settled.State, settled.Cause)
			})
		})
	}
}

// A store that fails does not lose a call that has ended: it is written when the
// store works again.
func TestStoreThatFailsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := call.NewMemoryStore()
		store := &failing{Store: records}
		o := newOffice(t, hello(2*time.Second), func(c *call.Config) { c.Store = store })
		c := o.place(call.Options{})
		store.fails.Store(true)
		c = o.wait(c.ID)
		if c.State != call.Completed {
			t.Errorf("call ended %v", c.State)
		}
		if n := o.Stats().PersistPending; n != 1 {
			t.Errorf("%d calls wait to be stored, want 1", n)
		}
		time.Sleep(time.Minute)
		store.fails.Store(false)
		time.Sleep(time.Minute)
		if n := o.Stats().PersistPending; n != 0 {
			t.Errorf("%d calls wait to be stored, want 0", n)
		}
		stored, err := records.Get(t.Context(), c.ID)
		if err != nil || stored.State != call.Completed {
			t.Errorf("stored: %v, %v", stored, err)
		}
		events, err := records.Events(t.Context(), c.ID, 0)
		if err != nil || len(events) < 6 || events[len(events)-1].State != call.Completed {
			t.Errorf("events: %v, %v", events, err)
		}
	})
}

type failing struct {
	call.Store
	fails atomic.Bool
}

func (f *failing) Update(ctx context.Context, r *call.Call, e []call.Event) error {
	if f.fails.Load() {
		return context.DeadlineExceeded
	}
	return f.Store.Update(ctx, r, e)
}

// What a killed process has left of a recording is attached to its call.
func TestRecoveredCallKeepsItsRecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := &recording.WAV{Storage: &recording.Dir{Path: t.TempDir()}}
		store := call.NewMemoryStore()
		left(t, store, 3, func(i int, c *call.Call) { c.Options.Record = i > 0 })
		for _, id := range []string{"call_0000", "call_0001"} { // nobody had begun to record the third
			halfRecorded(t, recorder, id, 3*time.Second)
		}
		o := newOffice(t, call.Echo, func(c *call.Config) { c.Store, c.Recorder = store, recorder })
		if err := o.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]time.Duration{"call_0000": 0, "call_0001": 3 * time.Second, "call_0002": 0} {
			c := o.wait(id)
			if c.State != call.Completed || len(c.Metrics.Leftover) > 0 {
				t.Errorf("%s ended %v, %q", id, c.State, c.Metrics.Leftover)
			}
			switch r := c.Recording; {
			case want == 0 && r != nil:
				t.Errorf("%s has the recording %+v", id, r)
			case want > 0 && (r == nil || r.Duration != want || !r.Interrupted):
				t.Errorf("%s has the recording %+v", id, r)
			}
		}
	})
}

// halfRecorded leaves what a process does that is killed after d.
func halfRecorded(t *testing.T, w *recording.WAV, id string, d time.Duration) {
	t.Helper()
	sink, err := w.Record(t.Context(), recording.Info{CallID: id, Format: audio.Telephone})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := sink.Close(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(w.Storage.(*recording.Dir).Path, filepath.FromSlash(rec.Key))
	if err := os.Rename(name, filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".part")); err != nil {
		t.Fatal(err)
	}
}
