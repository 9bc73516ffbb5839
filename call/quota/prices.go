package quota

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/switchboard-voice/switchboard/call"
)

// Prices are what legs cost by the beginning of the number that is dialed, such as
// "+4420": the longest that fits counts. "+" fits all numbers.
type Prices map[string]Price

// ErrNoPrice tells that a number begins with none of the prefixes.
var ErrNoPrice = errors.New("quota: no price for this number")

// Price finds the price of a leg, for Spend. The error is ErrNoPrice.
func (p Prices) Price(_ context.Context, leg call.Leg) (Price, error) {
	for to := string(leg.To); to != ""; to = to[:len(to)-1] {
		if price, ok := p[to]; ok {
			return price, nil
		}
	}
	return Price{}, ErrNoPrice
}

// Validate checks prefixes and amounts.
func (p Prices) Validate() error {
	for prefix, price := range p {
		digits, plus := strings.CutPrefix(prefix, "+")
		if !plus || strings.Trim(digits, "0123456789") != "" {
			return fmt.Errorf("quota: prefix %q is not a plus sign and digits", prefix)
		}
		if price.PerCall < 0 || price.PerMinute < 0 || price.Step < 0 {
			return fmt.Errorf("quota: price of %q is negative", prefix)
		}
	}
	return nil
}
