package call

import (
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// rule names a promise that no world may break. S and L are numbered as in
// docs/faults.md; E are the simulator's own.
type rule string

const (
	ruleS1  rule = "S1"
	ruleS2  rule = "S2"
	ruleS3  rule = "S3"
	ruleS4  rule = "S4"
	ruleS5  rule = "S5"
	ruleS6  rule = "S6"
	ruleS9  rule = "S9"
	ruleS10 rule = "S10"
	ruleS11 rule = "S11"
	ruleS12 rule = "S12"
	ruleS13 rule = "S13"
	ruleS14 rule = "S14"
	ruleS17 rule = "S17"
	ruleS20 rule = "S20"
	ruleS21 rule = "S21"
	ruleS23 rule = "S23"
	ruleL1  rule = "L1"
	ruleL2  rule = "L2"
	ruleL4  rule = "L4"
	ruleE1  rule = "E1"
	ruleE2  rule = "E2"
	ruleE3  rule = "E3"
	ruleE4  rule = "E4"
	ruleE5  rule = "E5"
	ruleE6  rule = "E6"
)

// ruleTexts say what the rules are.
var ruleTexts = map[rule]string{
	ruleS1:  "a call enters one terminal state, once, and never leaves it",
	ruleS2:  "states only move forward; a call is completed if and only if somebody picked up; the state follows from the facts, and the first cause stays",
	ruleS3:  "a dial leaves only if none before it may have been acted on; one call is placed at most",
	ruleS4:  "cleanup steps run in order, each once, and the end is told after the last",
	ruleS5:  "the agent is not let talk, and no stream is taken, once the end has begun",
	ruleS6:  "a room is given up once for each call that is over, and for no other",
	ruleS9:  "all that a call was told, told again, leads to the same life",
	ruleS10: "a report that comes twice changes no more than one that comes once",
	ruleS11: "the order of the carrier's reports does not matter to the end",
	ruleS12: "a call that is over does nothing",
	ruleS13: "a call that is over has no timer",
	ruleS14: "a call has one stream at a time",
	ruleS17: "a call lasts no longer than it may",
	ruleS20: "calls begun are calls ended and calls that live",
	ruleS21: "a call that is asked for while the service drains is not dialed",
	ruleS23: "what happens to one call changes nothing about another",
	ruleL1:  "a call that lives has something to end it, and ends",
	ruleL2:  "a drain ends in its time",
	ruleL4:  "in the end the store has the terminal state of every call",
	ruleE1:  "the agent is let talk once",
	ruleE2:  "no call that stands with the carrier is left without a hang-up, or a search if its id is unknown",
	ruleE3:  "a caller who is with somebody else is not hung up because the stream is gone",
	ruleE4:  "a call takes no other call's leg for its own",
	ruleE5:  "the last words of an agent that has returned are waited for, and then the call ends",
	ruleE6:  "a call on which nothing is heard for too long ends for that reason, and no call that is away or whose agent has returned ends for want of an answer",
}

// violation is a broken rule. A world panics with it.
type violation struct {
	rule rule
	what string
	at   time.Duration
}

func (v *violation) Error() string {
	return fmt.Sprintf("%s (%s): after %v: %s", v.rule, ruleTexts[v.rule], v.at.Round(time.Millisecond), v.what)
}

func (w *world) fail(r rule, format string, args ...any) {
	panic(&violation{rule: r, what: fmt.Sprintf(format, args...), at: w.now})
}

// facts are what an owner has been told, noted without regard to apply.
type facts struct {
	answered bool
	finals   finals
}

// learn notes what an input proves.
func (f *facts) learn(before life, in input, next life) {
	switch in.kind {
	case inAsked:
		f.answered = f.answered || before.Direction == telephony.Outbound
	case inStreamStarted:
		f.answered = f.answered || next.Stream == streamOpen && before.Stream != streamOpen
	case inReport, inChecked:
		gaveUp := before.State >= Ending && before.Cause != Unreachable
		if in.talked || in.status == telephony.StatusInProgress || in.status == telephony.StatusCompleted && !gaveUp {
			f.answered = true
		}
		if in.status.Final() {
			f.finals = f.finals.with(in.status)
		}
	}
}

// outcome is the terminal state that must follow.
func (f *facts) outcome(cause Cause) State {
	switch {
	case f.answered:
		return Completed
	case cause == RingTimeout:
		return NoAnswer
	case cause == HangupLocal, cause == Drain:
		return Canceled
	case f.finals.has(telephony.StatusBusy):
		return Busy
	case f.finals.has(telephony.StatusNoAnswer):
		return NoAnswer
	case f.finals.has(telephony.StatusCanceled):
		return Canceled
	}
	return Failed
}

// judgeTurn judges one application of apply.
func (o *owner) judgeTurn(before life, in input, next life, todo []effect) {
	c, w := o.c, o.c.w
	w.tally.seen[before.State][in.kind]++
	if before.State.Terminal() {
		if next != before {
			w.fail(ruleS1, "%v became %v", before.State, next.State)
		}
		if len(todo) > 0 {
			w.fail(ruleS12, "%d effects", len(todo))
		}
		return
	}
	if w.keep {
		o.inputs = append(o.inputs, in)
	}
	c.sum(in, next)
	o.facts.learn(before, in, next)
	o.searched = o.searched || in.kind == inNotFound && before.State >= Ending
	if next.State < before.State {
		w.fail(ruleS2, "%v went back to %v", before.State, next.State)
	}
	if before.Cause != CauseNone && next.Cause != before.Cause {
		w.fail(ruleS2, "cause %q became %q", before.Cause, next.Cause)
	}
	if next.State >= Ending && next.Cause == CauseNone {
		w.fail(ruleS2, "%v without a cause", next.State)
	}
	if next.State.Terminal() {
		if want := o.facts.outcome(next.Cause); next.State != want {
			w.fail(ruleS2, "call ends %v, and the facts say %v", next.State, want)
		}
	}
	if next.Leg != before.Leg && next.Leg != c.trunk.leg && next.Leg != c.trunk.request {
		w.fail(ruleE4, "call %s has taken %q", c.name, next.Leg)
	}
	o.judgeStream(before, in, next)
	o.judgeQuiet(before, in, next)
	o.judgeEffects(in, next, todo)
	switch in.kind {
	case inReport, inAsked, inDialed, inHungUp, inStreamEnded, inStreamLost, inStreamStarted, inEnd:
		again, more := w.apply(next, in, w.lim)
		if again != next || len(more) > 0 {
			w.fail(ruleS10, "a second one of the same changes the call, or does %d things", len(more))
		}
	}
	over := o.limited > 0 && w.now > o.limited+w.lim.duration+3*time.Second
	if over && before.State < Ending && next.State < Ending && !o.paused {
		w.fail(ruleS17, "call lasts %v", w.now-o.limited)
	}
}

func (o *owner) judgeStream(before life, in input, next life) {
	w := o.c.w
	if in.kind != inStreamStarted || next == before {
		return
	}
	if before.State >= Ending {
		w.fail(ruleS5, "a stream is taken while the call is %v", before.State)
	}
	if before.Stream == streamOpen || before.Stream == streamFlowing {
		w.fail(ruleS14, "a second stream is taken")
	}
	if before.Stream == streamGone && before.Away.handedOver() {
		w.fail(ruleS14, "a stream is taken of a caller who is with somebody else")
	}
}

// judgeQuiet judges what silence does to the call.
func (o *owner) judgeQuiet(before life, in input, next life) {
	w, lim := o.c.w, o.c.w.lim
	here := before.State < Ending && before.Away == awayNone && (before.Stream == streamOpen || before.Stream == streamFlowing)
	due := CauseNone
	switch {
	case in.kind != inQuiet || !here:
	case lim.agentStall > 0 && in.quiet.agent >= lim.agentStall && !before.Finishing:
		due = AgentStalled
	case lim.callerSilence > 0 && in.quiet.caller >= lim.callerSilence:
		due = CallerSilence
	case lim.silence > 0 && in.quiet.both >= lim.silence:
		due = Silence
	}
	if due != CauseNone && next.Cause != due {
		w.fail(ruleE6, "%+v, and the call ends by %q", in.quiet, next.Cause)
	}
	switch next.Cause {
	case Silence, CallerSilence, AgentStalled:
		if before.Cause == CauseNone && next.Cause != due {
			w.fail(ruleE6, "ended by %q: %+v", next.Cause, in.quiet)
		}
	}
}

func (o *owner) judgeEffects(in input, next life, todo []effect) {
	w := o.c.w
	for _, e := range todo {
		switch e.kind {
		case doDial:
			if o.dialed > 0 || o.recovered || in.kind != inBegin {
				w.fail(ruleS3, "dialed again")
			}
		case doAgent:
			if next.State >= Ending {
				w.fail(ruleS5, "the agent is let talk while the call is %v", next.State)
			}
			if o.agents > 0 || o.recovered {
				w.fail(ruleE1, "it is let talk once more")
			}
		case doHangup, doCheck:
			if next.Leg == "" {
				w.fail(ruleE4, "the carrier is asked about a call without an id")
			}
		case doStep:
			if e.step != o.lastStep+1 {
				w.fail(ruleS4, "step %v after step %v", e.step, o.lastStep)
			}
			if o.steps > 0 {
				w.fail(ruleS4, "step %v while another is being done", e.step)
			}
			o.lastStep = e.step
		}
	}
	if next.State.Terminal() && (o.lastStep != stepRecord || o.steps > 0) {
		w.fail(ruleS4, "terminal after step %v, %d under way", o.lastStep, o.steps)
	}
}

// judgeClocks sees to it that something will end the call: each state of a life
// has its timer, or a request whose reply is bounded. And it judges what is left
// when the call is over.
func (o *owner) judgeClocks() {
	l, w := o.life, o.c.w
	if l.State.Terminal() {
		for which := range timers {
			if o.timers[which].runs {
				w.fail(ruleS13, "timer %d runs", which)
			}
		}
		o.judgeLeg()
		return
	}
	need := func(ok bool, r rule, what string) {
		if !ok {
			w.fail(r, "call is %v: %s", l.State, what)
		}
	}
	runs := func(t timer) bool { return o.timers[t].runs }
	if l.State >= Ending {
		need(l.Settled || runs(timerSettle), ruleL1, "nothing bounds the wait for the carrier's last word")
		need(l.Settled || l.Leg != "" || l.Dial != dialUnknown || o.sought, ruleE2, "nobody looks for it")
		need(o.steps > 0 || l.Cleaned && !l.Settled, ruleL1, "no cleanup step is under way")
		return
	}
	outbound := l.Direction == telephony.Outbound
	sounds := l.Stream == streamFlowing
	switch {
	case outbound && l.Dial == dialPending:
		need(o.dialing > 0, ruleL1, "the dial is not under way")
	case outbound && l.Dial == dialUnknown:
		need(runs(timerCheck) || o.finding > 0, ruleL1, "nobody looks for the call")
	case outbound && !l.Answered:
		need(runs(timerRing), ruleL1, "nothing bounds its ringing")
	}
	need(outbound || l.Answered || l.Away != awayNone || runs(timerMedia), ruleL1, "nothing bounds the wait for the caller's stream")
	need(!l.Answered || runs(timerLimit), ruleL1, "nothing bounds its duration")
	need(!l.Answered || sounds || l.Away != awayNone || runs(timerMedia), ruleL1, "nothing bounds the wait for sound")
	need(l.Away == awayNone || l.Away == awayForGood || runs(timerAway), ruleL1, "nothing bounds the time away")
	silent := l.Leg != "" && (!sounds || l.Away != awayNone)
	need(!silent || runs(timerCheck) || o.checking > 0 || l.Dial == dialUnknown, ruleL1, "a carrier that is silent is not asked")
	here := l.Away == awayNone && (l.Stream == streamOpen || sounds)
	listens := w.lim.silence > 0 && here
	need(!listens || runs(timerQuiet) || o.listening > 0, ruleL1, "nobody listens for silence")
	need(!l.Finishing || !here || o.playing > 0, ruleE5, "the agent has returned, and nothing waits for its last words")
}

// judgeLeg judges what has become of the carrier's side of a call that is over.
func (o *owner) judgeLeg() {
	t := &o.c.trunk
	switch {
	case t.denied, t.hangups > 0, o.hangups > 0:
		return
	case o.life.Leg == "" && !t.over && !o.paused && !o.searched && (o.dialing > 0 || o.finding > 0):
		o.c.w.fail(ruleE2, "over before the carrier's reply could tell of a call to hang up")
	case !t.stands():
	case o.life.Leg != "":
		o.c.w.fail(ruleE2, "%s stands, and was not hung up", o.life.Leg)
	case !o.sought && !o.base.Settled && o.life.Cause != DialUnknown:
		o.c.w.fail(ruleE2, "a call stands, and was not looked for")
	}
}

// judgeHangup judges a hang-up that is about to be sent.
func (o *owner) judgeHangup(before life, in input) {
	t := &o.c.trunk
	if t.where != onDial && t.where != onOther || t.over || in.kind == inEnd {
		return
	}
	if in.kind == inRecovered {
		if before.Away.handedOver() && before.State < Ending {
			o.c.w.fail(ruleE3, "hung up after a crash")
		}
		return
	}
	switch o.life.Cause {
	case StreamLost, NoMedia, AgentDone, AgentError, AgentPanic, RingTimeout:
		o.c.w.fail(ruleE3, "hung up: %s", o.life.Cause)
	}
}

// judgeDial judges a dial that is about to be sent.
func (o *owner) judgeDial() {
	c := o.c
	if c.open {
		c.w.fail(ruleS3, "another dial leaves, and the one before may have been acted on")
	}
	if c.late {
		c.w.fail(ruleS21, "a dial leaves")
	}
	c.open = true
}

// judgeStored judges a write that the store takes.
func (c *simCall) judgeStored(l life) {
	if c.stored.life.State.Terminal() {
		c.w.fail(ruleS1, "%v was overwritten with %v", c.stored.life.State, l.State)
	}
	if l.State < c.stored.life.State {
		c.w.fail(ruleS2, "%v was overwritten with %v", c.stored.life.State, l.State)
	}
}

// judgeBooks compares what the processes count with what there is.
func (w *world) judgeBooks() {
	for p := range w.procs {
		lives := 0
		for _, c := range w.calls {
			if o := c.owners[p]; o != nil && !o.over {
				lives++
			}
		}
		s := &w.procs[p]
		if s.slots != lives {
			w.fail(ruleS6, "%d rooms are taken by %d calls", s.slots, lives)
		}
		if s.started != s.ended+lives {
			w.fail(ruleS20, "%d calls begun, %d ended, %d live", s.started, s.ended, lives)
		}
	}
}

// judgeProgress is asked when every call should be over.
func (w *world) judgeProgress() {
	for _, c := range w.calls {
		for _, o := range c.owners {
			if o != nil && !o.over {
				w.fail(ruleL1, "call %s is %v, %v after the last fault", c.name, o.life.State, w.now-w.calm)
			}
		}
	}
}

// judgeEnd judges a world in which nothing will happen any more.
func (w *world) judgeEnd() {
	w.judgeProgress()
	for _, c := range w.calls {
		if c.trunk.stands() {
			w.fail(ruleE2, "call %s stands for ever", c.name)
		}
		if s := c.stored; s.version > 0 {
			if !s.life.State.Terminal() {
				w.fail(ruleL4, "call %s is stored as %v", c.name, s.life.State)
			}
			w.tally.ended[s.life.State]++
			w.tally.causes[s.life.Cause]++
		}
		for _, o := range c.owners {
			if o != nil && w.keep {
				o.judgeReplay()
			}
		}
	}
}

// judgeReplay tells a life again what it was told.
func (o *owner) judgeReplay() {
	l := o.base
	if o.recovered {
		l = remembered(l)
	}
	for _, in := range o.inputs {
		l, _ = o.c.w.apply(l, in, o.c.w.lim)
	}
	if l != o.life {
		o.c.w.fail(ruleS9, "%+v became %+v", o.life, l)
	}
}

// sum adds what was decided about the call to its log.
func (c *simCall) sum(in input, next life) {
	for _, v := range [...]uint64{
		uint64(c.w.now), uint64(in.kind), uint64(next.State), uint64(next.Dial), uint64(next.Stream),
		uint64(next.Away), uint64(next.Step), uint64(next.Finals), uint64(len(next.Cause)),
	} {
		c.log = (c.log ^ v) * 0x100000001b3
	}
}
