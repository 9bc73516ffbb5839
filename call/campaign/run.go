package campaign

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// ErrRunning is returned by a second Run.
var ErrRunning = errors.New("campaign: is running already")

const (
	// ahead is how long before their dials contacts are claimed.
	ahead = time.Second
	// storeTime bounds a write that has to be made although the context has ended.
	storeTime = 10 * time.Second
	// regroup is how long it may take until contacts in other zones are seen that
	// another process has added.
	regroup = time.Minute
)

// work is what a Runner does for one campaign.
type work struct {
	// gate is held by those who place a call, while they look whether they may, and
	// place it; by all but one who waits until they have.
	gate sync.RWMutex
	turn pacer

	// Guarded by the Runner's mu.
	live    int // contacts that this process has
	pending int // of these, not dialed yet
	groups  []group
	seen    time.Time // when groups was read
	settled bool      // a contact, since it was looked whether all are over
}

// Run calls the contacts of all campaigns that run, until ctx ends. It returns when
// those that are just being placed have been; its error is that of ctx. Calls go
// on, and what becomes of them is noted by whoever runs the campaign next.
//
// Call it when the service has recovered: see call.Service.Recover.
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.running {
		r.mu.Unlock()
		return ErrRunning
	}
	r.running = true
	r.mu.Unlock()
	defer func() {
		r.contacts.Wait()
		r.resign(ctx)
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
	}()
	renew := time.NewTicker(r.cfg.Lease / 3)
	defer renew.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-renew.C:
			r.renew(ctx, time.Now().Add(r.cfg.Lease), false)
			continue
		case <-r.news:
		case <-timer.C:
		}
		wait, err := r.round(ctx)
		if err != nil && ctx.Err() == nil {
			r.storeFailed("campaigns not read", "", err)
		}
		timer.Reset(wait)
	}
}

// round claims what is to be called next of each campaign, and returns how long
// there is nothing to do.
func (r *Runner) round(ctx context.Context) (time.Duration, error) {
	wait := r.cfg.Poll
	running := make(map[string]bool)
	f := Filter{States: []State{Running}, Limit: 1000}
	for {
		list, err := r.store.List(ctx, f)
		if err != nil {
			return r.cfg.Poll, err
		}
		for _, c := range list {
			next, err := r.claim(ctx, c)
			if err != nil && ctx.Err() == nil {
				r.storeFailed("contacts not claimed", c.ID, err)
			}
			wait = min(wait, next)
			running[c.ID] = true
		}
		if len(list) < f.Max() {
			r.tidy(running)
			return wait, nil
		}
		f.After = list[len(list)-1].ID
	}
}

// claim claims contacts of a campaign and has each called. It returns how long
// there is nothing more to claim, unless a call ends.
func (r *Runner) claim(ctx context.Context, c *Campaign) (time.Duration, error) {
	w := r.work(c.ID)
	gap := c.gap()
	most := int(math.Ceil(float64(ahead) / float64(gap))) // that may be claimed and not dialed
	concurrency := c.Concurrency
	if c.slowed() {
		concurrency = 1
	}
	r.mu.Lock()
	limit, idle := min(most-w.pending, concurrency-w.live), w.live == 0
	r.mu.Unlock()
	if limit <= 0 {
		return r.cfg.Poll, nil // a dial, or the end of a call, makes room
	}
	groups, err := r.groups(ctx, c, w)
	if err != nil {
		return r.cfg.Poll, err
	}
	now := time.Now().Round(0)
	want := Claim{
		Now: now, Owner: r.owner, Until: now.Add(r.cfg.Lease), Zones: open(groups, c, now),
		Limit: limit, Concurrency: concurrency, Gap: gap, Ahead: ahead,
	}
	got, err := r.store.Claim(ctx, c.ID, want)
	if err != nil {
		return r.cfg.Poll, err
	}
	if len(got.Contacts) == 0 {
		if idle {
			err = r.finish(ctx, c, w)
		}
		return r.cfg.Poll, err
	}
	r.mu.Lock()
	w.live += len(got.Contacts)
	w.pending += len(got.Contacts)
	r.mu.Unlock()
	for i, k := range got.Contacts {
		at := got.First.Add(time.Duration(i) * gap)
		r.contacts.Go(func() { r.see(ctx, c, w, k, at) })
	}
	return max(0, got.First.Add(time.Duration(len(got.Contacts))*gap).Sub(now)-ahead/2), nil
}

// slowed reports whether too many people were abandoned to have more than one on
// the phone.
func (c *Campaign) slowed() bool { return c.Spec.Abandoned.passed(c.Tally.Abandoned.Count()) }

// open returns the groups of which contacts may be called at t.
func open(groups []group, c *Campaign, t time.Time) []string {
	var names []string
	for _, g := range groups {
		if g.open(c.Hours, t) {
			names = append(names, string(g))
		}
	}
	return names
}

// groups returns those of the contacts of a campaign that are not over.
func (r *Runner) groups(ctx context.Context, c *Campaign, w *work) ([]group, error) {
	r.mu.Lock()
	groups, seen := w.groups, w.seen
	r.mu.Unlock()
	if time.Since(seen) < regroup {
		return groups, nil
	}
	return r.regroup(ctx, c, w)
}

// regroup reads the groups of a campaign.
func (r *Runner) regroup(ctx context.Context, c *Campaign, w *work) ([]group, error) {
	r.mu.Lock()
	w.settled = false
	r.mu.Unlock()
	counts, err := r.store.Counts(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	set := make(map[group]bool)
	for _, n := range counts {
		if n.State != Over { // those that are live will wait again
			set[group(n.Zones)] = true
		}
	}
	groups := slices.Sorted(maps.Keys(set))
	if len(counts) == 0 {
		groups = nil // it is not done: nobody has been added yet
	} else if groups == nil {
		groups = []group{}
	}
	r.mu.Lock()
	w.groups, w.seen = groups, time.Now()
	r.mu.Unlock()
	return groups, nil
}

// forget has the groups of a campaign read again.
func (r *Runner) forget(id string) {
	w := r.work(id)
	r.mu.Lock()
	w.seen = time.Time{}
	r.mu.Unlock()
}

// finish ends a campaign if it has contacts, and all of them are over.
func (r *Runner) finish(ctx context.Context, c *Campaign, w *work) error {
	r.mu.Lock()
	groups, settled := w.groups, w.settled
	r.mu.Unlock()
	if settled {
		var err error
		if groups, err = r.regroup(ctx, c, w); err != nil {
			return err
		}
	}
	if groups == nil || len(groups) > 0 {
		return nil
	}
	c.State = Done
	c.Version++
	switch err := r.store.Update(ctx, c); {
	case errors.Is(err, ErrConflict):
		r.forget(c.ID) // it has new contacts, or somebody else was faster
		return nil
	case err != nil:
		return err
	}
	r.log.Info("campaign done", "campaign", c.ID)
	return nil
}

// tidy forgets campaigns of which nothing is to be done any more.
func (r *Runner) tidy(running map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.works, func(id string, w *work) bool { return !running[id] && w.live == 0 })
}

// renew has the claims of this process last until a time: those of campaigns with
// contacts, or of all.
func (r *Runner) renew(ctx context.Context, until time.Time, all bool) {
	r.mu.Lock()
	var ids []string
	for id, w := range r.works {
		if all || w.live > 0 {
			ids = append(ids, id)
		}
	}
	r.mu.Unlock()
	for _, id := range ids {
		if err := r.store.Renew(ctx, id, r.owner, until); err != nil && ctx.Err() == nil && !errors.Is(err, ErrNotFound) {
			r.storeFailed("claims not renewed", id, err)
		}
	}
}

// resign ends the claims that this process leaves behind, so that another one
// takes them over at once.
func (r *Runner) resign(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	r.renew(ctx, time.Now().Add(-time.Second), true)
}

// work returns what is done for a campaign.
func (r *Runner) work(id string) *work {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.works[id]
	if w == nil {
		w = new(work)
		r.works[id] = w
	}
	return w
}

func (r *Runner) storeFailed(what, id string, err error) {
	r.counts.storeErrors.Add(1)
	r.log.Error(what, "campaign", id, "err", err)
}

// pacer keeps dials apart.
type pacer struct {
	mu   sync.Mutex
	next time.Time
}

// wait waits for its turn, in the order of those who come. It reports false if ctx
// has ended.
func (p *pacer) wait(ctx context.Context, gap time.Duration) bool {
	p.mu.Lock()
	at := time.Now()
	if p.next.After(at) {
		at = p.next
	}
	p.next = at.Add(gap)
	p.mu.Unlock()
	return sleep(ctx, time.Until(at))
}

// sleep waits for d. It reports false if ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// key is the idempotency key of the next attempt at a contact.
func (c *Campaign) key(k *Contact) string {
	return fmt.Sprintf("campaign %s/%d/%d", c.ID, k.Seq, len(k.Attempts)+1)
}
