package campaign

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// MemoryStore is a Store in memory: what it holds is lost with the process. Its
// zero value is empty and ready for use. Campaigns stay until they are deleted.
type MemoryStore struct {
	mu  sync.Mutex // guards what follows, and all it points to
	all map[string]*book
	ids []string // in order
}

var _ Store = (*MemoryStore)(nil)

// book is a campaign in a MemoryStore.
type book struct {
	record  *Campaign
	free    time.Time // see Claim.Room
	entries []*entry  // by Seq
	numbers map[telephony.Number]bool
	waiting map[string][]*entry // by Zones; each in the order of byDue
	live    map[int64]*entry
}

// entry is a contact in a book. What contact points to never changes.
type entry struct {
	contact *Contact
	owner   string
	until   time.Time
}

func byDue(a, b *entry) int {
	return cmp.Or(a.contact.Due.Compare(b.contact.Due), cmp.Compare(a.contact.Seq, b.contact.Seq))
}

func bySeq(a, b *entry) int { return cmp.Compare(a.contact.Seq, b.contact.Seq) }

// Create implements [Store].
func (m *MemoryStore) Create(ctx context.Context, c *Campaign) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Version != 1 {
		return fmt.Errorf("%w: a new record has version 1, not %d", ErrConflict, c.Version)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[c.ID] != nil {
		return ErrExists
	}
	if m.all == nil {
		m.all = make(map[string]*book)
	}
	b := &book{
		record:  c.Clone(),
		numbers: make(map[telephony.Number]bool),
		waiting: make(map[string][]*entry),
		live:    make(map[int64]*entry),
	}
	b.record.Tally = Tally{}
	b.record.CreatedAt = c.CreatedAt.Round(0).UTC()
	m.all[c.ID] = b
	at, _ := slices.BinarySearch(m.ids, c.ID)
	m.ids = slices.Insert(m.ids, at, c.ID)
	return nil
}

// Update implements [Store].
func (m *MemoryStore) Update(ctx context.Context, c *Campaign) error {
	return m.with(ctx, c.ID, func(b *book) error {
		if c.Version != b.record.Version+1 {
			return fmt.Errorf("%w: version %d does not follow %d", ErrConflict, c.Version, b.record.Version)
		}
		tally := b.record.Tally
		b.record = c.Clone()
		b.record.Tally = tally
		b.record.CreatedAt = c.CreatedAt.Round(0).UTC()
		return nil
	})
}

// Get implements [Store].
func (m *MemoryStore) Get(ctx context.Context, id string) (c *Campaign, err error) {
	err = m.with(ctx, id, func(b *book) error {
		c = b.record.Clone()
		return nil
	})
	return c, err
}

// List implements [Store].
func (m *MemoryStore) List(ctx context.Context, f Filter) ([]*Campaign, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []*Campaign
	from, _ := slices.BinarySearch(m.ids, f.After)
	for _, id := range m.ids[from:] {
		if len(list) == f.Max() {
			break
		}
		if c := m.all[id].record; f.Matches(c) {
			list = append(list, c.Clone())
		}
	}
	return list, nil
}

// Delete implements [Store].
func (m *MemoryStore) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, id)
	if at, found := slices.BinarySearch(m.ids, id); found {
		m.ids = slices.Delete(m.ids, at, at+1)
	}
	return nil
}

// Add implements [Store].
func (m *MemoryStore) Add(ctx context.Context, id string, contacts []Contact) (added int, err error) {
	err = m.with(ctx, id, func(b *book) error {
		seq := int64(0)
		if n := len(b.entries); n > 0 {
			seq = b.entries[n-1].contact.Seq
		}
		switch {
		case b.record.State.Over():
			return ErrOver
		case seq+int64(len(contacts)) > MaxContacts:
			return ErrFull
		}
		for _, c := range contacts {
			if b.numbers[c.Number] {
				continue
			}
			seq++
			added++
			k := c.UTC()
			k.Seq, k.Version = seq, 1
			b.numbers[k.Number] = true
			e := &entry{contact: k}
			b.entries = append(b.entries, e)
			b.enlist(e)
		}
		b.record.Version++
		return nil
	})
	return added, err
}

// Claim implements [Store].
func (m *MemoryStore) Claim(ctx context.Context, id string, want Claim) (Claimed, error) {
	if err := ctx.Err(); err != nil {
		return Claimed{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.all[id]
	if b == nil || b.record.State != Running {
		return Claimed{First: want.Now}, nil
	}
	var ended []*entry
	for _, e := range b.live {
		if e.until.Before(want.Now) {
			ended = append(ended, e)
		}
	}
	first, n := want.Room(b.free, len(b.live)-len(ended))
	slices.SortFunc(ended, bySeq)
	var due, fresh []*entry
	for _, zones := range want.Zones {
		due, fresh = b.candidates(zones, want.Now, n, due, fresh)
	}
	slices.SortFunc(due, byDue)
	slices.SortFunc(fresh, bySeq)
	chosen := slices.Concat(ended, due, fresh)
	chosen = chosen[:min(n, len(chosen))]
	out := Claimed{First: first}
	for _, e := range chosen {
		b.delist(e)
		k := e.contact.Clone()
		if k.State == Live {
			k.Claims++
		}
		k.State = Live
		k.Version++
		e.contact, e.owner, e.until = k, want.Owner, want.Until
		b.enlist(e)
		out.Contacts = append(out.Contacts, k.Clone())
	}
	if len(chosen) > 0 {
		b.free = first.Add(time.Duration(len(chosen)) * want.Gap)
	}
	return out, nil
}

// candidates adds the first n of each kind that wait in the zones.
func (b *book) candidates(zones string, now time.Time, n int, due, fresh []*entry) (_, _ []*entry) {
	all := b.waiting[zones]
	split := sort.Search(len(all), func(i int) bool { return !all[i].contact.Due.IsZero() })
	for _, e := range all[split:min(len(all), split+n)] {
		if e.contact.Due.After(now) {
			break
		}
		due = append(due, e)
	}
	return due, append(fresh, all[:min(split, n)]...)
}

// Renew implements [Store].
func (m *MemoryStore) Renew(ctx context.Context, id, owner string, until time.Time) error {
	return m.with(ctx, id, func(b *book) error {
		for _, e := range b.live {
			if e.owner == owner {
				e.until = until
			}
		}
		return nil
	})
}

// Settle implements [Store].
func (m *MemoryStore) Settle(ctx context.Context, id string, c *Contact, made *Attempt) (campaign *Campaign, err error) {
	err = m.with(ctx, id, func(b *book) error {
		at, found := slices.BinarySearchFunc(b.entries, c.Seq, func(e *entry, seq int64) int { return cmp.Compare(e.contact.Seq, seq) })
		if !found {
			return ErrNotFound
		}
		e := b.entries[at]
		if e.contact.State != Live || c.Version != e.contact.Version+1 {
			return fmt.Errorf("%w: version %d does not follow %d", ErrConflict, c.Version, e.contact.Version)
		}
		b.delist(e)
		e.contact, e.owner, e.until = c.UTC(), "", time.Time{}
		b.enlist(e)
		if made != nil {
			b.record.Tally.Count(&b.record.Spec, made)
		}
		campaign = b.record.Clone()
		return nil
	})
	return campaign, err
}

// Contacts implements [Store].
func (m *MemoryStore) Contacts(ctx context.Context, id string, after int64, limit int) (list []*Contact, err error) {
	err = m.with(ctx, id, func(b *book) error {
		from, _ := slices.BinarySearchFunc(b.entries, after+1, func(e *entry, seq int64) int { return cmp.Compare(e.contact.Seq, seq) })
		for _, e := range b.entries[from:min(len(b.entries), from+limit)] {
			list = append(list, e.contact.Clone())
		}
		return nil
	})
	return list, err
}

// Counts implements [Store].
func (m *MemoryStore) Counts(ctx context.Context, id string) (counts []Count, err error) {
	err = m.with(ctx, id, func(b *book) error {
		kinds := make(map[Count]*Count)
		for _, e := range b.entries {
			c := e.contact
			kind := Count{Zones: c.Zones, State: c.State, Outcome: c.Outcome}
			if kinds[kind] == nil {
				kinds[kind] = &Count{Zones: c.Zones, State: c.State, Outcome: c.Outcome}
			}
			kinds[kind].N++
			if c.Due.After(kinds[kind].Due) {
				kinds[kind].Due = c.Due
			}
		}
		for _, n := range kinds {
			counts = append(counts, *n)
		}
		return nil
	})
	return counts, err
}

// with does something with a campaign.
func (m *MemoryStore) with(ctx context.Context, id string, do func(*book) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.all[id]
	if b == nil {
		return ErrNotFound
	}
	return do(b)
}

func (b *book) enlist(e *entry) {
	switch c := e.contact; c.State {
	case Waiting:
		list := b.waiting[c.Zones]
		at, _ := slices.BinarySearchFunc(list, e, byDue)
		b.waiting[c.Zones] = slices.Insert(list, at, e)
	case Live:
		b.live[c.Seq] = e
	}
}

func (b *book) delist(e *entry) {
	switch c := e.contact; c.State {
	case Waiting:
		list := b.waiting[c.Zones]
		if at, found := slices.BinarySearchFunc(list, e, byDue); found {
			b.waiting[c.Zones] = slices.Delete(list, at, at+1)
		}
	case Live:
		delete(b.live, c.Seq)
	}
}
