package call

import (
	"errors"
	"strings"
	"time"
	"unicode"
)

// Interruption says how a caller cuts off what the agent says. It concerns what
// is said with Session.Speak and Session.Say, but for what is Protected or in
// the Background; agents that write to a Line hear the caller themselves and
// call Session.Clear.
//
// The zero value silences the agent as soon as the caller begins to speak, and
// lets it go on from where it was if that was only a cough.
type Interruption struct {
	Mode InterruptMode
	// MinSpeech is how long the caller must have spoken before anything happens.
	// Zero: 60 ms. What the detector needs to be sure is part of it.
	MinSpeech time.Duration
	// Confirm is how long the caller must go on, in mode PauseAndConfirm, for
	// the agent to be cut off. Zero: 400 ms.
	Confirm time.Duration
	// IgnoreKeys lets the agent go on when the caller presses a key. Otherwise a
	// key cuts it off at once.
	IgnoreKeys bool
	// Words is asked about the caller's words as soon as there are any, interim
	// ones too, on calls that are transcribed: true cuts the agent off at once,
	// false lets it go on however long the caller makes that sound. Nil: it goes
	// on through a Backchannel. It is not asked about words of before the agent
	// began, which it may be answering. It is called by whoever has the words, at times
	// by several goroutines at once, and must not block.
	Words func(text string) bool
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
	defaultConfirm   = 400 * time.Millisecond
)

// Backchannel reports whether text is nothing but what people say to show that
// they listen ("mhm", "uh-huh", "okay"), in English.
func Backchannel(text string) bool {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' && r != '-' })
	for _, w := range words {
		if !backchannels[strings.ReplaceAll(w, "-", "")] {
			return false
		}
	}
	return len(words) > 0
}

var backchannels = map[string]bool{
	"mm": true, "mmm": true, "hm": true, "hmm": true, "mhm": true, "mmhm": true, "mmhmm": true,
	"uh": true, "huh": true, "uhhuh": true, "um": true, "ah": true, "aha": true, "oh": true,
	"yeah": true, "yep": true, "yes": true, "ok": true, "okay": true, "right": true, "sure": true,
}

// interrupter decides, frame by frame, whether the caller interrupts. It is
// pure: the time it goes by is that of the media.
type interrupter struct {
	mode               InterruptMode
	minSpeech, confirm time.Duration

	speaking bool
	since    time.Duration // when the caller's present speech began
	paused   bool
	pausedAt time.Duration
	acted    bool // the present speech has been dealt with
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

// hears is what is known of the caller up to the media time now.
type hears struct {
	speaking bool
	since    time.Duration // when the present speech began
	now      time.Duration
	words    wordsVerdict
	playing  bool // something may be interrupted
}

// wordsVerdict is what the caller's latest words mean.
type wordsVerdict uint8

const (
	noWords wordsVerdict = iota
	wordsInterrupt
	wordsDoNot
)

// listen says what to do about what the caller does.
func (i *interrupter) listen(h hears) verdict {
	if h.speaking && !i.speaking {
		i.since, i.acted = h.since, false
	}
	i.speaking = h.speaking
	if i.mode == Never {
		return goOn
	}
	switch {
	case h.words == wordsInterrupt && (i.paused || h.playing && !i.acted):
		i.paused, i.acted = false, true
		return interrupt
	case h.words == wordsDoNot && i.speaking:
		i.acted = true // this speech interrupts no more
		if i.paused {
			i.paused = false
			return resume
		}
	case i.paused && !h.speaking:
		i.paused = false
		return resume
	case i.paused && h.now-i.pausedAt >= i.confirm:
		i.paused, i.acted = false, true
		return interrupt
	case i.paused || !h.speaking || i.acted || !h.playing || h.now-i.since < i.minSpeech:
	case i.mode == Immediate:
		i.acted = true
		return interrupt
	default:
		i.paused, i.pausedAt = true, h.now
		return pause
	}
	return goOn
}

// reset forgets a pause that somebody else has ended.
func (i *interrupter) reset() { i.paused = false }
