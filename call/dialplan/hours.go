package dialplan

import (
	"fmt"
	"slices"
	"time"
)

// Span is a part of the day, on some days of the week, as a clock on the wall
// shows it.
type Span struct {
	// From and Until are times of the day since midnight, in whole minutes up to
	// 24 hours; From is within the span and Until no longer. If Until is not
	// after From, the span goes on past midnight; if they are equal, for 24
	// hours.
	From, Until time.Duration
	// Days are the days of the week on which the span begins. None: every day.
	Days []time.Weekday
}

// contains reports whether a clock that shows this day and minute of the day is
// within s.
func (s Span) contains(day time.Weekday, minute int) bool {
	from, until := int(s.From/time.Minute), int(s.Until/time.Minute)
	if from < until {
		return s.begins(day) && from <= minute && minute < until
	}
	return s.begins(day) && minute >= from || s.begins((day+6)%7) && minute < until
}

func (s Span) begins(day time.Weekday) bool {
	return len(s.Days) == 0 || slices.Contains(s.Days, day)
}

// Validate checks the times and the days.
func (s Span) Validate() error {
	for _, at := range []time.Duration{s.From, s.Until} {
		if at < 0 || at > day || at%time.Minute != 0 {
			return fmt.Errorf("dialplan: %v is no time of the day in whole minutes", at)
		}
	}
	for _, d := range s.Days {
		if d < time.Sunday || d > time.Saturday {
			return fmt.Errorf("dialplan: %v is no day of the week", d)
		}
	}
	return nil
}

// Hours are the times at which people may be called: within any of the spans. No
// span is any time.
//
// A clock decides, not the time that has passed. So when clocks go forward, an
// hour may be missing from a span; when they go back, the hour that comes twice
// is within it both times or not at all.
type Hours []Span

// Daytime is 8 in the morning to 9 in the evening, as the United States demand of
// whoever sells by telephone (47 CFR 64.1200(c)(1)).
func Daytime() Hours { return Hours{{From: 8 * time.Hour, Until: 21 * time.Hour}} }

// Open reports whether t is within h in all of the zones. In no zone at all it is
// so only if h is any time: where nobody knows what time it is, nobody is called.
func (h Hours) Open(t time.Time, zones []*time.Location) bool {
	if len(h) == 0 {
		return true
	}
	for _, zone := range zones {
		if !h.openAt(t.In(zone)) {
			return false
		}
	}
	return len(zones) > 0
}

// openAt reports whether the clock of t's zone is within h.
func (h Hours) openAt(t time.Time) bool {
	minute := t.Hour()*60 + t.Minute()
	return slices.ContainsFunc(h, func(s Span) bool { return s.contains(t.Weekday(), minute) })
}

const (
	day = 24 * time.Hour

	// horizon is how far Next looks: more than a week, so that each span comes
	// once even if clocks are set meanwhile.
	horizon = 8 * day
)

// Next returns the first time from t on at which h is open in all of the zones:
// t itself, or the beginning of a minute. It reports false if there is none
// within eight days, as when the zones lie half a world apart.
func (h Hours) Next(t time.Time, zones []*time.Location) (time.Time, bool) {
	if len(h) > 0 && len(zones) == 0 {
		return time.Time{}, false
	}
	for at := t; at.Before(t.Add(horizon)); at = at.Truncate(time.Minute).Add(time.Minute) {
		if h.Open(at, zones) {
			return at, true
		}
	}
	return time.Time{}, false
}

// Validate checks every span.
func (h Hours) Validate() error {
	for _, s := range h {
		if err := s.Validate(); err != nil {
			return err
		}
	}
	return nil
}
