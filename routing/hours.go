package routing

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/internal/wallclock"
)

// Clock is a time that a clock on the wall shows, since midnight: from 0 to
// 24 h, in whole minutes.
type Clock time.Duration

// ParseClock reads a time such as "09:30". "24:00" is the end of the day.
func ParseClock(s string) (Clock, error) {
	if len(s) != 5 || s[2] != ':' || strings.Trim(s[:2]+s[3:], "0123456789") != "" {
		return 0, fmt.Errorf("routing: %q is not a time such as 09:30", s)
	}
	hour, minute := int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
	c := Clock(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
	if minute > 59 || c > Clock(24*time.Hour) {
		return 0, fmt.Errorf("routing: there is no time %q", s)
	}
	return c, nil
}

// String returns c as ParseClock reads it.
func (c Clock) String() string {
	minutes := time.Duration(c) / time.Minute
	return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60)
}

// Span is a part of a day: from From on, until before To. If To is not after
// From it is the To of the next day.
type Span struct{ From, To Clock }

// overnight reports whether s ends on the day after.
func (s Span) overnight() bool { return s.To <= s.From }

// String returns s as ParseWeek reads it.
func (s Span) String() string { return s.From.String() + "-" + s.To.String() }

func (s Span) validate() error {
	for _, c := range []Clock{s.From, s.To} {
		if c < 0 || c > Clock(24*time.Hour) || time.Duration(c)%time.Minute != 0 {
			return fmt.Errorf("routing: %v is no time of the clock in whole minutes", time.Duration(c))
		}
	}
	if s.From == Clock(24*time.Hour) {
		return errors.New("routing: a span cannot begin at 24:00")
	}
	return nil
}

// Date is a day in the calendar. A Year of 0 is every year.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Week is the spans of each weekday, time.Sunday the first. Those of a day
// belong to it even where they last into the next.
type Week [7][]Span

// Hours are the times at which somebody is there, as the clocks of a place show
// them. The zero value is never.
//
// When clocks are put back, hours last as much longer, and when they are put
// forward as much shorter.
type Hours struct {
	// Zone is the place; nil is UTC. See time.LoadLocation.
	Zone *time.Location
	Week Week
	// Days are those on which other spans hold than in the week, or none:
	// holidays. A span that has begun the day before goes on all the same. A date
	// with a year goes before one without.
	Days map[Date][]Span
}

// Open reports whether t is within h.
func (h *Hours) Open(t time.Time) bool {
	wall := h.wall(t)
	clock := Clock(wall.Sub(midnight(wall)))
	for _, s := range h.on(wall) {
		if clock >= s.From && (s.overnight() || clock < s.To) {
			return true
		}
	}
	for _, s := range h.on(wall.AddDate(0, 0, -1)) {
		if s.overnight() && clock < s.To {
			return true
		}
	}
	return false
}

// horizon is how many days ahead Next looks: a span on a leap day may be eight
// years away.
const horizon = 8*366 + 1

// Next returns t if it is within h, and otherwise when h begins next. It reports
// false if that never happens.
func (h *Hours) Next(t time.Time) (time.Time, bool) {
	if h.Open(t) {
		return t, true
	}
	day := midnight(h.wall(t))
	for range horizon {
		if next := h.opens(day, t); !next.IsZero() {
			return next, true
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}

// opens returns the first instant of a day, and after t, at which h begins: zero
// if there is none.
func (h *Hours) opens(day, t time.Time) time.Time {
	var next time.Time
	consider := func(at time.Time) {
		if at.After(t) && (next.IsZero() || at.Before(next)) && h.Open(at) {
			next = at
		}
	}
	noon, _ := wallclock.Instant(day.Add(12*time.Hour), h.zone())
	turn, end := noon.ZoneBounds()
	for _, turn := range []time.Time{turn, end} {
		if !turn.IsZero() && midnight(h.wall(turn)).Equal(day) {
			consider(turn) // clocks are put into a span, or back to before it
		}
	}
	for _, s := range h.on(day) {
		wall := day.Add(time.Duration(s.From))
		at, fit := wallclock.Instant(wall, h.zone())
		consider(at)
		if _, turn := at.ZoneBounds(); fit == wallclock.Twice {
			_, offset := turn.Zone()
			consider(wall.Add(-time.Duration(offset) * time.Second).In(h.zone()))
		}
	}
	return next
}

// on returns the spans that begin on a day.
func (h *Hours) on(day time.Time) []Span {
	if len(h.Days) > 0 {
		year, month, d := day.Date()
		if spans, ok := h.Days[Date{year, month, d}]; ok {
			return spans
		}
		if spans, ok := h.Days[Date{0, month, d}]; ok {
			return spans
		}
	}
	return h.Week[day.Weekday()]
}

// wall returns what clocks show at t, as a time in UTC, where days have 24
// hours.
func (h *Hours) wall(t time.Time) time.Time {
	t = t.In(h.zone())
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

func (h *Hours) zone() *time.Location {
	if h.Zone == nil {
		return time.UTC
	}
	return h.Zone
}

func midnight(wall time.Time) time.Time {
	year, month, day := wall.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// Validate checks the spans and the dates, and that h is not never.
func (h *Hours) Validate() error {
	if err := h.Week.validate(); err != nil {
		return err
	}
	some := h.Week.String() != ""
	for date, spans := range h.Days {
		if err := date.validate(); err != nil {
			return err
		}
		if err := validateSpans(spans); err != nil {
			return err
		}
		some = some || len(spans) > 0
	}
	if !some {
		return errors.New("routing: hours that are never")
	}
	return nil
}

func (w Week) validate() error {
	for _, spans := range w {
		if err := validateSpans(spans); err != nil {
			return err
		}
	}
	return nil
}

func validateSpans(spans []Span) error {
	if len(spans) > daySpans {
		return fmt.Errorf("routing: a day has more than %d spans", daySpans)
	}
	for _, s := range spans {
		if err := s.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (d Date) validate() error {
	year := d.Year
	if year == 0 {
		year = 2000 // a leap year
	}
	at := time.Date(year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
	if year < 1 || year > 9999 || at.Month() != d.Month || at.Day() != d.Day {
		return fmt.Errorf("routing: there is no day %s", d)
	}
	return nil
}
