package call

import (
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// world is a simulated world in which one or two calls live, from one seed: the
// processes of a service that uses apply, what apply decides by, and everything
// around it. Its time is a number, and what is to happen stands in a queue. All
// that the service does beside apply is modelled (see owner), and so is the
// carrier (see trunk).
type world struct {
	apply reducer
	flaws flaws
	keep  bool // the inputs, to replay them
	lim   limits
	mood  mood
	tally *tally
	trace *trace // nil unless somebody wants to read it

	now   time.Duration
	queue queue
	order int

	dice  dice // of the processes
	calls []*simCall
	procs [2]process

	calm     time.Duration // from then on nothing goes wrong
	restarts int           // of calm times
	twoIDs   bool          // the carrier's id for a dial is not that of the call
	backup   bool          // there is another carrier to dial
	sameEnds bool          // the calls are between the same two numbers
	meek     bool          // the second call leaves the processes alone
}

// reducer is apply, or apply with a bug planted.
type reducer func(l life, in input, lim limits) (life, []effect)

// process is one replica of the service.
type process struct {
	up       bool
	draining bool
	idle     time.Duration // it stands still until then
	slots    int           // calls that it counts as live
	started  int           // calls that it has begun or taken up
	ended    int           // of these, how many have reached their end
}

// happening is something that is going to happen.
type happening struct {
	at    time.Duration
	order int
	do    func()
}

// queue is a heap of happenings, the next one first.
type queue []happening

func (q queue) before(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}

func (q *queue) push(h happening) {
	*q = append(*q, h)
	s := *q
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.before(i, up) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (q *queue) pop() happening {
	s := *q
	next := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s[last] = happening{}
	s = s[:last]
	*q = s
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && s.before(down+1, down) {
			down++
		}
		if !s.before(down, i) {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	return next
}

// after lets something happen, whatever becomes of who asked for it.
func (w *world) after(d time.Duration, do func()) {
	w.order++
	w.queue.push(happening{at: w.now + d, order: w.order, do: do})
}

// isCalm reports whether faults have stopped.
func (w *world) isCalm() bool { return w.now >= w.calm }

const (
	// mostHappenings is how many may happen in one world: a world with more of
	// them goes round in circles.
	mostHappenings = 20_000
	// longest is how long a call may last once nothing goes wrong any more: it
	// rings, is talked, and is cleaned up, and before the last word of the carrier
	// a silence may pass.
	longest = time.Minute + ringSlack + 10*time.Minute + 2*checkMost + 2*time.Minute
)

// run lets everything happen, in its order, and judges the end.
func (w *world) run() {
	w.procs[0].up = true
	w.planProcesses()
	for _, c := range w.calls {
		c.begin()
	}
	for n := 0; ; n++ {
		if n == mostHappenings {
			w.fail(ruleL1, "the world does not come to rest")
		}
		if len(w.queue) == 0 {
			if !w.settleOrphans() {
				break
			}
			continue
		}
		h := w.queue.pop()
		w.now = h.at
		if w.now > w.calm+longest {
			w.judgeProgress()
		}
		h.do()
		w.judgeBooks()
	}
	w.tally.happenings += w.order
	w.judgeEnd()
}

// settleOrphans starts a process again if there are records of calls that live
// and that no process has: those whose Place failed although it was stored.
func (w *world) settleOrphans() bool {
	for _, c := range w.calls {
		orphan := c.owners == [2]*owner{} && c.stored.version > 0 && !c.stored.life.State.Terminal()
		if orphan && w.restarts < 2 {
			w.restarts++
			w.calm = w.now
			w.stop(0)
			w.start(0)
			return true
		}
	}
	return false
}

// planProcesses says when the service is shut down and when another replica
// starts.
func (w *world) planProcesses() {
	if w.dice.roll(8) == 7 {
		w.after(w.dice.within(2*time.Minute), w.drain)
	}
	if w.happens(&w.dice, twin) {
		w.after(w.dice.within(2*time.Minute), func() {
			w.say(nil, "a second replica starts")
			w.start(1)
		})
	}
}

// happens reports whether a fault does, and counts it.
func (w *world) happens(d *dice, f fault) bool {
	if w.isCalm() || !d.odds(w.mood[f]) {
		return false
	}
	w.tally.fired[f]++
	return true
}

// die ends a process at once. What it has not stored is lost, what it has sent
// is not.
func (w *world) die(p int) {
	w.say(nil, "process %d dies", p)
	w.stop(p)
	d := &w.dice
	w.after(d.within([]time.Duration{10 * time.Second, 5 * time.Minute}[d.roll(2)]), func() { w.start(p) })
}

func (w *world) stop(p int) {
	w.procs[p] = process{}
	for _, c := range w.calls {
		if o := c.owners[p]; o != nil {
			o.dead = true
			c.owners[p] = nil
			if o.link != nil {
				o.link.cut()
			}
		}
	}
}

// start starts a process, which takes up what stands in the store.
func (w *world) start(p int) {
	if w.procs[p].up {
		return
	}
	w.say(nil, "process %d starts", p)
	w.procs[p].up = true
	for _, c := range w.calls {
		if w.procs[p].up && c.stored.version > 0 && !c.stored.life.State.Terminal() {
			c.takeUp(p)
		}
	}
}

// drain shuts the service down in order: nothing new begins, and what still
// lives after a while is ended.
func (w *world) drain() {
	p := &w.procs[0]
	if !p.up || p.draining {
		return
	}
	w.tally.drains++
	w.say(nil, "process 0 drains")
	p.draining = true
	d := &w.dice
	w.after(d.within(30*time.Second), func() {
		if !p.draining {
			return // it has died meanwhile
		}
		for _, c := range w.calls {
			if o := c.owners[0]; o != nil {
				o.tell(input{kind: inEnd, cause: Drain})
			}
		}
		calm := w.isCalm() && p.idle < w.now
		w.after(cleanupTime, func() {
			if !p.draining {
				return
			}
			if calm && p.slots > 0 {
				w.fail(ruleL2, "calls live %v after they were cut off", cleanupTime)
			}
			w.say(nil, "process 0 ends")
			w.stop(0)
			w.after(d.within(5*time.Minute), func() { w.start(0) })
		})
	})
}

// pause lets a process stand still, as on a machine that is suspended: all that
// it waits for comes at once in the end.
func (w *world) pause(p int, d time.Duration) {
	w.say(nil, "process %d stands still for %v", p, d)
	w.procs[p].idle = max(w.procs[p].idle, w.now+d)
	for _, c := range w.calls {
		if o := c.owners[p]; o != nil {
			o.paused = true
		}
	}
}

// arrive brings a message of the carrier's to one of the processes: to handle,
// with the owner of the call there, nil if it has none, or to nobody, if no
// process is up.
func (w *world) arrive(c *simCall, after time.Duration, handle func(p int, o *owner), nobody func()) {
	w.after(after, func() {
		p := 0
		if w.procs[1].up && c.dice.roll(2) == 1 || !w.procs[0].up {
			p = 1
		}
		if !w.procs[p].up {
			nobody()
			return
		}
		w.awake(p, func() { handle(p, c.owners[p]) }, nobody)
	})
}

// awake does something as soon as a process does not stand still any more, or
// something else if it dies before.
func (w *world) awake(p int, do, dead func()) {
	switch {
	case !w.procs[p].up:
		dead()
	case w.procs[p].idle > w.now:
		w.after(w.procs[p].idle-w.now, func() { w.awake(p, do, dead) })
	default:
		do()
	}
}

// simCall is a call, seen from everywhere.
type simCall struct {
	w       *world
	name    string
	inbound bool
	dice    dice
	trunk   trunk
	stored  storedCall
	owners  [2]*owner // by process
	refused bool      // no call was made of it
	open    bool      // a dial has left, and may have been acted on
	late    bool      // it was begun while the service drained
	log     uint64    // a sum over all that has been decided about it
}

// storedCall is what the store has of a call.
type storedCall struct {
	version int64 // 0: there is no such call
	life    life
}

// begin lets somebody want the call.
func (c *simCall) begin() {
	c.trunk.c = c
	start := c.dice.within(20 * time.Second)
	if c.inbound {
		c.w.after(start, c.trunk.ringIn)
	} else {
		c.w.after(start, c.place)
	}
}

func (c *simCall) happens(f fault) bool {
	if c.w.meek && c != c.w.calls[0] && f >= crash {
		return false
	}
	return c.w.happens(&c.dice, f)
}

// place is Service.Place: the intent is stored, then begun.
func (c *simCall) place() {
	p := 0
	c.late = c.w.procs[p].draining
	if !c.w.procs[p].up || c.late && !c.w.flaws.dialsWhileDraining {
		c.refused = true
		return
	}
	c.create(p, life{}, input{kind: inBegin})
}

// create stores a new call, and begins it if that is known to have worked. It
// reports whether it is.
func (c *simCall) create(p int, l life, first input) bool {
	if c.happens(createFails) {
		c.refused = true
		return false
	}
	c.stored = storedCall{version: 1, life: l}
	if c.happens(createReplyLost) {
		c.w.say(c, "is stored, and nobody knows")
		return false
	}
	o := c.newOwner(p, l)
	o.planHost()
	o.take(first)
	return true
}

// takeUp is what Service.Recover does about a call.
func (c *simCall) takeUp(p int) {
	o := c.newOwner(p, remembered(c.stored.life))
	o.writer.version = c.stored.version
	o.recovered = true
	o.take(input{kind: inRecovered})
}

// report brings a status to whoever has the call.
func (c *simCall) report(after time.Duration, in input) {
	c.w.arrive(c, after, func(_ int, o *owner) {
		if o != nil {
			o.take(in)
		}
	}, func() {})
}

// final is one of the ways in which a carrier says that a call is over.
func (d *dice) final() telephony.Status {
	return telephony.StatusCompleted + telephony.Status(d.roll(int(telephony.StatusTimeout-telephony.StatusCompleted)+1))
}
