package campaign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

const (
	// roomPause is how long a contact waits for whom the service had no room.
	roomPause = 5 * time.Second
	// answerPause is how long one waits about whom DoNotCall did not answer.
	answerPause = time.Minute
	// policyPause is how long one waits whom the policy does not allow to be called
	// now, if it does not say how long that lasts.
	policyPause = 15 * time.Minute
	// lookPause is how often a call is looked at that another process has.
	lookPause = 5 * time.Second
)

// see calls a contact that was claimed, at the given time, and settles what became
// of it.
func (r *Runner) see(ctx context.Context, c *Campaign, w *work, k *Contact, at time.Time) {
	placed := false
	dialed := func() { // whatever became of it, another one may be claimed
		if !placed {
			placed = true
			r.mu.Lock()
			w.pending--
			r.mu.Unlock()
			r.look()
		}
	}
	defer func() {
		dialed()
		r.mu.Lock()
		w.live--
		w.settled = true
		r.mu.Unlock()
		r.look()
	}()
	var made *Attempt
	err := contain(func() error {
		placed, refused, err := r.dial(ctx, c, w, k, at)
		dialed()
		if err != nil || placed == nil {
			made = refused
			return err
		}
		ended, err := r.end(ctx, placed)
		if err != nil {
			return err
		}
		made, err = r.attempt(ctx, ended)
		return err
	})
	switch {
	case ctx.Err() != nil && made == nil && k.State == Live && err != nil:
		return // whoever runs the campaign next goes on from here
	case err != nil:
		r.log.Error("contact postponed", "campaign", c.ID, "contact", k.Seq, "err", err)
		k.Claims++ // the call may be there
		r.postpone(k, roomPause)
	case made != nil:
		c.note(k, made)
	}
	r.settle(ctx, c, k, made)
}

// dial places the call of a contact. If it does not, k or the attempt that was
// refused says how it goes on. An error says that the call may have been placed.
func (r *Runner) dial(ctx context.Context, c *Campaign, w *work, k *Contact, at time.Time) (*call.Call, *Attempt, error) {
	if !sleep(ctx, time.Until(at)) {
		k.State = Waiting
		return nil, nil, nil
	}
	if r.cfg.DoNotCall != nil {
		switch listed, err := r.cfg.DoNotCall(ctx, c.Request.Tenant, k.Number); {
		case err != nil:
			r.log.Warn("do-not-call list does not answer", "campaign", c.ID, "err", telephony.Mask(err.Error()))
			r.postpone(k, answerPause)
			return nil, nil, nil
		case listed:
			k.over(Listed, "")
			return nil, nil, nil
		}
	}
	if !w.turn.wait(ctx, c.gap()) {
		k.State = Waiting
		return nil, nil, nil
	}
	w.gate.RLock()
	defer w.gate.RUnlock()
	now, err := r.store.Get(ctx, c.ID)
	if err != nil || now.State != Running || !group(k.Zones).open(c.Hours, time.Now()) {
		k.State = Waiting
		return nil, nil, nil
	}
	req := c.Request
	req.To, req.Context, req.IdempotencyKey = k.Number, k.Data, c.key(k)
	placed, err := r.cfg.Service.Place(ctx, req)
	switch refusal := call.RefusalOf(err); {
	case err == nil:
		r.counts.placed.Add(1)
		if k.Claims > 0 {
			r.counts.taken.Add(1)
		}
		return placed, nil, nil
	case refusal != nil:
		return nil, r.refusal(k, refusal), nil
	case refused(err):
		k.over(Refused, telephony.Mask(err.Error()))
	case errors.Is(err, call.ErrOverloaded), errors.Is(err, call.ErrShutdown):
		r.postpone(k, roomPause)
	default:
		return nil, nil, err
	}
	return nil, nil, nil
}

// refusal has a contact go on whose call the policy does not allow. What could not
// find out, or says nothing of the kind that it is, counts as an attempt that has
// failed: so it ends, and stops the campaign if it goes on.
func (r *Runner) refusal(k *Contact, why *call.Refusal) *Attempt {
	switch {
	case why.Reason == call.RefusedDoNotCall:
		k.over(Listed, "")
	case why.Reason == call.RefusedDestination:
		k.over(Refused, telephony.Mask(why.Error()))
	case why.Reason == call.RefusedOther:
		now := time.Now()
		return &Attempt{At: now, EndedAt: now, Outcome: Failed, Cause: "not_allowed"}
	case why.Passes():
		r.postpone(k, cmp.Or(why.RetryAfter, roomPause))
	default:
		r.postpone(k, cmp.Or(why.RetryAfter, policyPause))
	}
	return nil
}

// refused reports whether a service will say the same when it is asked again.
func refused(err error) bool {
	for _, never := range []error{
		call.ErrInvalidRequest, call.ErrUnknownAgent, call.ErrUnknownProvider, call.ErrIdempotency, telephony.ErrInvalidNumber,
	} {
		if errors.Is(err, never) {
			return true
		}
	}
	return false
}

// end waits until a call is over. A call of before a crash, or of another process,
// may be somebody else's to end.
func (r *Runner) end(ctx context.Context, c *call.Call) (*call.Call, error) {
	for {
		ended, err := r.cfg.Service.Wait(ctx, c.ID)
		switch {
		case errors.Is(err, call.ErrNotFound): // erased meanwhile
			return c, nil
		case err != nil:
			return nil, err
		case ended.State.Terminal():
			return ended, nil
		case !sleep(ctx, lookPause):
			return nil, ctx.Err()
		}
	}
}

// postpone has a contact wait for a while that costs it no attempt.
func (r *Runner) postpone(k *Contact, wait time.Duration) {
	r.counts.postponed.Add(1)
	k.State, k.Due = Waiting, time.Now().Add(wait)
}

// over ends a contact that is not called.
func (c *Contact) over(o Outcome, why string) {
	c.State, c.Due, c.Outcome, c.Detail = Over, time.Time{}, o, why
}

// note adds an attempt to a contact, and says how it goes on.
func (c *Campaign) note(k *Contact, made *Attempt) {
	k.Attempts = append(k.Attempts, *made)
	k.Outcome, k.Detail, k.Claims = made.Outcome, "", 0
	k.State, k.Due = Over, time.Time{}
	if due, again := c.again(k.Attempts); again {
		k.State, k.Due = Waiting, due
	}
}

// settle stores how a contact goes on, and looks whether the campaign does.
func (r *Runner) settle(ctx context.Context, c *Campaign, k *Contact, made *Attempt) {
	k.Version++
	for {
		write, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
		now, err := r.store.Settle(write, c.ID, k, made)
		cancel()
		switch {
		case err == nil:
			if made != nil {
				r.judge(ctx, now)
			}
			return
		case errors.Is(err, ErrConflict):
			r.counts.lost.Add(1)
			r.log.Warn("contact was taken over", "campaign", c.ID, "contact", k.Seq)
			return
		case errors.Is(err, ErrNotFound):
			return // the campaign was removed
		}
		r.storeFailed("contact not settled", c.ID, err)
		if !sleep(ctx, roomPause) {
			return // it will be taken over
		}
	}
}

// judge stops a campaign whose limits are passed.
func (r *Runner) judge(ctx context.Context, c *Campaign) {
	var reason string
	switch failed, abandoned := c.Tally.Failures, c.Tally.Abandoned; {
	case c.State.Over():
		return
	case c.Failures.passed(failed.Count()):
		reason = fmt.Sprintf("%d of the last %d attempts have failed", failed.Count(), len(failed))
	case c.StopAbandoned && c.slowed():
		reason = fmt.Sprintf("%d of the last %d people who answered were abandoned", abandoned.Count(), len(abandoned))
	default:
		return
	}
	if _, err := r.Stop(ctx, c.ID, reason); err != nil && ctx.Err() == nil {
		r.storeFailed("campaign not stopped", c.ID, err)
	}
}

// contain calls into code of the host's and makes an error of its panic, whose
// value is not shown: it may hold anything.
func contain(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic with a %T\n%s", v, debug.Stack())
		}
	}()
	return f()
}
