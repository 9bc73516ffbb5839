package guard

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Error is a request that did not end with a complete reply of success. Its
// text holds neither the address of the request nor anything of the reply.
type Error struct {
	// NotSent tells that no part of the request was written to a connection.
	NotSent bool
	// Status is the status of the reply, 0 if there was none.
	Status int
	// Body is what was read of the reply, at most MaxBody.
	Body []byte
	// RetryAfter is how long the reply asks to wait, 0 if it does not say and at
	// most a day.
	RetryAfter time.Duration
	// Err is what failed below; nil if the reply was complete.
	Err error
}

func (e *Error) Error() string {
	var parts []string
	if e.NotSent {
		parts = append(parts, "not sent")
	}
	if e.Status != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", e.Status))
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns what failed below.
func (e *Error) Unwrap() error { return e.Err }

// Outcome tells what became of the request, by the status alone: a carrier
// that redirects a request (301, 302, 307, 308) or refuses it with a 4xx has
// not acted on it, except that 408, 425 and 303 do not say so.
func (e *Error) Outcome() telephony.Outcome {
	switch {
	case e.NotSent:
		return telephony.NotSent
	case e.Status == http.StatusTooManyRequests:
		return telephony.Throttled
	case e.Status == http.StatusRequestTimeout, e.Status == http.StatusTooEarly:
		return telephony.Ambiguous
	case e.Status >= 400 && e.Status <= 499:
		return telephony.Rejected
	case e.Status == http.StatusMovedPermanently, e.Status == http.StatusFound,
		e.Status == http.StatusTemporaryRedirect, e.Status == http.StatusPermanentRedirect:
		return telephony.Rejected
	}
	return telephony.Ambiguous
}

// Reason puts the failure into the words of package telephony, by the status
// alone.
func (e *Error) Reason() error {
	switch {
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return telephony.ErrAuth
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		return telephony.ErrCallGone
	case e.Status == http.StatusTooManyRequests:
		return telephony.ErrThrottled
	case e.Status == http.StatusRequestTimeout, e.Status == 0, e.Status >= 500:
		return telephony.ErrUnavailable
	case e.Status >= 300:
		return telephony.ErrRefused
	}
	return telephony.ErrBadReply
}

const longestWait = 24 * time.Hour

// retryAfter reads the header Retry-After (RFC 9110, section 10.2.3), a number
// of seconds or a date. A date is taken against the carrier's own clock, if the
// reply tells it.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestWait)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), longestWait)
}
