package call

import (
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// figures are gathered while a call goes on, by the goroutine that reads its
// stream.
type figures struct {
	keys, interruptions int
	falseAlarms         int // pauses for what was no interruption
	changes             int
	last                party
	callerTalk          time.Duration
	agentTalk           time.Duration
	callerSince         time.Duration
	callerSpeaks        bool
	agentUntil          time.Duration // the end of the agent's last sound
	silence, crosstalk  time.Duration
	sound               reception

	// awaiting is when the caller ended, while the agent's reply is awaited.
	awaiting  time.Duration
	awaits    bool
	responses latencies
	reactions latencies // from the caller's first sound to the agent's silence
}

// latencies are the newest of many.
type latencies struct {
	ring [maxLatencies]time.Duration
	n    int
}

func (l *latencies) add(d time.Duration) {
	l.ring[l.n%maxLatencies] = d
	l.n++
}

// percentiles are the median, and what only one in twenty is above.
func (l *latencies) percentiles() (p50, p95 time.Duration) {
	if l.n == 0 {
		return 0, 0
	}
	sorted := l.ring
	d := sorted[:min(l.n, maxLatencies)]
	slices.Sort(d)
	return d[len(d)/2], d[len(d)*95/100]
}

func (l *latencies) median() time.Duration {
	p50, _ := l.percentiles()
	return p50
}

type party uint8

const (
	nobody party = iota
	caller
	agent
)

// maxLatencies is how many latencies a median is made from.
const maxLatencies = 64

func (f *figures) turn(to party) {
	if f.last != nobody && f.last != to {
		f.changes++
	}
	f.last = to
}

func (f *figures) callerBegan(at time.Duration) {
	f.turn(caller)
	f.callerSpeaks, f.callerSince = true, at
	f.awaits = false
}

func (f *figures) callerEnded(at time.Duration) {
	f.callerSpeaks = false
	f.callerTalk += at - f.callerSince
	f.awaiting, f.awaits = at, true
}

// callerTalked is how long the caller has spoken until now.
func (f *figures) callerTalked(now time.Duration) time.Duration {
	if f.callerSpeaks {
		return f.callerTalk + max(0, now-f.callerSince)
	}
	return f.callerTalk
}

// agentSpoke takes a frame that the caller has heard and that is not silent.
func (f *figures) agentSpoke(frame *audio.Frame) {
	f.agentTalk += frame.Duration()
	f.agentUntil = frame.At + frame.Duration()
	f.turn(agent)
	if f.awaits && frame.At >= f.awaiting {
		f.responses.add(frame.At - f.awaiting)
		f.awaits = false
	}
}

// passed takes a frame of the caller's and adds its time to what it belongs to.
func (f *figures) passed(frame *audio.Frame, speaking bool) {
	talks := frame.At < f.agentUntil
	switch {
	case !speaking && !talks:
		f.silence += frame.Duration()
	case speaking && talks:
		f.crosstalk += frame.Duration()
	}
	if !frame.Filled {
		f.sound.add(frame.PCM, speaking)
	}
}

// silenced notes how long after the caller began the agent was silenced.
func (f *figures) silenced(after time.Duration) { f.reactions.add(after) }

// metrics are the figures of a call whose stream has ended.
func (s *Session) metrics() Metrics {
	f := &s.media.figures
	if f.callerSpeaks {
		f.callerEnded(s.length())
	}
	st := s.link.Load().stats()
	response, responseMost := f.responses.percentiles()
	words, wordsMost := s.notes.latency()
	m := Metrics{
		ResponseLatency:         response,
		ResponseLatencyP95:      responseMost,
		TranscriptionLatency:    words,
		TranscriptionLatencyP95: wordsMost,

		ReactionLatency: f.reactions.median(),
		AudioQuality:    f.sound.damage(st).quality(),
		SpeechLevel:     f.sound.speechLevel(),
		NoiseLevel:      f.sound.noiseLevel(),
		Clipped:         f.sound.clippedShare(),
		Silence:         f.silence,
		Crosstalk:       f.crosstalk,
		SpeakerChanges:  f.changes,
		Interruptions:   f.interruptions,
		FalseAlarms:     f.falseAlarms,
		CallerTalk:      f.callerTalk,
		AgentTalk:       f.agentTalk,
		FramesIn:        st.FramesIn,
		FramesOut:       st.FramesOut,
		FramesLost:      st.FilledSamples * int64(time.Second/frameLength) / int64(max(1, s.format.Rate)),
		Jitter:          st.Jitter,
		Keys:            f.keys,
		Unread:          audio.Duration(int(s.inbox.lost()), s.format.Rate),
	}
	if f.responses.n > 0 && st.MarksAcked > 0 {
		m.ResponseHeard, m.ResponseHeardP95 = response+st.AckDelay, responseMost+st.AckDelay
	}
	return m
}

const frameLength = 20 * time.Millisecond
