package call

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

// A caller is led away from the stream by a redirection: the carrier asks
// webhook/{provider}/next/{id} what to do now, and is told what the move says.
// Where the caller may come back, the carrier asks webhook/{provider}/back/{id}
// when it is done, or opens a stream without being asked to.

// move is a caller's way off the stream, from when the carrier is asked until
// the caller is in good hands, or back.
type move struct {
	number int // of the call's moves
	name   string
	away   away
	wait   time.Duration // bounds it, if it is not for good
	answer telephony.Answer
	stream bool     // the answer ends with a new stream
	came   bool     // which is there
	back   bool     // whom the caller was led to was not reached: a stream is next
	void   bool     // the carrier has refused: it is over when the call's life has taken note
	held   *heldLeg // what the policy holds for whom the caller is led to; may be nil

	asked  chan struct{} // closed when the carrier asks what to do
	known  bool          // asked is closed
	failed error         // whom the caller was led to could not be reached
	result chan error    // capacity 1: nil if the caller is in good hands, or back as meant
}

// Transfer says where a caller goes.
type Transfer struct {
	// To is whom the caller is connected to.
	To telephony.Number
	// CallerID is what To sees: zero leaves it to the carrier.
	CallerID telephony.Number
	// Timeout is how long it may ring, in whole seconds. Zero: 30 s.
	Timeout time.Duration
	// URL, if it is set instead of To, is asked by the carrier what to do with the
	// caller: a host of yours that speaks the carrier's language. The call is out
	// of the service's hands then, but for its end.
	URL string
}

// TransferError tells that somebody else could not be reached, or would not. The
// caller is with the agent.
type TransferError struct {
	// State is what became of the attempt: Busy, NoAnswer, Canceled or Failed.
	State State
	// Err is more about it, such as ErrDeclined; may be nil.
	Err error
}

// Error names the state.
func (e *TransferError) Error() string {
	if e.Err == nil {
		return "call: transfer: " + e.State.String()
	}
	return "call: transfer: " + e.State.String() + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *TransferError) Unwrap() error { return e.Err }

const (
	defaultTransferTimeout = 30 * time.Second
	// moveSlack is what carriers need besides the time that they were given: they
	// ask, connect and tell.
	moveSlack = 15 * time.Second
	// proofWait is how long it may take until a carrier asks what to do, after it
	// did not say whether it would.
	proofWait = 5 * time.Second
	// maxKeysSent is how many keys are sent at once; each takes half a second.
	maxKeysSent = 32
	keyTime     = 500 * time.Millisecond
)

// Transfer connects the caller to somebody else, which the policy must allow. It
// returns nil when the two are connected, and then ctx of the agent ends, with
// the cause Transferred; the call itself lasts until the two have hung up. How
// soon that is known depends on the carrier: when they have hung up, or as soon
// as it cannot be ringing any more.
//
// A *TransferError tells that nobody was reached: the caller is back, on the same
// Session, or will be within moments, and what is said meanwhile waits. Other
// errors are those of the policy and the carrier (see ErrNotAllowed,
// telephony.ErrInvalidNumber, telephony.ErrCallState for a call that is on its
// way already, and errors.ErrUnsupported): then nothing has happened. If ctx
// ends, the transfer goes on.
func (s *Session) Transfer(ctx context.Context, to Transfer) error {
	return wrapTransfer(s.live.transfer(ctx, to))
}

// Transfer is Session.Transfer.
func (s *Service) Transfer(ctx context.Context, id string, to Transfer) error {
	_, err := s.order(ctx, order{Deed: deedTransfer, Call: id, Transfer: &to})
	return wrapTransfer(err)
}

func wrapTransfer(err error) error {
	var e *TransferError
	if err == nil || errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("call: transfer: %w", err)
}

func (l *live) transfer(ctx context.Context, to Transfer) error {
	if to.To != "" && to.URL != "" {
		return fmt.Errorf("To and URL: %w", ErrInvalidRequest)
	}
	redirector, err := l.redirector()
	if err != nil {
		return err
	}
	if to.URL != "" {
		return l.depart(ctx, redirector, &move{name: "redirect", away: awayForGood}, to.URL)
	}
	reserved, err := l.mayDial(ctx, to.To, to.CallerID)
	if err != nil {
		return err
	}
	held := l.hold(reserved, time.Now())
	timeout := cmpOr(to.Timeout, defaultTransferTimeout)
	err = l.depart(ctx, redirector, &move{
		name: "transfer",
		away: awayTrying,
		wait: timeout + moveSlack,
		answer: telephony.Answer{Dial: &telephony.DialAnswer{
			To: to.To, CallerID: to.CallerID, Timeout: timeout,
		}},
		held: held,
	}, l.webhook("next"))
	if err != nil && context.Cause(ctx) == nil { // otherwise it goes on
		_, dialed := errors.AsType[*TransferError](err)
		l.free(held, Usage{Dialed: dialed})
	}
	return err
}

// mayDial asks everybody who has a say whether the caller may be connected to
// another number. What is returned is what the policy holds for that leg.
func (l *live) mayDial(ctx context.Context, to, callerID telephony.Number) (Reservation, error) {
	if !to.Valid() {
		return nil, fmt.Errorf("To: %w", telephony.ErrInvalidNumber)
	}
	if l.svc.Draining() {
		return nil, ErrShutdown
	}
	if err := l.ours(ctx); err != nil {
		return nil, err
	}
	c := l.snapshot()
	return l.svc.reserve(ctx, Leg{
		CallID: c.ID, Tenant: c.Tenant, AgentID: c.AgentID, Provider: c.Provider,
		From: callerID, To: to, Transfer: true, MaxDuration: l.limits.duration,
	})
}

func (l *live) redirector() (telephony.Redirector, error) {
	r, ok := l.carrier().(telephony.Redirector)
	if !ok {
		return nil, fmt.Errorf("redirect: %w", errors.ErrUnsupported)
	}
	return r, nil
}

// webhook is the address below which the carrier asks about this call.
func (l *live) webhook(kind string) string {
	return l.svc.cfg.PublicURL + "webhook/" + l.carrier().Name() + "/" + kind + "/" + l.id
}

// SendKeys presses keys towards the person on the line: 0-9 * #, at most 32.
// Where the carrier's stream cannot send them, the call leaves its stream for as
// long as they take and comes back: what the agent was saying is cut off then,
// what it says meanwhile waits, and w is a pause of half a second. It returns
// when the keys have been handed over, or the call is back. The error is that of
// ctx, stream.ErrKeys, ErrEnded, telephony.ErrCallState for a call that is away,
// or errors.ErrUnsupported.
func (s *Session) SendKeys(ctx context.Context, keys string) error {
	if err := s.sendKeys(ctx, keys); err != nil {
		return fmt.Errorf("call: send keys: %w", err)
	}
	return nil
}

// SendKeys is Session.SendKeys.
func (s *Service) SendKeys(ctx context.Context, id, keys string) error {
	if _, err := s.order(ctx, order{Deed: deedSendKeys, Call: id, Keys: keys}); err != nil {
		return fmt.Errorf("call: send keys: %w", err)
	}
	return nil
}

func (s *Session) sendKeys(ctx context.Context, keys string) error {
	err := s.link.Load().conn.SendKeys(keys)
	if !errors.Is(err, errors.ErrUnsupported) {
		return ended(err)
	}
	if keys == "" || len(keys) > maxKeysSent || strings.Trim(keys, "0123456789*#w") != "" {
		return stream.ErrKeys
	}
	redirector, err := s.live.redirector()
	if err != nil {
		return err
	}
	if !telephony.PowersOf(s.live.carrier()).Has(telephony.CanAnswerKeys) {
		return errors.ErrUnsupported
	}
	return s.live.depart(ctx, redirector, &move{
		name:   "keys",
		away:   awayBriefly,
		wait:   time.Duration(len(keys))*keyTime + moveSlack,
		answer: telephony.Answer{Keys: keys},
		stream: true,
	}, s.live.webhook("next"))
}

// depart takes the caller off the stream, and returns when it is known what has
// become of that.
func (l *live) depart(ctx context.Context, redirector telephony.Redirector, m *move, url string) error {
	m.asked, m.result = make(chan struct{}), make(chan error, 1)
	if err := l.startMove(m); err != nil {
		return err
	}
	if err := l.ask(ctx, input{kind: inLeaving, away: m.away, after: m.wait}); err != nil {
		l.endMove(m)
		return err
	}
	if err := l.isLeaving(m); err != nil {
		l.endMove(m)
		return err
	}
	// The request is not cut off when ctx ends: nobody would know whether it was
	// obeyed.
	err := l.svc.do(context.WithoutCancel(ctx), requestTimeout, func(ctx context.Context) error {
		return redirector.Redirect(ctx, l.snapshot().ProviderCallID, url)
	})
	if err != nil && !l.obeyed(m, err) {
		l.mu.Lock()
		m.void = true
		l.mu.Unlock()
		_ = l.ask(context.WithoutCancel(ctx), input{kind: inLeaveFailed}) // fails if the call is over
		l.endMove(m)
		return err
	}
	l.emit(Event{Type: EventMove, Name: m.name})
	select {
	case err := <-m.result:
		return err
	case <-ctx.Done():
	}
	var end *EndError
	if errors.As(context.Cause(ctx), &end) && end.Cause == Transferred {
		return nil // it is the context of the agent, whose caller is in other hands
	}
	return context.Cause(ctx)
}

// startMove makes m the call's move, unless it is on another one, or is not on
// its stream.
func (l *live) startMove(m *move) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.record.State >= Ending:
		return ErrEnded
	case !l.streaming && l.move == nil:
		return fmt.Errorf("call is %v: %w", l.record.State, telephony.ErrCallState)
	case l.move != nil:
		return fmt.Errorf("caller is away (%s): %w", l.move.name, telephony.ErrCallState)
	}
	l.moves++
	m.number = l.moves
	if m.answer.Dial != nil {
		m.answer.Dial.ResultURL = l.webhook("back") + "/" + strconv.Itoa(m.number)
	}
	l.move = m
	return nil
}

// isLeaving says why the call's life has taken no note of m, if it has not.
func (l *live) isLeaving(m *move) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.record.State >= Ending:
		return ErrEnded
	case l.away != m.away:
		return fmt.Errorf("the stream has just ended: %w", telephony.ErrCallState)
	}
	return nil
}

// endMove forgets a move that did not begin.
func (l *live) endMove(m *move) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.move == m {
		l.move = nil
	}
}

// obeyed reports whether the carrier redirects the call although its reply was
// an error: it has asked what to do, or will, because only the reply was lost.
func (l *live) obeyed(m *move, err error) bool {
	select {
	case <-m.asked:
		return true
	default:
	}
	if telephony.OutcomeOf(err) != telephony.Ambiguous {
		return false
	}
	t := time.NewTimer(proofWait)
	defer t.Stop()
	select {
	case <-m.asked:
		return true
	case <-t.C:
	case <-l.done:
	}
	return false
}

// next answers a carrier that asks what to do with a redirected call, or with one
// whose stream has broken.
func (l *live) next(ctx context.Context, e telephony.Event) *telephony.Answer {
	l.mu.Lock()
	m := l.move
	switch {
	case m == nil || m.void:
		l.mu.Unlock()
		return l.replace(ctx, e)
	case m.back: // and the stream that was to come has broken
		l.mu.Unlock()
		return l.comeBack()
	}
	if !m.known {
		m.known = true
		close(m.asked)
	}
	answer := m.answer
	l.expects = m.stream && !m.came
	l.mu.Unlock()
	if m.stream {
		return l.streamAnswer(answer)
	}
	return &answer
}

// replace answers a carrier for which the stream of a call is over: with another
// one, if it broke and may be replaced.
func (l *live) replace(ctx context.Context, e telephony.Event) *telephony.Answer {
	if err := l.ask(ctx, statusInput(inStreamLost, e)); err != nil {
		return hangUp
	}
	return l.comeBack()
}

// comeBack has the carrier open the stream that is expected, if there is one: the
// call may have ended, the move been taken back, or the time for it passed.
func (l *live) comeBack() *telephony.Answer {
	if !l.isExpecting() {
		return hangUp
	}
	return l.streamAnswer(telephony.Answer{})
}

// isExpecting reports whether another stream may come.
func (l *live) isExpecting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.expects && l.record.State < Ending
}

// back answers a carrier that has done what move said, when it is asked about
// that: an old question, which comes again, is about another one.
func (l *live) back(ctx context.Context, number string, e telephony.Event) *telephony.Answer {
	l.mu.Lock()
	m := l.move
	if m != nil && strconv.Itoa(m.number) != number {
		l.mu.Unlock()
		return nothing
	}
	if m == nil || m.void || m.away != awayTrying || e.Dialed == telephony.StatusCompleted {
		l.mu.Unlock()
		return hangUp // they have talked
	}
	m.failed, m.back = &TransferError{State: stateOf(e.Dialed)}, true
	l.mu.Unlock()
	if err := l.ask(ctx, input{kind: inReturning}); err != nil {
		return hangUp
	}
	return l.comeBack()
}

// stateOf is the state that a call would have ended in.
func stateOf(s telephony.Status) State {
	switch s {
	case telephony.StatusBusy:
		return Busy
	case telephony.StatusNoAnswer, telephony.StatusTimeout:
		return NoAnswer
	case telephony.StatusCanceled:
		return Canceled
	}
	return Failed
}

// moved tells whoever waits for the move what has become of it, and reports
// whether the caller is back, and why. The caller of moved holds mu.
func (l *live) moved(before life) (back bool, why string) {
	now := l.life
	l.away = now.Away
	l.streaming = now.Stream == streamOpen || now.Stream == streamFlowing
	if now.Away != before.Away {
		l.expects = now.Away == awayBack || now.Away == awayLost
		if now.Away == awayLost { // some carriers come back to where they were
			l.svc.tokens.restoreLast(l, time.Now())
		}
	}
	m := l.move
	if m == nil {
		return now.Away == awayNone && before.Away == awayLost && now.State < Ending, ""
	}
	switch {
	case now.State >= Ending:
		if now.Away.handedOver() {
			m.tell(nil)
		} else {
			m.tell(ErrEnded)
		}
		l.move = nil
	case m.void: // whoever began it ends it
	case now.Away == awayForGood && now.Stream == streamGone:
		m.tell(nil)
	case now.Away == awayBack:
		m.tell(m.failed)
		l.task(func() { l.free(m.held, Usage{Dialed: true}) })
	case now.Away == awayNone && before.Away != awayNone:
		m.tell(m.failed)
		l.task(func() { l.free(m.held, Usage{Dialed: true}) })
		l.move = nil
		if failed, ok := errors.AsType[*TransferError](m.failed); ok {
			why = failed.State.String()
		}
		return true, why
	}
	return false, ""
}

// tell gives the result, the first time.
func (m *move) tell(err error) {
	select {
	case m.result <- err:
	default:
	}
}
