package calltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// sharedRule is a storeRule for stores that are shared.
type sharedRule struct {
	name  string
	check func(context.Context, call.SharedStore) error
}

var sharedRules = []sharedRule{
	{"a lease is good as long as it was given for", sharedEndsLeases},
	{"a lease that was renewed lasts", sharedRenews},
	{"a lease that was resigned is over", sharedResigns},
	{"replicas are in the order of their names", sharedOrdersReplicas},
	{"a context that has ended ends what concerns leases", sharedHeedsContext},

	{"who watches is told of what others write, once and in order", sharedTells},
	{"who watches is not told of what was there, nor of its own", sharedTellsNews},
	{"each of several who watch is told", sharedTellsEach},
	{"a watch ends with its context", sharedEndsWatch},
}

// long is a lease that does not end while a rule is checked, and patience how
// long a store may take for what is to happen soon.
const (
	long     = time.Hour
	patience = 20 * time.Second
)

func sharedEndsLeases(ctx context.Context, s call.SharedStore) error {
	if err := s.Renew(ctx, "long", long); err != nil {
		return breach("Renew: %w", err)
	}
	if err := s.Renew(ctx, "short", time.Millisecond); err != nil {
		return breach("Renew: %w", err)
	}
	deadline := time.Now().Add(patience)
	for {
		got, err := s.Replicas(ctx)
		if err != nil {
			return breach("Replicas: %w", err)
		}
		if !slices.Contains(got, "long") {
			return breach("Replicas returned %q: an hour has not passed", got)
		}
		if len(got) == 1 {
			return nil
		}
		if time.Now().After(deadline) {
			return breach("Replicas returned %q: a millisecond has passed", got)
		}
		time.Sleep(5 * time.Millisecond) // the clock is the store's, which tells of nothing
	}
}

func sharedRenews(ctx context.Context, s call.SharedStore) error {
	for _, lease := range []time.Duration{time.Millisecond, long} {
		if err := s.Renew(ctx, "a", lease); err != nil {
			return breach("Renew: %w", err)
		}
	}
	time.Sleep(2 * time.Millisecond) // the first one would have ended
	got, err := s.Replicas(ctx)
	return same("Replicas", err, []string{"a"}, got)
}

func sharedResigns(ctx context.Context, s call.SharedStore) error {
	for _, name := range []string{"a", "b"} {
		if err := s.Renew(ctx, name, long); err != nil {
			return breach("Renew: %w", err)
		}
	}
	for _, name := range []string{"a", "a", "nobody"} {
		if err := s.Resign(ctx, name); err != nil {
			return breach("Resign of %q: %w", name, err)
		}
	}
	got, err := s.Replicas(ctx)
	if err := same("Replicas", err, []string{"b"}, got); err != nil {
		return err
	}
	if err := s.Renew(ctx, "a", long); err != nil {
		return breach("Renew after Resign: %w", err)
	}
	got, err = s.Replicas(ctx)
	return same("Replicas after another Renew", err, []string{"a", "b"}, got)
}

func sharedOrdersReplicas(ctx context.Context, s call.SharedStore) error {
	for _, name := range []string{"http://b", "é", "a", "http://a/2", "B", "10"} {
		if err := s.Renew(ctx, name, long); err != nil {
			return breach("Renew: %w", err)
		}
	}
	got, err := s.Replicas(ctx)
	return same("Replicas", err, []string{"10", "B", "a", "http://a/2", "http://b", "é"}, got)
}

func sharedHeedsContext(ctx context.Context, s call.SharedStore) error {
	if err := s.Renew(ctx, "a", long); err != nil {
		return breach("Renew: %w", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for method, do := range map[string]func() error{
		"Renew":    func() error { return s.Renew(ended, "b", long) },
		"Resign":   func() error { return s.Resign(ended, "a") },
		"Replicas": func() error { _, err := s.Replicas(ended); return err },
	} {
		if err := do(); !errors.Is(err, context.Canceled) {
			return breach("%s returned %v, not context.Canceled", method, err)
		}
	}
	got, err := s.Replicas(ctx)
	return same("Replicas", err, []string{"a"}, got)
}

// watch is one Watch that runs, and what it has delivered.
type watch struct {
	stop context.CancelFunc
	done chan error

	mu      sync.Mutex
	got     []call.Event
	changed chan struct{} // capacity 1
}

// startWatch returns when the watch has begun.
func startWatch(ctx context.Context, s call.SharedStore, self string) (*watch, error) {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{stop: stop, done: make(chan error, 1), changed: make(chan struct{}, 1)}
	begun := make(chan struct{})
	first := true
	go func() {
		w.done <- s.Watch(ctx, self, func(events []call.Event) {
			if first {
				first = false
				close(begun)
			}
			w.mu.Lock()
			w.got = append(w.got, events...)
			w.mu.Unlock()
			select {
			case w.changed <- struct{}{}:
			default:
			}
		})
	}()
	select {
	case <-begun:
		return w, nil
	case err := <-w.done:
		stop()
		return nil, breach("Watch returned %v before it began", err)
	case <-time.After(patience):
		stop()
		return nil, breach("Watch has not begun within %v", patience)
	}
}

// until returns what was delivered once the event named last is among it.
func (w *watch) until(last string) ([]call.Event, error) {
	late := time.After(patience)
	for {
		w.mu.Lock()
		got := slices.Clone(w.got)
		w.mu.Unlock()
		if slices.ContainsFunc(got, func(e call.Event) bool { return e.Detail == last }) {
			return got, nil
		}
		select {
		case <-w.changed:
		case <-late:
			return nil, breach("the event %q was not delivered within %v", last, patience)
		}
	}
}

// end ends a watch and says how it did not end as it should.
func (w *watch) end() error {
	w.stop()
	select {
	case err := <-w.done:
		if !errors.Is(err, context.Canceled) {
			return breach("Watch returned %v, not context.Canceled", err)
		}
		return nil
	case <-time.After(patience):
		return breach("Watch has not returned")
	}
}

// owned is a call that a replica has.
func owned(id, owner string) *call.Call {
	c := newCall(id)
	c.Owner = owner
	return c
}

// write stores a call with one event for its version, and returns the record that
// may replace it.
func write(ctx context.Context, s call.Store, c *call.Call, detail string) (*call.Call, error) {
	e := newEvent(c, c.Version)
	e.Detail = detail
	if c.Version > 1 {
		if err := s.Update(ctx, c, []call.Event{e}); err != nil {
			return nil, breach("Update: %w", err)
		}
	} else if err := create(ctx, s, c, e); err != nil {
		return nil, err
	}
	return next(c), nil
}

// last writes an event that comes after all that have been written.
func last(ctx context.Context, s call.Store, id string) error {
	_, err := write(ctx, s, owned(id, "stranger"), id)
	return err
}

func sharedTells(ctx context.Context, s call.SharedStore) error {
	const calls, writes = 8, 25
	w, err := startWatch(ctx, s, "me")
	if err != nil {
		return err
	}
	var results [calls]error
	atOnce(calls, func(i int) {
		c := owned(fmt.Sprintf("call-%d", i), "other")
		for range writes {
			if c, results[i] = write(ctx, s, c, ""); results[i] != nil {
				return
			}
		}
	})
	if err := errors.Join(results[:]...); err != nil {
		return errors.Join(err, w.end())
	}
	if err := last(ctx, s, "last"); err != nil {
		return errors.Join(err, w.end())
	}
	got, err := w.until("last")
	if err := errors.Join(err, w.end()); err != nil {
		return err
	}
	seen := make(map[string]int64)
	for _, e := range got {
		if e.Detail == "last" {
			continue
		}
		if seen[e.CallID]++; e.Seq != seen[e.CallID] {
			return breach("of %s event %d came where %d is next", e.CallID, e.Seq, seen[e.CallID])
		}
	}
	for i := range calls {
		if id := fmt.Sprintf("call-%d", i); seen[id] != writes {
			return breach("of %s %d events were delivered, not %d", id, seen[id], writes)
		}
	}
	return nil
}

func sharedTellsNews(ctx context.Context, s call.SharedStore) error {
	before, err := write(ctx, s, owned("before", "other"), "old")
	if err != nil {
		return err
	}
	w, err := startWatch(ctx, s, "me")
	if err != nil {
		return err
	}
	err = func() error {
		mine, err := write(ctx, s, owned("mine", "me"), "mine")
		if err != nil {
			return err
		}
		mine.Owner = "other" // who has taken it over
		if mine, err = write(ctx, s, mine, "taken"); err != nil {
			return err
		}
		mine.Owner = "me"
		if _, err = write(ctx, s, mine, "mine again"); err != nil {
			return err
		}
		if _, err = write(ctx, s, before, "new"); err != nil {
			return err
		}
		return last(ctx, s, "last")
	}()
	if err != nil {
		return errors.Join(err, w.end())
	}
	got, err := w.until("last")
	if err := errors.Join(err, w.end()); err != nil {
		return err
	}
	var details []string
	for _, e := range got {
		details = append(details, e.Detail)
	}
	slices.Sort(details)
	return same("Watch", nil, []string{"last", "new", "taken"}, details)
}

func sharedTellsEach(ctx context.Context, s call.SharedStore) error {
	var all []*watch
	for _, self := range []string{"a", "b", "b"} {
		w, err := startWatch(ctx, s, self)
		if err != nil {
			return err
		}
		all = append(all, w)
	}
	err := last(ctx, s, "last")
	for _, w := range all {
		if err == nil {
			_, err = w.until("last")
		}
		err = errors.Join(err, w.end())
	}
	return err
}

func sharedEndsWatch(ctx context.Context, s call.SharedStore) error {
	w, err := startWatch(ctx, s, "me")
	if err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	if err := last(ctx, s, "last"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.got) > 0 {
		return breach("after the end %d events were delivered", len(w.got))
	}
	return nil
}
