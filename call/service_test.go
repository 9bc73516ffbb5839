package call_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

const (
	callee = "+12025550142"
	ours   = calltest.Number
)

// carrier is whose protocol is spoken in the tests of whole calls.
var carrier = flag.String("carrier", "twilio", "twilio or plivo")

// office is a service on a telephone network in memory.
type office struct {
	*call.Service
	*calltest.Network
	t      *testing.T
	events *call.Subscription
}

func newOffice(t *testing.T, agent call.Agent, change func(*call.Config), faults ...sim.Faults) *office {
	t.Helper()
	network := calltest.NewNetwork(t, faults...)
	if *carrier == "plivo" {
		network = calltest.NewPlivoNetwork(t, faults...)
	}
	cfg := call.Config{
		PublicURL: calltest.PublicURL,
		Providers: []call.Provider{network.Provider},
		Agents:    call.Agents{"agent": agent},
		Recorder:  &recording.WAV{Storage: recording.NewMemory("memory")},
		Logger:    slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&cfg)
	}
	svc, err := call.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	network.Connect(svc)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &office{Service: svc, Network: network, t: t, events: svc.Subscribe(ctx, 1000)}
}

func (o *office) place(options call.Options) *call.Call {
	o.t.Helper()
	c, err := o.Place(o.t.Context(), call.Request{AgentID: "agent", To: callee, From: ours, Options: options})
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *office) wait(id string) *call.Call {
	o.t.Helper()
	c, err := o.Wait(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

// states are those that were announced for a call so far.
func (o *office) states(id string) []call.State {
	var states []call.State
	for {
		select {
		case e := <-o.events.C:
			if e.CallID == id && e.Type == call.EventState {
				states = append(states, e.State)
			}
		default:
			return states
		}
	}
}

func (o *office) check(c *call.Call, state call.State, cause call.Cause, passed ...call.State) {
	o.t.Helper()
	if c.State != state || c.Cause != cause {
		o.t.Errorf("call ended %v, %q (%s); want %v, %q", c.State, c.Cause, c.Detail, state, cause)
	}
	states := o.states(c.ID)
	if !slices.Contains(states, call.Connecting) { // the answer may overtake the reply to the dial
		passed = slices.DeleteFunc(slices.Clone(passed), func(s call.State) bool { return s == call.Connecting })
	}
	if diff := cmp.Diff(passed, states); diff != "" {
		o.t.Errorf("states (-want +got):\n%s", diff)
	}
	stored, err := o.Call(o.t.Context(), c.ID)
	if err != nil || stored.State != state {
		o.t.Errorf("stored: %v, %v", stored, err)
	}
	events, err := o.Events(o.t.Context(), c.ID, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			o.t.Errorf("event %d has the number %d", i, e.Seq)
		}
	}
	if len(c.Metrics.Leftover) > 0 {
		o.t.Errorf("cleanup left over: %q", c.Metrics.Leftover)
	}
}

var allStates = []call.State{call.Initiated, call.Connecting, call.Connected, call.Active, call.Ending, call.Completed}

func tone(hz float64, d time.Duration) audio.Reader {
	return audio.NewSamples(audiotest.Tone(hz, d, 8000), 8000)
}

// hello says one thing and returns.
func hello(d time.Duration) call.Agent {
	return call.AgentFunc(func(_ context.Context, s *call.Session) error {
		s.Say(call.Utterance{Audio: tone(440, d), Text: "Hello there."})
		return nil
	})
}

func TestPlacedCallGoesThroughEveryState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(2*time.Second), nil)
		var heard []int16
		o.Phone(callee).Behave(sim.Behavior{Ring: 3 * time.Second, Talk: func(talk *sim.Talk) {
			<-talk.Done()
			heard = talk.Heard()
		}})
		c := o.place(call.Options{Record: true})
		if c.State != call.Initiated {
			t.Errorf("placed call is %v", c.State)
		}
		c = o.wait(c.ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		synctest.Wait()
		audiotest.HasTone(t, heard, 8000, 440)
		if len(c.Transcript) != 1 || c.Transcript[0].Text != "Hello there." {
			t.Errorf("transcript %+v", c.Transcript)
		}
		if c.Recording == nil || c.Recording.Channels != 2 || c.Recording.Duration < 2*time.Second {
			t.Errorf("recording %+v", c.Recording)
		}
		if d := c.Duration(time.Now()); d < 2*time.Second || d > 3*time.Second {
			t.Errorf("call lasted %v", d)
		}
		if n := len(o.Carrier.Calls()); n != 1 {
			t.Errorf("the carrier has %d calls", n)
		}
	})
}

// The goodbye is heard to its last sample before the line goes dead.
func TestGoodbyeIsNotCutOff(t *testing.T) {
	for _, length := range []time.Duration{20 * time.Millisecond, 333 * time.Millisecond, 1700 * time.Millisecond, 9999 * time.Millisecond} {
		t.Run(length.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				goodbye := audiotest.Sweep(300, 3000, length, 8000)
				o := newOffice(t, call.AgentFunc(func(_ context.Context, s *call.Session) error {
					for key := range s.Keys() {
						if key == '9' {
							s.Speak(audio.NewSamples(goodbye, 8000))
							return nil
						}
					}
					return nil
				}), nil)
				talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
				if err != nil {
					t.Fatal(err)
				}
				talk.Listen(time.Second)
				if err := talk.Press("9"); err != nil {
					t.Fatal(err)
				}
				<-talk.Done()
				var played int
				for _, p := range talk.Playback() {
					played += len(p.Samples)
				}
				if want := len(goodbye); played < want {
					t.Errorf("%d samples of the goodbye were heard, want %d", played, want)
				}
				synctest.Wait()
				for c, err := range o.Calls(t.Context(), call.Filter{}) {
					if err != nil || c.Direction != telephony.Inbound {
						t.Fatal(c, err)
					}
					o.wait(c.ID)
				}
			})
		})
	}
}

func TestEchoLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.Echo, nil)
		talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		said := audiotest.Sweep(300, 3000, 10*time.Second, 8000)
		if err := talk.Say(audio.NewSamples(said, 8000)); err != nil {
			t.Fatal(err)
		}
		talk.Listen(500 * time.Millisecond)
		talk.Hangup()
		heard := talk.Heard()
		offset, similarity := audiotest.Align(said, heard)
		if similarity < 0.999 {
			t.Errorf("echo is like what was said to %v", similarity)
		}
		t.Logf("echo comes back after %v", audio.Duration(offset, 8000))
		synctest.Wait()
	})
}

func TestCallsThatAreNotAnswered(t *testing.T) {
	tests := []struct {
		name     string
		behavior sim.Behavior
		options  call.Options
		state    call.State
		cause    call.Cause
	}{
		{"busy", sim.Behavior{Outcome: sim.Busy}, call.Options{}, call.Busy, call.Unreachable},
		{"nobody picks up", sim.Behavior{Outcome: sim.NoAnswer}, call.Options{RingTimeout: 20 * time.Second}, call.NoAnswer, ""},
		{"fails", sim.Behavior{Outcome: sim.Failed}, call.Options{}, call.Failed, call.Unreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, hello(time.Second), nil)
				o.Phone(callee).Behave(tt.behavior)
				c := o.wait(o.place(tt.options).ID)
				if c.State != tt.state || tt.cause != "" && c.Cause != tt.cause {
					t.Errorf("%v, %q; want %v, %q", c.State, c.Cause, tt.state, tt.cause)
				}
				if !c.AnsweredAt.IsZero() {
					t.Error("has a time of answer")
				}
			})
		})
	}
}

func TestHangup(t *testing.T) {
	t.Run("while it rings", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, hello(time.Second), nil)
			o.Phone(callee).Behave(sim.Behavior{Ring: 30 * time.Second})
			c := o.place(call.Options{})
			time.Sleep(5 * time.Second)
			if err := o.Hangup(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
			o.check(o.wait(c.ID), call.Canceled, call.HangupLocal, call.Initiated, call.Connecting, call.Ending, call.Canceled)
		})
	})
	t.Run("while it is dialed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, hello(time.Second), nil)
			o.Phone(callee).Behave(sim.Behavior{Ring: 30 * time.Second})
			c := o.place(call.Options{})
			if err := o.Hangup(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
			if c = o.wait(c.ID); c.State != call.Canceled {
				t.Errorf("%v", c.State)
			}
			for _, k := range o.Carrier.Calls() {
				if k.Status == telephony.StatusRinging || k.Status == telephony.StatusInProgress {
					t.Errorf("the carrier's call is left %v", k.Status)
				}
			}
		})
	})
	t.Run("again, and of an unknown call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, hello(time.Second), nil)
			c := o.wait(o.place(call.Options{}).ID)
			if err := o.Hangup(t.Context(), c.ID); err != nil {
				t.Errorf("again: %v", err)
			}
			if err := o.Hangup(t.Context(), "call_none"); !errors.Is(err, call.ErrNotFound) {
				t.Errorf("unknown: %v", err)
			}
		})
	})
}

func TestCalleeHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			_, err := io.Copy(io.Discard, pcmReader{s.Line(8000)})
			<-ctx.Done()
			cause = context.Cause(ctx)
			return err
		}), nil)
		o.Phone(callee).Behave(sim.Behavior{Talk: func(talk *sim.Talk) {
			talk.Listen(3 * time.Second)
			talk.Hangup()
		}})
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.HangupRemote, allStates...)
		var end *call.EndError
		if !errors.As(cause, &end) || end.Cause != call.HangupRemote {
			t.Errorf("the agent's context ended with %v", cause)
		}
	})
}

// pcmReader reads a line as bytes, to be drained by io.Copy.
type pcmReader struct{ line *call.Line }

func (r pcmReader) Read(p []byte) (int, error) {
	var buf [160]int16
	n, err := r.line.ReadPCM(buf[:])
	return min(n, len(p)), err
}

func TestLimits(t *testing.T) {
	listen := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		<-ctx.Done()
		return nil
	})
	chatter := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		for ctx.Err() == nil {
			_, _ = s.Speak(tone(440, time.Second)).Wait(ctx)
		}
		return nil
	})
	hums := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		s.Say(call.Utterance{Audio: tone(440, time.Hour), Background: true})
		<-ctx.Done()
		return nil
	})
	mute := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		line := s.Line(8000)
		for {
			if _, err := line.WritePCM(make([]int16, 160)); err != nil {
				return nil
			}
		}
	})
	says := func(k *sim.Talk) { // for a second, after three
		k.Listen(3 * time.Second)
		_ = k.Say(tone(300, time.Second))
		<-k.Done()
	}
	presses := func(k *sim.Talk) {
		k.Listen(4 * time.Second)
		_ = k.Press("5")
		<-k.Done()
	}
	stall := call.Options{AgentStall: 10 * time.Second, MaxDuration: time.Minute}
	tests := []struct {
		name    string
		agent   call.Agent
		caller  func(*sim.Talk)
		options call.Options
		cause   call.Cause
		lasts   time.Duration
	}{
		{"duration", listen, nil, call.Options{MaxDuration: 90 * time.Second}, call.MaxDuration, 90 * time.Second},
		{"silence", listen, nil, call.Options{Silence: 12 * time.Second}, call.Silence, 12 * time.Second},
		{"silence after speech", listen, says, call.Options{Silence: 12 * time.Second}, call.Silence, 16 * time.Second},
		{"no silence while the agent talks", chatter, nil, call.Options{Silence: 12 * time.Second, MaxDuration: time.Minute}, call.MaxDuration, time.Minute},
		{"the caller is silent and the agent talks", chatter, nil, call.Options{CallerSilence: 12 * time.Second}, call.CallerSilence, 12 * time.Second},
		{"the caller is silent after a key", listen, presses, call.Options{CallerSilence: 12 * time.Second}, call.CallerSilence, 16 * time.Second},
		{"the agent owes nothing", listen, nil, stall, call.MaxDuration, time.Minute},
		{"the agent does not answer", listen, says, stall, call.AgentStalled, 14 * time.Second},
		{"the agent does not answer a key", listen, presses, stall, call.AgentStalled, 14 * time.Second},
		{"the agent hums", hums, says, stall, call.AgentStalled, 14 * time.Second},
		{"the agent says nothing all the time", mute, says, stall, call.AgentStalled, 14 * time.Second},
		{"the agent goes on", chatter, says, stall, call.MaxDuration, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, tt.agent, nil)
				o.Phone(callee).Behave(sim.Behavior{Talk: tt.caller})
				c := o.wait(o.place(tt.options).ID)
				o.check(c, call.Completed, tt.cause, allStates...)
				if d := c.Duration(time.Now()); d < tt.lasts || d > tt.lasts+time.Second {
					t.Errorf("lasted %v, want %v", d, tt.lasts)
				}
			})
		})
	}
}

func TestAgentThatFails(t *testing.T) {
	tests := []struct {
		name  string
		agent call.AgentFunc
		cause call.Cause
	}{
		{"returns an error", func(context.Context, *call.Session) error { return errors.New("no idea") }, call.AgentError},
		{"panics", func(context.Context, *call.Session) error { panic("+12025550142 said a secret") }, call.AgentPanic},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, tt.agent, nil)
				c := o.wait(o.place(call.Options{}).ID)
				if c.State != call.Completed || c.Cause != tt.cause {
					t.Errorf("%v, %q", c.State, c.Cause)
				}
				if strings.Contains(c.Detail, "secret") || strings.Contains(c.Detail, callee) {
					t.Errorf("detail %q", c.Detail)
				}
			})
		})
	}
}

// An agent that ignores its context cannot hold its call open.
func TestAgentThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		o := newOffice(t, call.AgentFunc(func(context.Context, *call.Session) error {
			<-release
			return nil
		}), nil)
		c := o.place(call.Options{MaxDuration: 10 * time.Second})
		c = o.wait(c.ID)
		if c.State != call.Completed || c.Cause != call.MaxDuration {
			t.Errorf("%v, %q", c.State, c.Cause)
		}
		if n := o.Stats().AgentsLeft; n != 1 {
			t.Errorf("%d agents are left behind, want 1", n)
		}
		close(release)
		synctest.Wait()
		if n := o.Stats().AgentsLeft; n != 0 {
			t.Errorf("%d agents are left behind, want 0", n)
		}
	})
}

func TestInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard call.Heard
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			speech := s.Say(call.Utterance{Audio: tone(440, 20*time.Second), Text: "A very long story about nothing at all that nobody wants to hear."})
			heard, _ = speech.Wait(context.Background())
			return nil
		}), nil)
		talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		talk.Listen(5 * time.Second)
		if err := talk.Press("1"); err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		if heard.Status != call.HeardCut || heard.Duration < 4900*time.Millisecond || heard.Duration > 5200*time.Millisecond {
			t.Errorf("heard %v, %v", heard.Status, heard.Duration)
		}
		var ear int
		for _, p := range talk.Playback() {
			ear += len(p.Samples)
		}
		if d := heard.Duration - audio.Duration(ear, 8000); d.Abs() > 20*time.Millisecond {
			t.Errorf("the ear heard %v, the ledger says %v", audio.Duration(ear, 8000), heard.Duration)
		}
		synctest.Wait()
	})
}

func TestPlaceRefuses(t *testing.T) {
	good := call.Request{AgentID: "agent", To: callee, From: ours}
	tests := []struct {
		name   string
		change func(*call.Request)
		want   error
	}{
		{"a bad number", func(r *call.Request) { r.To = "+0987654321" }, telephony.ErrInvalidNumber},
		{"a bad caller", func(r *call.Request) { r.From = "2025550100" }, telephony.ErrInvalidNumber},
		{"an unknown agent", func(r *call.Request) { r.AgentID = "nobody" }, call.ErrUnknownAgent},
		{"an unknown provider", func(r *call.Request) { r.Provider = "nobody" }, call.ErrUnknownProvider},
		{"a satellite", func(r *call.Request) { r.To = "+881612345678" }, call.ErrNotAllowed},
		{"a premium-rate number", func(r *call.Request) { r.To = "+19005550100" }, call.ErrNotAllowed},
		{"no transcriber", func(r *call.Request) { r.Options.Transcribe = true }, call.ErrInvalidRequest},
		{"too long a call", func(r *call.Request) { r.Options.MaxDuration = 25 * time.Hour }, call.ErrInvalidRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, hello(time.Second), nil)
				req := good
				tt.change(&req)
				if _, err := o.Place(t.Context(), req); !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				if n := len(o.Carrier.Calls()); n != 0 {
					t.Errorf("%d calls were placed", n)
				}
			})
		})
	}
}

func TestIdempotency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(time.Second), nil)
		req := call.Request{AgentID: "agent", To: callee, From: ours, IdempotencyKey: "order-456"}
		first, err := o.Place(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		again, err := o.Place(t.Context(), req)
		if err != nil || again.ID != first.ID {
			t.Errorf("again: %v, %v", again, err)
		}
		req.To = "+12025550143"
		if _, err := o.Place(t.Context(), req); !errors.Is(err, call.ErrIdempotency) {
			t.Errorf("another request: %v", err)
		}
		o.wait(first.ID)
		if n := len(o.Carrier.Calls()); n != 1 {
			t.Errorf("%d calls were placed, want 1", n)
		}
	})
}

func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(time.Second), func(c *call.Config) { c.MaxCalls = 1 })
		c := o.place(call.Options{})
		if _, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours}); !errors.Is(err, call.ErrOverloaded) {
			t.Errorf("second call: %v", err)
		}
		if talk, err := o.Phone("+12025550199").Call(t.Context(), ours); err == nil {
			<-talk.Done() // hears the apology
		}
		o.wait(c.ID)
	})
}

func TestShutdownWaitsAndThenCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(5*time.Second), nil)
		short := o.place(call.Options{})
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := o.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if c, err := o.Call(t.Context(), short.ID); err != nil || c.State != call.Completed {
			t.Errorf("%v, %v", c, err)
		}
		if _, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours}); !errors.Is(err, call.ErrShutdown) {
			t.Errorf("place: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(5*time.Minute), nil)
		long := o.place(call.Options{})
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := o.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
		if c, err := o.Call(t.Context(), long.ID); err != nil || c.State != call.Completed || c.Cause != call.Drain {
			t.Errorf("%v, %v", c, err)
		}
	})
}
