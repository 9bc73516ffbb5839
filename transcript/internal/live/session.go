package live

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/tape"
)

const (
	// replay is how far back a new stream is sent what the last one did not
	// settle. The tape is a little longer, since it moves on meanwhile.
	replay = 10 * time.Second
	length = replay + time.Second
	// chunk is how much sound is sent at a time; more, up to burst, if there is
	// some to make up for.
	chunk = 60 * time.Millisecond
	burst = 120 * time.Millisecond
	// pace is how many times faster than it was spoken old sound is sent.
	pace = 4

	openTimeout   = 5 * time.Second // for a stream to open
	finishTimeout = 5 * time.Second // and to tell its last results
	closeLimit    = 10 * time.Second
	lull          = 300 * time.Millisecond // without sound, until neither side waits for the other
	idle          = 4 * time.Second        // and until KeepAlive

	// slack is how far a result may reach beyond what was sent: services round.
	slack = 500 * time.Millisecond

	firstWait = 250 * time.Millisecond
	maxWait   = 5 * time.Second
)

// errCut is a stream that ended without being asked to.
var errCut = errors.New("stream was cut")

// Config is what a Session needs.
type Config struct {
	Service  string
	Info     transcript.Info
	Tracks   int // 1 is the caller's alone
	Counters *Counters
	// Open opens a stream, for as long as Close is not called; ctx is for
	// opening it.
	Open func(ctx context.Context) (Stream, error)
	// Life is how long a stream may last, 0 if as long as the call. One that has
	// less than a minute to live is replaced when nobody speaks.
	Life time.Duration
	// Silent tells that the service says nothing where nothing is said. What is
	// silent is then found out here. The rate must be one that audio.Detector
	// knows.
	Silent bool
}

// Session transcribes one call. It is a transcript.Sink.
type Session struct {
	cfg    Config
	tape   *tape.Tape
	cancel context.CancelCauseFunc
	ctx    context.Context
	once   sync.Once
	closed chan struct{} // by Close
	done   chan struct{} // when run has ended
	err    error         // valid then

	mu     sync.Mutex
	voices []*voice

	// Of run alone.
	sent int64 // how far a stream was ever sent
}

// New begins to transcribe a call. The session must be closed.
func New(cfg Config) *Session {
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &Session{
		cfg:  cfg,
		tape: tape.New(cfg.Info.Format, cfg.Tracks, length, chunk),
		ctx:  ctx, cancel: cancel,
		closed: make(chan struct{}),
		done:   make(chan struct{}),
	}
	for _, speaker := range []transcript.Speaker{transcript.Customer, transcript.Agent}[:cfg.Tracks] {
		s.voices = append(s.voices, &voice{speaker: speaker, emit: cfg.Info.Emit, counters: cfg.Counters})
	}
	cfg.Counters.Calls.Add(1)
	go s.run()
	return s
}

// WriteFrame takes a frame of the call. It allocates nothing.
func (s *Session) WriteFrame(f *audio.Frame) { s.tape.WriteFrame(f) }

// Close waits for the last words, but no longer than ten seconds.
func (s *Session) Close(ctx context.Context) error {
	s.once.Do(func() {
		s.tape.Close()
		close(s.closed)
	})
	ctx, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.cancel(context.Cause(ctx))
		<-s.done
	}
	return s.err
}

// run opens streams, one after another, until all has been heard.
func (s *Session) run() {
	defer close(s.done)
	defer s.cancel(nil)
	s.err = s.listen()
	if s.err != nil { // though the call goes on
		select {
		case <-s.closed:
		case <-s.ctx.Done():
		}
	}
	_, head := s.tape.Range()
	s.each(func(v *voice) {
		v.giveUp(s.tape.Time(head))
		v.finish()
	})
	s.cfg.Counters.Late(s.tape.Dropped())
}

func (s *Session) each(do func(*voice)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.voices {
		do(v)
	}
}

// listen returns why not all could be heard, or nil.
func (s *Session) listen() error {
	failures := 0
	for {
		heard, err := s.serve()
		if cause := context.Cause(s.ctx); cause != nil && err != nil {
			return errors.Join(cause, err)
		}
		if err == nil {
			failures = 0
			if more, err := s.await(); !more || err != nil {
				return err
			}
			continue
		}
		s.cfg.Counters.Failures.Add(1)
		var e *transcript.Error
		if errors.As(err, &e) && e.Final() {
			return err
		}
		if heard {
			failures = 0
		}
		if !s.wait(failures, e) {
			return errors.Join(context.Cause(s.ctx), err)
		}
		failures++
	}
}

// await waits for sound that has not been sent. It returns false if there is
// none and none will come.
func (s *Session) await() (more bool, err error) {
	for {
		if s.tape.Ready() > s.sent {
			return true, context.Cause(s.ctx)
		}
		if s.tape.Closed() {
			return false, nil
		}
		select {
		case <-s.tape.News():
		case <-s.closed:
		case <-s.ctx.Done():
			return false, context.Cause(s.ctx)
		}
	}
}

// wait waits before a stream is opened again: ever longer, or as long as the
// service asks. At the end of a call it does not wait for long. It returns false
// if the session has been given up.
func (s *Session) wait(failures int, e *transcript.Error) bool {
	d := min(maxWait, firstWait<<min(failures, 10))
	d = d/2 + rand.N(d/2+1) // so that calls that broke together do not come together
	closed := s.closed
	if e != nil && e.RetryAfter > 0 {
		d = max(d, e.RetryAfter)
		closed = nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-closed:
		select {
		case <-time.After(min(d, firstWait)):
		case <-s.ctx.Done():
			return false
		}
	case <-t.C:
	case <-s.ctx.Done():
		return false
	}
	return true
}

// serve opens a stream and hears what it says to its end. The error is nil if
// the stream has told all that it was sent.
func (s *Session) serve() (heard bool, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, openTimeout)
	s.cfg.Counters.Connections.Add(1)
	stream, err := s.cfg.Open(ctx)
	cancel()
	if err != nil {
		return false, err
	}
	defer context.AfterFunc(s.ctx, stream.Close)()
	defer stream.Close()

	out := s.begin(stream)
	ctx, cancel = context.WithCancel(s.ctx)
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		if out.run(ctx) != nil {
			stream.Close()
		}
	}()
	base := s.tape.Time(out.base)
	for {
		var r Result
		if r, err = stream.Receive(); err != nil {
			break
		}
		if end := s.tape.Time(out.sent.Load()) - base; r.End > end+slack {
			s.cfg.Counters.Ignored.Add(1)
			continue
		}
		heard = s.take(r, base) || heard
	}
	cancel()
	stream.Close()
	<-sending
	s.sent = max(s.sent, out.pos)
	switch {
	case out.err != nil:
		return heard, out.err
	case !errors.Is(err, io.EOF):
		return heard, err
	case !out.finished:
		return heard, &transcript.Error{Service: s.cfg.Service, Reason: transcript.ErrUnavailable, Err: errCut}
	}
	s.each(func(v *voice) { v.cover(span{base, s.tape.Time(out.pos)}) })
	return heard, nil
}

// take takes a result of a stream that began at base.
func (s *Session) take(r Result, base time.Duration) bool {
	if int(r.Track) >= len(s.voices) || r.Start < 0 || r.End < r.Start {
		s.cfg.Counters.Ignored.Add(1)
		return false
	}
	if r.Text != "" || r.Start != r.End {
		r.Start += base
		r.End += base
	}
	words := make([]transcript.Word, len(r.Words))
	for i, w := range r.Words {
		w.At += base
		w.End += base
		words[i] = w
	}
	r.Words = words
	s.mu.Lock()
	defer s.mu.Unlock()
	s.voices[r.Track].take(r)
	return true
}

// begin finds where a new stream is to begin, after what is settled and not
// before what is still on the tape.
func (s *Session) begin(stream Stream) *sender {
	oldest, head := s.tape.Range()
	oldest = max(oldest, head-s.tape.Position(replay))
	hole := s.tape.Hole()
	out := &sender{session: s, stream: stream, base: head}
	s.each(func(v *voice) {
		v.covered = v.covered.add(span{s.tape.Time(hole.From), s.tape.Time(hole.To)})
		v.giveUp(s.tape.Time(oldest))
		out.base = min(out.base, max(oldest, s.tape.Position(v.covered.first())))
		out.settled = append(out.settled, append(coverage(nil), v.covered...))
	})
	out.pos = out.base
	if again := s.sent - out.base; again > 0 {
		s.cfg.Counters.replayed.Add(int64(s.tape.Time(again)))
	}
	return out
}
