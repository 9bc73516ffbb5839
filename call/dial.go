package call

import (
	"context"
	"errors"
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

// dial asks the carrier to place the call. It is tried again only after the
// carrier certainly has not acted on it; what is ambiguous never is.
func (l *live) dial() {
	req := l.dialRequest()
	pace := l.svc.paces[l.provider.Name()]
	var leg string
	var last error
	attempt := func() error {
		if err := pace.wait(l.ctx); err != nil {
			if errors.Is(err, errPaced) {
				last = &telephony.Error{
					Provider: l.provider.Name(), Op: "dial", Outcome: telephony.NotSent,
					Reason: telephony.ErrThrottled, Err: err,
				}
			}
			return backoff.Permanent(err)
		}
		// The request is not cut off when the call is given up: its reply brings
		// the id to hang up by.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), requestTimeout)
		defer cancel()
		err := contain(func() (err error) { leg, err = l.provider.Dial(ctx, req); return err })
		last = err
		if err == nil {
			return nil
		}
		switch telephony.OutcomeOf(err) {
		case telephony.Throttled:
			pace.hold(retryAfter(err))
			return err
		case telephony.NotSent:
			return err
		}
		return backoff.Permanent(err)
	}
	if err := backoff.Retry(attempt, l.dialPauses()); err == nil {
		l.tell(input{kind: inDialed, leg: leg})
		return
	}
	if last == nil { // it was given up before the first try
		l.tell(input{kind: inDialFailed, outcome: telephony.NotSent, cause: DialFailed})
		return
	}
	l.log.Warn("dial failed", "err", last)
	in := input{kind: inDialFailed, outcome: telephony.OutcomeOf(last), cause: DialFailed, detail: last.Error()}
	if in.outcome == telephony.Rejected {
		in.cause = DialRejected
	}
	l.tell(in)
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
	base := l.svc.cfg.PublicURL + "webhook/" + l.provider.Name()
	return &telephony.DialRequest{
		To:               c.To,
		From:             c.From,
		AnswerURL:        base + "/answer/" + l.id,
		StatusURL:        base + "/status/" + l.id,
		MachineURL:       base + "/machine/" + l.id,
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
		ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), requestTimeout)
		err = contain(func() error { return l.provider.Hangup(ctx, leg) })
		cancel()
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), requestTimeout)
	defer cancel()
	var e telephony.Event
	err := contain(func() (err error) { e, err = l.provider.Status(ctx, leg); return err })
	switch {
	case errors.Is(err, telephony.ErrCallGone):
		l.tell(input{kind: inNotFound})
	case err != nil:
		l.log.Warn("carrier could not be asked", "err", err)
		l.tell(input{kind: inChecked})
	default:
		l.tell(statusInput(inChecked, e))
	}
}

// search asks the carrier for the call, whose id is not known. Only a single
// match that is nobody else's call is taken for it: to be wrong would be to
// hang up on a stranger.
func (l *live) search() {
	f, ok := l.provider.(telephony.Finder)
	if !ok {
		l.tell(input{kind: inNotFound})
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), requestTimeout)
	defer cancel()
	created := l.snapshot().CreatedAt.Truncate(time.Second) // carriers count seconds
	var found []telephony.Event
	err := contain(func() (err error) { found, err = f.Find(ctx, l.dialRequest(), created); return err })
	if err != nil {
		l.log.Warn("carrier could not be searched", "err", err)
	}
	var ours []telephony.Event
	for _, e := range found {
		if l.unclaimed(ctx, e.ProviderCallID) && (e.RequestID == "" || l.unclaimed(ctx, e.RequestID)) {
			ours = append(ours, e)
		}
	}
	if len(ours) != 1 {
		l.tell(input{kind: inNotFound})
		return
	}
	l.tell(statusInput(inReport, ours[0]))
}

// unclaimed reports whether no other call of ours has the carrier's id.
func (l *live) unclaimed(ctx context.Context, id string) bool {
	name := l.provider.Name()
	if other := l.svc.findLeg(legKey{name, id}); other != nil && other != l {
		return false
	}
	c, err := l.svc.cfg.Store.ByProvider(ctx, name, id)
	if err != nil {
		return errors.Is(err, ErrNotFound)
	}
	return c.ID == l.id
}
