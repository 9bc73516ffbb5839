package dialplan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/numbering"
)

// Reasons for which a Policy refuses a number, besides those of numbering.Check.
var (
	// ErrKind tells that numbers of this kind are not dialed.
	ErrKind = errors.New("kind of number is not allowed")
	// ErrRegion tells that this country is not dialed.
	ErrRegion = errors.New("region is not allowed")
	// ErrHours tells that it may be too early or too late where the number rings.
	ErrHours = errors.New("outside calling hours")
)

// ordinary are the kinds of numbers that cost what a call costs.
var ordinary = []numbering.Kind{
	numbering.Fixed, numbering.Mobile, numbering.FixedOrMobile,
	numbering.TollFree, numbering.VoIP, numbering.Company,
}

// Policy is a call.Policy by the numbering plans of the world. The zero value
// allows ordinary numbers that exist, everywhere and at any time: neither premium
// nor shared-cost nor satellite numbers, nor personal ones, pagers, voicemail and
// worldwide networks.
type Policy struct {
	// Regions are the ISO 3166-1 codes of the countries that may be dialed. None:
	// all, and numbers of no country. "US" is the United States, not their 24
	// neighbors with the same country code; "PR" is Puerto Rico.
	Regions []string
	// Kinds are kinds of numbers to be dialed besides ordinary ones.
	Kinds []numbering.Kind
	// Except are prefixes, such as "+49900123", whose numbers are dialed whatever
	// their kind and region, and even if no plan has them: a range may be newer
	// than this program. Hours hold for them, too.
	Except []string
	// Hours are when people may be called, on their own clocks; where a number
	// may ring in several time zones, in all of them. They hold for every leg,
	// the far end of a transfer included. A number of no country, of which nobody
	// knows where it rings, is then not called at all.
	Hours Hours
}

var _ call.Policy = Policy{}

// Allow refuses a leg whose number is not to be dialed, or not now. The error is
// a *call.Refusal that wraps ErrKind, ErrRegion, ErrHours, or what numbering.Check
// says; it does not repeat the number. Outside the hours it tells when they begin.
func (p Policy) Allow(_ context.Context, leg call.Leg) error {
	info, err := numbering.Check(leg.To)
	if !p.excepts(string(leg.To)) {
		switch {
		case err != nil:
			return refuse(err)
		case len(p.Regions) > 0 && !slices.Contains(p.Regions, info.Region):
			return refuse(fmt.Errorf("%w: %q", ErrRegion, info.Region))
		case !slices.Contains(ordinary, info.Kind) && !slices.Contains(p.Kinds, info.Kind):
			return refuse(fmt.Errorf("%w: %s", ErrKind, info.Kind))
		}
	}
	if now := time.Now(); !p.Hours.Open(now, info.Zones) {
		r := &call.Refusal{Reason: call.RefusedHours, Detail: "in " + placeOf(info), Err: ErrHours}
		if next, ok := p.Hours.Next(now, info.Zones); ok {
			r.RetryAfter = next.Sub(now)
		}
		return r
	}
	return nil
}

func refuse(why error) error {
	return &call.Refusal{Reason: call.RefusedDestination, Detail: why.Error(), Err: why}
}

func (p Policy) excepts(number string) bool {
	return slices.ContainsFunc(p.Except, func(prefix string) bool { return strings.HasPrefix(number, prefix) })
}

// placeOf says where a number rings.
func placeOf(info numbering.Info) string {
	if info.Region == "" {
		return "an unknown place"
	}
	return info.Region
}

// Validate checks the regions, the kinds, the prefixes and the hours.
func (p Policy) Validate() error {
	for _, region := range p.Regions {
		if !numbering.KnownRegion(region) {
			return fmt.Errorf("dialplan: %w: %q", numbering.ErrUnknownRegion, region)
		}
	}
	for _, kind := range p.Kinds {
		if kind == numbering.Unknown || kind > numbering.Network {
			return fmt.Errorf("dialplan: %v is no kind of number", kind)
		}
	}
	for _, prefix := range p.Except {
		digits, plus := strings.CutPrefix(prefix, "+")
		if !plus || digits == "" || strings.Trim(digits, "0123456789") != "" {
			return fmt.Errorf("dialplan: prefix %q is not a plus sign and digits", prefix)
		}
	}
	return p.Hours.Validate()
}
