package call

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"
)

// recordWriter stores a call's record and events as they change. One goroutine
// a call writes, so that neither the owner of the call nor its media ever wait
// for a store: what changes while it writes goes into the next write.
type recordWriter struct {
	live *live

	changed chan struct{} // capacity 1: there is something to write
	ended   chan struct{} // closed when nothing more will change
	stored  chan struct{} // closed when the final record has been written, or given up

	version int64 // of the last write; owned by the goroutine once it runs

	mu      sync.Mutex // guards what follows
	events  []Event    // not stored yet; at most maxUnsaved, the newest is dropped and counted
	dropped int64
	final   *Call // the record with its terminal state
	last    Event // which announces that, and is stored with it and not before
}

const (
	// maxUnsaved is how many events of a call may wait for a store that fails.
	maxUnsaved = 4096
	// storeTimeout bounds what one question or write to the store takes.
	storeTimeout = 5 * time.Second
	// rewriteFirst is how long to wait before a failed write is tried again,
	// each time twice as long, up to rewriteMost.
	rewriteFirst = 250 * time.Millisecond
	rewriteMost  = 15 * time.Second
)

func (w *recordWriter) init(l *live) {
	w.live = l
	w.changed = make(chan struct{}, 1)
	w.ended = make(chan struct{})
	w.stored = make(chan struct{})
}

// start begins to write. The service waits for it to end.
func (w *recordWriter) start() { w.live.svc.calls.Go(w.run) }

func (w *recordWriter) add(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) >= maxUnsaved {
		w.dropped++
		w.live.svc.counts.eventsUnsaved.Add(1)
		return
	}
	w.events = append(w.events, e)
}

func (w *recordWriter) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// finish hands over the final record, with the last event, and waits until they
// are stored or ctx ends. Storing goes on in the background then.
func (w *recordWriter) finish(ctx context.Context, final *Call, last Event) error {
	w.mu.Lock()
	w.final, w.last = final, last
	w.mu.Unlock()
	close(w.ended)
	select {
	case <-w.stored:
		return nil
	case <-ctx.Done():
		w.live.svc.counts.persistPending.Add(1)
		w.live.svc.calls.Go(func() {
			<-w.stored
			w.live.svc.counts.persistPending.Add(-1)
		})
		return ctx.Err()
	}
}

// over reports whether nothing is written any more.
func (w *recordWriter) over() bool {
	select {
	case <-w.stored:
		return true
	default:
		return false
	}
}

func (w *recordWriter) run() {
	defer close(w.stored)
	for {
		select {
		case <-w.changed:
		case <-w.ended:
		case <-w.live.fenced:
			return
		}
		if !w.write() {
			return
		}
	}
}

// write stores what there is, trying until it succeeds or the service stops. It
// reports whether there is more to come. What changes meanwhile goes into the next
// write.
func (w *recordWriter) write() bool {
	record, events, last := w.take()
	record.Version = w.version + 1
	pause := rewriteFirst
	for again := false; ; again = true {
		err := w.update(record, events, again)
		if err == nil {
			w.version = record.Version
			return !last
		}
		w.live.log.Error("record not stored", "err", err)
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
			if w.live.svc.cluster != nil && w.live.doubt(w.live.svc.ctx) != nil {
				w.live.fence() // at the latest now
			}
			return false // somebody else has the call, or it was erased
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, rewriteMost)
		case <-w.live.fenced:
			return false
		case <-w.live.svc.ctx.Done():
			return false
		}
	}
}

// update writes once. If an earlier try has failed, it may have been done all the
// same; the conflict is with ourselves then.
func (w *recordWriter) update(record *Call, events []Event, again bool) error {
	store := w.live.svc.cfg.Store
	return w.live.svc.do(context.WithoutCancel(w.live.context()), storeTimeout, func(ctx context.Context) error {
		conflict := store.Update(ctx, record, events)
		if !again || !errors.Is(conflict, ErrConflict) {
			return conflict
		}
		stored, err := store.Get(ctx, record.ID)
		if err != nil {
			return err
		}
		if stored.Version == record.Version && bytes.Equal(stored.Life, record.Life) {
			return nil
		}
		return conflict
	})
}

// take returns what is to be written. The final record is never without its last
// event, which a process that dies could not bring in any more.
func (w *recordWriter) take() (record *Call, events []Event, last bool) {
	w.live.mu.Lock()
	defer w.live.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	events = w.events
	w.events = nil
	if w.final != nil {
		return w.final.Clone(), append(events, w.last), true
	}
	return w.live.record.Clone(), events, false
}
