package call

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Service makes, answers and ends calls. Make one with [New]; its methods may be
// used by many goroutines at once.
//
// A live call is owned by one goroutine of the service from Place, or the
// carrier's first webhook, until its terminal state has been stored.
type Service struct {
	cfg       Config
	log       *slog.Logger
	providers map[string]Provider
	paces     map[string]*pace // by provider
	tokens    tokens
	subs      subscriptions
	counts    counts
	refusals  refusals
	chores    chores
	fetches   fetches
	unsure    unsure
	cluster   *cluster // nil if the service is alone

	mu       sync.Mutex // guards what follows
	live     map[string]*live
	legs     map[legKey]*live
	draining bool

	calls   sync.WaitGroup     // owners of calls and writers of their records
	keepers sync.WaitGroup     // what goes on until ctx ends
	ctx     context.Context    // ends when Shutdown gives up on what is still going on
	stop    context.CancelFunc // of ctx
}

// legKey is how a carrier knows a call.
type legKey struct{ provider, id string }

// New checks cfg and returns a Service. It starts no goroutine. Whoever has made
// a Service calls Shutdown in the end.
func New(cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("call: config: %w", err)
	}
	s := &Service{
		cfg:       cfg,
		log:       slog.New(guardedLog{cfg.Logger.Handler()}),
		providers: make(map[string]Provider, len(cfg.Providers)),
		paces:     make(map[string]*pace, len(cfg.Providers)),
		live:      make(map[string]*live),
		legs:      make(map[legKey]*live),
	}
	for _, p := range cfg.Providers {
		s.providers[p.Name()] = p
		s.paces[p.Name()] = newPace(cfg.DialsPerSecond)
	}
	s.chores.init(s)
	s.fetches.init()
	s.ctx, s.stop = context.WithCancel(context.Background())
	if cfg.Cluster != (Cluster{}) {
		s.cluster = newCluster(s)
		s.tokens.maker = wordOf(s.cluster.name)
	}
	return s, nil
}

// Call returns the record of a call as it is now, with what has been said so far,
// or an error that wraps ErrNotFound.
func (s *Service) Call(ctx context.Context, id string) (*Call, error) {
	if l := s.find(id); l != nil {
		return l.view(), nil
	}
	c, err := s.stored(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("call: get: %w", err)
	}
	if s.cluster != nil && !c.State.Terminal() {
		if shown, err := s.order(ctx, order{Deed: deedShow, Call: id}); err == nil {
			return shown.Call, nil
		} // whoever has it does not answer: what is stored is the latest that is known
	}
	return c, nil
}

// CallByKey returns the call of a tenant that was placed under an idempotency key
// as Call does, or an error that wraps ErrNotFound.
func (s *Service) CallByKey(ctx context.Context, tenant, key string) (*Call, error) {
	c, err := s.byKey(ctx, tenant, key)
	if err != nil {
		return nil, fmt.Errorf("call: get by key: %w", err)
	}
	if l := s.find(c.ID); l != nil {
		return l.view(), nil
	}
	return c, nil
}

// Calls returns the calls that fit f, newest first, at most f.Max() of them.
// Those that are live are shown as they are now.
func (s *Service) Calls(ctx context.Context, f Filter) iter.Seq2[*Call, error] {
	return func(yield func(*Call, error) bool) {
		stored, err := s.list(ctx, f)
		if err != nil {
			yield(nil, fmt.Errorf("call: list: %w", err))
			return
		}
		for _, c := range stored {
			if l := s.find(c.ID); l != nil {
				c = l.view()
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// Events returns the events of a call after the one numbered after, in order. It
// may lag a little behind a live call; a subscription does not.
func (s *Service) Events(ctx context.Context, id string, after int64) ([]Event, error) {
	events, err := s.events(ctx, id, after)
	if err != nil {
		return nil, fmt.Errorf("call: events: %w", err)
	}
	return events, nil
}

// Hangup ends a call, whatever state it is in, and returns when the end has
// begun; see Wait. A call that is over already is no error.
func (s *Service) Hangup(ctx context.Context, id string) error {
	return s.hangup(ctx, id, HangupLocal)
}

func (s *Service) hangup(ctx context.Context, id string, cause Cause) error {
	if _, err := s.order(ctx, order{Deed: deedHangup, Call: id, Cause: cause}); err != nil {
		return fmt.Errorf("call: hangup: %w", err)
	}
	return nil
}

// end begins the end of a call, if it has not begun.
func (l *live) end(ctx context.Context, cause Cause) error {
	if err := l.post(ctx, input{kind: inEnd, cause: cause}); err != nil {
		if errors.Is(err, ErrEnded) {
			return nil
		}
		return err
	}
	select {
	case <-l.ctx.Done(): // the end has begun
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wait returns the record of a call once it is in a terminal state. If ctx ends
// first the call goes on, and the error is that of ctx.
func (s *Service) Wait(ctx context.Context, id string) (*Call, error) {
	for {
		if l := s.find(id); l != nil {
			select {
			case <-l.done:
			case <-ctx.Done():
				return nil, fmt.Errorf("call: wait: %w", ctx.Err())
			}
			if !l.isFenced() {
				return l.snapshot(), nil
			}
		}
		if s.cluster == nil {
			return s.Call(ctx, id)
		}
		c, err := s.await(ctx, id)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("call: wait: %w", err)
		}
		return c, nil
	}
}

// errMoved tells that a call has another owner than it had just now.
var errMoved = errors.New("another replica has the call")

// Draining reports whether Shutdown has been called.
func (s *Service) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// cleanupTime bounds the cleanup of a call: the deadlines of its steps and the
// wait for the carrier's last word.
const cleanupTime = 30 * time.Second

// Shutdown takes no new calls, waits for those that are live and for what is done
// about calls after their end (see Config.AfterParallel), and returns when
// every goroutine of the service has ended, agents that ignore their context
// excepted. When ctx ends first, the calls that are left are hung up and cleaned
// up, which takes half a minute at most, what is done about ended calls is given up,
// and the error is that of ctx. It wraps ErrUnsaved if a store has failed for so
// long that records are lost.
func (s *Service) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()

	saved := make(chan struct{})
	go func() {
		s.calls.Wait() // for the calls, and then for what is not stored yet
		close(saved)
	}()
	var err error
	select {
	case <-saved:
	case <-ctx.Done():
		err = fmt.Errorf("call: shutdown: %w", ctx.Err())
		s.chores.stop()
		s.cutOff(saved)
	}
	if n := s.counts.persistPending.Load() + s.unsure.left(s); n > 0 {
		err = errors.Join(err, fmt.Errorf("call: shutdown: %w: %d", ErrUnsaved, n))
	}
	if s.cluster != nil {
		s.cluster.peers.drain(ctx)
	}
	s.stop()
	<-saved
	s.keepers.Wait()
	if s.cluster != nil {
		s.cluster.leave()
	}
	s.cfg.Media.Close()
	s.subs.close()
	return err
}

// cutOff hangs up every live call and waits, within bounds, until they are
// cleaned up and saved is closed.
func (s *Service) cutOff(saved <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	for _, l := range s.all() {
		_ = l.post(ctx, input{kind: inEnd, cause: Drain}) // fails for calls that are over
	}
	select {
	case <-saved:
	case <-ctx.Done():
	}
}

// await waits for the end of a call that another replica has.
func (s *Service) await(ctx context.Context, id string) (*Call, error) {
	over, forget := s.cluster.await(id)
	defer forget()
	for {
		c, err := s.stored(ctx, id)
		if err != nil || c.State.Terminal() {
			return c, err
		}
		if l := s.find(id); l != nil {
			return nil, errMoved // it has been taken over by this one
		}
		select {
		case <-over:
			over = nil
		case <-time.After(s.cluster.cfg.Lease): // in case that its end was not heard of
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// admit makes room for a call, or says why there is none.
func (s *Service) admit(l *live) error {
	if err := s.mayTake(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return ErrShutdown
	case len(s.live) >= s.cfg.MaxCalls:
		return ErrOverloaded
	}
	s.register(l)
	return nil
}

// readmit makes room for a call of before a restart, whatever the limit.
func (s *Service) readmit(l *live) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return ErrShutdown
	}
	s.register(l)
	return nil
}

// register lists a call as live. The caller holds mu.
func (s *Service) register(l *live) {
	s.live[l.id] = l
	s.calls.Add(1)
}

// dismiss gives up the room of a call.
func (s *Service) dismiss(l *live) {
	s.release(l.lease)
	s.unlist(l)
	s.calls.Done()
}

// unlist ends that a call is found; a call that is not listed is not touched.
func (s *Service) unlist(l *live) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if leg := l.leg; leg != (legKey{}) && s.legs[leg] == l {
		delete(s.legs, leg)
	}
	if s.live[l.id] == l {
		delete(s.live, l.id)
	}
}

// bind notes by which id a carrier knows a call. It reports false if another
// live call has that id.
func (s *Service) bind(l *live, leg legKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.legs[leg]; ok && other != l {
		return false
	}
	if s.legs[l.leg] == l {
		delete(s.legs, l.leg)
	}
	s.legs[leg] = l
	l.leg = leg
	return true
}

func (s *Service) find(id string) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.live[id]; l != nil && !l.isFenced() {
		return l
	}
	return nil
}

func (s *Service) findLeg(leg legKey) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.legs[leg]
}

func (s *Service) all() []*live {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*live, 0, len(s.live))
	for _, l := range s.live {
		all = append(all, l)
	}
	return all
}

// counts are the figures behind Stats.
type counts struct {
	placed, received, refused  atomic.Int64
	ended                      [states]atomic.Int64
	unverified, streamsRefused atomic.Int64
	agentsLeft, hostHeld       atomic.Int64
	unsettled                  atomic.Int64
	withheld, afterwardsFailed atomic.Int64
	fetchesFailed              atomic.Int64
	persistPending             atomic.Int64
	eventsUnsaved              atomic.Int64
	takenOver, fenced          atomic.Int64
}

// Stats are figures about a service since it was made.
type Stats struct {
	Live     int   // calls that are not over
	Placed   int64 // outbound calls
	Received int64 // inbound calls that were taken
	Refused  int64 // calls refused for lack of room, by policy or during shutdown
	Ended    map[State]int64
	// RefusedBy counts the legs that the policy has refused, by its Reason.
	RefusedBy map[Reason]int64

	WebhooksUnverified int64 // refused because they were not signed
	StreamsRefused     int64 // media sockets without a valid token
	EventsDropped      int64 // by subscribers that were too slow
	EventsUnsaved      int64 // not stored, because the store failed for too long
	TakenOver          int64 // calls of other replicas, or of before a restart
	Fenced             int64 // calls given up because another replica has them
	PersistPending     int64 // calls that are over and not stored yet
	AgentsLeft         int64 // agents that have not returned from a call that is over, or whose sound has not
	Unsettled          int64 // reservations of the policy's whose release failed
	WordsWithheld      int64 // segments without their words, because the Redactor failed
	Afterwards         int64 // calls that are over and wait for Retranscriber or Analyzer
	FetchesFailed      int64 // recordings of carriers that were not fetched
	AfterwardsFailed   int64 // transcripts not made up for, and analyses not made
	HostHeld           int64 // calls into carriers, stores, routers, policies and other plugs that are not waited for any more and have not returned
}

// Stats returns the figures of now.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	live := len(s.live)
	s.mu.Unlock()
	st := Stats{
		Live:               live,
		Placed:             s.counts.placed.Load(),
		Received:           s.counts.received.Load(),
		Refused:            s.counts.refused.Load(),
		Ended:              make(map[State]int64),
		WebhooksUnverified: s.counts.unverified.Load(),
		StreamsRefused:     s.counts.streamsRefused.Load(),
		EventsDropped:      s.subs.dropped.Load(),
		EventsUnsaved:      s.counts.eventsUnsaved.Load(),
		TakenOver:          s.counts.takenOver.Load(),
		Fenced:             s.counts.fenced.Load(),
		PersistPending:     s.counts.persistPending.Load(),
		AgentsLeft:         s.counts.agentsLeft.Load(),
		Unsettled:          s.counts.unsettled.Load(),
		WordsWithheld:      s.counts.withheld.Load(),
		Afterwards:         s.chores.waiting(),
		FetchesFailed:      s.counts.fetchesFailed.Load(),
		AfterwardsFailed:   s.counts.afterwardsFailed.Load(),
		HostHeld:           s.counts.hostHeld.Load(),
		RefusedBy:          s.refusals.counted(),
	}
	for state := Completed; state < states; state++ {
		st.Ended[state] = s.counts.ended[state].Load()
	}
	return st
}
