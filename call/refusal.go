package call

import (
	"errors"
	"maps"
	"sync"
	"time"
)

// Reason is why a Policy refuses a leg: one stable word, and an error, so that
// errors.Is(err, call.RefusedHours) tells.
type Reason string

// The reasons for which the policies of this module refuse.
const (
	// RefusedDestination: numbers such as this one are not dialed.
	RefusedDestination Reason = "destination"
	// RefusedHours: it may be too early or too late where it would ring.
	RefusedHours Reason = "hours"
	// RefusedDoNotCall: who would be called does not want to be.
	RefusedDoNotCall Reason = "do_not_call"
	// RefusedCalls: the tenant, or all of them, have as many calls as they may.
	RefusedCalls Reason = "calls"
	// RefusedRate: the tenant has begun too many calls in a short time.
	RefusedRate Reason = "rate"
	// RefusedSpend: the call might cost more than may still be spent.
	RefusedSpend Reason = "spend"
	// RefusedOther: a policy has given no Reason, or could not find out.
	RefusedOther Reason = "other"
)

var reasonTexts = map[Reason]string{
	RefusedDestination: "destination",
	RefusedHours:       "outside calling hours",
	RefusedDoNotCall:   "number is not to be called",
	RefusedCalls:       "too many calls at once",
	RefusedRate:        "too many calls in a short time",
	RefusedSpend:       "spend cap",
}

// Error says it for people.
func (r Reason) Error() string {
	if text, ok := reasonTexts[r]; ok {
		return text
	}
	return string(r)
}

// Refusal is the error of a Policy that does not allow a leg. What it says is
// told to whoever asked for the call: it holds no number and no secret.
type Refusal struct {
	// Reason is one of those above, or a host's own word.
	Reason Reason
	// Detail says more, for people; may be empty.
	Detail string
	// RetryAfter is how long it is until the answer may be another one. Zero:
	// never, or nobody knows.
	RetryAfter time.Duration
	// Err is more about it, for errors.Is; may be nil. It is not told.
	Err error
}

// Error names the reason and the detail.
func (r *Refusal) Error() string {
	if r.Detail == "" {
		return r.Reason.Error()
	}
	return r.Reason.Error() + ": " + r.Detail
}

// Unwrap returns the reason, and Err.
func (r *Refusal) Unwrap() []error {
	if r.Err == nil {
		return []error{r.Reason}
	}
	return []error{r.Reason, r.Err}
}

// Passes reports whether the refusal passes by itself within moments: there are
// too many calls just now.
func (r *Refusal) Passes() bool { return r.Reason == RefusedCalls || r.Reason == RefusedRate }

// RefusalOf returns the Refusal in the chain of err. For an error that wraps
// ErrNotAllowed and has none, its Reason is RefusedOther; for others it is nil.
func RefusalOf(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	if errors.Is(err, ErrNotAllowed) {
		return &Refusal{Reason: RefusedOther, Err: err}
	}
	return nil
}

// refusals are counted by reason. A host's own words are counted as long as there
// are few of them, and as RefusedOther otherwise.
type refusals struct {
	mu sync.Mutex
	by map[Reason]int64
}

const maxReasons = 32

func (r *refusals) count(why Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[Reason]int64)
	}
	if _, known := r.by[why]; !known && len(r.by) >= maxReasons {
		why = RefusedOther
	}
	r.by[why]++
}

func (r *refusals) counted() map[Reason]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.by)
}
