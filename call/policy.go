package call

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Leg is a connection that is about to be dialed: a placed call, or the far end
// of a transfer.
type Leg struct {
	Tenant   string
	AgentID  string
	Provider string
	From, To telephony.Number
	Transfer bool
}

// Policy decides whether a leg may be dialed. It is asked before each one, and
// may be asked by many goroutines at once.
//
// Allow returns nil, or an error that says why not; the service wraps it, so
// that errors.Is with ErrNotAllowed holds.
type Policy interface {
	Allow(ctx context.Context, leg Leg) error
}

// PolicyFunc makes a Policy of a function.
type PolicyFunc func(ctx context.Context, leg Leg) error

// Allow calls fn.
func (fn PolicyFunc) Allow(ctx context.Context, leg Leg) error { return fn(ctx, leg) }

// Policies asks several policies in order; the first refusal counts.
func Policies(all ...Policy) Policy {
	return PolicyFunc(func(ctx context.Context, leg Leg) error {
		for _, p := range all {
			if err := p.Allow(ctx, leg); err != nil {
				return err
			}
		}
		return nil
	})
}

// Destinations is a Policy on the number that is dialed. The zero value allows
// all ordinary numbers: it refuses the ranges whose calls cost whoever places
// them much, to the benefit of whoever rents the number.
type Destinations struct {
	// AllowPrefixes, such as "+1" or "+4420": if there are any, only numbers with
	// one of them are allowed. A prefix that lies within a costly range, or is
	// one, opens that part of it.
	AllowPrefixes []string
	// DenyPrefixes are refused, whatever else holds.
	DenyPrefixes []string
}

// Allow refuses a leg whose number is not to be dialed.
func (d Destinations) Allow(_ context.Context, leg Leg) error {
	to := string(leg.To)
	if _, ok := longestPrefix(to, d.DenyPrefixes); ok {
		return errors.New("prefix is on the deny list")
	}
	allowed, ok := longestPrefix(to, d.AllowPrefixes)
	if !ok && len(d.AllowPrefixes) > 0 {
		return errors.New("prefix is not on the allow list")
	}
	for _, r := range costly {
		if strings.HasPrefix(to, r.prefix) && len(allowed) < len(r.prefix) {
			return fmt.Errorf("%s number (%s)", r.kind, r.prefix)
		}
	}
	return nil
}

// Validate checks the prefixes.
func (d Destinations) Validate() error {
	for _, p := range append(append([]string(nil), d.AllowPrefixes...), d.DenyPrefixes...) {
		digits, plus := strings.CutPrefix(p, "+")
		if !plus || digits == "" || strings.Trim(digits, "0123456789") != "" {
			return fmt.Errorf("call: prefix %q is not a plus sign and digits", p)
		}
	}
	return nil
}

func longestPrefix(number string, prefixes []string) (string, bool) {
	best, found := "", false
	for _, p := range prefixes {
		if strings.HasPrefix(number, p) && len(p) > len(best) {
			best, found = p, true
		}
	}
	return best, found
}

// costly are number ranges that no ordinary call goes to. The country codes are
// from ITU-T's list of assigned E.164 codes (Operational Bulletin annex), the
// national ranges from the numbering plans that the ITU publishes.
var costly = []struct{ prefix, kind string }{
	{"+808", "international shared-cost"},
	{"+979", "international premium-rate"},
	{"+870", "satellite"}, // Inmarsat
	{"+881", "satellite"}, // Global Mobile Satellite System
	{"+882", "international network"},
	{"+883", "international network"},
	{"+888", "unassigned"},
	{"+1900", "premium-rate"},
	{"+1976", "premium-rate"},
	{"+449", "premium-rate"},
	{"+4484", "shared-cost"},
	{"+4487", "shared-cost"},
	{"+4470", "personal"},
	{"+49900", "premium-rate"},
	{"+49180", "shared-cost"},
	{"+49137", "premium-rate"},
	{"+3389", "premium-rate"},
	{"+3381", "shared-cost"},
	{"+3382", "shared-cost"},
	{"+34803", "premium-rate"},
	{"+34806", "premium-rate"},
	{"+34807", "premium-rate"},
	{"+34901", "shared-cost"},
	{"+34902", "shared-cost"},
	{"+34905", "premium-rate"},
	{"+39144", "premium-rate"},
	{"+39166", "premium-rate"},
	{"+39178", "personal"},
	{"+3984", "shared-cost"},
	{"+3989", "premium-rate"},
	{"+3190", "premium-rate"},
	{"+4390", "premium-rate"},
	{"+4393", "premium-rate"},
	{"+41900", "premium-rate"},
	{"+41901", "premium-rate"},
	{"+41906", "premium-rate"},
	{"+4184", "shared-cost"},
	{"+61190", "premium-rate"},
	{"+61130", "shared-cost"},
}
