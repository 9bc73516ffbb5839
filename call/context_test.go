package call_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
)

type ofCall struct{}

// witness is plugs that note which call a context is of.
type witness struct {
	call.Provider
	call.Store
	mu   sync.Mutex
	seen map[string]any
}

func (w *witness) note(ctx context.Context, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[what] = ctx.Value(ofCall{})
}

func (w *witness) Dial(ctx context.Context, req *telephony.DialRequest) (string, error) {
	w.note(ctx, "dial")
	return w.Provider.Dial(ctx, req)
}

func (w *witness) Hangup(ctx context.Context, id string) error {
	w.note(ctx, "hangup")
	return w.Provider.Hangup(ctx, id)
}

func (w *witness) Record(ctx context.Context, _ recording.Info) (recording.Sink, error) {
	w.note(ctx, "record")
	return nil, errors.New("there is no room")
}

func (w *witness) Update(ctx context.Context, c *call.Call, events []call.Event) error {
	w.note(ctx, "store")
	return w.Store.Update(ctx, c, events)
}

func TestContextOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{Store: call.NewMemoryStore(), seen: make(map[string]any)}
		var cause error
		agent := call.AgentFunc(func(ctx context.Context, _ *call.Session) error {
			w.note(ctx, "agent")
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		})
		o := newOffice(t, agent, func(c *call.Config) {
			w.Provider = c.Providers[0]
			c.Providers = []call.Provider{w}
			c.Recorder, c.Store = w, w
			c.MaxDuration = time.Minute
			c.CallContext = func(ctx context.Context, c *call.Call) context.Context {
				if ctx.Err() != nil || c.State != call.Initiated || c.Events != 1 {
					t.Errorf("asked about %+v, with a context that says %v", c, ctx.Err())
				}
				return context.WithValue(ctx, ofCall{}, c.ID)
			}
		})
		c := o.wait(o.place(call.Options{Record: true}).ID)
		synctest.Wait()
		for _, what := range []string{"dial", "hangup", "record", "store", "agent"} {
			if w.seen[what] != c.ID {
				t.Errorf("%s: the context is of %v", what, w.seen[what])
			}
		}
		if end := (*call.EndError)(nil); !errors.As(cause, &end) || end.Cause != call.MaxDuration {
			t.Errorf("the agent's context ended because of %v", cause)
		}
	})
}

func TestRefusedCallHasNoContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.Echo, func(c *call.Config) {
			c.Policy = call.Destinations{AllowPrefixes: []string{"+44"}}
			c.CallContext = func(ctx context.Context, c *call.Call) context.Context {
				t.Errorf("asked about %v", c)
				return ctx
			}
		})
		if _, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours}); !errors.Is(err, call.ErrNotAllowed) {
			t.Errorf("placed: %v", err)
		}
	})
}

func TestCallGoesOnWithoutItsContext(t *testing.T) {
	for name, f := range map[string]func(context.Context, *call.Call) context.Context{
		"nil":   func(context.Context, *call.Call) context.Context { return nil },
		"panic": func(context.Context, *call.Call) context.Context { panic("no") },
		"hangs": func(ctx context.Context, _ *call.Call) context.Context { <-ctx.Done(); return ctx },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				agent := call.AgentFunc(func(context.Context, *call.Session) error { return nil })
				o := newOffice(t, agent, func(c *call.Config) { c.CallContext = f })
				if c := o.wait(o.place(call.Options{}).ID); c.State != call.Completed {
					t.Errorf("ended %v, %q", c.State, c.Cause)
				}
			})
		})
	}
}
