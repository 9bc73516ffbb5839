package sim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

const mulaw = "audio/x-mulaw;rate=8000"

func TestPlivoOutboundCall(t *testing.T) {
	inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
		a.answer = plivoStreamOf(mulaw)
		words := ramp(4000)
		var socket *plivoSocket
		a.media = func(s *plivoSocket) {
			socket = s
			s.play(words)
			s.checkpoint("one")
			s.checkpoint("two")
			s.until("playedStream")
			s.until("playedStream")
			s.checkpoint("at once")
			s.drain()
		}
		said := ramp(1600)
		a.carrier.Phone(them).Behave(sim.Behavior{Ring: 3 * time.Second, Talk: func(talk *sim.Talk) {
			if err := talk.WaitConnected(time.Second); err != nil {
				t.Error(err)
			}
			if err := talk.Say(audio.NewSamples(said, 8000)); err != nil {
				t.Error(err)
			}
			talk.Listen(time.Second)
			talk.Press("5#")
			talk.Hangup()
		}})
		id := a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		a.wg.Wait()
		synctest.Wait()
		if want := "/ring:Ring:ringing@0 /answer:StartApp:in-progress@3000 /stream:StartStream:@3000 /stream:StopStream:@4450 /hangup:Hangup:completed@4450"; a.events() != want {
			t.Errorf("events %s\nwant %s", a.events(), want)
		}
		if want := "playedStreamone@500 playedStreamtwo@500 playedStreamat once@500 dtmf5@1200 dtmf#@1450 stop@1450"; socket.said() != want {
			t.Errorf("messages %s\nwant %s", socket.said(), want)
		}
		if at := index(talk.Heard(), words); at != 0 {
			t.Errorf("the person heard the words at %d", at)
		}
		if at := index(socket.heard(), said); at != 0 {
			t.Errorf("the application heard the person at %d", at)
		}
		if m := socket.media[1]; m.Media.Chunk != 2 || m.Media.Track != "inbound" || m.ExtraHeaders != "ref=42" || m.StreamID != socket.start.Start.StreamID ||
			atoi(t, m.Media.Timestamp)-atoi(t, socket.media[0].Media.Timestamp) != 21 {
			t.Errorf("media is %+v", m)
		}
		if socket.query != "token=1" || socket.start.ExtraHeaders != "ref=42" || socket.start.Start.CallID != talk.CallSID() {
			t.Errorf("socket with query %q, start %+v", socket.query, socket.start)
		}
		form := a.hook("Hangup")
		for name, want := range map[string]string{
			"CallUUID": talk.CallSID(), "RequestUUID": id, "ALegUUID": talk.CallSID(), "ALegRequestUUID": id,
			"From": "15005550001", "To": "14155550100", "Direction": "outbound", "CallerName": us,
			"HangupCause": "NORMAL_CLEARING", "HangupCauseCode": "4000", "HangupSource": "Callee", "Duration": "2", "BillDuration": "60",
		} {
			if form.Get(name) != want {
				t.Errorf("%s is %q; want %q", name, form.Get(name), want)
			}
		}
		if id == talk.CallSID() {
			t.Error("request and call have one id")
		}
		if a.hook("StartApp").Get("ref") != "1" {
			t.Error("the query of the answer URL is lost")
		}
		if w := a.carrier.Warnings(); len(w) > 0 {
			t.Errorf("warnings %v", w)
		}
	})
}

func TestPlivoInboundCall(t *testing.T) {
	inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
		a.carrier.Assign(us, "http://app.test/answer")
		a.answer = func(form url.Values) string {
			if form.Get("Direction") != "inbound" || form.Get("From") != "14155550100" || form.Get("CallStatus") != "ringing" || form.Has("RequestUUID") {
				t.Errorf("asked with %v", form)
			}
			return `<Response><Speak>Hi</Speak><Wait length="2"/><DTMF>7</DTMF></Response>`
		}
		talk, err := a.carrier.Phone(them).Call(t.Context(), us)
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		synctest.Wait()
		// Without a hangup URL, the end is told to the answer URL.
		if want := "/answer:StartApp:ringing@0 /answer:Hangup:completed@2320"; a.events() != want {
			t.Errorf("events %s; want %s", a.events(), want)
		}
		if form := a.hook("Hangup"); form.Get("HangupCauseCode") != "4010" || form.Get("HangupSource") != "Answer XML" {
			t.Errorf("the end is %v", form)
		}
		if talk.Keys() != "7" || talk.HungUpBy() != sim.ByCallee {
			t.Errorf("keys %q, hung up by %s", talk.Keys(), talk.HungUpBy())
		}
	})
}

func TestPlivoTurnsCallersAway(t *testing.T) {
	for xml, want := range map[string]error{
		`<Response><Hangup reason="busy"/></Response>`:     sim.ErrBusy,
		`<Response><Hangup reason="rejected"/></Response>`: sim.ErrRejected,
		`<Response><Reject/></Response>`:                   sim.ErrFailed,
	} {
		inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
			a.carrier.Assign(us, "http://app.test/answer")
			a.answer = func(url.Values) string { return xml }
			if _, err := a.carrier.Phone(them).Call(t.Context(), us); !errors.Is(err, want) {
				t.Errorf("%s: %v; want %v", xml, err, want)
			}
			synctest.Wait()
			if failed := a.carrier.Warnings()[8011]; (failed == 1) != (want == sim.ErrFailed) {
				t.Errorf("%s: %d warnings", xml, failed)
			}
		})
	}
}

func TestPlivoClear(t *testing.T) {
	inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
		a.answer = plivoStreamOf(mulaw)
		words := ramp(8000)
		var socket *plivoSocket
		a.media = func(s *plivoSocket) {
			socket = s
			s.play(words[:2000])
			s.checkpoint("heard")
			s.play(words[2000:])
			s.checkpoint("cut off")
			s.until("playedStream")
			time.Sleep(83 * time.Millisecond)
			s.clear()
			s.until("clearedAudio")
			s.play(words[:800])
			s.checkpoint("after")
			s.until("playedStream")
			s.send(`{"event":"sendDTMF","dtmf":"12w#"}`)
			s.drain()
		}
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		talk.Listen(3 * time.Second)
		talk.Hangup()
		a.wg.Wait()
		if want := "playedStreamheard@250 clearedAudio@333 playedStreamafter@433 stop@3000"; socket.said() != want {
			t.Errorf("messages %s\nwant %s", socket.said(), want)
		}
		heard := talk.Heard()
		if want := 333*8 + 800; index(heard, slices.Concat(words[:333*8], words[:800])) != 0 || len(heard) < want {
			t.Error("the clear did not cut where it should")
		}
		if talk.Keys() != "12#" {
			t.Errorf("keys %q", talk.Keys())
		}
	})
}

func TestPlivoStreamFormats(t *testing.T) {
	for kind, rate := range map[string]int{"audio/x-l16;rate=8000": 8000, "audio/x-l16;rate=16000": 16000} {
		t.Run(kind, func(t *testing.T) {
			inPlivoBubble(t, sim.Config{Quirks: sim.Quirks{NoStop: true, ShortEvents: true}}, func(t *testing.T, a *plivoApp) {
				a.answer = plivoStreamOf(kind)
				var socket *plivoSocket
				a.media = func(s *plivoSocket) {
					socket = s
					s.play(audiotest.Tone(440, 500*time.Millisecond, rate))
					s.checkpoint("end")
					s.play(audiotest.Tone(880, 300*time.Millisecond, rate))
					s.drain()
				}
				a.place()
				talk, err := a.carrier.Phone(them).NextTalk(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := talk.Say(audio.NewSamples(audiotest.Tone(700, time.Second, 8000), 8000)); err != nil {
					t.Fatal(err)
				}
				talk.Hangup()
				a.wg.Wait()
				synctest.Wait()
				if want := "playedStreamend@500"; socket.said() != want {
					t.Errorf("messages %q, want %q", socket.said(), want)
				}
				audiotest.HasTone(t, talk.Heard(), 8000, 440)
				audiotest.HasTone(t, talk.Heard(), 8000, 880)
				audiotest.HasTone(t, socket.heard(), rate, 700)
				if n := len(socket.heard()); n < rate*98/100 || n > rate {
					t.Errorf("the application was sent %d samples in a second", n)
				}
				if got := socket.start.Start.MediaFormat.SampleRate; got != rate {
					t.Errorf("rate %d", got)
				}
				a.hook("started")
				a.hook("stopped")
			})
		})
	}
}

func TestPlivoCallsThatAreNotAnswered(t *testing.T) {
	tests := []struct {
		name     string
		behavior sim.Behavior
		want     string
	}{
		{"busy", sim.Behavior{Outcome: sim.Busy, Ring: time.Second}, "/ring:Ring:ringing@0 /hangup:Hangup:busy@1000"},
		{"nobody answers", sim.Behavior{Outcome: sim.NoAnswer, Ring: 9 * time.Second}, "/ring:Ring:ringing@0 /hangup:Hangup:no-answer@9000"},
		{"nobody answers in time", sim.Behavior{Outcome: sim.NoAnswer}, "/ring:Ring:ringing@0 /hangup:Hangup:timeout@20000"},
		{"fails", sim.Behavior{Outcome: sim.Failed}, "/hangup:Hangup:failed@0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
				a.carrier.Phone(them).Behave(tt.behavior)
				a.place("ring_timeout", 20)
				time.Sleep(time.Minute)
				synctest.Wait()
				if a.events() != tt.want {
					t.Errorf("events %s; want %s", a.events(), tt.want)
				}
			})
		})
	}
}

func TestPlivoMachines(t *testing.T) {
	tests := []struct {
		name    string
		who     string
		changes []any
		want    string
	}{
		{"told later", "machine_start", []any{"machine_detection", "true", "machine_detection_url", "http://app.test/amd"},
			"/answer:StartApp:in-progress@0 /amd:MachineDetection:in-progress@4100 /hangup:Hangup:completed@9000"},
		{"a human is no event", "human", []any{"machine_detection", "true", "machine_detection_url", "http://app.test/amd"},
			"/answer:StartApp:in-progress@0 /hangup:Hangup:completed@9000"},
		{"waited for", "machine_start", []any{"machine_detection", "true"},
			"/answer:StartApp:in-progress@0 /hangup:Hangup:completed@9000"},
		{"hung up on", "machine_start", []any{"machine_detection", "hangup"},
			"/hangup:Hangup:completed@0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
				a.answer = func(url.Values) string { return `<Response><Wait length="9"/></Response>` }
				a.carrier.Phone(them).Behave(sim.Behavior{AnsweredBy: tt.who})
				a.place(append(tt.changes, "ring_url", nil)...)
				time.Sleep(time.Minute)
				synctest.Wait()
				if a.events() != tt.want {
					t.Errorf("events %s; want %s", a.events(), tt.want)
				}
				if tt.name == "waited for" && a.hook("StartApp").Get("Machine") != "true" {
					t.Error("the answer URL is not told of the machine")
				}
				if tt.name == "hung up on" && a.hook("Hangup").Get("HangupCauseCode") != "9100" {
					t.Errorf("hung up with %s", a.hook("Hangup").Get("HangupCauseCode"))
				}
			})
		})
	}
}

func TestPlivoTransfer(t *testing.T) {
	inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
		a.answer = func(form url.Values) string {
			switch form.Get("step") {
			case "moved":
				return `<Response><Dial callerId="15005550001" timeout="20" action="/answer?step=done"><Number>14155550199</Number></Dial></Response>`
			case "done":
				if form.Get("DialStatus") != "completed" || form.Get("DialHangupCause") != "NORMAL_CLEARING" || form.Get("DialALegUUID") != form.Get("CallUUID") {
					t.Errorf("after the Dial: %v", form)
				}
				return `<Response><Speak>Bye</Speak></Response>`
			}
			return plivoStreamOf(mulaw)(form)
		}
		ended := make(chan time.Time, 1)
		a.media = func(s *plivoSocket) {
			s.drain()
			ended <- time.Now()
		}
		words := ramp(800)
		a.carrier.Phone("+14155550199").Behave(sim.Behavior{Ring: time.Second, Talk: func(talk *sim.Talk) {
			talk.Say(audio.NewSamples(words, 8000))
			talk.Listen(time.Second)
			talk.Hangup()
		}})
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		talk.Listen(time.Second)
		path := "/Call/" + talk.CallSID() + "/"
		if status, v := a.rest("POST", path, map[string]any{"legs": "aleg", "aleg_url": "ftp://app.test"}); status != 400 || v["error"] == nil {
			t.Errorf("a bad address: %d, %v", status, v)
		}
		status, v := a.rest("POST", path, map[string]any{"legs": "aleg", "aleg_url": "http://app.test/answer?step=moved", "aleg_method": "GET"})
		if status != 202 || v["message"] != "call transfered" { //nolint:misspell // as Plivo has it
			t.Errorf("transfer: %d, %v", status, v)
		}
		<-ended
		<-talk.Done()
		synctest.Wait()
		if index(talk.Heard(), words) < 0 {
			t.Error("the two did not hear each other")
		}
		if calls := a.carrier.Calls(); len(calls) != 2 || calls[1].ParentSID != calls[0].SID || calls[1].From != us {
			t.Errorf("calls %+v", calls)
		}
		if status, _ := a.rest("POST", path, map[string]any{"legs": "aleg", "aleg_url": "http://app.test/x"}); status != 404 {
			t.Errorf("transfer of a call that is over: %d", status)
		}
	})
}

func TestPlivoAnswerURLs(t *testing.T) {
	tests := []struct {
		name    string
		changes []any
		answer  string
		events  string
		code    string
	}{
		{"the fallback helps", []any{"answer_url", "http://app.test/broken", "fallback_url", "http://app.test/answer"},
			`<Response><Wait length="3"/></Response>`, "/broken:StartApp:in-progress@0 /answer:StartApp:in-progress@0 /hangup:Hangup:completed@3000", "4010"},
		{"nothing helps", []any{"answer_url", "http://app.test/broken#rc=2&rp=5xx"}, "",
			"/broken:StartApp:in-progress@0 /broken:StartApp:in-progress@0 /broken:StartApp:in-progress@0 /hangup:Hangup:completed@0", "7011"},
		{"a slow one is asked twice", []any{"answer_url", "http://app.test/slow"}, "",
			"/slow:StartApp:in-progress@0 /slow:StartApp:in-progress@17000 /hangup:Hangup:completed@34000", "7011"},
		{"an element that Plivo does not know", nil, `<Response><Say>Hi</Say></Response>`, "/answer:StartApp:in-progress@0 /hangup:Hangup:completed@0", "8011"},
		{"all with GET", []any{"answer_method", "GET", "hangup_method", "GET"}, `<Response><Hangup/></Response>`, "/answer:StartApp:in-progress@0 /hangup:Hangup:completed@0", "4000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
				a.answer = func(url.Values) string { return tt.answer }
				a.place(append(tt.changes, "ring_url", nil)...)
				time.Sleep(time.Minute)
				synctest.Wait()
				if a.events() != tt.events {
					t.Errorf("events %s; want %s", a.events(), tt.events)
				}
				if got := a.hook("Hangup").Get("HangupCauseCode"); got != tt.code {
					t.Errorf("code %s; want %s", got, tt.code)
				}
				for _, h := range a.hooks {
					if tt.name == "all with GET" && h.token != "GET" {
						t.Errorf("%s came with %s", h.path, h.token)
					}
				}
			})
		})
	}
}

func TestPlivoStreamsThatFail(t *testing.T) {
	inPlivoBubble(t, sim.Config{Faults: sim.Faults{CutAfter: 2 * time.Second, SecondStartAfter: time.Second}}, func(t *testing.T, a *plivoApp) {
		const dead = `<Stream bidirectional="true" keepCallAlive="true" statusCallbackUrl="http://app.test/stream">ws://nobody.test/</Stream>`
		a.answer = func(form url.Values) string {
			return strings.Replace(plivoStreamOf(mulaw)(form), "<Response>", "<Response>"+dead, 1)
		}
		var socket *plivoSocket
		a.media = func(s *plivoSocket) {
			socket = s
			s.drain()
		}
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		synctest.Wait()
		a.wg.Wait()
		if a.hook("DroppedStream").Get("StatusReason") != "connection_failed" {
			t.Error("no reason is given")
		}
		if n := strings.Count(a.events(), "DroppedStream"); n != 2 || socket.said() != "start@1000" {
			t.Errorf("%s; %s", a.events(), socket.said())
		}
	})
}

// A stream that does not keep the call alive runs beside what follows it.
func TestPlivoStreamBesideOthers(t *testing.T) {
	inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
		a.answer = func(url.Values) string {
			return `<Response><Stream contentType="audio/x-mulaw;rate=8000">ws://app.test/media</Stream><Wait length="2"/></Response>`
		}
		var socket *plivoSocket
		a.media = func(s *plivoSocket) {
			socket = s
			s.checkpoint("of one way")
			s.drain()
		}
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		a.wg.Wait()
		if d := talk.Duration(); d != 2*time.Second || len(socket.media) < 95 {
			t.Errorf("the call lasted %v, %d frames came", d, len(socket.media))
		}
		if a.carrier.Warnings()[31951] != 1 {
			t.Errorf("warnings %v", a.carrier.Warnings())
		}
	})
}

func TestPlivoQueueHoldsAMinute(t *testing.T) {
	inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
		a.answer = plivoStreamOf(mulaw)
		a.media = func(s *plivoSocket) {
			s.play(ramp(8000 * 61))
			s.checkpoint("end")
			m, _ := s.until("playedStream")
			if at := m.at.Sub(s.begun); at != time.Minute {
				t.Errorf("all was heard after %v", at)
			}
		}
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		synctest.Wait()
		if n := strings.Count(a.events(), "DegradedStream"); n != 3 || a.carrier.Warnings()[31931] != 1 {
			t.Errorf("degraded %d times, warnings %v", n, a.carrier.Warnings())
		}
	})
}

func TestPlivoCheckpointFaults(t *testing.T) {
	inPlivoBubble(t, sim.Config{Faults: sim.Faults{MarkDoubled: 1, CallbackDoubled: 1}}, func(t *testing.T, a *plivoApp) {
		a.answer = plivoStreamOf(mulaw)
		var socket *plivoSocket
		a.media = func(s *plivoSocket) {
			socket = s
			s.checkpoint("x")
			s.clear()
			s.until("clearedAudio")
		}
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		synctest.Wait()
		if want := "playedStreamx@0 playedStreamx@0 clearedAudio@0"; socket.said() != want {
			t.Errorf("messages %s", socket.said())
		}
		if n := strings.Count(a.events(), "Hangup"); n != 2 {
			t.Errorf("the end was told %d times", n)
		}
	})
}

func TestPlivoRESTViews(t *testing.T) {
	inPlivoBubble(t, sim.Config{CallsPerSecond: 1, CallerIDs: []string{us}}, func(t *testing.T, a *plivoApp) {
		a.answer = func(url.Values) string { return `<Response><Wait length="30"/></Response>` }
		first, second := a.place(), a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		id, want := talk.CallSID(), func(what string, wantStatus, status int, v map[string]any, fields ...any) {
			t.Helper()
			if status != wantStatus {
				t.Errorf("%s: %d, %v; want %d", what, status, v, wantStatus)
			}
			for i := 0; i < len(fields); i += 2 {
				if v[fields[i].(string)] != fields[i+1] {
					t.Errorf("%s: %v is %v; want %v", what, fields[i], v[fields[i].(string)], fields[i+1])
				}
			}
		}
		get := func(path string) (int, map[string]any) { return a.rest("GET", path, nil) }
		status, v := get("/Call/" + id + "/?status=live")
		want("a live call", 200, status, v, "call_status", "in-progress", "request_uuid", first, "from", "15005550001", "direction", "outbound")
		status, v = get("/Call/" + id + "/?status=queued")
		want("it is not queued", 404, status, v, "error", "call not found")
		status, v = get("/Call/" + id + "/")
		want("it has no record", 404, status, v)
		if _, v = get("/Call/?status=live"); len(v["calls"].([]any)) != 2 {
			t.Errorf("live calls %v", v)
		}
		third := a.place("to", "14155550103")
		fourth := a.place("to", "14155550104")
		_, v = get("/Call/?status=queued")
		queued, _ := v["calls"].([]any)
		if len(queued) != 2 {
			t.Fatalf("queued calls %v", v)
		}
		status, v = get("/Call/" + queued[0].(string) + "/?status=queued")
		want("a queued call", 200, status, v, "call_status", "queued", "request_uuid", fourth, "to", "14155550104")
		status, v = a.rest("DELETE", "/Call/"+fourth+"/", nil)
		want("a request is no call", 404, status, v)
		status, v = a.rest("DELETE", "/Request/"+fourth+"/", nil)
		want("a cancel", 204, status, v)
		status, v = a.rest("DELETE", "/Request/"+second+"/", nil)
		want("a cancel too late", 404, status, v)
		status, v = a.rest("POST", "/Call/"+id+"/DTMF/", map[string]any{"digits": "12#", "legs": "aleg"})
		want("keys", 202, status, v, "message", "digits sent")
		time.Sleep(5 * time.Second)
		status, v = a.rest("DELETE", "/Call/"+id+"/", nil)
		want("a hang-up", 204, status, v)
		status, v = a.rest("DELETE", "/Call/"+id+"/", nil)
		want("another", 404, status, v)
		if talk.Keys() != "12#" || talk.HungUpBy() != sim.ByCaller {
			t.Errorf("keys %q, hung up by the %s", talk.Keys(), talk.HungUpBy())
		}
		synctest.Wait()
		status, v = get("/Call/" + id + "/")
		want("a record", 200, status, v, "call_state", "ANSWER", "call_duration", 5.0, "hangup_cause_code", 4000.0, "hangup_source", "API Request", "to_number", "14155550100")
		time.Sleep(time.Minute)
		status, v = get("/Call/?to_number=14155550103&call_direction=outbound&end_time__gte=2000-01-01%2000:00")
		objects, _ := v["objects"].([]any)
		if status != 200 || len(objects) != 1 {
			t.Errorf("records: %d, %v (%s)", status, v, third)
		}
		_, v = get("/Call/?limit=1&offset=1")
		if meta := v["meta"].(map[string]any); meta["total_count"] != 4.0 || meta["next"] == nil || meta["previous"] == nil || len(v["objects"].([]any)) != 1 {
			t.Errorf("a page: %v", v)
		}
	})
}

func TestPlivoRESTRefuses(t *testing.T) {
	inPlivoBubble(t, sim.Config{CallerIDs: []string{us}}, func(t *testing.T, a *plivoApp) {
		for _, tt := range []struct {
			name    string
			changes []any
			want    string
		}{
			{"no answer URL", []any{"answer_url", nil}, "answer_url parameter is required"},
			{"an answer URL that is none", []any{"answer_url", "x"}, "answer_url parameter"},
			{"nobody to call", []any{"to", nil}, "to parameter"},
			{"no number", []any{"to", "12<x"}, "to parameter"},
			{"no caller", []any{"from", nil}, "from parameter"},
			{"somebody else's number", []any{"from", "15005550009"}, "not associated"},
			{"digits", []any{"send_digits", "x"}, "send_digits"},
			{"detection", []any{"machine_detection", "maybe"}, "machine_detection"},
			{"a method", []any{"answer_method", "PUT"}, "method"},
			{"a time", []any{"ring_timeout", "soon"}, "seconds"},
			{"a list", []any{"to", []string{"1"}}, "no plain value"},
		} {
			status, v := a.rest("POST", "/Call/", a.order(tt.changes...))
			if message, _ := v["error"].(string); status != 400 || !strings.Contains(message, tt.want) || v["api_id"] == nil {
				t.Errorf("%s: %d, %v; want %q", tt.name, status, v, tt.want)
			}
		}
		for _, path := range []string{"/Call", "/Nothing/", "/Call/x/y/", "/Call/x/y/z/", "/Request/x/"} {
			if status, v := a.rest("DELETE", path, nil); status != 404 {
				t.Errorf("%s: %d, %v", path, status, v)
			}
		}
		if status, _ := a.rest("PUT", "/Call/", nil); status != 405 {
			t.Errorf("PUT: %d", status)
		}
		a.carrier.SetFaults(sim.Faults{Create: sim.FirstCreates(sim.Throttled(time.Second))})
		resp, err := a.client.Get("http://api.test/v1/Account/" + a.carrier.AccountSID() + "/Call/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(string(body), "Could not verify") {
			t.Errorf("without credentials: %d, %q", resp.StatusCode, body)
		}
		if n := len(a.carrier.Calls()); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestPlivoCreateFaults(t *testing.T) {
	inPlivoBubble(t, sim.Config{Faults: sim.Faults{Create: sim.FirstCreates(sim.Throttled(time.Second), sim.Broken(502, true))}}, func(t *testing.T, a *plivoApp) {
		status, v := a.rest("POST", "/Call/", a.order())
		if status != 429 || v["error"] != "Too Many Requests" {
			t.Errorf("throttled: %d, %v", status, v)
		}
		req, _ := http.NewRequestWithContext(context.Background(), "POST", "http://api.test/v1/Account/"+a.carrier.AccountSID()+"/Call/",
			strings.NewReader(url.Values{"from": {us}, "to": {them}, "answer_url": {"http://app.test/answer"}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(a.carrier.AccountSID(), a.carrier.AuthToken())
		resp, err := a.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 502 || len(a.carrier.Calls()) != 1 {
			t.Errorf("broken: %d, %d calls", resp.StatusCode, len(a.carrier.Calls()))
		}
	})
}

func TestPlivoSeveralCalls(t *testing.T) {
	inPlivoBubble(t, sim.Config{Quirks: sim.Quirks{SameUUID: true}}, func(t *testing.T, a *plivoApp) {
		status, v := a.rest("POST", "/Call/", a.order("to", "14155550100<14155550101"))
		ids, _ := v["request_uuid"].([]any)
		if status != 201 || v["message"] != "calls fired" || len(ids) != 2 {
			t.Fatalf("%d, %v", status, v)
		}
		for i, c := range a.carrier.Calls() {
			if c.SID != ids[i] || c.RequestID != ids[i] || c.Direction != telephony.Outbound {
				t.Errorf("call %+v of request %v", c, ids[i])
			}
		}
		time.Sleep(time.Minute)
	})
}
