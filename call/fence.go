package call

import (
	"context"
	"errors"
	"time"
)

// A call belongs to whoever wrote its record last: another replica takes it over
// by writing itself into it, and the version of the record lets one of many do so.
// Who had the call before learns it from its own next write, which is refused, or
// by looking. It gives the call up: what it holds of it here is closed, and nothing
// is hung up, stored or told any more.

// ours says why a call may not be acted on with the carrier, in ways that cost or
// that harm whoever has it by now. It is asked right before that.
func (l *live) ours(ctx context.Context) error {
	c := l.svc.cluster
	if c == nil {
		return nil
	}
	_, lapses, good := c.standing()
	if !good {
		return ErrNoLease
	}
	if int64(lapses) == l.lapses.Load() {
		return nil // since we have the call, nobody could take it over
	}
	if err := l.doubt(ctx); err != nil {
		return err
	}
	if _, now, good := c.standing(); !good || now != lapses {
		return ErrNoLease
	}
	l.lapses.Store(int64(lapses))
	return nil
}

// doubt looks whether the call is still this replica's, and gives it up if not.
func (l *live) doubt(ctx context.Context) error {
	stored, err := l.svc.stored(ctx, l.id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil // erased, or not stored yet: nobody else has it
	case err != nil:
		return err
	case stored.Owner != l.svc.cluster.name:
		l.fence()
		return ErrEnded
	}
	return nil
}

// doubtAll looks after all calls, when somebody may have taken them for those of
// a dead replica.
func (s *Service) doubtAll() {
	all := s.all()
	s.keepers.Go(func() {
		for _, l := range all {
			if err := l.doubt(s.ctx); err != nil && !errors.Is(err, ErrEnded) {
				l.log.Warn("not known whose call it is", "err", err)
			}
		}
	})
}

// fence has run give up the call.
func (l *live) fence() { l.fencing.Do(func() { close(l.fenced) }) }

func (l *live) isFenced() bool {
	select {
	case <-l.fenced:
		return true
	default:
		return false
	}
}

// forsake closes what this replica holds of a call that another one has.
func (l *live) forsake() {
	l.log.Warn("another replica has the call")
	l.svc.counts.fenced.Add(1)
	for _, t := range l.timers {
		if t != nil {
			t.Stop()
		}
	}
	l.mu.Lock()
	l.final = l.record // so that nothing is added to it
	move := l.move
	l.move = nil
	l.mu.Unlock()
	if move != nil {
		move.tell(ErrEnded)
	}
	l.cancel(&EndError{Cause: Interrupted})
	l.close()
	l.svc.unlist(l)
	if l.life.Step != stepNone {
		l.tasks.Wait() // for the step that is under way
	}
	for step := l.life.Step + 1; step <= stepTranscript; step++ {
		l.cleanUp(step)
	}
	l.tasks.Wait()
}

// claim makes this replica the owner of a call whose own is dead. The error wraps
// ErrConflict if somebody was faster.
func (s *Service) claim(ctx context.Context, c *Call) error {
	if s.cluster == nil {
		return nil
	}
	c.Version++
	c.Owner = s.cluster.name
	return s.tellStore(ctx, func(ctx context.Context) error { return s.cfg.Store.Update(ctx, c, nil) })
}

// canTake reports whether this service has the carrier of a call; another replica
// may.
func (s *Service) canTake(c *Call) bool {
	return c.Provider == browserName || s.providers[c.Provider] != nil
}

// settled reports whether this replica may judge others: one that was away itself
// waits, since they may be about to renew their leases.
func (c *cluster) settled() bool {
	since, _, good := c.standing()
	return good && time.Since(since) >= c.cfg.Lease
}
