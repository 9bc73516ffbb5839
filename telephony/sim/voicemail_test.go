package sim_test

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestVoicemailRecordsAfterItsBeep(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return stream }
		a.carrier.Phone(them).Behave(sim.Behavior{Voicemail: &sim.Voicemail{Greeting: "please speak", Silence: 2 * time.Second}})
		greeting := 12*60*time.Millisecond + 200*time.Millisecond
		words := ramp(8000)
		var heard []int16
		a.media = func(s *socket) {
			a.wg.Go(func() {
				time.Sleep(greeting - 500*time.Millisecond)
				s.play(words[:1600]) // during the greeting: not recorded
				time.Sleep(time.Second)
				s.play(words)
			})
			s.drain()
			heard = s.heard()
		}
		a.place("MachineDetection", "DetectMessageEnd", "AsyncAmd", "true", "AsyncAmdStatusCallback", a.base+"/amd")
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if talk.Message() != nil {
			t.Error("there is a message before the beep")
		}
		<-talk.Done()
		settle()
		amd := a.hook("/amd")
		if amd.Get("AnsweredBy") != "machine_end_beep" || amd.Get("MachineDetectionDuration") != "920" {
			t.Errorf("detection: %v", amd)
		}
		if after := talk.Duration() - time.Since(amdTime(a)); after != greeting {
			t.Errorf("detection came %v after the answer; want %v, the end of the beep", after, greeting)
		}
		message := talk.Message()
		if i := index(message, words); i != 4000 || len(message) != 4000+8000+16000 {
			t.Errorf("message of %d samples, the words at %d", len(message), i)
		}
		if talk.HungUpBy() != sim.ByCallee {
			t.Errorf("ended by %q", talk.HungUpBy())
		}
		beep := int(greeting.Seconds()*8000) - 1600
		if n := slices.Max(heard[beep : beep+1600]); n < 3000 || !allZero(heard[beep+1600+160:]) {
			t.Error("the application did not hear a beep, and silence after it")
		}
	})
}

func amdTime(a *app) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.hooks {
		if h.path == "/amd" {
			return h.at
		}
	}
	return time.Time{}
}

func TestDetectionOfAVoicemail(t *testing.T) {
	tests := []struct {
		name, mode, async string
		want              string
		after             time.Duration
	}{
		{"as soon as it is known", "Enable", "true", "machine_start", 4100 * time.Millisecond},
		{"the end of its greeting", "DetectMessageEnd", "true", "machine_end_beep", 6200 * time.Millisecond},
		{"before the instructions are asked for", "DetectMessageEnd", "", "machine_end_beep", 6200 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				a.answer = func(url.Values) string { return `<Response><Pause length="30"/></Response>` }
				text := make([]byte, 100)
				for i := range text {
					text[i] = 'a'
				}
				a.carrier.Phone(them).Behave(sim.Behavior{Voicemail: &sim.Voicemail{Greeting: string(text)}})
				start := time.Now()
				a.place("MachineDetection", tt.mode, "AsyncAmd", tt.async, "AsyncAmdStatusCallback", a.base+"/amd")
				time.Sleep(40 * time.Second)
				settle()
				path := "/answer"
				if tt.async != "" {
					path = "/amd"
				}
				for _, h := range a.hooks {
					if h.path == path && (h.at.Sub(start) != tt.after || h.form.Get("AnsweredBy") != tt.want) {
						t.Errorf("%q after %v; want %q after %v", h.form.Get("AnsweredBy"), h.at.Sub(start), tt.want, tt.after)
					}
				}
				if a.hook(path) == nil {
					t.Errorf("nothing came to %s", path)
				}
			})
		})
	}
}

func TestPlivoTellsOfMachinesOnly(t *testing.T) {
	for name, tt := range map[string]struct {
		behavior sim.Behavior
		told     int
		status   telephony.Status
	}{
		"a person":    {sim.Behavior{}, 0, telephony.StatusInProgress},
		"a voicemail": {sim.Behavior{Voicemail: &sim.Voicemail{}}, 1, telephony.StatusInProgress},
	} {
		t.Run(name, func(t *testing.T) {
			inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
				a.answer = func(url.Values) string { return `<Response><Wait length="60"/></Response>` }
				a.carrier.Phone(them).Behave(tt.behavior)
				a.place("machine_detection", "true", "machine_detection_url", "http://app.test/amd")
				time.Sleep(5 * time.Second)
				settle()
				told := 0
				for _, h := range a.hooks {
					if h.form.Get("Event") == "MachineDetection" && h.form.Get("Machine") == "true" {
						told++
					}
				}
				if told != tt.told || a.carrier.Calls()[0].Status != tt.status {
					t.Errorf("told %d times, call %v; want %d, %v", told, a.carrier.Calls()[0].Status, tt.told, tt.status)
				}
			})
		})
	}
}
