package schedule

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

// Placer is what a Scheduler needs of a call.Service.
type Placer interface {
	Place(ctx context.Context, req call.Request) (*call.Call, error)
	Call(ctx context.Context, id string) (*call.Call, error)
	CallByKey(ctx context.Context, tenant, key string) (*call.Call, error)
}

var _ Placer = (*call.Service)(nil)

// Config says how a Scheduler works. Service is needed; all else has a default.
type Config struct {
	// Service places the calls. Its own store must outlive the process if that of
	// the schedules does: it is what keeps a call from being placed twice.
	Service Placer
	// Store keeps the schedules. Nil: in memory, lost with the process.
	Store Store
	// Parallel is how many calls are placed at once. Zero: 16.
	Parallel int
	// Poll is how often the clock and the store are looked at, at least: a clock
	// may be set, and a store may be written by others. Zero: one minute.
	Poll time.Duration
	// Timeout bounds the work on one occurrence. Zero: 30 seconds. If a process
	// ends during this work, it is taken up again after Timeout and a third of it.
	Timeout time.Duration
	// Logger takes what operators should know. Nil: slog.Default().
	Logger *slog.Logger
}

const (
	defaultParallel = 16
	defaultPoll     = time.Minute
	defaultTimeout  = 30 * time.Second
)

// hold is how long others leave alone what one has claimed: longer than it works
// on it, because clocks differ.
func (c *Config) hold() time.Duration { return c.Timeout + c.Timeout/3 }

// Scheduler places calls at their times. Make one with [New] and have it [Run].
// Its methods may be used by many goroutines at once, and before Run.
//
// Several may share a store, in one process or on many machines: each occurrence
// is claimed in the store by one of them, which places its call. Their services
// must share a store of calls then, and their clocks differ by less than a third
// of Config.Timeout.
type Scheduler struct {
	cfg   Config
	store Store
	log   *slog.Logger
	clock func() time.Time // on the wall; without a monotonic reading

	slots   chan struct{}
	workers sync.WaitGroup // of Run
	news    chan struct{}  // holds one: the loop has to look again
	failing atomic.Bool    // the store, or the service's, since the loop looked last

	counts  map[Outcome]*atomic.Int64
	retried atomic.Int64
	left    atomic.Int64

	mu      sync.Mutex // guards what follows
	held    map[string]chan struct{}
	running bool
}

// New returns a Scheduler. It starts no goroutine.
func New(cfg Config) (*Scheduler, error) {
	if cfg.Service == nil {
		return nil, errors.New("schedule: config: Service is nil")
	}
	if cfg.Parallel < 0 || cfg.Poll < 0 || cfg.Timeout < 0 {
		return nil, errors.New("schedule: config: Parallel, Poll or Timeout is negative")
	}
	if cfg.Store == nil {
		cfg.Store = new(MemoryStore)
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = defaultParallel
	}
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Scheduler{
		cfg:    cfg,
		store:  cfg.Store,
		log:    cfg.Logger,
		clock:  func() time.Time { return time.Now().Round(0) },
		slots:  make(chan struct{}, cfg.Parallel),
		news:   make(chan struct{}, 1),
		counts: make(map[Outcome]*atomic.Int64, len(outcomes)),
		held:   make(map[string]chan struct{}),
	}
	for _, o := range outcomes {
		s.counts[o] = new(atomic.Int64)
	}
	return s, nil
}

// Add stores a schedule, which is active from then on. Errors can be told apart
// with errors.Is: ErrInvalid, ErrNever, ErrExists, telephony.ErrInvalidNumber.
// Whether the service takes the call is seen at each occurrence.
func (s *Scheduler) Add(ctx context.Context, spec Spec) (*Schedule, error) {
	added, err := s.add(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("schedule: add: %w", err)
	}
	return added, nil
}

func (s *Scheduler) add(ctx context.Context, spec Spec) (*Schedule, error) {
	if spec.ID == "" {
		spec.ID = "sched_" + strings.ToLower(rand.Text())
	}
	p, err := spec.compile()
	if err != nil {
		return nil, err
	}
	if req := spec.Request; !req.To.Valid() || !req.From.Valid() {
		return nil, fmt.Errorf("Request: To or From: %w", telephony.ErrInvalidNumber)
	}
	now := s.clock()
	added := &Schedule{Spec: spec, State: Active, CreatedAt: now, Version: 1}
	after := now
	if spec.Cron == "" {
		after = now.Add(-spec.grace()) // it may be late already
	}
	if !added.advance(p, after) {
		return nil, fmt.Errorf("%w: it is over", ErrNever)
	}
	if err := s.store.Create(ctx, added.Clone()); err != nil {
		return nil, err
	}
	s.look()
	return added, nil
}

// advance goes on to the first occurrence after t. It reports false if there is
// none.
func (s *Schedule) advance(p *plan, t time.Time) bool {
	s.none()
	o, ok := p.next(t)
	if !ok {
		return false
	}
	begin, ok := p.begin(o)
	if !ok {
		return false
	}
	s.Next, s.Due = o, begin
	return true
}

// Get returns a schedule, or an error that wraps ErrNotFound.
func (s *Scheduler) Get(ctx context.Context, id string) (*Schedule, error) {
	got, err := s.store.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("schedule: get: %w", err)
	}
	return got, nil
}

// List returns schedules that fit f, by id, at most f.Max() of them.
func (s *Scheduler) List(ctx context.Context, f Filter) ([]*Schedule, error) {
	list, err := s.store.List(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("schedule: list: %w", err)
	}
	return list, nil
}

// Results returns what became of the last occurrences of a schedule, the last
// one first, at most KeepResults of them.
func (s *Scheduler) Results(ctx context.Context, id string) ([]Result, error) {
	results, err := s.store.Results(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("schedule: results: %w", err)
	}
	return results, nil
}

// Pause keeps calls from being placed until Resume. A schedule that is over is
// not changed.
//
// Like Cancel, it waits for a call that is just being placed; the record that it
// returns tells of it.
func (s *Scheduler) Pause(ctx context.Context, id string) (*Schedule, error) {
	return s.change(ctx, "pause", id, func(sched *Schedule, _ *plan) {
		if sched.State == Active {
			sched.State = Paused
		}
	})
}

// Resume has calls placed again. What a rule has stated meanwhile does not take
// place, and is not missed either. A single call whose time has passed is placed,
// or missed, as if the process had been down.
func (s *Scheduler) Resume(ctx context.Context, id string) (*Schedule, error) {
	return s.change(ctx, "resume", id, func(sched *Schedule, p *plan) {
		if sched.State != Paused {
			return
		}
		sched.State = Active
		if p == nil {
			return // and is refused
		}
		if now := s.clock(); sched.Cron != "" && sched.Next.At.Before(now) && !sched.advance(p, now) {
			sched.State = Done
		}
	})
}

// Cancel ends a schedule. Once it has returned no call will be placed; one that
// just was goes on. A schedule that is over is not changed.
func (s *Scheduler) Cancel(ctx context.Context, id string) (*Schedule, error) {
	return s.change(ctx, "cancel", id, func(sched *Schedule, _ *plan) {
		if !sched.State.Over() {
			sched.State = Canceled
			sched.none()
		}
	})
}

// Remove forgets a schedule that is over, and its results. Another one is
// refused with an error that wraps ErrConflict: cancel it first.
func (s *Scheduler) Remove(ctx context.Context, id string) error {
	err := s.holding(ctx, id, func() error {
		sched, err := s.store.Get(ctx, id)
		switch {
		case err != nil:
			return err
		case !sched.State.Over():
			return fmt.Errorf("%w: it is %s", ErrConflict, sched.State)
		}
		return s.store.Delete(ctx, id)
	})
	if err != nil {
		return fmt.Errorf("schedule: remove: %w", err)
	}
	return nil
}

// change changes a schedule while nobody places its call, here or elsewhere. A
// call that was placed before a crash and not noted is noted first. The plan is
// nil if the schedule cannot be understood; then it may not become active.
func (s *Scheduler) change(ctx context.Context, deed, id string, do func(*Schedule, *plan)) (changed *Schedule, err error) {
	err = s.holding(ctx, id, func() error {
		for {
			changed, err = s.changeNow(ctx, id, do)
			if err != errHeld && !errors.Is(err, ErrConflict) {
				return err
			}
			// Somebody else is at it, or was just now.
			if !pause(ctx, heldPause) {
				return ctx.Err()
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("schedule: %s: %w", deed, err)
	}
	s.look()
	return changed, nil
}

// errHeld tells that somebody else is placing the call of a schedule.
var errHeld = errors.New("schedule: its call is being placed")

// changeNow is change unless somebody elsewhere holds the schedule.
func (s *Scheduler) changeNow(ctx context.Context, id string, do func(*Schedule, *plan)) (*Schedule, error) {
	sched, err := s.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	p, wrong := sched.compile()
	if wrong == nil {
		if _, err := s.recall(ctx, sched, p); err != nil {
			return nil, err
		}
		if s.until(sched.Held) > 0 {
			return nil, errHeld
		}
	}
	before := *sched
	do(sched, p)
	switch {
	case wrong != nil && sched.State == Active:
		return nil, wrong
	case sched.State == before.State && sched.Next == before.Next:
		return sched, nil
	}
	return sched, s.update(ctx, sched, nil)
}

// holding does something while nobody else holds the schedule.
func (s *Scheduler) holding(ctx context.Context, id string, do func() error) error {
	for {
		free := s.hold(id)
		if free == nil {
			break
		}
		select {
		case <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer s.release(id)
	return do()
}

// hold takes hold of a schedule, and returns nil; or what is closed when whoever
// holds it lets go.
func (s *Scheduler) hold(id string) (free <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if free, ok := s.held[id]; ok {
		return free
	}
	s.held[id] = make(chan struct{})
	return nil
}

func (s *Scheduler) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.held[id])
	delete(s.held, id)
}

// update writes a schedule, and what became of an occurrence.
func (s *Scheduler) update(ctx context.Context, sched *Schedule, r *Result) error {
	sched.Version++
	return s.store.Update(ctx, sched, r)
}

// look has the loop look again.
func (s *Scheduler) look() {
	select {
	case s.news <- struct{}{}:
	default: // it will anyway
	}
}

// Stats are figures about a Scheduler since it was made.
type Stats struct {
	Outcomes map[Outcome]int64
	// Retried is how often a call was not placed for lack of room, or because a
	// store failed, and was to be tried again.
	Retried int64
	// Left is how often another scheduler had been faster.
	Left int64
}

// Stats returns the figures of now.
func (s *Scheduler) Stats() Stats {
	st := Stats{Outcomes: make(map[Outcome]int64, len(outcomes)), Retried: s.retried.Load(), Left: s.left.Load()}
	for o, n := range s.counts {
		st.Outcomes[o] = n.Load()
	}
	return st
}
