package call

import (
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// The life of a call is decided here and nowhere else: apply is a pure function
// from what is known and what has happened to what is known now and what is to
// be done about it. It asks no clock, starts nothing and does no I/O; the same
// function serves production, simulation and recovery.

// life is all that decides about a call. The zero life is an outbound call
// whose intent has been stored.
type life struct {
	Direction telephony.Direction `json:"direction"`
	State     State               `json:"state"`
	Cause     Cause               `json:"cause,omitempty"`
	Detail    string              `json:"detail,omitempty"`

	// Dial is how far asking the carrier has come.
	Dial dialState `json:"dial"`
	// Leg is the carrier's id for the call.
	Leg string `json:"leg,omitempty"`
	// Answered is true once anything has proved that somebody picked up.
	Answered bool `json:"answered,omitempty"`
	// Finals is the set of final statuses that the carrier has reported.
	Finals finals `json:"finals,omitempty"`
	// Rings tells that the callee's telephone is known to ring.
	Rings bool `json:"rings,omitempty"`
	// Stream is how far the media stream has come.
	Stream streamState `json:"stream"`
	// Away tells where the caller is, if not on the stream.
	Away away `json:"away,omitempty"`
	// Served tells that the agent has been let talk.
	Served bool `json:"served,omitempty"`
	// Finishing tells that the agent has returned and its last words play.
	Finishing bool `json:"finishing,omitempty"`

	// Step is the cleanup step that is being done, 0 before Ending.
	Step step `json:"step,omitempty"`
	// Cleaned tells that all steps but the last are through.
	Cleaned bool `json:"cleaned,omitempty"`
	// Settled tells that the carrier's side of the call is known to be over, or
	// that nothing more can be learned about it.
	Settled bool `json:"settled,omitempty"`
	// Checks counts how often the carrier was asked about the call.
	Checks int `json:"checks,omitempty"`
	// Asked tells that it was asked once more since the end began.
	Asked bool `json:"asked,omitempty"`
}

type dialState uint8

const (
	dialPending  dialState = iota // a request may be on its way
	dialAccepted                  // the carrier has the call
	dialUnknown                   // nobody knows
	dialRefused                   // there is no call
)

type streamState uint8

const (
	streamNone streamState = iota
	streamOpen
	streamFlowing // sound has travelled
	streamGone
)

// away is where the caller is led, when the carrier is asked to leave the stream.
type away uint8

const (
	awayNone    away = iota // on the stream, or to come to it for the first time
	awayBriefly             // to something after which the carrier opens a stream again
	awayTrying              // to somebody else, who may not be reached
	awayBack                // who was not: the carrier has been told to open a stream again
	awayLost                // nowhere: the stream broke, and the carrier may open another
	awayForGood             // to somebody else
)

// handedOver reports whether the caller is, or may be, in somebody else's hands.
func (a away) handedOver() bool { return a == awayTrying || a == awayForGood }

// finals is a set of final statuses.
type finals uint16

func (f finals) with(s telephony.Status) finals { return f | 1<<s }
func (f finals) has(s telephony.Status) bool    { return f&(1<<s) != 0 }

// step is one of the steps of the cleanup, in their order.
type step uint8

const (
	stepNone       step = iota
	stepSockets         // close the stream, wait for the agent
	stepRecording       // finish the recording
	stepTranscript      // wait for the last words
	stepMetrics         // final figures
	stepRecord          // mark completed
	stepDone
)

var stepNames = [...]string{"none", "sockets", "recording", "transcript", "metrics", "record", "done"}

func (s step) String() string { return stepNames[s] }

// timer names what a timer is for. One of each kind runs at a time.
type timer uint8

const (
	timerRing   timer = iota // nobody picks up
	timerLimit               // the call has lasted too long
	timerMedia               // answered, and no sound
	timerCheck               // the carrier has been silent: ask it
	timerSettle              // the end has not been confirmed
	timerAway                // the caller is away
	timerQuiet               // somebody on the line may have been silent for too long
	timers                   // how many there are
)

// input is something that has happened. Which fields matter depends on kind.
type input struct {
	kind    inputKind
	leg     string            // the carrier's id for the call
	request string            // its id for the dial, where that is another one
	status  telephony.Status  // report, checked
	talked  bool              // report: the carrier counted time on the line
	outcome telephony.Outcome // dialFailed
	cause   Cause             // end, dialFailed
	detail  string
	timer   timer
	step    step
	orderly bool          // streamEnded: the far end closed it as it should
	quiet   quiet         // quiet: how long it has been so
	away    away          // leaving: where to
	after   time.Duration // leaving: how long that may take, if it is not for good
}

type inputKind uint8

const (
	inBegin         inputKind = iota // the intent is stored: outbound only
	inAdmitted                       // an inbound call has been told how to answer
	inDialed                         // the carrier has accepted the call
	inDialFailed                     // it has not, or nobody knows
	inReport                         // the carrier says where the call is
	inAsked                          // the carrier asks what to do: it has been answered
	inStreamStarted                  // the media socket is open and bound
	inMedia                          // the first sound
	inStreamEnded                    // the media socket is gone
	inAgentReturned                  // cause is set if it failed
	inPlayedOut                      // the agent's last words have been heard
	inEnd                            // somebody wants the end: cause
	inLeaving                        // the carrier is being asked to leave the stream
	inLeaveFailed                    // it did not
	inReturning                      // nobody else was reached: the carrier will open a stream again
	inStreamLost                     // the carrier says that the stream is gone, and asks what to do
	inTimer                          // a timer has fired
	inQuiet                          // for how long nothing has been heard
	inChecked                        // the carrier was asked: status, or unknown
	inHungUp                         // the carrier has confirmed our hang-up
	inNotFound                       // a search for the call has found nothing
	inForgotten                      // the carrier knows no call with this id
	inStepDone                       // a cleanup step is through
	inRecovered                      // the process has started again
)

// effect is something to be done. What comes of it comes back as an input.
type effect struct {
	kind  effectKind
	timer timer
	after time.Duration
	step  step
}

type effectKind uint8

const (
	doDial    effectKind = iota // once in a life
	doHangup                    // end the carrier's side
	doAgent                     // let the agent talk
	doPlayOut                   // wait until what was said has been heard
	doCheck                     // ask the carrier about Leg
	doFind                      // ask the carrier for a call whose id is unknown
	doListen                    // find out for how long nothing has been heard
	doTimer                     // start timer, or start it again
	doStop                      // stop timer
	doStep                      // do a step of the cleanup
)

// limits are the spans that a life depends on.
type limits struct {
	ring, duration, media time.Duration
	grace                 time.Duration // how long a stream that broke may be gone

	// How long the line may be quiet; 0: for ever.
	silence, callerSilence, agentStall time.Duration
}

// quiet is for how long nothing was heard: of both, of the caller, and of an agent
// who owes the caller an answer.
type quiet struct{ both, caller, agent time.Duration }

const (
	// settleWait is how long after our own hang-up the carrier may take to say
	// how the call ended, before it is asked.
	settleWait = 5 * time.Second
	// dialWait bounds the wait for the reply to a dial that was given up.
	dialWait = 15 * time.Second
	// ringSlack is how long a placed call may take to begin to ring: carriers
	// queue calls. It is added to the ring timeout until it rings.
	ringSlack = 30 * time.Second
	// checkFirst is how long the carrier may be silent about a call before it
	// is asked; each further time twice as long, up to checkMost.
	checkFirst = 30 * time.Second
	checkMost  = 5 * time.Minute
	// findFirst is when a call is first looked for that may or may not have been
	// placed; findTries is how often, each time after twice as long: half a minute
	// in all.
	findFirst = 1750 * time.Millisecond
	findTries = 4
)

// apply says what a call's life is after something happened, and what is to be
// done about it, in order.
func apply(l life, in input, lim limits) (life, []effect) {
	if l.State.Terminal() {
		return l, nil
	}
	t := turn{life: l, lim: lim}
	t.take(in)
	return t.life, t.todo
}

// turn is one application of apply: the life that is being changed, and what is
// to be done.
type turn struct {
	life
	lim  limits
	todo []effect
}

func (t *turn) do(kind effectKind) { t.todo = append(t.todo, effect{kind: kind}) }
func (t *turn) start(timer timer, after time.Duration) {
	t.todo = append(t.todo, effect{kind: doTimer, timer: timer, after: after})
}
func (t *turn) stop(timer timer) { t.todo = append(t.todo, effect{kind: doStop, timer: timer}) }

func (t *turn) take(in input) {
	switch in.kind {
	case inBegin:
		t.do(doDial)
	case inAdmitted:
		t.Dial = dialAccepted
		t.adopt(in.leg, in.request)
		t.advance(Connecting)
		t.start(timerMedia, t.lim.media+t.lim.ring) // the announcement plays first
		t.start(timerCheck, checkFirst)
	case inDialed:
		t.dialed(in.leg, in.request)
	case inDialFailed:
		t.dialFailed(in)
	case inReport, inChecked:
		t.report(in)
	case inAsked:
		t.dialed(in.leg, in.request)
		if t.Direction == telephony.Outbound {
			t.answered() // an outbound call is asked about once it was picked up
		}
	case inStreamStarted:
		t.streamStarted()
	case inMedia:
		if t.Stream == streamOpen && t.State < Ending {
			t.Stream = streamFlowing
			t.stop(timerMedia)
			if t.Away == awayNone {
				t.stop(timerCheck) // the sound tells that the call lives
			}
			t.advance(Active)
		}
	case inStreamEnded:
		t.streamEnded(in)
	case inAgentReturned:
		t.agentReturned(in)
	case inPlayedOut:
		if t.Away == awayNone {
			t.end(AgentDone, "")
		}
	case inEnd:
		t.end(in.cause, in.detail)
	case inLeaving:
		t.leaving(in)
	case inLeaveFailed:
		t.leaveFailed()
	case inReturning:
		if t.Away == awayTrying && t.State < Ending {
			t.Away = awayBack
			t.start(timerAway, t.lim.media)
		}
	case inStreamLost:
		if in.leg != "" {
			t.dialed(in.leg, in.request)
		}
		if t.State < Ending && t.Away == awayNone && t.onStream() && t.lim.grace > 0 {
			t.lost()
		}
	case inTimer:
		t.fired(in.timer)
	case inQuiet:
		if t.State < Ending && t.Away == awayNone && t.onStream() {
			t.listen(in.quiet)
		}
	case inHungUp:
		t.hungUp()
	case inNotFound:
		t.notFound()
	case inForgotten:
		t.forgotten()
	case inStepDone:
		t.stepDone(in.step)
	case inRecovered:
		t.recovered()
	}
}

// advance moves on to a state, unless the call is already there or further.
func (t *turn) advance(s State) {
	if t.State < s {
		t.State = s
	}
}

// adopt takes the carrier's id for the call when it is first told. Some carriers
// give a dial an id of its own, and tell that of the call later.
func (t *turn) adopt(leg, request string) {
	if t.Leg == "" || t.Leg == request && leg != "" {
		t.Leg = leg
	}
}

// dialed is told by the reply to the dial, or by a webhook that overtook it.
func (t *turn) dialed(leg, request string) {
	first := t.Dial != dialAccepted
	t.Dial = dialAccepted
	t.adopt(leg, request)
	if t.State >= Ending {
		if first { // it was given up while the request was on its way
			t.Settled = false // there is a call after all
			t.do(doHangup)
			t.start(timerSettle, settleWait)
		}
		return
	}
	if t.Stream == streamGone && t.Away == awayNone {
		t.end(Interrupted, "the process ended during the call") // see recovered
		return
	}
	t.advance(Connecting)
	if first && !t.Answered {
		t.start(timerRing, t.lim.ring+ringSlack)
	}
	if first {
		t.Checks = 0
		t.start(timerCheck, checkFirst)
	}
}

func (t *turn) dialFailed(in input) {
	if t.Dial == dialAccepted {
		return // a webhook has proved the call, whatever became of the reply
	}
	if in.outcome != telephony.Ambiguous {
		t.Dial = dialRefused
		t.over(in.cause, in.detail)
		return
	}
	t.Dial = dialUnknown
	if t.State >= Ending {
		t.do(doFind)
		t.start(timerSettle, dialWait)
		return
	}
	t.Detail = in.detail
	t.Checks = 0
	t.start(timerCheck, findFirst)
}

// answered notes that somebody picked up.
func (t *turn) answered() {
	if t.Answered {
		return
	}
	t.Answered = true
	if t.State >= Ending {
		return
	}
	t.stop(timerRing)
	t.start(timerLimit, t.lim.duration)
	if t.Stream != streamFlowing {
		t.start(timerMedia, t.lim.media)
	}
	t.advance(Connected)
}

// report is what the carrier says of the call, told or asked.
func (t *turn) report(in input) {
	// A call that we gave up before the answer may be called completed by a
	// carrier that means: your request is done. Otherwise completed proves that
	// somebody had picked up, also if another final came first.
	if in.status == telephony.StatusCompleted && (t.State < Ending || t.Cause == Unreachable) {
		t.Answered = true
	}
	if in.leg != "" {
		t.dialed(in.leg, in.request)
	}
	if in.talked {
		t.answered()
	}
	switch {
	case in.status == telephony.StatusRinging && !t.Answered && !t.Rings && t.State < Ending:
		t.Rings = true
		if t.Direction == telephony.Outbound {
			t.start(timerRing, t.lim.ring)
		}
	case in.status == telephony.StatusInProgress:
		t.answered()
	case in.status.Final():
		t.final(in.status)
		return
	}
	if in.kind != inChecked {
		return
	}
	if t.State >= Ending {
		t.settle() // it was asked once after the end; there is nothing to add
		return
	}
	t.checkAgain()
}

// final notes that the carrier's side is over.
func (t *turn) final(s telephony.Status) {
	t.Finals = t.Finals.with(s)
	switch {
	case t.Away.handedOver():
		t.over(Transferred, "")
	case t.Answered:
		t.over(HangupRemote, "")
	default:
		t.over(Unreachable, "carrier: "+s.String())
	}
}

// streamStarted takes the first stream of a call, and another one if the call has
// been away from it.
func (t *turn) streamStarted() {
	back := t.Stream == streamGone && (t.Away == awayBriefly || t.Away == awayBack || t.Away == awayLost)
	if t.State >= Ending || t.Stream != streamNone && !back {
		return
	}
	t.Stream = streamOpen
	if back {
		t.Away = awayNone
		t.stop(timerAway)
		t.start(timerMedia, t.lim.media)
	}
	t.listen(quiet{})
	t.answered()
	switch {
	case !t.Served:
		t.Served = true
		t.do(doAgent)
	case t.Finishing:
		t.do(doPlayOut) // the agent has returned meanwhile
	}
}

// leaving is told before the carrier is asked: the stream ends with it.
func (t *turn) leaving(in input) {
	if t.State >= Ending || t.Away != awayNone || !t.onStream() {
		return
	}
	t.Away = in.away
	t.stop(timerMedia)
	t.stop(timerQuiet)
	t.start(timerCheck, checkFirst)
	if in.away != awayForGood {
		t.start(timerAway, in.after)
	}
}

func (t *turn) leaveFailed() {
	if t.State >= Ending || t.Away == awayNone {
		return
	}
	t.stop(timerAway)
	if t.Stream == streamGone {
		t.Away = awayNone
		t.end(StreamLost, "the stream ended, and the carrier did not take the caller elsewhere")
		return
	}
	t.stay()
}

// stay notes that the caller has not left the stream after all.
func (t *turn) stay() {
	t.Away = awayNone
	t.listen(quiet{})
	if t.Stream == streamOpen {
		t.start(timerMedia, t.lim.media)
	}
	if t.Finishing {
		t.do(doPlayOut) // the agent has returned meanwhile
	}
}

// listen ends a call on which nothing was heard for too long, and otherwise sets
// the time at which that may be so.
func (t *turn) listen(q quiet) {
	if t.Finishing {
		q.agent = 0 // it has nothing more to say
	}
	next := time.Duration(0)
	for _, side := range [...]struct {
		limit, quiet time.Duration
		cause        Cause
	}{
		{t.lim.agentStall, q.agent, AgentStalled},
		{t.lim.callerSilence, q.caller, CallerSilence},
		{t.lim.silence, q.both, Silence},
	} {
		left := side.limit - side.quiet
		switch {
		case side.limit == 0:
		case left <= 0:
			t.end(side.cause, "")
			return
		case next == 0 || left < next:
			next = left
		}
	}
	if next > 0 {
		t.start(timerQuiet, next)
	}
}

// onStream reports whether there is a stream.
func (t *turn) onStream() bool { return t.Stream == streamOpen || t.Stream == streamFlowing }

func (t *turn) streamEnded(in input) {
	if t.Stream == streamGone {
		return
	}
	t.Stream = streamGone
	switch {
	case t.State >= Ending, t.Away != awayNone:
	case in.orderly:
		t.end(HangupRemote, "")
	case t.lim.grace > 0 && t.Leg != "":
		t.lost()
	default:
		t.end(StreamLost, in.detail)
	}
}

// lost waits for the carrier to open another stream.
func (t *turn) lost() {
	t.Away = awayLost
	t.stop(timerMedia)
	t.stop(timerQuiet)
	t.start(timerAway, t.lim.grace)
	t.start(timerCheck, checkFirst)
}

func (t *turn) agentReturned(in input) {
	switch {
	case t.State >= Ending:
	case t.Away.handedOver():
		t.Finishing = true // for the case that the caller comes back
	case in.cause != CauseNone:
		t.end(in.cause, in.detail)
	case !t.Finishing:
		t.Finishing = true
		if t.Away == awayNone { // otherwise when the caller is back
			t.do(doPlayOut)
		}
	}
}

func (t *turn) fired(which timer) {
	switch which {
	case timerRing:
		if !t.Answered {
			t.end(RingTimeout, "")
		}
	case timerLimit:
		t.end(MaxDuration, "")
	case timerMedia:
		if t.Stream != streamFlowing && t.Away == awayNone {
			t.end(NoMedia, "")
		}
	case timerAway:
		if t.State >= Ending {
			return
		}
		switch t.Away {
		case awayTrying: // it has rung for as long as it may: they are talking
			t.Away = awayForGood
		case awayBriefly, awayBack:
			t.end(NoMedia, "the stream did not come back")
		case awayLost:
			if t.Stream != streamGone { // the carrier's question was an old one
				t.stay()
				return
			}
			t.end(StreamLost, "and did not come back")
		}
	case timerQuiet:
		if t.State < Ending && t.Away == awayNone && t.onStream() {
			t.do(doListen)
		}
	case timerCheck:
		if t.State >= Ending {
			return
		}
		t.Checks++
		if t.Dial == dialUnknown {
			t.do(doFind)
			return
		}
		if t.Leg != "" {
			t.do(doCheck)
		}
	case timerSettle:
		t.settleTimeout()
	}
}

// checkAgain sets the time of the next question to a carrier that is silent.
func (t *turn) checkAgain() {
	t.start(timerCheck, min(checkMost, checkFirst<<min(t.Checks, 8)))
}

// notFound is the answer to a search for a call that may not have been placed.
// It counts for nothing if the call has made itself known meanwhile.
func (t *turn) notFound() {
	switch {
	case t.Dial != dialUnknown:
	case t.Checks < findTries && t.State < Ending:
		t.start(timerCheck, findFirst<<t.Checks)
	default:
		t.over(DialUnknown, t.Detail)
	}
}

// forgotten is the answer to a question about a call of which the carrier knows
// nothing any more.
func (t *turn) forgotten() {
	const detail = "carrier knows no such call"
	switch {
	case t.Away.handedOver():
		t.over(Transferred, detail)
	case t.Answered:
		t.over(HangupRemote, detail)
	default:
		t.over(Unreachable, detail)
	}
}

// over notes that the carrier's side of the call is done with, and begins the
// end if it has not begun.
func (t *turn) over(cause Cause, detail string) {
	if t.State >= Ending {
		t.settle()
		return
	}
	t.Settled = true
	t.end(cause, detail)
}

// end begins the end, if it has not begun. The first cause counts.
func (t *turn) end(cause Cause, detail string) {
	if t.State >= Ending {
		return
	}
	t.State, t.Cause, t.Detail = Ending, cause, detail
	for which := range timers {
		t.stop(which)
	}
	switch {
	case t.Settled:
	case t.Leg == "" && t.Direction == telephony.Inbound:
		t.Settled = true // there is no carrier: it is a stream and nothing else
	case t.Leg != "":
		t.do(doHangup)
		t.start(timerSettle, settleWait)
	case t.Dial == dialUnknown:
		t.do(doFind)
		t.start(timerSettle, dialWait)
	default:
		// The request is on its way: its reply or a webhook brings the id to
		// hang up by.
		t.start(timerSettle, dialWait)
	}
	t.begin(stepSockets)
}

// hungUp is told when the carrier has confirmed our hang-up. For a call that
// had been answered that is all there is to know; for another one the carrier
// will say how it ended.
func (t *turn) hungUp() {
	if t.State >= Ending && t.Answered {
		t.settle()
	}
}

// settleTimeout is reached when the carrier has not said how a call ended that
// we have hung up: ask it once, then decide from what is known.
func (t *turn) settleTimeout() {
	if t.State < Ending || t.Settled {
		return
	}
	if t.Leg != "" && !t.Asked {
		t.Asked = true
		t.do(doCheck)
		t.start(timerSettle, settleWait)
		return
	}
	t.settle()
}

func (t *turn) settle() {
	t.Settled = true
	t.conclude()
}

func (t *turn) stepDone(s step) {
	if s != t.Step || t.State < Ending {
		return // an echo of a step that its deadline has ended
	}
	switch s {
	case stepRecord:
		t.Step = stepDone
		t.State = outcome(t.life)
		t.stop(timerSettle)
	case stepMetrics:
		t.Cleaned = true
		t.conclude()
	default:
		t.begin(s + 1)
	}
}

func (t *turn) begin(s step) {
	t.Step = s
	t.todo = append(t.todo, effect{kind: doStep, step: s})
}

// conclude begins the last step when the others are through and the carrier's
// side is settled.
func (t *turn) conclude() {
	if t.Cleaned && t.Settled && t.Step == stepMetrics {
		t.begin(stepRecord)
	}
}

// recovered resumes a life whose process has ended: nothing is dialed again, no
// socket is there any more, and the carrier is told to end what it has, unless
// the caller is with somebody else. A call that may have been dialed is looked for, and ends when it is found.
func (t *turn) recovered() {
	t.Stream = streamGone
	t.Step, t.Cleaned = stepNone, false
	if t.Away.handedOver() && t.State < Ending {
		// Two people are talking, who do not need us: the carrier tells when they
		// have ended.
		t.Away = awayForGood
		t.Checks = 0
		t.start(timerCheck, findFirst)
		t.start(timerLimit, t.lim.duration)
		return
	}
	if t.State >= Ending {
		// The end had begun; do all of it again, each step is safe to repeat.
		cause, detail := t.Cause, t.Detail
		if t.Dial == dialPending {
			t.Dial = dialUnknown // there will be no reply
		}
		t.State = Connected
		t.end(cause, detail)
		return
	}
	if t.Dial == dialPending || t.Dial == dialUnknown {
		t.Dial = dialUnknown
		t.Checks = 0
		t.start(timerCheck, findFirst)
		return
	}
	t.end(Interrupted, "the process ended during the call")
}

// outcome is the terminal state that follows from what is known.
//
// Somebody who picked up makes a call completed, however it went on. If we gave
// it up before that, our reason decides, whatever word the carrier has for it.
// Otherwise the carrier's word does.
func outcome(l life) State {
	if l.Answered {
		return Completed
	}
	switch l.Cause {
	case RingTimeout:
		return NoAnswer
	case HangupLocal, Drain:
		return Canceled
	}
	for _, m := range [...]struct {
		status telephony.Status
		state  State
	}{
		{telephony.StatusBusy, Busy},
		{telephony.StatusNoAnswer, NoAnswer},
		{telephony.StatusCanceled, Canceled},
	} {
		if l.Finals.has(m.status) {
			return m.state
		}
	}
	return Failed
}
