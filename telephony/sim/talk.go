package sim

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
)

// ErrQuiet tells that the far end did not do what was waited for in time.
var ErrQuiet = errors.New("sim: nothing heard in time")

// Talk is a phone's side of one answered call. Its methods may be called by many
// goroutines at once and, after the call, for as long as you like.
type Talk struct {
	call     *call
	phone    *Phone
	answered time.Time
	ear      *ear
	mouth    mouth
	saying   sync.Mutex // one thing is said at a time

	mu        sync.Mutex
	keys      string            // heard
	press     func(keys string) // where keys go; nil if nobody hears them
	recording time.Time         // when a voicemail has begun to; zero for none
}

func newTalk(c *call, p *Phone, answer time.Time) *Talk {
	return &Talk{call: c, phone: p, answered: answer, ear: newEar(&c.carrier.audio, answer)}
}

// sayAhead is how much of what is said is read from its source before its time,
// so that a busy machine does not make the person stutter.
const sayAhead = 100 * time.Millisecond

// Say says all of r, which may have any rate that package audio can resample. It
// speaks in real time and returns when the last sample has left the phone. The
// error is ErrOver, if the call ended before that, or that of r. What is said
// while nobody listens, as during a Say of the application, is lost. If r is an
// [io.Closer], it is closed.
func (t *Talk) Say(r audio.Reader) error {
	if c, ok := r.(io.Closer); ok {
		defer func() { _ = c.Close() }() // it has been read, or its error is the one to tell
	}
	t.saying.Lock()
	defer t.saying.Unlock()
	r = audio.Resample(r, rate)
	buf := make([]int16, samplesIn(frame))
	end := time.Now()
	for {
		n, err := r.ReadPCM(buf)
		if n > 0 {
			end = t.mouth.say(time.Now(), buf[:n])
		}
		if err != nil && err != io.EOF {
			return err
		}
		ahead := sayAhead
		if err == io.EOF {
			ahead = 0
		}
		if !t.sleep(time.Until(end) - ahead) {
			return ErrOver
		}
		if err == io.EOF {
			break
		}
	}
	select {
	case <-t.mouth.said():
		return nil
	case <-t.Done():
		return ErrOver
	}
}

// pressGap is how long a person takes from one key to the next.
const pressGap = 250 * time.Millisecond

// Press presses keys, a quarter of a second apart: 0-9 * # A-D, and w and W for
// a pause of half a second and of a second. It returns when the last one has
// been pressed. A key that nobody can hear, as during a Say of the application,
// is lost. The error is ErrOver, or tells of a character that is no key.
func (t *Talk) Press(keys string) error {
	for i, k := range []byte(keys) {
		if d := keyPause(k); d > 0 {
			if !t.sleep(d) {
				return ErrOver
			}
			continue
		}
		if _, _, ok := keyTones(k); !ok {
			return errors.New("sim: there is no such key")
		}
		if i > 0 && keyPause(keys[i-1]) == 0 && !t.sleep(pressGap) {
			return ErrOver
		}
		if t.call.ctx.Err() != nil {
			return ErrOver
		}
		t.mu.Lock()
		press := t.press
		t.mu.Unlock()
		if press != nil {
			press(string(k))
		}
	}
	return nil
}

// setKeys says where keys go. It may block; nil means nowhere.
func (t *Talk) setKeys(press func(string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.press = press
}

func (t *Talk) addKeys(keys string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys += keys
}

// Keys returns the keys that the far end has pressed, without pauses.
func (t *Talk) Keys() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keys
}

// Listen waits for d and returns what was heard meanwhile: 8,000 samples for
// each second, silence where nothing was played. It returns what there is when
// the call ends.
func (t *Talk) Listen(d time.Duration) []int16 {
	from := time.Since(t.answered)
	t.sleep(d)
	return t.ear.heard(time.Now(), from, from+d)
}

// Heard returns all that was heard since the answer, at 8,000 samples a second:
// sample 0 is the answer.
func (t *Talk) Heard() []int16 {
	now := time.Now()
	return t.ear.heard(now, 0, now.Sub(t.answered))
}

// Playback returns all that was heard since the answer with its exact times: one
// Played for each stretch without a gap.
func (t *Talk) Playback() []Played { return t.ear.playback(time.Now()) }

// Queued returns how much audio the phone has been sent and has not yet heard.
func (t *Talk) Queued() time.Duration { return t.ear.queued(time.Now()) }

// WaitConnected waits until somebody hears what is said: a stream of the
// application, or another phone. It returns ErrQuiet if nobody does for limit,
// unless that is 0, and ErrOver at the end of the call.
func (t *Talk) WaitConnected(limit time.Duration) error {
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-t.mouth.listened():
		return nil
	case <-late:
		return ErrQuiet
	case <-t.Done():
		return ErrOver
	}
}

// WaitSpeech waits until the far end makes a sound. It returns ErrQuiet if
// there is none for limit, unless that is 0, and ErrOver at the end of the call.
func (t *Talk) WaitSpeech(limit time.Duration) error {
	from := time.Now()
	start := from
	return t.wait(limit, start, func() (time.Time, bool, <-chan struct{}) {
		at, ok, changed := t.ear.sounds(from)
		if !ok {
			from = time.Now() // what is older will not change any more
		}
		return at, ok, changed
	})
}

// WaitSilence waits until the far end has made a sound at some time and has been
// quiet for d, with nothing but silence left to play. It returns ErrQuiet if
// that takes longer than limit, unless that is 0, and ErrOver at the end of the
// call.
func (t *Talk) WaitSilence(d, limit time.Duration) error {
	return t.wait(limit, time.Now(), func() (time.Time, bool, <-chan struct{}) {
		at, ok, changed := t.ear.silent()
		return at.Add(d), ok, changed
	})
}

// wait waits until the time that when returns, which is asked again after each
// change.
func (t *Talk) wait(limit time.Duration, start time.Time, when func() (time.Time, bool, <-chan struct{})) error {
	for {
		at, ok, changed := when()
		now := time.Now()
		switch {
		case t.call.ctx.Err() != nil:
			return ErrOver
		case ok && !at.After(now):
			return nil
		case limit > 0 && !now.Before(start.Add(limit)):
			return ErrQuiet
		}
		var timer *time.Timer
		var due <-chan time.Time
		if limit > 0 && (!ok || at.After(start.Add(limit))) {
			at, ok = start.Add(limit), true
		}
		if ok {
			timer = time.NewTimer(at.Sub(now))
			due = timer.C
		}
		select {
		case <-changed:
		case <-due:
		case <-t.Done():
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// sleep waits and reports whether the call lasted.
func (t *Talk) sleep(d time.Duration) bool { return sleep(t.call.ctx, d) }

// Hangup ends the call.
func (t *Talk) Hangup() { t.call.end(ending{by: t.call.person()}) }

// Done is closed when the call is over.
func (t *Talk) Done() <-chan struct{} { return t.call.ctx.Done() }

// Err returns nil while the call lasts and after it ended in a usual way, and
// otherwise why the carrier ended it.
func (t *Talk) Err() error { return t.call.info().Err }

// Duration is how long the call has lasted since the answer.
func (t *Talk) Duration() time.Duration {
	t.call.mu.Lock()
	defer t.call.mu.Unlock()
	if t.call.ended.IsZero() {
		return time.Since(t.answered)
	}
	return t.call.ended.Sub(t.answered)
}

// HungUpBy returns who ended the call, Nobody while it lasts.
func (t *Talk) HungUpBy() Party { return t.call.info().HungUpBy }

// CallSID is the carrier's id of the call.
func (t *Talk) CallSID() string { return t.call.sid }

// From is the number that called.
func (t *Talk) From() telephony.Number { return telephony.Number(t.call.from) }

// To is the number that was called.
func (t *Talk) To() telephony.Number { return telephony.Number(t.call.to) }

// Phone is whose talk this is.
func (t *Talk) Phone() *Phone { return t.phone }
