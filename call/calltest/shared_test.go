package calltest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// faultyShared is a SharedStore that does some things wrong: where a function is
// set, it stands for the method.
type faultyShared struct {
	*call.MemoryStore
	renew    func(context.Context, string, time.Duration) error
	resign   func(context.Context, string) error
	replicas func(context.Context) ([]string, error)
	watch    func(context.Context, string, func([]call.Event)) error
}

func (f *faultyShared) Renew(ctx context.Context, replica string, lease time.Duration) error {
	if f.renew != nil {
		return f.renew(ctx, replica, lease)
	}
	return f.MemoryStore.Renew(ctx, replica, lease)
}

func (f *faultyShared) Resign(ctx context.Context, replica string) error {
	if f.resign != nil {
		return f.resign(ctx, replica)
	}
	return f.MemoryStore.Resign(ctx, replica)
}

func (f *faultyShared) Replicas(ctx context.Context) ([]string, error) {
	if f.replicas != nil {
		return f.replicas(ctx)
	}
	return f.MemoryStore.Replicas(ctx)
}

func (f *faultyShared) Watch(ctx context.Context, self string, deliver func([]call.Event)) error {
	if f.watch != nil {
		return f.watch(ctx, self, deliver)
	}
	return f.MemoryStore.Watch(ctx, self, deliver)
}

// TestSharedStoreRulesCatch shows that each rule fails for a store that breaks it.
func TestSharedStoreRulesCatch(t *testing.T) {
	caught := make(map[string]bool)
	for _, tt := range []struct {
		fault  string
		rule   string
		broken func(m *call.MemoryStore, f *faultyShared)
	}{
		{"gives leases of no more than a moment", "a lease is good as long as it was given for", func(m *call.MemoryStore, f *faultyShared) {
			f.renew = func(ctx context.Context, replica string, _ time.Duration) error {
				return m.Renew(ctx, replica, time.Nanosecond)
			}
		}},
		{"keeps the first lease", "a lease that was renewed lasts", func(m *call.MemoryStore, f *faultyShared) {
			known := make(map[string]bool)
			f.renew = func(ctx context.Context, replica string, lease time.Duration) error {
				if known[replica] {
					return nil
				}
				known[replica] = true
				return m.Renew(ctx, replica, lease)
			}
		}},
		{"lets nobody resign", "a lease that was resigned is over", func(_ *call.MemoryStore, f *faultyShared) {
			f.resign = func(context.Context, string) error { return nil }
		}},
		{"has no order", "replicas are in the order of their names", func(m *call.MemoryStore, f *faultyShared) {
			f.replicas = func(ctx context.Context) ([]string, error) {
				all, err := m.Replicas(ctx)
				slices.Reverse(all)
				return all, err
			}
		}},
		{"does not look at the context", "a context that has ended ends what concerns leases", func(m *call.MemoryStore, f *faultyShared) {
			f.renew = func(ctx context.Context, replica string, lease time.Duration) error {
				return m.Renew(context.WithoutCancel(ctx), replica, lease)
			}
		}},
		{"tells everything twice", "who watches is told of what others write, once and in order", telling(func(events []call.Event) []call.Event {
			return append(events, events...)
		})},
		{"loses an event", "who watches is told of what others write, once and in order", telling(func(events []call.Event) []call.Event {
			return slices.DeleteFunc(events, func(e call.Event) bool { return e.Seq == 7 })
		})},
		{"tells in the reverse order", "who watches is told of what others write, once and in order", func(m *call.MemoryStore, f *faultyShared) {
			var mu sync.Mutex
			held := make(map[string]call.Event) // one event of each call
			telling(func(events []call.Event) []call.Event {
				mu.Lock()
				defer mu.Unlock()
				var told []call.Event
				for _, e := range events {
					if before, ok := held[e.CallID]; ok {
						told = append(told, e, before)
						delete(held, e.CallID)
					} else if e.Detail == "" {
						held[e.CallID] = e
					} else {
						told = append(told, e)
					}
				}
				return told
			})(m, f)
		}},
		{"tells whoever watches of its own", "who watches is not told of what was there, nor of its own", func(m *call.MemoryStore, f *faultyShared) {
			f.watch = func(ctx context.Context, _ string, deliver func([]call.Event)) error {
				return m.Watch(ctx, "nobody", deliver)
			}
		}},
		{"tells one of them", "each of several who watch is told", func(m *call.MemoryStore, f *faultyShared) {
			var once sync.Mutex
			f.watch = func(ctx context.Context, self string, deliver func([]call.Event)) error {
				if once.TryLock() {
					return m.Watch(ctx, self, deliver)
				}
				deliver(nil)
				<-ctx.Done()
				return ctx.Err()
			}
		}},
		{"takes the end for success", "a watch ends with its context", func(m *call.MemoryStore, f *faultyShared) {
			f.watch = func(ctx context.Context, self string, deliver func([]call.Event)) error {
				_ = m.Watch(ctx, self, deliver)
				return nil
			}
		}},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := slices.IndexFunc(sharedRules, func(r sharedRule) bool { return r.name == tt.rule })
				if i < 0 {
					t.Fatalf("there is no rule %q", tt.rule)
				}
				m := call.NewMemoryStore()
				f := &faultyShared{MemoryStore: m}
				tt.broken(m, f)
				if err := sharedRules[i].check(t.Context(), f); err == nil {
					t.Errorf("a store that %s passes as one where %s", tt.fault, tt.rule)
				}
				caught[tt.rule] = true
			})
		})
	}
	for _, r := range sharedRules {
		if !caught[r.name] {
			t.Errorf("no store breaks the rule %q", r.name)
		}
	}
}

// telling makes a store whose Watch delivers what is left of the events.
func telling(alter func([]call.Event) []call.Event) func(*call.MemoryStore, *faultyShared) {
	return func(m *call.MemoryStore, f *faultyShared) {
		f.watch = func(ctx context.Context, self string, deliver func([]call.Event)) error {
			return m.Watch(ctx, self, func(events []call.Event) { deliver(alter(events)) })
		}
	}
}
