package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// office is a service whose agent is the bridge, and the model behind it.
type office struct {
	*calltest.Network
	svc   *call.Service
	model *model
	host  *calltest.Machine // where the model runs
}

func open(t *testing.T, m *model, change func(*Agent), mode ...call.InterruptMode) *office {
	t.Helper()
	network := calltest.NewNetwork(t)
	m.t, m.key = t, "secret"
	t.Cleanup(m.work.Wait)
	host := network.Machine()
	host.Serve("127.0.0.1:80", m)
	agent := &Agent{
		Key: "secret", BaseURL: "http://127.0.0.1/v1", Greeting: "Say hello.",
		Dialer: &websocket.Dialer{NetDialContext: network.DialContext, HandshakeTimeout: time.Second},
	}
	if change != nil {
		change(agent)
	}
	cfg := call.Config{
		PublicURL: calltest.PublicURL,
		Providers: []call.Provider{network.Provider},
		Agents:    call.Agents{"realtime": agent},
		Logger:    slog.New(slog.DiscardHandler),
	}
	for _, m := range mode {
		cfg.Interruption.Mode = m
	}
	svc, err := call.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	network.Connect(svc)
	t.Cleanup(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, w := range m.wrong {
			t.Errorf("the model complains: %s", w)
		}
	})
	return &office{Network: network, svc: svc, model: m, host: host}
}

// dial calls the service.
func (o *office) dial(t *testing.T) *sim.Talk {
	t.Helper()
	talk, err := o.Phone("+12025550199").Call(t.Context(), calltest.Number)
	if err != nil {
		t.Fatal(err)
	}
	return talk
}

// record is the call that was made, once it is over and the model has taken all
// that it was sent.
func (o *office) record(t *testing.T, talk *sim.Talk) *call.Call {
	t.Helper()
	<-talk.Done()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for c, err := range o.svc.Calls(ctx, call.Filter{}) {
		if err == nil {
			c, err = o.svc.Wait(ctx, c.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		return c
	}
	t.Fatal("there is no call")
	return nil
}

// voice is a second of speech.
func voice(t *testing.T) []int16 {
	t.Helper()
	return audiotest.Speech(t, "../../audio/testdata/speech/en-f.wav", time.Second)
}

func said(c *call.Call, who transcript.Speaker) []string {
	var texts []string
	for _, s := range c.Transcript {
		if s.Speaker == who {
			texts = append(texts, s.Text)
		}
	}
	return texts
}

func TestBothSidesHearEachOtherToTheSampleAndAreWrittenDown(t *testing.T) {
	speech := voice(t)
	synctest.Test(t, func(t *testing.T) {
		o := open(t, &model{answer: 2 * time.Second, delay: jitter(1), late: time.Second}, nil) // the words come while it answers
		talk := o.dial(t)
		if err := talk.WaitSilence(time.Second, time.Minute); err != nil { // the greeting
			t.Fatal(err)
		}
		if err := talk.Say(audio.NewSamples(speech, 8000)); err != nil {
			t.Fatal(err)
		}
		talk.Listen(5 * time.Second)
		talk.Hangup()
		c := o.record(t, talk)

		// What mu-law makes of the model's tone, twice, and of the caller's speech.
		want := audio.AppendDecode(nil, audio.MuLaw, tone(2*time.Second))
		var heard []int16
		for _, p := range talk.Playback() {
			heard = append(heard, p.Samples...)
		}
		if !slices.Equal(heard, slices.Concat(want, want)) {
			t.Errorf("the caller heard %d samples, want twice the model's %d and nothing else", len(heard), len(want))
		}
		ulaw := audio.AppendEncode(nil, audio.MuLaw, speech)
		if !strings.Contains(string(o.model.heard), string(ulaw)) {
			t.Error("the model has not heard the caller's speech as it was")
		}
		if got := said(c, transcript.Agent); !slices.Equal(got, []string{words, words}) {
			t.Errorf("the model's words are %q", got)
		}
		if got := said(c, transcript.Customer); len(got) != 1 || !strings.HasPrefix(got[0], "That is item_user") {
			t.Errorf("the caller's words are %q", got)
		}
		if len(o.model.cuts) > 0 {
			t.Errorf("the model was told of interruptions: %v", o.model.cuts)
		}
	})
}

// The caller interrupts at random moments. The model is told of each reply how
// much the ear has heard, whoever noticed first.
func TestInterruptedRepliesAreCutAtWhatWasHeard(t *testing.T) {
	const perCall = 20
	tests := []struct {
		name   string
		mode   call.InterruptMode
		slow   time.Duration // how long the model takes to hear
		calls  uint64
		silent time.Duration // 95 % are, so long after the caller began
	}{
		{"the session first, then the model", call.PauseAndConfirm, 0, 5, 100 * time.Millisecond},
		{"the session alone: the model is slow", call.PauseAndConfirm, time.Second, 1, 100 * time.Millisecond},
		{"the model alone", call.Never, 0, 1, 250 * time.Millisecond},
	}
	speech := voice(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var silent, differ []time.Duration
			for seed := range tt.calls {
				synctest.Test(t, func(t *testing.T) {
					rnd := rand.New(rand.NewPCG(seed, 7))
					o := open(t, &model{answer: 8 * time.Second, delay: jitter(seed), slow: tt.slow}, nil, tt.mode)
					talk := o.dial(t)
					var before time.Duration
					for n := range perCall {
						after, quiet := interrupt(t, talk, before, speech, time.Duration(rnd.Int64N(int64(4*time.Second))))
						silent = append(silent, quiet)
						o.model.mu.Lock()
						cuts := slices.Clone(o.model.cuts)
						o.model.mu.Unlock()
						if len(cuts) != n+1 {
							t.Fatalf("%d interruptions, and the model was told of %d", n+1, len(cuts))
						}
						differ = append(differ, (after - before - cuts[n].told).Abs())
						before = after
					}
					talk.Hangup()
					o.record(t, talk)
				})
			}
			slices.Sort(silent)
			slices.Sort(differ)
			last := len(silent) - 1
			t.Logf("%d interruptions: silent %v after the caller began (median), %v (95 %%), %v (most); told and heard differ by %v (median), %v (most)",
				len(silent), silent[last/2], silent[last*95/100], silent[last], differ[last/2], differ[last])
			if silent[last*95/100] > tt.silent {
				t.Errorf("the model was silent after %v (95 %%), want %v", silent[last*95/100], tt.silent)
			}
			if differ[last] > 20*time.Millisecond {
				t.Errorf("what the model was told and what was heard differ by %v, want at most 20 ms", differ[last])
			}
		})
	}
}

// interrupt waits until the model speaks, and a while, and then says something. It
// returns how much the phone has heard in all, before of it until now, and how long
// after the caller began the model was silent.
func interrupt(t *testing.T, talk *sim.Talk, before time.Duration, speech []int16, wait time.Duration) (after, silent time.Duration) {
	t.Helper()
	for range 600 {
		if heardBy(talk) > before {
			break
		}
		talk.Listen(100 * time.Millisecond)
	}
	talk.Listen(wait)
	began := talk.Duration()
	if err := talk.Say(audio.NewSamples(speech, 8000)); err != nil {
		t.Fatal(err)
	}
	played := talk.Playback()
	return heardBy(talk), played[len(played)-1].End() - began
}

// heardBy is how much sound the phone has heard in all.
func heardBy(talk *sim.Talk) time.Duration {
	n := 0
	for _, p := range talk.Playback() {
		n += len(p.Samples)
	}
	return audio.Duration(n, 8000)
}

func TestWordsOfAReplyThatIsCutOffAreThoseThatWereHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, &model{answer: 10 * time.Second}, nil)
		talk := o.dial(t)
		if err := talk.WaitSpeech(time.Minute); err != nil {
			t.Fatal(err)
		}
		talk.Listen(3500 * time.Millisecond)
		talk.Hangup()
		c := o.record(t, talk)
		if got := said(c, transcript.Agent); !slices.Equal(got, []string{"one two three"}) {
			t.Errorf("the model's words are %q, want those of the first three seconds", got)
		}
	})
}

func TestFunctionsAreCalledAndSayGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		function := func(name, arguments string) item {
			return item{Type: "function_call", Name: name, CallID: "call_" + name, Arguments: arguments}
		}
		m := &model{answer: time.Second, calls: []item{
			function("hours", `{"day":"monday"}`), function("nothing", `{}`), function("breaks", `{}`), function("hang_up", `{}`),
		}}
		o := open(t, m, func(a *Agent) {
			a.Functions = []Function{
				{Name: "hours", Parameters: json.RawMessage(`{"type":"object","properties":{"day":{"type":"string"}}}`),
					Call: func(_ context.Context, _ *call.Session, arguments json.RawMessage) (any, error) {
						return map[string]string{"for": string(arguments)}, nil
					}},
				{Name: "breaks", Call: func(context.Context, *call.Session, json.RawMessage) (any, error) { panic("broken") }},
				{Name: "hang_up", Call: func(context.Context, *call.Session, json.RawMessage) (any, error) { return nil, ErrGoodbye }},
			}
		})
		talk := o.dial(t)
		c := o.record(t, talk)
		want := []string{`{"for":"{\"day\":\"monday\"}"}`, `{"error":"there is no function \"nothing\""}`, `{"error":"breaks failed"}`}
		if !slices.Equal(m.outputs, want) {
			t.Errorf("functions said %q, want %q", m.outputs, want)
		}
		if c.Cause != call.AgentDone {
			t.Errorf("the call ended because of %q", c.Cause)
		}
	})
}

// A function that ends while the model is answering is spoken of afterwards.
func TestFunctionThatEndsDuringAReply(t *testing.T) {
	speech := voice(t)
	synctest.Test(t, func(t *testing.T) {
		looked := make(chan struct{})
		m := &model{answer: 8 * time.Second, calls: []item{{Type: "function_call", Name: "look", CallID: "call_look", Arguments: "{}"}}}
		o := open(t, m, func(a *Agent) {
			a.Functions = []Function{{Name: "look", Call: func(context.Context, *call.Session, json.RawMessage) (any, error) {
				<-looked
				return "found", nil
			}}}
		})
		talk := o.dial(t)
		talk.Listen(time.Second)
		if err := talk.Say(audio.NewSamples(speech, 8000)); err != nil {
			t.Fatal(err)
		}
		if err := talk.WaitSpeech(time.Minute); err != nil { // it takes two seconds to make an answer
			t.Fatal(err)
		}
		close(looked)
		talk.Listen(20 * time.Second)
		if heard := heardBy(talk); heard != 16*time.Second {
			t.Errorf("the caller heard %v, want two replies", heard)
		}
		talk.Hangup()
		o.record(t, talk)
		want := []string{"session.update", "response.create", "conversation.item.create", "response.create", "response.create"}
		if !slices.Equal(m.log, want) {
			t.Errorf("the model was sent %q, want %q", m.log, want)
		}
	})
}

func TestModelThatDropsTheLineIsToldWhatWasSaid(t *testing.T) {
	speech := voice(t)
	synctest.Test(t, func(t *testing.T) {
		m := &model{answer: 2 * time.Second, refuse: func(session int) int {
			if session == 2 {
				return 503
			}
			return 0
		}}
		o := open(t, m, nil)
		talk := o.dial(t)
		if err := talk.WaitSilence(time.Second, time.Minute); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.live.ws.Close()
		m.mu.Unlock()
		talk.Listen(2 * time.Second)
		before := heardBy(talk)
		if err := talk.Say(audio.NewSamples(speech, 8000)); err != nil {
			t.Fatal(err)
		}
		talk.Listen(5 * time.Second)
		if heard := heardBy(talk) - before; heard != 2*time.Second {
			t.Errorf("the caller heard %v of the other session, want its answer", heard)
		}
		talk.Hangup()
		o.record(t, talk)
		if m.sessions != 3 || !slices.Equal(m.history, []string{"assistant: " + words}) {
			t.Errorf("in %d sessions, the model was told %q", m.sessions, m.history)
		}
	})
}

func TestModelThatIsLostBeforeItsGreetingGreetsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{answer: 8 * time.Second, ready: func(c *conversation) { // whose first sound takes 200 ms
			if c.number == 1 {
				go func() {
					time.Sleep(50 * time.Millisecond)
					c.ws.Close()
				}()
			}
		}}
		o := open(t, m, nil)
		talk := o.dial(t)
		talk.Listen(20 * time.Second)
		if heard := heardBy(talk); heard != 8*time.Second {
			t.Errorf("the caller heard %v, want a greeting", heard)
		}
		talk.Hangup()
		o.record(t, talk)
		if want := []string{"session.update", "response.create", "session.update", "response.create"}; !slices.Equal(m.log, want) {
			t.Errorf("the model was sent %q, want %q", m.log, want)
		}
	})
}

// A caller who is on hold says nothing, and the model waits.
func TestModelWaitsForACallerOnHold(t *testing.T) {
	speech := voice(t)
	synctest.Test(t, func(t *testing.T) {
		m := &model{answer: 2 * time.Second, calls: []item{{Type: "function_call", Name: "hold", CallID: "call_hold", Arguments: "{}"}}}
		o := open(t, m, func(a *Agent) {
			a.Functions = []Function{{Name: "hold", Call: func(ctx context.Context, s *call.Session, _ json.RawMessage) (any, error) {
				if err := s.Hold(audio.Silence(time.Second, rate)); err != nil {
					return nil, err
				}
				time.Sleep(5 * time.Minute)
				return "back", s.Resume()
			}}}
		})
		talk := o.dial(t)
		if err := talk.WaitSilence(time.Second, 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		before := heardBy(talk)
		if err := talk.Say(audio.NewSamples(speech, 8000)); err != nil {
			t.Fatal(err)
		}
		talk.Listen(5 * time.Second)
		if heard := heardBy(talk) - before; heard != 2*time.Second {
			t.Errorf("the caller heard %v, want an answer", heard)
		}
		talk.Hangup()
		o.record(t, talk)
		if m.sessions != 1 || !slices.Equal(m.outputs, []string{`"back"`}) {
			t.Errorf("%d sessions, in which functions said %q", m.sessions, m.outputs)
		}
	})
}

// A model that misbehaves costs the caller at most an apology.
func TestModelsThatMisbehave(t *testing.T) {
	tests := []struct {
		name     string
		model    *model
		key      string
		cause    call.Cause
		sessions int
	}{
		{name: "the key is wrong", model: &model{}, key: "another", cause: call.AgentError, sessions: 1},
		{name: "never there", model: &model{refuse: func(int) int { return 500 }}, cause: call.AgentError, sessions: 4},
		{name: "the session is refused", cause: call.AgentError, sessions: 1, model: &model{opened: func(c *conversation) bool {
			c.say("error", object{"error": object{"type": "invalid_request_error", "code": "invalid_value", "message": "no"}})
			return false
		}}},
		{name: "never ready", cause: call.AgentError, sessions: 4, model: &model{opened: func(*conversation) bool { return false }}},
		{name: "hangs up on everybody", cause: call.AgentError, sessions: 4, model: &model{ready: func(c *conversation) {
			go func() {
				time.Sleep(time.Second)
				c.ws.Close()
			}()
		}}},
		{name: "takes nothing", cause: call.AgentError, sessions: 4, model: &model{ready: func(*conversation) { time.Sleep(time.Minute) }}},
		{name: "speaks another language", cause: call.AgentError, sessions: 4, model: &model{ready: func(c *conversation) {
			for range 2 * maxBad {
				c.out <- []int{7}
			}
		}}},
		{name: "errors that do not matter", cause: call.HangupRemote, sessions: 1, model: &model{ready: func(c *conversation) {
			c.say("error", object{"error": object{"type": "server_error", "message": strings.Repeat("oh ", 1000)}})
			c.say("rate_limits.updated", object{"rate_limits": []int{}})
			c.say("response.output_audio.delta", object{"item_id": "item_0", "delta": "no base64"})
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := tt.model
				m.answer = time.Second
				o := open(t, m, func(a *Agent) {
					a.Sorry = func() call.Utterance {
						return call.Utterance{Audio: audio.NewSamples(audiotest.Tone(900, time.Second, 8000), 8000), Text: "Sorry."}
					}
					if tt.key != "" {
						a.Key = "another"
					}
				})
				talk := o.dial(t)
				go func() {
					select {
					case <-talk.Done():
					case <-time.After(2 * time.Minute):
						talk.Hangup()
					}
				}()
				c := o.record(t, talk)
				if c.Cause != tt.cause || m.sessions != tt.sessions {
					t.Errorf("ended because of %q after %d sessions, want %q after %d: %s", c.Cause, m.sessions, tt.cause, tt.sessions, c.Detail)
				}
				apology := slices.Contains(said(c, transcript.Agent), "Sorry.")
				if want := tt.cause == call.AgentError; apology != want {
					t.Errorf("the caller heard an apology: %v", apology)
				}
				if strings.Contains(c.Detail, "another") {
					t.Errorf("the detail tells the key: %s", c.Detail)
				}
			})
		})
	}
}

func TestValidate(t *testing.T) {
	for base, ok := range map[string]bool{
		"": true, "https://api.openai.com/v1": true, "http://127.0.0.1:9/v1": true, "http://localhost/v1": true,
		"http://example.com/v1": false, "wss://example.com": false, "nowhere": false, "https://": false, "%": false,
	} {
		if err := (&Agent{BaseURL: base}).Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", base, err)
		}
	}
	if _, err := (&bridge{agent: &Agent{BaseURL: "nowhere"}}).dial(); !errors.Is(err, errRefused) {
		t.Errorf("error %v, want that it is refused", err)
	}
}
