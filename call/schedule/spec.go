package schedule

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/wallclock"
	"github.com/switchboard-voice/switchboard/routing"
)

// Errors about schedules.
var (
	// ErrInvalid tells that a field of a Spec cannot be. The error chain says
	// which, and why.
	ErrInvalid = errors.New("schedule: invalid")
	// ErrNever tells that a Spec has no occurrence, or none any more.
	ErrNever = errors.New("schedule: never happens")
)

// Overlap is what becomes of an occurrence when the call of an earlier one is
// not over.
type Overlap string

// The rules for overlaps.
const (
	OverlapSkip  Overlap = ""      // it is skipped
	OverlapAllow Overlap = "allow" // it is placed
)

// Spec is what somebody wants: which call, and when.
type Spec struct {
	// ID names the schedule. Empty: a new one is made up. At most 100 letters,
	// digits, and any of "-_.:".
	ID string `json:"id"`

	// At is the time of a single call, Cron that of many: one of them is needed.
	// Cron has the five fields of crontab (minute, hour, day of the month, month,
	// day of the week), or is @hourly, @daily, @weekly, @monthly or @yearly.
	At   Local  `json:"at,omitzero"`
	Cron string `json:"cron,omitempty"`
	// Zone says whose clocks these are, by a name of the IANA database such as
	// "Europe/Berlin". Needed.
	Zone string `json:"zone"`
	// Strict refuses an At that clocks in Zone skip, or show twice.
	Strict bool `json:"strict,omitempty"`
	// From and Until, if set, bound the occurrences of Cron: at or after From,
	// before Until.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`

	// Grace is how late a call may be placed, because the process was down or had
	// no room. After it the occurrence is missed. Zero: 5 minutes. At most a day.
	Grace time.Duration `json:"grace,omitempty"`
	// Hours, if set, are when the callee may be called: outside of them nothing is
	// dialed, and the occurrence is skipped.
	Hours *routing.Hours `json:"hours,omitempty"`
	// AwaitHours has an occurrence outside of Hours wait until they begin, unless
	// the next one is due by then. Grace counts from there.
	AwaitHours bool `json:"await_hours,omitempty"`
	// Overlap is for an occurrence during the call of an earlier one.
	Overlap Overlap `json:"overlap,omitempty"`

	// Request is the call to place. Its IdempotencyKey must be empty.
	Request call.Request `json:"request"`
}

const (
	defaultGrace = 5 * time.Minute
	maxGrace     = 24 * time.Hour
	maxID        = 100
)

// Occurrences returns the first n occurrences of s after t, or fewer if there
// are no more. It fails if s is invalid.
func (s *Spec) Occurrences(t time.Time, n int) ([]Occurrence, error) {
	p, err := s.compile()
	if err != nil {
		return nil, err
	}
	var all []Occurrence
	for len(all) < n {
		o, ok := p.next(t)
		if !ok {
			break
		}
		all = append(all, o)
		t = o.At
	}
	return all, nil
}

// Validate checks all that can be checked without a service.
func (s *Spec) Validate() error {
	_, err := s.compile()
	return err
}

// plan is a Spec whose texts have been read.
type plan struct {
	spec *Spec
	loc  *time.Location
	rule cronRule
}

func (s *Spec) compile() (*plan, error) {
	p := &plan{spec: s}
	if err := s.check(); err != nil {
		return nil, err
	}
	var err error
	if p.loc, err = location(s.Zone); err != nil {
		return nil, err
	}
	if s.Cron == "" {
		return p, s.checkFit(p.loc)
	}
	if p.rule, err = parseCron(s.Cron); err != nil {
		return nil, err
	}
	if _, ok := p.rule.from(time.Date(2096, 3, 1, 0, 0, 0, 0, time.UTC)); !ok { // before the longest time without a leap day
		return nil, fmt.Errorf("%w: there is no such day", ErrNever)
	}
	return p, nil
}

func (s *Spec) check() error {
	invalid := func(what string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(what, args...))
	}
	switch {
	case len(s.ID) > maxID || strings.Trim(s.ID, idChars) != "":
		return invalid("ID has more than %d characters, or others than letters, digits and -_.:", maxID)
	case s.At.IsZero() == (s.Cron == ""):
		return invalid("one of At and Cron is needed")
	case s.Cron == "" && !(s.From.IsZero() && s.Until.IsZero()):
		return invalid("From and Until are for Cron")
	case !s.At.IsZero() && (s.At.wall.Year() < firstYear || s.At.wall.Year() > lastYear):
		return invalid("At is not between the years %d and %d", firstYear, lastYear)
	case !s.Until.IsZero() && !s.From.Before(s.Until):
		return invalid("From is not before Until")
	case s.Grace < 0 || s.Grace > maxGrace:
		return invalid("Grace is not between 0 and %v", maxGrace)
	case s.AwaitHours && s.Hours == nil:
		return invalid("AwaitHours without Hours")
	case s.Overlap != OverlapSkip && s.Overlap != OverlapAllow:
		return invalid("there is no Overlap %q", s.Overlap)
	case s.Request.IdempotencyKey != "":
		return invalid("Request.IdempotencyKey is set: each occurrence has its own")
	}
	if s.Hours != nil {
		if err := s.Hours.Validate(); err != nil {
			return fmt.Errorf("%w: Hours: %w", ErrInvalid, err)
		}
	}
	return nil
}

const (
	idChars             = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"
	firstYear, lastYear = 1970, 2199 // which a Store can hold as nanoseconds
)

// checkFit refuses an At that is not one time, if s is strict.
func (s *Spec) checkFit(loc *time.Location) error {
	if !s.Strict {
		return nil
	}
	switch _, fit := wallclock.Instant(s.At.wall, loc); fit {
	case wallclock.Skipped:
		return fmt.Errorf("%w: clocks in %s skip %s", ErrInvalid, s.Zone, s.At)
	case wallclock.Twice:
		return fmt.Errorf("%w: clocks in %s show %s twice", ErrInvalid, s.Zone, s.At)
	}
	return nil
}

// next returns the first occurrence after t.
func (p *plan) next(t time.Time) (Occurrence, bool) {
	s := p.spec
	if s.Cron == "" {
		o := occurrenceOf(s.At.wall, p.loc)
		return o, o.At.After(t)
	}
	if !s.From.IsZero() && t.Before(s.From) {
		t = s.From.Add(-1)
	}
	if t.Year() > lastYear {
		return Occurrence{}, false
	}
	o, ok := p.rule.next(t, p.loc)
	if !ok || !s.Until.IsZero() && !o.At.Before(s.Until) {
		return Occurrence{}, false
	}
	return o, true
}

// begin is when an occurrence is due: then, or when calling hours begin. It
// reports false if they never do.
func (p *plan) begin(o Occurrence) (time.Time, bool) {
	if p.spec.AwaitHours {
		return p.spec.Hours.Next(o.At)
	}
	return o.At, true
}

func (s *Spec) grace() time.Duration {
	if s.Grace == 0 {
		return defaultGrace
	}
	return s.Grace
}

// zones holds those that were loaded, by name. Names that there are not do not
// get in.
var zones sync.Map

func location(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%w: Zone %q is not the name of a zone", ErrInvalid, name)
	}
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%w: Zone: %w", ErrInvalid, err)
	}
	zones.Store(name, loc)
	return loc, nil
}
