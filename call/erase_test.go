package call_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// Of a call that is erased nothing that was said is left, nor whom it concerned:
// not with us, and not with the carrier. That it was, and that it was erased, can
// be seen, and its key still keeps it from being dialed again.
func TestErasedCallLeavesItsOutline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &recording.Memory{}
		var o *office
		o = newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			if _, err := o.StartCarrierRecording(ctx, s.Call().ID, telephony.RecordRequest{}); err != nil {
				t.Errorf("start: %v", err)
			}
			s.Log("noted", map[string]string{"what": "secret"})
			_, err := s.Say(call.Utterance{Audio: tone(440, 2*time.Second), Text: "The secret is seven."}).Wait(ctx)
			return err
		}), func(c *call.Config) { c.Recorder, c.FetchCarrierRecordings = &recording.WAV{Storage: st}, true })
		o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) { _ = k.Press("7"); <-k.Done() }})
		request := call.Request{
			AgentID: "agent", To: callee, From: ours, IdempotencyKey: "once", Tenant: "somebody",
			Context: map[string]string{"name": "secret"}, Metadata: map[string]string{"order": "secret"},
			Options: call.Options{Record: true},
		}
		placed, err := o.Place(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		before := o.wait(placed.ID)
		time.Sleep(15 * time.Minute) // the carrier's recording is fetched
		if n := len(st.Keys()); n != 2 {
			t.Fatalf("%d recordings before", n)
		}
		for range 2 { // the second time nothing is left to do
			if err := o.Erase(t.Context(), before.ID); err != nil {
				t.Fatal(err)
			}
		}
		c, err := o.Call(t.Context(), before.ID)
		if err != nil {
			t.Fatal(err)
		}
		events, err := o.Events(t.Context(), before.ID, 0)
		if err != nil || len(events) != 1 || events[0].Type != call.EventErased || events[0].Seq != c.Events {
			t.Errorf("events %+v, %v", events, err)
		}
		if c.ErasedAt.IsZero() || c.State != call.Completed || !c.EndedAt.Equal(before.EndedAt) || c.Tenant != "somebody" {
			t.Errorf("what is left is %+v", c)
		}
		left, err := json.Marshal(map[string]any{"call": c, "events": events})
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"secret", "seven", callee, ours} {
			if strings.Contains(string(left), word) {
				t.Errorf("%s is left: %s", word, left)
			}
		}
		if keys := st.Keys(); len(keys) != 0 {
			t.Errorf("recordings are left: %q", keys)
		}
		carrier := o.Provider.(telephony.CallRecorder)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
			file, err := carrier.OpenRecording(t.Context(), before.CarrierRecordings[0].ID)
			if err != nil {
				break
			}
			file.Close()
			if time.Now().After(deadline) {
				t.Error("the carrier still has its recording")
				break
			}
		}
		if again, err := o.Place(t.Context(), request); err != nil || again.ID != before.ID || len(o.Carrier.Calls()) != 1 {
			t.Errorf("placed again: %v, %v, %d calls", again, err, len(o.Carrier.Calls()))
		}
	})
}

// What is found out about a call after it was erased is dropped.
func TestErasedWhileItIsAnalyzed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		erased := make(chan struct{})
		o := newOffice(t, hello(time.Second), func(c *call.Config) {
			c.Analyzer = call.AnalyzerFunc(func(context.Context, *call.Call) (call.Analysis, error) {
				<-erased
				return call.Analysis{Labels: map[string]string{"said": "secret"}}, nil
			})
		})
		id := o.wait(o.place(call.Options{}).ID).ID
		if err := o.Erase(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		close(erased)
		synctest.Wait()
		c, err := o.Call(t.Context(), id)
		if err != nil || c.Analysis != nil || c.ErasedAt.IsZero() {
			t.Errorf("%+v, %v", c, err)
		}
		if events, err := o.Events(t.Context(), id, 0); err != nil || len(events) != 1 {
			t.Errorf("events %+v, %v", events, err)
		}
	})
}

// A store that cannot take events away keeps nothing at all.
func TestErasedWhereNoOutlineCanBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(time.Second), func(c *call.Config) { c.Store = struct{ call.Store }{call.NewMemoryStore()} })
		id := o.wait(o.place(call.Options{}).ID).ID
		if err := o.Erase(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Call(t.Context(), id); !errors.Is(err, call.ErrNotFound) {
			t.Errorf("error is %v", err)
		}
	})
}

// clinging is a recorder some of whose recordings cannot be erased.
type clinging struct {
	recording.WAV
	key string
}

var errStuck = errors.New("stuck")

func (s *clinging) Erase(ctx context.Context, rec recording.Recording) error {
	if rec.Key == s.key {
		return errStuck
	}
	return s.WAV.Erase(ctx, rec)
}

// Calls are erased when their tenant's time has come: each once, as many at a
// time as asked, and one that cannot be does not keep the others.
func TestCallsAreErasedWhenTheyAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		recorder := &clinging{WAV: recording.WAV{Storage: recording.NewMemory("memory")}}
		keep := map[string]time.Duration{"short": day, "long": 30 * day, "ever": 0}
		o := newOffice(t, hello(time.Second), func(c *call.Config) {
			c.Recorder = recorder
			c.Retention = func(c *call.Call) time.Duration { return keep[c.Tenant] }
		})
		ids := map[string][]string{}
		for _, tenant := range []string{"short", "short", "short", "long", "ever"} {
			c, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours, Tenant: tenant, Options: call.Options{Record: true}})
			if err != nil {
				t.Fatal(err)
			}
			ids[tenant] = append(ids[tenant], o.wait(c.ID).ID)
		}
		third, err := o.Call(t.Context(), ids["short"][2])
		if err != nil {
			t.Fatal(err)
		}
		recorder.key = third.Recording.Key
		sweep := func(want int, wantErr error) {
			t.Helper()
			if n, err := o.EraseExpired(t.Context(), 100); n != want || !errors.Is(err, wantErr) {
				t.Errorf("%d were erased, %v, not %d, %v", n, err, want, wantErr)
			}
		}
		sweep(0, nil)
		time.Sleep(day)
		if n, err := o.EraseExpired(t.Context(), 1); n != 1 || err != nil && !errors.Is(err, errStuck) {
			t.Errorf("%d were erased, %v", n, err)
		}
		sweep(1, errStuck)
		sweep(0, errStuck)
		recorder.key = ""
		sweep(1, nil)
		sweep(0, nil)
		time.Sleep(30 * day)
		sweep(1, nil)
		var erased []string
		for tenant, calls := range ids {
			for _, id := range calls {
				if c, err := o.Call(t.Context(), id); err != nil {
					t.Error(err)
				} else if !c.ErasedAt.IsZero() {
					erased = append(erased, tenant)
				}
			}
		}
		slices.Sort(erased)
		if want := []string{"long", "short", "short", "short"}; !slices.Equal(erased, want) {
			t.Errorf("erased are calls of %q, not %q", erased, want)
		}
	})
}

// lingering is a carrier whose reply to a hang-up comes long after the call has
// ended.
type lingering struct{ call.Provider }

func (c lingering) Hangup(ctx context.Context, id string) error {
	err := c.Provider.Hangup(ctx, id)
	time.Sleep(9 * time.Second)
	return err
}

// Whoever has waited for the end of a call can erase it, and nothing of it is seen
// afterwards, whatever is still under way about it.
func TestErasedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(time.Second), func(c *call.Config) { c.Providers = []call.Provider{lingering{c.Providers[0]}} })
		placed, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours, IdempotencyKey: "once"})
		if err != nil {
			t.Fatal(err)
		}
		c := o.wait(placed.ID)
		if err := o.Erase(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(c.EndedAt); took > 5*time.Second {
			t.Fatalf("nothing is under way any more, %v after the end", took)
		}
		seen := map[string]*call.Call{}
		if seen["Call"], err = o.Call(t.Context(), c.ID); err != nil {
			t.Error(err)
		}
		if seen["CallByKey"], err = o.CallByKey(t.Context(), "", "once"); err != nil {
			t.Error(err)
		}
		for seen["Calls"], err = range o.Calls(t.Context(), call.Filter{}) {
			if err != nil {
				t.Error(err)
			}
		}
		for way, c := range seen {
			if c == nil || c.ErasedAt.IsZero() || c.To != "" {
				t.Errorf("%s shows %+v", way, c)
			}
		}
	})
}

// unerasing is a recorder that fails when it is to delete something.
type unerasing struct {
	*recording.WAV
	*unfit
}

func (r unerasing) Erase(ctx context.Context, rec recording.Recording) error {
	r.at("Eraser.Erase")
	return r.WAV.Erase(ctx, rec)
}

// A recorder that panics, or does not return, leaves the call to be erased again.
func TestEraserThatFails(t *testing.T) {
	for _, panics := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newUnfit("Eraser.Erase", panics)
			o := newOffice(t, hello(time.Second), func(c *call.Config) {
				c.Recorder = unerasing{&recording.WAV{Storage: &recording.Memory{}}, f}
			})
			id := o.wait(o.place(call.Options{Record: true}).ID).ID
			began := time.Now()
			if err := o.Erase(t.Context(), id); err == nil || time.Since(began) > time.Minute {
				t.Errorf("panics %t: %v after %v", panics, err, time.Since(began))
			}
			if c, err := o.Call(t.Context(), id); err != nil || c.Recording == nil || !c.ErasedAt.IsZero() {
				t.Errorf("panics %t: %+v, %v", panics, c, err)
			}
			if err := o.Erase(t.Context(), id); err != nil {
				t.Errorf("panics %t: erased again: %v", panics, err)
			}
			close(f.release)
		})
	}
}
