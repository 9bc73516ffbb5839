package quota

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// Amount is money, in millionths of the unit that the host counts in: 1.5 cents
// are 15_000 if that is dollars.
type Amount int64

// Spend bounds what legs may cost, by tenant and in all, from one midnight to the
// next. Before a leg is dialed, what it costs if it lasts as long as it may is
// reserved; a leg for which not enough is left is refused. When it is over, what
// it has cost takes the place of the reservation.
//
// A leg counts in the period in which it was dialed. A cap is passed only by legs
// that cost more than was reserved: a call lasts a few seconds more than it may
// until the carrier has hung up. To let more calls through under a cap, let them
// be shorter: see call.Options.MaxDuration.
//
// If the process dies during a call, or the Ledger fails when it is over, the
// reservation stays, in a Ledger that lasts, until the end of the period: then
// too much counts as spent and never too little.
type Spend struct {
	// Price tells what a leg costs; needed. Prices does, by prefix. An error
	// refuses the leg. It must be quick, or heed ctx.
	Price func(ctx context.Context, leg call.Leg) (Price, error)
	// Total is what all tenants may spend in a period, PerTenant what each may,
	// and Tenants are exceptions to that. Zero: any amount; for one of Tenants:
	// nothing.
	Total, PerTenant Amount
	Tenants          map[string]Amount
	// Zone is where midnight is. Nil: UTC.
	Zone *time.Location
	// Monthly makes months of the periods, instead of days.
	Monthly bool
	// Ledger keeps what was spent; needed. NewMemoryLedger makes one that lasts
	// as long as the process.
	Ledger Ledger
}

// Price is what a leg costs: PerCall if it is answered, and PerMinute for each
// minute, in steps of Step. Zero is a minute: what has begun is paid.
type Price struct {
	PerCall, PerMinute Amount
	Step               time.Duration
}

// Cost is the price of a leg that was connected for d; 0 for one that was not.
func (p Price) Cost(d time.Duration) Amount {
	if d <= 0 {
		return 0
	}
	step := p.Step
	if step <= 0 {
		step = time.Minute
	}
	steps := (d + step - 1) / step
	whole, part := Amount(steps*step/time.Minute), Amount(steps*step%time.Minute)
	minute := Amount(time.Minute)
	return p.PerCall + whole*p.PerMinute + (part*p.PerMinute+minute-1)/minute
}

var _ call.Reserver = (*Spend)(nil)

// Allow reports whether a leg could be paid, and reserves nothing.
func (s *Spend) Allow(ctx context.Context, leg call.Leg) error {
	r, err := s.Reserve(ctx, leg)
	if err != nil {
		return err
	}
	return r.Release(ctx, call.Usage{})
}

// Reserve reserves what a leg may cost.
func (s *Spend) Reserve(ctx context.Context, leg call.Leg) (call.Reservation, error) {
	price, err := s.Price(ctx, leg)
	if err != nil {
		return nil, fmt.Errorf("price: %w", err)
	}
	now := time.Now()
	period, next := s.period(now)
	e := Entry{CallID: leg.CallID, Tenant: leg.Tenant, Period: period, Amount: price.Cost(leg.MaxDuration)}
	switch err := s.Ledger.Reserve(ctx, e, s.caps(leg.Tenant)); {
	case errors.Is(err, ErrCap):
		return nil, &call.Refusal{Reason: call.RefusedSpend, RetryAfter: next.Sub(now), Err: err}
	case err != nil:
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return call.ReservationFunc(func(ctx context.Context, used call.Usage) error {
		return s.Ledger.Settle(ctx, e, price.Cost(used.Duration))
	}), nil
}

// caps are those that hold for a tenant.
func (s *Spend) caps(tenant string) Caps {
	c := Caps{Total: NoCap, Tenant: NoCap}
	if s.Total > 0 {
		c.Total = s.Total
	}
	if s.PerTenant > 0 {
		c.Tenant = s.PerTenant
	}
	if amount, ok := s.Tenants[tenant]; ok {
		c.Tenant = amount
	}
	return c
}

// period names the period that t is in, and returns when the next one begins.
func (s *Spend) period(t time.Time) (name string, next time.Time) {
	if s.Zone == nil {
		t = t.UTC()
	} else {
		t = t.In(s.Zone)
	}
	y, m, d := t.Date()
	if s.Monthly {
		return t.Format("2006-01"), time.Date(y, m+1, 1, 0, 0, 0, 0, t.Location())
	}
	return t.Format(time.DateOnly), time.Date(y, m, d+1, 0, 0, 0, 0, t.Location())
}

// Validate checks that there are a price and a ledger, and the caps.
func (s *Spend) Validate() error {
	if s.Price == nil || s.Ledger == nil {
		return errors.New("quota: Spend has no Price or no Ledger")
	}
	if s.Total < 0 || s.PerTenant < 0 {
		return errors.New("quota: a cap is negative")
	}
	for _, amount := range s.Tenants {
		if amount < 0 {
			return errors.New("quota: a cap is negative")
		}
	}
	return nil
}
