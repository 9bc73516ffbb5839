package schedule

import (
	"time"

	"github.com/switchboard-voice/switchboard/internal/wallclock"
)

// Occurrence is one time at which a schedule places a call.
type Occurrence struct {
	// Local is what the rule states, and names the occurrence.
	Local Local `json:"local"`
	// At is when that is.
	At time.Time `json:"at"`
	// Shifted tells that clocks skip Local, and that At is later.
	Shifted bool `json:"shifted,omitempty"`
}

// occurrenceOf finds when clocks in loc show what is stated.
func occurrenceOf(wall time.Time, loc *time.Location) Occurrence {
	at, fit := wallclock.Instant(wall, loc)
	return Occurrence{Local{wall}, at, fit == wallclock.Skipped}
}

// next returns the first occurrence of r after t. It reports false if there is
// none.
func (r cronRule) next(t time.Time, loc *time.Location) (Occurrence, bool) {
	// Readings that clocks have just skipped may still be to come.
	wall := LocalOf(t.In(loc)).wall.Add(-skipped(t.In(loc)))
	var first Occurrence
	for found := false; ; {
		stated, ok := r.from(wall)
		if !ok {
			return first, found
		}
		o := occurrenceOf(stated, loc)
		switch {
		case !o.At.After(t): // or the first of two showings was
		case o.Shifted:
			if !found || o.At.Before(first.At) {
				first, found = o, true
			}
		case found && first.At.Before(o.At):
			return first, true
		default:
			// What is stated later is later, and what was skipped and comes at the
			// same time is the same call.
			return o, true
		}
		wall = stated.Add(time.Minute)
	}
}

// skipped is by how much clocks were put forward in the day before t, or a little
// more: a day is the most that they have ever been.
func skipped(t time.Time) time.Duration {
	_, now := t.Zone()
	_, before := t.Add(-25 * time.Hour).Zone()
	return time.Duration(max(0, now-before)) * time.Second
}
