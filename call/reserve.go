package call

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Reserver is a Policy that holds something for each leg that it allows, such as
// a place among the calls of a tenant, or money, and is told when the leg is over.
type Reserver interface {
	Policy
	// Reserve is Allow, and is asked instead of it. What it returns without an
	// error is released once; nil if nothing is held. After an error nothing is.
	Reserve(ctx context.Context, leg Leg) (Reservation, error)
}

// Reservation is what a Policy holds for one leg.
type Reservation interface {
	// Release gives it back. The service calls it once for each leg, whatever
	// becomes of it: when it is over, or as soon as it is known not to come about.
	// Two seconds after, it is not waited for any more; an error is counted
	// (Stats.Unsettled) and logged. If the process dies it is not called.
	Release(ctx context.Context, used Usage) error
}

// ReservationFunc makes a Reservation of a function.
type ReservationFunc func(ctx context.Context, used Usage) error

// Release calls fn.
func (fn ReservationFunc) Release(ctx context.Context, used Usage) error { return fn(ctx, used) }

// Usage is what became of a leg.
type Usage struct {
	// Dialed is false if the carrier certainly has not dialed it.
	Dialed bool
	// Duration is how long it was connected: 0 if nobody answered. For the far end
	// of a transfer, of which no carrier tells when it is picked up, it is counted
	// from when it was dialed.
	Duration time.Duration
}

// policies asks several.
type policies []Policy

// Policies asks several policies in order; the first refusal counts, and what
// those before it hold is released. So those that hold something stand last.
func Policies(all ...Policy) Policy { return policies(all) }

// Allow asks without holding anything.
func (all policies) Allow(ctx context.Context, leg Leg) error {
	for _, p := range all {
		if err := p.Allow(ctx, leg); err != nil {
			return err
		}
	}
	return nil
}

// Reserve holds what each of them does.
func (all policies) Reserve(ctx context.Context, leg Leg) (Reservation, error) {
	var held reservations
	for _, p := range all {
		var r Reservation
		err := contain(func() (err error) { r, err = ask(ctx, p, leg); return err })
		if err != nil {
			return nil, errors.Join(err, held.Release(context.WithoutCancel(ctx), Usage{}))
		}
		if r != nil {
			held = append(held, r)
		}
	}
	if len(held) == 0 {
		return nil, nil
	}
	return held, nil
}

// Validate asks each of them.
func (all policies) Validate() error { return validate(slices.Values(all)) }

// ask asks one policy, and holds what it does.
func ask(ctx context.Context, p Policy, leg Leg) (Reservation, error) {
	if r, ok := p.(Reserver); ok {
		return r.Reserve(ctx, leg)
	}
	return nil, p.Allow(ctx, leg)
}

// reservations are what several policies hold for one leg.
type reservations []Reservation

// Release releases all of them, the last one first.
func (all reservations) Release(ctx context.Context, used Usage) error {
	var failed error
	for _, r := range slices.Backward(all) {
		failed = errors.Join(failed, contain(func() error { return r.Release(ctx, used) }))
	}
	return failed
}

// policyTimeout bounds what a policy takes to decide.
const policyTimeout = 5 * time.Second

// reserve asks the policy about a leg. What it holds, which may be nothing, is
// the caller's to give to a call, or back.
func (s *Service) reserve(ctx context.Context, leg Leg) (Reservation, error) {
	r, err := within(ctx, s, policyTimeout, func(ctx context.Context) (Reservation, error) {
		return ask(ctx, s.cfg.Policy, leg)
	}, func(late Reservation) { s.giveBack(late, Usage{}) })
	if err == nil {
		return r, nil
	}
	err = fmt.Errorf("%w: %w", ErrNotAllowed, err)
	s.refusals.count(RefusalOf(err).Reason)
	return nil, err
}

// giveBack releases what a policy holds.
func (s *Service) giveBack(r Reservation, used Usage) {
	if r == nil {
		return
	}
	err := s.do(context.Background(), releaseTimeout, func(ctx context.Context) error { return r.Release(ctx, used) })
	if err != nil {
		s.counts.unsettled.Add(1)
		s.log.Error("what the policy holds for a leg was not released", "err", err)
	}
}

// heldLeg is a leg of a call for which the policy holds something.
type heldLeg struct {
	reservation Reservation
	since       time.Time // when it was dialed, if it is the far end of a transfer
}

// hold lets the call keep what the policy holds for one of its legs, until free
// or the end of the call. Since is when the far end of a transfer was dialed; zero
// for the call's own leg.
func (l *live) hold(r Reservation, since time.Time) *heldLeg {
	if r == nil {
		return nil
	}
	h := &heldLeg{r, since}
	l.mu.Lock()
	over := l.over
	if !over {
		l.held = append(l.held, h)
	}
	l.mu.Unlock()
	if over {
		l.svc.giveBack(r, Usage{})
	}
	return h
}

func (l *live) allHeld() []*heldLeg {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.held)
}

// free gives back what is held for one leg, unless that has been done.
func (l *live) free(h *heldLeg, used Usage) {
	l.mu.Lock()
	i := slices.Index(l.held, h)
	if i >= 0 {
		l.held = slices.Delete(l.held, i, i+1)
	}
	l.mu.Unlock()
	if i >= 0 {
		l.svc.giveBack(h.reservation, used)
	}
}

// freeAll gives back what is left when the call is over, or has not come about.
func (l *live) freeAll() {
	l.mu.Lock()
	all, c := l.held, l.record
	l.held = nil
	l.mu.Unlock()
	end := c.EndedAt
	if end.IsZero() {
		end = time.Now() // another replica has the call
	}
	for _, h := range all {
		used := Usage{Dialed: l.life.State.Terminal() && l.life.Dial != dialRefused, Duration: c.Duration(end)}
		if !h.since.IsZero() {
			used = Usage{Dialed: true, Duration: max(0, end.Sub(h.since))}
		}
		l.svc.giveBack(h.reservation, used)
	}
}
