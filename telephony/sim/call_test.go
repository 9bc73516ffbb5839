package sim_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestOutboundCallFromRingToHangup(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		words := ramp(8000)
		a.answer = func(url.Values) string { return stream }
		a.carrier.Phone(them).Behave(sim.Behavior{Ring: 3 * time.Second, Talk: func(talk *sim.Talk) {
			if err := talk.WaitConnected(time.Second); err != nil {
				t.Errorf("WaitConnected: %v", err)
			}
			if err := talk.Say(audio.NewSamples(words, 8000)); err != nil {
				t.Errorf("Say: %v", err)
			}
			if err := talk.Press("1w#"); err != nil {
				t.Errorf("Press: %v", err)
			}
			time.Sleep(4 * time.Second)
			talk.Hangup()
		}})
		var got *socket
		greeting := ramp(4000)
		a.media = func(s *socket) {
			got = s
			s.play(greeting[:2000])
			s.play(greeting[2000:])
			s.mark("greeting")
			sent := time.Now()
			m, _ := s.until(isMark("greeting"))
			if d := m.at.Sub(sent); d != 500*time.Millisecond {
				t.Errorf("the mark came back after %v; want 500ms", d)
			}
			s.mark("empty")
			sent = time.Now()
			if m, _ = s.until(isMark("empty")); m.at != sent {
				t.Errorf("a mark with nothing before it took %v", m.at.Sub(sent))
			}
			s.drain()
		}
		sid := a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		time.Sleep(2 * time.Second)
		settle()

		if want := "0:initiated@0 1:ringing@0 2:in-progress@3 3:completed@8"; a.statuses() != want {
			t.Errorf("statuses: %s\nwant:     %s", a.statuses(), want)
		}
		final := a.hook("/status")
		for name, want := range map[string]string{
			"CallSid": sid, "CallDuration": "6", "Duration": "1", "SipResponseCode": "200",
			"Direction": "outbound-api", "From": us, "Called": them, "CallbackSource": "call-progress-events",
		} {
			if final.Get(name) != want {
				t.Errorf("%s = %q; want %q", name, final.Get(name), want)
			}
		}
		if got.start.Start.CallSid != sid || got.start.Start.CustomParameters["ref"] != "c-<42>" {
			t.Errorf("start: %+v", got.start.Start)
		}
		heard := got.heard()
		if i := index(heard, words); i != 0 {
			t.Errorf("the words are at sample %d of what the application heard; want 0", i)
		}
		if n := len(got.media); n != 50*5500/1000 {
			t.Errorf("%d frames in 5.5 s", n)
		}
		keys := ""
		for _, m := range got.log {
			if m.Event == "dtmf" {
				keys += m.Dtmf.Digit
			}
		}
		if keys != "1#" {
			t.Errorf("keys %q; want 1#", keys)
		}
		if last := got.log[len(got.log)-1]; last.Event != "stop" || last.Stop.CallSid != sid {
			t.Errorf("last message is %+v; want stop", last)
		}
		if talk.HungUpBy() != sim.ByCallee || talk.Err() != nil {
			t.Errorf("ended by %q, %v", talk.HungUpBy(), talk.Err())
		}
		if !slices.Equal(talk.Heard()[:4000], greeting) || !allZero(talk.Heard()[4000:]) {
			t.Error("the phone did not hear the greeting, and silence after it")
		}
		if p := talk.Playback(); len(p) != 1 || p[0].At != 0 || p[0].End() != 500*time.Millisecond {
			t.Errorf("playback: %d stretches, %v", len(p), p[0].At)
		}
		checkCalls(t, a, telephony.StatusCompleted)
	})
}

// index is where needle begins in hay, -1 if it is not there.
func index(hay, needle []int16) int {
	for i := 0; i+len(needle) <= len(hay); i++ {
		if slices.Equal(hay[i:i+len(needle)], needle) {
			return i
		}
	}
	return -1
}

func allZero(pcm []int16) bool {
	return !slices.ContainsFunc(pcm, func(s int16) bool { return s != 0 })
}

// checkCalls checks how the calls ended that the carrier knows.
func checkCalls(t *testing.T, a *app, want ...telephony.Status) {
	t.Helper()
	var got []telephony.Status
	for _, c := range a.carrier.Calls() {
		got = append(got, c.Status)
	}
	if !slices.Equal(got, want) {
		t.Errorf("calls ended %v; want %v", got, want)
	}
}

func TestClearCutsOffAtOnceAndReturnsAllMarks(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return stream }
		words := ramp(8000)
		var echoes []string
		a.media = func(s *socket) {
			s.play(words[:4000])
			s.mark("a")
			s.play(words[4000:])
			s.mark("b")
			time.Sleep(300 * time.Millisecond)
			s.clear()
			cleared := time.Now()
			for range 2 {
				m, _ := s.until(func(m message) bool { return m.Event == "mark" })
				echoes = append(echoes, m.Mark.Name)
				if s.log[len(s.log)-1].at.After(cleared) {
					t.Errorf("mark %q came %v after the clear", m.Mark.Name, m.at.Sub(cleared))
				}
			}
			s.play(words[:800])
			s.mark("c")
			if m, _ := s.until(isMark("c")); m.at.Sub(cleared) != 100*time.Millisecond {
				t.Errorf("the mark after the clear took %v; want 100ms", m.at.Sub(cleared))
			}
			s.drain()
		}
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		heard := talk.Listen(time.Second)
		talk.Hangup()
		settle()
		if !slices.Equal(echoes, []string{"a", "b"}) {
			t.Errorf("marks returned: %v", echoes)
		}
		want := make([]int16, 8000)
		copy(want, words[:2400])
		copy(want[2400:], words[:800])
		if !slices.Equal(heard, want) {
			t.Error("the phone did not hear 300 ms of the first and 100 ms of the second")
		}
	})
}

func TestCallsThatAreNotAnswered(t *testing.T) {
	tests := []struct {
		name     string
		behavior sim.Behavior
		timeout  string
		want     string
		sip      string
		status   telephony.Status
	}{
		{"busy after 2 s", sim.Behavior{Outcome: sim.Busy, Ring: 2 * time.Second}, "10",
			"0:initiated@0 1:ringing@0 2:busy@2", "486", telephony.StatusBusy},
		{"nobody answers, and the application's limit is 5 s longer than it asked", sim.Behavior{Outcome: sim.NoAnswer}, "10",
			"0:initiated@0 1:ringing@0 2:no-answer@15", "487", telephony.StatusNoAnswer},
		{"somebody would answer too late", sim.Behavior{Ring: time.Hour}, "20",
			"0:initiated@0 1:ringing@0 2:no-answer@25", "487", telephony.StatusNoAnswer},
		{"the network gives up after 4 s", sim.Behavior{Outcome: sim.NoAnswer, Ring: 4 * time.Second}, "10",
			"0:initiated@0 1:ringing@0 2:no-answer@4", "480", telephony.StatusNoAnswer},
		{"the number cannot be reached", sim.Behavior{Outcome: sim.Failed, Ring: time.Second}, "10",
			"0:initiated@0 1:failed@1", "404", telephony.StatusFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				a.carrier.Phone(them).Behave(tt.behavior)
				a.place("Timeout", tt.timeout)
				time.Sleep(time.Minute)
				settle()
				if got := a.statuses(); got != tt.want {
					t.Errorf("statuses: %s\nwant:     %s", got, tt.want)
				}
				f := a.hook("/status")
				if f.Get("SipResponseCode") != tt.sip || f.Get("CallDuration") != "0" {
					t.Errorf("SIP %s, duration %s; want %s, 0", f.Get("SipResponseCode"), f.Get("CallDuration"), tt.sip)
				}
				checkCalls(t, a, tt.status)
				if n := len(a.carrier.Phone(them).Talks()); n != 0 {
					t.Errorf("%d talks", n)
				}
			})
		})
	}
}

func TestCancelWhileRinging(t *testing.T) {
	for _, word := range []string{"canceled", "completed"} {
		t.Run(word, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				a.carrier.Phone(them).Behave(sim.Behavior{Outcome: sim.NoAnswer})
				sid := a.place()
				time.Sleep(2 * time.Second)
				status, v := a.rest("POST", "/Calls/"+sid+".json", url.Values{"Status": {word}})
				if status != 200 || v["status"] != "canceled" {
					t.Errorf("cancel: %d, %v; want 200, canceled", status, v["status"])
				}
				settle()
				if want := "0:initiated@0 1:ringing@0 2:canceled@2"; a.statuses() != want {
					t.Errorf("statuses: %s; want %s", a.statuses(), want)
				}
				if status, v = a.rest("POST", "/Calls/"+sid+".json", url.Values{"Status": {word}}); status != 404 || v["code"] != 20404.0 {
					t.Errorf("cancel again: %d, %v; want 404, 20404", status, v["code"])
				}
				if c := a.carrier.Calls()[0]; c.HungUpBy != sim.ByCaller {
					t.Errorf("ended by %q; want the caller", c.HungUpBy)
				}
			})
		})
	}
}

func TestInboundCall(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.carrier.AssignLine(us, sim.Line{VoiceURL: a.base + "/answer?line=1", StatusURL: a.base + "/status"})
		var asked url.Values
		a.answer = func(form url.Values) string { asked = form; return stream }
		a.media = func(s *socket) {
			s.play(ramp(800))
			s.drain()
		}
		talk, err := a.carrier.Phone(them).Call(t.Context(), us)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"CallStatus": "ringing", "Direction": "inbound", "From": them, "To": us, "line": "1", "CallSid": talk.CallSID()} {
			if asked.Get(name) != want {
				t.Errorf("%s = %q; want %q", name, asked.Get(name), want)
			}
		}
		if err := talk.WaitSpeech(0); err != nil || talk.Duration() != 0 {
			t.Errorf("WaitSpeech: %v after %v", err, talk.Duration())
		}
		if err := talk.WaitSilence(time.Second, 0); err != nil || talk.Duration() != 1100*time.Millisecond {
			t.Errorf("WaitSilence: %v after %v; want 1.1s", err, talk.Duration())
		}
		if err := talk.WaitSpeech(time.Second); !errors.Is(err, sim.ErrQuiet) || talk.Duration() != 2100*time.Millisecond {
			t.Errorf("WaitSpeech: %v after %v; want ErrQuiet after 2.1s", err, talk.Duration())
		}
		talk.Hangup()
		if err := talk.WaitSpeech(0); !errors.Is(err, sim.ErrOver) {
			t.Errorf("WaitSpeech after the call: %v", err)
		}
		settle()
		if want := "0:completed@0"; a.statuses() != want {
			t.Errorf("statuses: %s; want %s", a.statuses(), want)
		}
		if talk.HungUpBy() != sim.ByCaller || talk.From() != them || talk.To() != us {
			t.Errorf("ended by %q; from %v to %v", talk.HungUpBy(), talk.From(), talk.To())
		}
	})
}

func TestInboundCallsThatAreNotAnswered(t *testing.T) {
	tests := []struct {
		name   string
		answer string
		line   string
		want   error
		status telephony.Status
	}{
		{"rejected as busy", `<Response><Reject reason="busy"/></Response>`, "/answer", sim.ErrBusy, telephony.StatusBusy},
		{"rejected", `<Response><Reject/></Response>`, "/answer", sim.ErrRejected, telephony.StatusNoAnswer},
		{"rejected after a pause", `<Response><Pause/><Reject/></Response>`, "/answer", sim.ErrRejected, telephony.StatusNoAnswer},
		{"not assigned", "", "", sim.ErrNoLine, telephony.StatusFailed},
		{"not XML", `hello`, "/answer", sim.ErrFailed, telephony.StatusFailed},
		{"an unknown verb", `<Response><Gather/></Response>`, "/answer", sim.ErrFailed, telephony.StatusFailed},
		{"redirected for ever", `<Response><Redirect/></Response>`, "/answer", sim.ErrFailed, telephony.StatusFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				if tt.line != "" {
					a.carrier.Assign(us, a.base+tt.line)
				}
				a.answer = func(url.Values) string { return tt.answer }
				talk, err := a.carrier.Phone(them).Call(t.Context(), us)
				if talk != nil || !errors.Is(err, tt.want) {
					t.Errorf("Call = %v, %v; want %v", talk, err, tt.want)
				}
				settle()
				checkCalls(t, a, tt.status)
			})
		})
	}
}

func TestCallerGivesUp(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.carrier.AssignLine(us, sim.Line{VoiceURL: a.base + "/answer", StatusURL: a.base + "/status"})
		a.answer = func(url.Values) string { return `<Response><Pause length="60"/></Response>` }
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := a.carrier.Phone(them).Call(ctx, us); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Call: %v; want the context's error", err)
		}
		settle()
		checkCalls(t, a, telephony.StatusCanceled)
		if want := "0:canceled@0"; a.statuses() != want {
			t.Errorf("statuses: %s; want %s", a.statuses(), want)
		}
	})
}

func TestDialBridgesTwoPhones(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		const third = "+14155550199"
		a.carrier.Assign(us, a.base+"/answer/1")
		var after url.Values
		a.answer = func(form url.Values) string {
			if form.Get("DialCallStatus") != "" {
				after = form
				return `<Response><Say>bye</Say></Response>`
			}
			return `<Response><Dial action="/answer/2" timeout="20" callerId="` + us + `"><Number statusCallback="/leg">` + third + `</Number></Dial></Response>`
		}
		one, two := ramp(8000), ramp(6000)
		a.carrier.Phone(third).Behave(sim.Behavior{Ring: 2 * time.Second, Talk: func(talk *sim.Talk) {
			talk.Say(audio.NewSamples(two, 8000))
			time.Sleep(4 * time.Second)
			talk.Hangup()
		}})
		caller, err := a.carrier.Phone(them).Call(t.Context(), us)
		if err != nil {
			t.Fatal(err)
		}
		callee, err := a.carrier.Phone(third).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := caller.Say(audio.NewSamples(one, 8000)); err != nil {
			t.Error(err)
		}
		if err := caller.Press("42"); err != nil {
			t.Error(err)
		}
		<-caller.Done()
		settle()
		if i := index(callee.Heard(), one); i < 0 || i > 160 {
			t.Errorf("the callee heard the caller at sample %d; want within 20 ms", i)
		}
		if i := index(caller.Heard()[16000:], two); i < 0 || i > 160 {
			t.Errorf("the caller heard the callee at sample %d; want within 20 ms", i)
		}
		if callee.Keys() != "42" {
			t.Errorf("the callee heard keys %q", callee.Keys())
		}
		for name, want := range map[string]string{"DialCallStatus": "completed", "DialCallSid": callee.CallSID(), "DialCallDuration": "5", "CallStatus": "in-progress"} {
			if after.Get(name) != want {
				t.Errorf("%s = %q; want %q", name, after.Get(name), want)
			}
		}
		if leg := a.hook("/leg"); leg.Get("Direction") != "outbound-dial" || leg.Get("ParentCallSid") != caller.CallSID() || leg.Get("From") != us {
			t.Errorf("status of the dialed call: %v", leg)
		}
		if d := caller.Duration(); d < 6930*time.Millisecond || d > 6950*time.Millisecond {
			t.Errorf("the call lasted %v; want 2 s of ringing, 4.75 s of talk and a bye of 180 ms", d)
		}
		checkCalls(t, a, telephony.StatusCompleted, telephony.StatusCompleted)
	})
}

func TestDialGoesOnWhenNobodyAnswers(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.carrier.Assign(us, a.base+"/answer")
		a.answer = func(url.Values) string {
			return `<Response><Dial>+14155550199</Dial><Pause length="2"/></Response>`
		}
		a.carrier.Phone("+14155550199").Behave(sim.Behavior{Outcome: sim.Busy})
		talk, err := a.carrier.Phone(them).Call(t.Context(), us)
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		if talk.Duration() != 2*time.Second || talk.HungUpBy() != sim.ByCallee {
			t.Errorf("ended after %v by %q", talk.Duration(), talk.HungUpBy())
		}
		settle()
		checkCalls(t, a, telephony.StatusCompleted, telephony.StatusBusy)
	})
}

func TestHangupOfCallerEndsTheDialedCall(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.carrier.Assign(us, a.base+"/answer")
		a.answer = func(url.Values) string { return `<Response><Dial>+14155550199</Dial></Response>` }
		a.carrier.Phone("+14155550199").Behave(sim.Behavior{Outcome: sim.NoAnswer})
		talk, err := a.carrier.Phone(them).Call(t.Context(), us)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		talk.Hangup()
		settle()
		checkCalls(t, a, telephony.StatusCompleted, telephony.StatusCanceled)
	})
}

func TestNewInstructionsReplaceALiveStream(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return stream }
		var ends []string
		a.media = func(s *socket) {
			s.play(ramp(80000))
			s.drain()
			ends = append(ends, s.log[len(s.log)-1].Event)
		}
		sid := a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		status, _ := a.rest("POST", "/Calls/"+sid+".json", url.Values{"Twiml": {`<Response><Play digits="1w2"/><Redirect>` + a.base + `/answer/2</Redirect></Response>`}})
		if status != 200 {
			t.Errorf("update: %d", status)
		}
		time.Sleep(2 * time.Second)
		if talk.Keys() != "12" {
			t.Errorf("keys heard: %q", talk.Keys())
		}
		status, _ = a.rest("POST", "/Calls/"+sid+".json", url.Values{"Url": {a.base + "/answer/3"}, "Method": {"GET"}})
		if status != 200 {
			t.Errorf("update: %d", status)
		}
		time.Sleep(time.Second)
		status, v := a.rest("POST", "/Calls/"+sid+".json", url.Values{"Status": {"completed"}})
		if status != 200 || v["status"] != "completed" || v["duration"] != "4" {
			t.Errorf("hang-up: %d, %v", status, v)
		}
		settle()
		if !slices.Equal(ends, []string{"stop", "stop", "stop"}) {
			t.Errorf("streams ended with %v; want three stops", ends)
		}
		if status, v := a.rest("POST", "/Calls/"+sid+".json", url.Values{"Twiml": {"<Response/>"}}); status != 400 || v["code"] != 21220.0 {
			t.Errorf("update of an ended call: %d, %v; want 400, 21220", status, v["code"])
		}
		// 1 s of the first stream, and none of what else it was sent.
		if !slices.Equal(talk.Heard()[:8000], ramp(80000)[:8000]) || talk.Heard()[8000] != 0 {
			t.Error("the first stream was not cut off after a second")
		}
	})
}

func TestVerbsAfterTheStream(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string {
			return `<?xml version="1.0" encoding="UTF-8"?><Response><Say>Hi <emphasis>you</emphasis></Say>
				<Connect><Stream url="ws://app.test/media" name="agent" statusCallback="/stream"/></Connect>
				<Say loop="2">ok</Say><Hangup/></Response>`
		}
		a.media = func(s *socket) {
			s.play(ramp(800))
			s.mark("x")
			s.until(isMark("x"))
			s.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second))
		}
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		settle()
		// 6 letters, 100 ms, 4 letters.
		if want := 6*60*time.Millisecond + 100*time.Millisecond + 4*60*time.Millisecond; talk.Duration() != want {
			t.Errorf("the call lasted %v; want %v", talk.Duration(), want)
		}
		p := talk.Playback()
		if len(p) != 1 || p[0].End() != talk.Duration() {
			t.Errorf("%d stretches until %v; want one", len(p), p[0].End())
		}
		if f := a.hook("/stream"); f.Get("StreamEvent") != "stream-stopped" || f.Get("StreamName") != "agent" {
			t.Errorf("stream status: %v", f)
		}
		if talk.HungUpBy() != sim.ByCaller {
			t.Errorf("ended by %q; want the application", talk.HungUpBy())
		}
	})
}

func TestMachineDetection(t *testing.T) {
	tests := []struct {
		name, who, mode, want string
		after                 time.Duration
	}{
		{"a person", "", "Enable", "human", 2400 * time.Millisecond},
		{"a machine", "machine_start", "Enable", "machine_start", 4100 * time.Millisecond},
		{"the end of a machine's greeting", "machine_start", "DetectMessageEnd", "machine_end_beep", 4100 * time.Millisecond},
		{"a fax", "fax", "Enable", "fax", 4100 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				a.answer = func(url.Values) string { return `<Response><Pause length="10"/></Response>` }
				a.carrier.Phone(them).Behave(sim.Behavior{AnsweredBy: tt.who})
				a.place("MachineDetection", tt.mode, "AsyncAmd", "true", "AsyncAmdStatusCallback", a.base+"/amd")
				talk, err := a.carrier.Phone(them).NextTalk(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.after)
				settle()
				if f := a.hook("/amd"); f.Get("AnsweredBy") != tt.want {
					t.Errorf("AnsweredBy = %q; want %q", f.Get("AnsweredBy"), tt.want)
				}
				<-talk.Done()
				settle()
				if f := a.hook("/status"); f.Get("AnsweredBy") != tt.want {
					t.Errorf("final AnsweredBy = %q; want %q", f.Get("AnsweredBy"), tt.want)
				}
			})
		})
	}
	t.Run("the instructions wait for it", func(t *testing.T) {
		inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
			var asked url.Values
			a.answer = func(form url.Values) string { asked = form; return `<Response/>` }
			a.place("MachineDetection", "Enable")
			talk, err := a.carrier.Phone(them).NextTalk(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			<-talk.Done()
			if talk.Duration() != 2400*time.Millisecond || asked.Get("AnsweredBy") != "human" {
				t.Errorf("asked after %v: %v", talk.Duration(), asked)
			}
		})
	})
}

func TestTimeLimitAndDigits(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return `<Response><Pause length="600"/></Response>` }
		a.place("TimeLimit", "7", "SendDigits", "wW12#")
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := talk.WaitConnected(time.Second); !errors.Is(err, sim.ErrQuiet) {
			t.Errorf("WaitConnected with nobody there: %v; want ErrQuiet", err)
		}
		<-talk.Done()
		if err := talk.WaitConnected(0); !errors.Is(err, sim.ErrOver) {
			t.Errorf("WaitConnected after the call: %v; want ErrOver", err)
		}
		if talk.Duration() != 7*time.Second || talk.HungUpBy() != sim.ByCarrier || talk.Keys() != "12#" {
			t.Errorf("ended after %v by %q with keys %q", talk.Duration(), talk.HungUpBy(), talk.Keys())
		}
		if i := index(talk.Heard()[:12000], make([]int16, 12000)); i != 0 {
			t.Error("the pauses before the digits are not silent")
		}
	})
}

func TestQueueDialsAtItsRate(t *testing.T) {
	inBubble(t, sim.Config{CallsPerSecond: 2}, func(t *testing.T, a *app) {
		a.carrier.Otherwise(sim.Behavior{Outcome: sim.Busy})
		var last string
		for range 5 {
			last = a.place("StatusCallbackEvent", "")
		}
		settle()
		if _, v := a.rest("GET", "/Calls/"+last+".json", nil); v["status"] != "queued" {
			t.Errorf("the last call is %v; want queued", v["status"])
		}
		time.Sleep(10 * time.Second)
		settle()
		for i, c := range a.carrier.Calls() {
			if d := c.Started.Sub(c.Created); d != time.Duration(i)*500*time.Millisecond {
				t.Errorf("call %d was dialed after %v", i, d)
			}
		}
		if _, v := a.rest("GET", "/Calls/"+last+".json", nil); v["queue_time"] != "2000" {
			t.Errorf("queue_time is %v; want 2000", v["queue_time"])
		}
	})
}

func TestFallbackURL(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(form url.Values) string {
			if form.Get("ErrorCode") == "" {
				return "<Response>"
			}
			return `<Response><Say>sorry</Say></Response>`
		}
		a.place("FallbackUrl", a.base+"/answer/fallback", "FallbackMethod", "GET")
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		settle()
		if f := a.hook("/answer/fallback"); f.Get("ErrorCode") != "12100" || f.Get("ErrorUrl") != a.base+"/answer" {
			t.Errorf("fallback was told %v", f)
		}
		if talk.Err() != nil || talk.Duration() != 300*time.Millisecond {
			t.Errorf("ended after %v: %v", talk.Duration(), talk.Err())
		}
	})
}

func TestSlowVoiceURLEndsTheCall(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { time.Sleep(16 * time.Second); return stream }
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		if talk.Duration() != 15*time.Second || talk.Err() == nil || talk.HungUpBy() != sim.ByCarrier {
			t.Errorf("ended after %v by %q: %v", talk.Duration(), talk.HungUpBy(), talk.Err())
		}
		time.Sleep(2 * time.Second)
		if a.carrier.Warnings()[11205] != 1 {
			t.Errorf("warnings: %v; want one 11205", a.carrier.Warnings())
		}
	})
}

func TestTenMinutesOfTalk(t *testing.T) {
	start := time.Now()
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return stream }
		second := ramp(8000)
		a.media = func(s *socket) {
			for {
				m, ok := s.next()
				if !ok {
					break
				}
				if m.Event == "media" && atoi(t, m.Media.Chunk)%50 == 1 {
					s.play(second)
				}
				s.media = s.media[:0]
			}
		}
		a.place("StatusCallback", "")
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		talk.Hangup()
		settle()
		p := talk.Playback()
		if len(p) != 1 || p[0].At != 20*time.Millisecond || p[0].End() != 10*time.Minute {
			t.Errorf("%d stretches; want one from 20 ms on", len(p))
		}
	})
	t.Logf("took %v", time.Since(start))
}
