package campaign

import (
	"context"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

// patience is how long a person who has picked up waits for an agent without having
// been abandoned.
const patience = 2 * time.Second

// attempt is what became of a call that is over.
func (r *Runner) attempt(ctx context.Context, c *call.Call) (*Attempt, error) {
	a := &Attempt{At: c.CreatedAt, EndedAt: c.EndedAt, CallID: c.ID, Cause: string(c.Cause), Talk: c.Duration(time.Now())}
	if a.EndedAt.IsZero() {
		a.EndedAt = time.Now()
	}
	switch c.State {
	case call.Completed:
		return a, r.answered(ctx, c, a)
	case call.Busy:
		a.Outcome = Busy
	case call.NoAnswer:
		a.Outcome = NoAnswer
	default:
		a.Outcome = Failed
	}
	return a, nil
}

// answered sets the outcome of a call that somebody or something has answered.
func (r *Runner) answered(ctx context.Context, c *call.Call, a *Attempt) error {
	switch c.AnsweredBy {
	case telephony.AnsweredByMachine, telephony.AnsweredByBeep, telephony.AnsweredByFax:
		a.Outcome = Machine
		return nil
	}
	look := r.abandoned
	if r.cfg.Abandoned != nil {
		look = r.cfg.Abandoned
	}
	abandoned, err := look(ctx, c)
	a.Outcome = Answered
	if abandoned {
		a.Outcome = Abandoned
	}
	return err
}

// abandoned reports whether the person who picked up had no agent on the line in
// time: sound has to travel, which it does when the agent has the call.
func (r *Runner) abandoned(ctx context.Context, c *call.Call) (bool, error) {
	events, err := r.cfg.Service.Events(ctx, c.ID, 0)
	if err != nil {
		return false, err
	}
	for _, e := range events {
		if e.Type == call.EventState && e.State == call.Active {
			return e.At.Sub(c.AnsweredAt) > patience, nil
		}
	}
	left := c.Cause == call.HangupRemote && c.EndedAt.Sub(c.AnsweredAt) < patience
	return !left, nil
}
