package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

const (
	// breath is how long a caller is not called back after it has hung up, and the
	// service is left alone that has no room for the call.
	breath = 5 * time.Second
	// placeKey is where the context of a call tells which place it is placed for.
	placeKey = "queue_place"
)

// callable reports whether the caller can be called back: it is at a telephone
// whose number is known.
func (w *wait) callable() bool {
	theirs, _ := numbers(w.call)
	return theirs.Valid() && w.call.ProviderCallID != ""
}

// numbers returns the caller's number, and ours.
func numbers(c *call.Call) (theirs, ours telephony.Number) {
	if c.Direction == telephony.Outbound {
		return c.To, c.From
	}
	return c.From, c.To
}

// keep lets a caller who hangs up have its place.
func (l *line) keep(c *call.Call, p *Place) {
	theirs, ours := numbers(c)
	kept := &Place{
		ID: newID("place"), Queue: l.name, CallID: c.ID, Joined: p.Joined, HeadStart: p.HeadStart,
		Ready: time.Now().Add(breath).Round(0).UTC(),
	}
	kept.Callback = &call.Request{
		AgentID: l.name, To: theirs, From: ours, Provider: c.Provider, Tenant: c.Tenant, Options: c.Options,
		Context:        map[string]string{placeKey: kept.ID},
		IdempotencyKey: kept.ID,
	}
	for k, v := range c.Context {
		if k != placeKey {
			kept.Callback.Context[k] = v
		}
	}
	l.desk.mu.Lock()
	defer l.desk.mu.Unlock()
	l.counts.Promised++
	l.desk.write(join, kept)
}

// callBack begins to call somebody back who was given to an agent.
func (r *run) callBack(ctx context.Context, p *Place) {
	r.mu.Lock()
	r.callings[p.ID] = p
	r.mu.Unlock()
	r.calls.Go(func() { r.call(ctx, p) })
}

// call calls somebody back, once.
func (r *run) call(ctx context.Context, p *Place) {
	c, err := r.svc.Place(ctx, *p.Callback)
	if err == nil {
		c, err = r.svc.Wait(ctx, c.ID)
	}
	if err != nil && ctx.Err() != nil {
		return // somebody else has to see to it
	}
	switch {
	case err == nil:
		if c.AnsweredAt.IsZero() {
			r.unreached(p)
		}
	case refused(err):
		r.log.Warn("caller is not called back", "call", p.CallID, "err", err)
		r.unreached(p)
	default:
		r.log.Warn("caller is not called back yet", "call", p.CallID, "err", err)
		r.done(p, c, func() { r.write(goBack, p) })
		return
	}
	r.done(p, c, func() { r.write(leave, p) })
}

// refused reports whether a call will never be placed, or was already under the
// same key.
func refused(err error) bool {
	return slices.ContainsFunc([]error{
		call.ErrInvalidRequest, telephony.ErrInvalidNumber, call.ErrUnknownAgent, call.ErrUnknownProvider,
		call.ErrNotAllowed, call.ErrIdempotency,
	}, func(e error) bool { return errors.Is(err, e) })
}

func (d *Desk) unreached(p *Place) { d.queues[p.Queue].count(func(st *Stats) { st.Unreached++ }) }

// done notes that nobody is called back any more for a place.
func (d *Desk) done(p *Place, c *call.Call, then func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.callings, p.ID)
	if c != nil {
		delete(d.given, c.ID)
	}
	then()
}

// calledBack returns the place of a caller who was called back and has picked up.
func (d *Desk) calledBack(c *call.Call) *Place {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.callings[c.Context[placeKey]]
	if p == nil || c.IdempotencyKey != p.ID {
		return nil
	}
	d.given[c.ID] = p
	l := d.queues[p.Queue]
	l.counts.Served++
	l.counts.Waited += c.CreatedAt.Sub(p.Joined)
	return p
}

// lapse gives up callbacks that come too late.
func (r *run) lapse(ctx context.Context, look *Look) error {
	for _, p := range slices.Clone(look.Places) {
		l := r.queues[p.Queue]
		if l == nil || p.Callback == nil || look.Now.Sub(p.Joined) < l.CallbackFor {
			continue
		}
		was, err := r.store.Leave(ctx, p.ID)
		if err != nil {
			return err
		}
		look.Places = slices.DeleteFunc(look.Places, func(q *Place) bool { return q.ID == p.ID })
		if was {
			l.count(func(st *Stats) { st.Lapsed++ })
		}
	}
	return nil
}
