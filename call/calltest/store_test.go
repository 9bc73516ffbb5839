package calltest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

// faulty is a store that does some things wrong: where a function is set, it
// stands for the method.
type faulty struct {
	call.Store
	create     func(context.Context, *call.Call, []call.Event) (*call.Call, error)
	update     func(context.Context, *call.Call, []call.Event) error
	get        func(context.Context, string) (*call.Call, error)
	byProvider func(context.Context, string, string) (*call.Call, error)
	list       func(context.Context, call.Filter) ([]*call.Call, error)
	events     func(context.Context, string, int64) ([]call.Event, error)
	byKey      func(context.Context, string, string) (*call.Call, error)
	remove     func(context.Context, string) error
	erasesMore int64
}

func (f *faulty) ByKey(ctx context.Context, tenant, key string) (*call.Call, error) {
	if f.byKey != nil {
		return f.byKey(ctx, tenant, key)
	}
	return f.Store.ByKey(ctx, tenant, key)
}

func (f *faulty) Create(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
	if f.create != nil {
		return f.create(ctx, c, events)
	}
	return f.Store.Create(ctx, c, events)
}

func (f *faulty) Update(ctx context.Context, c *call.Call, events []call.Event) error {
	if f.update != nil {
		return f.update(ctx, c, events)
	}
	return f.Store.Update(ctx, c, events)
}

func (f *faulty) Get(ctx context.Context, id string) (*call.Call, error) {
	if f.get != nil {
		return f.get(ctx, id)
	}
	return f.Store.Get(ctx, id)
}

func (f *faulty) ByProvider(ctx context.Context, provider, id string) (*call.Call, error) {
	if f.byProvider != nil {
		return f.byProvider(ctx, provider, id)
	}
	return f.Store.ByProvider(ctx, provider, id)
}

func (f *faulty) List(ctx context.Context, filter call.Filter) ([]*call.Call, error) {
	if f.list != nil {
		return f.list(ctx, filter)
	}
	return f.Store.List(ctx, filter)
}

func (f *faulty) Events(ctx context.Context, id string, after int64) ([]call.Event, error) {
	if f.events != nil {
		return f.events(ctx, id, after)
	}
	return f.Store.Events(ctx, id, after)
}

func (f *faulty) Delete(ctx context.Context, id string) error {
	if f.remove != nil {
		return f.remove(ctx, id)
	}
	return f.Store.Delete(ctx, id)
}

func (f *faulty) EraseEvents(ctx context.Context, id string, last int64) error {
	return f.Store.(call.EventEraser).EraseEvents(ctx, id, last+f.erasesMore)
}

// TestStoreRulesCatch shows that each rule fails for a store that breaks it.
func TestStoreRulesCatch(t *testing.T) {
	caught := make(map[string]bool)
	for _, tt := range []struct {
		fault  string
		rule   string
		broken func(m *call.MemoryStore, f *faulty)
	}{
		{"loses a field", "every field of a call comes back", func(m *call.MemoryStore, f *faulty) {
			f.get = func(ctx context.Context, id string) (*call.Call, error) {
				return altered(m.Get(ctx, id))(func(c *call.Call) { c.Metrics.Jitter = 0 })
			}
		}},
		{"erases an event too many", "events that are erased are gone, and nothing else is", func(_ *call.MemoryStore, f *faulty) { f.erasesMore = 1 }},
		{"makes an answer up", "fields that are not set come back so", func(m *call.MemoryStore, f *faulty) {
			f.get = func(ctx context.Context, id string) (*call.Call, error) {
				return altered(m.Get(ctx, id))(func(c *call.Call) { c.AnsweredAt = c.CreatedAt })
			}
		}},
		{"cuts times to the microsecond", "times come back to the nanosecond and in UTC", func(m *call.MemoryStore, f *faulty) {
			f.get = func(ctx context.Context, id string) (*call.Call, error) {
				return altered(m.Get(ctx, id))(func(c *call.Call) { c.AnsweredAt = c.AnsweredAt.Truncate(time.Microsecond) })
			}
		}},
		{"returns times of another zone", "times come back to the nanosecond and in UTC", func(m *call.MemoryStore, f *faulty) {
			f.get = func(ctx context.Context, id string) (*call.Call, error) {
				return altered(m.Get(ctx, id))(func(c *call.Call) { c.CreatedAt = c.CreatedAt.In(time.FixedZone("", 60)) })
			}
		}},
		{"says nothing of a call that is not there", "nothing is found where nothing is", func(m *call.MemoryStore, f *faulty) {
			f.get = func(ctx context.Context, id string) (*call.Call, error) {
				c, err := m.Get(ctx, id)
				if errors.Is(err, call.ErrNotFound) {
					return nil, nil
				}
				return c, err
			}
		}},
		{"overwrites on Create", "a new call needs an id of its own", func(m *call.MemoryStore, f *faulty) {
			f.create = func(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
				if err := m.Delete(ctx, c.ID); err != nil {
					return nil, err
				}
				return m.Create(ctx, c, events)
			}
		}},
		{"takes any version for a new call", "a new call has version 1", func(m *call.MemoryStore, f *faulty) {
			f.create = func(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
				first := c.Clone()
				first.Version = 1
				return m.Create(ctx, first, events)
			}
		}},
		{"lets the last writer win", "an update follows the version it replaces", lastWriterWins},
		{"lets all writers win", "one of many concurrent updates wins", lastWriterWins},
		{"appends events of a refused update", "an update follows the version it replaces", func(m *call.MemoryStore, f *faulty) {
			f.update = func(ctx context.Context, c *call.Call, events []call.Event) error {
				err := m.Update(ctx, c, events)
				if errors.Is(err, call.ErrConflict) {
					now, _ := m.Get(ctx, c.ID)
					_ = m.Update(ctx, next(now), events)
				}
				return err
			}
		}},
		{"creates on Update", "an update needs a call", func(m *call.MemoryStore, f *faulty) {
			f.update = func(ctx context.Context, c *call.Call, events []call.Event) error {
				err := m.Update(ctx, c, events)
				if errors.Is(err, call.ErrNotFound) {
					return nil
				}
				return err
			}
		}},
		{"writes the events after the record", "a reader who sees a record sees its events", func(m *call.MemoryStore, f *faulty) {
			var late []call.Event
			f.update = func(ctx context.Context, c *call.Call, events []call.Event) error {
				before := late
				late = events
				return m.Update(ctx, c, before)
			}
		}},
		{"knows no keys", "a key that was used returns the first call", noKeys},
		{"knows no keys when many ask at once", "of fifty creates under one key one stores", noKeys},
		{"knows one tenant", "a key belongs to a tenant", func(m *call.MemoryStore, f *faulty) {
			f.create = func(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
				shared := c.Clone()
				shared.Tenant = ""
				return m.Create(ctx, shared, events)
			}
		}},
		{"joins tenant and key", "a key belongs to a tenant", func(m *call.MemoryStore, f *faulty) {
			f.create = func(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
				joined := c.Clone()
				if c.IdempotencyKey != "" {
					joined.Tenant, joined.IdempotencyKey = "", c.Tenant+c.IdempotencyKey
				}
				return m.Create(ctx, joined, events)
			}
		}},
		{"finds carriers' ids of before an update", "a call is found by its carrier's id", func(m *call.MemoryStore, f *faulty) {
			var first atomic.Pointer[call.Call]
			f.byProvider = func(ctx context.Context, provider, id string) (*call.Call, error) {
				if c := first.Load(); c != nil && c.Provider == provider && c.ProviderCallID == id {
					return c.Clone(), nil
				}
				c, err := m.ByProvider(ctx, provider, id)
				if err == nil {
					first.CompareAndSwap(nil, c)
				}
				return c, err
			}
		}},
		{"finds a key of any tenant", "a call is found by its tenant and key", func(m *call.MemoryStore, f *faulty) {
			f.byKey = func(ctx context.Context, tenant, key string) (*call.Call, error) {
				c, err := m.ByKey(ctx, tenant, key)
				if errors.Is(err, call.ErrNotFound) {
					return m.ByKey(ctx, "", key)
				}
				return c, err
			}
		}},
		{"gives one carrier's id to two calls", "a carrier's id belongs to one call", func(m *call.MemoryStore, f *faulty) {
			f.create = func(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
				existing, err := m.Create(ctx, c, events)
				if errors.Is(err, call.ErrConflict) {
					return nil, nil
				}
				return existing, err
			}
		}},
		{"loses the data of an event", "every field of an event comes back", func(m *call.MemoryStore, f *faulty) {
			f.events = func(ctx context.Context, id string, after int64) ([]call.Event, error) {
				events, err := m.Events(ctx, id, after)
				for i := range events {
					events[i].Data = nil
				}
				return events, err
			}
		}},
		{"counts from the wrong end", "events come in order, once, and after a place", func(m *call.MemoryStore, f *faulty) {
			f.events = func(ctx context.Context, id string, after int64) ([]call.Event, error) {
				return m.Events(ctx, id, after-1)
			}
		}},
		{"orders calls of one moment by nothing", "a list is newest first, then by id", func(m *call.MemoryStore, f *faulty) {
			f.list = func(ctx context.Context, filter call.Filter) ([]*call.Call, error) {
				list, err := m.List(ctx, filter)
				slices.SortStableFunc(list, func(a, b *call.Call) int {
					return b.CreatedAt.Truncate(time.Microsecond).Compare(a.CreatedAt.Truncate(time.Microsecond))
				})
				slices.Reverse(list)
				return list, err
			}
		}},
		{"knows no limit", "a list has a hundred calls, or as many as asked, but never above a thousand", func(m *call.MemoryStore, f *faulty) {
			f.list = func(ctx context.Context, filter call.Filter) ([]*call.Call, error) {
				if filter.Limit <= 0 {
					filter.Limit = 1000
				}
				return m.List(ctx, filter)
			}
		}},
		{"does not filter by direction", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) { f.Direction = nil })},
		{"does not filter by tenant", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) { f.Tenant = nil })},
		{"takes no tenant for any", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) {
			if f.Tenant != nil && *f.Tenant == "" {
				f.Tenant = nil
			}
		})},
		{"takes outbound for any", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) {
			if f.Direction != nil && *f.Direction == telephony.Outbound {
				f.Direction = nil
			}
		})},
		{"does not filter by owner", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) { f.NotOwnedBy = nil })},
		{"looks at the first state only", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) { f.States = f.States[:min(1, len(f.States))] })},
		{"does not filter by agent", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) { f.AgentID = "" })},
		{"does not filter by provider", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) { f.Provider = "" })},
		{"leaves the first moment out", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) {
			if !f.Since.IsZero() {
				f.Since = f.Since.Add(1)
			}
		})},
		{"takes the last moment in", "a list holds what Filter.Matches allows", filterWithout(func(f *call.Filter) {
			if !f.Until.IsZero() {
				f.Until = f.Until.Add(1)
			}
		})},
		{"pages by time only", "pages show each call once while others arrive", filterWithout(func(f *call.Filter) {
			if f.Before != nil {
				f.Before = &call.Position{CreatedAt: f.Before.CreatedAt}
			}
		})},
		{"hides instead of deleting", "a deleted call leaves nothing behind", func(m *call.MemoryStore, f *faulty) {
			hidden := make(map[string]bool)
			f.remove = func(_ context.Context, id string) error {
				hidden[id] = true
				return nil
			}
			f.get = func(ctx context.Context, id string) (*call.Call, error) {
				if hidden[id] {
					return nil, call.ErrNotFound
				}
				return m.Get(ctx, id)
			}
		}},
		{"hands out its own", "what is given and returned is not shared", func(m *call.MemoryStore, f *faulty) {
			own := make(map[string]*call.Call)
			f.get = func(ctx context.Context, id string) (*call.Call, error) {
				if own[id] == nil {
					own[id], _ = m.Get(ctx, id)
				}
				return own[id], nil
			}
		}},
		{"does not look at the context", "a context that has ended ends every method", func(m *call.MemoryStore, f *faulty) {
			f.events = func(ctx context.Context, id string, after int64) ([]call.Event, error) {
				return m.Events(context.WithoutCancel(ctx), id, after)
			}
		}},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			i := slices.IndexFunc(storeRules, func(r storeRule) bool { return r.name == tt.rule })
			if i < 0 {
				t.Fatalf("there is no rule %q", tt.rule)
			}
			m := call.NewMemoryStore()
			f := &faulty{Store: m}
			tt.broken(m, f)
			if err := storeRules[i].check(t.Context(), f); err == nil {
				t.Errorf("a store that %s passes as one where %s", tt.fault, tt.rule)
			}
			caught[tt.rule] = true
		})
	}
	for _, r := range storeRules {
		if !caught[r.name] {
			t.Errorf("no store breaks the rule %q", r.name)
		}
	}
}

func lastWriterWins(m *call.MemoryStore, f *faulty) {
	f.update = func(ctx context.Context, c *call.Call, events []call.Event) error {
		for {
			now, err := m.Get(ctx, c.ID)
			if err != nil {
				return err
			}
			late := c.Clone()
			late.Version = now.Version + 1
			if err := m.Update(ctx, late, events); !errors.Is(err, call.ErrConflict) {
				return err
			}
		}
	}
}

func noKeys(m *call.MemoryStore, f *faulty) {
	f.create = func(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
		bare := c.Clone()
		bare.IdempotencyKey = ""
		return m.Create(ctx, bare, events)
	}
}

// filterWithout makes a store whose List forgets part of the filter.
func filterWithout(forget func(*call.Filter)) func(*call.MemoryStore, *faulty) {
	return func(m *call.MemoryStore, f *faulty) {
		f.list = func(ctx context.Context, filter call.Filter) ([]*call.Call, error) {
			forget(&filter)
			return m.List(ctx, filter)
		}
	}
}

// altered passes on what a method returned after a change to the call, if there
// is one.
func altered(c *call.Call, err error) func(func(*call.Call)) (*call.Call, error) {
	return func(change func(*call.Call)) (*call.Call, error) {
		if c != nil {
			change(c)
		}
		return c, err
	}
}
