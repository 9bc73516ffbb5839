package call

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
)

// A link is one media stream of a session. There is one in the life of most
// calls; each time a caller has been away and comes back there is another, on
// the same media clock.
type link struct {
	session *Session
	conn    *stream.Conn
	before  *link         // waited for; nil once it is over
	at      time.Duration // when it began, on the media clock
	written int64         // samples of all the links before it, at the stream's rate
	heard   int64         // likewise
	past    stream.Stats  // of the links before it
	done    chan struct{} // closed when the socket is gone
}

// attach binds a media socket to the call: the first one, and one for each time
// that the carrier was told to open another. Any other, and one that comes too
// late, is closed.
func (l *live) attach(conn *stream.Conn) {
	if !l.claim(conn) {
		l.svc.counts.streamsRefused.Add(1)
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(ErrEnded)
		_ = conn.Run(ctx, unwelcome{}) // closes it
	}
}

// claim makes conn a stream of the call's, and begins to read it.
func (l *live) claim(conn *stream.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.record.State >= Ending || l.session != nil && !l.expects {
		return false
	}
	l.expects = false
	if l.move != nil {
		l.move.came = true
	}
	k := &link{conn: conn, before: l.link, done: make(chan struct{})}
	if l.session == nil {
		l.session = newSession(l)
		l.session.link.Store(k)
	}
	k.session = l.session
	l.link = k
	k.session.host.Go(k.run) // recorder and transcriber may keep it
	return true
}

func (l *live) newestLink() *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.link
}

// run reads the stream until it ends.
func (k *link) run() {
	defer close(k.done)
	s := k.session
	if k.before != nil { // whose end may not have been noticed
		k.before.conn.Close(nil)
		<-k.before.done
		k.written, k.heard = k.before.position()
		k.past = k.before.stats()
		k.before = nil
		s.link.Store(k)
	}
	err := contain(func() error { return k.conn.Run(context.WithoutCancel(s.live.ctx), k) })
	var p *panicError
	if errors.As(err, &p) {
		s.live.log.Error("recorder or transcriber panicked", "panic", p.value, "stack", p.stack)
	}
	s.player.suspend()
	in := input{kind: inStreamEnded, orderly: err == nil}
	if err != nil {
		in.detail = err.Error()
	}
	s.live.tell(in)
}

// Start begins the session, or goes on with it.
func (k *link) Start(start stream.Start) error {
	s := k.session
	c := s.live.snapshot()
	switch {
	case c.State >= Ending:
		return ErrEnded
	case c.ProviderCallID != "" && start.CallID != c.ProviderCallID:
		return errors.New("stream is of another call")
	case s.startedAt.IsZero():
		if err := s.media.begin(start.Format); err != nil {
			return err
		}
	case start.Format != s.format:
		return fmt.Errorf("stream carries %v after %v", start.Format, s.format)
	default:
		k.at = max(s.Now(), s.length()) // a carrier whose clock is fast is ahead of ours
		s.media.goOn(k.at)
	}
	s.player.proceed()
	s.live.tell(input{kind: inStreamStarted})
	return nil
}

// WriteFrame puts a frame on the media clock.
func (k *link) WriteFrame(f *audio.Frame) {
	f.At += k.at
	k.session.media.write(f)
	f.At -= k.at // it is borrowed
}

// Key puts a key on the media clock.
func (k *link) Key(digit byte, at time.Duration) { k.session.media.key(digit, k.at+at) }

// Text takes a control message of a browser. There is none that concerns a call.
func (k *link) Text([]byte) {}

// Heard is told how far playback has come.
func (k *link) Heard(pos int64, confirmed bool) { k.session.player.heard(pos, confirmed) }

// position is how much has been written, and heard, on this stream and those
// before it.
func (k *link) position() (written, heard int64) {
	pos := k.conn.Position()
	return k.written + pos.Written, k.heard + pos.Heard
}

// stats are those of this stream and of those before it, as far as metrics are
// made from them.
func (k *link) stats() stream.Stats {
	st := k.conn.Stats()
	st.FramesIn += k.past.FramesIn
	st.FramesOut += k.past.FramesOut
	st.SamplesIn += k.past.SamplesIn
	st.FilledSamples += k.past.FilledSamples
	st.Gaps += k.past.Gaps
	st.Jitter = max(st.Jitter, k.past.Jitter)
	return st
}

// drain waits until all that was written has been heard. What was written to a
// stream that is gone will not be.
func (k *link) drain(ctx context.Context) error {
	err := k.conn.Drain(ctx)
	if errors.Is(err, stream.ErrClosed) && k.session.live.ctx.Err() == nil {
		return nil // the caller is away
	}
	return ended(err)
}

// unwelcome is told of a stream that is refused.
type unwelcome struct{}

func (unwelcome) Start(stream.Start) error { return ErrEnded }
func (unwelcome) WriteFrame(*audio.Frame)  {}
func (unwelcome) Key(byte, time.Duration)  {}
func (unwelcome) Text([]byte)              {}
func (unwelcome) Heard(_ int64, _ bool)    {}
