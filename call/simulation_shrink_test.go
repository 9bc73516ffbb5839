package call

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// explain makes a world that breaks a rule as short and dull as it can be, and
// tells what happens in it.
func (e experiment) explain(r rule) string {
	e.tally, e.record = newTally(), true
	w, _ := e.run()
	tapes := [][]uint16{w.dice.tape}
	for _, c := range w.calls {
		tapes = append(tapes, c.dice.tape)
	}
	e.record = false
	breaks := func(tapes [][]uint16) bool {
		e.tapes = tapes
		_, broken := e.run()
		return broken != nil && broken.rule == r
	}
	if !breaks(tapes) {
		return "the tape of the seed does not break it"
	}
	e.tapes = shrink(tapes, breaks)
	e.trace = true
	w, broken := e.run()
	return fmt.Sprintf("the shortest way there:\n%v\n%v", w.trace, broken)
}

// shrink makes tapes shorter and duller, as long as breaks says that they still
// do. Each choice that is not needed becomes 0.
func shrink(tapes [][]uint16, breaks func([][]uint16) bool) [][]uint16 {
	tries := 0
	attempt := func(i int, tape []uint16) bool {
		if tries++; tries > 20_000 {
			return false
		}
		next := slices.Clone(tapes)
		next[i] = tape
		if breaks(next) {
			tapes = next
			return true
		}
		return false
	}
	for before := -1; before != weight(tapes); {
		before = weight(tapes)
		for i := range tapes {
			for n := len(tapes[i]); n > 0; n /= 2 { // cut off the end
				for shorter := true; shorter; {
					shorter = len(tapes[i]) >= n && attempt(i, tapes[i][:len(tapes[i])-n])
				}
			}
			for n := max(1, len(tapes[i])/2); n > 0; n /= 2 {
				for at := 0; at+n <= len(tapes[i]); {
					if !attempt(i, slices.Delete(slices.Clone(tapes[i]), at, at+n)) {
						at += n
					}
				}
				for at := 0; at+n <= len(tapes[i]); at += n {
					dull := slices.Clone(tapes[i])
					clear(dull[at : at+n])
					if !slices.Equal(dull, tapes[i]) {
						attempt(i, dull)
					}
				}
			}
			for at := range len(tapes[i]) {
				for at < len(tapes[i]) && tapes[i][at] > 1 {
					less := slices.Clone(tapes[i])
					less[at] /= 2
					if !attempt(i, less) {
						break
					}
				}
			}
		}
	}
	return tapes
}

// weight is how much there is to shrink.
func weight(tapes [][]uint16) int {
	n := 0
	for _, tape := range tapes {
		n += len(tape) * 1_000_000
		for _, v := range tape {
			n += int(v)
		}
	}
	return n
}

// trace is the story of a world, to be read.
type trace struct{ rows [][5]string }

func (t *trace) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "time\tcall\twhat\tstate\tto do")
	for _, r := range t.rows {
		fmt.Fprintln(w, strings.Join(r[:], "\t"))
	}
	_ = w.Flush()
	return b.String()
}

// say adds something that is not the life's to the trace.
func (w *world) say(c *simCall, format string, args ...any) {
	if w.trace == nil {
		return
	}
	name := ""
	if c != nil {
		name = c.name
	}
	w.trace.rows = append(w.trace.rows, [5]string{clock(w.now), name, "· " + fmt.Sprintf(format, args...)})
}

// row adds an input, and what came of it.
func (w *world) row(o *owner, in input, before, next life, todo []effect) {
	if w.trace == nil {
		return
	}
	var does []string
	for _, e := range todo {
		does = append(does, e.String())
	}
	name := o.c.name
	if o.p > 0 {
		name += "'"
	}
	state := next.State.String()
	if next.Cause != before.Cause {
		state += " (" + string(next.Cause) + ")"
	}
	w.trace.rows = append(w.trace.rows, [5]string{clock(w.now), name, in.String(), state, strings.Join(does, ", ")})
}

func clock(d time.Duration) string { return fmt.Sprintf("%9.3fs", d.Seconds()) }

var inputNames = [inputKinds]string{
	"begin", "admitted", "dialed", "dial failed", "report", "asked", "stream started", "media", "stream ended",
	"agent returned", "played out", "end", "leaving", "leave failed", "returning", "stream lost", "timer",
	"checked", "hung up", "not found", "forgotten", "step done", "recovered",
}

func (k inputKind) String() string { return inputNames[k] }

var timerNames = [timers]string{"ring", "limit", "media", "check", "settle", "away"}

func (t timer) String() string { return timerNames[t] }

func (in input) String() string {
	s := in.kind.String()
	switch in.kind {
	case inReport, inChecked, inAsked:
		s += ": " + in.status.String()
		if in.talked {
			s += ", talked"
		}
	case inDialFailed:
		s += ": " + in.outcome.String()
	case inTimer:
		s += ": " + in.timer.String()
	case inStepDone:
		s += ": " + in.step.String()
	case inEnd, inAgentReturned:
		s += ": " + string(in.cause)
	case inLeaving:
		s += fmt.Sprintf(": %d", in.away)
	case inStreamEnded:
		if !in.orderly {
			s += ": broken"
		}
	}
	return s
}

func (e effect) String() string {
	switch e.kind {
	case doTimer:
		return fmt.Sprintf("start %v %v", e.timer, e.after)
	case doStop:
		return "stop " + e.timer.String()
	case doStep:
		return "step " + e.step.String()
	}
	return [...]string{"dial", "hang up", "agent", "play out", "check", "find"}[e.kind]
}
