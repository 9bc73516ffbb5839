package sim_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// create sends a create request by hand and tells what came back.
func (a *app) create() (status int, body string, header http.Header, err error) {
	req, _ := http.NewRequest("POST", "http://api.test/2010-04-01/Accounts/"+a.carrier.AccountSID()+"/Calls.json", strings.NewReader(a.order().Encode()))
	req.SetBasicAuth(a.carrier.AccountSID(), a.carrier.AuthToken())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.GetBody = nil // so that the client does not send it again by itself
	c := *a.client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), resp.Header, err
}

func TestFaultsOfCreate(t *testing.T) {
	tests := []struct {
		name   string
		fault  sim.CreateFault
		status int
		body   string
		calls  int
	}{
		{"the reply is lost", sim.LostReply(), 0, "", 1},
		{"an error of the catalogue", sim.Refused(400, 21215), 400, `"code":21215`, 0},
		{"HTML, and the call was placed", sim.Broken(502, true), 502, "<h1>502", 1},
		{"HTML, and it was not", sim.Broken(503, false), 503, "<h1>503", 0},
		{"slow down", sim.Throttled(3 * time.Second), 429, `"code":20429`, 0},
		{"an empty success", sim.CreateFault{Accept: true, Status: 201}, 201, "", 1},
		{"a success without an id", sim.CreateFault{Accept: true, Status: 201, Body: "{}"}, 201, "{}", 1},
		{"a redirect", sim.CreateFault{Status: 307, Header: http.Header{"Location": {"/elsewhere"}}}, 307, "", 0},
		{"late", sim.CreateFault{Delay: 20 * time.Second}, 201, `"status":"queued"`, 1},
		{"placed at once, told late", sim.CreateFault{Accept: true, Delay: 20 * time.Second}, 201, `"status":"queued"`, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{Faults: sim.Faults{Create: sim.FirstCreates(tt.fault)}}, func(t *testing.T, a *app) {
				start := time.Now()
				status, body, header, err := a.create()
				if (err != nil) != (tt.status == 0) || status != tt.status || !strings.Contains(body, tt.body) {
					t.Errorf("%d, %q, %v; want %d, %q", status, body, err, tt.status, tt.body)
				}
				if took := time.Since(start); took != tt.fault.Delay {
					t.Errorf("took %v; want %v", took, tt.fault.Delay)
				}
				if tt.status == 429 && header.Get("Retry-After") != "3" {
					t.Errorf("Retry-After is %q", header.Get("Retry-After"))
				}
				if n := len(a.carrier.Calls()); n != tt.calls {
					t.Errorf("%d calls; want %d", n, tt.calls)
				}
				if a.carrier.Fired()[sim.FaultCreate] != 1 {
					t.Errorf("fired: %v", a.carrier.Fired())
				}
				a.carrier.Otherwise(sim.Behavior{Outcome: sim.Busy})
				if status, _, _, err := a.create(); status != 201 || err != nil {
					t.Errorf("the next one: %d, %v; want 201", status, err)
				}
			})
		})
	}
}

func TestFaultsOfCallbacks(t *testing.T) {
	tests := []struct {
		name   string
		faults sim.Faults
		fault  string
		fired  int
		want   string
	}{
		{"all are lost", sim.Faults{CallbackLost: 1}, sim.FaultCallbackLost, 4, ""},
		{"all come twice", sim.Faults{CallbackDoubled: 1}, sim.FaultCallbackDoubled, 4,
			"0:initiated@0 0:initiated@0 1:ringing@0 1:ringing@0 2:in-progress@1 2:in-progress@1 3:completed@11 3:completed@11"},
		{"each but the last changes places", sim.Faults{CallbackReordered: 1}, sim.FaultCallbackReordered, 2,
			"1:ringing@0 0:initiated@0 3:completed@11 2:in-progress@11"},
		{"all are late", sim.Faults{CallbackLate: 1, CallbackDelay: 5 * time.Second}, sim.FaultCallbackLate, 4,
			"0:initiated@0 1:ringing@0 2:in-progress@1 3:completed@11"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{Faults: tt.faults}, func(t *testing.T, a *app) {
				a.answer = func(url.Values) string { return `<Response><Pause length="10"/></Response>` }
				start := time.Now()
				a.place()
				time.Sleep(time.Minute)
				settle()
				got := a.statuses()
				if tt.fault == sim.FaultCallbackLate {
					if d := a.hooks[0].at.Sub(start); d != 5*time.Second && d != time.Second {
						t.Errorf("the first request came after %v", d)
					}
					// Those of one moment may change places.
					got = strings.Replace(got, "1:ringing@0 0:initiated@0", "0:initiated@0 1:ringing@0", 1)
				}
				if got != tt.want {
					t.Errorf("statuses: %s\nwant:     %s", got, tt.want)
				}
				if n := a.carrier.Fired()[tt.fault]; n != tt.fired {
					t.Errorf("fired %d times; want %d", n, tt.fired)
				}
				if tt.fault == sim.FaultCallbackDoubled && (a.hooks[0].token != a.hooks[1].token || a.hooks[1].token == a.hooks[2].token) {
					t.Error("the idempotency token does not tell a double from another")
				}
			})
		})
	}
}

// onStream places a call that a person answers and speaks in for a second, under
// faults, and returns what the application saw in 3 seconds.
func onStream(t *testing.T, f sim.Faults, do func(s *socket)) (got *socket, fired, warnings string) {
	inBubble(t, sim.Config{Faults: f}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string {
			return strings.Replace(stream, "?dropped=1", `" statusCallback="/stream`, 1)
		}
		a.media = func(s *socket) {
			got = s
			if do != nil {
				do(s)
			}
			s.drain()
		}
		a.carrier.Phone(them).Behave(sim.Behavior{Talk: func(talk *sim.Talk) { talk.Say(audio.NewSamples(ramp(8000), 8000)) }})
		a.place("TimeLimit", "3")
		time.Sleep(time.Minute)
		settle()
		fired, warnings = fmt.Sprint(a.carrier.Fired()), fmt.Sprint(a.carrier.Warnings())
		if n := len(a.carrier.Calls()); n != 1 || !a.carrier.Calls()[0].Status.Final() {
			t.Errorf("the call is not over: %v", a.carrier.Calls())
		}
	})
	return got, fired, warnings
}

func (s *socket) chunks() string {
	var list []string
	for _, m := range s.media[:min(6, len(s.media))] {
		list = append(list, m.Media.Chunk)
	}
	return strings.Join(list, " ")
}

func TestFaultsOfMedia(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		s, fired, _ := onStream(t, sim.Faults{}, nil)
		if s.chunks() != "1 2 3 4 5 6" || fired != "map[]" || !slices.Equal(s.heard()[:8000], ramp(8000)) {
			t.Errorf("chunks %s, fired %s", s.chunks(), fired)
		}
		last := 0
		for i, m := range s.media {
			ts := atoi(t, m.Media.Timestamp)
			if ts < 20*i || ts > 20*i+10 || m.SequenceNumber != fmt.Sprint(i+2) || m.at.Sub(s.begun) != time.Duration(i+1)*20*time.Millisecond {
				t.Errorf("frame %d: timestamp %d, sequence %s, after %v", i, ts, m.SequenceNumber, m.at.Sub(s.begun))
			}
			if i > 0 && ts <= last {
				t.Errorf("timestamps go back: %d, %d", last, ts)
			}
			last = ts
		}
	})
	t.Run("frames are lost", func(t *testing.T) {
		s, fired, _ := onStream(t, sim.Faults{FrameLost: 1}, nil)
		if len(s.media) != 0 || fired != "map[frame-lost:150]" || s.log[len(s.log)-1].SequenceNumber != "152" {
			t.Errorf("%d frames, fired %s", len(s.media), fired)
		}
	})
	t.Run("some frames are lost, the same ones for the same seed", func(t *testing.T) {
		s, fired, _ := onStream(t, sim.Faults{FrameLost: 0.5, Seed: 7}, nil)
		again, _, _ := onStream(t, sim.Faults{FrameLost: 0.5, Seed: 7}, nil)
		other, _, _ := onStream(t, sim.Faults{FrameLost: 0.5, Seed: 8}, nil)
		if n := len(s.media); n < 40 || n > 110 || !strings.Contains(fired, fmt.Sprint("frame-lost:", 150-n)) {
			t.Errorf("%d frames, fired %s", n, fired)
		}
		if s.chunks() != again.chunks() || s.chunks() == other.chunks() {
			t.Errorf("chunks %s, again %s, with another seed %s", s.chunks(), again.chunks(), other.chunks())
		}
	})
	t.Run("frames come twice", func(t *testing.T) {
		s, _, _ := onStream(t, sim.Faults{FrameDoubled: 1}, nil)
		if s.chunks() != "1 1 2 2 3 3" {
			t.Errorf("chunks %s", s.chunks())
		}
	})
	t.Run("frames change places", func(t *testing.T) {
		s, _, _ := onStream(t, sim.Faults{FrameSwapped: 1}, nil)
		if s.chunks() != "2 1 4 3 6 5" {
			t.Errorf("chunks %s", s.chunks())
		}
	})
	t.Run("frames come in bursts", func(t *testing.T) {
		s, _, _ := onStream(t, sim.Faults{FrameHeld: 1, HoldTime: 100 * time.Millisecond}, nil)
		if s.chunks() != "1 2 3 4 5 6" || s.media[0].at != s.media[5].at || s.media[0].at.Sub(s.begun) != 120*time.Millisecond {
			t.Errorf("chunks %s, the first after %v", s.chunks(), s.media[0].at.Sub(s.begun))
		}
	})
	t.Run("timestamps jump", func(t *testing.T) {
		s, _, _ := onStream(t, sim.Faults{FrameGap: 1, GapTime: 10 * time.Second}, nil)
		if a, b := atoi(t, s.media[0].Media.Timestamp), atoi(t, s.media[1].Media.Timestamp); b-a < 10_000 || b-a > 10_030 {
			t.Errorf("timestamps %d, %d", a, b)
		}
	})
}

func TestFaultsOfMarks(t *testing.T) {
	tests := []struct {
		name   string
		faults sim.Faults
		want   string
	}{
		{"lost", sim.Faults{MarkLost: 1}, ""},
		{"doubled", sim.Faults{MarkDoubled: 1}, "a@100ms a@100ms b@200ms b@200ms"},
		{"late", sim.Faults{MarkLate: 1, MarkDelay: 150 * time.Millisecond}, "a@250ms b@350ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, fired, _ := onStream(t, tt.faults, func(s *socket) {
				s.play(ramp(800))
				s.mark("a")
				s.play(ramp(800))
				s.mark("b")
			})
			var got []string
			for _, m := range s.log {
				if m.Event == "mark" {
					got = append(got, m.Mark.Name+"@"+m.at.Sub(s.begun).String())
				}
			}
			if strings.Join(got, " ") != tt.want || fired != "map[mark-"+tt.name+":2]" {
				t.Errorf("marks %v, fired %s; want %s", got, fired, tt.want)
			}
		})
	}
}

func TestFaultsOfSockets(t *testing.T) {
	last := func(s *socket) message { return s.log[len(s.log)-1] }
	t.Run("cut", func(t *testing.T) {
		s, fired, warnings := onStream(t, sim.Faults{CutAfter: time.Second}, nil)
		if len(s.media) < 49 || len(s.media) > 50 || last(s).Event == "stop" || fired != "map[cut:1]" || warnings != "map[31921:1]" {
			t.Errorf("%d frames, last %q, fired %s, warnings %s", len(s.media), last(s).Event, fired, warnings)
		}
	})
	t.Run("half open", func(t *testing.T) {
		var silent time.Duration
		var stuck error
		s, fired, _ := onStream(t, sim.Faults{HalfOpenAfter: time.Second}, func(s *socket) {
			for len(s.media) < 49 {
				s.next()
			}
			time.Sleep(time.Second)
			s.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			stuck = s.WriteMessage(websocket.TextMessage, []byte("{}"))
			since := time.Now()
			s.drain()
			silent = time.Since(since)
		})
		if last(s).Event == "stop" || fired != "map[half-open:1]" || stuck == nil || silent != 520*time.Millisecond {
			t.Errorf("last %q, fired %s, write %v, closed after %v", last(s).Event, fired, stuck, silent)
		}
	})
	t.Run("deaf", func(t *testing.T) {
		s, fired, _ := onStream(t, sim.Faults{DeafAfter: time.Second}, func(s *socket) {
			for len(s.media) < 60 {
				s.next()
			}
		})
		if len(s.media) != 150 || last(s).Event != "stop" || fired != "map[deaf:1]" {
			t.Errorf("%d frames, last %q, fired %s", len(s.media), last(s).Event, fired)
		}
	})
	t.Run("second start", func(t *testing.T) {
		s, fired, _ := onStream(t, sim.Faults{SecondStartAfter: time.Second}, nil)
		starts := 0
		for _, m := range s.log {
			if m.Event == "start" {
				starts++
			}
		}
		if starts != 2 || fired != "map[second-start:1]" {
			t.Errorf("%d starts, fired %s", starts, fired)
		}
	})
}

func TestLateDetection(t *testing.T) {
	inBubble(t, sim.Config{Faults: sim.Faults{DetectionDelay: 10 * time.Second}}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return `<Response><Pause length="60"/></Response>` }
		start := time.Now()
		a.place("MachineDetection", "Enable", "AsyncAmd", "true", "AsyncAmdStatusCallback", a.base+"/amd")
		time.Sleep(time.Minute)
		settle()
		for _, h := range a.hooks {
			if h.path == "/amd" && h.at.Sub(start) != 13400*time.Millisecond {
				t.Errorf("told after %v", h.at.Sub(start))
			}
		}
		if a.hook("/amd"); a.carrier.Fired()[sim.FaultDetectionLate] != 1 {
			t.Errorf("fired: %v", a.carrier.Fired())
		}
	})
}

func TestBadMessagesDoNoHarm(t *testing.T) {
	s, _, warnings := onStream(t, sim.Faults{}, func(s *socket) {
		s.send(`{"event":"media",`)
		s.send(`{"event":"hangup","streamSid":%q}`, s.start.StreamSid)
		s.send(`{"event":"clear","streamSid":"MZffffffffffffffffffffffffffffffff"}`)
		s.WriteMessage(websocket.BinaryMessage, []byte{0, 255})
		s.mark("still here")
		if _, ok := s.until(isMark("still here")); !ok {
			s.t.Error("the stream did not live on")
		}
	})
	if warnings != "map[31951:4]" || s.log[len(s.log)-1].Event != "stop" {
		t.Errorf("warnings %s", warnings)
	}
}

func TestMoreThanTenMinutesAreThrownAway(t *testing.T) {
	_, _, warnings := onStream(t, sim.Faults{}, func(s *socket) {
		minute := make([]int16, 60*8000)
		for range 12 {
			s.play(minute)
		}
		s.mark("never in this call")
	})
	if warnings != "map[31931:1]" {
		t.Errorf("warnings %s; want 31931 once", warnings)
	}
}

func TestStreamsThatCannotBeOpened(t *testing.T) {
	tests := []struct {
		name, url string
		code      int
	}{
		{"nobody listens", "ws://nobody.test/media", 31902},
		{"not a socket", "ws://app.test/answer/page", 31920},
		{"a wrong scheme", "http://app.test/media", 31922},
		{"no address", "ws:media", 31923},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				a.answer = func(url.Values) string {
					return `<Response><Connect><Stream url="` + tt.url + `" statusCallback="/stream"/></Connect><Pause length="2"/></Response>`
				}
				// An answer page that is asked without a call's fields is no webhook.
				a.refuse = "/answer/page"
				a.place()
				talk, err := a.carrier.Phone(them).NextTalk(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				<-talk.Done()
				settle()
				if talk.Duration() != 2*time.Second {
					t.Errorf("the call lasted %v; want it to go on with the next verb", talk.Duration())
				}
				if f := a.hook("/stream"); f.Get("StreamEvent") != "stream-error" || !strings.Contains(f.Get("StreamError"), fmt.Sprint(tt.code)) {
					t.Errorf("stream status: %v", f)
				}
				if a.carrier.Warnings()[tt.code] != 1 {
					t.Errorf("warnings %v; want %d", a.carrier.Warnings(), tt.code)
				}
			})
		})
	}
}
