package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/livetest"
	"github.com/switchboard-voice/switchboard/transcript/transcripttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ transcript.Retranscriber = (*Transcriber)(nil)

func TestConforms(t *testing.T) {
	transcripttest.TestTranscriber(t, func(t *testing.T) transcript.Transcriber { return start(t, &server{}) })
}

// call speaks a script to a transcriber and returns the segments as they came,
// and what Close said after how long.
func call(t *testing.T, tr *Transcriber, script livetest.Script, length time.Duration) ([]transcript.Segment, time.Duration, error) {
	t.Helper()
	var segments []transcript.Segment
	sink, err := tr.Transcribe(t.Context(), transcript.Info{CallID: "call", Language: "en-US", Format: audio.Telephone,
		Emit: func(s transcript.Segment) { segments = append(segments, s) }})
	if err != nil {
		t.Fatal(err)
	}
	script.Speak(sink, 0, length)
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = sink.Close(ctx)
	return segments, time.Since(began), err
}

func kept(segments []transcript.Segment) *transcript.Transcript {
	var t transcript.Transcript
	for _, s := range segments {
		t.Add(s)
	}
	return &t
}

func TestWordsAreKept(t *testing.T) {
	tests := []struct {
		name   string
		faults func(nth int) faults
	}{
		{"a service in good health", nil},
		{"answers that come slowly", func(int) faults { return faults{slow: 700 * time.Millisecond} }},
		{"answers that overtake each other", func(n int) faults { return faults{slow: time.Duration(n*7%5) * 300 * time.Millisecond} }},
		{"a service that is down now and then", func(n int) faults {
			if n%4 > 1 {
				return faults{status: http.StatusBadGateway}
			}
			return faults{}
		}},
		{"answers that are cut off", func(n int) faults { return faults{cut: n%3 == 0} }},
		{"garbage now and then", func(n int) faults {
			if n%3 == 0 {
				return faults{body: `{"text":`}
			}
			return faults{}
		}},
		{"too many requests now and then", func(n int) faults {
			if n%3 == 0 {
				return faults{status: http.StatusTooManyRequests, retry: "1"}
			}
			return faults{}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{faults: tt.faults}
				script := livetest.Talk(time.Minute, 5)
				segments, took, err := call(t, start(t, s), script, time.Minute)
				if err != nil || took > 5*time.Second {
					t.Errorf("Close: %v after %v", err, took)
				}
				if off := script.Check(t, kept(segments)); off > time.Millisecond {
					t.Errorf("times are off by %v", off)
				}
				last := map[transcript.Speaker]time.Duration{}
				for _, seg := range segments {
					if seg.Gap || !seg.Final || seg.At < last[seg.Speaker] || seg.Confidence < 0.89 || seg.Confidence > 0.91 || strings.Contains(seg.Text, "Thank") {
						t.Errorf("%+v", seg)
					}
					last[seg.Speaker] = seg.At
				}
				if s.most > defaultParallel {
					t.Errorf("%d requests at once", s.most)
				}
			})
		})
	}
}

// Property: answers come late, in any order, or at first not at all; words come
// out once, in order.
func TestWordsAreKeptWhateverHappens(t *testing.T) {
	for seed := range uint64(40 / fewer) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			failures := 0 // fewer than an utterance is tried, lest one be lost
			s := &server{faults: func(int) faults {
				f := faults{slow: time.Duration(r.IntN(400)) * time.Millisecond}
				switch fails := failures < tries-1 && r.IntN(3) == 0; {
				case fails && r.IntN(2) == 0:
					f.status = http.StatusServiceUnavailable
					failures++
				case fails:
					f.cut = true
					failures++
				}
				return f
			}}
			tr := start(t, s)
			tr.Parallel = 2 + r.IntN(3)
			script := livetest.Talk(30*time.Second, seed)
			segments, _, err := call(t, tr, script, 30*time.Second)
			script.Check(t, kept(segments))
			if err != nil || s.most > tr.Parallel {
				t.Errorf("seed %d: %v, %d requests at once", seed, err, s.most)
			}
		})
	}
}

func TestRefusedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{faults: func(int) faults { return faults{status: http.StatusUnauthorized} }}
		segments, _, err := call(t, start(t, s), livetest.Talk(20*time.Second, 1), 20*time.Second)
		if !errors.Is(err, transcript.ErrAuth) || strings.Contains(fmt.Sprintf("%v %+v", err, err), key) {
			t.Errorf("Close: %v", err)
		}
		if s.requests > defaultParallel || len(segments) == 0 {
			t.Errorf("%d requests, %d segments", s.requests, len(segments))
		}
		for _, seg := range segments {
			if !seg.Gap {
				t.Errorf("%+v", seg)
			}
		}
	})
}

func TestRefusedUtterance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{faults: func(n int) faults {
			if n == 0 {
				return faults{status: http.StatusBadRequest}
			}
			return faults{}
		}}
		script := livetest.Script{{N: 5, At: 2 * time.Second, End: 2400 * time.Millisecond}, {N: 6, At: 5 * time.Second, End: 5400 * time.Millisecond}}
		segments, _, err := call(t, start(t, s), script, 8*time.Second)
		if !errors.Is(err, transcript.ErrRefused) || !strings.Contains(err.Error(), "no good: [secret]") {
			t.Errorf("Close: %v", err)
		}
		if len(segments) != 2 || !segments[0].Gap || segments[1].Text != "w6" {
			t.Errorf("%+v", segments)
		}
	})
}

func TestServiceThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := start(t, &server{faults: func(int) faults { return faults{slow: time.Hour} }})
		segments, took, err := call(t, tr, livetest.Talk(5*time.Minute, 1), 5*time.Minute)
		if err == nil || took > 5*time.Second {
			t.Errorf("Close: %v after %v", err, took)
		}
		for _, seg := range segments {
			if !seg.Gap {
				t.Errorf("%+v", seg)
			}
		}
		if st := tr.Stats(); st.Missed < 2*time.Minute || st.Failures == 0 || st.Failures != st.Connections || st.Calls != 1 {
			t.Errorf("counted %+v", st)
		}
	})
}

func TestLastWords(t *testing.T) {
	const n = 300 / fewer
	found := 0
	for i := range n {
		synctest.Test(t, func(t *testing.T) {
			script := livetest.Script{{N: 1 + i%livetest.Words, At: 600 * time.Millisecond, End: time.Second}}
			segments, _, err := call(t, start(t, &server{}), script, time.Second+time.Duration(i)*300*time.Millisecond/n)
			if err == nil && len(segments) == 1 && segments[0].Text == script[0].Text() {
				found++
			}
		})
	}
	if found != n {
		t.Errorf("the last word was kept %d times of %d", found, n)
	}
}

func TestCallerWhoIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr transcript.Transcript
		sink, err := start(t, &server{}).Transcribe(t.Context(), transcript.Info{Format: audio.Telephone, Emit: tr.Add})
		if err != nil {
			t.Fatal(err)
		}
		script := append(livetest.Talk(10*time.Second, 1), livetest.Word{N: 7, At: 101 * time.Second, End: 101400 * time.Millisecond})
		script.Speak(sink, 0, 10*time.Second)
		time.Sleep(90 * time.Second)
		script.Speak(sink, 100*time.Second, 103*time.Second)
		if err := sink.Close(t.Context()); err != nil {
			t.Error(err)
		}
		script.Check(t, &tr)
	})
}

func TestForm(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*Transcriber)
		want map[string]string
	}{
		{"as it is", func(*Transcriber) {}, map[string]string{"model": "[whisper-1]", "response_format": "[verbose_json]", "timestamp_granularities[]": "[word segment]", "language": "[en]", "prompt": "[]"}},
		{"a model without times", func(tr *Transcriber) { tr.Model, tr.Prompt = "gpt-4o-transcribe", "names" }, map[string]string{"model": "[gpt-4o-transcribe]", "response_format": "[json]", "timestamp_granularities[]": "[]", "prompt": "[names]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{faults: func(int) faults { return faults{plain: true} }}
				tr := start(t, s)
				tt.set(tr)
				segments, _, err := call(t, tr, livetest.Script{{N: 5, At: 2 * time.Second, End: 2400 * time.Millisecond}}, 4*time.Second)
				if err != nil || len(segments) != 1 || segments[0].At > 2*time.Second || segments[0].End < 2400*time.Millisecond {
					t.Errorf("%+v, %v", segments, err)
				}
				for name, want := range tt.want {
					if got := fmt.Sprint(s.form[name]); got != want {
						t.Errorf("%s is %s, want %s", name, got, want)
					}
				}
			})
		})
	}
}

// recordingOf is the WAV file of a script.
func recordingOf(t *testing.T, script livetest.Script, length time.Duration, channels int) []byte {
	t.Helper()
	frames := make([]int16, 0, channels*audio.Samples(length, 8000))
	for at := time.Duration(0); at < length; at += 20 * time.Millisecond {
		in, out := script.Frame(audio.Inbound, at), script.Frame(audio.Outbound, at)
		for i := range in.PCM {
			frames = append(frames, in.PCM[i])
			if channels == 2 {
				frames = append(frames, out.PCM[i])
			}
		}
	}
	file, err := wav(frames, 8000, channels)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRetranscribe(t *testing.T) {
	script := livetest.Talk(2*time.Minute, 11)
	stereo := recordingOf(t, script, 2*time.Minute, 2)
	synctest.Test(t, func(t *testing.T) {
		s := &server{faults: func(n int) faults { return faults{slow: time.Duration(n%3) * 100 * time.Millisecond, cut: n%5 == 0} }}
		segments, err := start(t, s).Retranscribe(t.Context(), transcript.Info{Language: "en-US"}, bytes.NewReader(stereo))
		if err != nil {
			t.Fatal(err)
		}
		if off := script.Check(t, kept(segments)); off > time.Millisecond {
			t.Errorf("times are off by %v", off)
		}
		for i, seg := range segments {
			if !seg.Final || i > 0 && seg.At < segments[i-1].At {
				t.Errorf("%+v", seg)
			}
		}
		if s.most > defaultParallel {
			t.Errorf("%d requests at once", s.most)
		}
	})
	t.Run("mono is the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			segments, err := start(t, &server{}).Retranscribe(t.Context(), transcript.Info{}, bytes.NewReader(recordingOf(t, script, 10*time.Second, 1)))
			if err != nil || len(segments) == 0 || segments[0].Speaker != transcript.Customer {
				t.Errorf("%+v, %v", segments, err)
			}
		})
	})
	t.Run("an error of the service", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &server{faults: func(int) faults { return faults{status: http.StatusForbidden} }}
			tr := start(t, s)
			segments, err := tr.Retranscribe(t.Context(), transcript.Info{}, bytes.NewReader(stereo))
			if !errors.Is(err, transcript.ErrAuth) || segments != nil {
				t.Errorf("%v, %v", segments, err)
			}
			if st := tr.Stats(); st.Failures == 0 || st.Failures != st.Connections {
				t.Errorf("counted %+v", st)
			}
		})
	})
	t.Run("a file that breaks off ends what was asked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &server{faults: func(int) faults { return faults{slow: time.Hour} }}
			broken := errors.New("disk is gone")
			one := livetest.Script{{N: 5, At: time.Second, End: 1400 * time.Millisecond}}
			file := recordingOf(t, one, 8*time.Second, 1)
			began := time.Now()
			segments, err := start(t, s).Retranscribe(t.Context(), transcript.Info{}, io.MultiReader(bytes.NewReader(file[:len(file)/2]), iotest.ErrReader(broken)))
			if !errors.Is(err, broken) || segments != nil || time.Since(began) > 0 {
				t.Errorf("%v, %v after %v", segments, err, time.Since(began))
			}
		})
	})
	t.Run("no WAV", func(t *testing.T) {
		if _, err := (&Transcriber{}).Retranscribe(t.Context(), transcript.Info{}, strings.NewReader("words")); !errors.Is(err, audio.ErrWAV) {
			t.Error(err)
		}
	})
}

// An utterance that goes on is cut where it is softest, and none of it is lost.
func TestLongUtterance(t *testing.T) {
	c, err := newCutter(audio.Inbound, 8000)
	if err != nil {
		t.Fatal(err)
	}
	var script livetest.Script
	for at := time.Second; at < 50*time.Second; at += 500 * time.Millisecond {
		script = append(script, livetest.Word{N: 1 + len(script)%livetest.Words, At: at, End: at + 340*time.Millisecond})
	}
	var us []*utterance
	for at := time.Duration(0); at < 52*time.Second; at += 20 * time.Millisecond {
		us = c.add(us, script.Frame(audio.Inbound, at).PCM)
		if len(c.kept) > audio.Samples(longest, 8000) {
			t.Fatalf("%d samples are kept", len(c.kept))
		}
	}
	us = c.flush(us, 0)
	if len(us) < 4 {
		t.Fatalf("%d utterances", len(us))
	}
	for i, u := range us {
		if u.end()-u.start() > longest || i > 0 && u.at != us[i-1].at+int64(us[i-1].length) {
			t.Errorf("utterance from %v to %v", u.start(), u.end())
		}
		for _, w := range script {
			if w.At < u.start() && w.End > u.start() {
				t.Errorf("%s is cut in two at %v", w.Text(), u.start())
			}
		}
	}
	if us[0].start() > time.Second || us[len(us)-1].end() < 50*time.Second {
		t.Errorf("heard from %v to %v", us[0].start(), us[len(us)-1].end())
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		t    *Transcriber
		ok   bool
	}{
		{"as it is", &Transcriber{}, true},
		{"no TLS", &Transcriber{BaseURL: "http://example.com"}, false},
		{"no TLS, knowingly", &Transcriber{BaseURL: "http://example.com", Insecure: true}, true},
		{"no TLS, on this machine", &Transcriber{BaseURL: "http://[::1]:8080/v1"}, true},
		{"no URL", &Transcriber{BaseURL: "://"}, false},
		{"another scheme", &Transcriber{BaseURL: "ftp://example.com"}, false},
		{"negative", &Transcriber{Parallel: -1}, false},
	} {
		if err := tt.t.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, f := range []audio.Format{{}, {Rate: 44100}, {Encoding: 7, Rate: 8000}} {
		if _, err := (&Transcriber{}).Transcribe(t.Context(), transcript.Info{Format: f}); !errors.Is(err, transcript.ErrFormat) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

func TestWriteFrameAllocatesNothing(t *testing.T) {
	sink, err := start(t, &server{}).Transcribe(t.Context(), transcript.Info{Format: audio.Telephone, Emit: func(transcript.Segment) {}})
	if err != nil {
		t.Fatal(err)
	}
	f := livetest.Script(nil).Frame(audio.Inbound, 0)
	if n := testing.AllocsPerRun(200, func() {
		sink.WriteFrame(f)
		f.At += f.Duration()
	}); n != 0 {
		t.Errorf("%v allocations for a frame", n)
	}
	if err := sink.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"text":"a b","words":[{"word":"a","start":0,"end":0.5},{"word":"b","start":0.5,"end":1}],"segments":[{"text":" a b","start":0,"end":1,"avg_logprob":-0.1,"no_speech_prob":0.01}]}`,
		`{"text":"Thank you.","segments":[{"text":"Thank you.","end":3,"avg_logprob":-2,"no_speech_prob":0.99}]}`,
		`{"text":"a"}`, `{}`, `[]`, `{"text":null}`, `{"text":"x","words":[{"word":"x","start":-1,"end":1e300}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = complaint(data)
		const length = 3 * time.Second
		r, err := decode(data, length)
		if err != nil {
			return
		}
		if !(r.confidence >= 0 && r.confidence <= 1) {
			t.Errorf("confidence is %v", r.confidence)
		}
		for _, w := range r.words {
			if w.At < 0 || w.End < w.At || w.End > length {
				t.Errorf("word is %+v", w)
			}
		}
	})
}
