package telephony

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestErrorTellsTheDeedOnce(t *testing.T) {
	for _, tt := range []struct {
		err  *Error
		want string
	}{
		{&Error{Provider: "twilio", Op: "dial", Outcome: Rejected, Reason: ErrAuth, HTTPStatus: 401, Code: "20003", Message: "Authenticate"},
			"twilio: dial: carrier refused the credentials (rejected, HTTP 401, code 20003: Authenticate)"},
		{&Error{Provider: "plivo", Op: "hangup", Outcome: NotSent, Reason: ErrUnavailable, Err: errors.New("connection refused")},
			"plivo: hangup: carrier is not reachable or not working (not sent: connection refused)"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

func TestErrorIsItsReasonAndWhatFailedBelow(t *testing.T) {
	err := fmt.Errorf("call: place: %w", &Error{Reason: ErrUnavailable, Err: context.DeadlineExceeded, Outcome: Throttled})
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrAuth) {
		t.Errorf("error is %v", err)
	}
	if got := OutcomeOf(err); got != Throttled {
		t.Errorf("outcome is %v, want throttled", got)
	}
	if errors.Is(&Error{Reason: ErrAuth}, context.Canceled) {
		t.Error("an error with nothing below is Canceled")
	}
}

func TestWhatIsNotKnownIsAmbiguous(t *testing.T) {
	if got := OutcomeOf(errors.New("something")); got != Ambiguous {
		t.Errorf("outcome of any error is %v", got)
	}
	if got := OutcomeOf(&Error{Reason: ErrRefused}); got != Ambiguous {
		t.Errorf("outcome of a bare Error is %v", got)
	}
}

func TestOutcomeNames(t *testing.T) {
	for o, want := range map[Outcome]string{
		Ambiguous: "ambiguous", NotSent: "not sent", Throttled: "throttled", Rejected: "rejected", 9: "outcome(9)",
	} {
		if got := o.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
