package call

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// pace lets dials out to one carrier: in the order in which they come, no faster
// than so many a second, none for as long as the carrier asks to wait, and only
// one now and then while it is down.
type pace struct {
	every time.Duration // from one dial to the next; 0: no limit
	turn  chan struct{} // capacity 1: held by whoever dials next; others queue for it

	waiting atomic.Int64

	mu   sync.Mutex // guards what follows
	next time.Time  // when the next dial may leave

	failures int       // since the last reply that was one
	broken   time.Time // until then nothing leaves; zero if the carrier is not down
}

const (
	// maxPaced is how many dials to one carrier may wait; one more fails.
	maxPaced = 10_000
	// maxHold is the longest that a carrier is believed when it asks to wait.
	maxHold = time.Minute
	// breakAfter is how many dials in a row may fail, because the carrier cannot
	// be reached or does not work, until it counts as down. One that refuses our
	// credentials does at once.
	breakAfter = 5
	// breakTime is how long nothing is sent to a carrier that is down, until one
	// dial tries again.
	breakTime = 30 * time.Second
)

var (
	// errPaced tells that too many dials wait.
	errPaced = errors.New("too many calls wait to be dialed")
	// errBroken tells that the carrier is down.
	errBroken = errors.New("carrier has failed too often: it is left alone for a while")
)

func newPace(perSecond float64) *pace {
	p := &pace{turn: make(chan struct{}, 1)}
	if perSecond > 0 {
		p.every = time.Duration(float64(time.Second) / perSecond)
	}
	return p
}

// wait returns when it is the caller's turn to dial. The error is errPaced,
// errBroken, or that of ctx.
func (p *pace) wait(ctx context.Context) error {
	if p.isDown() {
		return errBroken
	}
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
			if err := ctx.Err(); err != nil {
				return err
			}
			return p.enter()
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

// isDown reports whether the carrier is left alone at present.
func (p *pace) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.broken)
}

// enter lets one dial out. Of those that have waited while the carrier went down
// it lets none, and when it has been left alone for long enough, one: see told.
func (p *pace) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch {
	case p.broken.IsZero():
		return nil
	case now.Before(p.broken):
		return errBroken
	}
	p.broken = now.Add(breakTime)
	return nil
}

// told learns from what a carrier made of a dial whether it is down.
func (p *pace) told(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(err, telephony.ErrAuth):
		p.failures = breakAfter
	case errors.Is(err, telephony.ErrUnavailable), errors.Is(err, telephony.ErrBadReply):
		p.failures++
	default:
		p.failures, p.broken = 0, time.Time{}
		return
	}
	if p.failures >= breakAfter {
		p.broken = time.Now().Add(breakTime)
	}
}
