package sim

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	frameSamples = rate / 50 // of 20 ms
	maxSounds    = 10 * rate // that wait to be heard by one person
	beepTime     = 200 * time.Millisecond
	musicLevel   = 500 // about -36 dB of full scale
)

// A room lets the people in it hear each other, on one clock: every 20 ms each
// hears what all others have said, added up, and never themselves.
type room struct {
	start time.Time

	mu    sync.Mutex
	open  bool // they hear each other; before that, who likes hears music
	seats []*seat
	sum   [frameSamples]int32
}

// A seat is one person in a room.
type seat struct {
	talk  *Talk
	music bool // while the room is not open
	muted bool // not heard by the others
	held  bool // hears music, and neither hears the others nor is heard

	voice  [frameSamples]int16
	spoke  bool
	sounds []int16 // that only this person hears: beeps, and keys of others
}

func newRoom(now time.Time) *room { return &room{start: now} }

// run is the clock of the room, until ctx ends.
func (r *room) run(ctx context.Context) {
	timer := time.NewTimer(frame)
	defer timer.Stop()
	for at := r.start; ; at = at.Add(frame) {
		timer.Reset(time.Until(at.Add(frame)))
		select {
		case <-timer.C:
			r.tick(at)
		case <-ctx.Done():
			return
		}
	}
}

// tick lets all hear what was said in the 20 ms from at on.
func (r *room) tick(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	speakers := 0
	clear(r.sum[:])
	for _, s := range r.seats {
		s.spoke = r.open && s.talk.mouth.take(at, s.voice[:]) && !s.muted && !s.held
		if !s.spoke {
			continue
		}
		speakers++
		for i, v := range s.voice {
			r.sum[i] += int32(v)
		}
	}
	now := time.Now()
	for _, s := range r.seats {
		if pcm := r.mix(s, speakers, at); pcm != nil {
			s.talk.ear.play(now, pcm)
		}
	}
}

// mix returns what s hears, nil if that is silence. r.mu is held.
func (r *room) mix(s *seat, speakers int, at time.Time) []int16 {
	if s.spoke {
		speakers--
	}
	music := s.held || !r.open && s.music
	if !music && (speakers == 0 || s.held) && len(s.sounds) == 0 {
		return nil
	}
	pcm := make([]int16, frameSamples)
	n := copy(pcm, s.sounds)
	s.sounds = s.sounds[n:]
	if music {
		tune := tune()
		first := samplesIn(at.Sub(r.start))
		for i := range pcm {
			pcm[i] = saturated(int32(pcm[i]) + int32(tune[(first+i)%len(tune)]))
		}
	}
	if s.held {
		return pcm
	}
	for i := range pcm {
		others := r.sum[i]
		if s.spoke {
			others -= int32(s.voice[i])
		}
		pcm[i] = saturated(int32(pcm[i]) + others)
	}
	return pcm
}

func saturated(v int32) int16 { return int16(max(math.MinInt16, min(math.MaxInt16, v))) }

// enter seats a person. Whoever finds that somebody listens is heard, keys too.
func (r *room) enter(s *seat) {
	s.talk.setKeys(func(keys string) { r.press(s, keys) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seats = append(r.seats, s)
	if r.open {
		s.talk.mouth.listen(time.Now())
	}
}

// leave ends enter. The keys of a person who leaves go nowhere.
func (r *room) leave(s *seat) {
	s.talk.setKeys(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seats = slices.DeleteFunc(r.seats, func(o *seat) bool { return o == s })
	s.talk.mouth.unlisten()
}

// begin lets all hear each other from now on.
func (r *room) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open {
		return
	}
	r.open = true
	now := time.Now()
	for _, s := range r.seats {
		s.talk.mouth.listen(now)
	}
}

// press lets all but s hear keys.
func (r *room) press(s *seat, keys string) {
	pressed := keysOf(keys)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.seats {
		if o != s && r.open && !o.held {
			o.talk.addKeys(pressed)
		}
	}
	if r.open && !s.held {
		r.sound(s, dialTones(keys))
	}
}

// beep lets all but s hear a beep, n times.
func (r *room) beep(s *seat, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		r.sound(s, beepTone())
	}
}

// sound lets all but s hear pcm, as far as not too much of the kind waits. r.mu
// is held.
func (r *room) sound(s *seat, pcm []int16) {
	for _, o := range r.seats {
		if o != s && len(o.sounds) < maxSounds {
			o.sounds = append(o.sounds, pcm...)
		}
	}
}

// change does something to the seats of a room.
func (r *room) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
}

// beepTone is a beep and as much silence.
func beepTone() []int16 {
	pcm := make([]int16, 2*samplesIn(beepTime))
	tone(pcm[:len(pcm)/2], keyLevel, 1000)
	return pcm
}

var tune = sync.OnceValue(func() []int16 {
	pcm := make([]int16, rate)
	for i, note := range [...]float64{440, 552, 660, 552} { // whole waves in a quarter of a second
		tone(pcm[i*rate/4:(i+1)*rate/4], musicLevel, note)
	}
	return pcm
})

// HoldMusic is what is played to people who wait in a conference, over and over:
// a second of quiet tones at 8,000 samples a second.
func HoldMusic() []int16 { return slices.Clone(tune()) }

// bridge lets two phones hear each other until ctx ends.
func bridge(ctx context.Context, a, b *Talk) {
	r := newRoom(time.Now())
	for _, t := range []*Talk{a, b} {
		s := &seat{talk: t}
		r.enter(s)
		defer r.leave(s)
	}
	r.begin()
	r.run(ctx)
}
