package recording

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// spoolJob is a file to be brought away, or a key to be removed from Remote.
type spoolJob struct {
	key    string
	remove bool
	since  time.Time

	// All of this is guarded by Spool.mu.
	size      int64
	parked    bool               // its key was taken over there
	dropped   bool               // nobody wants it any more
	cancel    context.CancelFunc // of the attempt under way
	ended     chan struct{}      // closed when that attempt has ended; nil if there is none
	confirmed bool               // a removal was carried out once
	again     time.Time          // when it is tried again, if it is among the later

	after <-chan struct{} // a removal begins once this upload has ended
}

// Start takes up what lies in the directory and begins to bring it away. Whoever
// has called it calls Close in the end.
func (s *Spool) Start() error {
	if err := s.start(); err != nil {
		return fmt.Errorf("recording: spool: start: %w", err)
	}
	return nil
}

func (s *Spool) start() error {
	s.mu.Lock()
	if s.started {
		s.mu.Unlock()
		return errors.New("it was started before")
	}
	s.started = true
	s.pause = backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstPause), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(maxPause), backoff.WithMaxElapsedTime(0))
	s.wake, s.done = make(chan struct{}, 1), make(chan struct{})
	s.mu.Unlock()

	if err := s.takeUp(); err != nil {
		s.mu.Lock()
		s.started = false
		s.mu.Unlock()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go s.run(ctx)
	return nil
}

// takeUp finds what an earlier process has left.
func (s *Spool) takeUp() error {
	removed, err := s.listMarks()
	if err != nil {
		return err
	}
	for _, key := range removed {
		if err := s.Local.remove(key); err != nil { // it may have been killed before it did
			return err
		}
		s.enqueueRemoval(key, nil)
	}
	keys, err := s.Local.keys()
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.enqueue(key, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// enqueue says that a file is to be brought away, which has waited for that
// since then: the zero time means since it was last written.
func (s *Spool) enqueue(key string, since time.Time) error {
	f, info, err := s.Local.open(key)
	if errors.Is(err, ErrNotFound) {
		return nil // removed
	}
	if err != nil {
		return err
	}
	_ = f.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[key] != nil || s.removals[key] != nil {
		return nil
	}
	if since.IsZero() {
		since = info.ModTime()
	}
	j := &spoolJob{key: key, since: since, size: info.Size()}
	if s.jobs == nil {
		s.jobs = make(map[string]*spoolJob)
	}
	s.jobs[key] = j
	s.queue = append(s.queue, j)
	s.signal()
	return nil
}

func (s *Spool) enqueueRemoval(key string, after <-chan struct{}) *spoolJob {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.addRemoval(key, after)
	s.queue = append(s.queue, j)
	s.signal()
	return j
}

// addRemoval is called under mu.
func (s *Spool) addRemoval(key string, after <-chan struct{}) *spoolJob {
	if old := s.removals[key]; old != nil {
		old.dropped = true
	}
	if s.removals == nil {
		s.removals = make(map[string]*spoolJob)
	}
	j := &spoolJob{key: key, remove: true, since: time.Now(), after: after}
	s.removals[key] = j
	return j
}

// signal wakes the loop, if there is one. It is called under mu.
func (s *Spool) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run gives jobs to workers, of whom there are as many as there are attempts
// under way.
func (s *Spool) run(ctx context.Context) {
	defer close(s.done)
	var workers sync.WaitGroup
	defer workers.Wait()
	sweep := time.NewTicker(rememberTime / 24)
	defer sweep.Stop()
	for {
		j, wait, end := s.next()
		switch {
		case end:
			return
		case j != nil:
			workers.Go(func() { s.finish(ctx, j, s.attempt(ctx, j)) })
			continue
		}
		due := time.NewTimer(wait)
		select {
		case <-s.wake:
		case <-due.C:
		case <-sweep.C:
			s.forget()
		case <-ctx.Done():
			due.Stop()
			return
		}
		due.Stop()
	}
}

// idle is how long the loop sleeps if nothing is to be done.
const idle = time.Hour

// next returns a job that may be tried now; or else how long to wait for one; or
// that the loop is to end.
func (s *Spool) next() (j *spoolJob, wait time.Duration, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.later) > 0 && (s.later[0].dropped || !now.Before(s.later[0].again)) {
		s.queue = append(s.queue, s.later[0])
		s.later = s.later[1:]
	}
	s.queue = slices.DeleteFunc(s.queue, func(j *spoolJob) bool { return j.dropped })
	if s.closing && s.running == 0 && (len(s.queue) == 0 || s.failures > 0) {
		return nil, 0, true
	}
	limit := cmp.Or(s.Parallel, defaultParallel)
	if s.failures > 0 {
		limit = 1 // one is enough to learn whether it works again
	}
	switch {
	case s.running >= limit || len(s.queue) == 0:
		wait = idle
	case now.Before(s.down):
		wait = s.down.Sub(now)
	default:
		j = s.queue[0]
		s.queue = s.queue[1:]
		s.running++
		j.ended = make(chan struct{})
		return j, 0, false
	}
	if len(s.later) > 0 {
		wait = min(wait, s.later[0].again.Sub(now))
	}
	return nil, wait, false
}

// attempt tries a job once. Whatever Remote does, it ends.
func (s *Spool) attempt(ctx context.Context, j *spoolJob) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", ErrUnavailable, p)
		}
	}()
	s.mu.Lock()
	allowed := attemptTime + time.Duration(j.size/slowestBytes)*time.Second
	ctx, cancel := context.WithTimeout(ctx, allowed)
	defer cancel()
	j.cancel = cancel
	dropped := j.dropped
	s.mu.Unlock()
	switch {
	case dropped:
		return nil
	case j.remove:
		return s.removeRemote(ctx, j)
	}
	return s.bring(ctx, j)
}

// bring brings a file away and then deletes it here.
func (s *Spool) bring(ctx context.Context, j *spoolJob) error {
	f, info, err := s.Local.open(j.key)
	if errors.Is(err, ErrNotFound) {
		return nil // removed
	}
	if err != nil {
		return err
	}
	err = upload(ctx, s.Remote, j.key, f, info.Size())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.mark(j.key, markUp); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.dropped { // the removal that waits for us removes it there
		return s.unmark(j.key, markUp)
	}
	if err := s.Local.remove(j.key); err != nil {
		return err
	}
	delete(s.jobs, j.key)
	s.stats.Uploaded++
	s.stats.UploadedBytes += info.Size()
	return nil
}

// finish takes the result of an attempt.
func (s *Spool) finish(ctx context.Context, j *spoolJob, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	j.cancel = nil
	close(j.ended)
	j.ended = nil
	s.signal()
	switch {
	case j.dropped:
	case err == nil:
		s.succeeded(j)
	case errors.Is(err, ErrExists):
		s.stats.Failed++
		j.parked, j.again = true, time.Now().Add(lateTime)
		s.later = append(s.later, j)
		s.log().Error("recording stays in the spool: its key is taken", "key", j.key, "err", err)
	case ctx.Err() != nil:
		s.queue = append(s.queue, j)
	default:
		s.failed(j, err)
	}
}

func (s *Spool) succeeded(j *spoolJob) {
	if s.failures > 0 {
		s.log().Info("recordings are brought away again", "storage", s.Name(), "pending", len(s.jobs), "after", time.Since(s.since).Round(time.Second))
	}
	s.failures, s.since, s.down = 0, time.Time{}, time.Time{}
	s.pause.Reset()
	switch {
	case !j.remove:
		delete(s.jobs, j.key) // if it was gone before
	case !j.confirmed:
		s.confirm(j)
	default:
		delete(s.removals, j.key)
		if err := s.unmark(j.key, markRemoved); err != nil {
			s.log().Warn("mark of a removed recording stays", "key", j.key, "err", err)
		}
	}
}

// confirm says that a removal was carried out, and is to be repeated.
func (s *Spool) confirm(j *spoolJob) {
	j.confirmed, j.again = true, time.Now().Add(lateTime)
	s.later = append(s.later, j)
	s.signal()
}

// failed puts a job at the end of the queue: one that fails for itself does not
// stand in the way of others for long.
func (s *Spool) failed(j *spoolJob, err error) {
	s.stats.Failed++
	s.queue = append(s.queue, j)
	if now := time.Now(); !now.Before(s.down) { // others have been under way at the same time
		if s.failures == 0 {
			s.since = now
			s.log().Warn("recordings wait in the spool", "storage", s.Name(), "pending", len(s.jobs), "err", err)
		}
		s.failures++
		s.down = now.Add(s.pause.NextBackOff())
	}
}

// Remove deletes the file, wherever it is, and what is left of attempts to write
// it. Once the removal is noted on disk it succeeds: if the other storage does
// not answer now, it is asked again until it has, also by a later process.
func (s *Spool) Remove(ctx context.Context, key string) error {
	if err := s.remove(ctx, key); err != nil {
		return fmt.Errorf("recording: spool: remove: %w", err)
	}
	return nil
}

func (s *Spool) remove(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := s.mark(key, markRemoved); err != nil {
		return err
	}
	s.mu.Lock()
	var after chan struct{}
	if j := s.jobs[key]; j != nil {
		j.dropped = true
		delete(s.jobs, key)
		after = j.ended
		if j.cancel != nil {
			j.cancel()
		}
	}
	j := s.addRemoval(key, after)
	away := s.failures > 0
	s.mu.Unlock()

	err := errors.Join(s.Local.remove(key), s.unmark(key, markUp))
	if !away {
		ctx, cancel := context.WithTimeout(ctx, removeTime)
		defer cancel()
		if s.removeRemote(ctx, j) == nil {
			s.mu.Lock()
			s.confirm(j)
			s.mu.Unlock()
			return err
		}
	}
	s.mu.Lock()
	s.queue = append(s.queue, j)
	s.signal()
	s.mu.Unlock()
	return err
}

// removeRemote removes a key from Remote, once nobody brings it there any more.
func (s *Spool) removeRemote(ctx context.Context, j *spoolJob) error {
	if j.after != nil {
		select {
		case <-j.after:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.Remote.Remove(ctx, j.key)
}

// isRemoved reports whether a key has been removed and not been used again.
func (s *Spool) isRemoved(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removals[key] != nil
}

// reuse lets a key that was removed be used again, if it is free.
func (s *Spool) reuse(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.removals[key]
	if j == nil {
		return nil
	}
	if !j.confirmed {
		return fmt.Errorf("%w: %s is being removed", ErrExists, key)
	}
	j.dropped = true
	delete(s.removals, key)
	return s.unmark(key, markRemoved)
}

// Close brings away what is left, as long as that works, until ctx ends; then it
// gives up what is under way. What is not brought away is left to the next
// Start: that is no error. Close returns when no goroutine is left.
func (s *Spool) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.started {
		s.mu.Unlock()
		return nil
	}
	s.closing = true
	s.signal()
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-ctx.Done():
	}
	s.cancel()
	<-s.done
	return nil
}

// has reports whether a file lies under key.
func (d *Dir) has(key string) bool {
	f, _, err := d.open(key)
	if err != nil {
		return !errors.Is(err, ErrNotFound)
	}
	return f.Close() == nil
}

// keys returns the keys of what was committed, the oldest first.
func (d *Dir) keys() ([]string, error) {
	type file struct {
		key  string
		time time.Time
	}
	var files []file
	err := d.walk(func(name string, e fs.DirEntry) error {
		if CheckKey(name) != nil {
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files = append(files, file{name, info.ModTime()})
		return err
	})
	slices.SortFunc(files, func(a, b file) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.key, b.key)) })
	var keys []string
	for _, f := range files {
		keys = append(keys, f.key)
	}
	return keys, err
}
