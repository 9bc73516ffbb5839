package call

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// live is a call that is not over, and the goroutine that owns it. What a call
// is decided by is its life; only run changes it.
type live struct {
	svc      *Service
	id       string
	provider atomic.Pointer[Provider] // see carrier
	limits   limits
	log      *slog.Logger

	inbox chan delivery
	done  chan struct{} // closed when the call is over and stored

	// ctx is the agent's: it ends, with a cause, when the end of the call begins.
	ctx    context.Context
	cancel context.CancelCauseFunc
	hosted atomic.Pointer[context.Context] // see context

	leg     legKey   // guarded by svc.mu
	token   string   // guarded by svc.tokens.mu
	ears    []string // likewise: the last tokens to listen
	revoked bool     // likewise: the call is over

	mu        sync.Mutex // guards what follows
	agent     Agent
	turn      *agentTurn // the agent's, while it talks
	say       string     // spoken by the carrier before the stream; see announcement
	record    *Call
	seq       int64
	session   *Session
	link      *link         // the newest stream of the session
	expects   bool          // the carrier has been told to open another stream
	away      away          // as in life
	streaming bool          // the caller is on the stream
	moves     int           // how many there were
	move      *move         // under way
	over      bool          // nothing of the call may begin any more
	answered  chan struct{} // closed when it is known who picked up; nil if nobody waits
	held      []*heldLeg    // what the policy holds for it; see hold
	last      Event         // announces the terminal state
	final     *Call         // the record in it

	writer recordWriter

	fenced  chan struct{} // closed when another replica has the call
	fencing sync.Once
	lapses  atomic.Int64 // of the replica's lease, when the call was last known to be its own

	lease routing.Lease // what the call is to its agent's load; nil: nothing

	recovered  bool // another process had the call; set before run
	failedOver bool // the backup has the call; owned by dial

	// Owned by run.
	life   life
	timers [timers]*time.Timer

	tasks sync.WaitGroup // goroutines that serve this call, agents excepted
}

// inboxSize is how many inputs may wait for the owner of a call, which never
// blocks. Whoever finds it full waits.
const inboxSize = 64

// delivery is an input on its way to the owner of a call.
type delivery struct {
	input
	taken chan struct{} // closed when the record shows what came of it; may be nil
}

func (s *Service) newLive(record *Call, l life, provider Provider, agent Agent) *live {
	ctx, cancel := context.WithCancelCause(s.ctx)
	call := &live{
		svc:   s,
		id:    record.ID,
		agent: agent,
		say:   s.cfg.Announcement,
		log:   s.log.With("call", record.ID),
		limits: limits{
			ring:     cmpOr(record.Options.RingTimeout, s.cfg.RingTimeout),
			duration: cmpOr(record.Options.MaxDuration, s.cfg.MaxDuration),
			media:    s.cfg.NoMedia,
			grace:    s.cfg.StreamGrace,

			silence:       cmpOr(record.Options.Silence, s.cfg.Silence),
			callerSilence: cmpOr(record.Options.CallerSilence, s.cfg.CallerSilence),
			agentStall:    cmpOr(record.Options.AgentStall, s.cfg.AgentStall),
		},
		inbox:  make(chan delivery, inboxSize),
		done:   make(chan struct{}),
		fenced: make(chan struct{}),
		ctx:    ctx,
		cancel: cancel,
		record: record,
		life:   l,
	}
	call.provider.Store(&provider)
	call.hosted.Store(&ctx)
	if s.cluster != nil {
		record.Owner = s.cluster.name
		_, lapses, _ := s.cluster.standing()
		call.lapses.Store(int64(lapses))
	}
	call.writer.init(call)
	call.remember()
	return call
}

// carrier is who has the call. It changes only as long as nobody has it.
func (l *live) carrier() Provider { return *l.provider.Load() }

// context is that in which the host's code works for the call: ctx, with what
// Config.CallContext has added.
func (l *live) context() context.Context { return *l.hosted.Load() }

// enter asks Config.CallContext.
func (l *live) enter() {
	if l.svc.cfg.CallContext == nil {
		return
	}
	ctx, err := within(l.ctx, l.svc, startTimeout, func(context.Context) (context.Context, error) {
		return l.svc.cfg.CallContext(l.ctx, l.snapshot()), nil
	}, nil)
	if err != nil || ctx == nil {
		l.log.Error("CallContext gave no context", "err", err)
		return
	}
	l.hosted.Store(&ctx)
}

// create stores the record of a new call with its first event.
func (l *live) create(ctx context.Context) (existing *Call, err error) {
	l.mu.Lock()
	l.record.Version = 1
	first := l.stamp(Event{Type: EventState, State: l.record.State})
	record := l.record.Clone()
	l.mu.Unlock()
	existing, err = askStore(ctx, l.svc, func(ctx context.Context) (*Call, error) {
		return l.svc.cfg.Store.Create(ctx, record, []Event{first})
	})
	if err != nil && !errors.Is(err, ErrConflict) {
		l.svc.unsure.add(l.svc, record.ID)
	}
	if err == nil && existing == nil {
		l.writer.version = record.Version
		l.svc.subs.publish(first)
	}
	return existing, err
}

// begin starts the owner of the call with its first input.
func (l *live) begin(first input) {
	l.inbox <- delivery{input: first} // the inbox is empty
	go l.run()
}

// abandon gives up a call that has been admitted and will not begin.
func (l *live) abandon() {
	l.close()
	l.svc.dismiss(l)
}

// close tells all who wait for the call that it is over.
func (l *live) close() {
	l.cancel(ErrEnded) // does nothing if the end had a cause
	l.svc.tokens.revoke(l)
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.freeAll() // before anybody who waits for the end may ask for another call
	if l.writer.over() {
		l.svc.unlist(l) // the store knows best from now on
	}
	close(l.done)
}

// run is the life of a call from its first input to its terminal state.
func (l *live) run() {
	defer l.svc.dismiss(l)
	l.enter()
	l.writer.start()
	for !l.life.State.Terminal() {
		select {
		case d := <-l.inbox:
			if l.isFenced() {
				l.forsake()
				return
			}
			l.take(d.input)
			if d.taken != nil {
				close(d.taken)
			}
		case <-l.fenced:
			l.forsake()
			return
		}
	}
	l.svc.counts.ended[l.life.State].Add(1)
	l.svc.chores.add(l) // before Wait returns, so that Stats tells of it
	l.close()
	l.tasks.Wait()
}

// take applies one input and does what follows from it.
func (l *live) take(in input) {
	in.detail = telephony.Mask(in.detail) // it may come from anybody's error
	before := l.life
	next, todo := apply(before, in, l.limits)
	l.life = next
	l.note(before)
	for _, e := range todo {
		l.perform(e)
	}
}

// post hands the owner an input. It fails if the call is over or ctx ends.
func (l *live) post(ctx context.Context, in input) error {
	return l.deliver(ctx, delivery{input: in})
}

// ask is post that waits until the record shows what came of it.
func (l *live) ask(ctx context.Context, in input) error {
	d := delivery{input: in, taken: make(chan struct{})}
	if err := l.deliver(ctx, d); err != nil {
		return err
	}
	select {
	case <-d.taken:
		return nil
	case <-l.done:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *live) deliver(ctx context.Context, d delivery) error {
	select {
	case l.inbox <- d:
		return nil
	case <-l.done:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell is post for what must not get lost as long as there is an owner.
func (l *live) tell(in input) {
	select {
	case l.inbox <- delivery{input: in}:
	case <-l.done:
	}
}

// note brings the record up to date with the life, announces a new state and
// sees to it that both are stored.
func (l *live) note(before life) {
	if l.life.Leg != before.Leg && !l.svc.bind(l, legKey{l.carrier().Name(), l.life.Leg}) {
		l.log.Error("carrier id belongs to another live call", "provider_call_id", l.life.Leg)
	}
	switch {
	case l.life.State >= Ending:
		l.cancel(&EndError{Cause: l.life.Cause})
	case l.life.Away == awayForGood && l.life.Stream == streamGone:
		l.cancel(&EndError{Cause: Transferred}) // the call goes on without its agent
		if s := l.currentSession(); s != nil {
			s.end()
		}
	}
	if l.life == before {
		return
	}
	if l.life.State.Terminal() {
		l.mu.Lock()
		l.record = l.final
		l.svc.subs.publish(l.last)
		l.mu.Unlock()
		return
	}
	l.mu.Lock()
	back, why := l.moved(before)
	now := time.Now()
	if l.life.Answered && l.record.AnsweredAt.IsZero() {
		l.record.AnsweredAt = now
	}
	if l.life.State >= Ending && l.record.EndedAt.IsZero() {
		l.record.EndedAt = now
	}
	l.record.State = l.life.State
	l.record.Cause = l.life.Cause
	l.record.Detail = l.life.Detail
	l.record.ProviderCallID = l.life.Leg
	l.remember()
	l.mu.Unlock()
	if back {
		l.emit(Event{Type: EventMove, Name: "back", Detail: why})
	}
	if l.life.State != before.State {
		l.emit(Event{Type: EventState, State: l.life.State, Cause: l.life.Cause, Detail: l.life.Detail})
		return
	}
	l.writer.wake()
}

// remember puts the life into the record. The caller holds mu or owns l alone.
func (l *live) remember() {
	b, err := json.Marshal(l.life)
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	l.record.Life = b
}

// stamp completes an event. The caller holds mu.
func (l *live) stamp(e Event) Event {
	l.seq++
	e.CallID, e.Tenant, e.Seq, e.At = l.id, l.record.Tenant, l.seq, time.Now()
	l.record.Events = l.seq
	e.Detail = telephony.Mask(e.Detail)
	if e.Type != EventState {
		e.State = l.record.State
	}
	return e
}

// emit adds an event to the call's log and tells subscribers. After the last one
// there are no more.
func (l *live) emit(e Event) {
	l.mu.Lock()
	if l.final != nil {
		l.mu.Unlock()
		return
	}
	e = l.stamp(e)
	l.writer.add(e)
	l.svc.subs.publish(e) // under mu, so that they see the events in order
	l.mu.Unlock()
	l.writer.wake()
}

// conclude makes the final record, and the event that will announce it.
func (l *live) conclude() {
	concluded := l.life
	concluded.State, concluded.Step = outcome(l.life), stepDone
	b, err := json.Marshal(concluded)
	if err != nil {
		panic(err) // as in remember
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.final = l.record.Clone()
	l.final.State, l.final.Life = concluded.State, b
	before := l.record.Events
	l.last = l.stamp(Event{Type: EventState, State: concluded.State, Cause: concluded.Cause, Detail: concluded.Detail})
	l.record.Events = before // what is written before the end knows nothing of it
	l.final.Events = l.seq
	l.final.OnHold, l.final.RecordingPaused = false, false
}

func (l *live) snapshot() *Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record.Clone()
}

// view is a snapshot for those outside: it has what was said so far, and for how
// long, which the record itself gets at the end.
func (l *live) view() *Call {
	l.mu.Lock()
	c, session, over := l.record.Clone(), l.session, l.final != nil
	l.mu.Unlock()
	if session != nil && !over && c.Transcript == nil {
		c.Transcript = session.notes.segments()
	}
	if session != nil && c.State < Ending {
		c.Metrics.CallerTalk = time.Duration(session.media.callerTalk.Load())
		c.Metrics.AgentTalk = time.Duration(session.media.agentTalk.Load())
	}
	return c
}

func (l *live) currentSession() *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

// update changes the record, in small ways that the life does not decide. The
// final record does not change.
func (l *live) update(change func(c *Call)) {
	l.mu.Lock()
	if l.final == nil {
		change(l.record)
	}
	l.mu.Unlock()
	l.writer.wake()
}

// task runs f in a goroutine that the end of the call waits for.
func (l *live) task(f func()) {
	l.tasks.Go(f)
}

func (l *live) perform(e effect) {
	switch e.kind {
	case doTimer:
		l.startTimer(e.timer, e.after)
	case doStop:
		if t := l.timers[e.timer]; t != nil {
			t.Stop()
		}
	case doDial:
		l.task(l.dial)
	case doHangup:
		l.task(l.hangup)
	case doCheck:
		leg := l.life.Leg
		l.task(func() { l.check(leg) })
	case doFind:
		l.task(l.search)
	case doListen:
		session := l.currentSession()
		l.task(func() { l.tell(input{kind: inQuiet, quiet: session.media.quietNow()}) })
	case doAgent:
		l.serveAgent()
	case doPlayOut:
		session := l.currentSession()
		l.task(func() {
			session.playOut(l.ctx)
			l.tell(input{kind: inPlayedOut})
		})
	case doStep:
		if e.step == stepRecord {
			l.conclude()
		}
		l.task(func() { l.cleanUp(e.step) })
	}
}

func (l *live) startTimer(which timer, after time.Duration) {
	if t := l.timers[which]; t != nil {
		t.Stop()
	}
	l.timers[which] = time.AfterFunc(after, func() { l.tell(input{kind: inTimer, timer: which}) })
}

// EndError is the cause of the end of an agent's context: see context.Cause.
type EndError struct{ Cause Cause }

// Error names the cause.
func (e *EndError) Error() string { return "call: ended: " + string(e.Cause) }

// Is reports that an EndError is an ErrEnded.
func (e *EndError) Is(target error) bool { return target == ErrEnded }

func cmpOr(d, otherwise time.Duration) time.Duration {
	if d != 0 {
		return d
	}
	return otherwise
}
