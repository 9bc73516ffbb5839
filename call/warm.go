package call

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// WarmTransfer says how a caller is given into somebody else's hands in person.
type WarmTransfer struct {
	// To is who is called.
	To telephony.Number
	// From is the caller id. Zero: that of the call, if it was placed, or the
	// number that was called.
	From telephony.Number
	// RingTimeout is how long To may ring, in whole seconds. Zero: 30 s.
	RingTimeout time.Duration
	// Say is spoken to To by the carrier before anything else.
	Say string
	// Brief talks to To before the caller is connected. Nil connects at once.
	// When it returns nil the two are connected; with an error, ErrDeclined for
	// example, they are not. Its context ends when the caller hangs up.
	Brief Agent `json:"-"`
}

// ErrDeclined is for a WarmTransfer.Brief to return when whom it talks to does
// not take the caller.
var ErrDeclined = errors.New("call: declined")

// WarmTransfer calls somebody else, lets Brief talk to them while this agent
// goes on with the caller (or the caller is on Hold), and then connects the two,
// in a conference of the carrier's. It returns nil when they are connected, and
// ctx of the agent ends then, with the cause Transferred; both calls last until
// one of the two hangs up.
//
// A *TransferError tells that it did not come to that: nobody picked up, or Brief
// returned an error, which it wraps. The caller has noticed nothing. If the
// caller hangs up, or ctx ends, before they are connected, the other call is
// hung up; the error is ErrEnded, or that of ctx. Other errors are those of
// Session.Transfer, and of Service.Place for the other call, which has a record
// of its own: see Call.ParentID.
func (s *Session) WarmTransfer(ctx context.Context, w WarmTransfer) error {
	return wrapTransfer(s.live.warmTransfer(ctx, w))
}

// WarmTransfer is Session.WarmTransfer. In a Cluster, a Brief works for calls of
// this replica only; for those of another one the error wraps
// errors.ErrUnsupported.
func (s *Service) WarmTransfer(ctx context.Context, id string, w WarmTransfer) error {
	_, err := s.order(ctx, order{Deed: deedWarmTransfer, Call: id, Warm: &w})
	return wrapTransfer(err)
}

func (l *live) warmTransfer(ctx context.Context, w WarmTransfer) error {
	redirector, err := l.redirector()
	if err != nil {
		return err
	}
	if !telephony.PowersOf(l.carrier()).Has(telephony.CanConference) {
		return fmt.Errorf("conference: %w", errors.ErrUnsupported)
	}
	caller := l.snapshot()
	if w.From == "" {
		w.From = caller.From
		if caller.Direction == telephony.Inbound {
			w.From = caller.To
		}
	}
	held, err := l.mayDial(ctx, w.To, w.From)
	if err != nil {
		return err
	}

	briefed := make(chan error, 1)
	other, err := l.svc.consult(ctx, l, w, held, briefed)
	if err != nil {
		return err
	}
	joined := false
	defer func() {
		if !joined {
			other.tell(input{kind: inEnd, cause: HangupLocal})
		}
	}()
	if err := l.awaitBrief(ctx, other, briefed); err != nil {
		if failed, ok := errors.AsType[*TransferError](err); ok {
			l.emit(Event{Type: EventMove, Name: "declined", Detail: failed.State.String()})
		}
		return err
	}

	room := telephony.Answer{Conference: &telephony.ConferenceAnswer{Name: "sb-" + newID(), EndOnExit: true}}
	enter := func(l *live, r telephony.Redirector) error {
		return l.depart(context.WithoutCancel(ctx), r, &move{name: "conference", away: awayForGood, answer: room}, l.webhook("next"))
	}
	otherRedirector, err := other.redirector()
	if err == nil {
		err = enter(other, otherRedirector)
	}
	if err == nil {
		err = enter(l, redirector)
	}
	joined = err == nil
	return err
}

// awaitBrief waits until whom the caller is to be connected to is ready for that.
func (l *live) awaitBrief(ctx context.Context, other *live, briefed <-chan error) error {
	select {
	case err := <-briefed:
		if err != nil {
			return &TransferError{State: Canceled, Err: err}
		}
		return nil
	case <-other.ctx.Done(): // its end has begun
		select {
		case <-other.done: // so that the record tells how
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return transferFailed(other.snapshot())
	case <-l.ctx.Done():
		return ErrEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// transferFailed is why nobody was reached with c.
func transferFailed(c *Call) error {
	e := &TransferError{State: c.State}
	if c.State == Completed { // picked up, and hung up again
		e.State, e.Err = Canceled, ErrDeclined
	}
	return e
}

// consult calls somebody on behalf of a caller, for which the policy holds what
// is held. Briefed gets what Brief returned.
func (s *Service) consult(ctx context.Context, caller *live, w WarmTransfer, held Reservation, briefed chan<- error) (*live, error) {
	of := caller.snapshot()
	record := &Call{
		ID:        "call_" + newID(),
		ParentID:  of.ID,
		Tenant:    of.Tenant,
		AgentID:   of.AgentID,
		Direction: telephony.Outbound,
		Provider:  of.Provider,
		From:      w.From,
		To:        w.To,
		CreatedAt: time.Now(),
		Context:   of.Context,
		Options:   Options{RingTimeout: cmpOr(w.RingTimeout, defaultTransferTimeout)},
	}
	agent := AgentFunc(func(ctx context.Context, s *Session) error {
		var err error
		if w.Brief != nil {
			err = contain(func() error { return w.Brief.Serve(ctx, s) })
		}
		if err == nil && s.Drain(ctx) != nil {
			return nil // the call is over
		}
		briefed <- err
		if err == nil {
			<-ctx.Done() // whoever waits for this brings the two together
		}
		return nil
	})
	l := s.newLive(record.Clone(), life{Direction: telephony.Outbound}, caller.carrier(), agent)
	l.say = w.Say
	if err := s.admit(l); err != nil {
		s.giveBack(held, Usage{})
		return nil, err
	}
	l.hold(held, time.Time{})
	if _, err := l.create(ctx); err != nil {
		l.abandon()
		return nil, err
	}
	s.counts.placed.Add(1)
	l.begin(input{kind: inBegin})
	return l, nil
}
