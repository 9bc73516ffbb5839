package transcript

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What services of transcription fail with. A transcriber of one's own may use
// them too.
var (
	// ErrAuth tells that a service refuses the credentials. There is no use in
	// trying again with the same.
	ErrAuth = errors.New("credentials are refused")
	// ErrRefused tells that a service refuses what is asked of it, such as a
	// model that it does not have.
	ErrRefused = errors.New("request is refused")
	// ErrThrottled tells that a service is asked too often.
	ErrThrottled = errors.New("asked too often")
	// ErrUnavailable tells that a service cannot be reached or does not answer as
	// it should.
	ErrUnavailable = errors.New("service is not available")
	// ErrFormat tells that a service does not know the format of a call's sound.
	ErrFormat = errors.New("format is not supported")
)

// Error is what a service has said, or why it could not be asked. Its text holds
// no credentials and no words of a call.
type Error struct {
	Service string // such as "deepgram"
	// Reason is ErrAuth, ErrRefused, ErrThrottled or ErrUnavailable.
	Reason error
	// Status is that of HTTP, 0 if there was none.
	Status int
	// Message is what the service says, shortened; empty where it may hold a
	// part of the credentials.
	Message string
	// RetryAfter is how long the service asks to be left alone, 0 if it does
	// not say.
	RetryAfter time.Duration
	// Err is what failed below, if anything.
	Err error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.Service, e.Reason)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.Status)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %q", e.Message)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the reason, and what failed below.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

// Final reports whether it is of no use to ask again.
func (e *Error) Final() bool { return e.Reason == ErrAuth || e.Reason == ErrRefused }

// ReasonOf puts the status of a reply that is not of success into words.
func ReasonOf(status int) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrAuth
	case status == http.StatusTooManyRequests:
		return ErrThrottled
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusConflict:
		return ErrUnavailable
	case status >= 400 && status <= 499:
		return ErrRefused
	}
	return ErrUnavailable
}
