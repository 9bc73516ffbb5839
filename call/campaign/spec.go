package campaign

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// ErrInvalid tells that a field of a Spec or of a Contact cannot be. The error
// chain says which, and why.
var ErrInvalid = errors.New("campaign: invalid")

// Spec is what somebody wants: whom to call how, and how often. Request is needed;
// all else has a default.
type Spec struct {
	// ID names the campaign. Empty: a new one is made up. At most 100 letters,
	// digits, and any of "-_.:".
	ID string `json:"id"`

	// Request is the call to place, without To, Context and IdempotencyKey, which
	// are those of each contact. To have machines told from people, set its
	// Options.MachineDetection.
	Request call.Request `json:"request"`

	// Hours are when people may be called, by their own clocks. None: from 8 in the
	// morning to 9 in the evening, as the United States demand of whoever sells by
	// telephone (47 CFR 64.1200(c)(1)). Any time is "Mon-Sun 00:00-24:00".
	Hours routing.Week `json:"hours"`

	// CallsPerSecond is the pace, of all processes together: the calls of a second
	// are spread over it evenly. Zero: 1. At most 1,000.
	CallsPerSecond float64 `json:"calls_per_second,omitempty"`
	// Concurrency is how many contacts may be on the phone at once, in all
	// processes together. Zero: 10. At most 10,000.
	Concurrency int `json:"concurrency,omitempty"`

	// MaxAttempts is how often a contact is called at most, PerDay how often within
	// any 24 hours. Zero: 3 and 1. At most 20.
	MaxAttempts int `json:"max_attempts,omitempty"`
	PerDay      int `json:"per_day,omitempty"`
	// Retry says when who was not reached is called again.
	Retry Retry `json:"retry"`

	// Failures stops the campaign when more of its last attempts have failed than
	// this. Zero: half of the last 50.
	Failures Limit `json:"failures"`
	// Abandoned slows the campaign down to one call at a time while more of the
	// last calls that people answered were [Abandoned] than this; or it stops the
	// campaign, with StopAbandoned. Zero: 3 % of the last 200.
	Abandoned     Limit `json:"abandoned"`
	StopAbandoned bool  `json:"stop_abandoned,omitempty"`
}

// Retry is how long it is at least from the end of an attempt to the next one, by
// what became of it. Negative: there is no next one. At most 30 days.
type Retry struct {
	Busy     time.Duration `json:"busy,omitempty"`      // zero: 10 minutes
	NoAnswer time.Duration `json:"no_answer,omitempty"` // zero: 2 hours
	Machine  time.Duration `json:"machine,omitempty"`   // zero: 4 hours
	Failed   time.Duration `json:"failed,omitempty"`    // zero: 30 minutes
}

// Limit is a share of the last so many: it is passed by more than Share × Of among
// the last Of, even before there have been so many.
type Limit struct {
	Share float64 `json:"share,omitempty"` // from 0 to 1; 1 is never passed
	Of    int     `json:"of,omitempty"`    // at most 1,000
}

// passed reports whether n among the last Of are too many.
func (l Limit) passed(n int) bool { return float64(n) > l.Share*float64(l.Of) }

const (
	maxID          = 100
	idChars        = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"
	maxPace        = 1000
	maxConcurrency = 10_000
	maxAttempts    = 20
	maxOf          = 1000
	maxRetry       = 30 * 24 * time.Hour
	day            = 24 * time.Hour
)

func daytime() (w routing.Week) {
	for d := range w {
		w[d] = []routing.Span{{From: routing.Clock(8 * time.Hour), To: routing.Clock(21 * time.Hour)}}
	}
	return w
}

// WithDefaults returns s with what is not set filled in.
func (s Spec) WithDefaults() Spec {
	if s.Hours.String() == "" {
		s.Hours = daytime()
	}
	setDefault(&s.CallsPerSecond, 1)
	setDefault(&s.Concurrency, 10)
	setDefault(&s.MaxAttempts, 3)
	setDefault(&s.PerDay, 1)
	setDefault(&s.Retry.Busy, 10*time.Minute)
	setDefault(&s.Retry.NoAnswer, 2*time.Hour)
	setDefault(&s.Retry.Machine, 4*time.Hour)
	setDefault(&s.Retry.Failed, 30*time.Minute)
	setDefault(&s.Failures.Share, 0.5)
	setDefault(&s.Failures.Of, 50)
	setDefault(&s.Abandoned.Share, 0.03)
	setDefault(&s.Abandoned.Of, 200)
	return s
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate checks all that can be checked without a service. Zero fields are
// their defaults.
func (s Spec) Validate() error {
	s = s.WithDefaults()
	invalid := func(what string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(what, args...))
	}
	switch {
	case len(s.ID) > maxID || strings.Trim(s.ID, idChars) != "":
		return invalid("ID has more than %d characters, or others than letters, digits and -_.:", maxID)
	case s.Request.IdempotencyKey != "" || s.Request.To != "" || len(s.Request.Context) > 0:
		return invalid("Request has a To, Context or IdempotencyKey: those are each contact's own")
	case !s.Request.From.Valid():
		return fmt.Errorf("%w: Request.From: %w", ErrInvalid, telephony.ErrInvalidNumber)
	case !(s.CallsPerSecond > 0 && s.CallsPerSecond <= maxPace) || s.gap() > day:
		return invalid("CallsPerSecond is not between one a day and %d", maxPace)
	case s.Concurrency < 1 || s.Concurrency > maxConcurrency:
		return invalid("Concurrency is not between 1 and %d", maxConcurrency)
	case s.MaxAttempts < 1 || s.MaxAttempts > maxAttempts || s.PerDay < 1 || s.PerDay > maxAttempts:
		return invalid("MaxAttempts or PerDay is not between 1 and %d", maxAttempts)
	}
	for _, d := range []time.Duration{s.Retry.Busy, s.Retry.NoAnswer, s.Retry.Machine, s.Retry.Failed} {
		if d > maxRetry {
			return invalid("a Retry is above %v", maxRetry)
		}
	}
	for _, l := range []Limit{s.Failures, s.Abandoned} {
		if !(l.Share > 0 && l.Share <= 1) || l.Of < 1 || l.Of > maxOf {
			return invalid("a limit has no Share from 0 to 1, or an Of that is not between 1 and %d", maxOf)
		}
	}
	if err := (&routing.Hours{Week: s.Hours}).Validate(); err != nil {
		return fmt.Errorf("%w: Hours: %w", ErrInvalid, err)
	}
	return nil
}

// gap is the time from one dial to the next.
func (s *Spec) gap() time.Duration {
	return time.Duration(math.Ceil(float64(time.Second) / s.CallsPerSecond))
}

// spacing is how long nobody is called again after an outcome. It reports false if
// that is for ever.
func (r Retry) spacing(o Outcome) (time.Duration, bool) {
	var d time.Duration
	switch o {
	case Busy:
		d = r.Busy
	case NoAnswer:
		d = r.NoAnswer
	case Machine:
		d = r.Machine
	case Failed:
		d = r.Failed
	default:
		return 0, false // reached, or not to be called
	}
	return d, d >= 0
}

// again says when a contact is called again after its last attempt. It reports
// false if it is not.
func (s *Spec) again(attempts []Attempt) (time.Time, bool) {
	last := attempts[len(attempts)-1]
	wait, ok := s.Retry.spacing(last.Outcome)
	if !ok || len(attempts) >= s.MaxAttempts {
		return time.Time{}, false
	}
	due := last.EndedAt.Add(wait)
	if n := len(attempts) - s.PerDay; n >= 0 {
		if next := attempts[n].At.Add(day); next.After(due) {
			due = next
		}
	}
	return due, true
}
