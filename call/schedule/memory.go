package schedule

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// maxOver is how many schedules that are over a MemoryStore keeps if it is not
// told.
const maxOver = 10_000

// MemoryStore is a Store in memory: what it holds is lost with the process. Its
// zero value is empty and ready for use.
type MemoryStore struct {
	// MaxOver is how many schedules are kept that are done or canceled; of more,
	// those that were so first are forgotten. Zero: 10,000. It must not change once
	// the store is used.
	MaxOver int

	mu   sync.RWMutex // guards what follows
	all  map[string]*kept
	due  []*kept  // those that are active, in the order of Due
	ids  []string // of all, in order
	over []string // ids of those that are over, in the order in which they ended
}

// kept is a schedule in a MemoryStore. What record points to never changes.
type kept struct {
	record  *Schedule
	results []Result // the oldest first
}

// Create implements [Store].
func (m *MemoryStore) Create(ctx context.Context, s *Schedule) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Version != 1 {
		return fmt.Errorf("%w: a new record has version 1, not %d", ErrConflict, s.Version)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[s.ID] != nil {
		return ErrExists
	}
	if m.all == nil {
		m.all = make(map[string]*kept)
	}
	k := &kept{record: utc(s)}
	m.all[s.ID] = k
	at, _ := slices.BinarySearch(m.ids, s.ID)
	m.ids = slices.Insert(m.ids, at, s.ID)
	m.enlist(k)
	return nil
}

// Update implements [Store].
func (m *MemoryStore) Update(ctx context.Context, s *Schedule, r *Result) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.all[s.ID]
	if k == nil {
		return ErrNotFound
	}
	if s.Version != k.record.Version+1 {
		return fmt.Errorf("%w: version %d does not follow %d", ErrConflict, s.Version, k.record.Version)
	}
	m.delist(k)
	ended := !k.record.State.Over() && s.State.Over()
	k.record = utc(s)
	if r != nil {
		k.results = append(k.results, utcResult(*r))
		if extra := len(k.results) - KeepResults; extra > 0 {
			k.results = slices.Delete(k.results, 0, extra)
		}
	}
	m.enlist(k)
	if ended {
		m.forget(s.ID)
	}
	return nil
}

// Get implements [Store].
func (m *MemoryStore) Get(ctx context.Context, id string) (*Schedule, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	k := m.all[id]
	if k == nil {
		return nil, ErrNotFound
	}
	return k.record.Clone(), nil
}

// List implements [Store].
func (m *MemoryStore) List(ctx context.Context, f Filter) ([]*Schedule, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var list []*Schedule
	from, _ := slices.BinarySearch(m.ids, f.After)
	for _, id := range m.ids[from:] {
		if len(list) == f.Max() {
			break
		}
		if s := m.all[id].record; f.Matches(s) {
			list = append(list, s.Clone())
		}
	}
	return list, nil
}

// Due implements [Store].
func (m *MemoryStore) Due(ctx context.Context, limit int) ([]*Schedule, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]*Schedule, 0, min(limit, len(m.due)))
	for _, k := range m.due[:cap(list)] {
		list = append(list, k.record.Clone())
	}
	return list, nil
}

// Results implements [Store].
func (m *MemoryStore) Results(ctx context.Context, id string) ([]Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	k := m.all[id]
	if k == nil {
		return nil, nil
	}
	results := slices.Clone(k.results)
	slices.Reverse(results)
	return results, nil
}

// Delete implements [Store].
func (m *MemoryStore) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(id)
	m.over = slices.DeleteFunc(m.over, func(other string) bool { return other == id })
	return nil
}

// remove takes a schedule out, but for over. The caller holds mu, here and below.
func (m *MemoryStore) remove(id string) {
	k := m.all[id]
	if k == nil {
		return
	}
	m.delist(k)
	delete(m.all, id)
	if at, found := slices.BinarySearch(m.ids, id); found {
		m.ids = slices.Delete(m.ids, at, at+1)
	}
}

// forget notes that a schedule is over, and removes the first that was so if
// there are too many.
func (m *MemoryStore) forget(id string) {
	m.over = append(m.over, id)
	limit := m.MaxOver
	if limit <= 0 {
		limit = maxOver
	}
	for len(m.over) > limit {
		m.remove(m.over[0])
		m.over = m.over[1:]
	}
}

func (m *MemoryStore) enlist(k *kept) {
	if k.record.State == Active {
		at, _ := slices.BinarySearchFunc(m.due, k, byDue)
		m.due = slices.Insert(m.due, at, k)
	}
}

func (m *MemoryStore) delist(k *kept) {
	if at, found := slices.BinarySearchFunc(m.due, k, byDue); found {
		m.due = slices.Delete(m.due, at, at+1)
	}
}

func byDue(a, b *kept) int {
	return cmp.Or(a.record.Due.Compare(b.record.Due), cmp.Compare(a.record.ID, b.record.ID))
}

// utc returns a copy of s with its times in UTC and without monotonic readings,
// as they come back from any store.
func utc(s *Schedule) *Schedule {
	d := s.Clone()
	for _, t := range []*time.Time{&d.From, &d.Until, &d.CreatedAt, &d.Next.At, &d.Due, &d.Claimed, &d.Held} {
		*t = t.Round(0).UTC()
	}
	if d.Last != nil {
		*d.Last = utcResult(*d.Last)
	}
	return d
}

func utcResult(r Result) Result {
	r.At, r.DecidedAt = r.At.Round(0).UTC(), r.DecidedAt.Round(0).UTC()
	return r
}
