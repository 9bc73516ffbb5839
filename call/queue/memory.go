package queue

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/routing"
)

// MemoryStore is a Store in memory: what it holds is lost with the process. Its
// zero value is empty and ready for use.
type MemoryStore struct {
	mu      sync.Mutex // guards what follows
	tickets int64
	turns   int64
	places  map[string]*Place
	agents  map[string]*memoryAgent
	leases  map[string]time.Time // of owners
}

type memoryAgent struct {
	Agent
	turn int64 // when it was last given a call
}

// begin locks the store, or returns the error of ctx. The caller unlocks.
func (m *MemoryStore) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.places == nil {
		m.places = make(map[string]*Place)
		m.agents = make(map[string]*memoryAgent)
		m.leases = make(map[string]time.Time)
	}
	return nil
}

// Join implements [Store].
func (m *MemoryStore) Join(ctx context.Context, p *Place, limit int) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if have := m.places[p.ID]; have != nil {
		p.Ticket, p.Joined = have.Ticket, have.Joined
		return nil
	}
	if p.Waits() && limit > 0 && len(m.line(func(q *Place) bool { return q.Queue == p.Queue })) >= limit {
		return ErrFull
	}
	m.tickets++
	p.Ticket = m.tickets
	if p.Joined.IsZero() {
		p.Joined = time.Now().Round(0).UTC()
	}
	m.places[p.ID] = p.Clone()
	if !p.Waits() {
		m.agent(p.Agent).Load++
	}
	return nil
}

// Claim implements [Store].
func (m *MemoryStore) Claim(ctx context.Context, c Claim) (*Place, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, p := range m.places {
		if p.Claim == c.ID {
			return p.Clone(), nil
		}
	}
	now := time.Now()
	line := m.line(func(p *Place) bool {
		return p.Queue == c.Queue && (p.Callback == nil || c.Callbacks && !p.Ready.After(now))
	})
	if len(line) == 0 || line[0].Callback == nil && line[0].Owner != c.Owner {
		return nil, nil
	}
	var least *memoryAgent
	for _, name := range c.Agents {
		a := m.agent(name)
		if a.Room(c.Capacity) && (least == nil || cmp.Or(cmp.Compare(a.Load, least.Load), cmp.Compare(a.turn, least.turn)) < 0) {
			least = a
		}
	}
	if least == nil {
		return nil, nil
	}
	m.turns++
	least.turn = m.turns
	least.Load++
	p := line[0]
	p.Owner, p.Agent, p.Claim = c.Owner, least.Name, c.ID
	return p.Clone(), nil
}

// Return implements [Store].
func (m *MemoryStore) Return(ctx context.Context, id string, after time.Duration) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if p := m.places[id]; p != nil && p.Callback != nil && !p.Waits() {
		m.back(p, after)
	}
	return nil
}

// Leave implements [Store].
func (m *MemoryStore) Leave(ctx context.Context, id string) (bool, error) {
	if err := m.begin(ctx); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	p := m.places[id]
	if p == nil {
		return false, nil
	}
	m.remove(p)
	return true, nil
}

// Look implements [Store].
func (m *MemoryStore) Look(ctx context.Context) (*Look, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	l := &Look{Now: time.Now().Round(0).UTC()}
	for _, p := range m.line(func(*Place) bool { return true }) {
		l.Places = append(l.Places, p.Clone())
	}
	for _, a := range m.agents {
		l.Agents = append(l.Agents, a.Agent)
	}
	slices.SortFunc(l.Agents, func(a, b Agent) int { return cmp.Compare(a.Name, b.Name) })
	return l, nil
}

// SetAgent implements [Store].
func (m *MemoryStore) SetAgent(ctx context.Context, name string, a routing.Availability) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.agent(name).Availability = &a
	return nil
}

// Renew implements [Store].
func (m *MemoryStore) Renew(ctx context.Context, owner string, lease time.Duration) (bool, error) {
	if err := m.begin(ctx); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	now := time.Now()
	for other, end := range m.leases {
		if !end.After(now) {
			m.giveUp(other)
		}
	}
	_, had := m.leases[owner]
	m.leases[owner] = now.Add(lease)
	return !had, nil
}

// Resign implements [Store].
func (m *MemoryStore) Resign(ctx context.Context, owner string) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.giveUp(owner)
	return nil
}

// giveUp ends what an owner had. The caller holds mu, here and below.
func (m *MemoryStore) giveUp(owner string) {
	delete(m.leases, owner)
	for _, p := range m.places {
		switch {
		case p.Owner != owner:
		case p.Callback != nil:
			m.back(p, 0)
		default:
			m.remove(p)
		}
	}
}

// line returns the places that wait and fit, as their turns come.
func (m *MemoryStore) line(fits func(*Place) bool) []*Place {
	var line []*Place
	for _, p := range m.places {
		if p.Waits() && fits(p) {
			line = append(line, p)
		}
	}
	slices.SortFunc(line, (*Place).Compare)
	return line
}

// back puts a callback into the line.
func (m *MemoryStore) back(p *Place, after time.Duration) {
	if !p.Waits() {
		m.agent(p.Agent).Load--
	}
	p.Owner, p.Agent, p.Claim = "", "", ""
	p.Ready = time.Now().Round(0).UTC().Add(after)
}

func (m *MemoryStore) remove(p *Place) {
	if !p.Waits() {
		m.agent(p.Agent).Load--
	}
	delete(m.places, p.ID)
}

func (m *MemoryStore) agent(name string) *memoryAgent {
	a := m.agents[name]
	if a == nil {
		a = &memoryAgent{Agent: Agent{Name: name}}
		m.agents[name] = a
	}
	return a
}
