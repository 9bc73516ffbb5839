package routing

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// MarshalText returns c as String does.
func (c Clock) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads c as ParseClock does.
func (c *Clock) UnmarshalText(text []byte) (err error) {
	*c, err = ParseClock(string(text))
	return err
}

// MarshalText returns s as String does.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), s.validate() }

// UnmarshalText reads a span such as "09:00-18:00".
func (s *Span) UnmarshalText(text []byte) (err error) {
	*s, err = parseSpan(string(text))
	return err
}

// MarshalText returns w as String does.
func (w Week) MarshalText() ([]byte, error) { return []byte(w.String()), w.validate() }

// UnmarshalText reads w as ParseWeek does. Empty text is a week without hours.
func (w *Week) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*w = Week{}
		return nil
	}
	*w, err = ParseWeek(string(text))
	return err
}

const everyYear = "--" // as ISO 8601 once wrote dates without a year

// String returns d as "2026-12-25", or as "--12-25" if it is of every year.
func (d Date) String() string {
	if d.Year == 0 {
		return fmt.Sprintf("%s%02d-%02d", everyYear, d.Month, d.Day)
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
}

// MarshalText returns d as String does.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), d.validate() }

// UnmarshalText reads a date such as "2026-12-25" or "--12-25".
func (d *Date) UnmarshalText(text []byte) error {
	s := string(text)
	rest, every := strings.CutPrefix(s, everyYear)
	if every {
		s = "2000-" + rest // a leap year
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return fmt.Errorf("routing: %q is not a date such as 2026-12-25 or --12-25", text)
	}
	*d = Date{day.Year(), day.Month(), day.Day()}
	if every {
		d.Year = 0
	}
	return d.validate()
}

// hoursJSON is how Hours are written: {"zone": "Europe/Berlin", "week":
// "Mon 09:00-18:00", "days": {"--12-25": []}}.
type hoursJSON struct {
	Zone string          `json:"zone"`
	Week Week            `json:"week"`
	Days map[Date][]Span `json:"days,omitempty"`
}

// MarshalJSON writes h with the name of its zone, which must be one of the IANA
// database.
func (h Hours) MarshalJSON() ([]byte, error) {
	name := h.zone().String()
	if _, err := loadZone(name); err != nil {
		return nil, err
	}
	return json.Marshal(hoursJSON{name, h.Week, h.Days})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (h *Hours) UnmarshalJSON(b []byte) error {
	var read hoursJSON
	if err := json.Unmarshal(b, &read); err != nil {
		return err
	}
	zone, err := loadZone(read.Zone)
	if err != nil {
		return err
	}
	*h = Hours{zone, read.Week, read.Days}
	return nil
}

// loadZone loads a zone that has the same name on every machine.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("routing: hours: %q is not the name of a zone", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("routing: hours: %w", err)
	}
	return loc, nil
}
