package call

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Carriers, stores, routers, policies, recorders and all other plugs are code of
// the host's, which may panic, or not return. A panic becomes an error; what does not
// return in its time is left behind and counted (Stats.HostHeld), and the call
// goes on without it. Agents have rules of their own: see live.serve.

// errLate tells that something of the host's was not waited for any longer.
var errLate = errors.New("did not end in time")

func isLate(err error) bool { return errors.Is(err, errLate) }

// lateness is how long after the end of its context something may return that
// ends because of it, with what it has.
const lateness = 250 * time.Millisecond

// within calls f with a context that ends after d at the latest, and returns what
// f returns. If that takes too long the error wraps errLate and that of the
// context; what f returns in the end, if it is no error, is given to late, which
// may be nil.
func within[T any](ctx context.Context, s *Service, d time.Duration, f func(ctx context.Context) (T, error), late func(T)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	type result struct {
		value T
		err   error
	}
	ch, left := make(chan result), make(chan struct{})
	go func() {
		defer cancel()
		var r result
		r.err = contain(func() (err error) { r.value, err = f(ctx); return err })
		select {
		case ch <- r:
			return
		case <-left:
		}
		s.counts.hostHeld.Add(-1)
		if late != nil && r.err == nil {
			if err := contain(func() error { late(r.value); return nil }); err != nil {
				s.log.Error("what came too late was not given back", "err", err)
			}
		}
	}()
	select {
	case r := <-ch:
		return r.value, r.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(lateness)
	defer grace.Stop()
	select {
	case r := <-ch:
		return r.value, r.err
	case <-grace.C:
	}
	s.counts.hostHeld.Add(1)
	close(left)
	var none T
	return none, fmt.Errorf("%w: %w", errLate, context.Cause(ctx))
}

// do is within for what returns nothing but an error.
func (s *Service) do(ctx context.Context, d time.Duration, f func(ctx context.Context) error) error {
	_, err := within(ctx, s, d, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) }, nil)
	return err
}

// panicError is a panic in code of the host.
type panicError struct {
	value string
	stack string
}

func (p *panicError) Error() string { return "panic: " + p.value }

// contain calls into code of the host's and makes an error of its panic.
func contain(f func() error) (err error) {
	defer recoverTo(&err)
	return f()
}

// recoverTo turns a panic into an error. What was panicked with is reduced to
// its type, unless it is an error or text of the runtime's, since it may hold
// anything.
func recoverTo(err *error) {
	v := recover()
	if v == nil {
		return
	}
	p := &panicError{value: fmt.Sprintf("%T", v), stack: string(debug.Stack())}
	if r, ok := v.(interface{ RuntimeError() }); ok {
		p.value = fmt.Sprint(r)
	}
	*err = p
}
