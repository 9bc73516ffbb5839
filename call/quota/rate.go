package quota

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// Rate bounds how fast a tenant begins legs: so many a minute, evenly, and Burst
// of them at once after a pause. A leg that another policy refuses afterwards
// counts, so Rate stands before none but those that hold something. It must not be
// copied once it is used.
//
// How fast a carrier is asked is another matter, and calls wait for that instead
// of being refused: see call.Config.DialsPerSecond.
type Rate struct {
	// PerMinute is how many legs each tenant may begin. Zero: any number.
	PerMinute float64
	// Burst is how many may come at once. Zero: one.
	Burst int
	// Tenants are tenants that may begin more or fewer a minute.
	Tenants map[string]float64

	mu    sync.Mutex // guards what follows
	full  map[string]time.Time
	swept int // tenants there were when those that are idle were last forgotten
}

var _ call.Policy = (*Rate)(nil)

// Allow counts a leg, or refuses it and says how long to wait.
func (r *Rate) Allow(_ context.Context, leg call.Leg) error {
	perMinute, special := r.Tenants[leg.Tenant]
	if !special {
		perMinute = r.PerMinute
	}
	if perMinute == 0 {
		return nil
	}
	every := time.Duration(float64(time.Minute) / perMinute)
	now := time.Now()

	// full is when a tenant could begin Burst legs at once again; each leg puts
	// it off (the generic cell rate algorithm, ITU-T I.371 annex A).
	r.mu.Lock()
	defer r.mu.Unlock()
	full := r.full[leg.Tenant]
	if full.Before(now) {
		full = now
	}
	if wait := full.Add(every).Sub(now) - time.Duration(max(1, r.Burst))*every; wait > 0 {
		return &call.Refusal{Reason: call.RefusedRate, RetryAfter: wait}
	}
	if r.full == nil {
		r.full = make(map[string]time.Time)
	}
	r.full[leg.Tenant] = full.Add(every)
	if len(r.full) > 2*r.swept+64 {
		r.sweep(now)
	}
	return nil
}

// sweep forgets tenants of whom there is nothing to know. The caller holds mu.
func (r *Rate) sweep(now time.Time) {
	for tenant, full := range r.full {
		if full.Before(now) {
			delete(r.full, tenant)
		}
	}
	r.swept = len(r.full)
}

// Validate checks the rates.
func (r *Rate) Validate() error {
	for _, perMinute := range r.Tenants {
		if perMinute < 0 {
			return errors.New("quota: a rate is negative")
		}
	}
	if r.PerMinute < 0 || r.Burst < 0 {
		return errors.New("quota: a rate is negative")
	}
	return nil
}
