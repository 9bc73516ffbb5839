package call

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Leg is a connection that is about to be dialed: a placed call, or the far end
// of a transfer.
type Leg struct {
	// CallID is the call that the leg is of. Several legs may be of one call: that
	// of a transfer, and that of a backup.
	CallID   string
	Tenant   string
	AgentID  string
	Provider string
	From, To telephony.Number
	Transfer bool
	// MaxDuration is how long the leg lasts at most, once it is answered.
	MaxDuration time.Duration
}

// Policy decides whether a leg may be dialed. It is asked before each one, and
// may be asked by many goroutines at once. One that holds something for as long
// as the leg lasts is a Reserver, too.
//
// Allow returns nil, or an error that says why not, best a *Refusal; the service
// wraps it, so that errors.Is with ErrNotAllowed holds. It has five seconds: one
// that panics or cannot find out refuses.
type Policy interface {
	Allow(ctx context.Context, leg Leg) error
}

// PolicyFunc makes a Policy of a function.
type PolicyFunc func(ctx context.Context, leg Leg) error

// Allow calls fn.
func (fn PolicyFunc) Allow(ctx context.Context, leg Leg) error { return fn(ctx, leg) }

// DoNotCall is a Policy that asks a list of those who do not want to be called:
// it reports whether to is on the tenant's. An error refuses the leg, too. Other
// than rules about destinations, which say what a host may dial at all, it is
// about people; it is asked about the far ends of transfers as well.
type DoNotCall func(ctx context.Context, tenant string, to telephony.Number) (listed bool, err error)

// Allow refuses who is on the list.
func (listed DoNotCall) Allow(ctx context.Context, leg Leg) error {
	yes, err := listed(ctx, leg.Tenant, leg.To)
	switch {
	case err != nil:
		return fmt.Errorf("do-not-call list: %w", err)
	case yes:
		return &Refusal{Reason: RefusedDoNotCall}
	}
	return nil
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
		return refuseDestination("prefix is on the deny list")
	}
	allowed, ok := longestPrefix(to, d.AllowPrefixes)
	if !ok && len(d.AllowPrefixes) > 0 {
		return refuseDestination("prefix is not on the allow list")
	}
	for _, r := range costly {
		if strings.HasPrefix(to, r.prefix) && len(allowed) < len(r.prefix) {
			return refuseDestination(fmt.Sprintf("%s number (%s)", r.kind, r.prefix))
		}
	}
	return nil
}

func refuseDestination(why string) error {
	return &Refusal{Reason: RefusedDestination, Detail: why}
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
