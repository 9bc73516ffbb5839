package schedule

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// ErrRunning is returned by a second Run.
var ErrRunning = errors.New("schedule: is running already")

const (
	// retryPause is how long a call waits that could not be placed, and the loop
	// when a store has failed.
	retryPause = 5 * time.Second
	// heldPause is how long somebody waits who finds an occurrence held.
	heldPause = 100 * time.Millisecond
)

// Run places calls until ctx ends. It returns when those that are just being
// placed have been, or after Config.Timeout, and its error is that of ctx.
//
// On start it settles what an earlier process has left behind: see Spec.Grace.
// Call it when the service has recovered: see call.Service.Recover.
func (s *Scheduler) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.running {
		s.mu.Unlock()
		return ErrRunning
	}
	s.running = true
	s.mu.Unlock()
	defer func() {
		s.workers.Wait()
		s.mu.Lock()
		s.running = false
		s.mu.Unlock()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.news:
		case <-timer.C:
		}
		if s.failing.Swap(false) && !pause(ctx, retryPause) {
			return ctx.Err()
		}
		timer.Reset(s.round(ctx))
	}
}

// round has everything seen to that is due, and returns how long there is
// nothing to do.
func (s *Scheduler) round(ctx context.Context) time.Duration {
	// Those that are being seen to may come first; there is one more besides.
	due, err := s.store.Due(ctx, 2*s.cfg.Parallel)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("schedules not read", "err", err)
		}
		return min(s.cfg.Poll, retryPause)
	}
	for _, sched := range due {
		if wait := s.until(sched.Due); wait > 0 {
			return min(s.cfg.Poll, wait)
		}
		if s.hold(sched.ID) != nil {
			continue // whoever holds it will look again
		}
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			s.release(sched.ID)
			return 0
		}
		s.workers.Go(func() {
			// What has begun is finished: only then is it known what became of it.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
			defer cancel()
			switch err := contain(func() error { return s.see(ctx, sched.ID) }); {
			case errors.Is(err, ErrConflict):
				s.left.Add(1) // to whoever was faster
			case err != nil:
				s.failing.Store(true)
				s.log.Error("schedule not seen to", "schedule", sched.ID, "err", err)
			}
			<-s.slots
			s.release(sched.ID)
			s.look()
		})
	}
	return s.cfg.Poll
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

// until is how long it is until t by the clock on the wall, which is what
// schedules are about.
func (s *Scheduler) until(t time.Time) time.Duration { return t.Sub(s.clock()) }

// pause waits for d. It reports false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
