package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// Service is what a Desk needs of a call.Service.
type Service interface {
	Place(ctx context.Context, req call.Request) (*call.Call, error)
	Wait(ctx context.Context, id string) (*call.Call, error)
	Draining() bool
}

var _ Service = (*call.Service)(nil)

const (
	storeTimeout = 5 * time.Second
	// errorPause is how long a store that failed is left alone.
	errorPause = time.Second
)

// Run gives callers to agents, and calls back those who have asked for it, until
// ctx ends, whose error it returns. End it after the service has shut down: without
// it nobody is served. Only one Run may be going on.
func (d *Desk) Run(ctx context.Context, svc Service) error {
	d.mu.Lock()
	running := d.running
	d.running = true
	d.mu.Unlock()
	if running {
		return errors.New("queue: Run is running")
	}
	r := &run{Desk: d, svc: svc, claim: newID("claim")}
	defer r.end(ctx)
	for {
		pause := d.cfg.Poll
		if err := r.round(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("queues are not seen to", "err", err)
			pause = errorPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-d.news:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// run is one Run. What is in it is its goroutine's.
type run struct {
	*Desk
	svc     Service
	claim   string    // id of the next question; the same until it is answered
	renewed time.Time // when the lease was renewed
	calls   sync.WaitGroup
}

// end gives up what the desk has in the store.
func (r *run) end(ctx context.Context) {
	r.calls.Wait() // ctx ends them
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := errors.Join(r.settle(ctx), r.store.Resign(ctx, r.owner)); err != nil {
		r.log.Warn("places are left in the store until their time is over", "err", err)
	}
	r.mu.Lock()
	r.running = false
	r.mu.Unlock()
}

// round does once whatever there is to do.
func (r *run) round(life context.Context) error {
	ctx, cancel := context.WithTimeout(life, r.cfg.Lease) // for all of it
	defer cancel()
	if err := r.renew(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	known := slices.Collect(maps.Keys(r.visits)) // of which the store knows
	r.mu.Unlock()
	look, err := r.store.Look(ctx)
	if err != nil {
		return err
	}
	if err := r.lapse(ctx, look); err != nil {
		return err
	}
	if err := r.serve(ctx, life, look); err != nil {
		return err
	}
	r.seen(look, known)
	return nil
}

// renew keeps the desk's places from being given up, and writes them anew if they
// were.
func (r *run) renew(ctx context.Context) error {
	if time.Since(r.renewed) < r.cfg.Lease/3 && !r.renewed.IsZero() {
		return nil
	}
	begin := time.Now()
	isNew, err := r.store.Renew(ctx, r.owner, r.cfg.Lease)
	if err != nil {
		return err
	}
	if isNew {
		r.restore()
	}
	r.renewed = begin
	return nil
}

// restore writes all places that the desk has. Those of which the store knows stay
// as they are.
func (d *Desk) restore() {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []write
	for _, v := range d.visits {
		all = append(all, write{place: v.place.Clone()})
	}
	for _, places := range []map[string]*Place{d.given, d.seats, d.callings} {
		for _, p := range places {
			all = append(all, write{place: p.Clone()})
		}
	}
	d.writes = append(all, d.writes...)
}

// settle writes what is to be written.
func (r *run) settle(ctx context.Context) error {
	for {
		r.mu.Lock()
		if len(r.writes) == 0 {
			r.mu.Unlock()
			return nil
		}
		w := r.writes[0]
		r.writes = r.writes[1:]
		r.mu.Unlock()
		var err error
		switch w.do {
		case join:
			err = r.store.Join(ctx, w.place, 0)
		case leave:
			_, err = r.store.Leave(ctx, w.place.ID)
		case goBack:
			err = r.store.Return(ctx, w.place.ID, breath)
		}
		if err != nil {
			r.mu.Lock()
			r.writes = append([]write{w}, r.writes...)
			r.mu.Unlock()
			return err
		}
	}
}

// serve gives callers to agents as long as there are both. Look is brought up to
// date. Of several queues, the one whose first caller has waited longest is seen to
// first. Those who are called back may take as long as life lasts.
func (r *run) serve(ctx, life context.Context, look *Look) error {
	stuck := make(map[string]bool) // queues from which nobody can be taken now
	for i := 0; i < len(look.Places); {
		p := look.Places[i]
		l := r.queues[p.Queue]
		switch {
		case l == nil || stuck[p.Queue]:
			i++
			continue
		case p.Callback != nil && (p.Ready.After(look.Now) || r.svc.Draining()):
			i++ // it is passed over
			continue
		case p.Callback == nil && p.Owner != r.owner, !l.room(look, r.cfg.Capacity):
			stuck[p.Queue] = true
			continue
		}
		got, err := r.store.Claim(ctx, Claim{
			ID: r.claim, Owner: r.owner, Queue: p.Queue,
			Agents: l.Agents, Capacity: r.cfg.Capacity, Callbacks: !r.svc.Draining(),
		})
		if err != nil {
			return err // it is asked again, under the same id
		}
		if got == nil {
			stuck[p.Queue] = true
			continue
		}
		r.claim = newID("claim")
		look.gave(got)
		if got.Callback != nil {
			r.callBack(life, got)
		} else {
			r.give(got)
		}
	}
	return nil
}

// gave notes that a place was given to an agent.
func (l *Look) gave(p *Place) {
	l.Places = slices.DeleteFunc(l.Places, func(q *Place) bool { return q.ID == p.ID })
	for i := range l.Agents {
		if l.Agents[i].Name == p.Agent {
			l.Agents[i].Load++
			return
		}
	}
	l.Agents = append(l.Agents, Agent{Name: p.Agent, Load: 1})
}

// give tells a caller on the line that it has an agent.
func (d *Desk) give(p *Place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.visits[p.ID]
	if v == nil { // it has left meanwhile
		d.write(leave, p)
		return
	}
	delete(d.visits, p.ID)
	d.given[p.CallID] = p
	v.turn <- p.Agent
}

// seen tells all how they stand. Those who are known and wait have been looked for
// an agent in vain.
func (r *run) seen(look *Look, known []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range known {
		if v := r.visits[id]; v != nil && !v.looked {
			v.looked = true
			close(v.nobody)
		}
	}
	for name, l := range r.queues {
		l.see(look, name, r.cfg.Capacity)
	}
}
