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
	if err := s.recall(ctx, sched, p); err != nil {
		return err
	}
	if sched.State != Active || untilWall(sched.Due) > 0 {
		return nil
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
	sched.State, sched.Due = Paused, time.Time{}
	return s.update(ctx, sched, nil)
}

// recall finds the call of an occurrence whose placing was begun, and of which
// nobody has noted what came of it. If there is one that was its outcome;
// otherwise no call was placed.
func (s *Scheduler) recall(ctx context.Context, sched *Schedule, p *plan) error {
	if sched.Claimed.IsZero() {
		return nil
	}
	c, err := s.find(ctx, sched)
	if err != nil || c == nil {
		return err
	}
	return s.settle(ctx, sched, p, sched.result(Placed, c.ID, ""))
}

// clockSlack is by how much a clock may have been set back between the claim and
// the call.
const clockSlack = 2 * time.Hour

// find looks for the call of sched.Next among those since it was claimed.
func (s *Scheduler) find(ctx context.Context, sched *Schedule) (*call.Call, error) {
	out := telephony.Outbound
	f := call.Filter{
		Tenant:    &sched.Request.Tenant,
		AgentID:   sched.Request.AgentID,
		Direction: &out,
		Since:     sched.Claimed.Add(-clockSlack),
		Limit:     1000,
	}
	for {
		n := 0
		for c, err := range s.cfg.Service.Calls(ctx, f) {
			if err != nil {
				return nil, err
			}
			if c.IdempotencyKey == sched.key() {
				return c, nil
			}
			n++
			at := call.PositionOf(c)
			f.Before = &at
		}
		if n < f.Max() {
			return nil, nil
		}
	}
}

// judge says why the call of sched.Next is not to be placed; nil if it is.
func (s *Scheduler) judge(ctx context.Context, sched *Schedule, p *plan) (*Result, error) {
	now := time.Now().Round(0)
	begin, ok := p.begin(sched.Next)
	following, more := p.next(sched.Next.At)
	switch {
	case !ok || more && !sched.Next.At.Equal(begin) && !begin.Before(following.At):
		return sched.result(Skipped, "", "outside calling hours until the next one"), nil
	case now.Sub(begin) > sched.grace():
		return sched.result(Missed, "", fmt.Sprintf("%v late", now.Sub(begin).Round(time.Second))), nil
	case sched.Hours != nil && !sched.Hours.Open(now):
		return sched.result(Skipped, "", "outside calling hours"), nil
	case sched.Overlap == OverlapSkip && sched.LastCallID != "":
		switch last, err := s.cfg.Service.Call(ctx, sched.LastCallID); {
		case errors.Is(err, call.ErrNotFound): // long ago
		case err != nil:
			return nil, err
		case !last.State.Terminal():
			return sched.result(Skipped, "", "the last call is not over"), nil
		}
	}
	return nil, nil
}

// place places the call of sched.Next. It returns nil if that is to be tried
// again.
func (s *Scheduler) place(ctx context.Context, sched *Schedule) (*Result, error) {
	if sched.Claimed.IsZero() {
		sched.Claimed = time.Now()
		if err := s.update(ctx, sched, nil); err != nil {
			return nil, err
		}
	}
	req := sched.Request
	req.IdempotencyKey = sched.key()
	c, err := s.cfg.Service.Place(ctx, req)
	switch {
	case err == nil:
		return sched.result(Placed, c.ID, ""), nil
	case errors.Is(err, call.ErrIdempotency):
		return sched.result(Placed, "", "by another request"), nil
	case refused(err):
		return sched.result(Refused, "", telephony.Mask(err.Error())), nil
	}
	// No room, or the store did not answer, and may have it: the key makes sure.
	s.retried.Add(1)
	s.log.Warn("scheduled call not placed yet", "schedule", sched.ID, "err", err)
	sched.Due = time.Now().Add(retryPause)
	return nil, s.update(ctx, sched, nil)
}

// refused reports whether a service will say the same when it is asked again.
func refused(err error) bool {
	for _, never := range []error{
		call.ErrNotAllowed, call.ErrInvalidRequest, call.ErrUnknownAgent, call.ErrUnknownProvider, telephony.ErrInvalidNumber,
	} {
		if errors.Is(err, never) {
			return true
		}
	}
	return false
}

func (s *Schedule) result(o Outcome, callID, detail string) *Result {
	return &Result{Occurrence: s.Next, Outcome: o, CallID: callID, Detail: detail, DecidedAt: time.Now()}
}

// settle notes what became of sched.Next and goes on to the following one.
func (s *Scheduler) settle(ctx context.Context, sched *Schedule, p *plan, r *Result) error {
	last := sched.Next.At
	if r.Outcome == Missed {
		last, r.More = p.missed(last, time.Now().Add(-sched.grace()))
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
