package telephony

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reasons for which a carrier does not do what it was asked. An [*Error] wraps
// one of them, so that errors.Is tells them apart whatever the carrier.
var (
	ErrAuth         = errors.New("carrier refused the credentials")
	ErrInvalidFrom  = errors.New("not a caller id that may be used")
	ErrNotAllowed   = errors.New("carrier does not allow this destination")
	ErrThrottled    = errors.New("carrier asks to slow down")
	ErrCallGone     = errors.New("carrier knows no such call")
	ErrCallState    = errors.New("call is not in a state for this")
	ErrUnavailable  = errors.New("carrier is not reachable or not working")
	ErrBadReply     = errors.New("carrier sent a reply that makes no sense")
	ErrRefused      = errors.New("carrier refused the request")
	ErrUnverified   = errors.New("webhook is not signed by the carrier")
	ErrUnknownEvent = errors.New("webhook is about nothing known")
)

// Outcome is what became of a request to a carrier. It decides whether the
// request may be sent again.
type Outcome uint8

const (
	// Ambiguous says that nobody knows whether the carrier acted on it. Never
	// send it again: ask the carrier first. It is the zero Outcome, because it
	// is the one to assume.
	Ambiguous Outcome = iota
	// NotSent says that the request did not leave.
	NotSent
	// Throttled says that the carrier did not look at it and wants it later.
	Throttled
	// Rejected says that the carrier looked at it and will not do it.
	Rejected
)

// String returns "ambiguous", "not sent", "throttled" or "rejected".
func (o Outcome) String() string {
	names := [...]string{"ambiguous", "not sent", "throttled", "rejected"}
	if int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// Error is a request to a carrier that failed.
type Error struct {
	Provider string // its name
	Op       string // "dial", "hangup", "status", "find", "redirect", or "start recording" and the like
	Outcome  Outcome
	// Reason is ErrInvalidNumber or one of the errors above.
	Reason error
	// HTTPStatus is the status of the reply, 0 if there was none.
	HTTPStatus int
	// Code is the carrier's own code for the failure, as text; may be empty.
	Code string
	// Message is the carrier's own explanation, cut to 200 bytes.
	Message string
	// RetryAfter is how long the carrier asks to wait; 0 if it did not say.
	RetryAfter time.Duration
	// Err is what failed below: a network error, a context's end; may be nil.
	Err error
}

// Error names the deed once: "twilio: dial: carrier refused the credentials
// (rejected, HTTP 401, code 20003: Authenticate)".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %v (%s", e.Provider, e.Op, e.Reason, e.Outcome)
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, ", HTTP %d", e.HTTPStatus)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, ", code %s", e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	b.WriteByte(')')
	return b.String()
}

// Unwrap returns the reason and what failed below.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

// OutcomeOf returns the Outcome of err: Ambiguous, if err is not an [*Error].
func OutcomeOf(err error) Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return Ambiguous
}
