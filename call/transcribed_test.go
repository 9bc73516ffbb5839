package call_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/transcript"
)

// scribe is a recogniser that takes each stretch of sound for a word, and needs
// time to say so. It works on recordings too.
type scribe struct {
	delay func() time.Duration // until a word is known
	// fails says what becomes of a call: a refusal at its beginning, or one at its
	// end. Both may be nil.
	refuses, breaks func() error
	gap             time.Duration             // is left out at the beginning
	again           func(callID string) error // what a recording comes to; nil: its words
	text            func(n int) string
}

func (s *scribe) word(n int) string {
	if s.text != nil {
		return s.text(n)
	}
	return fmt.Sprintf("word%d", n)
}

// pause is the silence that ends a word.
const pause = 100 * time.Millisecond

// listening is one call, or one recording.
type listening struct {
	scribe *scribe
	emit   func(transcript.Segment)
	rate   int
	at     time.Duration
	n      int
	begun  time.Duration
	ended  time.Duration // the last sound
	inWord bool
	late   sync.WaitGroup
}

func (s *scribe) Transcribe(_ context.Context, info transcript.Info) (transcript.Sink, error) {
	if s.refuses != nil {
		if err := s.refuses(); err != nil {
			return nil, err
		}
	}
	l := &listening{scribe: s, emit: info.Emit, rate: info.Format.Rate}
	if s.gap > 0 {
		l.emit(transcript.Segment{Speaker: transcript.Customer, End: s.gap, Final: true, Gap: true})
	}
	return l, nil
}

func (l *listening) WriteFrame(f *audio.Frame) {
	if f.Track == audio.Inbound {
		l.hear(f.At, f.PCM)
	}
}

func (l *listening) hear(at time.Duration, pcm []int16) {
	loud := audio.RMS(pcm) > 300
	l.at = at + audio.Duration(len(pcm), l.rate)
	switch {
	case loud && !l.inWord:
		l.inWord, l.begun, l.ended = true, at, l.at
		l.n++
	case loud:
		l.ended = l.at
	case l.inWord && l.at-l.ended >= pause:
		l.word()
	}
}

// word tells of the word that has ended, after a while.
func (l *listening) word() {
	l.inWord = false
	if l.begun < l.scribe.gap {
		return
	}
	seg := transcript.Segment{
		ID: fmt.Sprint(l.n), Speaker: transcript.Customer, Text: l.scribe.word(l.n),
		At: l.begun, End: l.ended, Confidence: 0.9, Final: true,
	}
	if l.scribe.delay == nil {
		l.emit(seg)
		return
	}
	l.late.Go(func() {
		time.Sleep(l.scribe.delay())
		l.emit(seg)
	})
}

func (l *listening) Close(context.Context) error {
	if l.inWord {
		l.word()
	}
	l.late.Wait()
	if l.scribe.breaks != nil {
		return l.scribe.breaks()
	}
	return nil
}

func (s *scribe) Retranscribe(_ context.Context, info transcript.Info, wav io.Reader) (all []transcript.Segment, err error) {
	if s.again != nil {
		if err := s.again(info.CallID); err != nil {
			return nil, err
		}
	}
	r, err := audio.NewWAVReader(wav)
	if err != nil {
		return nil, err
	}
	l := &listening{
		scribe: &scribe{text: s.text}, rate: r.Rate(),
		emit: func(seg transcript.Segment) { all = append(all, seg) },
	}
	both := make([]int16, r.Rate()/50*r.Channels())
	for {
		n, err := r.ReadPCM(both)
		left := make([]int16, 0, n)
		for i := 0; i < n; i += r.Channels() {
			left = append(left, both[i])
		}
		l.hear(l.at, left)
		if err == io.EOF {
			return all, l.Close(context.Background())
		}
		if err != nil {
			return nil, err
		}
	}
}

// customer says so many words and hangs up, so long after the last sound of the
// last one.
func customer(words int, after func() time.Duration) func(*sim.Talk) {
	return func(k *sim.Talk) {
		if k.WaitConnected(10*time.Second) != nil {
			return
		}
		for i := range words {
			if i > 0 {
				time.Sleep(300 * time.Millisecond)
			}
			if k.Say(tone(500, 300*time.Millisecond)) != nil {
				return
			}
		}
		time.Sleep(after())
		k.Hangup()
	}
}

// patient is an agent that says one thing and listens to the end.
var patient = call.AgentFunc(func(ctx context.Context, s *call.Session) error {
	s.Say(call.Utterance{Audio: tone(440, 200*time.Millisecond), Text: "Speak."})
	<-ctx.Done()
	return nil
})

// heardIn are the words of the caller in a transcript.
func heardIn(c *call.Call) (words []string) {
	for _, s := range c.Transcript {
		if s.Speaker == transcript.Customer && !s.Gap {
			words = append(words, s.Text)
		}
	}
	return words
}

func wordsTo(n int) (words []string) {
	for i := range n {
		words = append(words, fmt.Sprintf("word%d", i+1))
	}
	return words
}

// F71: callers hang up 0 to 300 ms after their last word, and the recogniser needs
// up to 900 ms: no word is lost.
func TestLastWordsBeforeAHangup(t *testing.T) {
	const atOnce = 50
	calls := 100
	if *thorough {
		calls = 1000
	}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		r := rand.New(rand.NewPCG(7, 1))
		upTo := func(most int) func() time.Duration {
			return func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(r.IntN(most+1)) * time.Millisecond
			}
		}
		o := newOffice(t, patient, func(c *call.Config) { c.Transcriber = &scribe{delay: upTo(900)} })
		o.Carrier.Otherwise(sim.Behavior{Talk: customer(3, upTo(300))})
		kept := 0
		for range calls / atOnce {
			var ids []string
			for range atOnce {
				ids = append(ids, o.place(call.Options{Transcribe: true}).ID)
			}
			for _, id := range ids {
				c := o.wait(id)
				if got := heardIn(c); slices.Equal(got, wordsTo(3)) && c.TranscriptSource == call.Live {
					kept++
				} else {
					t.Errorf("%s: %q, %q (%s)", id, got, c.TranscriptSource, c.TranscriptDetail)
				}
			}
		}
		t.Logf("final words kept: %d of %d calls", kept, calls)
	})
}

// afterwards waits until nothing is left to be done about ended calls.
func (o *office) afterwards(id string) *call.Call {
	o.t.Helper()
	o.wait(id)
	for range 600 {
		if o.Stats().Afterwards == 0 {
			break
		}
		time.Sleep(time.Second)
	}
	c, err := o.Call(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

func TestTranscriptIsMadeUpForFromTheRecording(t *testing.T) {
	down := errors.New("out of order")
	refused := &transcript.Error{Service: "test", Reason: transcript.ErrAuth}
	tries := func(failures int, err error) func() error {
		return func() error {
			if failures--; failures >= 0 {
				return err
			}
			return nil
		}
	}
	again := func(failures int, err error) func(string) error {
		fails := tries(failures, err)
		return func(string) error { return fails() }
	}
	for _, tt := range []struct {
		name   string
		scribe scribe
		record bool
		source call.TranscriptSource
		words  int
	}{
		{"nothing went wrong", scribe{}, true, call.Live, 3},
		{"the recogniser refused", scribe{refuses: tries(1, refused)}, true, call.FromRecording, 3},
		{"it broke", scribe{breaks: tries(1, down)}, true, call.FromRecording, 3},
		{"it left a gap", scribe{gap: time.Second}, true, call.FromRecording, 3},
		{"it fails twice on the recording, too", scribe{breaks: tries(1, down), again: again(2, down)}, true, call.FromRecording, 3},
		{"it fails always", scribe{refuses: tries(1, refused), again: again(99, down)}, true, call.Degraded, 0},
		{"it refuses for good", scribe{refuses: tries(1, refused), again: again(99, refused)}, true, call.Degraded, 0},
		{"there is no recording", scribe{refuses: tries(1, refused)}, false, call.Degraded, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, patient, func(c *call.Config) { c.Transcriber = &tt.scribe })
				o.Phone(callee).Behave(sim.Behavior{Talk: customer(3, func() time.Duration { return 500 * time.Millisecond })})
				c := o.afterwards(o.place(call.Options{Transcribe: true, Record: tt.record}).ID)
				if got := heardIn(c); c.TranscriptSource != tt.source || !slices.Equal(got, wordsTo(tt.words)) {
					t.Errorf("transcript is %q (%s) with %q, want %q with %d words", c.TranscriptSource, c.TranscriptDetail, got, tt.source, tt.words)
				}
				if c.Transcript[0].Text != "Speak." {
					t.Errorf("what the agent told is gone: %v", c.Transcript)
				}
				if degraded := tt.source != call.Live; degraded != (c.TranscriptDetail != "") {
					t.Errorf("detail is %q", c.TranscriptDetail)
				}
				events, err := o.Events(t.Context(), c.ID, 0)
				if err != nil || int64(len(events)) != c.Events {
					t.Errorf("%d events of %d, %v", len(events), c.Events, err)
				}
			})
		})
	}
}

// All live transcriptions fail, and so does the first try at each recording: all is
// made up for in the end.
func TestTranscriptsOfManyCallsAreMadeUpFor(t *testing.T) {
	const calls, atOnce = 200, 50
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		tries := make(map[string]int)
		most, now := 0, 0
		s := &scribe{refuses: func() error { return transcript.ErrUnavailable }}
		s.again = func(callID string) error {
			mu.Lock()
			tries[callID]++
			fails := tries[callID] == 1
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			if fails {
				return transcript.ErrThrottled
			}
			return nil
		}
		o := newOffice(t, patient, func(c *call.Config) { c.Transcriber, c.AfterParallel = s, 3 })
		o.Carrier.Otherwise(sim.Behavior{Talk: customer(3, func() time.Duration { return 0 })})
		var ids []string
		for range calls / atOnce {
			for range atOnce {
				ids = append(ids, o.place(call.Options{Transcribe: true, Record: true}).ID)
			}
			o.wait(ids[len(ids)-1])
		}
		made := 0
		for _, id := range ids {
			c := o.afterwards(id)
			if got := heardIn(c); c.TranscriptSource == call.FromRecording && slices.Equal(got, wordsTo(3)) {
				made++
			} else {
				t.Errorf("%s: %q (%s) %q", id, c.TranscriptSource, c.TranscriptDetail, got)
			}
		}
		if most > 3 {
			t.Errorf("%d at once, want 3 at most", most)
		}
		t.Logf("made up for: %d of %d calls", made, calls)
	})
}

func TestShutdownGivesUpOnTranscripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scribe{refuses: func() error { return transcript.ErrUnavailable }, again: func(string) error {
			time.Sleep(time.Minute)
			return nil
		}}
		o := newOffice(t, patient, func(c *call.Config) { c.Transcriber = s })
		o.Phone(callee).Behave(sim.Behavior{Talk: customer(1, func() time.Duration { return 0 })})
		id := o.place(call.Options{Transcribe: true, Record: true}).ID
		o.wait(id)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := o.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(begin); took > 6*time.Second {
			t.Errorf("Shutdown took %v, with 5 s given", took)
		}
		c, err := o.Call(t.Context(), id)
		if err != nil || c.TranscriptSource != call.Degraded {
			t.Errorf("%v, %v", c.TranscriptSource, err)
		}
		time.Sleep(2 * time.Minute) // for the recogniser to return
	})
}

func TestTranscriptIsSeenWhileTheCallLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan int, 1)
		agent := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			time.Sleep(3 * time.Second)
			seen <- len(s.Call().Transcript)
			<-ctx.Done()
			return nil
		})
		o := newOffice(t, agent, func(c *call.Config) { c.Transcriber = &scribe{} })
		o.Phone(callee).Behave(sim.Behavior{Talk: customer(2, func() time.Duration { return 5 * time.Second })})
		id := o.place(call.Options{Transcribe: true}).ID
		if n := <-seen; n != 2 {
			t.Errorf("the agent sees %d segments, want 2", n)
		}
		c, err := o.Call(t.Context(), id)
		if err != nil || c.State != call.Active || !slices.Equal(heardIn(c), wordsTo(2)) {
			t.Errorf("live: %v, %q, %v", c.State, heardIn(c), err)
		}
		for c, err := range o.Calls(t.Context(), call.Filter{}) {
			if err != nil || len(c.Transcript) != 2 {
				t.Errorf("in the list: %v, %v", c.Transcript, err)
			}
		}
		o.wait(id)
	})
}

// unreliable is a redactor that fails in ways of its own at some words.
type unreliable struct{}

func (unreliable) Redaction() func(transcript.Segment) transcript.Segment {
	return func(s transcript.Segment) transcript.Segment {
		switch s.Text {
		case "word2":
			panic("at a word")
		case "word4":
			time.Sleep(time.Hour)
		}
		return transcript.Segment{ID: s.ID, Speaker: s.Speaker, Text: strings.ToUpper(s.Text), At: s.At, End: s.End, Final: s.Final}
	}
}

func TestRedactorThatFailsWithholdsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, patient, func(c *call.Config) { c.Transcriber, c.Redactor = &scribe{}, unreliable{} })
		o.Phone(callee).Behave(sim.Behavior{Talk: customer(5, func() time.Duration { return time.Second })})
		c := o.wait(o.place(call.Options{Transcribe: true}).ID)
		want := []string{"WORD1", transcript.Withheld, "WORD3", transcript.Withheld, transcript.Withheld}
		if got := heardIn(c); !slices.Equal(got, want) {
			t.Errorf("kept %q, want %q", got, want)
		}
		if c.Transcript[0].Text != "SPEAK." {
			t.Errorf("the agent's words are %q", c.Transcript[0].Text)
		}
		if n := o.Stats().WordsWithheld; n != 3 {
			t.Errorf("%d withheld, want 3", n)
		}
		time.Sleep(2 * time.Hour) // for the redactor to return
	})
}

// Nothing that stands anywhere about a call shows a number that was said, told or
// pressed.
func TestPersonalDataIsNowhere(t *testing.T) {
	const number = "4111 1111 1111 1111"
	for _, live := range []bool{true, false} {
		t.Run(fmt.Sprintf("live %v", live), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scribe{text: func(int) string { return "It is " + number + " okay" }}
				if !live {
					s.breaks = func() error { return errors.New("out of order") }
				}
				agent := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
					s.AddSegment(transcript.Segment{Speaker: transcript.Agent, Text: "You said " + number, Final: true, Confidence: 1})
					s.Say(call.Utterance{Audio: tone(440, time.Second), Text: "You said " + number})
					<-ctx.Done()
					return nil
				})
				o := newOffice(t, agent, func(c *call.Config) { c.Transcriber, c.Redactor = s, transcript.Personal{} })
				o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) {
					time.Sleep(2 * time.Second)
					_ = k.Press("4111")
					customer(2, func() time.Duration { return time.Second })(k)
				}})
				c := o.afterwards(o.place(call.Options{Transcribe: true, Record: true}).ID)
				events, err := o.Events(t.Context(), c.ID, 0)
				if err != nil {
					t.Fatal(err)
				}
				if len(c.Transcript) != 4 {
					t.Errorf("transcript has %d segments, want 4", len(c.Transcript))
				}
				for _, seg := range c.Transcript {
					if strings.Contains(seg.Text, "1111") || !strings.Contains(seg.Text, "[card number]") {
						t.Errorf("transcript: %q", seg.Text)
					}
				}
				keys := 0
				for _, e := range events {
					if e.Segment != nil && strings.Contains(e.Segment.Text, "1111") {
						t.Errorf("event: %q", e.Segment.Text)
					}
					if e.Type == call.EventKey {
						keys++
						if e.Key != "" {
							t.Errorf("event tells the key %q", e.Key)
						}
					}
				}
				if keys != 4 {
					t.Errorf("%d keys, want 4", keys)
				}
			})
		})
	}
}

func TestAnalyzer(t *testing.T) {
	for name, tt := range map[string]struct {
		analyze func(context.Context, *call.Call) (call.Analysis, error)
		failed  bool
	}{
		"finds something": {func(_ context.Context, c *call.Call) (call.Analysis, error) {
			return call.Analysis{Figures: map[string]float64{"sentiment": 0.5, "words": float64(len(c.Transcript))}, Labels: map[string]string{"resolution": "solved"}}, nil
		}, false},
		"panics": {func(context.Context, *call.Call) (call.Analysis, error) { panic("no") }, true},
		"does not end": {func(ctx context.Context, _ *call.Call) (call.Analysis, error) {
			time.Sleep(time.Hour)
			return call.Analysis{}, nil
		}, true},
		"has too much to say": {func(context.Context, *call.Call) (call.Analysis, error) {
			return call.Analysis{Labels: map[string]string{"Resolution": "solved"}}, nil
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, hello(time.Second), func(c *call.Config) { c.Analyzer = call.AnalyzerFunc(tt.analyze) })
				id := o.place(call.Options{}).ID
				if c := o.wait(id); c.Analysis != nil {
					t.Error("the end of the call waited for it")
				}
				c := o.afterwards(id)
				events, err := o.Events(t.Context(), id, 0)
				if err != nil || events[len(events)-1].Type != call.EventAnalysis {
					t.Fatalf("last event: %v, %v", events[len(events)-1], err)
				}
				last := events[len(events)-1]
				switch {
				case tt.failed && (c.Analysis != nil || last.Detail == "" || o.Stats().AfterwardsFailed != 1):
					t.Errorf("analysis %v, event %v, %d failed", c.Analysis, last, o.Stats().AfterwardsFailed)
				case !tt.failed && (c.Analysis.Figures["words"] != 1 || c.Analysis.Labels["resolution"] != "solved" || last.Data["resolution"] != "solved"):
					t.Errorf("analysis %v, event %v", c.Analysis, last)
				}
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

func TestLogMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		many := make(map[string]float64)
		for i := range 63 {
			many[fmt.Sprintf("figure_%d", i)] = 1
		}
		var session *call.Session
		agent := call.AgentFunc(func(_ context.Context, s *call.Session) error {
			session = s
			for _, tt := range []struct {
				figures map[string]float64
				err     error
			}{
				{map[string]float64{"sentiment": 0.1}, nil},
				{map[string]float64{"sentiment": -0.5}, nil},
				{many, nil},
				{map[string]float64{"one.more": 1}, call.ErrInvalidFigures},
				{map[string]float64{"Sentiment": 1}, call.ErrInvalidFigures},
				{map[string]float64{"": 1}, call.ErrInvalidFigures},
				{map[string]float64{"sentiment": 1 / (many["none"])}, call.ErrInvalidFigures},
			} {
				if err := s.LogMetrics(tt.figures); !errors.Is(err, tt.err) {
					t.Errorf("%v: %v, want %v", tt.figures, err, tt.err)
				}
			}
			return nil
		})
		o := newOffice(t, agent, nil)
		c := o.wait(o.place(call.Options{}).ID)
		if f := c.Metrics.Figures; len(f) != 64 || f["sentiment"] != -0.5 {
			t.Errorf("figures are %v", f)
		}
		if err := session.LogMetrics(map[string]float64{"late": 1}); !errors.Is(err, call.ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
	})
}
