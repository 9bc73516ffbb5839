package quota

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/switchboard-voice/switchboard/call"
)

// Calls bounds how many legs there are at once. The zero value bounds nothing. It
// must not be copied once it is used.
type Calls struct {
	// Total is how many all tenants may have. Zero: any number.
	Total int
	// PerTenant is how many each may have. Zero: any number.
	PerTenant int
	// Tenants are tenants that may have more or fewer; for them zero is none.
	Tenants map[string]int

	mu    sync.Mutex // guards what follows
	total int
	by    map[string]int // tenants without a leg are not in it
}

var _ call.Reserver = (*Calls)(nil)

// Allow reports whether there is room for a leg, and takes none.
func (c *Calls) Allow(_ context.Context, leg call.Leg) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.allow(leg.Tenant)
}

// Reserve takes room for a leg, until it is over.
func (c *Calls) Reserve(_ context.Context, leg call.Leg) (call.Reservation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.allow(leg.Tenant); err != nil {
		return nil, err
	}
	if c.by == nil {
		c.by = make(map[string]int)
	}
	c.total++
	c.by[leg.Tenant]++
	return call.ReservationFunc(func(context.Context, call.Usage) error {
		c.release(leg.Tenant)
		return nil
	}), nil
}

// allow is Allow. The caller holds mu.
func (c *Calls) allow(tenant string) error {
	limit, special := c.Tenants[tenant]
	if !special {
		limit = c.PerTenant
	}
	switch {
	case (special || limit > 0) && c.by[tenant] >= max(0, limit):
		return &call.Refusal{Reason: call.RefusedCalls, Detail: fmt.Sprintf("%d of this tenant are live", c.by[tenant])}
	case c.Total > 0 && c.total >= c.Total:
		return &call.Refusal{Reason: call.RefusedCalls}
	}
	return nil
}

func (c *Calls) release(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.by[tenant]--; c.by[tenant] == 0 {
		delete(c.by, tenant)
	}
}

// Live is how many legs there are now, in all and of one tenant.
func (c *Calls) Live(tenant string) (total, ofTenant int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total, c.by[tenant]
}

// Validate checks the limits.
func (c *Calls) Validate() error {
	if c.Total < 0 || c.PerTenant < 0 {
		return errors.New("quota: a number of calls is negative")
	}
	return nil
}
