package schedule

import (
	"fmt"
	"time"

	_ "time/tzdata" // a schedule without its zone would be none
)

// Local is a date and time as a clock on the wall shows it, to the second. It is
// not known where that is. The zero value is none.
type Local struct{ wall time.Time } // in UTC

// localLayouts are how a Local may be written; the first is how it is.
var localLayouts = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"}

// ParseLocal reads a date and time such as "2026-01-20 14:30:00" or
// "2026-01-20T14:30".
func ParseLocal(s string) (Local, error) {
	for _, layout := range localLayouts {
		if t, err := time.Parse(layout, s); err == nil && t.Nanosecond() == 0 {
			return Local{t}, nil
		}
	}
	return Local{}, fmt.Errorf("%w: %.40q is not a date and time such as 2026-01-20 14:30:00", ErrInvalid, s)
}

// LocalOf is what a clock shows at t in the location of t.
func LocalOf(t time.Time) Local {
	_, offset := t.Zone()
	return Local{t.UTC().Add(time.Duration(offset) * time.Second).Truncate(time.Second)}
}

// IsZero reports whether l is none.
func (l Local) IsZero() bool { return l.wall.IsZero() }

// String returns l as in "2026-01-20T14:30:00", or "" if it is none.
func (l Local) String() string {
	if l.IsZero() {
		return ""
	}
	return l.wall.Format(localLayouts[0])
}

// MarshalText returns l as String does.
func (l Local) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads l as ParseLocal does; empty text is none.
func (l *Local) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*l = Local{}
		return nil
	}
	*l, err = ParseLocal(string(text))
	return err
}
