package sim_test

import (
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

const third = "+14155550199"

func TestRedirectAsksBeforeItEndsTheStream(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.documents(map[string]string{"in": stream, "away": `<Response><Say>x</Say></Response>`})
		var order []string
		a.page = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/answer/away" {
				order = append(order, "asked")
				time.Sleep(time.Second) // the stream goes on meanwhile
				order = append(order, "answered")
			}
			return false
		}
		frames := 0
		a.media = func(s *socket) {
			s.drain()
			frames = len(s.media)
			order = append(order, s.log[len(s.log)-1].Event)
		}
		talk := a.join(them, "in")
		time.Sleep(time.Second)
		if status, _ := a.rest("POST", "/Calls/"+talk.CallSID()+".json", url.Values{"Url": {a.base + "/answer/away"}}); status != 200 {
			t.Fatalf("update: %d", status)
		}
		<-talk.Done()
		settle()
		if got := strings.Join(order, " "); got != "asked answered stop" || frames != 100 {
			t.Errorf("order %q, %d frames; want asked answered stop, 2 s of frames", got, frames)
		}
		if p := talk.Playback(); len(p) != 1 || p[0].At != 2*time.Second {
			t.Errorf("the new instructions were carried out at %v; want 2s", p)
		}
	})
}

func TestRedirectHoldsBackWhatFollowsTheStream(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.documents(map[string]string{
			"in":   strings.Replace(stream, "</Connect>", "</Connect><Hangup/>", 1),
			"away": `<Response><Pause length="5"/></Response>`,
		})
		a.page = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/answer/away" {
				time.Sleep(time.Second)
			}
			return false
		}
		a.media = func(s *socket) { time.Sleep(1500 * time.Millisecond) } // and closes it
		talk := a.join(them, "in")
		time.Sleep(time.Second)
		a.rest("POST", "/Calls/"+talk.CallSID()+".json", url.Values{"Url": {a.base + "/answer/away"}})
		<-talk.Done()
		if d := talk.Duration(); d < 7*time.Second {
			t.Errorf("the call lasted %v; want 2 s and 5 s", d)
		}
	})
}

func TestRedirectFromWhateverGoesOn(t *testing.T) {
	tests := []struct{ name, twiml string }{
		{"speech", `<Response><Say loop="0">hello</Say></Response>`},
		{"a pause", `<Response><Say>x</Say><Pause length="60"/></Response>`},
		{"a stream", stream},
		{"ringing of another phone", `<Response><Dial>+14155550198</Dial></Response>`},
		{"a talk with another phone", `<Response><Dial>` + third + `</Dial></Response>`},
		{"a wait in a conference", `<Response><Dial><Conference>x</Conference></Dial></Response>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				a.documents(map[string]string{"in": tt.twiml, "away": `<Response><Hangup/></Response>`})
				a.media = func(s *socket) { s.drain() }
				a.carrier.Phone("+14155550198").Behave(sim.Behavior{Outcome: sim.NoAnswer})
				talk := a.join(them, "in")
				time.Sleep(3 * time.Second)
				if status, _ := a.rest("POST", "/Calls/"+talk.CallSID()+".json", url.Values{"Url": {a.base + "/answer/away"}}); status != 200 {
					t.Errorf("update: %d", status)
				}
				settle()
				if d := talk.Duration(); talk.HungUpBy() != sim.ByCallee || d != 3*time.Second {
					t.Errorf("ended after %v by %q", d, talk.HungUpBy())
				}
				for _, c := range a.carrier.Calls() {
					if !c.Status.Final() {
						t.Errorf("the call to %v is %v", c.To, c.Status)
					}
				}
				path := "/Calls/" + talk.CallSID() + ".json"
				if status, v := a.rest("POST", path, url.Values{"Url": {a.base + "/answer/away"}}); status != 400 || v["code"] != 21220. {
					t.Errorf("redirect of a call that is over: %d, %v", status, v)
				}
				if status, v := a.rest("POST", path, url.Values{"Status": {"completed"}}); status != 404 || v["code"] != 20404. {
					t.Errorf("hang-up of a call that is over: %d, %v", status, v)
				}
			})
		})
	}
}

func TestDialedCallIsRedirectedAwayFromItsCaller(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.documents(map[string]string{
			"in":   `<Response><Dial action="/answer/done">` + third + `</Dial></Response>`,
			"done": `<Response><Say>bye</Say></Response>`,
			"away": `<Response><Say>x</Say><Pause length="10"/></Response>`,
		})
		caller := a.join(them, "in")
		callee, err := a.carrier.Phone(third).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if status, _ := a.rest("POST", "/Calls/"+callee.CallSID()+".json", url.Values{"Url": {a.base + "/answer/away"}}); status != 200 {
			t.Errorf("update: %d", status)
		}
		<-caller.Done()
		if done := a.hook("/answer/done"); done.Get("DialCallStatus") != "completed" || done.Get("DialCallDuration") != "2" {
			t.Errorf("after the Dial: %v", done)
		}
		<-callee.Done()
		if callee.Err() != nil || callee.Duration() != 12*time.Second+60*time.Millisecond {
			t.Errorf("the call that was dialed lasted %v, %v", callee.Duration(), callee.Err())
		}
		settle()
		checkCalls(t, a, telephony.StatusCompleted, telephony.StatusCompleted)
	})
}

// outcomes of a Dial, in the words of both carriers.
var outcomes = []struct {
	name          string
	behavior      sim.Behavior
	leaves        time.Duration // the caller, after the call began
	twilio, plivo string
	duration      string
	cause         string
}{
	{"connected", sim.Behavior{Ring: time.Second, Talk: func(t *sim.Talk) { t.Listen(3 * time.Second); t.Hangup() }}, 0, "completed", "completed", "3", "NORMAL_CLEARING"},
	{"busy", sim.Behavior{Outcome: sim.Busy}, 0, "busy", "busy", "", "USER_BUSY"},
	{"nobody answers", sim.Behavior{Outcome: sim.NoAnswer}, 0, "no-answer", "no-answer", "", "NO_ANSWER"},
	{"unreachable", sim.Behavior{Outcome: sim.Failed}, 0, "failed", "failed", "", "UNALLOCATED_NUMBER"},
	{"the caller leaves while it rings", sim.Behavior{Ring: 10 * time.Second}, 4 * time.Second, "canceled", "cancel", "", "ORIGINATOR_CANCEL"},
	{"the caller leaves", sim.Behavior{}, 4 * time.Second, "completed", "completed", "4", "NORMAL_CLEARING"},
}

func TestResultsOfDials(t *testing.T) {
	for _, tt := range outcomes {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				a.documents(map[string]string{"in": `<Response><Dial action="/answer/done" timeout="20">` + third + `</Dial></Response>`, "done": `<Response/>`})
				a.carrier.Phone(third).Behave(tt.behavior)
				caller := a.join(them, "in")
				if tt.leaves > 0 {
					time.Sleep(tt.leaves)
					caller.Hangup()
				}
				<-caller.Done()
				settle()
				done := a.hook("/answer/done")
				calls := a.carrier.Calls()
				if done.Get("DialCallStatus") != tt.twilio || done.Get("DialCallDuration") != tt.duration || done.Get("DialCallSid") != calls[1].SID {
					t.Errorf("result: %v", done)
				}
				if want := map[bool]string{true: "completed", false: "in-progress"}[tt.leaves > 0]; done.Get("CallStatus") != want {
					t.Errorf("status of the caller is %q; want %q", done.Get("CallStatus"), want)
				}
				if !calls[1].Status.Final() {
					t.Errorf("the phone that was dialed is still %v", calls[1].Status)
				}
			})
		})
	}
}

func TestResultsOfPlivoDials(t *testing.T) {
	for _, tt := range outcomes {
		t.Run(tt.name, func(t *testing.T) {
			inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
				var done url.Values
				a.answer = func(form url.Values) string {
					if form.Get("DialStatus") != "" {
						done = form
						return `<Response/>`
					}
					return `<Response><Dial action="/answer" timeout="25"><Number>` + third + `</Number></Dial></Response>`
				}
				a.carrier.Assign(us, "http://app.test/answer")
				a.carrier.Phone(third).Behave(tt.behavior)
				caller, err := a.carrier.Phone(them).Call(t.Context(), us)
				if err != nil {
					t.Fatal(err)
				}
				if tt.leaves > 0 {
					time.Sleep(tt.leaves)
					caller.Hangup()
				}
				<-caller.Done()
				settle()
				other := ""
				if calls := a.carrier.Calls(); !calls[1].Answered.IsZero() {
					other = calls[1].SID
				}
				if done.Get("DialStatus") != tt.plivo || done.Get("DialHangupCause") != tt.cause || done.Get("DialBLegDuration") != tt.duration ||
					done.Get("DialALegUUID") != caller.CallSID() || done.Get("DialBLegUUID") != other {
					t.Errorf("result: %v", done)
				}
			})
		})
	}
}

func TestPlivoTransfersEitherLeg(t *testing.T) {
	tests := []struct {
		legs                   string
		keysCaller, keysCallee string
		caller, callee         time.Duration // how long the calls last
	}{
		{"aleg", "1", "", 7 * time.Second, 2 * time.Second},
		{"bleg", "", "1", 3 * time.Second, 7 * time.Second},
		{"both", "1", "1", 7 * time.Second, 7 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.legs, func(t *testing.T) {
			inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
				a.answer = func(form url.Values) string {
					if form.Get("moved") != "" {
						return `<Response><Wait length="5"/></Response>`
					}
					return `<Response><Dial><Number>` + third + `</Number></Dial><Wait length="1"/></Response>`
				}
				a.carrier.Assign(us, "http://app.test/answer")
				a.carrier.Otherwise(sim.Behavior{})
				caller, err := a.carrier.Phone(them).Call(t.Context(), us)
				if err != nil {
					t.Fatal(err)
				}
				callee, err := a.carrier.Phone(third).NextTalk(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				path := "/Call/" + caller.CallSID() + "/"
				if status, _ := a.rest("POST", path+"DTMF/", map[string]any{"digits": "1", "legs": tt.legs}); status != 202 {
					t.Errorf("DTMF: %d", status)
				}
				status, v := a.rest("POST", path, map[string]any{"legs": tt.legs, "aleg_url": "http://app.test/answer?moved=a", "bleg_url": "http://app.test/answer?moved=b"})
				if ids, _ := v["call_uuids"].([]any); status != 202 || len(ids) != len(tt.keysCaller+tt.keysCallee) {
					t.Errorf("transfer: %d, %v", status, v)
				}
				<-caller.Done()
				<-callee.Done()
				if caller.Keys() != tt.keysCaller || callee.Keys() != tt.keysCallee {
					t.Errorf("keys %q and %q", caller.Keys(), callee.Keys())
				}
				if caller.Duration() != tt.caller || callee.Duration() != tt.callee {
					t.Errorf("the calls lasted %v and %v; want %v and %v", caller.Duration(), callee.Duration(), tt.caller, tt.callee)
				}
				if status, _ := a.rest("POST", path, map[string]any{"aleg_url": "http://app.test/answer"}); status != 404 {
					t.Errorf("transfer of a call that is over: %d; want 404", status)
				}
			})
		})
	}
}

func TestPlivoTransferNeedsTheLeg(t *testing.T) {
	inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
		a.answer = func(url.Values) string { return `<Response><Wait length="60"/></Response>` }
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for legs, want := range map[string]int{"bleg": 404, "both": 404, "cleg": 400} {
			if status, _ := a.rest("POST", "/Call/"+talk.CallSID()+"/", map[string]any{"legs": legs, "aleg_url": "http://app.test/x", "bleg_url": "http://app.test/x"}); status != want {
				t.Errorf("transfer of %s: %d; want %d", legs, status, want)
			}
		}
	})
}

func TestKeysAreHeardAsTones(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.documents(map[string]string{"in": `<Response><Dial>` + third + `</Dial></Response>`})
		a.carrier.Otherwise(sim.Behavior{})
		caller := a.join(them, "in")
		callee, err := a.carrier.Phone(third).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := caller.Press("5"); err != nil {
			t.Fatal(err)
		}
		heard := callee.Listen(time.Second)
		low, high, other := energy(heard, 770), energy(heard, 1336), energy(heard, 941)
		if callee.Keys() != "5" || low < 100*other || high < 100*other {
			t.Errorf("keys %q; 770 Hz %g, 1336 Hz %g, 941 Hz %g", callee.Keys(), low, high, other)
		}
		if !allZero(caller.Heard()) {
			t.Error("who presses a key hears its tone")
		}
	})
}

// energy is that of one frequency (Goertzel).
func energy(pcm []int16, hertz float64) float64 {
	coeff := 2 * math.Cos(2*math.Pi*hertz/8000)
	var s1, s2 float64
	for _, x := range pcm {
		s1, s2 = float64(x)+coeff*s1-s2, s1
	}
	return s1*s1 + s2*s2 - coeff*s1*s2
}
