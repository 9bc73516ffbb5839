package queue

import (
	"slices"
	"time"
)

// line is a queue and who stands in it. What is below is guarded by desk.mu.
type line struct {
	Queue
	desk *Desk
	name string

	waiting  int // on all desks, when that was looked at last
	calls    int // of them, to be called back
	longest  time.Duration
	servers  int           // callers whom the agents can have at once; 0 is any number
	handling time.Duration // how long an agent has a caller, on average; 0 is not known
	counts   Stats
}

// Stats are figures about a queue. The first three are of all desks that share the
// store, and at most Config.Poll old; the others are of this desk, since it was
// made.
type Stats struct {
	Tenant string // whose queue it is

	Waiting   int           // callbacks included
	Callbacks int           // of those
	Longest   time.Duration // for which anybody waits by now

	Joined   int64 // callers who got a place
	Full     int64 // callers for whom there was none
	Served   int64 // who were given to an agent, called back or not
	Left     int64 // by LeaveKey
	TimedOut int64 // after MaxWait
	// Abandoned is how many have hung up before.
	Abandoned int64
	Promised  int64 // who asked to be called back
	Unreached int64 // of those, who were not reached
	Lapsed    int64 // of those, who were not called back within CallbackFor
	// Waited is how long those who were served have waited, together.
	Waited time.Duration
}

// MeanWait is how long those who were served have waited on average.
func (s Stats) MeanWait() time.Duration {
	if s.Served == 0 {
		return 0
	}
	return s.Waited / time.Duration(s.Served)
}

// Stats returns the figures of now, by the names of the queues.
func (d *Desk) Stats() map[string]Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[string]Stats, len(d.queues))
	for name, l := range d.queues {
		st := l.counts
		st.Tenant = l.Tenant
		st.Waiting, st.Callbacks, st.Longest = l.waiting, l.calls, l.longest
		all[name] = st
	}
	return all
}

// length is how many wait.
func (l *line) length() int {
	l.desk.mu.Lock()
	defer l.desk.mu.Unlock()
	return l.waiting
}

// count changes the figures.
func (l *line) count(change func(*Stats)) {
	l.desk.mu.Lock()
	defer l.desk.mu.Unlock()
	change(&l.counts)
}

// room reports whether an agent of the queue may be given a caller.
func (l *line) room(look *Look, capacity int) bool {
	return slices.ContainsFunc(l.Agents, func(name string) bool {
		a := look.agent(name)
		return a.Room(capacity)
	})
}

// agent returns what is known of an agent.
func (l *Look) agent(name string) Agent {
	i := slices.IndexFunc(l.Agents, func(a Agent) bool { return a.Name == name })
	if i < 0 {
		return Agent{Name: name}
	}
	return l.Agents[i]
}

// see notes how the queue stands. The caller holds desk.mu, here and below.
func (l *line) see(look *Look, name string, capacity int) {
	l.servers = 0
	for _, agent := range l.Agents {
		switch a := look.agent(agent).Availability; {
		case a == nil:
			l.servers += capacity
		case !a.Busy:
			l.servers += a.Capacity
		}
	}
	l.waiting, l.calls, l.longest = 0, 0, 0
	for _, p := range look.Places {
		if p.Queue != name {
			continue
		}
		l.waiting++
		waited := look.Now.Sub(p.Joined)
		l.longest = max(l.longest, waited)
		if p.Callback != nil {
			l.calls++
		}
		if v := l.desk.visits[p.ID]; v != nil {
			v.standing = Standing{Position: l.waiting, Waited: waited, Estimate: l.estimate(l.waiting)}
		}
	}
}

// estimate is how long it may last until whoever is at a position is served.
func (l *line) estimate(position int) time.Duration {
	if l.servers == 0 {
		return 0
	}
	return l.handling * time.Duration(position) / time.Duration(l.servers)
}

// handled notes how long an agent has had a caller of the queue.
func (l *line) handled(took time.Duration) {
	if l.handling == 0 {
		l.handling = took
		return
	}
	l.handling += (took - l.handling) / 8 // the last dozen count most
}
