package sim_test

import (
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// join has a phone call the application and returns its talk. The answer is
// the document with this name: the path of what is asked first.
func (a *app) join(number, document string) *sim.Talk {
	a.t.Helper()
	line := "+1500555" + number[len(number)-4:]
	a.carrier.Assign(line, a.base+"/answer/"+document)
	talk, err := a.carrier.Phone(number).Call(a.t.Context(), line)
	if err != nil {
		a.t.Fatal(err)
	}
	return talk
}

// documents answers each question with the document that its path names.
func (a *app) documents(all map[string]string) {
	a.answer = func(form url.Values) string {
		a.mu.Lock()
		defer a.mu.Unlock()
		return all[strings.TrimPrefix(a.hooks[len(a.hooks)-1].path, "/answer/")]
	}
}

// flat is n samples of one value: easy to add up.
func flat(n int, v int16) []int16 { return slices.Repeat([]int16{v}, n) }

// isMusic reports whether pcm is what people hear who wait.
func isMusic(pcm []int16) bool {
	tune := sim.HoldMusic()
	if len(pcm) == 0 {
		return false
	}
	for first := range tune {
		if tune[first] == pcm[0] && !slices.ContainsFunc(pcm, func(s int16) bool { return s < -500 || s > 500 }) {
			long := slices.Concat(tune, tune, tune, tune, tune, tune)
			if len(pcm) < len(long)-first && slices.Equal(long[first:first+len(pcm)], pcm) {
				return true
			}
		}
	}
	return false
}

func TestConferenceMixesAllOthers(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.documents(map[string]string{"in": `<Response><Dial><Conference beep="false">room</Conference></Dial></Response>`})
		one := a.join("+14155550101", "in")
		time.Sleep(2 * time.Second)
		if heard := one.Heard(); !isMusic(heard[160 : 2*8000-160]) {
			t.Error("who waits alone hears no music")
		}
		two, three := a.join("+14155550102", "in"), a.join("+14155550103", "in")
		for _, talk := range []*sim.Talk{one, two, three} {
			if err := talk.WaitConnected(time.Second); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second) // no music any more
		start := time.Now()
		go one.Say(audio.NewSamples(flat(8000, 1000), 8000))
		go two.Say(audio.NewSamples(flat(8000, 200), 8000))
		three.Say(audio.NewSamples(flat(16000, 30000), 8000))
		time.Sleep(time.Second)
		go one.Say(audio.NewSamples(flat(1600, 30000), 8000))
		three.Say(audio.NewSamples(flat(1600, 30000), 8000))
		time.Sleep(time.Second)
		for i, tt := range []struct {
			talk                   *sim.Talk
			together, alone, twice int16
		}{
			{one, 30200, 30000, 30000},
			{two, 31000, 30000, 32767},
			{three, 1200, 0, 30000},
		} {
			heard := tt.talk.Heard()
			at := func(d time.Duration) int16 {
				since := start.Sub(time.Now().Add(-tt.talk.Duration())) + d
				return heard[int(since.Seconds()*8000)]
			}
			if got := []int16{at(-500 * time.Millisecond), at(500 * time.Millisecond), at(1500 * time.Millisecond), at(2500 * time.Millisecond), at(3100 * time.Millisecond)}; !slices.Equal(got, []int16{0, tt.together, tt.alone, 0, tt.twice}) {
				t.Errorf("phone %d heard %v; want 0, %d, %d, 0, %d", i+1, got, tt.together, tt.alone, tt.twice)
			}
		}
	})
}

func TestConferenceTellsOfItsEvents(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		room := `<Response><Dial action="/answer/done"><Conference beep="false" statusCallback="/room" statusCallbackEvent="start end join leave" %s>room</Conference></Dial></Response>`
		a.documents(map[string]string{
			"guest": fmt.Sprintf(room, ""),
			"host":  fmt.Sprintf(room, `endConferenceOnExit="true"`),
			"done":  `<Response><Say>bye</Say></Response>`,
		})
		guest := a.join("+14155550101", "guest")
		host := a.join("+14155550102", "host")
		time.Sleep(3 * time.Second)
		host.Hangup()
		<-guest.Done()
		settle()
		var events []string
		var last, done url.Values
		for _, h := range a.hooks {
			switch {
			case h.path == "/room":
				events = append(events, h.form.Get("SequenceNumber")+":"+h.form.Get("StatusCallbackEvent"))
				if h.form.Get("StatusCallbackEvent") == "conference-end" {
					last = h.form
				}
			case h.path == "/answer/done" && h.form.Get("CallSid") == guest.CallSID():
				done = h.form
			}
		}
		slices.Sort(events) // those of different calls may overtake each other
		want := []string{"1:participant-join", "2:participant-join", "3:conference-start", "4:participant-leave", "5:participant-leave", "6:conference-end"}
		if !slices.Equal(events, want) {
			t.Errorf("events %v\nwant   %v", events, want)
		}
		if last.Get("FriendlyName") != "room" || last.Get("CallSidEndingConference") != host.CallSID() ||
			last.Get("ReasonConferenceEnded") != "participant-with-end-conference-on-exit-left" {
			t.Errorf("the end: %v", last)
		}
		if done.Get("DialCallStatus") != "answered" || done.Get("CallStatus") != "in-progress" {
			t.Errorf("after the conference: %v", done)
		}
		if heard := guest.Playback(); heard[len(heard)-1].End()-heard[len(heard)-1].At != 180*time.Millisecond {
			t.Errorf("the guest heard %d stretches; want the bye at last", len(heard))
		}
		checkCalls(t, a, telephony.StatusCompleted, telephony.StatusCompleted)
	})
}

func TestCallsAreRedirectedOutOfAConference(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.documents(map[string]string{
			"in":   `<Response><Dial><Conference beep="onExit">room</Conference></Dial></Response>`,
			"away": `<Response><Say>x</Say><Pause length="60"/></Response>`,
		})
		one, two := a.join("+14155550101", "in"), a.join("+14155550102", "in")
		time.Sleep(time.Second)
		if status, _ := a.rest("POST", "/Calls/"+two.CallSID()+".json", url.Values{"Url": {a.base + "/answer/away"}}); status != 200 {
			t.Fatalf("update: %d", status)
		}
		time.Sleep(2 * time.Second)
		if err := two.Press("5"); err != nil || one.Keys() != "" {
			t.Errorf("keys of one who has left: %q, %v", one.Keys(), err)
		}
		p := one.Playback()
		if beep := p[len(p)-1]; beep.At < time.Second || beep.End()-beep.At != 400*time.Millisecond {
			t.Errorf("who stays heard %v to %v; want a beep", beep.At, beep.End())
		}
		if p = two.Playback(); p[len(p)-1].End()-p[len(p)-1].At != 60*time.Millisecond {
			t.Error("who has left did not hear what comes then")
		}
		// The one who is left sits in silence, and hears who comes back.
		if status, _ := a.rest("POST", "/Calls/"+two.CallSID()+".json", url.Values{"Url": {a.base + "/answer/in"}}); status != 200 {
			t.Fatalf("update: %d", status)
		}
		time.Sleep(time.Second)
		if err := two.Press("5"); err != nil || one.Keys() != "5" {
			t.Errorf("keys of one who is back: %q, %v", one.Keys(), err)
		}
		time.Sleep(time.Second)
		if p = one.Playback(); p[len(p)-1].End()-p[len(p)-1].At != 200*time.Millisecond {
			t.Error("no tone came with the key")
		}
	})
}

func TestWhoIsInAConference(t *testing.T) {
	tests := []struct {
		name, first, second string
		firstHears          string // "music", "silence", "speech"
		secondHears         string
	}{
		{"two", "", "", "speech", "speech"},
		{"nobody may begin it", `startConferenceOnEnter="false"`, `startConferenceOnEnter="false"`, "music", "music"},
		{"the second may begin it", `startConferenceOnEnter="false"`, "", "speech", "speech"},
		{"the first may begin it", "", `startConferenceOnEnter="false"`, "speech", "speech"},
		{"the first is muted", `muted="true"`, "", "speech", "silence"},
		{"no music", `startConferenceOnEnter="false" waitUrl=""`, `startConferenceOnEnter="false" waitUrl="http://app.test/music"`, "silence", "music"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				room := `<Response><Dial><Conference beep="false" %s>room</Conference></Dial></Response>`
				a.documents(map[string]string{"first": fmt.Sprintf(room, tt.first), "second": fmt.Sprintf(room, tt.second)})
				one, two := a.join("+14155550101", "first"), a.join("+14155550102", "second")
				time.Sleep(time.Second)
				go one.Say(audio.NewSamples(flat(16000, 900), 8000))
				go two.Say(audio.NewSamples(flat(16000, 900), 8000))
				time.Sleep(time.Second)
				for i, talk := range []*sim.Talk{one, two} {
					heard, got := talk.Listen(500*time.Millisecond), "something else"
					switch {
					case allZero(heard):
						got = "silence"
					case slices.Equal(heard, flat(len(heard), 900)):
						got = "speech"
					case isMusic(heard):
						got = "music"
					}
					if want := []string{tt.firstHears, tt.secondHears}[i]; got != want {
						t.Errorf("phone %d hears %s; want %s", i+1, got, want)
					}
				}
			})
		})
	}
}

func TestPlivoConference(t *testing.T) {
	inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
		room := `<Response><Conference callbackUrl="/room" action="/answer?done=1" %s>room</Conference><Speak>no</Speak></Response>`
		a.answer = func(form url.Values) string {
			switch {
			case form.Get("done") != "":
				return `<Response><Speak>bye</Speak></Response>`
			case form.Get("From") == "14155550102":
				return fmt.Sprintf(room, `hangupOnStar="true" enterSound="beep:2"`)
			}
			return fmt.Sprintf(room, `stayAlone="false"`)
		}
		a.carrier.Assign(us, "http://app.test/answer")
		call := func(number string) *sim.Talk {
			talk, err := a.carrier.Phone(number).Call(t.Context(), us)
			if err != nil {
				t.Fatal(err)
			}
			return talk
		}
		one, two := call("+14155550101"), call("+14155550102")
		time.Sleep(time.Second)
		if p := one.Playback(); p[len(p)-1].End()-p[len(p)-1].At < 800*time.Millisecond {
			t.Error("two beeps did not tell of the second member")
		}
		if err := two.Press("7*"); err != nil {
			t.Error(err)
		}
		<-one.Done()
		<-two.Done()
		settle()
		if one.Keys() != "7*" || two.Keys() != "" {
			t.Errorf("keys %q and %q", one.Keys(), two.Keys())
		}
		if d := two.Duration(); d != time.Second+250*time.Millisecond+180*time.Millisecond {
			t.Errorf("the second call lasted %v; want until its bye after the *", d)
		}
		events := make(map[string]int)
		for _, h := range a.hooks {
			if h.path == "/room" {
				events[h.form.Get("ConferenceAction")+h.form.Get("ConferenceFirstMember")+h.form.Get("ConferenceLastMember")]++
			}
			if h.form.Get("done") != "" && (h.form.Get("ConferenceName") != "room" || h.form.Get("ConferenceMemberID") == "") {
				t.Errorf("after the conference: %v", h.form)
			}
		}
		if fmt.Sprint(events) != "map[enterfalsefalse:1 entertruefalse:1 exitfalsefalse:1 exitfalsetrue:1]" {
			t.Errorf("events %v", events)
		}
	})
}

// inThisBubble counts the goroutines of the test. Those of the process come and
// go as the runtime likes.
func inThisBubble() int {
	stacks := make([]byte, 4<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "synctest bubble")
}

func TestConferencesLeaveNothingBehind(t *testing.T) {
	const calls = 200
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.client.CloseIdleConnections()
		settle()
		before := inThisBubble()
		a.answer = func(form url.Values) string {
			n := form.Get("To")
			return `<Response><Dial><Conference endConferenceOnExit="true">room-` + n[len(n)-3:] + `</Conference></Dial></Response>`
		}
		for i := range calls / 2 {
			a.carrier.Assign(fmt.Sprintf("+15005550%03d", i), a.base+"/answer")
		}
		talks := make([]*sim.Talk, calls)
		for i := range talks {
			talk, err := a.carrier.Phone(fmt.Sprintf("+14155551%03d", i)).Call(t.Context(), fmt.Sprintf("+15005550%03d", i/2))
			if err != nil {
				t.Fatal(err)
			}
			talks[i] = talk
		}
		for i, talk := range talks {
			if err := talk.WaitConnected(time.Second); err != nil {
				t.Fatal(err)
			}
			go talk.Say(audio.NewSamples(flat(8000, int16(100+i)), 8000))
		}
		time.Sleep(3 * time.Second)
		for i, talk := range talks {
			if heard := talk.Heard(); slices.Max(heard[len(heard)-3*8000:]) < int16(100+i^1) {
				t.Errorf("phone %d did not hear phone %d", i, i^1)
			}
			if i%2 == 0 {
				talk.Hangup()
			}
		}
		for _, talk := range talks {
			<-talk.Done()
		}
		time.Sleep(time.Minute) // idle connections are closed by then
		settle()
		if after := inThisBubble(); after > before {
			t.Errorf("%d goroutines; %d before", after, before)
		}
		for _, c := range a.carrier.Calls() {
			if c.Status != telephony.StatusCompleted || c.Err != nil {
				t.Fatalf("call ended %v, %v", c.Status, c.Err)
			}
		}
	})
}

func TestMembersAreHeldMutedAndSentOut(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.documents(map[string]string{
			"in": `<Response><Dial><Conference beep="false" statusCallback="/room" statusCallbackEvent="mute hold">room</Conference></Dial></Response>`,
		})
		one, two := a.join("+14155550101", "in"), a.join("+14155550102", "in")
		time.Sleep(time.Second)
		_, v := a.rest("GET", "/Conferences.json?FriendlyName=room&Status=in-progress", nil)
		list := v["conferences"].([]any)
		if len(list) != 1 {
			t.Fatalf("conferences: %v", v)
		}
		path := "/Conferences/" + list[0].(map[string]any)["sid"].(string)
		member := path + "/Participants/" + one.CallSID() + ".json"
		go one.Say(audio.NewSamples(flat(80000, 900), 8000))
		go two.Say(audio.NewSamples(flat(80000, 300), 8000))
		// hear tells what both hear from now on.
		hear := func() string {
			time.Sleep(200 * time.Millisecond)
			word := func(pcm []int16) string {
				switch {
				case isMusic(pcm):
					return "music"
				case slices.Min(pcm) == slices.Max(pcm):
					return fmt.Sprint(pcm[0])
				}
				return "noise"
			}
			time.Sleep(200 * time.Millisecond)
			first, second := one.Heard(), two.Heard()
			return word(first[len(first)-1200:len(first)-400]) + " " + word(second[len(second)-1200:len(second)-400])
		}
		for _, tt := range []struct{ name, value, want string }{
			{"", "", "300 900"},
			{"Muted", "true", "300 0"},
			{"Muted", "false", "300 900"},
			{"Hold", "true", "music 0"},
			{"Hold", "false", "300 900"},
		} {
			if tt.name != "" {
				if status, v := a.rest("POST", member, url.Values{tt.name: {tt.value}}); status != 200 || fmt.Sprint(v[strings.ToLower(tt.name)]) != tt.value {
					t.Errorf("%s=%s: %d, %v", tt.name, tt.value, status, v)
				}
			}
			if got := hear(); got != tt.want {
				t.Errorf("after %s=%s: %s; want %s", tt.name, tt.value, got, tt.want)
			}
		}
		_, v = a.rest("GET", path+"/Participants.json", nil)
		if n := len(v["participants"].([]any)); n != 2 {
			t.Errorf("%d members", n)
		}
		if status, _ := a.rest("DELETE", member, nil); status != 204 {
			t.Errorf("delete: %d", status)
		}
		<-one.Done()
		if status, _ := a.rest("DELETE", member, nil); status != 404 {
			t.Errorf("delete again: %d", status)
		}
		if status, _ := a.rest("POST", path+".json", url.Values{"Status": {"completed"}}); status != 200 {
			t.Errorf("end: %d", status)
		}
		<-two.Done()
		if _, v = a.rest("GET", path+".json", nil); v["status"] != "completed" || v["reason_conference_ended"] != "conference-ended-via-api" {
			t.Errorf("conference: %v", v)
		}
		settle()
		var events []string
		for _, h := range a.hooks {
			if h.path == "/room" {
				events = append(events, strings.TrimPrefix(h.form.Get("StatusCallbackEvent"), "participant-"))
			}
		}
		if got := strings.Join(events, " "); got != "mute unmute hold unhold" {
			t.Errorf("events %s", got)
		}
	})
}
