package call

import (
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// trunk is the carrier's side of a call: the truth, of which the service is told
// more or less.
type trunk struct {
	c *simCall

	placed  int // calls that were made of one intent: more than one is the worst
	leg     string
	request string // the carrier's id for the dial, if it has one
	status  telephony.Status
	picked  bool
	over    bool
	muted   bool // no report ever leaves
	visible bool // a search shows the call
	denied  bool // somebody was told that there is no such call

	where  whereabouts
	led    *simMove // the last that the service has led the caller away by
	turns  int      // counts what the caller was led to: what was to follow before is void
	socket *socket

	hangups int // requests to end the call that have left for the carrier
}

// whereabouts is what the caller hears.
type whereabouts uint8

const (
	onNothing whereabouts = iota
	onStream
	onKeys
	onDial // it rings at somebody else's
	onOther
)

// question is what a carrier asks the service to tell it what to do.
type question uint8

const (
	askIncoming question = iota // somebody calls
	askAnswer                   // somebody has picked up
	askNext                     // the stream is over, or the call was redirected
	askBack                     // nobody else was reached
)

// command is the answer to a question.
type command uint8

const (
	commandHangup command = iota
	commandStream
	commandKeys // and a stream after them
	commandDial
	commandConference
)

func (t *trunk) exists() bool { return t.placed > 0 }
func (t *trunk) stands() bool { return t.exists() && !t.over }

// id is how the carrier knows the call before any webhook has told its own id.
func (t *trunk) id() string {
	if t.request != "" {
		return t.request
	}
	return t.leg
}

// then lets something follow, unless the caller has been led elsewhere by then.
func (t *trunk) then(d time.Duration, do func()) {
	turn := t.turns
	t.c.w.after(d, func() {
		if !t.over && t.turns == turn {
			do()
		}
	})
}

// lead begins something else with the caller.
func (t *trunk) lead(to whereabouts) {
	t.turns++
	t.where = to
	if s := t.socket; s != nil {
		t.socket = nil
		s.gone(true)
	}
}

// place makes a call of a dial.
func (t *trunk) place() {
	c := t.c
	if t.placed++; t.placed > 1 {
		c.w.fail(ruleS3, "call %s was placed %d times", c.name, t.placed)
	}
	c.w.say(c, "the carrier places the call")
	t.leg = c.name + " leg"
	if c.w.twoIDs {
		t.request = c.name + " request"
	}
	t.status = telephony.StatusQueued
	t.muted = c.happens(carrierMute)
	t.visible = !c.happens(findLags)
	c.w.after(10*time.Second, func() { t.visible = true })
	t.report(telephony.StatusInitiated)
	queued := c.dice.soon()
	if c.happens(ringsLate) {
		queued += c.dice.within(40 * time.Second)
	}
	t.then(queued, t.ring)
}

// ring rings at the callee's, where one of the usual things happens.
func (t *trunk) ring() {
	d := &t.c.dice
	t.status = telephony.StatusRinging
	t.report(telephony.StatusRinging)
	t.then(t.c.w.lim.ring, func() { t.end(telephony.StatusNoAnswer) })
	switch fate := d.roll(12); {
	case fate < 8:
		t.then(d.within(20*time.Second), t.pickUp)
	case fate < 10:
		final := d.final()
		if final != telephony.StatusCompleted {
			t.then(d.within(30*time.Second), func() { t.end(final) })
		}
	}
}

// pickUp is when the callee does.
func (t *trunk) pickUp() {
	t.lead(onNothing)
	t.answered()
	t.ask(askAnswer)
}

// answered notes that somebody has picked up. The carrier ends any call some day.
func (t *trunk) answered() {
	if t.picked {
		return
	}
	t.picked = true
	t.status = telephony.StatusInProgress
	t.report(telephony.StatusInProgress)
	t.c.w.after(t.c.w.lim.duration+carrierSlack, func() { t.end(telephony.StatusCompleted) })
}

// ringIn is a caller who calls us.
func (t *trunk) ringIn() {
	c := t.c
	c.w.say(c, "somebody calls")
	t.placed = 1
	t.leg = c.name + " leg"
	t.visible = true
	t.status = telephony.StatusRinging
	t.muted = c.happens(carrierMute)
	if c.dice.roll(8) == 7 { // and loses patience
		c.w.after(c.dice.within(10*time.Second), func() { t.end(telephony.StatusCompleted) })
	}
	t.ask(askIncoming)
}

// report sends a status, late or early, once or not.
func (t *trunk) report(s telephony.Status) {
	c := t.c
	if t.muted || c.happens(statusLost) {
		return
	}
	in := input{kind: inReport, leg: t.leg, request: t.request, status: s}
	in.talked = s == telephony.StatusCompleted && t.picked && c.dice.roll(2) == 1
	if c.happens(statusStrange) {
		in.status = telephony.StatusUnknown
	}
	delay := c.dice.soon()
	if c.happens(statusLate) {
		delay += c.dice.within([]time.Duration{5 * time.Second, 10 * time.Minute}[c.dice.roll(2)])
	}
	c.report(delay, in)
	for i := 0; i < 3 && c.happens(statusDoubled); i++ {
		c.report(delay+c.dice.within(10*time.Second), in)
	}
}

// ask asks the service what to do.
func (t *trunk) ask(q question) {
	c := t.c
	turn, led := t.turns, t.led
	obey := func(a command) {
		c.w.after(c.dice.soon(), func() {
			if !t.over && t.turns == turn {
				t.obey(a)
			}
		})
	}
	askOnce := func(after time.Duration, obey func(command)) {
		c.w.arrive(c, after, func(p int, o *owner) { obey(c.answer(p, o, q, led)) }, func() { obey(commandHangup) })
	}
	delay := c.dice.soon()
	askOnce(delay, obey)
	if c.happens(askedTwice) {
		askOnce(delay+c.dice.within(5*time.Second), func(command) {})
	}
}

// obey does what the service has answered.
func (t *trunk) obey(a command) {
	d := &t.c.dice
	switch a {
	case commandHangup:
		t.end(telephony.StatusCompleted)
	case commandStream:
		t.answered()
		t.connect()
	case commandKeys:
		t.lead(onKeys)
		t.then(d.within(5*time.Second), func() { t.lead(onNothing); t.connect() })
	case commandDial:
		t.lead(onDial)
		if t.c.happens(moveFails) {
			t.then(d.within(40*time.Second), func() { t.lead(onNothing); t.ask(askBack) })
			return
		}
		t.then(d.within(25*time.Second), t.talkElsewhere)
	case commandConference:
		t.talkElsewhere()
	}
}

func (t *trunk) talkElsewhere() {
	t.lead(onOther)
	t.then(t.c.dice.within(5*time.Minute), func() { t.end(telephony.StatusCompleted) })
}

// connect opens a stream.
func (t *trunk) connect() {
	c := t.c
	if c.happens(streamMissing) {
		t.streamGone()
		return
	}
	turn := t.turns
	refused := func() {
		if !t.over && t.turns == turn {
			t.streamGone()
		}
	}
	c.w.arrive(c, c.dice.soon(), func(_ int, o *owner) {
		if t.over || t.turns != turn {
			return
		}
		var s *socket
		if o != nil && o.admits() {
			s = o.attach()
		}
		if s == nil {
			refused()
			return
		}
		t.socket, t.where = s, onStream
		t.talk()
	}, refused)
	if c.happens(streamTwice) {
		t.intrude(c.dice.within(5 * time.Second))
	}
}

// talk is what may happen while caller and agent talk.
func (t *trunk) talk() {
	d := &t.c.dice
	if t.c.happens(streamBreaks) {
		t.then(d.within(time.Minute), func() {
			if s := t.socket; s != nil {
				t.socket = nil
				s.gone(false)
				t.streamGone()
			}
		})
	}
	if d.roll(3) > 0 {
		t.then(d.within([]time.Duration{20 * time.Second, 12 * time.Minute}[d.roll(2)]), func() { t.end(telephony.StatusCompleted) })
	}
}

// streamGone is what a carrier does when there is no stream where there should
// be one: it asks, if it was told to; otherwise it has nothing more to do.
func (t *trunk) streamGone() {
	t.where = onNothing
	switch {
	case t.c.w.lim.grace > 0:
		t.turns++
		t.ask(askNext)
	case !t.c.happens(legStays):
		t.then(t.c.dice.soon(), func() { t.end(telephony.StatusCompleted) })
	}
}

// redirect ends what the caller hears, and asks what comes next.
func (t *trunk) redirect() {
	if !t.stands() {
		return
	}
	t.lead(onNothing)
	t.ask(askNext)
}

// hangUp is our request to end the call.
func (t *trunk) hangUp() {
	if !t.stands() {
		return
	}
	switch {
	case t.picked, t.c.dice.roll(3) == 2: // it means: your request is done
		t.end(telephony.StatusCompleted)
	default:
		t.end(telephony.StatusCanceled)
	}
}

// end ends the call, in whatever way.
func (t *trunk) end(s telephony.Status) {
	if t.over {
		return
	}
	t.c.w.say(t.c, "the carrier's side ends: %v", s)
	t.lead(onNothing)
	t.over, t.status = true, s
	t.report(s)
	if !t.picked && t.c.happens(finalsContradict) {
		t.report(t.c.dice.final())
	}
	if t.c.happens(streamAfterEnd) {
		t.intrude(t.c.dice.within(10 * time.Second))
	}
}

// intrude lets a socket come that nobody expects.
func (t *trunk) intrude(after time.Duration) {
	t.c.w.arrive(t.c, after, func(_ int, o *owner) {
		if o == nil {
			return
		}
		if s := o.attach(); s != nil && s != t.socket {
			s.gone(false)
		}
	}, func() {})
}

// socket is a media stream, as the service sees it.
type socket struct {
	o      *owner
	closed bool
}

// gone ends the stream, which its owner is told of.
func (s *socket) gone(orderly bool) {
	if s.closed {
		return
	}
	s.closed = true
	s.o.later(s.o.c.dice.soon()/10, func() { s.o.tell(input{kind: inStreamEnded, orderly: orderly}) })
}

// cut is when the service closes the stream, or dies.
func (s *socket) cut() {
	s.gone(true)
	if t := &s.o.c.trunk; t.socket == s {
		t.socket = nil
		t.streamGone()
	}
}
