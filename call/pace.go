package call

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// pace lets dials out to one carrier: in the order in which they come, no faster
// than so many a second, and none for as long as the carrier asks to wait.
type pace struct {
	every time.Duration // from one dial to the next; 0: no limit
	turn  chan struct{} // capacity 1: held by whoever dials next; others queue for it

	waiting atomic.Int64

	mu   sync.Mutex // guards what follows
	next time.Time  // when the next dial may leave
}

const (
	// maxPaced is how many dials to one carrier may wait; one more fails.
	maxPaced = 10_000
	// maxHold is the longest that a carrier is believed when it asks to wait.
	maxHold = time.Minute
)

// errPaced tells that too many dials wait.
var errPaced = errors.New("too many calls wait to be dialed")

func newPace(perSecond float64) *pace {
	p := &pace{turn: make(chan struct{}, 1)}
	if perSecond > 0 {
		p.every = time.Duration(float64(time.Second) / perSecond)
	}
	return p
}

// wait returns when it is the caller's turn to dial. The error is errPaced, or
// that of ctx.
func (p *pace) wait(ctx context.Context) error {
	if p.waiting.Add(1) > maxPaced {
		p.waiting.Add(-1)
		return errPaced
	}
	defer p.waiting.Add(-1)
	select {
	case p.turn <- struct{}{}: // a channel serves those who wait in their order
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.turn }()
	for {
		left := p.left()
		if left <= 0 {
			return ctx.Err()
		}
		t := time.NewTimer(left)
		select {
		case <-t.C: // the carrier may have asked for more meanwhile
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// left is how long it is until the next dial. When that is now, it is taken.
func (p *pace) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if left := p.next.Sub(now); left > 0 {
		return left
	}
	p.next = now.Add(p.every)
	return 0
}

// hold lets nobody dial for a while.
func (p *pace) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(min(d, maxHold)); until.After(p.next) {
		p.next = until
	}
}
