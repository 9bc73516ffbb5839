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
//
// It asks for offsets only. Time.ZoneBounds is wrong on the last day of leap years
// to come: the end that it gives is before the time that it was asked about.
func Instant(wall time.Time, loc *time.Location) (time.Time, Fit) {
	wall = wall.UTC()
	// With these offsets clocks go into the days around wall, and out of them.
	in, out := offset(wall.Add(-reach), loc), offset(wall.Add(reach), loc)
	early, late := wall.Add(-in), wall.Add(-out)
	switch isEarly, isLate := offset(early, loc) == in, offset(late, loc) == out; {
	case isEarly && isLate && in != out:
		if late.Before(early) {
			early = late
		}
		return early.In(loc), Twice
	case isEarly:
		return early.In(loc), Once
	case isLate:
		return late.In(loc), Once
	}
	return early.In(loc), Skipped
}

// offset is by how much clocks at loc are ahead of UTC at t.
func offset(t time.Time, loc *time.Location) time.Duration {
	_, seconds := t.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}
