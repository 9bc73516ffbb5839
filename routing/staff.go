package routing

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrBusy is returned by Staff.Take for an agent who cannot be given a call.
var ErrBusy = errors.New("routing: agent has no room")

// Lease is the place that a call takes up at its agent. Its methods may be
// called by many goroutines at once, and do nothing once it has been released.
type Lease interface {
	// Move takes the place with the call to another agent, to whom it was handed
	// over. It is not refused, whatever room that one has.
	Move(agentID string)
	// Release gives the place back.
	Release()
}

func release(l Lease) {
	if l != nil {
		l.Release()
	}
}

// Availability is whether an agent may be given calls. The zero value is that of
// an agent who takes any number of them.
type Availability struct {
	// Busy tells that the agent takes no call now, whatever the room.
	Busy bool
	// Capacity is how many calls the agent takes at once. Zero: any number.
	Capacity int
}

// Staff knows who may be given a call, and counts who has how many. Its zero
// value is a staff of agents who all take any number. It may be used by many
// goroutines at once, and must not be copied.
//
// It counts the calls of one process, from its start.
type Staff struct {
	// Expiry is how long a call counts that is never released, so that one that
	// was lost does not count for ever. It must be above the longest call there
	// can be, and not change once calls come in. Zero: two hours.
	Expiry time.Duration

	mu      sync.Mutex // guards what follows
	members map[string]*member
	turn    uint64
	expired int64
}

const defaultExpiry = 2 * time.Hour

// member is an agent of whom the staff has heard.
type member struct {
	Availability
	turn uint64 // of the staff, when it was last given a call

	// Its leases, the oldest first. All last equally long, so that they expire in
	// this order.
	oldest, newest *lease
	load           int // how many they are
}

// lease is an element of the list of its member.
type lease struct {
	staff *Staff

	// Guarded by staff.mu.
	holder         *member // nil: released or expired
	until          time.Time
	before, behind *lease
}

// Set says whether an agent may be given calls from now on. Those it has, it
// keeps.
func (s *Staff) Set(agentID string, a Availability) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.member(agentID).Availability = a
}

// Load is how many calls an agent has.
func (s *Staff) Load(agentID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[agentID]
	if m == nil {
		return 0
	}
	s.expire(m, time.Now())
	return m.load
}

// Expired is how many calls were never released. It is no good sign.
func (s *Staff) Expired() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expired
}

// Take gives an agent a call, or returns an error that wraps ErrBusy and says
// why not.
func (s *Staff) Take(agentID string) (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, now := s.member(agentID), time.Now()
	s.expire(m, now)
	if !m.free() {
		return nil, fmt.Errorf("%w: %s %s", ErrBusy, agentID, m.why())
	}
	return s.give(m, now), nil
}

// takeLeast gives a call to the one of agents who has the fewest, and has waited
// longest among those who have as few. It returns the load before, and nil if
// nobody has room.
func (s *Staff) takeLeast(agents []string) (agentID string, load int, l Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var least *member
	for _, id := range agents {
		m := s.member(id)
		s.expire(m, now)
		if m.free() && (least == nil || m.load < least.load || m.load == least.load && m.turn < least.turn) {
			agentID, least = id, m
		}
	}
	if least == nil {
		return "", 0, nil
	}
	load = least.load
	return agentID, load, s.give(least, now)
}

// member returns what is known of an agent. The caller holds mu, here and below.
func (s *Staff) member(agentID string) *member {
	m := s.members[agentID]
	if m == nil {
		m = new(member)
		if s.members == nil {
			s.members = make(map[string]*member)
		}
		s.members[agentID] = m
	}
	return m
}

func (s *Staff) give(m *member, now time.Time) *lease {
	s.turn++
	m.turn = s.turn
	l := &lease{staff: s}
	s.hold(m, l, now)
	return l
}

// hold appends a lease to those of m.
func (s *Staff) hold(m *member, l *lease, now time.Time) {
	expiry := s.Expiry
	if expiry <= 0 {
		expiry = defaultExpiry
	}
	l.holder, l.until = m, now.Add(expiry)
	l.before, l.behind = m.newest, nil
	if m.newest == nil {
		m.oldest = l
	} else {
		m.newest.behind = l
	}
	m.newest = l
	m.load++
}

// expire lets go of the leases of m whose time is over.
func (s *Staff) expire(m *member, now time.Time) {
	for m.oldest != nil && !now.Before(m.oldest.until) {
		m.oldest.leave()
		s.expired++
	}
}

func (m *member) free() bool { return !m.Busy && (m.Capacity <= 0 || m.load < m.Capacity) }

// why says why m is not free.
func (m *member) why() string {
	if m.Busy {
		return "is busy"
	}
	return fmt.Sprintf("has %d of %d calls", m.load, m.Capacity)
}

// leave takes l out of the list of its holder. The caller holds staff.mu.
func (l *lease) leave() {
	m := l.holder
	if l.before == nil {
		m.oldest = l.behind
	} else {
		l.before.behind = l.behind
	}
	if l.behind == nil {
		m.newest = l.before
	} else {
		l.behind.before = l.before
	}
	l.holder, l.before, l.behind = nil, nil, nil
	m.load--
}

// Release implements [Lease].
func (l *lease) Release() {
	l.staff.mu.Lock()
	defer l.staff.mu.Unlock()
	if l.holder != nil {
		l.leave()
	}
}

// Move implements [Lease].
func (l *lease) Move(agentID string) {
	l.staff.mu.Lock()
	defer l.staff.mu.Unlock()
	if l.holder == nil {
		return
	}
	l.leave()
	l.staff.hold(l.staff.member(agentID), l, time.Now())
}

// leases are several places of one call, as one.
type leases []Lease

func (all leases) Release() {
	for _, l := range all {
		l.Release()
	}
}

func (all leases) Move(agentID string) {
	for _, l := range all {
		l.Move(agentID)
	}
}

// both returns a and b as one; either may be nil.
func both(a, b Lease) Lease {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return leases{a, b}
}
