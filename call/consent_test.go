package call_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// recordedTracks reads a recording.
func recordedTracks(t *testing.T, st recording.Storage, rec *recording.Recording) [][]int16 {
	t.Helper()
	if rec == nil {
		t.Fatal("there is no recording")
	}
	f, err := st.Open(t.Context(), rec.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wav, err := audio.NewWAVReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tracks := make([][]int16, wav.Channels())
	for buf := make([]int16, 8192); err == nil; {
		var n int
		n, err = wav.ReadPCM(buf)
		for i, v := range buf[:n] {
			side := &tracks[i%len(tracks)]
			*side = append(*side, v)
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	return tracks
}

// firstSound is when a side is heard first.
func firstSound(pcm []int16) time.Duration {
	i := slices.IndexFunc(pcm, func(v int16) bool { return max(v, -v) > 100 })
	return audio.Duration(i, 8000)
}

// The notice is heard to its end before anything is kept, the caller cannot cut
// it off, the agent's words wait for it, and the recording is on the call's clock.
// If the agent clears it, it is given again.
func TestNothingIsRecordedBeforeTheNotice(t *testing.T) {
	const notice, words = 3 * time.Second, 2 * time.Second
	for _, clears := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			st := recording.NewMemory("memory")
			o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
				if clears {
					time.Sleep(time.Second)
					s.Clear()
					synctest.Wait() // until it is given again
				}
				_, err := s.Speak(tone(880, words)).Wait(ctx)
				time.Sleep(8 * time.Second)
				return err
			}), func(c *call.Config) {
				c.Recorder = &recording.WAV{Storage: st}
				c.Notice = func(*call.Call) call.Utterance { return call.Utterance{Audio: tone(440, notice)} }
			})
			var talk *sim.Talk
			o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) {
				talk = k
				_ = k.Say(tone(600, 10*time.Second))
				<-k.Done()
			}})
			c := o.wait(o.place(call.Options{Record: true}).ID)
			o.check(c, call.Completed, call.AgentDone, allStates...)
			synctest.Wait()
			audiotest.HasTone(t, talk.Heard(), 8000, 440)
			tracks := recordedTracks(t, st, c.Recording)
			told := notice
			if clears {
				told += time.Second
			}
			audiotest.HasTone(t, tracks[1], 8000, 880)
			if at := firstSound(tracks[0]); at < told-40*time.Millisecond || at > told+500*time.Millisecond {
				t.Errorf("the caller is kept from %v; the notice ended at %v", at, told)
			}
			audiotest.NoTone(t, tracks[1][:audio.Samples(told, 8000)], 8000, 880)
			audiotest.NoTone(t, tracks[1], 8000, 440)
		})
	}
}

// A caller who speaks during the notice, or presses a key, does not cut it off.
func TestNoticeIsNotInterrupted(t *testing.T) {
	const notice = 4 * time.Second
	speech := voice(t)
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			_, err := s.Speak(tone(880, 2*time.Second)).Wait(ctx)
			return err
		}), func(c *call.Config) {
			c.Recorder = &recording.WAV{Storage: recording.NewMemory("memory")}
			c.Notice = func(*call.Call) call.Utterance { return call.Utterance{Audio: tone(440, notice)} }
		})
		var talk *sim.Talk
		o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) {
			talk = k
			k.Listen(500 * time.Millisecond)
			_ = k.Say(audio.NewSamples(speech, 8000))
			_ = k.Press("1")
			<-k.Done()
		}})
		c := o.wait(o.place(call.Options{Record: true}).ID)
		if c.Metrics.Interruptions != 0 {
			t.Errorf("%d interruptions", c.Metrics.Interruptions)
		}
		heard := talk.Heard()
		begin := audio.Samples(firstSound(heard), 8000)
		audiotest.NoTone(t, heard[:begin+audio.Samples(notice, 8000)-160], 8000, 880)
		audiotest.HasTone(t, heard[begin+audio.Samples(notice, 8000)+800:][:8000], 8000, 880)
	})
}

// What is recorded of a call depends on what its caller says.
func TestConsent(t *testing.T) {
	tests := []struct {
		name    string
		say     func(o *office, s *call.Session) error // after five seconds
		key     string                                 // pressed after five seconds
		kept    bool
		consent string
	}{
		{"by the agent", func(_ *office, s *call.Session) error { return s.Consent(true) }, "", true, "given"},
		{"from outside", func(o *office, s *call.Session) error { return o.Consent(context.Background(), s.Call().ID, true) }, "", true, "given"},
		{"by key", nil, "1", true, "given"},
		{"twice", func(_ *office, s *call.Session) error { return errors.Join(s.Consent(true), s.Consent(true)) }, "", true, "given"},
		{"refused", func(_ *office, s *call.Session) error { return errors.Join(s.Consent(false), s.Consent(false)) }, "", false, "refused"},
		{"refused, and given too late", func(_ *office, s *call.Session) error {
			if err := s.Consent(false); err != nil {
				return err
			}
			if err := s.Consent(true); !errors.Is(err, telephony.ErrCallState) {
				return errors.Join(errors.New("consent after a refusal"), err)
			}
			return nil
		}, "", false, "refused"},
		{"never", nil, "", false, ""},
		{"another key", nil, "2", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := recording.NewMemory("memory")
				heard := &ears{}
				var o *office
				o = newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
					time.Sleep(5 * time.Second)
					if tt.say != nil {
						if err := tt.say(o, s); err != nil {
							t.Error(err)
						}
					}
					<-ctx.Done()
					return nil
				}), func(c *call.Config) {
					c.Recorder, c.Transcriber = &recording.WAV{Storage: st}, heard
					c.ConsentKey = "1"
				})
				o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) {
					go func() { _ = k.Say(tone(600, 10*time.Second)) }()
					time.Sleep(5 * time.Second)
					if tt.key != "" {
						_ = k.Press(tt.key)
					}
					time.Sleep(5 * time.Second)
					k.Hangup()
				}})
				c := o.wait(o.place(call.Options{Record: true, Transcribe: true, AwaitConsent: true}).ID)
				o.check(c, call.Completed, call.HangupRemote, allStates...)
				if c.Consent != tt.consent {
					t.Errorf("consent is %q", c.Consent)
				}
				if !tt.kept {
					if c.Recording != nil || len(st.Keys()) != 0 || len(heard.heard[0]) != 0 {
						t.Errorf("recording %+v, files %v, %d samples for the recogniser", c.Recording, st.Keys(), len(heard.heard[0]))
					}
					return
				}
				tracks := recordedTracks(t, st, c.Recording)
				if at := firstSound(tracks[0]); at < 4900*time.Millisecond || at > 5200*time.Millisecond {
					t.Errorf("the caller is kept from %v, want from 5 s", at)
				}
				if c.Recording.Duration < 9900*time.Millisecond || len(heard.heard[0]) == 0 {
					t.Errorf("recording %+v, %d samples for the recogniser", c.Recording, len(heard.heard[0]))
				}
			})
		})
	}
}

func TestConsentThatNobodyAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(_ context.Context, s *call.Session) error {
			if err := s.Consent(true); !errors.Is(err, telephony.ErrCallState) {
				t.Errorf("Consent: %v", err)
			}
			return nil
		}), nil)
		o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) { <-k.Done() }})
		c := o.wait(o.place(call.Options{Record: true}).ID)
		if err := o.Consent(t.Context(), c.ID, true); !errors.Is(err, call.ErrEnded) {
			t.Errorf("after the call: %v", err)
		}
	})
}

// broken is a Recorder that cannot record.
type broken struct{}

func (broken) Record(context.Context, recording.Info) (recording.Sink, error) {
	return nil, errors.New("permission denied")
}

// A call that cannot be recorded goes on and says so, or ends before its agent
// talks, as the host wants it.
func TestCallThatCannotBeRecorded(t *testing.T) {
	for _, must := range []bool{false, true} {
		for _, notice := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				served := false
				o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
					served = true
					_, err := s.Speak(tone(440, 4*time.Second)).Wait(ctx)
					return err
				}), func(c *call.Config) {
					c.Recorder = broken{}
					if notice {
						c.Notice = func(*call.Call) call.Utterance { return call.Utterance{Audio: tone(600, time.Second)} }
					}
				})
				o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) { <-k.Done() }})
				c := o.wait(o.place(call.Options{Record: true, RequireRecording: must}).ID)
				want := call.AgentDone
				if must {
					want = call.NotRecorded
				}
				if c.State != call.Completed || c.Cause != want || c.Recording != nil || served == (must && !notice) {
					t.Errorf("must %t, notice %t: %v %q, recording %+v, agent served %t", must, notice, c.State, c.Cause, c.Recording, served)
				}
				events, err := o.Events(t.Context(), c.ID, 0)
				if err != nil || !slices.ContainsFunc(events, func(e call.Event) bool {
					return e.Type == call.EventRecording && e.Detail == "permission denied"
				}) {
					t.Errorf("no event tells: %v, %v", events, err)
				}
			})
		}
	}
}

// A notice that cannot be played is not taken for one that was heard.
func TestNoticeThatFails(t *testing.T) {
	for name, notice := range map[string]func(*call.Call) call.Utterance{
		"panics":       func(*call.Call) call.Utterance { panic("no such file") },
		"breaks off":   func(*call.Call) call.Utterance { return call.Utterance{Audio: brokenSound{}} },
		"is not heard": func(*call.Call) call.Utterance { return call.Utterance{Audio: tone(440, time.Minute)} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := recording.NewMemory("memory")
				o := newOffice(t, call.AgentFunc(func(ctx context.Context, _ *call.Session) error { <-ctx.Done(); return nil }), func(c *call.Config) {
					c.Recorder, c.Notice = &recording.WAV{Storage: st}, notice
				})
				o.Phone(callee).Behave(sim.Behavior{Talk: func(k *sim.Talk) { time.Sleep(5 * time.Second); k.Hangup() }})
				c := o.wait(o.place(call.Options{Record: true}).ID)
				o.check(c, call.Completed, call.HangupRemote, allStates...)
				if c.Recording != nil || len(st.Keys()) > 0 {
					t.Errorf("recording %+v, files %v", c.Recording, st.Keys())
				}
			})
		})
	}
}

// brokenSound is sound that breaks off.
type brokenSound struct{}

func (brokenSound) Rate() int { return 8000 }
func (brokenSound) ReadPCM(p []int16) (int, error) {
	clear(p)
	return len(p), errors.New("the disk cannot be read")
}
