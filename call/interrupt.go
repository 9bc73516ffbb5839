package call

import (
	"errors"
	"time"
)

// Interruption says how a caller cuts off what the agent says. It concerns what
// is said with Session.Speak and Session.Say; agents that write to a Line hear
// the caller themselves and call Session.Clear.
//
// The zero value silences the agent as soon as the caller begins to speak, and
// lets it go on from where it was if that was only a cough.
type Interruption struct {
	Mode InterruptMode
	// MinSpeech is how long the caller must have spoken before anything happens.
	// Zero: 60 ms. What the detector needs to be sure is part of it.
	MinSpeech time.Duration
	// Confirm is how long the caller must go on, in mode PauseAndConfirm, for
	// the agent to be cut off. Zero: 300 ms.
	Confirm time.Duration
	// IgnoreKeys lets the agent go on when the caller presses a key. Otherwise a
	// key cuts it off at once.
	IgnoreKeys bool
}

// InterruptMode is what the caller's speech does.
type InterruptMode uint8

const (
	// PauseAndConfirm silences the agent at once, and cuts it off when the
	// caller goes on speaking; otherwise the agent resumes.
	PauseAndConfirm InterruptMode = iota
	// Immediate cuts the agent off at once.
	Immediate
	// Never lets the agent go on.
	Never
)

// Validate checks the spans.
func (i Interruption) Validate() error {
	if i.MinSpeech < 0 || i.Confirm < 0 || i.Mode > Never {
		return errors.New("Interruption: a span is negative, or the mode unknown")
	}
	return nil
}

const (
	defaultMinSpeech = 60 * time.Millisecond
	defaultConfirm   = 300 * time.Millisecond
)

// interrupter decides, frame by frame, whether the caller interrupts. It is
// pure: the time it goes by is that of the media.
type interrupter struct {
	mode               InterruptMode
	minSpeech, confirm time.Duration

	speaking bool
	since    time.Duration // when the caller's present speech began
	paused   bool
	pausedAt time.Duration
	acted    bool // on the present speech
}

func newInterrupter(i Interruption) interrupter {
	return interrupter{
		mode:      i.Mode,
		minSpeech: cmpOr(i.MinSpeech, defaultMinSpeech),
		confirm:   cmpOr(i.Confirm, defaultConfirm),
	}
}

type verdict uint8

const (
	goOn verdict = iota
	pause
	resume
	interrupt
)

// listen notes whether the caller speaks up to the media time now, and says what
// to do about it. playing tells that something may be interrupted.
func (i *interrupter) listen(speaking bool, since, now time.Duration, playing bool) verdict {
	if speaking && !i.speaking {
		i.since, i.acted = since, false
	}
	i.speaking = speaking
	switch {
	case i.paused && !speaking:
		i.paused = false
		return resume
	case i.paused && now-i.pausedAt >= i.confirm:
		i.paused, i.acted = false, true
		return interrupt
	case i.paused || i.mode == Never || !speaking || i.acted || !playing || now-i.since < i.minSpeech:
		return goOn
	case i.mode == Immediate:
		i.acted = true
		return interrupt
	}
	i.paused, i.pausedAt = true, now
	return pause
}

// reset forgets a pause that somebody else has ended.
func (i *interrupter) reset() { i.paused = false }
