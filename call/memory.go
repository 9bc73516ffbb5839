package call

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// defaultMaxEnded is how many ended calls a MemoryStore keeps if it is not told.
const defaultMaxEnded = 10_000

// MemoryStore is a SharedStore in memory: what it holds is lost with the process,
// and no other process sees it. Its zero value is empty and ready for use.
//
// Calls that live are all kept. Of those that have ended, only the last ones
// are: see MaxEnded.
type MemoryStore struct {
	// MaxEnded is how many ended calls are kept. When one more ends, the one
	// that ended first is forgotten as if it had been deleted, with its
	// idempotency key. Zero means 10,000; negative means no bound, and memory
	// that grows for ever. It must not change once the store is used.
	MaxEnded int

	mu         sync.RWMutex
	calls      map[string]*stored
	byKey      map[tenantKey]*stored
	byProvider map[providerID]*stored
	ordered    []*stored // the reverse of List's order, so that most new calls go to the end
	ended      list.List // of *stored, in the order in which they ended

	leases   map[string]time.Time // when they run out
	watchers map[*watcher]struct{}
}

var (
	_ SharedStore = (*MemoryStore)(nil)
	_ EventEraser = (*MemoryStore)(nil)
)

// stored is a call in a MemoryStore. What call points to, and each event, never
// changes: a write puts another in its place. So readers copy it without lock.
type stored struct {
	call   *Call
	events []noted       // by Seq
	end    *list.Element // in MemoryStore.ended, nil while the call lives
}

// noted is an event and the owner of the record that it was written with.
type noted struct {
	Event
	by string
}

type (
	tenantKey  struct{ tenant, key string }
	providerID struct{ provider, id string }
)

// NewMemoryStore returns an empty MemoryStore.
func NewMemoryStore() *MemoryStore { return new(MemoryStore) }

// Create implements [Store]. An ID, or a carrier's id, that another call has is
// ErrConflict.
func (m *MemoryStore) Create(ctx context.Context, c *Call, events []Event) (*Call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.Version != 1 {
		return nil, fmt.Errorf("%w: a new record has version 1, not %d", ErrConflict, c.Version)
	}
	kept, added := ownCall(c), ownEvents(events)
	m.mu.Lock()
	defer m.mu.Unlock()
	if same := m.byKey[keyOf(kept)]; same != nil {
		return same.call.Clone(), nil
	}
	if m.calls[kept.ID] != nil {
		return nil, fmt.Errorf("%w: the id is taken", ErrConflict)
	}
	r := new(stored)
	if err := m.claim(r, kept); err != nil {
		return nil, err
	}
	m.put(r, kept, added)
	return nil, nil
}

// Update implements [Store]. A call that is not there is ErrNotFound; a
// carrier's id or an idempotency key that another call has is ErrConflict.
func (m *MemoryStore) Update(ctx context.Context, c *Call, events []Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	kept, added := ownCall(c), ownEvents(events)
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.calls[kept.ID]
	if r == nil {
		return ErrNotFound
	}
	if kept.Version != r.call.Version+1 {
		return fmt.Errorf("%w: version %d does not follow %d", ErrConflict, kept.Version, r.call.Version)
	}
	if err := m.claim(r, kept); err != nil {
		return err
	}
	m.drop(r)
	m.put(r, kept, added)
	return nil
}

// Get implements [Store].
func (m *MemoryStore) Get(ctx context.Context, id string) (*Call, error) {
	return m.find(ctx, func() *stored { return m.calls[id] })
}

// ByProvider implements [Store].
func (m *MemoryStore) ByProvider(ctx context.Context, provider, providerCallID string) (*Call, error) {
	return m.find(ctx, func() *stored { return m.byProvider[providerID{provider, providerCallID}] })
}

// ByKey implements [Store].
func (m *MemoryStore) ByKey(ctx context.Context, tenant, key string) (*Call, error) {
	return m.find(ctx, func() *stored { return m.byKey[tenantKey{tenant, key}] })
}

// List implements [Store].
func (m *MemoryStore) List(ctx context.Context, f Filter) ([]*Call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var found []*Call
	m.mu.RLock()
	end := len(m.ordered)
	if f.Before != nil {
		end, _ = m.place(*f.Before)
	}
	for _, r := range slices.Backward(m.ordered[:end]) {
		if len(found) == f.Max() {
			break
		}
		if f.Matches(r.call) {
			found = append(found, r.call)
		}
	}
	m.mu.RUnlock()
	for i, c := range found {
		found[i] = c.Clone()
	}
	return found, nil
}

// Events implements [Store]. A call that is not there has none.
func (m *MemoryStore) Events(ctx context.Context, id string, after int64) ([]Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	var found []Event
	if r := m.calls[id]; r != nil {
		i, there := slices.BinarySearchFunc(r.events, after, bySeq)
		if there {
			i++
		}
		found = make([]Event, 0, len(r.events)-i)
		for _, e := range r.events[i:] {
			found = append(found, e.Event)
		}
	}
	m.mu.RUnlock()
	return ownEvents(found), nil
}

// Delete implements [Store].
func (m *MemoryStore) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.calls[id]; r != nil {
		m.forget(r)
	}
	return nil
}

// EraseEvents implements [EventEraser].
func (m *MemoryStore) EraseEvents(ctx context.Context, id string, last int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.calls[id]; r != nil {
		first, _ := slices.BinarySearchFunc(r.events, last+1, bySeq)
		r.events = slices.Clone(r.events[first:])
	}
	return nil
}

func (m *MemoryStore) find(ctx context.Context, look func() *stored) (*Call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	var c *Call
	if r := look(); r != nil {
		c = r.call
	}
	m.mu.RUnlock()
	if c == nil {
		return nil, ErrNotFound
	}
	return c.Clone(), nil
}

// claim tells whether c may become the record of r: what is unique about it
// belongs to no other. m.mu is held.
func (m *MemoryStore) claim(r *stored, c *Call) error {
	if other := m.byKey[keyOf(c)]; other != nil && other != r {
		return fmt.Errorf("%w: the idempotency key is taken", ErrConflict)
	}
	if other := m.byProvider[providerOf(c)]; other != nil && other != r {
		return fmt.Errorf("%w: the carrier's id is taken", ErrConflict)
	}
	return nil
}

// put makes c the record of r, which is in no index but may be in m.ended, and
// forgets what is then too much. m.mu is held.
func (m *MemoryStore) put(r *stored, c *Call, events []Event) {
	if m.calls == nil {
		m.calls = make(map[string]*stored)
		m.byKey = make(map[tenantKey]*stored)
		m.byProvider = make(map[providerID]*stored)
	}
	r.call = c
	m.calls[c.ID] = r
	if c.IdempotencyKey != "" {
		m.byKey[keyOf(c)] = r
	}
	if c.ProviderCallID != "" {
		m.byProvider[providerOf(c)] = r
	}
	i, _ := m.place(PositionOf(c))
	m.ordered = slices.Insert(m.ordered, i, r)
	for _, e := range events {
		if i, there := slices.BinarySearchFunc(r.events, e.Seq, bySeq); !there {
			r.events = slices.Insert(r.events, i, noted{e, c.Owner})
			m.tell(c, e.Seq)
		}
	}
	if c.State.Terminal() && r.end == nil {
		r.end = m.ended.PushBack(r)
	}
	if limit := cmp.Or(m.MaxEnded, defaultMaxEnded); limit > 0 && m.ended.Len() > limit {
		m.forget(m.ended.Front().Value.(*stored))
	}
}

// drop takes r out of every index. m.mu is held.
func (m *MemoryStore) drop(r *stored) {
	delete(m.calls, r.call.ID)
	if r.call.IdempotencyKey != "" {
		delete(m.byKey, keyOf(r.call))
	}
	if r.call.ProviderCallID != "" {
		delete(m.byProvider, providerOf(r.call))
	}
	if i, there := m.place(PositionOf(r.call)); there {
		m.ordered = slices.Delete(m.ordered, i, i+1)
	}
}

// forget removes r whole. m.mu is held.
func (m *MemoryStore) forget(r *stored) {
	m.drop(r)
	if r.end != nil {
		m.ended.Remove(r.end)
	}
}

// place returns where in m.ordered a call with this position is, or would be.
// m.mu is held, for reading at least.
func (m *MemoryStore) place(p Position) (int, bool) {
	return slices.BinarySearchFunc(m.ordered, p, func(r *stored, p Position) int {
		return cmp.Or(r.call.CreatedAt.Compare(p.CreatedAt), cmp.Compare(r.call.ID, p.ID))
	})
}

func keyOf(c *Call) tenantKey       { return tenantKey{c.Tenant, c.IdempotencyKey} }
func providerOf(c *Call) providerID { return providerID{c.Provider, c.ProviderCallID} }
func bySeq(e noted, seq int64) int  { return cmp.Compare(e.Seq, seq) }

// ownCall returns a copy of c to keep, with its times in UTC and without
// monotonic readings, as they come back from any store.
func ownCall(c *Call) *Call {
	d := c.Clone()
	d.CreatedAt = d.CreatedAt.Round(0).UTC()
	d.AnsweredAt = d.AnsweredAt.Round(0).UTC()
	d.EndedAt = d.EndedAt.Round(0).UTC()
	d.ErasedAt = d.ErasedAt.Round(0).UTC()
	if d.Recording != nil {
		d.Recording.CreatedAt = d.Recording.CreatedAt.Round(0).UTC()
	}
	for i := range d.Fetched {
		d.Fetched[i].CreatedAt = d.Fetched[i].CreatedAt.Round(0).UTC()
	}
	return d
}

// ownEvents returns copies that share no memory with events.
func ownEvents(events []Event) []Event {
	own := slices.Clone(events)
	for i := range own {
		e := &own[i]
		e.At = e.At.Round(0).UTC()
		e.Data = maps.Clone(e.Data)
		e.Figures = maps.Clone(e.Figures)
		if e.Segment != nil {
			segment := *e.Segment
			e.Segment = &segment
		}
	}
	return own
}
