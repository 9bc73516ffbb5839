package sim

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxConferences is how many conferences that are over are remembered.
const maxConferences = 1000

// conferences are those of a carrier.
type conferences struct {
	mu   sync.Mutex
	open map[string]*conference // by name
	all  []*conference          // in the order in which they were made
}

// A conference is a room with a name. It begins with the second who joins, if
// somebody in it may begin it, and ends with the last who leaves, or with one
// who ends it by leaving.
type conference struct {
	carrier *Carrier
	id      string
	name    string
	created time.Time
	room    *room
	stop    context.CancelFunc // of its clock

	// Guarded by conferences.mu.
	members   []*member
	told      *confer // whose address is told of events; nil for nobody's
	number    int     // of the next event
	started   bool
	ended     time.Time // nobody can join any more
	endedBy   *member   // who has ended it by leaving
	byRequest bool      // it was ended through the REST API
}

// A member is one call in a conference.
type member struct {
	*confer
	conference *conference
	call       *call
	id         string
	seat       *seat
	first      bool // to join
	joined     time.Time
	ends       bool          // the conference by leaving; guarded by conferences.mu
	out        chan struct{} // closed when the member has to leave
	sent       sync.Once     // of out
}

func (m *member) send() { m.sent.Do(func() { close(m.out) }) }

// A conferenceEvent is what happens in a conference.
type conferenceEvent uint8

const (
	conferenceStart conferenceEvent = iota
	conferenceEnd
	memberJoin
	memberLeave
	memberMute
	memberUnmute
	memberHold
	memberUnhold
)

// A confer verb connects a call to all others in the conference of a name.
type confer struct {
	name         string
	starts       bool // may begin it
	ends         bool // ends it by leaving
	muted        bool
	alone        bool // may be alone in it once it has begun
	music        bool // hears some until it begins
	enter, exit  int  // beeps
	star         bool // the key * leaves
	limit        time.Duration
	statusURL    string
	statusMethod string
	statusEvents map[conferenceEvent]bool
	action       *instruction
	aside        bool
}

func (v *confer) perform(ctx context.Context, c *call) (*instruction, error) {
	halls := &c.carrier.conferences
	m, err := halls.join(v, c)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(v.limit)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-m.out:
	case <-timer.C:
	}
	halls.leave(m)
	return c.report(ctx, v.action, v.aside, c.dialect.conferred(m)), nil
}

// join seats a call in the conference of a name, which it makes if there is none.
func (h *conferences) join(v *confer, c *call) (*member, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.open[v.name]
	if f == nil {
		var err error
		if f, err = h.make(v.name, c.carrier); err != nil {
			return nil, err
		}
	}
	if f.told == nil && v.statusURL != "" {
		f.told = v
	}
	m := &member{
		confer: v, conference: f, call: c, id: c.dialect.memberID(),
		seat:  &seat{talk: c.talking(), music: v.music, muted: v.muted},
		first: len(f.members) == 0, joined: time.Now(), ends: v.ends,
		out: make(chan struct{}),
	}
	f.room.enter(m.seat)
	if v.star {
		m.seat.talk.setKeys(func(keys string) {
			f.room.press(m.seat, keys)
			if slices.Contains([]byte(keys), '*') {
				m.send()
			}
		})
	}
	f.members = append(f.members, m)
	f.room.beep(m.seat, v.enter)
	f.tell(m, memberJoin)
	if !f.started && len(f.members) > 1 && slices.ContainsFunc(f.members, func(m *member) bool { return m.starts }) {
		f.started = true
		f.room.begin()
		f.tell(m, conferenceStart)
	}
	return m, nil
}

// make makes a conference and starts its clock. h.mu is held.
func (h *conferences) make(name string, c *Carrier) (*conference, error) {
	now := time.Now()
	f := &conference{carrier: c, id: c.dialect.conferenceID(), name: name, created: now, room: newRoom(now)}
	ctx, stop := context.WithCancel(c.ctx)
	if err := c.start(func() { f.room.run(ctx) }); err != nil {
		stop()
		return nil, err
	}
	f.stop = stop
	if h.open == nil {
		h.open = make(map[string]*conference)
	}
	h.open[name] = f
	if h.all = append(h.all, f); len(h.all) > 2*maxConferences {
		h.all = h.recent()
	}
	return f, nil
}

// recent returns the open conferences and the last that are over. h.mu is held.
func (h *conferences) recent() []*conference {
	excess := len(h.all) - len(h.open) - maxConferences
	return slices.DeleteFunc(h.all, func(f *conference) bool {
		if excess <= 0 || f.ended.IsZero() {
			return false
		}
		excess--
		return true
	})
}

// leave ends join.
func (h *conferences) leave(m *member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := m.conference
	f.room.leave(m.seat)
	f.members = slices.DeleteFunc(f.members, func(o *member) bool { return o == m })
	f.room.beep(nil, m.exit)
	f.tell(m, memberLeave)
	if m.ends && f.ended.IsZero() {
		h.end(f, m)
	}
	if f.started && len(f.members) == 1 && !f.members[0].alone {
		f.members[0].send()
	}
	if len(f.members) > 0 {
		return
	}
	h.end(f, m)
	f.stop()
	f.tell(m, conferenceEnd)
}

// end makes all members of a conference leave. By is who has ended it by leaving;
// nil for nobody. h.mu is held.
func (h *conferences) end(f *conference, by *member) {
	if !f.ended.IsZero() {
		return
	}
	f.ended, f.endedBy = time.Now(), by
	if h.open[f.name] == f {
		delete(h.open, f.name)
	}
	for _, m := range f.members {
		m.send()
	}
}

// tell tells the application of an event of m, if it wants to know. h.mu is held.
func (f *conference) tell(m *member, e conferenceEvent) {
	if f.told == nil || !f.told.statusEvents[e] {
		return
	}
	f.number++
	m.call.post.push(hook{
		method: f.told.statusMethod, url: f.told.statusURL, token: newToken(),
		params: f.carrier.dialect.happened(m, e),
	})
}

// get returns the conference with this id, nil if there is none.
func (h *conferences) get(id string) *conference {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.all, func(f *conference) bool { return f.id == id })
	if i < 0 {
		return nil
	}
	return h.all[i]
}

// list returns all conferences, newest first.
func (h *conferences) list() []*conference {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.Clone(h.all)
	slices.Reverse(all)
	return all
}

// membersOf returns those who are in f.
func (h *conferences) membersOf(f *conference) []*member {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(f.members)
}

// close ends a conference that is not over.
func (h *conferences) close(f *conference) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.ended.IsZero() {
		f.byRequest = true
		h.end(f, nil)
	}
}

// set changes what a member may do, as far as it is not nil, and tells of it.
func (h *conferences) set(m *member, muted, held, ends *bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ends != nil {
		m.ends = *ends
	}
	change := func(to *bool, field *bool, yes, no conferenceEvent) {
		if to == nil || *to == *field {
			return
		}
		m.conference.room.change(func() { *field = *to })
		event := no
		if *to {
			event = yes
		}
		m.conference.tell(m, event)
	}
	change(muted, &m.seat.muted, memberMute, memberUnmute)
	change(held, &m.seat.held, memberHold, memberUnhold)
}
