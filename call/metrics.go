package call

import (
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
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

func (l *latencies) median() time.Duration {
	if l.n == 0 {
		return 0
	}
	sorted := l.ring
	d := sorted[:min(l.n, maxLatencies)]
	slices.Sort(d)
	return d[len(d)/2]
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

func (f *figures) agentSpoke(frame *audio.Frame) {
	f.agentTalk += frame.Duration()
	f.turn(agent)
	if f.awaits && frame.At >= f.awaiting {
		f.responses.add(frame.At - f.awaiting)
		f.awaits = false
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
	return Metrics{
		ResponseLatency: f.responses.median(),
		ReactionLatency: f.reactions.median(),
		AudioQuality:    quality(st),
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
}

const frameLength = 20 * time.Millisecond

// quality estimates how well the caller's sound arrived, from 0 to 1.
//
// It is the E-model of ITU-T G.107 with all but packet loss at its defaults:
// R = 93.2 - Ie,eff, where Ie,eff = 95 Ppl / (Ppl + Bpl), with Bpl = 4.3 for
// G.711 without concealment (ITU-T G.113, Appendix I). R is turned into a mean
// opinion score as in G.107 Annex B, and that from 1 .. 4.41 into 0 .. 1.
func quality(st stream.Stats) float64 {
	total := st.SamplesIn + st.FilledSamples
	if total == 0 {
		return 0
	}
	const (
		best = 93.2
		bpl  = 4.3
	)
	loss := 100 * float64(st.FilledSamples) / float64(total) // per cent
	r := best - 95*loss/(loss+bpl)
	return max(0, min(1, (opinion(r)-1)/(opinion(best)-1)))
}

// opinion is the mean opinion score for a rating, from 1 to 4.5.
func opinion(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return 1 + 0.035*r + r*(r-60)*(100-r)*7e-6
}
