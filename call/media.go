package call

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/transcript"
)

// media takes what comes from the stream of a call and hands it to all who
// listen: detector, recorder, recogniser, agent. Its methods are called from the
// one goroutine that reads the stream; nothing in it blocks, and a frame costs
// no allocation. All times are on the call's media clock.
type media struct {
	session *Session
	flowing bool

	detector    *audio.Detector
	detectorAt  time.Duration    // when its first sample was heard
	activity    []audio.Activity // scratch
	speechSince time.Duration
	interrupter interrupter
	words       atomic.Uint32 // a wordsVerdict that has not been acted on

	held atomic.Bool // the caller is on hold

	ear atomic.Pointer[ear] // listens to a machine; nil if nobody asked

	hushed audio.Frame // see hush

	// When each was last heard, as a time.Duration: the caller, the agent, and the
	// agent with something to say.
	callerAt, agentAt, answerAt atomic.Int64

	figures figures
	// What figures have of the two, each as a time.Duration, for those who look at a
	// live call.
	callerTalk, agentTalk atomic.Int64

	end atomic.Int64 // time.Duration: how far the media clock has come
}

// startTimeout bounds what a recorder and a recogniser may take to begin.
const startTimeout = 2 * time.Second

// An interruption must be noticed sooner than a detector is usually sure; what
// is then confirmed, or taken back, is up to the interrupter.
const (
	detectorSpeech   = 40 * time.Millisecond
	detectorHangover = 100 * time.Millisecond
)

// begin starts the media clock.
func (m *media) begin(format audio.Format) (err error) {
	s := m.session
	l := s.live
	if m.detector, err = audio.NewDetector(audio.DetectorConfig{
		Rate: format.Rate, MinSpeech: detectorSpeech, Hangover: detectorHangover,
	}); err != nil {
		return err
	}
	s.format = format
	s.startedAt = time.Now()
	s.inbox.open(format.Rate)
	m.activity = make([]audio.Activity, 0, 8)
	m.interrupter = newInterrupter(l.svc.cfg.Interruption)
	s.allow(l.snapshot())
	return nil
}

// goOn takes up a caller who has been away.
func (m *media) goOn(at time.Duration) {
	if m.figures.callerSpeaks {
		m.figures.callerEnded(time.Duration(m.end.Load()))
	}
	m.figures.awaits = false
	m.detector.Reset()
	m.detectorAt = at
	m.interrupter.reset()
	m.noise(at)
	m.flowing = false // the first sound tells that the caller is back
}

// sinks are what a call is kept by; nil if it is not.
type sinks struct {
	recorder    recording.Sink
	transcriber transcript.Sink
}

// listen begins the recording and the transcription of a call that is to have
// them. One that cannot be had is reported, and the call goes on, unless it must
// be recorded.
func (m *media) listen(c *Call) {
	s := m.session
	l := s.live
	var to sinks
	if recorder := l.svc.cfg.Recorder; c.Options.Record && recorder != nil {
		sink, err := within(l.context(), l.svc, startTimeout, func(ctx context.Context) (recording.Sink, error) {
			return recorder.Record(ctx, recording.Info{
				CallID: l.id, Storage: c.Options.RecordStorage, Format: s.format, StartedAt: s.startedAt,
			})
		}, func(late recording.Sink) { discard(recorder, late) })
		if err != nil {
			m.unrecorded(c.Options.RequireRecording, err)
		} else {
			to.recorder = sink
		}
	}
	if c.Options.Transcribe && l.svc.cfg.Transcriber != nil {
		sink, err := within(l.context(), l.svc, startTimeout, func(ctx context.Context) (transcript.Sink, error) {
			return l.svc.cfg.Transcriber.Transcribe(ctx, transcript.Info{
				CallID: l.id, Provider: c.Options.TranscribeProvider, Language: c.Options.Language,
				Format: s.format, Emit: s.hear,
			})
		}, func(late transcript.Sink) {
			ctx, cancel := context.WithTimeout(context.Background(), transcriptDeadline)
			defer cancel()
			_ = late.Close(ctx)
		})
		if err != nil {
			l.log.Error("call is not transcribed", "err", err)
			l.degrade("it did not begin: " + err.Error())
		} else {
			to.transcriber = sink
		}
	}
	s.sinks.Store(&to)
}

// unrecorded tells that a call is not recorded, and ends one that must be.
func (m *media) unrecorded(must bool, err error) {
	l := m.session.live
	l.log.Error("call is not recorded", "err", err)
	l.emit(Event{Type: EventRecording, Detail: err.Error()})
	if must {
		l.tell(input{kind: inEnd, cause: NotRecorded, detail: err.Error()})
	}
}

// discard drops a recording that nobody waits for any more.
func discard(recorder recording.Recorder, late recording.Sink) {
	ctx, cancel := context.WithTimeout(context.Background(), recordingDeadline)
	defer cancel()
	kept, _ := late.Close(ctx, 0)
	if e, ok := recorder.(recording.Eraser); ok && kept.Key != "" {
		_ = e.Erase(ctx, kept)
	}
}

// write takes a frame of either side.
func (m *media) write(f *audio.Frame) {
	s := m.session
	if end := f.At + f.Duration(); end > time.Duration(m.end.Load()) {
		m.end.Store(int64(end))
	}
	if !m.flowing && !f.Filled {
		m.flowing = true
		s.live.tell(input{kind: inMedia})
	}
	switch {
	case m.held.Load():
		m.noise(f.At + f.Duration()) // and nobody hears the other
	case f.Track == audio.Inbound:
		m.hear(f)
	default:
		m.agentAt.Store(int64(f.At + f.Duration()))
		if isSound(f.PCM) && !s.player.inBackground() {
			m.figures.agentSpoke(f)
			m.agentTalk.Store(int64(m.figures.agentTalk))
			m.answerAt.Store(int64(f.At + f.Duration()))
		}
	}
	to := s.sinks.Load()
	if s.pauses.covers(f.At) {
		f = m.hush(f)
	}
	s.listeners.write(f)
	if to.recorder != nil {
		to.recorder.WriteFrame(f)
	}
	if to.transcriber != nil {
		to.transcriber.WriteFrame(f)
	}
}

// hear takes what the caller says.
func (m *media) hear(f *audio.Frame) {
	s := m.session
	s.inbox.write(f.PCM)
	m.activity = m.detector.Append(m.activity[:0], f.PCM)
	for _, a := range m.activity {
		at := m.detectorAt + audio.Duration(int(a.At), s.format.Rate)
		if a.Speaking {
			m.speechSince = at
			m.figures.callerBegan(at)
		} else {
			m.figures.callerEnded(at)
		}
	}
	now := f.At + f.Duration()
	speaking := m.detector.Speaking()
	m.figures.passed(f, speaking)
	m.callerTalk.Store(int64(m.figures.callerTalked(now)))
	m.act(m.interrupter.listen(hears{
		speaking: speaking,
		since:    m.speechSince,
		now:      now,
		words:    wordsVerdict(m.words.Swap(uint32(noWords))),
		playing:  s.player.interruptible(),
	}), now)
	if e := m.ear.Load(); e != nil {
		e.listen(f.PCM, now, speaking)
	}
	if speaking {
		m.callerAt.Store(int64(now))
	}
}

// noise lets the line be quiet from then on only.
func (m *media) noise(at time.Duration) {
	m.callerAt.Store(int64(at))
	m.agentAt.Store(int64(at))
	m.answerAt.Store(int64(at))
}

// isSound reports whether anything could be heard of pcm: more than the noise of
// a telephone line.
func isSound(pcm []int16) bool {
	const noise = 32 // -60 dB
	for _, s := range pcm {
		if s > noise || s < -noise {
			return true
		}
	}
	return false
}

// quietNow is for how long nothing has been heard. It may be called from any
// goroutine, and is true also if no more frames come.
func (m *media) quietNow() quiet {
	if m.held.Load() {
		return quiet{}
	}
	now := m.session.Now()
	since := func(at int64) time.Duration { return max(0, now-time.Duration(at)) }
	caller, agent, answer := m.callerAt.Load(), m.agentAt.Load(), m.answerAt.Load()
	q := quiet{both: since(max(caller, agent)), caller: since(caller)}
	if caller > answer {
		q.agent = since(caller)
	}
	return q
}

func (m *media) act(v verdict, now time.Duration) {
	s := m.session
	switch v {
	case pause:
		s.link.Load().conn.Pause()
		m.figures.silenced(now - m.speechSince)
	case resume:
		s.link.Load().conn.Resume()
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
	cut := s.player.interrupt()
	s.link.Load().conn.Resume() // what is said next is not held up
	if !cut {
		return
	}
	m.figures.interruptions++
	s.live.emit(Event{Type: EventInterruption, Name: by})
}

// heardWords judges words of the caller's. It is called from any goroutine; the
// media path acts on it with the next frame.
func (m *media) heardWords(text string) {
	v := wordsDoNot
	if m.interrupts(text) {
		v = wordsInterrupt
	}
	m.words.Store(uint32(v))
}

func (m *media) interrupts(text string) (yes bool) {
	l := m.session.live
	words := l.svc.cfg.Interruption.Words
	if words == nil {
		return !Backchannel(text)
	}
	err := contain(func() error { yes = words(text); return nil })
	if err != nil {
		l.log.Error("Interruption.Words panicked", "err", err)
	}
	return yes
}

// key takes a key that the caller has pressed.
func (m *media) key(digit byte, at time.Duration) {
	s := m.session
	m.figures.keys++
	m.callerAt.Store(int64(at))
	if !s.live.svc.cfg.Interruption.IgnoreKeys && s.player.interruptible() {
		m.interrupter.reset()
		m.interrupted("key")
	}
	event := Event{Type: EventKey, Key: string(rune(digit))}
	if cfg := &s.live.svc.cfg; cfg.Redactor != nil && !cfg.ShowKeys || s.pauses.covers(at) {
		event.Key = ""
	}
	s.live.emit(event)
	if agree := s.live.svc.cfg.ConsentKey; agree == string(rune(digit)) {
		_ = s.consented(true) // it was not asked, or has been answered
	}
	select {
	case s.keys <- digit:
	default:
	}
}

func (m *media) length() time.Duration { return time.Duration(m.end.Load()) }
