package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

// see sees to the occurrence of a schedule that is due. The caller holds the
// schedule. An error is that of a store: nothing is known to have changed, and
// all of it is done again.
func (s *Scheduler) see(ctx context.Context, id string) error {
	sched, err := s.store.Get(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil // removed since
	case err != nil:
		return err
	}
	p, err := sched.compile()
	if err != nil {
		return s.shelve(ctx, sched, err)
	}
	if sched.State != Active || s.until(sched.Due) > 0 {
		return nil // changed since, or somebody else is at it
	}
	if found, err := s.recall(ctx, sched, p); err != nil || found {
		return err
	}
	r, err := s.judge(ctx, sched, p)
	switch {
	case err != nil:
		return err
	case r == nil:
		r, err = s.place(ctx, sched)
		if err != nil || r == nil {
			return err
		}
	}
	return s.settle(ctx, sched, p, r)
}

// shelve pauses a schedule that cannot be understood: its zone is not there any
// more, or a later version has written it.
func (s *Scheduler) shelve(ctx context.Context, sched *Schedule, why error) error {
	s.log.Error("schedule paused", "schedule", sched.ID, "err", why)
	sched.State, sched.Due, sched.Held = Paused, time.Time{}, time.Time{}
	return s.update(ctx, sched, nil)
}

// recall finds the call of an occurrence whose placing was begun, and of which
// nobody has noted what came of it. If there is one that was its outcome;
// otherwise no call was placed, unless somebody is at it. It reports whether there
// is one.
func (s *Scheduler) recall(ctx context.Context, sched *Schedule, p *plan) (found bool, err error) {
	if sched.Claimed.IsZero() {
		return false, nil
	}
	c, err := s.cfg.Service.CallByKey(ctx, sched.Request.Tenant, sched.key())
	switch {
	case errors.Is(err, call.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, s.settle(ctx, sched, p, s.result(sched, Placed, c.ID, ""))
}

// judge says why the call of sched.Next is not to be placed; nil if it is.
func (s *Scheduler) judge(ctx context.Context, sched *Schedule, p *plan) (*Result, error) {
	now := s.clock()
	begin, ok := p.begin(sched.Next)
	following, more := p.next(sched.Next.At)
	switch {
	case !ok || more && !sched.Next.At.Equal(begin) && !begin.Before(following.At):
		return s.result(sched, Skipped, "", "outside calling hours until the next one"), nil
	case now.Sub(begin) > sched.grace():
		return s.result(sched, Missed, "", fmt.Sprintf("%v late", now.Sub(begin).Round(time.Second))), nil
	case sched.Hours != nil && !sched.Hours.Open(now):
		return s.result(sched, Skipped, "", "outside calling hours"), nil
	case sched.Overlap == OverlapSkip && sched.LastCallID != "":
		switch last, err := s.cfg.Service.Call(ctx, sched.LastCallID); {
		case errors.Is(err, call.ErrNotFound): // long ago
		case err != nil:
			return nil, err
		case !last.State.Terminal():
			return s.result(sched, Skipped, "", "the last call is not over"), nil
		}
	}
	return nil, nil
}

// place places the call of sched.Next. It returns nil if that is to be tried
// again.
func (s *Scheduler) place(ctx context.Context, sched *Schedule) (*Result, error) {
	if err := s.claim(ctx, sched); err != nil {
		return nil, err
	}
	req := sched.Request
	req.IdempotencyKey = sched.key()
	var c *call.Call
	err := contain(func() (err error) {
		c, err = s.cfg.Service.Place(ctx, req)
		return err
	})
	switch {
	case err == nil:
		return s.result(sched, Placed, c.ID, ""), nil
	case errors.Is(err, call.ErrIdempotency):
		return s.result(sched, Placed, "", "by another request"), nil
	case refused(err):
		return s.result(sched, Refused, "", telephony.Mask(err.Error())), nil
	}
	// No room, or the store did not answer, and may have it: the key makes sure.
	s.retried.Add(1)
	s.log.Warn("scheduled call not placed yet", "schedule", sched.ID, "err", err)
	sched.Due, sched.Held = s.clock().Add(retryPause), time.Time{}
	return nil, s.update(ctx, sched, nil)
}

// claim tells all others that the call of sched.Next is being placed. Of several
// who would, the store lets one.
func (s *Scheduler) claim(ctx context.Context, sched *Schedule) error {
	now := s.clock()
	if sched.Claimed.IsZero() {
		sched.Claimed = now
	}
	sched.Held = now.Add(s.cfg.hold())
	sched.Due = sched.Held
	return s.update(ctx, sched, nil)
}

// refused reports whether a service will say the same when it is asked again.
func refused(err error) bool {
	if r := call.RefusalOf(err); r != nil && r.Passes() {
		return false
	}
	for _, never := range []error{
		call.ErrNotAllowed, call.ErrInvalidRequest, call.ErrUnknownAgent, call.ErrUnknownProvider, telephony.ErrInvalidNumber,
	} {
		if errors.Is(err, never) {
			return true
		}
	}
	return false
}

func (s *Scheduler) result(sched *Schedule, o Outcome, callID, detail string) *Result {
	return &Result{Occurrence: sched.Next, Outcome: o, CallID: callID, Detail: detail, DecidedAt: s.clock()}
}

// settle notes what became of sched.Next and goes on to the following one.
func (s *Scheduler) settle(ctx context.Context, sched *Schedule, p *plan, r *Result) error {
	last := sched.Next.At
	if r.Outcome == Missed {
		last, r.More = p.missed(last, s.clock().Add(-sched.grace()))
	}
	sched.Last = r
	if r.CallID != "" {
		sched.LastCallID = r.CallID
	}
	if !sched.advance(p, last) {
		sched.State = Done
	}
	if err := s.update(ctx, sched, r); err != nil {
		return err
	}
	s.counts[r.Outcome].Add(1 + int64(r.More))
	if r.Outcome != Placed {
		s.log.Warn("scheduled call not placed", "schedule", sched.ID, "occurrence", r.Local.String(), "outcome", string(r.Outcome), "detail", r.Detail)
	}
	return nil
}

// maxMissed is how many missed occurrences are counted one by one.
const maxMissed = 10_000

// missed returns the last occurrence that was due before limit, and how many
// there are of them after the one at t.
func (p *plan) missed(t, limit time.Time) (last time.Time, more int) {
	for more < maxMissed {
		o, ok := p.next(t)
		if !ok {
			return t, more
		}
		begin, ok := p.begin(o)
		if !ok || !begin.Before(limit) {
			return t, more
		}
		t = o.At
		more++
	}
	return limit.Add(-1), more
}
