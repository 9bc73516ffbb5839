package callhttp

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

const (
	// maxDeeds is how many deeds may be under way at once.
	maxDeeds = 1024
	// tellTime bounds the wait until it is known whether a deed has begun:
	// longer than a carrier may take to answer.
	tellTime = 15 * time.Second
)

// deeds are what goes on after a request has been answered, such as a transfer,
// which lasts as long as two people talk. At most maxDeeds are under way; one
// more is refused, with 503.
type deeds struct {
	mu     sync.Mutex // guards what follows
	count  int
	closed bool
	done   sync.WaitGroup

	ctx context.Context // ends with the API
}

// start runs a deed, whose context has the values of ctx, unless there is no
// room. The result can be had from the channel.
func (d *deeds) start(ctx context.Context, deed func(context.Context) error) (<-chan error, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, draining.with("the service is shutting down")
	case d.count >= maxDeeds:
		return nil, overloaded.with("as many transfers are under way as are allowed")
	}
	d.count++
	result := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	release := context.AfterFunc(d.ctx, cancel)
	d.done.Go(func() {
		defer d.end()
		defer cancel()
		defer release()
		result <- recovered(func() error { return deed(ctx) })
	})
	return result, nil
}

func (d *deeds) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count--
}

// close waits for all deeds, whose contexts have ended.
func (d *deeds) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.done.Wait()
}

// recovered makes an error of a panic of the host's code, from which net/http
// would have recovered in a goroutine of its own.
func recovered(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %T\n%s", v, debug.Stack())
		}
	}()
	return f()
}

// begin starts a deed on a call, and returns when it has begun, which an event
// tells, or when its result is known if that is sooner. From then on what becomes
// of it is in the events of the call.
func (a *API) begin(ctx context.Context, id string, begun func(call.Event) bool, deed func(context.Context) error) error {
	place := a.feed.end()
	result, err := a.deeds.start(ctx, func(ctx context.Context) error {
		err := deed(ctx)
		var reached *call.TransferError
		if err != nil && !errors.As(err, &reached) {
			a.log.DebugContext(ctx, "control of a call", "call", id, "err", err)
		}
		return err
	})
	if err != nil {
		return err
	}
	late := time.NewTimer(tellTime)
	defer late.Stop()
	for {
		p := a.feed.read(place)
		place = p.first + int64(len(p.entries))
		for _, e := range p.entries {
			if begun(e.Event) {
				return nil
			}
		}
		if len(p.entries) > 0 {
			continue
		}
		changed := p.changed
		if p.closed {
			changed = nil // there will be no more
		}
		select {
		case err := <-result:
			var unreached *call.TransferError
			if errors.As(err, &unreached) {
				return nil // it had begun
			}
			return err
		case <-changed:
		case <-late.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
