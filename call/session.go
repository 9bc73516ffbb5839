package call

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
)

// Session is a live call in the hands of its agent. Its methods may be used by
// many goroutines at once. After the call has ended they return at once, with
// io.EOF or ErrEnded where they can.
type Session struct {
	live      *live
	link      atomic.Pointer[link] // the stream, or the last one
	format    audio.Format
	startedAt time.Time // the beginning of the media clock

	sinks     atomic.Pointer[sinks]
	permitted chan bool     // what the caller has said, once
	decided   chan struct{} // closed when it is known whether the call is kept; nil if it was at once

	inbox   inbox
	keys    chan byte
	player  player
	notes   notes
	pauses  pauses
	media   media
	closing sync.Once

	listeners listeners

	// host are the goroutines in code of the host's: the agent, and the readers
	// of what it says.
	host sync.WaitGroup
}

// maxKeys is how many keys may wait for the agent; one more is dropped. They
// stand in the call's events all the same.
const maxKeys = 64

func newSession(l *live) *Session {
	s := &Session{
		live: l,
		keys: make(chan byte, maxKeys),

		permitted: make(chan bool, 1),
	}
	s.sinks.Store(&sinks{})
	s.media.session = s
	s.notes.init(s)
	s.player.init(s)
	s.inbox.init()
	return s
}

// Call returns the record of the call as it is now, with what has been said so
// far.
func (s *Session) Call() *Call { return s.live.view() }

// Format is what travels on the stream. Sound at its rate is not resampled.
func (s *Session) Format() audio.Format { return s.format }

// Now is the time on the call's media clock: zero is when the stream began.
func (s *Session) Now() time.Duration { return time.Since(s.startedAt) }

// Keys delivers the keys that the caller presses: 0-9 * # and A-D. It is closed
// when the call ends. An agent that does not read it loses all but the first 64.
func (s *Session) Keys() <-chan byte { return s.keys }

// Hangup ends the call at once, cutting off what is still to be heard. An agent
// that returns from Serve ends it after that.
func (s *Session) Hangup() { s.live.tell(input{kind: inEnd, cause: AgentDone}) }

// AddSegment adds words to the call's transcript: those an agent's own
// recogniser has heard, or has said without Say.
// Those of the caller may interrupt the agent: see Interruption.Words. After the
// end of the call they are not kept, and neither are those of a pause: see
// PauseRecording.
func (s *Session) AddSegment(seg transcript.Segment) {
	s.understood(seg)
	if _, paused := s.pauses.first(seg.At, seg.End); !paused {
		s.notes.tell(seg)
	}
}

// hear takes what the recogniser has made out, which hears nothing in a pause.
func (s *Session) hear(seg transcript.Segment) {
	s.understood(seg)
	s.notes.hear(seg)
}

// understood lets words of the caller's interrupt the agent, unless it is just
// answering them: recognisers tell late what was said before.
func (s *Session) understood(seg transcript.Segment) {
	before := seg.End > 0 && seg.End < s.player.talkingSince()
	if seg.Speaker == transcript.Customer && !seg.Gap && !before {
		s.media.heardWords(seg.Text)
	}
}

// Log adds an event of type EventAgent to the call. Data is kept as it is: it
// may hold what the call is about.
func (s *Session) Log(name string, data map[string]string) {
	s.live.emit(Event{Type: EventAgent, Name: name, Data: data})
}

// Drain waits until all that was said has been heard by the caller, as far as
// can be known, or ctx or the call ends.
func (s *Session) Drain(ctx context.Context) error {
	if err := s.player.wait(ctx); err != nil {
		return err
	}
	if s.player.inBackground() {
		return nil
	}
	return s.link.Load().drain(ctx)
}

// playOut lets the last words of an agent that has returned be heard.
func (s *Session) playOut(ctx context.Context) {
	_ = s.Drain(ctx) // it ends with the call, or with its own bound
}

// end tells all who wait for the call that it is over, or that the caller is in
// somebody else's hands. The stream is gone.
func (s *Session) end() {
	s.closing.Do(func() {
		close(s.keys)
		s.player.end()
		s.inbox.close()
		s.listeners.end()
	})
}

// length is how long the media clock has run.
func (s *Session) length() time.Duration { return s.media.length() }
