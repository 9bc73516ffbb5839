package call

import (
	"context"
	"maps"
	"slices"
	"time"
)

// watcher is one Watch of a MemoryStore. What it has not delivered are places in
// the events of calls, so that it holds no more than one for each call, however
// slow it is.
type watcher struct {
	self    string
	after   map[string]int64 // by the id of a call: the Seq after which there is something new
	changed chan struct{}    // capacity 1
}

// Renew implements [SharedStore].
func (m *MemoryStore) Renew(ctx context.Context, replica string, lease time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leases == nil {
		m.leases = make(map[string]time.Time)
	}
	now := time.Now()
	maps.DeleteFunc(m.leases, func(_ string, end time.Time) bool { return !end.After(now) })
	m.leases[replica] = now.Add(lease)
	return nil
}

// Resign implements [SharedStore].
func (m *MemoryStore) Resign(ctx context.Context, replica string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.leases, replica)
	return nil
}

// Replicas implements [SharedStore].
func (m *MemoryStore) Replicas(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var good []string
	now := time.Now()
	for replica, end := range m.leases {
		if end.After(now) {
			good = append(good, replica)
		}
	}
	slices.Sort(good)
	return good, nil
}

// Watch implements [SharedStore].
func (m *MemoryStore) Watch(ctx context.Context, self string, deliver func([]Event)) error {
	w := &watcher{self: self, after: make(map[string]int64), changed: make(chan struct{}, 1)}
	m.mu.Lock()
	if m.watchers == nil {
		m.watchers = make(map[*watcher]struct{})
	}
	m.watchers[w] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.watchers, w)
		m.mu.Unlock()
	}()
	deliver(nil)
	for {
		select {
		case <-w.changed:
			deliver(ownEvents(m.news(w)))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell notes for who watches that c has an event with this Seq. m.mu is held.
func (m *MemoryStore) tell(c *Call, seq int64) {
	for w := range m.watchers {
		if w.self == c.Owner {
			continue
		}
		if after, ok := w.after[c.ID]; !ok || seq <= after {
			w.after[c.ID] = seq - 1
		}
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// news returns what w has not delivered.
func (m *MemoryStore) news(w *watcher) []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Event
	for id, after := range w.after {
		r := m.calls[id]
		if r == nil {
			continue
		}
		i, _ := slices.BinarySearchFunc(r.events, after+1, bySeq)
		for _, e := range r.events[i:] {
			if e.by != w.self {
				found = append(found, e.Event)
			}
		}
	}
	clear(w.after)
	return found
}
