package call

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/transcript"
)

// media takes what comes from the stream of a call and hands it to all who
// listen: detector, recorder, recogniser, agent. Its methods are called from the
// one goroutine that reads the stream; nothing in it blocks, and a frame costs
// no allocation.
type media struct {
	session *Session
	started atomic.Bool
	flowing bool

	detector    *audio.Detector
	activity    []audio.Activity // scratch
	speechSince time.Duration
	interrupter interrupter
	words       atomic.Uint32 // a wordsVerdict that has not been acted on

	silence   time.Duration // limit; 0 is none
	quietFrom time.Duration // when either side was last heard
	quiet     bool          // the limit has been reached and reported

	figures figures
	end     atomic.Int64 // time.Duration: how far the media clock has come
}

// startTimeout bounds what a recorder and a recogniser may take to begin.
const startTimeout = 2 * time.Second

// Start begins the session.
func (m *media) Start(start stream.Start) error {
	s := m.session
	l := s.live
	c := l.snapshot()
	if c.State >= Ending {
		return ErrEnded
	}
	if c.ProviderCallID != "" && start.CallID != "" && start.CallID != c.ProviderCallID {
		return fmt.Errorf("stream is of another call")
	}
	s.format = start.Format
	s.startedAt = time.Now()
	s.inbox.open(start.Format.Rate)
	var err error
	if m.detector, err = audio.NewDetector(audio.DetectorConfig{Rate: start.Format.Rate}); err != nil {
		return err
	}
	m.activity = make([]audio.Activity, 0, 8)
	m.interrupter = newInterrupter(l.svc.cfg.Interruption)
	m.silence = cmpOr(c.Options.Silence, l.svc.cfg.Silence)
	m.listen(c)
	m.started.Store(true)
	l.tell(input{kind: inStreamStarted, leg: start.CallID})
	return nil
}

// listen begins the recording and the transcription of a call that is to have
// them. One that cannot be had is reported, and the call goes on.
func (m *media) listen(c *Call) {
	s := m.session
	l := s.live
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), startTimeout)
	defer cancel()
	if c.Options.Record && l.svc.cfg.Recorder != nil {
		sink, err := begin(func() (recording.Sink, error) {
			return l.svc.cfg.Recorder.Record(ctx, recording.Info{
				CallID: l.id, Storage: c.Options.RecordStorage, Format: s.format, StartedAt: s.startedAt,
			})
		})
		if err != nil {
			l.log.Error("call is not recorded", "err", err)
			l.emit(Event{Type: EventRecording, Detail: err.Error()})
		} else {
			s.recorder = sink
		}
	}
	if c.Options.Transcribe && l.svc.cfg.Transcriber != nil {
		sink, err := begin(func() (transcript.Sink, error) {
			return l.svc.cfg.Transcriber.Transcribe(ctx, transcript.Info{
				CallID: l.id, Provider: c.Options.TranscribeProvider, Language: c.Options.Language,
				Format: s.format, Emit: s.AddSegment,
			})
		})
		if err != nil {
			l.log.Error("call is not transcribed", "err", err)
			l.emit(Event{Type: EventTranscript, Detail: err.Error()})
		} else {
			s.transcriber = sink
		}
	}
}

// begin calls into a plug and contains its panics.
func begin[T any](f func() (T, error)) (sink T, err error) {
	defer recoverTo(&err)
	return f()
}

// WriteFrame takes a frame of either side.
func (m *media) WriteFrame(f *audio.Frame) {
	s := m.session
	if end := f.At + f.Duration(); end > time.Duration(m.end.Load()) {
		m.end.Store(int64(end))
	}
	if !m.flowing && !f.Filled {
		m.flowing = true
		s.live.tell(input{kind: inMedia})
	}
	if f.Track == audio.Inbound {
		m.hear(f)
	} else {
		m.figures.agentSpoke(f)
		m.quietFrom = f.At + f.Duration()
	}
	if s.recorder != nil {
		s.recorder.WriteFrame(f)
	}
	if s.transcriber != nil {
		s.transcriber.WriteFrame(f)
	}
}

// hear takes what the caller says.
func (m *media) hear(f *audio.Frame) {
	s := m.session
	s.inbox.write(f.PCM)
	m.activity = m.detector.Append(m.activity[:0], f.PCM)
	for _, a := range m.activity {
		at := audio.Duration(int(a.At), s.format.Rate)
		if a.Speaking {
			m.speechSince = at
			m.figures.callerBegan(at)
		} else {
			m.figures.callerEnded(at)
		}
	}
	now := f.At + f.Duration()
	speaking := m.detector.Speaking()
	m.act(m.interrupter.listen(hears{
		speaking: speaking,
		since:    m.speechSince,
		now:      now,
		words:    wordsVerdict(m.words.Swap(uint32(noWords))),
		playing:  s.player.interruptible(),
	}), now)
	if speaking {
		m.quietFrom = now
	}
	if m.silence > 0 && !m.quiet && now-m.quietFrom >= m.silence {
		m.quiet = true
		s.live.tell(input{kind: inEnd, cause: Silence})
	}
}

func (m *media) act(v verdict, now time.Duration) {
	s := m.session
	switch v {
	case pause:
		s.conn.Pause()
		m.figures.silenced(now - m.speechSince)
	case resume:
		s.conn.Resume()
		m.figures.falseAlarms++
	case interrupt:
		if m.interrupter.mode == Immediate {
			m.figures.silenced(now - m.speechSince)
		}
		m.interrupted("speech")
	}
}

// interrupted cuts the agent off.
func (m *media) interrupted(by string) {
	s := m.session
	s.player.clear(true)
	s.conn.Resume() // what is said next is not held up
	m.figures.interruptions++
	s.live.emit(Event{Type: EventInterruption, Name: by})
}

// heardWords judges words of the caller's. It is called from any goroutine; the
// media path acts on it with the next frame.
func (m *media) heardWords(text string) {
	v := wordsDoNot
	if words := m.session.live.svc.cfg.Interruption.Words; words != nil && words(text) || words == nil && !Backchannel(text) {
		v = wordsInterrupt
	}
	m.words.Store(uint32(v))
}

// Key takes a key that the caller has pressed.
func (m *media) Key(digit byte, at time.Duration) {
	s := m.session
	m.figures.keys++
	m.quietFrom = at
	if !s.live.svc.cfg.Interruption.IgnoreKeys && s.player.interruptible() {
		m.interrupter.reset()
		m.interrupted("key")
	}
	s.live.emit(Event{Type: EventKey, Key: string(rune(digit))})
	select {
	case s.keys <- digit:
	default:
	}
}

// Text takes a control message of a browser. There is none that concerns a call.
func (m *media) Text([]byte) {}

// Heard is told how far playback has come.
func (m *media) Heard(pos int64, confirmed bool) { m.session.player.heard(pos, confirmed) }

func (m *media) length() time.Duration { return time.Duration(m.end.Load()) }
