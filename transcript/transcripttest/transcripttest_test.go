package transcripttest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is a transcriber that hears how long each party has spoken. Its
// faults, if any, are those of a test.
type counter struct {
	segment func(s *transcript.Segment) // spoils what is emitted
	frame   func(f *audio.Frame)
	late    bool // emits after Close
	repeats bool // emits finals twice
	stuck   bool // does not heed a context
	deaf    bool // fails to close
	undead  bool // goes on after Close
}

func (c *counter) Transcribe(_ context.Context, info transcript.Info) (transcript.Sink, error) {
	s := &counterSink{counter: c, info: info, words: make(chan transcript.Segment, 200), done: make(chan struct{})}
	go s.run()
	return s, nil
}

// counterSink emits what it hears from a goroutine of its own.
type counterSink struct {
	*counter
	info   transcript.Info
	words  chan transcript.Segment
	done   chan struct{}
	closed bool
	closes int
}

func (s *counterSink) WriteFrame(f *audio.Frame) {
	if s.frame != nil {
		s.frame(f)
	}
	if s.closed {
		if s.undead {
			s.info.Emit(transcript.Segment{Speaker: transcript.Agent})
		}
		return
	}
	speaker := transcript.Customer
	if f.Track == audio.Outbound {
		speaker = transcript.Agent
	}
	i := f.At / time.Second
	s.words <- transcript.Segment{ID: fmt.Sprint(i), Speaker: speaker, Text: "beep", At: f.At, End: f.At + f.Duration(),
		Confidence: 1, Final: f.At%time.Second == 980*time.Millisecond}
}

func (s *counterSink) run() {
	defer close(s.done)
	for seg := range s.words {
		if s.segment != nil {
			s.segment(&seg)
		}
		s.info.Emit(seg)
		if seg.Final && s.repeats {
			s.info.Emit(seg)
		}
	}
}

func (s *counterSink) Close(ctx context.Context) error {
	s.closes++
	if !s.closed {
		s.closed = true
		close(s.words)
	}
	<-s.done
	if s.stuck && ctx.Err() != nil {
		time.Sleep(time.Hour)
	}
	if s.late && s.closes == 1 {
		time.AfterFunc(time.Millisecond, func() { s.info.Emit(transcript.Segment{Speaker: transcript.Agent}) })
	}
	if s.deaf {
		return fmt.Errorf("close number %d", s.closes)
	}
	return nil
}

func TestSuite(t *testing.T) {
	TestTranscriber(t, func(*testing.T) transcript.Transcriber { return &counter{} })
}

func TestSuiteFindsFaults(t *testing.T) {
	tests := map[string]*counter{
		"a segment of nobody":       {segment: func(s *transcript.Segment) { s.Speaker = "caller" }},
		"a segment that goes back":  {segment: func(s *transcript.Segment) { s.End = s.At - 1 }},
		"a word that goes back":     {segment: func(s *transcript.Segment) { s.Words = []transcript.Word{{At: 2, End: 1}} }},
		"more than certain":         {segment: func(s *transcript.Segment) { s.Confidence = 99 }},
		"a gap with words":          {segment: func(s *transcript.Segment) { s.Gap = true }},
		"finals that change":        {repeats: true},
		"frames that change":        {frame: func(f *audio.Frame) { clear(f.PCM) }},
		"words after the end":       {undead: true},
		"a Close that never ends":   {stuck: true},
		"a Close that fails always": {deaf: true},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var found error
				for _, rule := range rules {
					found = errors.Join(found, rule.check(t.Context(), c))
				}
				if found == nil {
					t.Error("the fault was not found")
				}
				time.Sleep(2 * time.Hour) // until what was stuck has ended
			})
		})
	}
}

// What is emitted after Close is found if it comes while another call is heard.
func TestSuiteFindsLateWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := one(t.Context(), &counter{late: true}, "call")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.late != 1 {
			t.Errorf("%d late segments were seen, want 1", h.late)
		}
	})
}
