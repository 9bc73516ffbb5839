package call

import (
	"slices"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// change is a bug: it spoils what apply has made of a turn.
type change func(before life, in input, after life, todo []effect) (life, []effect)

// flaws are bugs in what the service does around apply.
type flaws struct {
	dialsTwice         bool
	redialsAmbiguous   bool
	dialsWhileDraining bool
	forgetsHangup      bool
	ignoresStops       bool
	leaksSlot          bool
	takesStranger      bool
	admitsAny          bool
	admitsLate         bool
	stopsAtFailure     bool
	writesOnce         bool
	overwrites         bool
}

// plantedBugs are bugs as somebody might make them, and the rules that show
// them. A bug that no rule shows would be a rule that is missing.
var plantedBugs = []struct {
	name  string
	rules []rule
	turn  change
	flaws flaws
}{
	// Dialing.
	{name: "dials twice", rules: []rule{ruleS3}, flaws: flaws{dialsTwice: true}},
	{name: "dials again when nobody knows", rules: []rule{ruleS3}, flaws: flaws{redialsAmbiguous: true}},
	{name: "dials while it drains", rules: []rule{ruleS21}, flaws: flaws{dialsWhileDraining: true}},
	{name: "dials again after a crash", rules: []rule{ruleS3}, turn: func(_ life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inRecovered && after.Dial == dialUnknown {
			todo = append(todo, effect{kind: doDial})
		}
		return after, todo
	}},
	{name: "dials again when the call is not found", rules: []rule{ruleS3}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inNotFound && before.Dial == dialUnknown && after.State < Ending {
			todo = append(todo, effect{kind: doDial})
		}
		return after, todo
	}},
	{name: "does not look for a call that was given up", rules: []rule{ruleE2, ruleL1}, turn: forget(inEnd, doFind)},
	{name: "takes a stranger's call for its own", rules: []rule{ruleE4}, flaws: flaws{takesStranger: true}},

	// Facts.
	{name: "a late status changes a call that is over", rules: []rule{ruleS1}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if before.State.Terminal() && in.kind == inReport && in.status == telephony.StatusCompleted {
			after.State = Completed
		}
		return after, todo
	}},
	{name: "the store does not look at versions", rules: []rule{ruleS1, ruleS2}, flaws: flaws{overwrites: true}},
	{name: "ringing after the answer goes back", rules: []rule{ruleS2}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inReport && in.status == telephony.StatusRinging && before.State == Active {
			after.State = Connecting
		}
		return after, todo
	}},
	{name: "the last cause counts", rules: []rule{ruleS2}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inEnd && before.State == Ending {
			after.Cause = in.cause
		}
		return after, todo
	}},
	{name: "busy is failed", rules: []rule{ruleS2}, turn: func(_ life, _ input, after life, todo []effect) (life, []effect) {
		if after.State == Busy {
			after.State = Failed
		}
		return after, todo
	}},
	{name: "the carrier's word counts more than our own clock", rules: []rule{ruleS2}, turn: func(_ life, _ input, after life, todo []effect) (life, []effect) {
		if after.State == NoAnswer && after.Cause == RingTimeout && after.Finals.has(telephony.StatusCanceled) {
			after.State = Canceled
		}
		return after, todo
	}},
	{name: "final statuses are not kept", rules: []rule{ruleS2}, turn: func(before life, _ input, after life, todo []effect) (life, []effect) {
		after.Finals = before.Finals
		return after, todo
	}},
	{name: "an answer while the call ends is not noted", rules: []rule{ruleS2, ruleS11}, turn: func(before life, _ input, after life, todo []effect) (life, []effect) {
		if before.State == Ending {
			after.Answered = before.Answered
		}
		return after, todo
	}},
	{name: "completed after we gave up counts as answered", rules: []rule{ruleS2}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inReport && in.status == telephony.StatusCompleted && before.State == Ending {
			after.Answered = true
		}
		return after, todo
	}},
	{name: "a status that comes twice counts twice", rules: []rule{ruleS10}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inReport && in.status == telephony.StatusRinging && before.State == Connecting {
			todo = append(todo, effect{kind: doTimer, timer: timerRing, after: testLimits.ring})
		}
		return after, todo
	}},
	{name: "the order of reports decides", rules: []rule{ruleS11, ruleS2}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.status.Final() && before.Finals != 0 {
			after.Finals = before.Finals
		}
		return after, todo
	}},

	// Cleanup.
	{name: "skips a step", rules: []rule{ruleS4}, turn: func(_ life, _ input, after life, todo []effect) (life, []effect) {
		if i := slices.Index(todo, effect{kind: doStep, step: stepTranscript}); i >= 0 {
			todo[i].step, after.Step = stepMetrics, stepMetrics
		}
		return after, todo
	}},
	{name: "does a step again when it is reported twice", rules: []rule{ruleS4}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inStepDone && in.step < before.Step && before.State == Ending {
			todo = append(todo, effect{kind: doStep, step: in.step + 1})
		}
		return after, todo
	}},
	{name: "is over before its cleanup", rules: []rule{ruleS4}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inStepDone && in.step == stepSockets && after.Settled && before.State == Ending {
			after.State = outcome(after)
		}
		return after, todo
	}},
	{name: "a step that fails is the last", rules: []rule{ruleL1, ruleL2}, flaws: flaws{stopsAtFailure: true}},
	{name: "an end during an end begins it again", rules: []rule{ruleS4, ruleS10}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inEnd && before.State == Ending {
			todo = append(todo, effect{kind: doStep, step: stepSockets})
		}
		return after, todo
	}},
	{name: "gives up a room twice, or never", rules: []rule{ruleS6}, flaws: flaws{leaksSlot: true}},
	{name: "a write that fails is not tried again", rules: []rule{ruleL4, ruleL1}, flaws: flaws{writesOnce: true}},

	// Hanging up.
	{name: "now and then does not hang up", rules: []rule{ruleE2}, flaws: flaws{forgetsHangup: true}},
	{name: "does not hang up when somebody wants the end", rules: []rule{ruleE2}, turn: forget(inEnd, doHangup)},
	{name: "does not hang up a call whose dial was given up", rules: []rule{ruleE2}, turn: forget(inDialed, doHangup)},
	{name: "does not hang up what a crash has left", rules: []rule{ruleE2}, turn: forget(inRecovered, doHangup)},
	{name: "a carrier that cannot be asked has no call", rules: []rule{ruleE2}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inChecked && in.leg == "" && before.State < Ending {
			return apply(before, input{kind: inForgotten}, testLimits)
		}
		return after, todo
	}},
	{name: "hangs up two who talk to each other, after a crash", rules: []rule{ruleE3}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inRecovered && before.Away.handedOver() && before.State < Ending {
			before.Away = awayNone
			return apply(before, in, testLimits)
		}
		return after, todo
	}},
	{name: "a stream that ends is an end, wherever the caller is", rules: []rule{ruleE3}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inTimer && in.timer == timerAway && before.Away == awayTrying && before.State < Ending {
			return apply(before, input{kind: inEnd, cause: StreamLost}, testLimits)
		}
		return after, todo
	}},

	// Timers.
	{name: "timers are not stopped", rules: []rule{ruleS13}, flaws: flaws{ignoresStops: true}},
	{name: "the last timer is not stopped", rules: []rule{ruleS13}, turn: func(_ life, in input, after life, todo []effect) (life, []effect) {
		if after.State.Terminal() {
			todo = without(todo, effect{kind: doStop, timer: timerSettle})
		}
		return after, todo
	}},
	{name: "nothing bounds the ringing", rules: []rule{ruleL1}, turn: withoutTimer(timerRing)},
	{name: "nothing bounds the duration", rules: []rule{ruleL1}, turn: withoutTimer(timerLimit)},
	{name: "nothing bounds the wait for sound", rules: []rule{ruleL1}, turn: withoutTimer(timerMedia)},
	{name: "nothing bounds the time away", rules: []rule{ruleL1}, turn: withoutTimer(timerAway)},
	{name: "nothing bounds the wait for the last word", rules: []rule{ruleL1}, turn: withoutTimer(timerSettle)},
	{name: "nobody listens for silence", rules: []rule{ruleL1}, turn: withoutTimer(timerQuiet)},
	{name: "silence is listened for once", rules: []rule{ruleL1}, turn: forgetTimer(inQuiet, timerQuiet)},
	{name: "silence is not listened for when the caller is back", rules: []rule{ruleL1}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inStreamStarted && before.Stream == streamGone {
			return forgetTimer(inStreamStarted, timerQuiet)(before, in, after, todo)
		}
		return after, todo
	}},
	{name: "silence is no end", rules: []rule{ruleE6}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inQuiet && before.State < Ending && after.State >= Ending {
			return before, []effect{{kind: doTimer, timer: timerQuiet, after: time.Minute}}
		}
		return after, todo
	}},
	{name: "silence counts while the caller is away", rules: []rule{ruleE6}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inQuiet && before.Away != awayNone && before.State < Ending {
			return apply(before, input{kind: inEnd, cause: Silence}, testLimits)
		}
		return after, todo
	}},
	{name: "an agent that has returned owes an answer", rules: []rule{ruleE6}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inQuiet && before.Finishing && in.quiet.agent > 30*time.Second && before.State < Ending && before.Away == awayNone {
			return apply(before, input{kind: inEnd, cause: AgentStalled}, testLimits)
		}
		return after, todo
	}},
	{name: "a silent carrier is not asked", rules: []rule{ruleL1}, turn: withoutTimer(timerCheck)},
	{name: "a silent carrier is asked once", rules: []rule{ruleL1}, turn: func(_ life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inChecked && after.State < Ending {
			todo = slices.DeleteFunc(todo, func(e effect) bool { return e.kind == doTimer && e.timer == timerCheck })
		}
		return after, todo
	}},
	{name: "the longest duration is not the end", rules: []rule{ruleL1, ruleS17}, turn: ignore(timerLimit)},
	{name: "a stream that does not come back is not the end", rules: []rule{ruleL1}, turn: ignore(timerAway)},
	{name: "the end of a drain is not the end", rules: []rule{ruleL2}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inEnd && in.cause == Drain {
			return before, nil
		}
		return after, todo
	}},

	// Streams and agents.
	{name: "a stream is taken after the end", rules: []rule{ruleS5, ruleS10}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inStreamStarted && before.State == Ending {
			after.Stream = streamOpen
		}
		return after, todo
	}},
	{name: "a socket is taken after the end", rules: []rule{ruleS5}, flaws: flaws{admitsLate: true}},
	{name: "a second socket is taken", rules: []rule{ruleS14}, flaws: flaws{admitsAny: true}},
	{name: "a second stream is taken", rules: []rule{ruleS10, ruleS14}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inStreamStarted && before.Stream == streamOpen {
			todo = append(todo, effect{kind: doTimer, timer: timerMedia, after: testLimits.media})
		}
		return after, todo
	}},
	{name: "the agent is served again when the caller is back", rules: []rule{ruleE1}, turn: func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inStreamStarted && before.Served && after.Stream == streamOpen && before.Stream != streamOpen {
			todo = append(todo, effect{kind: doAgent})
		}
		return after, todo
	}},
	{name: "last words are not waited for", rules: []rule{ruleE5}, turn: forget(inAgentReturned, doPlayOut)},
	{name: "last words are not waited for when the caller is back", rules: []rule{ruleE5}, turn: forget(inStreamStarted, doPlayOut)},

	// State that is not in the life.
	{name: "calls share a variable", rules: []rule{ruleS9, ruleS10, ruleS23}, turn: sharedState()},
}

func without(todo []effect, which effect) []effect {
	return slices.DeleteFunc(todo, func(e effect) bool { return e == which })
}

// forget is the bug that an effect of some input is left out.
func forget(kind inputKind, what effectKind) change {
	return func(_ life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == kind {
			todo = slices.DeleteFunc(todo, func(e effect) bool { return e.kind == what })
		}
		return after, todo
	}
}

// withoutTimer is the bug that a timer is never started.
func withoutTimer(which timer) change {
	return func(_ life, _ input, after life, todo []effect) (life, []effect) {
		return after, slices.DeleteFunc(todo, func(e effect) bool { return e.kind == doTimer && e.timer == which })
	}
}

// forgetTimer is the bug that some input starts a timer no more.
func forgetTimer(kind inputKind, which timer) change {
	return func(_ life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == kind {
			todo = slices.DeleteFunc(todo, func(e effect) bool { return e.kind == doTimer && e.timer == which })
		}
		return after, todo
	}
}

// ignore is the bug that a timer fires and nothing follows.
func ignore(which timer) change {
	return func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inTimer && in.timer == which {
			return before, nil
		}
		return after, todo
	}
}

// sharedState is the bug that every so many rings of any call are overheard.
func sharedState() change {
	rings := 0
	return func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inReport && after.Rings && !before.Rings {
			if rings++; rings%5 == 0 {
				return before, nil
			}
		}
		return after, todo
	}
}

// Each planted bug is caught, by a rule that was named for it.
func TestSimulationCatchesPlantedBugs(t *testing.T) {
	const most = 20_000
	if n := len(plantedBugs); n < 30 {
		t.Errorf("only %d bugs are planted", n)
	}
	for _, bug := range plantedBugs {
		t.Run(bug.name, func(t *testing.T) {
			planted := func(l life, in input, lim limits) (life, []effect) {
				next, todo := apply(l, in, lim)
				if bug.turn != nil {
					next, todo = bug.turn(l, in, next, todo)
				}
				return next, todo
			}
			tally := newTally()
			for seed := range uint64(most) {
				e := experiment{seed: seed, apply: planted, flaws: bug.flaws, tally: tally, keep: seed%16 < 2}
				_, broken := e.run()
				if broken == nil && seed%16 == 0 {
					broken = neighbours(seed, planted, bug.flaws)
				}
				if broken == nil && bug.turn != nil && seed%4 == 0 {
					broken = orders(seed, planted)
				}
				if broken == nil {
					continue
				}
				if !slices.Contains(bug.rules, broken.rule) {
					t.Errorf("world %d shows it by %v, want one of %v", seed, broken, bug.rules)
				}
				t.Logf("world %d shows it by %s", seed, broken.rule)
				return
			}
			t.Errorf("%d worlds do not show it", most)
		})
	}
}
