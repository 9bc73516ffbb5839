package campaign

import (
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones that are not there would keep their contacts waiting

	"github.com/switchboard-voice/switchboard/routing"
)

// ringing is for how long it must still be within the hours when somebody is
// called, so that no telephone rings after them.
const ringing = time.Minute

// group is the zones in which a number may ring, by their names, with spaces
// between: contacts of one group may be called at the same times. Nobody knows
// when those of the empty group may.
type group string

func groupOf(zones []*time.Location) group {
	names := make([]string, len(zones))
	for i, z := range zones {
		names[i] = z.String()
	}
	return group(strings.Join(names, " "))
}

// zones holds those that were loaded, by name.
var zones sync.Map

// hours returns the hours in each zone of g, or none if one of them is unknown to
// this program.
func (g group) hours(week routing.Week) []routing.Hours {
	var all []routing.Hours
	for name := range strings.FieldsSeq(string(g)) {
		zone, ok := zones.Load(name)
		if !ok {
			loaded, err := time.LoadLocation(name)
			if err != nil {
				return nil
			}
			zone, _ = zones.LoadOrStore(name, loaded)
		}
		all = append(all, routing.Hours{Zone: zone.(*time.Location), Week: week})
	}
	return all
}

// open reports whether contacts of g may be called at t.
func (g group) open(week routing.Week, t time.Time) bool { return isOpen(g.hours(week), t) }

func isOpen(hours []routing.Hours, t time.Time) bool {
	for i := range hours {
		if !hours[i].Open(t) || !hours[i].Open(t.Add(ringing)) {
			return false
		}
	}
	return len(hours) > 0
}

// horizon is how far opens looks: more than a week, so that each span comes once
// even if clocks are set meanwhile.
const horizon = 8 * day

// opens returns the first time from t on at which contacts of g may be called. It
// reports false if there is none within eight days, as when the zones lie half a
// world apart.
func (g group) opens(week routing.Week, t time.Time) (time.Time, bool) {
	hours := g.hours(week)
	if len(hours) == 0 {
		return time.Time{}, false
	}
	for end := t.Add(horizon); t.Before(end); {
		if isOpen(hours, t) {
			return t, true
		}
		later := t
		for i := range hours {
			next, ok := hours[i].Next(later)
			if !ok {
				return time.Time{}, false
			}
			later = next
		}
		if later.Equal(t) { // open, and about to close
			later = t.Truncate(time.Minute).Add(time.Minute)
		}
		t = later
	}
	return time.Time{}, false
}
