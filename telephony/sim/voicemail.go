package sim

import (
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// A Voicemail is a machine that answers: it speaks its greeting, beeps, and
// records what it hears until that has been silent for a while. Then it hangs up.
// What it has recorded is in [Talk.Message].
type Voicemail struct {
	// Greeting is spoken with the tones of Say. Empty means a short one.
	Greeting string
	// Silence ends the message. Zero means 5 seconds.
	Silence time.Duration
	// Limit ends it, too. Zero means 2 minutes.
	Limit time.Duration
}

const defaultGreeting = "Nobody is here. Please leave a message."

// greeting is what is spoken, and the beep.
func (v *Voicemail) greeting() []int16 {
	text := v.Greeting
	if text == "" {
		text = defaultGreeting
	}
	return append(speak(text), beepTone()[:samplesIn(beepTime)]...)
}

// talk is what the machine does after the answer.
func (v *Voicemail) talk(t *Talk) {
	if t.Say(audio.NewSamples(v.greeting(), rate)) != nil {
		return
	}
	start := time.Now()
	t.mu.Lock()
	t.recording = start
	t.mu.Unlock()
	silence, limit := orElse(v.Silence, 5*time.Second), orElse(v.Limit, 2*time.Minute)
	_ = t.wait(limit, start, func() (time.Time, bool, <-chan struct{}) {
		last, ok, changed := t.ear.silent()
		if !ok || last.Before(start) {
			last = start
		}
		return last.Add(silence), true, changed
	})
	t.Hangup()
}

// Message returns what a [Voicemail] has recorded after its beep: 8,000 samples
// for each second. It is nil for people, and before the beep.
func (t *Talk) Message() []int16 {
	t.mu.Lock()
	from := t.recording
	t.mu.Unlock()
	if from.IsZero() {
		return nil
	}
	now := time.Now()
	return t.ear.heard(now, from.Sub(t.answered), now.Sub(t.answered))
}
