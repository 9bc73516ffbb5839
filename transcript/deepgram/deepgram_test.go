package deepgram

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/livetest"
	"github.com/switchboard-voice/switchboard/transcript/transcripttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConforms(t *testing.T) {
	transcripttest.TestTranscriber(t, func(t *testing.T) transcript.Transcriber { return start(t, &server{}) })
}

// call speaks a script to a transcriber and returns the transcript, and what
// Close said after how long.
func call(t *testing.T, tr *Transcriber, script livetest.Script, length time.Duration) (*transcript.Transcript, time.Duration, error) {
	t.Helper()
	kept := &transcript.Transcript{}
	sink, err := tr.Transcribe(t.Context(), transcript.Info{CallID: "call", Language: "en-US", Format: audio.Telephone, Emit: kept.Add})
	if err != nil {
		t.Fatal(err)
	}
	script.Speak(sink, 0, length)
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = sink.Close(ctx)
	return kept, time.Since(began), err
}

func TestWordsAreKept(t *testing.T) {
	tests := []struct {
		name   string
		faults func(nth int) faults
	}{
		{"a service in good health", nil},
		{"results that come slowly", func(int) faults { return faults{slow: 20 * time.Millisecond} }},
		{"a connection that breaks every 4 seconds", func(int) faults { return faults{cut: 4 * time.Second} }},
		{"a stream that is closed with an error", func(int) faults { return faults{cut: 6 * time.Second, code: 1011} }},
		{"a stream that is closed in order, but too early", func(int) faults { return faults{cut: 6 * time.Second, code: 1000} }},
		{"a server that reads nothing after a while", func(n int) faults {
			if n == 0 {
				return faults{stall: 5 * time.Second}
			}
			return faults{}
		}},
		{"garbage between the results", func(int) faults { return faults{garbage: true} }},
		{"all results twice", func(int) faults { return faults{twice: true, cut: 7 * time.Second} }},
		{"a server that is too busy at first", func(n int) faults {
			if n == 0 {
				return faults{status: http.StatusTooManyRequests, retry: "3"}
			}
			return faults{}
		}},
		{"a server that fails now and then", func(n int) faults {
			if n%3 > 0 {
				return faults{status: http.StatusServiceUnavailable}
			}
			return faults{cut: 5 * time.Second}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{faults: tt.faults}
				script := livetest.Talk(time.Minute, 5)
				kept, took, err := call(t, start(t, s), script, time.Minute)
				if err != nil || took > 5*time.Second {
					t.Errorf("Close: %v after %v", err, took)
				}
				if off := script.Check(t, kept); off > time.Millisecond {
					t.Errorf("times are off by %v", off)
				}
				for _, seg := range kept.Segments() {
					if seg.Gap || !seg.Final {
						t.Errorf("%+v", seg)
					}
				}
				if s.closed == 0 || s.finalized == 0 {
					t.Error("the stream was not closed as it should")
				}
			})
		})
	}
}

func TestWordsAreKeptAtRandomCuts(t *testing.T) {
	for seed := range uint64(100 / fewer) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			s := &server{faults: func(n int) faults {
				if n%2 == 1 && r.IntN(2) == 0 {
					return faults{status: http.StatusBadGateway}
				}
				return faults{cut: time.Duration(1+r.IntN(9000)) * time.Millisecond, twice: r.IntN(3) == 0, garbage: r.IntN(3) == 0}
			}}
			script := livetest.Talk(30*time.Second, seed)
			kept, _, err := call(t, start(t, s), script, 30*time.Second)
			script.Check(t, kept)
			if err != nil {
				t.Errorf("seed %d: Close: %v", seed, err)
			}
		})
	}
}

func TestRefusedKey(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{faults: func(int) faults { return faults{status: status} }}
			kept, took, err := call(t, start(t, s), livetest.Talk(10*time.Second, 1), 10*time.Second)
			var e *transcript.Error
			if !errors.Is(err, transcript.ErrAuth) || !errors.As(err, &e) || e.Status != status || took > time.Millisecond {
				t.Errorf("Close: %v after %v", err, took)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), key) {
				t.Errorf("the error shows the key: %v", err)
			}
			if s.streams != 1 {
				t.Errorf("the service was asked %d times", s.streams)
			}
			if segs := kept.Segments(); len(segs) != 2 || !segs[0].Gap || segs[0].End != 10*time.Second {
				t.Errorf("transcript is %+v", segs)
			}
		})
	}
}

func TestRefusedModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{faults: func(int) faults { return faults{status: http.StatusBadRequest} }}
		_, _, err := call(t, start(t, s), nil, time.Second)
		if !errors.Is(err, transcript.ErrRefused) || strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "no good: [secret]") {
			t.Errorf("Close: %v", err)
		}
	})
}

// A service that asks to be left alone is left alone.
func TestThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Time
		s := &server{faults: func(n int) faults {
			asked = append(asked, time.Now())
			if n == 0 {
				return faults{status: http.StatusTooManyRequests, retry: "7"}
			}
			return faults{}
		}}
		if _, _, err := call(t, start(t, s), nil, 10*time.Second); err != nil {
			t.Errorf("Close: %v", err)
		}
		if len(asked) != 2 || asked[1].Sub(asked[0]) < 7*time.Second {
			t.Errorf("asked at %v", asked)
		}
	})
}

// F74: without an answer the last words are kept as they are.
func TestNoAnswerAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{faults: func(int) faults { return faults{noFinal: true, mute: true} }}
		script := livetest.Script{{N: 9, At: time.Second, End: 1500 * time.Millisecond}}
		kept, took, err := call(t, start(t, s), script, 2*time.Second)
		if err == nil || took > 5*time.Second {
			t.Errorf("Close: %v after %v", err, took)
		}
		segs := kept.Segments()
		i := slices.IndexFunc(segs, func(s transcript.Segment) bool { return s.Text == "w9" })
		if i < 0 || segs[i].Final {
			t.Errorf("transcript is %+v", segs)
		}
	})
}

// F71: 1,000 hang-ups within 300 ms of the last word.
func TestLastWords(t *testing.T) {
	const n = 1000 / fewer
	kept := 0
	var longest time.Duration
	for i := range n {
		synctest.Test(t, func(t *testing.T) {
			s := &server{faults: func(int) faults { return faults{slow: time.Duration(i%5) * 10 * time.Millisecond} }}
			script := livetest.Script{{N: 1 + i%livetest.Words, At: 300 * time.Millisecond, End: 700 * time.Millisecond}}
			tr, took, err := call(t, start(t, s), script, 700*time.Millisecond+time.Duration(i)*300*time.Millisecond/n)
			longest = max(longest, took)
			if segs := tr.Segments(); err == nil && len(segs) == 1 && segs[0].Final && segs[0].Text == script[0].Text() {
				kept++
			}
		})
	}
	if kept != n {
		t.Errorf("the last word was kept %d times of %d", kept, n)
	}
	t.Logf("%d of %d kept, Close took %v at most", kept, n, longest)
}

func TestCallerWhoIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		tr := start(t, s)
		var kept transcript.Transcript
		sink, err := tr.Transcribe(t.Context(), transcript.Info{Format: audio.Telephone, Emit: kept.Add})
		if err != nil {
			t.Fatal(err)
		}
		script := append(livetest.Talk(10*time.Second, 1), livetest.Word{N: 7, At: 101 * time.Second, End: 101400 * time.Millisecond})
		script.Speak(sink, 0, 10*time.Second)
		time.Sleep(90 * time.Second)
		script.Speak(sink, 100*time.Second, 102*time.Second)
		if err := sink.Close(t.Context()); err != nil {
			t.Error(err)
		}
		script.Check(t, &kept)
		if s.keepAlives < 15 || tr.Stats().Failures != 0 {
			t.Errorf("%d messages to keep alive, %+v", s.keepAlives, tr.Stats())
		}
	})
}

// How long after a word its first interim result and its segment's end are known.
func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := start(t, &server{})
		began := time.Now()
		var first, final time.Duration
		sink, err := tr.Transcribe(t.Context(), transcript.Info{Format: audio.Telephone, Emit: func(s transcript.Segment) {
			if first == 0 {
				first = time.Since(began)
			}
			if s.Final {
				final = time.Since(began)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		script := livetest.Script{{N: 3, At: time.Second, End: 1400 * time.Millisecond}}
		script.Speak(sink, 0, 3*time.Second)
		if err := sink.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if d := first - time.Second; d > 250*time.Millisecond {
			t.Errorf("first words came %v after they began", d)
		}
		if d := final - 1400*time.Millisecond; d > 600*time.Millisecond {
			t.Errorf("the final came %v after the word", d)
		}
		t.Logf("interim %v after the word began, final %v after it ended", first-time.Second, final-1400*time.Millisecond)
	})
}

func TestQuery(t *testing.T) {
	tr := &Transcriber{Key: key, BaseURL: "https://example.com/base/", Language: "de", Terms: []string{"one", "two"}, Query: url.Values{"mip_opt_out": {"true"}, "channels": {"9"}}}
	for _, tt := range []struct {
		name string
		info transcript.Info
		only bool
		want []string
	}{
		{"both sides, mu-law", transcript.Info{Format: audio.Telephone}, false,
			[]string{"encoding=mulaw", "sample_rate=8000", "channels=2", "multichannel=true", "language=de", "keyterm=one&keyterm=two", "mip_opt_out=true",
				"model=nova-3", "interim_results=true", "utterance_end_ms=1000", "endpointing=300"}},
		{"the caller alone, linear", transcript.Info{Language: "en-US", Format: audio.Format{Rate: 16000}}, true,
			[]string{"encoding=linear16", "sample_rate=16000", "channels=1", "multichannel=false", "language=en-US"}},
		{"A-law", transcript.Info{Format: audio.Format{Encoding: audio.ALaw, Rate: 8000}}, false, []string{"encoding=alaw"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr.CallerOnly = tt.only
			got, err := tr.url(tt.info)
			if err != nil || !strings.HasPrefix(got, "wss://example.com/base/v1/listen?") {
				t.Fatal(got, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s is not in %s", want, got)
				}
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		t    *Transcriber
		ok   bool
	}{
		{"a key is enough", &Transcriber{Key: key}, true},
		{"no key", &Transcriber{}, false},
		{"no TLS", &Transcriber{Key: key, BaseURL: "ws://example.com"}, false},
		{"no TLS, knowingly", &Transcriber{Key: key, BaseURL: "http://example.com", Insecure: true}, true},
		{"no TLS, on this machine", &Transcriber{Key: key, BaseURL: "http://localhost:8080"}, true},
		{"no URL", &Transcriber{Key: key, BaseURL: "://"}, false},
		{"another scheme", &Transcriber{Key: key, BaseURL: "ftp://example.com"}, false},
		{"an utterance that ends too soon", &Transcriber{Key: key, UtteranceEnd: time.Millisecond}, false},
	} {
		if err := tt.t.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestTranscribeRefuses(t *testing.T) {
	if _, err := (&Transcriber{}).Transcribe(t.Context(), transcript.Info{Format: audio.Telephone}); err == nil {
		t.Error("no key is no error")
	}
	for _, f := range []audio.Format{{}, {Encoding: 9, Rate: 8000}, {Rate: 96000}} {
		if _, err := (&Transcriber{Key: key}).Transcribe(t.Context(), transcript.Info{Format: f}); !errors.Is(err, transcript.ErrFormat) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"type":"Results","channel_index":[1,2],"duration":1.98,"start":5.99,"is_final":true,"speech_final":true,"channel":{"alternatives":[{"transcript":"a b","confidence":0.9,"words":[{"word":"a","start":6,"end":6.5,"confidence":1,"punctuated_word":"A"}]}]},"from_finalize":false}`,
		`{"type":"UtteranceEnd","channel":[0,2],"last_word_end":3.1}`,
		`{"type":"SpeechStarted","channel":[0],"timestamp":9.54}`,
		`{"type":"Metadata","duration":1,"channels":2}`,
		`{"type":"Error","description":"x"}`, `{"type":"Results","channel":[1]}`, `[]`, `{"type":`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil || m.Type != typeResults {
			return
		}
		r := m.result()
		if r.Start < 0 || r.End < r.Start || r.Track > audio.Outbound {
			t.Errorf("result is %+v", r)
		}
		for _, w := range r.Words {
			if w.At < 0 || w.End < w.At {
				t.Errorf("word is %+v", w)
			}
		}
	})
}
