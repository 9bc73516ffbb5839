package call

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/switchboard-voice/switchboard/telephony"
)

const (
	// dialTries, dialPauseFirst and dialPauseMost are how often and how far
	// apart a dial is tried that certainly did not reach the carrier.
	dialTries      = 3
	dialPauseFirst = 2 * time.Second
	dialPauseMost  = 10 * time.Second
	// requestTimeout bounds one request to a carrier.
	requestTimeout = 10 * time.Second
	// hangupTries is how often a carrier is asked to end a call.
	hangupTries = 4
)

// dial asks the carrier to place the call, and its backup if it certainly has
// not.
func (l *live) dial() {
	leg, err := l.dialCarrier()
	for err != nil && l.failOver(err) {
		leg, err = l.dialCarrier()
	}
	if err == nil {
		l.tell(input{kind: inDialed, leg: leg})
		return
	}
	l.log.Warn("dial failed", "err", err)
	in := input{kind: inDialFailed, outcome: telephony.OutcomeOf(err), cause: DialFailed, detail: err.Error()}
	if in.outcome == telephony.Rejected {
		in.cause = DialRejected
	}
	l.tell(in)
}

// dialCarrier asks one carrier. It is tried again only after the carrier
// certainly has not acted on it; what is ambiguous never is.
func (l *live) dialCarrier() (leg string, err error) {
	carrier := l.carrier()
	pace, req := l.svc.paces[carrier.Name()], l.dialRequest()
	_ = backoff.Retry(func() error { // its error is that of the last try, or of l.ctx
		if waited := pace.wait(l.ctx); waited != nil {
			if err == nil || l.ctx.Err() == nil {
				err = notSent(carrier, waited)
			}
			return backoff.Permanent(err)
		}
		// The request is not cut off when the call is given up: its reply brings
		// the id to hang up by.
		if why := l.ours(l.context()); why != nil { // it may have waited long for its turn
			err = notSent(carrier, why)
			return err
		}
		leg, err = within(context.WithoutCancel(l.context()), l.svc, requestTimeout, func(ctx context.Context) (string, error) {
			return carrier.Dial(ctx, req)
		}, func(leg string) { l.tell(input{kind: inDialed, leg: leg}) })
		pace.told(err)
		switch telephony.OutcomeOf(err) {
		case telephony.Throttled:
			pace.hold(retryAfter(err))
			return err
		case telephony.NotSent:
			return err
		}
		if err != nil {
			return backoff.Permanent(err)
		}
		return nil
	}, l.dialPauses())
	return leg, err
}

// notSent is the error of a dial that never left.
func notSent(carrier Provider, why error) error {
	e := &telephony.Error{Provider: carrier.Name(), Op: "dial", Outcome: telephony.NotSent, Reason: telephony.ErrRefused, Err: why}
	switch {
	case errors.Is(why, errPaced):
		e.Reason = telephony.ErrThrottled
	case errors.Is(why, errBroken):
		e.Reason = telephony.ErrUnavailable
	}
	return e
}

// failOver gives the call to the backup of its carrier. It reports false if
// there is none, if somebody may have acted on the dial, or if the call may not
// be placed there.
func (l *live) failOver(err error) bool {
	switch telephony.OutcomeOf(err) {
	case telephony.NotSent, telephony.Throttled:
	default:
		return false
	}
	c := l.snapshot()
	b, ok := l.svc.cfg.Backups[c.Provider]
	if !ok || l.failedOver || l.ctx.Err() != nil || l.svc.Draining() {
		return false
	}
	l.failedOver = true // once: the backup may have one of its own
	if b.From == "" {
		b.From = c.From
	}
	held, refused := l.svc.reserve(l.context(), Leg{
		CallID: l.id, Tenant: c.Tenant, AgentID: c.AgentID, Provider: b.Provider, From: b.From, To: c.To,
		MaxDuration: l.limits.duration,
	})
	if refused != nil {
		l.log.Warn("call may not be placed by the backup", "provider", b.Provider, "err", refused)
		return false
	}
	for _, h := range l.allHeld() { // the leg that was not dialed
		l.free(h, Usage{})
	}
	l.hold(held, time.Time{})
	provider := l.svc.providers[b.Provider]
	l.provider.Store(&provider)
	l.update(func(c *Call) { c.Provider, c.From = b.Provider, b.From })
	l.emit(Event{Type: EventFailover, Name: b.Provider, Detail: err.Error()})
	return true
}

// retryAfter is how long a carrier that is asked too much wants to be left alone.
func retryAfter(err error) time.Duration {
	var e *telephony.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	return dialPauseFirst
}

func (l *live) dialRequest() *telephony.DialRequest {
	c := l.snapshot()
	return &telephony.DialRequest{
		To:               c.To,
		From:             c.From,
		AnswerURL:        l.webhook("answer"),
		StatusURL:        l.webhook("status"),
		MachineURL:       l.webhook("machine"),
		RingTimeout:      l.limits.ring,
		MaxDuration:      l.limits.duration + carrierSlack,
		SendDigits:       c.Options.SendDigits,
		MachineDetection: c.Options.MachineDetection,
	}
}

// carrierSlack is how much longer than we would the carrier lets a call last.
const carrierSlack = time.Minute

// dialPauses are the pauses between tries: exponential, or as long as the
// carrier asks, if that is not too long.
func (l *live) dialPauses() backoff.BackOff {
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(dialPauseFirst),
		backoff.WithMaxInterval(dialPauseMost),
		backoff.WithMultiplier(2),
		backoff.WithMaxElapsedTime(0),
	)
	return backoff.WithContext(backoff.WithMaxRetries(b, dialTries-1), l.ctx)
}

// hangup ends the carrier's side of the call.
func (l *live) hangup() {
	leg := l.snapshot().ProviderCallID
	var err error
	pause := time.Second
	for try := range hangupTries {
		if try > 0 {
			select {
			case <-time.After(pause):
				pause *= 2
			case <-l.done:
				return
			}
		}
		if errors.Is(l.ours(context.WithoutCancel(l.context())), ErrEnded) {
			return // another replica has the call
		}
		err = l.svc.do(context.WithoutCancel(l.context()), requestTimeout, func(ctx context.Context) error {
			return l.carrier().Hangup(ctx, leg)
		})
		if err == nil {
			l.tell(input{kind: inHungUp})
			return
		}
	}
	l.log.Error("carrier did not hang up", "err", err)
	l.leave("hangup", err)
}

// check asks the carrier how the call stands.
func (l *live) check(leg string) {
	e, err := within(context.WithoutCancel(l.context()), l.svc, requestTimeout, func(ctx context.Context) (telephony.Event, error) {
		return l.carrier().Status(ctx, leg)
	}, nil)
	switch {
	case errors.Is(err, telephony.ErrCallGone):
		l.tell(input{kind: inForgotten})
	case err != nil:
		l.log.Warn("carrier could not be asked", "err", err)
		l.tell(input{kind: inChecked})
	default:
		l.tell(statusInput(inChecked, e))
	}
}

// search asks the carrier for the call, whose id is not known. Only a single
// match that is nobody else's call, and can be nobody else's, is taken for it: to
// be wrong would be to hang up on a stranger.
func (l *live) search() {
	f, ok := l.carrier().(telephony.Finder)
	if !ok {
		l.tell(input{kind: inNotFound})
		return
	}
	ctx := context.WithoutCancel(l.context())
	created := l.snapshot().CreatedAt.Truncate(time.Second) // carriers count seconds
	found, err := within(ctx, l.svc, requestTimeout, func(ctx context.Context) ([]telephony.Event, error) {
		return f.Find(ctx, l.dialRequest(), created)
	}, nil)
	if err != nil {
		l.log.Warn("carrier could not be searched", "err", err)
	}
	var ours []telephony.Event
	for _, e := range found {
		if l.unclaimed(ctx, e.ProviderCallID) && (e.RequestID == "" || l.unclaimed(ctx, e.RequestID)) {
			ours = append(ours, e)
		}
	}
	if len(ours) != 1 || l.hasRival() {
		l.tell(input{kind: inNotFound})
		return
	}
	l.tell(statusInput(inReport, ours[0]))
}

// hasRival reports whether another call of ours between the same numbers waits to
// learn its id too.
func (l *live) hasRival() bool {
	c := l.snapshot()
	for _, other := range l.svc.all() {
		if other == l {
			continue
		}
		if rivals(c, other.snapshot()) {
			return true
		}
	}
	return l.svc.cluster != nil && l.hasRivalElsewhere(c)
}

// rivals reports whether two calls of ours could each be the one that a carrier
// tells of.
func rivals(c, o *Call) bool {
	return o.Provider == c.Provider && o.From == c.From && o.To == c.To && o.Direction == c.Direction && o.ProviderCallID == ""
}

// hasRivalElsewhere looks among the calls of other replicas. It reports true if it
// cannot.
func (l *live) hasRivalElsewhere(c *Call) bool {
	f := Filter{States: liveStates, Provider: c.Provider, NotOwnedBy: []string{l.svc.cluster.name}}
	for page, err := range l.svc.pages(context.WithoutCancel(l.context()), f) {
		if err != nil || slices.ContainsFunc(page, func(o *Call) bool { return rivals(c, o) }) {
			return true
		}
	}
	return false
}

// unclaimed reports whether no other call of ours has the carrier's id.
func (l *live) unclaimed(ctx context.Context, id string) bool {
	name := l.carrier().Name()
	if other := l.svc.findLeg(legKey{name, id}); other != nil && other != l {
		return false
	}
	c, err := l.svc.byProvider(ctx, name, id)
	if err != nil {
		return errors.Is(err, ErrNotFound)
	}
	return c.ID == l.id
}
