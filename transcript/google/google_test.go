package google

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/speech/apiv1/speechpb"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

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
	sink, err := tr.Transcribe(t.Context(), transcript.Info{CallID: "call", Language: "en-GB", Format: audio.Telephone, Emit: kept.Add})
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
		length time.Duration
		faults func(nth int) faults
	}{
		{"a service in good health", time.Minute, nil},
		{"a call that is longer than a stream may be", 16 * time.Minute / min(fewer, 2), nil},
		{"results that come slowly", time.Minute, func(int) faults { return faults{slow: 10 * time.Millisecond} }},
		{"a stream that fails every 5 seconds", time.Minute, func(int) faults { return faults{cut: 5 * time.Second} }},
		{"a stream that says that it fails", time.Minute, func(int) faults { return faults{cut: 7 * time.Second, inBand: true} }},
		{"garbage between the results", time.Minute, func(int) faults { return faults{garbage: true} }},
		{"all results twice", time.Minute, func(int) faults { return faults{twice: true, cut: 9 * time.Second} }},
		{"a quota that is used up at first", time.Minute, func(n int) faults {
			if n == 0 {
				return faults{code: codes.ResourceExhausted, retry: 3 * time.Second}
			}
			return faults{}
		}},
		{"a service that is away now and then", time.Minute, func(n int) faults {
			if n%3 > 0 {
				return faults{code: codes.Unavailable}
			}
			return faults{cut: 6 * time.Second}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{faults: tt.faults}
				script := livetest.Talk(tt.length, 5)
				kept, took, err := call(t, start(t, s), script, tt.length)
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
				if s.longest > 300*time.Second {
					t.Errorf("a stream lasted %v", s.longest)
				}
			})
		})
	}
}

// Property: streams fail at random moments; words come out once, in order.
func TestWordsAreKeptAtRandomCuts(t *testing.T) {
	for seed := range uint64(30 / fewer) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 4))
			s := &server{faults: func(n int) faults {
				if n%2 == 1 && r.IntN(2) == 0 {
					return faults{code: codes.Unavailable}
				}
				return faults{cut: time.Duration(1+r.IntN(9000)) * time.Millisecond, inBand: r.IntN(3) == 0, twice: r.IntN(3) == 0}
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

// The service says nothing where nothing is said: that is no gap.
func TestSilenceIsNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{faults: func(n int) faults {
			if n == 0 {
				return faults{cut: time.Minute}
			}
			return faults{}
		}}
		script := livetest.Script{{N: 3, At: 2 * time.Second, End: 2400 * time.Millisecond}, {N: 4, At: 70 * time.Second, End: 70400 * time.Millisecond}}
		kept, _, err := call(t, start(t, s), script, 80*time.Second)
		if err != nil {
			t.Error(err)
		}
		script.Check(t, kept)
		for _, seg := range kept.Segments() {
			if seg.Gap {
				t.Errorf("%+v", seg)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	for code, want := range map[codes.Code]error{
		codes.Unauthenticated: transcript.ErrAuth, codes.PermissionDenied: transcript.ErrAuth,
		codes.InvalidArgument: transcript.ErrRefused, codes.NotFound: transcript.ErrRefused,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{faults: func(int) faults { return faults{code: code} }}
			kept, took, err := call(t, start(t, s), livetest.Talk(10*time.Second, 1), 10*time.Second)
			if !errors.Is(err, want) || took > time.Millisecond || s.streams != 1 {
				t.Errorf("%v: Close: %v after %v, %d streams", code, err, took, s.streams)
			}
			if want == transcript.ErrAuth && strings.Contains(err.Error(), "no good") {
				t.Errorf("the error says what the service says of credentials: %v", err)
			}
			if segs := kept.Segments(); len(segs) != 2 || !segs[0].Gap {
				t.Errorf("%+v", segs)
			}
		})
	}
}

func TestThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{faults: func(n int) faults {
			if n == 0 {
				return faults{code: codes.ResourceExhausted, retry: 6 * time.Second}
			}
			return faults{}
		}}
		if _, _, err := call(t, start(t, s), nil, 8*time.Second); err != nil {
			t.Error(err)
		}
		if len(s.asked) != 2 || s.asked[1].Sub(s.asked[0]) < 6*time.Second {
			t.Errorf("asked at %v", s.asked)
		}
	})
}

func TestNoAnswerAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{faults: func(int) faults { return faults{noFinal: true, mute: true} }}
		kept, took, err := call(t, start(t, s), livetest.Script{{N: 9, At: time.Second, End: 1500 * time.Millisecond}}, 2*time.Second)
		if err == nil || took > 5*time.Second {
			t.Errorf("Close: %v after %v", err, took)
		}
		found := false
		for _, seg := range kept.Segments() {
			found = found || seg.Text == "w9" && !seg.Final
		}
		if !found {
			t.Errorf("%+v", kept.Segments())
		}
	})
}

func TestLastWords(t *testing.T) {
	const n = 200 / fewer
	found := 0
	for i := range n {
		synctest.Test(t, func(t *testing.T) {
			script := livetest.Script{{N: 1 + i%livetest.Words, At: 300 * time.Millisecond, End: 700 * time.Millisecond}}
			kept, _, err := call(t, start(t, &server{}), script, 700*time.Millisecond+time.Duration(i)*300*time.Millisecond/n)
			if segs := kept.Segments(); err == nil && len(segs) == 1 && segs[0].Final && segs[0].Text == script[0].Text() {
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
		if st := tr.Stats(); st.Failures != 0 || st.Connections != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		tr := start(t, s)
		tr.Terms = []string{"Switchboard"}
		tr.CallerOnly = true
		script := livetest.Script{{N: 3, At: time.Second, End: 1400 * time.Millisecond}}
		kept, _, err := call(t, tr, script, 3*time.Second)
		if err != nil {
			t.Error(err)
		}
		script.Check(t, kept)
		c := s.config.GetConfig()
		if c.GetLanguageCode() != "en-GB" || c.GetModel() != "telephony" || c.GetAudioChannelCount() != 1 || c.GetEnableSeparateRecognitionPerChannel() ||
			!c.GetEnableWordTimeOffsets() || !s.config.GetInterimResults() || c.GetSpeechContexts()[0].GetPhrases()[0] != "Switchboard" {
			t.Errorf("asked for %v", s.config)
		}
	})
}

func TestTranscribeRefuses(t *testing.T) {
	if _, err := (&Transcriber{}).Transcribe(t.Context(), transcript.Info{Format: audio.Telephone}); err == nil {
		t.Error("no connection is no error")
	}
	tr := start(t, &server{})
	for _, f := range []audio.Format{{}, {Encoding: 9, Rate: 8000}, {Rate: 44100}} {
		if _, err := tr.Transcribe(t.Context(), transcript.Info{Format: f}); !errors.Is(err, transcript.ErrFormat) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

func TestDial(t *testing.T) {
	conn, err := Dial(t.Context(), "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzResults(f *testing.F) {
	c := &recognition{channels: 2}
	var l livetest.Listener
	script := livetest.Talk(3*time.Second, 1)
	for at := time.Duration(0); at < 3*time.Second; at += 20 * time.Millisecond {
		for _, r := range l.Hear(script.Frame(audio.Inbound, at).Payload) {
			data, err := proto.Marshal(&speechpb.StreamingRecognizeResponse{Results: c.result(r)})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m speechpb.StreamingRecognizeResponse
		if proto.Unmarshal(data, &m) != nil {
			return
		}
		s := &stream{counters: &(&Transcriber{}).counters}
		for range 2 {
			for _, r := range s.results(&m) {
				if r.Start < 0 || r.End < r.Start || r.Track > audio.Outbound {
					t.Errorf("result is %+v", r)
				}
				for _, w := range r.Words {
					if w.At < 0 || w.End < w.At {
						t.Errorf("word is %+v", w)
					}
				}
			}
		}
	})
}
