// Package wallclock tells at which instant the clocks of a place show a given
// date and time.
//
// Where clocks are put forward they never show some times; where they are put
// back they show some twice. time.Date leaves open what it does with either, and
// may return an instant before the one that was meant.
package wallclock

import "time"

// Fit is how often clocks show a date and time.
type Fit uint8

const (
	Once    Fit = iota
	Skipped     // never: they are put forward over it
	Twice       // they are put back, and show it again
)

// reach is more than any place has ever been away from UTC.
const reach = 26 * time.Hour

// Instant returns when clocks at loc show what a clock at UTC shows at wall,
// whose own location does not matter.
//
// A time that is shown twice is the first of the two. One that is skipped comes
// as late as if clocks had not been put forward: 02:30 where they go from 02:00
// to 03:00 is when they show 03:30. So nothing ever happens too early, and what
// was apart stays apart.
func Instant(wall time.Time, loc *time.Location) (time.Time, Fit) {
	wall = wall.UTC()
	var first, late time.Time
	fit := Skipped
	for from := wall.Add(-reach); ; {
		_, offset := from.In(loc).Zone()
		start, end := from.In(loc).ZoneBounds()
		at := wall.Add(-time.Duration(offset) * time.Second)
		switch before, after := at.Before(start), !end.IsZero() && !at.Before(end); {
		case after:
			late = at // unless they show it later, the last one before the gap
		case before:
		case fit == Skipped:
			first, fit = at, Once
		default:
			fit = Twice
		}
		if end.IsZero() || end.After(wall.Add(reach)) {
			break
		}
		from = end
	}
	if fit == Skipped {
		return late.In(loc), Skipped
	}
	return first.In(loc), fit
}
