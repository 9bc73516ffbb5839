package call

import (
	"context"
	"sync"
	"sync/atomic"
)

// Subscription is a stream of the events of all calls of a service.
type Subscription struct {
	// C delivers events, each call's in order. It is closed when the
	// subscription's context ends or the service has shut down.
	C <-chan Event

	ch      chan Event
	dropped atomic.Int64
}

// Dropped is how many events did not fit into the subscription's buffer. They
// can be had from Service.Events.
func (s *Subscription) Dropped() int64 { return s.dropped.Load() }

// Subscribe returns the events from now on. Its buffer holds up to the given
// number, at least 1; an event that finds it full is dropped and counted, so
// that a slow subscriber holds up nobody.
func (s *Service) Subscribe(ctx context.Context, buffer int) *Subscription {
	sub := &Subscription{ch: make(chan Event, max(1, buffer))}
	sub.C = sub.ch
	s.subs.add(ctx, sub)
	return sub
}

type subscriptions struct {
	dropped atomic.Int64

	mu     sync.Mutex // guards what follows, and the sending on and closing of channels
	active map[*Subscription]func() bool
	closed bool
}

func (s *subscriptions) add(ctx context.Context, sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		close(sub.ch)
		return
	}
	if s.active == nil {
		s.active = make(map[*Subscription]func() bool)
	}
	s.active[sub] = context.AfterFunc(ctx, func() { s.remove(sub) })
}

func (s *subscriptions) remove(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.active[sub]; ok {
		delete(s.active, sub)
		close(sub.ch)
	}
}

func (s *subscriptions) publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.active {
		select {
		case sub.ch <- e:
		default:
			sub.dropped.Add(1)
			s.dropped.Add(1)
		}
	}
}

func (s *subscriptions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for sub, stop := range s.active {
		stop()
		close(sub.ch)
	}
	s.active = nil
}
