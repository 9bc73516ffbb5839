package callotel_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// clogged is a span processor that holds up whoever begins a span of some name.
type clogged struct {
	name    string
	free    chan struct{}
	mu      sync.Mutex // guards open
	open    int
	blocked atomic.Bool
}

func (c *clogged) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	c.mu.Lock()
	c.open++
	c.mu.Unlock()
	if s.Name() == c.name {
		c.blocked.Store(true)
		<-c.free
	}
}

func (c *clogged) OnEnd(sdktrace.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

func (c *clogged) Shutdown(context.Context) error   { return nil }
func (c *clogged) ForceFlush(context.Context) error { return nil }

func TestEventsThatAreLostLeaveNoSpanOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clog := &clogged{name: "active", free: make(chan struct{})}
		free := sync.OnceFunc(func() { close(clog.free) })
		defer free()
		agent := func(_ context.Context, s *call.Session) error {
			time.Sleep(second) // until there is sound
			for range 10 {     // more than wait for Watch
				for range 500 {
					s.Log("busy", nil)
				}
				time.Sleep(second / 10) // until they are stored
			}
			return nil
		}
		n := calltest.NewNetwork(t)
		d := newDesk(t, n, nil, agent, nil, sdktrace.WithSpanProcessor(clog)).watchNow()
		c := d.wait(d.place(callee).ID)
		if st := d.Stats(); !clog.blocked.Load() || st.EventsDropped == 0 || st.EventsUnsaved != 0 {
			t.Fatalf("blocked: %v, lost: %d, not stored: %d: the test does not test", clog.blocked.Load(), st.EventsDropped, st.EventsUnsaved)
		}
		free()
		time.Sleep(time.Minute)
		synctest.Wait()
		if clog.open != 0 {
			t.Errorf("%d spans are open", clog.open)
		}
		if s := d.spanOf(c.ID); s.EndTime.Before(c.EndedAt) || s.EndTime.After(c.EndedAt.Add(10*second)) {
			t.Errorf("the span ended at %v, the call at %v", s.EndTime, c.EndedAt)
		}
		var states []string
		for _, s := range d.spans.GetSpans() {
			states = append(states, s.Name)
		}
		for _, state := range []string{"initiated", "connecting", "connected", "active", "ending"} {
			if !slices.Contains(states, state) {
				t.Errorf("no span of %q", state)
			}
		}
		if got := d.figures()["switchboard.calls"]; !slices.Equal(got, []string{"1 cause=agent_done direction=outbound provider=sim state=completed"}) {
			t.Errorf("calls: %q", got)
		}
	})
}

func TestWatchTakesUpCallsThatHaveBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent := func(_ context.Context, s *call.Session) error { time.Sleep(10 * second); return nil }
		n := calltest.NewNetwork(t)
		d := newDesk(t, n, nil, agent, nil)
		over := d.wait(d.place(callee).ID)
		lives := d.place(callee)
		time.Sleep(5 * second)
		d.watchNow()
		for _, id := range []string{over.ID, d.wait(lives.ID).ID} {
			d.spanOf(id)
		}
		if got := d.figures()["switchboard.calls"]; !slices.Equal(got, []string{"2 cause=agent_done direction=outbound provider=sim state=completed"}) {
			t.Errorf("calls: %q", got)
		}
	})
}

func TestSpansEndWithWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent := func(ctx context.Context, s *call.Session) error { <-ctx.Done(); return nil }
		n := calltest.NewNetwork(t)
		d := newDesk(t, n, nil, agent, func(c *call.Config) { c.MaxDuration = 10 * second }).watchNow()
		c := d.place(callee)
		time.Sleep(5 * second)
		d.stop()
		synctest.Wait()
		d.spanOf(c.ID)
		d.spans.Reset()
		if err := d.Hangup(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		d.wait(c.ID)
		d.wait(d.place(callee).ID)
		for _, s := range d.spans.GetSpans() {
			if s.Name == "call" {
				t.Errorf("a span that nobody would have ended:\n%s", d.traces())
			}
		}
	})
}

// deaf is a store that answers no question any more.
type deaf struct {
	call.Store
	cut atomic.Bool
}

func (s *deaf) Get(ctx context.Context, id string) (*call.Call, error) {
	if s.cut.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Get(ctx, id)
}

func (s *deaf) Events(ctx context.Context, id string, after int64) ([]call.Event, error) {
	if s.cut.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Events(ctx, id, after)
}

func TestStoreThatDoesNotAnswerHoldsUpNoShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent := func(context.Context, *call.Session) error { time.Sleep(10 * second); return nil }
		n := calltest.NewNetwork(t)
		store := &deaf{Store: call.NewMemoryStore()}
		d := newDesk(t, n, nil, agent, func(c *call.Config) { c.Store = store }).watchNow()
		const calls = 20
		for range calls {
			d.place(callee)
		}
		time.Sleep(5 * second)
		store.cut.Store(true)
		time.Sleep(time.Minute)
		began := time.Now()
		d.stop()
		d.watch.Wait()
		if took := time.Since(began); took > 15*second { // a question of the last look, and one more
			t.Errorf("Watch returned after %v", took)
		}
		ended := 0
		for _, s := range d.spans.GetSpans() {
			if s.Name == "call" {
				ended++
			}
		}
		if ended != calls {
			t.Errorf("%d of %d spans have ended", ended, calls)
		}
	})
}

func TestCallThatComesBackHasTwoSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent := func(context.Context, *call.Session) error { time.Sleep(10 * second); return nil }
		n := calltest.NewNetwork(t)
		d := newDesk(t, n, nil, agent, nil).watchNow()
		c := d.place(callee)
		time.Sleep(5 * second)
		d.CallContext(t.Context(), c) // another replica had it meanwhile
		d.wait(c.ID)
		ended := 0
		for _, s := range d.spans.GetSpans() {
			if s.Name == "call" {
				ended++
			}
		}
		if ended != 2 {
			t.Errorf("%d spans have ended:\n%s", ended, d.traces())
		}
		if got := d.figures()["switchboard.calls"]; len(got) != 1 || got[0][:2] != "1 " {
			t.Errorf("calls: %q", got)
		}
	})
}

// silent is a store that a replica cannot keep its lease in.
type silent struct {
	call.SharedStore
	cut atomic.Bool
}

func (s *silent) Renew(ctx context.Context, replica string, lease time.Duration) error {
	if s.cut.Load() {
		return errors.New("network is unreachable")
	}
	return s.SharedStore.Renew(ctx, replica, lease)
}

func TestCallsOfOtherReplicasAreNotDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent := func(ctx context.Context, s *call.Session) error {
			for range s.Keys() {
			}
			return nil
		}
		n := calltest.NewNetwork(t)
		stores := call.NewMemoryStore()
		replica := func(addr string, m *calltest.Machine) (*desk, *silent) {
			store := &silent{SharedStore: stores}
			d := newDesk(t, n, m, agent, func(c *call.Config) {
				c.Store = store
				c.PublicURL = "https://" + addr + "/phone/"
				c.Cluster = call.Cluster{Address: "http://" + addr, Secret: "a secret of the replicas", Transport: m.Transport()}
			}).watchNow()
			m.Serve(addr+":80", d.Handler())
			if err := d.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			return d, store
		}
		one, cut := replica("one.test", n.Machine())
		other, _ := replica("other.test", n.Machine())
		n.Phone(callee).Behave(sim.Behavior{Talk: func(t *sim.Talk) {
			t.Listen(time.Minute)
			_ = t.Press("1") // by then it is noticed that the other one has the call
		}})

		first := one.place(callee)
		time.Sleep(10 * second)
		if err := one.Hangup(t.Context(), first.ID); err != nil {
			t.Fatal(err)
		}
		one.wait(first.ID)
		ended := []string{"1 cause=hangup_local direction=outbound provider=sim state=completed"}
		if got := one.figures()["switchboard.calls"]; !slices.Equal(got, ended) {
			t.Errorf("calls of who had it: %q", got)
		}
		if got := other.figures()["switchboard.calls"]; len(got) != 0 || len(other.spans.GetSpans()) != 0 {
			t.Errorf("calls of the other one: %q\n%s", got, other.traces())
		}

		second := one.place(callee)
		time.Sleep(10 * time.Second)
		cut.cut.Store(true)
		other.wait(second.ID)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if one.Stats().Fenced != 1 || other.Stats().TakenOver != 1 {
			t.Fatalf("%d fenced, %d taken over: the test does not test", one.Stats().Fenced, other.Stats().TakenOver)
		}
		if got := one.figures()["switchboard.calls"]; !slices.Equal(got, ended) {
			t.Errorf("calls of who had lost one: %q", got)
		}
		if got := other.figures()["switchboard.calls"]; len(got) != 1 {
			t.Errorf("calls of who had taken one: %q", got)
		}
		one.spanOf(second.ID)
		other.spanOf(second.ID)
	})
}
