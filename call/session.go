package call

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
)

// Session is a live call in the hands of its agent. Its methods may be used by
// many goroutines at once. After the call has ended they return at once, with
// io.EOF or ErrEnded where they can.
type Session struct {
	live      *live
	conn      *stream.Conn
	format    audio.Format
	startedAt time.Time // the beginning of the media clock

	recorder    recording.Sink  // nil if the call is not recorded
	transcriber transcript.Sink // nil if the call is not transcribed

	inbox      inbox
	keys       chan byte
	player     player
	transcript notes
	media      media

	streamDone chan struct{} // closed when the socket is gone

	// host are the goroutines in code of the host's: the agent, and the readers
	// of what it says.
	host sync.WaitGroup
}

// maxKeys is how many keys may wait for the agent; one more is dropped. They
// stand in the call's events all the same.
const maxKeys = 64

func newSession(l *live, conn *stream.Conn) *Session {
	s := &Session{
		live:       l,
		conn:       conn,
		keys:       make(chan byte, maxKeys),
		streamDone: make(chan struct{}),
	}
	s.media.session = s
	s.player.init(s)
	s.inbox.init()
	return s
}

// Call returns the record of the call as it is now.
func (s *Session) Call() *Call { return s.live.snapshot() }

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

// Transfer connects the caller to another number: see Service.Transfer. When it
// has succeeded the session ends.
func (s *Session) Transfer(ctx context.Context, to telephony.Transfer) error {
	if err := s.live.transfer(ctx, to); err != nil {
		return fmt.Errorf("call: transfer: %w", err)
	}
	return nil
}

// SendKeys presses keys towards the person on the line: see Service.SendKeys.
func (s *Session) SendKeys(keys string) error { return ended(s.conn.SendKeys(keys)) }

// AddSegment adds words to the call's transcript: those an agent's own
// recogniser has heard, or has said without Say.
// Those of the caller may interrupt the agent: see Interruption.Words.
func (s *Session) AddSegment(seg transcript.Segment) {
	if seg.Speaker == transcript.Customer && !seg.Gap {
		s.media.heardWords(seg.Text)
	}
	s.transcript.add(s.live, seg)
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
	return ended(s.conn.Drain(ctx))
}

// playOut lets the last words of an agent that has returned be heard.
func (s *Session) playOut(ctx context.Context) {
	_ = s.Drain(ctx) // it ends with the call, or with its own bound
}

// end tells all who wait for the call that it is over. The stream is gone.
func (s *Session) end() {
	s.player.end()
	s.inbox.close()
}

// gone reports whether the stream has ended.
func (s *Session) gone() bool {
	select {
	case <-s.streamDone:
		return true
	default:
		return false
	}
}

// length is how long the stream has lasted.
func (s *Session) length() time.Duration { return s.media.length() }

// attach binds a media socket to the call. The call has one in its life: a
// second one, or one that comes too late, is closed.
func (l *live) attach(conn *stream.Conn) {
	session := newSession(l, conn)
	if !l.claim(session) {
		l.svc.counts.streamsRefused.Add(1)
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(ErrEnded)
		_ = conn.Run(ctx, &session.media) // closes it
	}
}

// claim makes session the call's and begins to read its stream.
func (l *live) claim(session *Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil || l.over || l.record.State >= Ending {
		return false
	}
	l.session = session
	l.task(session.run)
	return true
}

// run reads the stream until it ends.
func (s *Session) run() {
	err := contain(func() error { return s.conn.Run(context.WithoutCancel(s.live.ctx), &s.media) })
	var p *panicError
	if errors.As(err, &p) {
		s.live.log.Error("recorder or transcriber panicked", "panic", p.value, "stack", p.stack)
	}
	close(s.keys)
	s.end()
	close(s.streamDone)
	in := input{kind: inStreamEnded, orderly: err == nil}
	if err != nil {
		in.detail = err.Error()
	}
	s.live.tell(in)
}

// notes collects the segments of a call's transcript.
type notes struct {
	mu sync.Mutex
	t  transcript.Transcript
}

func (n *notes) add(l *live, seg transcript.Segment) {
	n.mu.Lock()
	n.t.Add(seg)
	n.mu.Unlock()
	l.emit(Event{Type: EventTranscript, Segment: &seg})
}

func (n *notes) segments() []transcript.Segment {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.t.Segments()
}
