package call_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/transcript"
)

// panicky panics in the place that is named.
type panicky struct {
	call.Store
	in      string
	updates atomic.Int64
}

func (p *panicky) at(place string) {
	if p.in == place {
		panic("host code: " + place)
	}
}

func (p *panicky) Record(context.Context, recording.Info) (recording.Sink, error) {
	p.at("Record")
	return panickyRecording{p}, nil
}

type panickyRecording struct{ *panicky }

func (p panickyRecording) WriteFrame(*audio.Frame) { p.at("WriteFrame") }

func (p panickyRecording) Close(context.Context, time.Duration) (recording.Recording, error) {
	p.at("Close")
	return recording.Recording{}, nil
}

func (p *panicky) Transcribe(_ context.Context, info transcript.Info) (transcript.Sink, error) {
	return panickyTranscript{info.Emit}, nil
}

type panickyTranscript struct{ emit func(transcript.Segment) }

func (p panickyTranscript) WriteFrame(f *audio.Frame) {}

func (p panickyTranscript) Close(context.Context) error {
	done := make(chan struct{})
	go func() { // a recogniser's own
		defer close(done)
		p.emit(transcript.Segment{Speaker: transcript.Customer, Text: "Hello.", Final: true})
	}()
	<-done
	return nil
}

func (p *panicky) Create(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
	p.at("Create")
	return p.Store.Create(ctx, c, events)
}

func (p *panicky) Update(ctx context.Context, c *call.Call, events []call.Event) error {
	if c.State == call.Active && p.updates.Add(1) == 1 {
		p.at("Update")
	}
	return p.Store.Update(ctx, c, events)
}

func (p *panicky) words(string) bool {
	p.at("Words")
	return true
}

type panickySound struct {
	audio.Reader
	*panicky
}

func (p panickySound) ReadPCM(pcm []int16) (int, error) {
	p.at("ReadPCM")
	return p.Reader.ReadPCM(pcm)
}

func (p panickySound) Close() error {
	p.at("Close of Audio")
	return nil
}

// A panic in what a host plugs in concerns one call at most, and the call comes
// to its end.
func TestPanicInHostCode(t *testing.T) {
	for _, place := range []string{"Record", "WriteFrame", "Close", "Words", "ReadPCM", "Close of Audio", "Update"} {
		t.Run(place, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &panicky{in: place, Store: call.NewMemoryStore()}
				agent := call.AgentFunc(func(_ context.Context, s *call.Session) error {
					s.Speak(panickySound{tone(440, time.Second), p})
					return nil
				})
				o := newOffice(t, agent, func(c *call.Config) {
					c.Recorder, c.Transcriber, c.Store = p, p, p
					c.Interruption.Words = p.words
				})
				c := o.wait(o.place(call.Options{Record: true, Transcribe: true}).ID)
				if c.State != call.Completed {
					t.Errorf("call ended %v, %q", c.State, c.Cause)
				}
				stored, err := p.Get(t.Context(), c.ID)
				if err != nil || stored.State != call.Completed {
					t.Errorf("stored: %v, %v", stored, err)
				}
			})
		})
	}
}

// A store that panics leaves no room taken for the call that did not come about.
func TestPanicInCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &panicky{in: "Create", Store: call.NewMemoryStore()}
		o := newOffice(t, call.Echo, func(c *call.Config) { c.Store = p })
		if _, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours}); err == nil {
			t.Error("the call was placed")
		}
		if n := o.Stats().Live; n != 0 || len(o.Carrier.Calls()) != 0 {
			t.Errorf("%d calls are live, %d were placed", n, len(o.Carrier.Calls()))
		}
	})
}

// hanging is a recorder that takes its time and does not heed its context.
type hanging struct {
	takes  time.Duration
	began  chan struct{}
	closed atomic.Int64
}

func (h *hanging) Record(context.Context, recording.Info) (recording.Sink, error) {
	close(h.began)
	time.Sleep(h.takes)
	return h, nil
}

func (h *hanging) WriteFrame(*audio.Frame) {}

func (h *hanging) Close(context.Context, time.Duration) (recording.Recording, error) {
	h.closed.Add(1)
	return recording.Recording{}, nil
}

// A call that is hung up while its recording begins ends as soon as any other,
// no agent is missed that never had it, and the recording is closed.
func TestHangupWhileTheRecordingBegins(t *testing.T) {
	for _, takes := range []time.Duration{time.Second, 20 * time.Second} {
		t.Run(takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				recorder := &hanging{takes: takes, began: make(chan struct{})}
				o := newOffice(t, call.Echo, func(c *call.Config) { c.Recorder = recorder })
				c := o.place(call.Options{Record: true})
				<-recorder.began
				if err := o.Hangup(t.Context(), c.ID); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				o.wait(c.ID)
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("the end took %v", took)
				}
				time.Sleep(time.Minute)
				if st := o.Stats(); st.Live != 0 || st.AgentsLeft != 0 {
					t.Errorf("%d calls are live, %d agents left behind", st.Live, st.AgentsLeft)
				}
				if n := recorder.closed.Load(); n != 1 {
					t.Errorf("the recording was closed %d times", n)
				}
			})
		})
	}
}

// stuck is sound that does not come, until it is let go.
type stuck struct {
	release chan struct{}
	closed  atomic.Int64
}

func (*stuck) Rate() int { return 8000 }

func (s *stuck) ReadPCM([]int16) (int, error) {
	<-s.release
	return 0, io.EOF
}

func (s *stuck) Close() error { s.closed.Add(1); return nil }

// Sound that does not come is cut off as any other: what is said next is heard,
// and the call ends.
func TestSoundThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sound := &stuck{release: make(chan struct{})}
		var next call.Heard
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			s.Speak(sound)
			time.Sleep(time.Second)
			s.Clear()
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			next, _ = s.Speak(tone(440, time.Second)).Wait(ctx)
			return nil
		}), nil)
		c := o.wait(o.place(call.Options{}).ID)
		if next.Duration != time.Second {
			t.Errorf("%v of what was said next was heard", next.Duration)
		}
		time.Sleep(time.Minute)
		if st := o.Stats(); st.Live != 0 || st.AgentsLeft != 1 {
			t.Errorf("%d calls are live, %d agents left behind; want 0 and 1", st.Live, st.AgentsLeft)
		}
		close(sound.release)
		synctest.Wait()
		if n := o.Stats().AgentsLeft; n != 0 {
			t.Errorf("%d agents are left behind", n)
		}
		if c.State != call.Completed || sound.closed.Load() != 1 {
			t.Errorf("call ended %v; the sound was closed %d times", c.State, sound.closed.Load())
		}
	})
}

// nothing is sound that nobody hears.
func nothing(d time.Duration) audio.Reader {
	return audio.NewSamples(make([]int16, audio.Samples(d, 8000)), 8000)
}

// Sound that never begins is closed, too.
func TestSoundThatIsDroppedIsClosed(t *testing.T) {
	tests := map[string]func(s *call.Session, sound audio.Reader){
		"cleared": func(s *call.Session, sound audio.Reader) {
			s.Speak(nothing(2 * time.Minute))
			s.Speak(sound)
			time.Sleep(time.Second)
			s.Clear()
		},
		"at the end of the call": func(s *call.Session, sound audio.Reader) {
			s.Speak(nothing(2 * time.Minute))
			s.Speak(sound)
			time.Sleep(time.Second)
			s.Hangup()
		},
		"after the end of the call": func(s *call.Session, sound audio.Reader) {
			s.Hangup()
			time.Sleep(time.Second)
			s.Speak(sound)
		},
		"one too many": func(s *call.Session, sound audio.Reader) {
			s.Speak(nothing(2 * time.Minute))
			for range 100 {
				s.Speak(nothing(time.Second))
			}
			s.Speak(sound)
		},
		"background that is passed over": func(s *call.Session, sound audio.Reader) {
			s.Speak(tone(440, time.Second))
			s.Say(call.Utterance{Audio: sound, Background: true})
			s.Speak(tone(440, time.Second))
		},
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sound := &stuck{release: make(chan struct{})}
				close(sound.release)
				o := newOffice(t, call.AgentFunc(func(_ context.Context, s *call.Session) error {
					do(s, sound)
					return nil
				}), nil)
				o.Phone(callee).Behave(sim.Behavior{Talk: func(talk *sim.Talk) { talk.Listen(5 * time.Second); talk.Hangup() }})
				o.wait(o.place(call.Options{}).ID)
				synctest.Wait()
				if n := sound.closed.Load(); n != 1 {
					t.Errorf("it was closed %d times", n)
				}
			})
		})
	}
}

// A Line that was cleared while it waited belongs to a call that lives.
func TestClearedLineIsNotTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cleared, over error
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			time.AfterFunc(2*time.Second, func() { s.Clear() })
			line := s.Line(8000)
			_, cleared = line.WritePCM(make([]int16, 8000*120))
			s.Hangup()
			<-ctx.Done()
			time.Sleep(time.Second)
			_, over = line.WritePCM(make([]int16, 160))
			return nil
		}), nil)
		o.wait(o.place(call.Options{}).ID)
		if cleared == nil || errors.Is(cleared, call.ErrEnded) {
			t.Errorf("cleared: %v", cleared)
		}
		if !errors.Is(over, call.ErrEnded) {
			t.Errorf("after the end: %v", over)
		}
	})
}

// What an agent does with a session after the end of its call adds nothing to
// the call.
func TestSessionAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			<-ctx.Done()
			time.Sleep(time.Minute) // it ignores its context
			s.Log("late", nil)
			s.AddSegment(transcript.Segment{Speaker: transcript.Agent, Text: "late", Final: true})
			return nil
		}), nil)
		c := o.wait(o.place(call.Options{MaxDuration: 5 * time.Second}).ID)
		time.Sleep(2 * time.Minute)
		var last call.Event
		for len(o.events.C) > 0 {
			last = <-o.events.C
		}
		if last.State != call.Completed || last.Type != call.EventState {
			t.Errorf("the last event is %+v", last)
		}
		stored, err := o.Events(t.Context(), c.ID, last.Seq)
		if err != nil || len(stored) != 0 {
			t.Errorf("stored after the last: %v, %v", stored, err)
		}
	})
}

// Wait returns when the call is over for Erase, too.
func TestCallThatIsWaitedForCanBeErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(time.Second), nil)
		for range 5 {
			c := o.wait(o.place(call.Options{}).ID)
			if err := o.Erase(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
}
