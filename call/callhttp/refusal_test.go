package callhttp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// Each reason for which a policy refuses is a problem of its own, with the time to
// come back where there is one, and what a policy says that gives no reason is not
// told.
func TestRefusalsAreProblems(t *testing.T) {
	tests := []struct {
		err    error
		status int
		word   string
		after  string
	}{
		{&call.Refusal{Reason: call.RefusedDestination, Detail: "satellite number"}, 403, "destination_not_allowed", ""},
		{&call.Refusal{Reason: call.RefusedHours, RetryAfter: 90 * time.Minute}, 403, "outside_calling_hours", "5400"},
		{&call.Refusal{Reason: call.RefusedDoNotCall}, 403, "do_not_call", ""},
		{&call.Refusal{Reason: call.RefusedCalls}, 429, "too_many_calls", "5"},
		{&call.Refusal{Reason: call.RefusedRate, RetryAfter: 1500 * time.Millisecond}, 429, "too_fast", "2"},
		{&call.Refusal{Reason: call.RefusedSpend, RetryAfter: time.Hour}, 429, "spend_cap", "3600"},
		{&call.Refusal{Reason: "arrears", Detail: "pay first"}, 403, "not_allowed", ""},
		{errors.New("10.0.0.5:5432: connection refused"), 403, "not_allowed", ""},
	}
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, func(c *call.Config, _ *Config) {
					c.Policy = call.PolicyFunc(func(context.Context, call.Leg) error { return tt.err })
				})
				w := b.ask("acme", "POST", "/api/calls", ordinary)
				body := w.Body.String()
				wantProblem(t, w, tt.status, tt.word)
				if got := w.Header().Get("Retry-After"); got != tt.after {
					t.Errorf("Retry-After %q, want %q", got, tt.after)
				}
				var r *call.Refusal
				told := errors.As(tt.err, &r)
				if strings.Contains(body, "10.0.0.5") || told && !strings.Contains(body, tt.err.Error()) {
					t.Errorf("told: %s", body)
				}
			})
		})
	}
}
