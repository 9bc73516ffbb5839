package call

import (
	"context"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// What a call is told before it is recorded, and whether it may be. Until then
// there is no file and no recogniser. They begin in mid-call, on the call's clock:
// the recording has silence for what was before.

// Consent says whether the caller agrees to be recorded and transcribed, on a
// call that waits for it: see Options.AwaitConsent. Both begin as soon as the
// notice has been heard, if there is one. Who has refused is not recorded: that
// is final, and to say the same again is no error. The error wraps
// telephony.ErrCallState if the call does not wait, or something else was said
// before; or it is ErrEnded.
func (s *Session) Consent(agrees bool) error {
	if err := s.consented(agrees); err != nil {
		return fmt.Errorf("call: consent: %w", err)
	}
	return nil
}

// Consent is Session.Consent.
func (s *Service) Consent(ctx context.Context, id string, agrees bool) error {
	if _, err := s.order(ctx, order{Deed: deedConsent, Call: id, Agrees: agrees}); err != nil {
		return fmt.Errorf("call: consent: %w", err)
	}
	return nil
}

// What Call.Consent may be.
const (
	consentGiven   = "given"
	consentRefused = "refused"
)

func (s *Session) consented(agrees bool) error {
	said := consentRefused
	if agrees {
		said = consentGiven
	}
	l := s.live
	l.mu.Lock()
	switch c := l.record; {
	case c.State >= Ending || l.final != nil:
		l.mu.Unlock()
		return ErrEnded
	case c.Consent == said:
		l.mu.Unlock()
		return nil
	case c.Consent != "" || !c.Options.AwaitConsent:
		was := c.Consent
		l.mu.Unlock()
		return fmt.Errorf("consent was not asked for, or is %q: %w", was, telephony.ErrCallState)
	}
	l.record.Consent = said
	l.mu.Unlock()
	s.permitted <- agrees // it has room for the one value that comes
	l.emit(Event{Type: EventConsent, Name: said})
	return nil
}

// allow begins to keep what is said once that is allowed: at once, on most calls.
func (s *Session) allow(c *Call) {
	notice, err := s.notice(c)
	if err == nil && notice == nil && !c.Options.AwaitConsent {
		s.media.listen(c)
		return
	}
	s.decided = make(chan struct{})
	s.live.task(func() {
		defer close(s.decided)
		if err == nil {
			err = s.giveNotice(c, notice)
		}
		switch {
		case s.live.ctx.Err() != nil: // it is over
		case err != nil:
			s.media.unrecorded(c.Options.RequireRecording, err)
		case !c.Options.AwaitConsent || s.agrees():
			s.media.listen(c)
		}
	})
}

// notice is what a call that is to be kept is told, and queued before anything
// that its agent says; nil if there is none.
func (s *Session) notice(c *Call) (*Speech, error) {
	say := s.live.svc.cfg.Notice
	if say == nil || !c.Options.Record && !c.Options.Transcribe {
		return nil, nil
	}
	u, err := within(s.live.ctx, s.live.svc, startTimeout, func(context.Context) (Utterance, error) { return say(c), nil }, nil)
	if err != nil || u.Audio == nil {
		return nil, err
	}
	u.Protected, u.Background = true, false
	return s.Say(u), nil
}

// giveNotice waits until notice has been heard to its end. One that is cut off,
// because the stream broke or the agent has cleared it, is given again.
func (s *Session) giveNotice(c *Call, notice *Speech) (err error) {
	for notice != nil {
		<-notice.Done() // with the call, at the latest
		switch {
		case notice.err != nil:
			return fmt.Errorf("notice was not heard: %w", notice.err)
		case notice.heard.Status != HeardCut:
			return nil
		case s.player.over():
			return ErrEnded
		}
		if notice, err = s.notice(c); err != nil {
			return err
		}
	}
	return nil
}

// agrees waits for what the caller says.
func (s *Session) agrees() bool {
	select {
	case agrees := <-s.permitted:
		return agrees
	case <-s.live.ctx.Done():
		return false
	}
}

// decision waits until it is decided whether the call is kept. Its stream is
// over, so that will not take long.
func (s *Session) decision() error {
	if s.decided == nil {
		return nil
	}
	deadline := time.NewTimer(recordingDeadline)
	defer deadline.Stop()
	select {
	case <-s.decided:
		return nil
	case <-deadline.C:
		return fmt.Errorf("notice or recorder %w", errLate)
	}
}
