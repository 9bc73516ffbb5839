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

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestStreamThatStopsAndIsCut(t *testing.T) {
	s, fired, warnings := onStream(t, sim.Faults{StopAfter: time.Second}, nil)
	if n := len(s.media); n < 49 || n > 50 || s.log[len(s.log)-1].Event != "stop" || fired != "map[stop:1]" || warnings != "map[31921:1]" {
		t.Errorf("%d frames, last %q, fired %s, warnings %s", n, s.log[len(s.log)-1].Event, fired, warnings)
	}
}

func TestStreamThatStalls(t *testing.T) {
	t.Run("for a while", func(t *testing.T) {
		s, fired, _ := onStream(t, sim.Faults{StallAfter: time.Second, StallTime: 500 * time.Millisecond}, func(s *socket) {
			for len(s.media) < 49 {
				s.next()
			}
			s.mark("during")
		})
		var gap time.Duration
		burst := 0
		for i := 1; i < len(s.media); i++ {
			gap = max(gap, s.media[i].at.Sub(s.media[i-1].at))
			if s.media[i].at.Equal(s.media[i-1].at) {
				burst++
			}
		}
		if len(s.media) != 150 || gap < 500*time.Millisecond || gap > 520*time.Millisecond || burst < 24 || fired != "map[stall:1]" {
			t.Errorf("%d frames, a gap of %v, %d at once, fired %s", len(s.media), gap, burst, fired)
		}
		if !slices.Equal(s.heard()[:8000], ramp(8000)) {
			t.Error("what was said during the stall is lost")
		}
	})
	t.Run("to the end", func(t *testing.T) {
		s, _, _ := onStream(t, sim.Faults{StallAfter: time.Second, StallTime: time.Hour}, nil)
		if n := len(s.media); n < 49 || n > 50 || s.log[len(s.log)-1].Event != "stop" {
			t.Errorf("%d frames, last %q", n, s.log[len(s.log)-1].Event)
		}
	})
}

func TestFirstMarkNeverComesBack(t *testing.T) {
	s, fired, _ := onStream(t, sim.Faults{FirstMarkLost: true}, func(s *socket) {
		s.mark("a")
		s.mark("b")
		s.mark("c")
	})
	var got []string
	for _, m := range s.log {
		if m.Event == "mark" {
			got = append(got, m.Mark.Name)
		}
	}
	if strings.Join(got, "") != "bc" || fired != "map[mark-first:1]" {
		t.Errorf("marks %v, fired %s", got, fired)
	}
}

func TestPlivoReconnectsWithANewStream(t *testing.T) {
	faults := sim.Faults{ReconnectAfter: time.Second, FirstMarkLost: true}
	inPlivoBubble(t, sim.Config{Faults: faults}, func(t *testing.T, a *plivoApp) {
		a.answer = plivoStreamOf("audio/x-mulaw;rate=8000")
		var streams []*plivoSocket
		a.media = func(s *plivoSocket) {
			streams = append(streams, s)
			s.checkpoint("first")
			s.checkpoint("second")
			s.drain()
		}
		a.carrier.Phone(them).Behave(sim.Behavior{Talk: func(talk *sim.Talk) {
			talk.Say(audio.NewSamples(flat(16000, 900), 8000))
			talk.Hangup()
		}})
		a.place()
		time.Sleep(10 * time.Second)
		settle()
		if len(streams) != 2 {
			t.Fatalf("%d streams; want 2", len(streams))
		}
		one, two := streams[0], streams[1]
		if a, b := one.start.Start, two.start.Start; a.CallID != b.CallID || a.StreamID == b.StreamID {
			t.Errorf("starts %+v and %+v", a, b)
		}
		if got := one.said() + ", " + two.said(); got != "playedStreamsecond@0, playedStreamsecond@0 stop@1000" {
			t.Errorf("said %s", got)
		}
		if n := len(one.media) + len(two.media); n < 99 || n > 100 {
			t.Errorf("%d frames in 2 s", n)
		}
		if fired := fmt.Sprint(a.carrier.Fired()); fired != "map[mark-first:2 reconnect:1]" {
			t.Errorf("fired %s", fired)
		}
	})
}

func TestFaultsOfOnePhone(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return `<Response><Pause length="1"/></Response>` }
		a.carrier.Phone(them).SetFaults(sim.Faults{CallbackLost: 1})
		for _, to := range []string{them, third} {
			a.place("To", to, "StatusCallbackEvent", "completed")
		}
		time.Sleep(time.Minute)
		settle()
		if s := a.statuses(); s != "0:completed@0" || a.hook("/status").Get("To") != third {
			t.Errorf("statuses %q of %q", s, a.hook("/status").Get("To"))
		}
	})
}

func TestFaultsOfOtherRequests(t *testing.T) {
	tests := []struct {
		name   string
		fault  sim.CreateFault
		status int // 0 for a connection that is closed
		body   string
		took   time.Duration
		ended  bool // the call
	}{
		{"nothing", sim.CreateFault{}, 200, `"completed"`, 0, true},
		{"throttled", sim.Throttled(2 * time.Second), 429, "20429", 0, false},
		{"an error in HTML", sim.Broken(502, false), 502, "<html>", 0, false},
		{"an error in HTML, and it is done", sim.Broken(502, true), 502, "<html>", 0, true},
		{"an empty error", sim.CreateFault{Status: 503}, 503, "", 0, false},
		{"the reply is lost", sim.LostReply(), 0, "", 0, true},
		{"a late reply", sim.CreateFault{Accept: true, Delay: 3 * time.Second}, 200, `"completed"`, 3 * time.Second, true},
		{"late", sim.CreateFault{Delay: 3 * time.Second}, 200, `"completed"`, 3 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first := func(n int, r *http.Request) sim.CreateFault {
				if n == 1 && r.Method == "POST" {
					return tt.fault
				}
				return sim.CreateFault{}
			}
			inBubble(t, sim.Config{Faults: sim.Faults{Request: first}}, func(t *testing.T, a *app) {
				a.answer = func(url.Values) string { return `<Response><Pause length="60"/></Response>` }
				sid := a.place()
				if _, err := a.carrier.Phone(them).NextTalk(t.Context()); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				req, _ := http.NewRequest("POST", "http://api.test/2010-04-01/Accounts/"+a.carrier.AccountSID()+"/Calls/"+sid+".json", strings.NewReader("Status=completed"))
				req.SetBasicAuth(a.carrier.AccountSID(), a.carrier.AuthToken())
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				status, body := 0, ""
				if resp, err := a.client.Do(req); err == nil {
					b, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					status, body = resp.StatusCode, string(b)
				}
				if status != tt.status || !strings.Contains(body, tt.body) || time.Since(start) != tt.took {
					t.Errorf("%d, %q after %v; want %d, %q after %v", status, body, time.Since(start), tt.status, tt.body, tt.took)
				}
				if ended := a.carrier.Calls()[0].Status == telephony.StatusCompleted; ended != tt.ended {
					t.Errorf("call is over: %v; want %v", ended, tt.ended)
				}
				want := 1
				if tt.name == "nothing" {
					want = 0
				}
				if n := a.carrier.Fired()[sim.FaultRequest]; n != want {
					t.Errorf("fired %d times; want %d", n, want)
				}
				if status, _ := a.rest("GET", "/Calls/"+sid+".json", nil); status != 200 {
					t.Errorf("the next one: %d", status)
				}
			})
		})
	}
}

func TestBurstsFollowTheSeed(t *testing.T) {
	course := func(seed uint64) string {
		create := sim.Bursts(seed, 0.3, 5, sim.Throttled(0), sim.Throttled(time.Second), sim.Broken(502, false))
		var b strings.Builder
		for n := range 500 {
			f := create(n)
			fmt.Fprintf(&b, "%d%s ", f.Status, f.Header.Get("Retry-After"))
		}
		return b.String()
	}
	one := course(1)
	if one != course(1) || one == course(2) {
		t.Error("one seed does not give one course, or two do")
	}
	if n := len(slices.DeleteFunc(strings.Fields(one), func(s string) bool { return s != "0" })); n < 250 || n > 450 {
		t.Errorf("%d of 500 go well; want some 350", n)
	}
	for _, want := range []string{"429 ", "4291 ", "502 ", "0 0 0 0 0 "} {
		if !strings.Contains(one, want) {
			t.Errorf("no %q in %s", want, one)
		}
	}
	for n := range 10 {
		if sim.Bursts(1, 1, 0)(n).Status != 0 {
			t.Error("no faults to choose from are a fault")
		}
	}
}
