package call

import (
	"iter"
	"maps"
	"slices"

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

// fixes are those of known faults of the service beside apply.
type fixes struct {
	leavesOnlyIfAway   bool
	dialsElsewhereOnce bool // who was not reached is not tried again
}

var allFixes = fixes{dialsElsewhereOnce: true}

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
