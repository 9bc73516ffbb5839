package call

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

const wantPairs = 100

func mapsKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

// flaws are bugs planted in what the service does around apply.
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

// ofSearch marks what a search has not found, as the service does not.
const ofSearch = "search"

// fixes are those of known faults of the service beside apply.
type fixes struct {
	leavesOnlyIfAway   bool
	dialsElsewhereOnce bool // who was not reached is not tried again
	obeyedIfAsked      bool // a refusal counts for nothing if the carrier has asked what to do
	searchesAlone      bool // not while another call between the same numbers is unaccounted for
}

var allFixes = fixes{leavesOnlyIfAway: true, dialsElsewhereOnce: true, searchesAlone: true, obeyedIfAsked: true}

// mend puts right what a known fault of apply has done to a turn.
type mend struct {
	name string
	mend func(before life, in input, after life, todo []effect) (life, []effect)
}

var mends = []mend{
	{"first sound while the caller is being led away", func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inMedia && before.Away != awayNone {
			todo = without(todo, effect{kind: doStop, timer: timerCheck})
		}
		return after, todo
	}},
	{"busy and completed, in this order", func(before life, in input, after life, todo []effect) (life, []effect) {
		told := in.kind == inReport || in.kind == inChecked
		if told && in.status == telephony.StatusCompleted && before.State == Ending && before.Cause == Unreachable {
			after.Answered = true
		}
		return after, todo
	}},
	{"completed is the first that is heard of a call after a crash", func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inReport && in.status == telephony.StatusCompleted && before.State < Ending {
			after.Answered = true
		}
		return after, todo
	}},
	{"a question about the stream of a call whose dial is in doubt", func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inStreamLost && before.Leg == "" {
			return before, nil
		}
		return after, todo
	}},
	{"a search has found nothing, and a webhook has come meanwhile", func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inNotFound && in.detail == ofSearch && before.Dial != dialUnknown {
			return before, nil
		}
		return after, todo
	}},
	{"an old question about a stream that is there", func(before life, in input, after life, todo []effect) (life, []effect) {
		old := in.kind == inTimer && in.timer == timerAway && before.Away == awayLost && after.Away == awayNone
		if old && after.Finishing {
			todo = append(todo, effect{kind: doPlayOut})
		}
		if old && after.Stream == streamOpen {
			todo = append(todo, effect{kind: doTimer, timer: timerMedia, after: 15 * time.Second})
		}
		return after, todo
	}},
	{"given up during the dial, and then a crash", func(before life, in input, after life, todo []effect) (life, []effect) {
		if in.kind == inRecovered && before.State == Ending && before.Dial == dialPending {
			after.Dial = dialUnknown
			todo = append(todo, effect{kind: doFind})
		}
		return after, todo
	}},
	{"over while the search for the call is under way", func(before life, in input, after life, todo []effect) (life, []effect) {
		if after.State == Ending && slices.Contains(todo, effect{kind: doFind}) {
			todo = without(todo, effect{kind: doTimer, timer: timerSettle, after: settleWait})
			todo = append(todo, effect{kind: doTimer, timer: timerSettle, after: dialWait})
		}
		return after, todo
	}},
}

func without(todo []effect, which effect) []effect {
	return slices.DeleteFunc(todo, func(e effect) bool { return e == which })
}

// corrected is apply without its known faults.
func corrected(l life, in input, lim limits) (life, []effect) {
	next, todo := apply(l, in, lim)
	for _, m := range mends {
		next, todo = m.mend(l, in, next, todo)
	}
	return next, todo
}
