package call

import (
	"encoding/json"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// owner is the model of a live call in one process: what the service does
// around apply. It does it in events instead of goroutines, and dies with its
// process.
type owner struct {
	c         *simCall
	p         int // its process
	dead      bool
	over      bool
	recovered bool
	paused    bool // its process has stood still

	life   life
	inbox  time.Duration // when the last input in it is taken
	timers [timers]simTimer

	token     bool // has been given to the carrier, and was not used
	session   bool // there has been a stream
	link      *socket
	expects   bool
	streaming bool
	move      *simMove

	agent   bool // it talks
	agents  int  // how often it was let talk
	playing int  // last words that are being waited for
	steps   int  // cleanup steps under way
	failed  bool // the backup has the call

	listening                  int  // how often it is being found out how quiet it is
	dialing, checking, finding int  // requests that are under way
	dialed                     int  // of apply's
	hangups                    int  // requests of this owner's that have left
	sought                     bool // it has been searched for since the end began
	searched                   bool // a search since the end began has found nothing
	lastStep                   step

	facts   facts
	limited time.Duration // when its duration began to count
	writer  simWriter
	base    life    // what it began with
	inputs  []input // and all that it was told, if that is kept
}

// simTimer is a timer of an owner's.
type simTimer struct {
	runs bool // or has fired, and that is in the inbox
	turn int  // counts starts and stops: an older firing is stale
}

// simMove is a caller's way off the stream.
type simMove struct {
	away   away
	answer command
	wait   time.Duration
	came   bool
	known  bool // the carrier has asked
	void   bool
	back   bool // nobody else was reached
}

func (c *simCall) newOwner(p int, l life) *owner {
	o := &owner{c: c, p: p, life: l, base: l}
	o.facts.answered, o.facts.finals = l.Answered, l.Finals
	o.writer = simWriter{o: o, version: 1}
	o.paused = c.w.procs[p].idle > c.w.now
	c.owners[p] = o
	c.w.procs[p].slots++
	c.w.procs[p].started++
	return o
}

// remembered is what a life is after it has been stored and read.
func remembered(l life) life {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	var back life
	if err := json.Unmarshal(b, &back); err != nil {
		panic(err)
	}
	return back
}

// later lets something happen in the process, if that lives and when it does not
// stand still.
func (o *owner) later(d time.Duration, do func()) {
	w := o.c.w
	w.after(d, func() {
		if !o.dead {
			w.awake(o.p, func() {
				if !o.dead {
					do()
				}
			}, func() {})
		}
	})
}

// tell puts an input into the inbox, which is taken from in order.
func (o *owner) tell(in input) { o.tellOf(nil, in) }

// tellOf is tell for what has come of something that was under way.
func (o *owner) tellOf(under *int, in input) {
	w := o.c.w
	o.inbox = max(o.inbox, w.now)
	if o.c.happens(inboxSlow) {
		o.inbox += o.c.dice.within(2 * time.Second)
	}
	o.later(o.inbox-w.now, func() {
		if under != nil {
			*under--
		}
		o.take(in)
	})
}

// take is live.take.
func (o *owner) take(in input) {
	w := o.c.w
	if in.kind == inTimer && !o.over {
		o.firedTimer(&in)
	}
	before := o.life
	next, todo := w.apply(before, in, w.lim)
	w.row(o, in, before, next, todo)
	o.judgeTurn(before, in, next, todo)
	if o.over {
		return
	}
	o.life = next
	o.note(before)
	for _, e := range todo {
		if o.c.happens(crashMidway) {
			w.die(o.p)
			return
		}
		if e.kind == doHangup {
			o.judgeHangup(before, in)
		}
		o.perform(e)
	}
	if next.State.Terminal() {
		o.end()
	}
	o.judgeClocks()
	if o.c.happens(processPauses) {
		w.pause(o.p, o.c.dice.within(2*time.Minute))
	}
	if o.c.happens(crash) {
		w.die(o.p)
	}
}

// firedTimer notes that a firing has arrived, unless it is an old one.
func (o *owner) firedTimer(in *input) {
	if t := &o.timers[in.timer]; t.turn == int(in.after) {
		t.runs = false
	}
	in.after = 0
}

// end gives up the room of the call.
func (o *owner) end() {
	o.over = true
	p := &o.c.w.procs[o.p]
	p.ended++
	if !o.c.w.flaws.leaksSlot {
		p.slots--
	}
	o.token = false
}

// note is live.note.
func (o *owner) note(before life) {
	if o.agent && (o.life.State >= Ending || o.life.Away == awayForGood && o.life.Stream == streamGone) {
		o.release()
	}
	if o.life == before || o.life.State.Terminal() {
		return
	}
	o.moved(before)
	if o.life.Answered && !before.Answered || o.life.Away == awayForGood && o.limited == 0 {
		o.limited = o.c.w.now
	}
	o.writer.wake()
}

// moved is live.moved.
func (o *owner) moved(before life) {
	now := o.life
	o.streaming = now.Stream == streamOpen || now.Stream == streamFlowing
	if now.Away != before.Away {
		o.expects = now.Away == awayBack || now.Away == awayLost
	}
	if o.move != nil && (now.State >= Ending || now.Away == awayNone && before.Away != awayNone) {
		o.move = nil
	}
}

// release ends the context of the agent, which returns soon, or never.
func (o *owner) release() {
	o.agent = false
	if !o.c.happens(agentStays) {
		o.later(o.c.dice.soon(), func() { o.tell(input{kind: inAgentReturned}) })
	}
}

func (o *owner) perform(e effect) {
	w, c := o.c.w, o.c
	switch e.kind {
	case doTimer:
		o.startTimer(e.timer, e.after)
	case doStop:
		if w.flaws.ignoresStops {
			return
		}
		o.timers[e.timer].runs = false
		o.timers[e.timer].turn++
	case doDial:
		o.dialed++
		o.dialing++
		o.later(0, func() { o.dial(1) })
		if w.flaws.dialsTwice {
			o.dialing++
			o.later(time.Second, func() { o.dial(1) })
		}
	case doHangup:
		if !w.flaws.forgetsHangup || c.dice.roll(4) > 0 {
			o.hangups++
			o.later(0, func() { o.hangUp(1) })
		}
	case doCheck:
		o.checking++
		o.later(0, o.check)
	case doFind:
		o.finding++
		o.sought = o.sought || o.life.State >= Ending
		o.later(0, o.find)
	case doListen:
		o.listening++
		q := o.hush()
		o.later(c.dice.soon(), func() { o.tellOf(&o.listening, input{kind: inQuiet, quiet: q}) })
	case doAgent:
		o.serve()
	case doPlayOut:
		o.playing++
		wait := c.dice.within(10 * time.Second)
		if c.happens(playOutSlow) {
			wait += 30 * time.Second
		}
		o.later(wait, func() { o.tellOf(&o.playing, input{kind: inPlayedOut}) })
	case doStep:
		o.clean(e.step)
	}
}

func (o *owner) startTimer(which timer, after time.Duration) {
	t := &o.timers[which]
	t.runs = true
	t.turn++
	turn := t.turn
	o.later(after, func() {
		if t.turn == turn {
			o.tell(input{kind: inTimer, timer: which, after: time.Duration(turn)})
		}
	})
}

// reply is how long a carrier takes to reply.
func (o *owner) reply() time.Duration {
	if o.c.happens(replySlow) {
		return o.c.dice.within(requestTimeout)
	}
	return o.c.dice.soon()
}

// dial is live.dial: one try of it.
func (o *owner) dial(try int) {
	c, w := o.c, o.c.w
	if try > 1 && o.life.State >= Ending { // cancelled between tries
		o.notDialed(telephony.NotSent)
		return
	}
	o.judgeDial()
	w.say(c, "a dial leaves, try %d", try)
	switch {
	case c.happens(dialNotSent):
		o.later(o.reply(), func() { o.redial(try, telephony.NotSent) })
	case c.happens(dialThrottled):
		o.later(o.reply(), func() { o.redial(try, telephony.Throttled) })
	case c.happens(dialTurnedDown):
		o.later(o.reply(), func() { o.notDialed(telephony.Rejected) })
	case c.happens(dialLost):
		o.later(requestTimeout, func() { o.redial(try, telephony.Ambiguous) })
	case c.happens(dialReplyLost):
		w.after(c.dice.soon(), c.trunk.place)
		o.later(requestTimeout, func() { o.redial(try, telephony.Ambiguous) })
	default:
		there := c.dice.soon()
		w.after(there, c.trunk.place)
		back := o.reply()
		if c.happens(dialReplyLate) {
			back = c.dice.within(requestTimeout - there)
		}
		o.later(there+back, func() {
			o.tellOf(&o.dialing, input{kind: inDialed, leg: c.trunk.id()})
		})
	}
}

// redial tries again what certainly did not reach the carrier.
func (o *owner) redial(try int, outcome telephony.Outcome) {
	if outcome != telephony.Ambiguous {
		o.c.open = false
	}
	if outcome == telephony.Ambiguous && !o.c.w.flaws.redialsAmbiguous {
		o.notDialed(outcome)
		return
	}
	if try < dialTries {
		o.later(dialPauseFirst<<(try-1), func() { o.dial(try + 1) })
		return
	}
	if o.c.w.backup && !o.failed && o.life.State < Ending && !o.c.w.procs[o.p].draining {
		o.failed = true
		o.later(0, func() { o.dial(1) })
		return
	}
	o.notDialed(outcome)
}

func (o *owner) notDialed(outcome telephony.Outcome) {
	in := input{kind: inDialFailed, outcome: outcome, cause: DialFailed}
	if outcome == telephony.Rejected {
		in.cause = DialRejected
	}
	o.tellOf(&o.dialing, in)
}

// hangUp is live.hangup: one try of it.
func (o *owner) hangUp(try int) {
	c := o.c
	c.w.say(c, "a hang-up leaves, try %d", try)
	c.trunk.hangups++
	again := func() {
		if try < hangupTries && !o.over {
			o.later(time.Second<<(try-1), func() { o.hangUp(try + 1) })
		}
	}
	switch {
	case c.happens(hangupFails):
		o.later(o.reply(), again)
	case c.happens(hangupReplyLost):
		c.w.after(c.dice.soon(), c.trunk.hangUp)
		o.later(requestTimeout, again)
	default:
		there := c.dice.soon()
		c.w.after(there, c.trunk.hangUp)
		o.later(there+o.reply(), func() { o.tell(input{kind: inHungUp}) })
	}
}

// check is live.check.
func (o *owner) check() {
	c, t := o.c, &o.c.trunk
	back := o.reply()
	switch {
	case c.happens(checkFails):
		o.later(back, func() { o.tellOf(&o.checking, input{kind: inChecked}) })
	case t.over && c.happens(carrierForgets), !t.exists():
		o.later(back, func() { o.tellOf(&o.checking, input{kind: inForgotten}) })
	case c.happens(carrierDenies):
		t.denied = true
		o.later(back, func() { o.tellOf(&o.checking, input{kind: inForgotten}) })
	default:
		in := input{kind: inChecked, leg: t.leg, request: t.request, status: t.status}
		in.talked = t.status == telephony.StatusCompleted && t.picked
		o.later(back, func() { o.tellOf(&o.checking, in) })
	}
}

// find is live.search: only a single match that is nobody else's is taken.
func (o *owner) find() {
	c, t := o.c, &o.c.trunk
	if c.happens(findFails) {
		o.later(o.reply(), func() { o.tellOf(&o.finding, input{kind: inNotFound}) })
		return
	}
	var found []*trunk
	if t.exists() && t.visible {
		found = append(found, t)
	}
	for _, other := range c.w.calls {
		if other == c || !c.w.sameEnds || other.inbound || other.claimed() {
			continue
		}
		if other.trunk.exists() && other.trunk.visible {
			found = append(found, &other.trunk)
		}
		if other.stored.version > 0 { // it is in doubt too: whose is what there is?
			found = append(found, nil, nil)
		}
	}
	if c.happens(findStranger) {
		other := &trunk{leg: "a stranger", placed: 1, status: telephony.StatusInProgress}
		if !c.w.flaws.takesStranger {
			found = append(found, other, other) // one of another house's, or two: nobody knows
		} else {
			found = []*trunk{other}
		}
	}
	in := input{kind: inNotFound}
	if len(found) == 1 {
		f := found[0]
		in = input{kind: inReport, leg: f.leg, request: f.request, status: f.status, talked: f.over && f.picked}
	}
	o.later(o.reply(), func() { o.tellOf(&o.finding, in) })
}

// claimed reports whether it is known whose the carrier's call is.
func (c *simCall) claimed() bool {
	for _, o := range c.owners {
		if o != nil && o.life.Leg != "" {
			return true
		}
	}
	return c.stored.life.Leg != ""
}

// answer tells the carrier what to do; see incoming, picked and moving. led is
// the move that the carrier asks about, if it does: a question that is late must
// not be taken for one about the next move.
func (c *simCall) answer(p int, o *owner, q question, led *simMove) command {
	w := c.w
	if q == askIncoming && o == nil {
		if c.stored.version > 0 || c.refused || w.procs[p].draining {
			return commandHangup
		}
		l := life{Direction: telephony.Inbound, Dial: dialAccepted, Leg: c.trunk.leg}
		if !c.create(p, l, input{kind: inAdmitted, leg: c.trunk.leg}) {
			return commandHangup
		}
		o = c.owners[p]
	}
	if o == nil || o.over {
		return commandHangup
	}
	switch q {
	case askAnswer:
		o.take(input{kind: inAsked, leg: c.trunk.leg, request: c.trunk.request, status: telephony.StatusInProgress})
	case askNext:
		return o.next()
	case askBack:
		if o.move == nil || o.move.void || o.move.away != awayTrying || o.move != led {
			return commandHangup
		}
		o.move.back = true
		o.take(input{kind: inReturning})
		if !o.expects {
			return commandHangup
		}
	}
	return o.streamAnswer()
}

// streamAnswer tells the carrier to open a stream.
func (o *owner) streamAnswer() command {
	if o.dead || o.life.State >= Ending {
		return commandHangup
	}
	o.token = true
	return commandStream
}

// next is live.next.
func (o *owner) next() command {
	m := o.move
	if m == nil || m.void {
		o.take(input{kind: inStreamLost, leg: o.c.trunk.leg, request: o.c.trunk.request, status: telephony.StatusInProgress})
		if !o.expects {
			return commandHangup
		}
		return o.streamAnswer()
	}
	m.known = true
	o.c.trunk.led = m
	if m.back {
		if !o.expects {
			return commandHangup
		}
		return o.streamAnswer()
	}
	o.expects = m.answer == commandKeys && !m.came
	if m.answer == commandKeys && o.streamAnswer() == commandHangup {
		return commandHangup
	}
	return m.answer
}

// admits uses up the token of a stream.
func (o *owner) admits() bool {
	had := o.token
	o.token = false
	return had
}

// attach is live.claim, and link.run.
func (o *owner) attach() *socket {
	flaws := o.c.w.flaws
	if o.over || o.life.State >= Ending && !flaws.admitsLate || o.session && !o.expects && !flaws.admitsAny {
		o.c.w.tally.refusals++
		return nil
	}
	if o.life.State >= Ending {
		o.c.w.fail(ruleS5, "a socket is taken while the call is %v", o.life.State)
	}
	o.session, o.expects = true, false
	if o.move != nil {
		o.move.came = true
	}
	s := &socket{o: o}
	before := o.link
	o.link = s
	if before != nil && !flaws.admitsAny {
		before.cut()
	}
	if before != nil && !before.closed {
		o.c.w.fail(ruleS14, "two streams are open")
	}
	o.later(50*time.Millisecond+o.c.dice.soon(), func() { // the one before is over by then
		switch {
		case s.closed:
			return
		case o.life.State >= Ending:
			s.cut()
			return
		}
		o.tell(input{kind: inStreamStarted})
		if !o.c.happens(streamSilent) {
			o.later(o.c.dice.soon(), func() {
				if !s.closed {
					o.tell(input{kind: inMedia})
				}
			})
		}
	})
	return s
}

// serve lets the agent talk, and do what agents and hosts do meanwhile.
func (o *owner) serve() {
	c, d := o.c, &o.c.dice
	o.agent = true
	o.agents++
	in := input{kind: inAgentReturned}
	stays := false
	switch {
	case c.happens(agentFails):
		in.cause = AgentError
	case c.happens(agentPanics):
		in.cause = AgentPanic
	default:
		stays = d.roll(3) == 2
	}
	if !stays {
		o.later(d.within(40*time.Second), func() {
			if o.agent {
				o.agent = false
				o.tell(in)
			}
		})
	}
	for range d.roll(3) {
		kind := d.roll(3)
		o.later(d.within(30*time.Second), func() { o.depart(kind) })
	}
}

// hush is how quiet the line is.
func (o *owner) hush() quiet {
	d, lim := &o.c.dice, o.c.w.lim
	if o.c.happens(lineQuiet) {
		too := [...]quiet{{both: lim.silence}, {caller: lim.callerSilence}, {agent: lim.agentStall}}
		return too[d.roll(len(too))]
	}
	q := quiet{both: lim.silence * time.Duration(d.roll(100)) / 100}
	q.caller = max(q.both, lim.callerSilence*time.Duration(d.roll(100))/100)
	q.agent = lim.agentStall * time.Duration(d.roll(100)) / 100
	return q
}

// planHost says what others want of the call.
func (o *owner) planHost() {
	d := &o.c.dice
	causes := [...]Cause{HangupLocal, AgentDone, MaxDuration}
	for n := d.roll(5); n > 2; n-- {
		in := input{kind: inEnd, cause: causes[d.roll(len(causes))]}
		o.later(d.within([]time.Duration{10 * time.Second, 2 * time.Minute}[d.roll(2)]), func() { o.tell(in) })
	}
}

// depart is live.depart.
func (o *owner) depart(kind int) {
	c := o.c
	if o.life.State >= Ending || o.move != nil || !o.streaming {
		return
	}
	m := [...]*simMove{
		{away: awayTrying, answer: commandDial, wait: defaultTransferTimeout + moveSlack},
		{away: awayBriefly, answer: commandKeys, wait: 5*time.Second + moveSlack},
		{away: awayForGood, answer: commandConference},
	}[kind]
	o.move = m
	o.take(input{kind: inLeaving, away: m.away, after: m.wait})
	if o.dead || o.life.State >= Ending {
		return
	}
	if o.life.Away != m.away {
		o.move = nil
		return
	}
	failed := func() {
		if m.known {
			return
		}
		m.void = true
		o.tell(input{kind: inLeaveFailed}) // and the move is over when that is taken
	}
	unknown := func() { // live.obeyed
		o.later(proofWait, func() {
			if !m.known {
				failed()
			}
		})
	}
	switch {
	case c.happens(moveRefused):
		o.later(o.reply(), failed)
	case c.happens(moveLost):
		o.later(requestTimeout, unknown)
	case c.happens(moveReplyLost):
		c.w.after(c.dice.soon(), c.trunk.redirect)
		o.later(requestTimeout, unknown)
	default:
		c.w.after(c.dice.soon(), c.trunk.redirect)
	}
}

// deadlines are how long the steps of the cleanup may take.
var deadlines = [...]time.Duration{
	stepSockets:    socketsDeadline + defaultAgentGrace,
	stepRecording:  recordingDeadline,
	stepTranscript: transcriptDeadline,
	stepMetrics:    time.Millisecond,
}

// clean is live.cleanUp.
func (o *owner) clean(s step) {
	c := o.c
	if s == stepSockets && o.link != nil {
		o.link.cut()
	}
	done := func() {
		o.tellOf(&o.steps, input{kind: inStepDone, step: s})
		if c.happens(stepEchoes) {
			o.tell(input{kind: inStepDone, step: s})
		}
	}
	o.steps++
	if s == stepRecord {
		o.writer.finish(done)
		return
	}
	switch {
	case c.happens(stepFails):
		if c.w.flaws.stopsAtFailure {
			return
		}
		o.later(0, done)
	case c.happens(stepHangs):
		o.later(deadlines[s], done)
	default:
		o.later(min(c.dice.soon(), deadlines[s]), done)
	}
}

// simWriter is recordWriter: it stores what changes, in the background.
type simWriter struct {
	o       *owner
	version int64
	busy    bool
	dirty   bool
	lost    bool // somebody else has the call
	final   bool
	stored  bool // nothing more will be
	waits   func()
}

func (w *simWriter) wake() {
	w.dirty = true
	w.next()
}

// finish stores the final record, for which done waits a while.
func (w *simWriter) finish(done func()) {
	w.final = true
	once := func() {
		if done != nil {
			done()
			done = nil
		}
	}
	w.waits = once
	w.o.later(recordDeadline, once)
	if w.lost {
		once()
		return
	}
	w.next()
}

// next begins to write, if there is something.
func (w *simWriter) next() {
	if w.busy || w.lost || w.stored || !w.dirty && !w.final {
		return
	}
	l := w.o.life
	if w.final {
		l.State, l.Step = outcome(l), stepDone
		w.stored = true
	}
	w.busy, w.dirty = true, false
	w.version++
	w.write(l, w.version, rewriteFirst, false)
}

// write tries until the store has it. A conflict with an earlier try of its own
// is none.
func (w *simWriter) write(l life, version int64, pause time.Duration, again bool) {
	c, o := w.o.c, w.o
	there := c.dice.within(20 * time.Millisecond)
	if c.happens(storeSlow) {
		there = c.dice.within(storeTimeout)
	}
	failed := func() {
		if !c.w.flaws.writesOnce {
			o.later(pause, func() { w.write(l, version, min(2*pause, rewriteMost), true) })
		}
	}
	if c.happens(storeFails) {
		o.later(there, failed)
		return
	}
	lost := c.happens(storeReplyLost)
	c.w.after(there, func() { // it has left, whatever becomes of the process
		if o.dead && c.w.procs[o.p].up {
			return // the store has given up what the process had begun before it died
		}
		conflict := !c.update(version, l) && !(again && c.stored.version == version && c.stored.life == l)
		o.later(0, func() {
			switch {
			case lost:
				failed()
				return
			case conflict:
				w.lost = true
			}
			w.busy = false
			if w.waits != nil && (w.stored || w.lost) {
				w.waits()
			}
			w.next()
		})
	})
}

// update is Store.Update. It reports false for a conflict.
func (c *simCall) update(version int64, l life) bool {
	if version != c.stored.version+1 && !c.w.flaws.overwrites {
		return false
	}
	c.judgeStored(l)
	c.stored = storedCall{version: version, life: l}
	return true
}
