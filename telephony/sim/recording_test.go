package sim_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// download fetches a file of the REST API and returns its status, type and
// channels. Nobody is asked for if user is empty.
func download(t *testing.T, client *http.Client, address, user, password string) (int, string, [][]int16) {
	t.Helper()
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 {
		return resp.StatusCode, "", nil
	}
	channels, hertz, err := audio.ReadWAV(bytes.NewReader(body))
	if err != nil || hertz != 8000 {
		t.Fatalf("file: %d Hz, %v", hertz, err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), channels
}

// levels is the first sample of each half second.
func levels(pcm []int16) []int16 {
	var list []int16
	for i := 2000; i < len(pcm); i += 4000 {
		list = append(list, pcm[i])
	}
	return list
}

func TestRecordingHasWhatWasSaidAndHeard(t *testing.T) {
	tests := []struct {
		name     string
		form     url.Values
		behavior string // of the pause
		query    string
		want     string // levels of each channel
	}{
		{"both sides apart", url.Values{"RecordingChannels": {"dual"}}, "", "", "[0 900 900 0 0 0] [0 0 1820 1820 0 0]"},
		{"both in one", nil, "", "", "[0 900 2720 1820 0 0]"},
		{"one of two", url.Values{"RecordingChannels": {"dual"}}, "", "?RequestedChannels=1", "[0 900 2720 1820 0 0]"},
		{"what the phone says", url.Values{"RecordingTrack": {"inbound"}, "RecordingChannels": {"dual"}}, "", "", "[0 900 900 0 0 0]"},
		{"what it hears", url.Values{"RecordingTrack": {"outbound"}}, "", "", "[0 0 1820 1820 0 0]"},
		{"a pause", url.Values{"RecordingChannels": {"dual"}}, "silence", "", "[0 900 0 0 0 0] [0 0 0 1820 0 0]"},
		{"a pause of silence if nothing else is said", url.Values{"RecordingChannels": {"dual"}}, " ", "", "[0 900 0 0 0 0] [0 0 0 1820 0 0]"},
		{"a pause that is cut out", url.Values{"RecordingChannels": {"dual"}}, "skip", "", "[0 900 0 0 0] [0 0 1820 0 0]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
				a.documents(map[string]string{"in": stream})
				far := audio.AppendDecode(nil, audio.MuLaw, audio.AppendEncode(nil, audio.MuLaw, flat(1, 1800)))[0]
				a.media = func(s *socket) {
					a.wg.Go(func() {
						time.Sleep(2 * time.Second)
						s.play(flat(8000, far))
					})
					s.drain()
				}
				talk := a.join(them, "in")
				time.Sleep(time.Second)
				form := url.Values{"RecordingStatusCallback": {a.base + "/rec"}, "RecordingStatusCallbackEvent": {"in-progress completed"}}
				for name, v := range tt.form {
					form[name] = v
				}
				path := "/Calls/" + talk.CallSID() + "/Recordings"
				status, v := a.rest("POST", path+".json", form)
				if status != 201 || v["status"] != "in-progress" || v["source"] != "StartCallRecordingAPI" || v["call_sid"] != talk.CallSID() {
					t.Fatalf("start: %d, %v", status, v)
				}
				sid := v["sid"].(string)
				time.Sleep(500 * time.Millisecond)
				go talk.Say(audio.NewSamples(flat(8000, 900), 8000))
				time.Sleep(500 * time.Millisecond)
				if tt.behavior != "" {
					status, v = a.rest("POST", path+"/Twilio.CURRENT.json", url.Values{"Status": {"paused"}, "PauseBehavior": {strings.TrimSpace(tt.behavior)}})
					if status != 200 || v["status"] != "paused" || v["sid"] != sid {
						t.Errorf("pause: %d, %v", status, v)
					}
				}
				time.Sleep(500 * time.Millisecond)
				if tt.behavior != "" {
					if status, v = a.rest("POST", path+"/"+sid+".json", url.Values{"Status": {"in-progress"}}); status != 200 || v["status"] != "in-progress" {
						t.Errorf("resume: %d, %v", status, v)
					}
				}
				time.Sleep(1500 * time.Millisecond)
				if status, v = a.rest("POST", path+"/"+sid+".json", url.Values{"Status": {"stopped"}}); status != 200 || v["status"] != "stopped" {
					t.Errorf("stop: %d, %v", status, v)
				}
				if status, v = a.rest("POST", path+"/"+sid+".json", url.Values{"Status": {"stopped"}}); status != 400 || v["code"] != 21220. {
					t.Errorf("stop again: %d, %v", status, v)
				}
				time.Sleep(2 * time.Second)
				rec := a.hook("/rec")
				if rec.Get("RecordingStatus") != "completed" || rec.Get("RecordingSid") != sid || rec.Get("RecordingDuration") != "3" {
					t.Errorf("callback: %v", rec)
				}
				if _, v = a.rest("GET", "/Recordings/"+sid+".json", nil); v["status"] != "completed" || v["duration"] != "3" || v["media_url"] != rec.Get("RecordingUrl") {
					t.Errorf("recording: %v", v)
				}
				file := rec.Get("RecordingUrl") + ".wav" + tt.query
				if status, _, _ := download(t, a.client, file, "", ""); status != 401 {
					t.Errorf("file without credentials: %d", status)
				}
				status, kind, channels := download(t, a.client, file, a.carrier.AccountSID(), a.carrier.AuthToken())
				var got []string
				for _, pcm := range channels {
					got = append(got, fmt.Sprint(levels(pcm)))
				}
				want := strings.ReplaceAll(tt.want, "1820", fmt.Sprint(far))
				want = strings.ReplaceAll(want, "2720", fmt.Sprint(900+far))
				if strings.Join(got, " ") != want || status != 200 || kind != "audio/x-wav" {
					t.Errorf("file: %d, %s, %v; want %s", status, kind, got, want)
				}
			})
		})
	}
}

func TestRecordingsOfACall(t *testing.T) {
	inBubble(t, sim.Config{Faults: sim.Faults{MediaMissing: 3 * time.Second}}, func(t *testing.T, a *app) {
		a.answer = func(url.Values) string { return `<Response><Say>hello</Say><Pause length="60"/></Response>` }
		a.carrier.Phone(them).Behave(sim.Behavior{Ring: time.Second, Talk: func(t *sim.Talk) {
			t.Say(audio.NewSamples(flat(800, 700), 8000)) // over the words of the application
		}})
		sid := a.place("Record", "true", "RecordingStatusCallback", a.base+"/rec", "RecordingChannels", "dual")
		path := "/Calls/" + sid + "/Recordings"
		if status, v := a.rest("POST", path+".json", nil); status != 400 || v["code"] != 21220. {
			t.Errorf("start before the answer: %d, %v", status, v)
		}
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if status, v := a.rest("POST", path+"/Twilio.CURRENT.json", url.Values{"Status": {"paused"}, "PauseBehavior": {"noise"}}); status != 400 {
			t.Errorf("a strange pause: %d, %v", status, v)
		}
		if status, _ := a.rest("DELETE", path+"/Twilio.CURRENT.json", nil); status != 404 {
			t.Errorf("delete of the current one: %d", status)
		}
		_, v := a.rest("GET", path+".json", nil)
		first := v["recordings"].([]any)[0].(map[string]any)
		if first["source"] != "OutboundAPI" || first["channels"] != 2. || first["duration"] != nil {
			t.Errorf("recording: %v", first)
		}
		if status, _ := a.rest("DELETE", path+"/"+first["sid"].(string)+".json", nil); status != 400 {
			t.Errorf("delete of one that runs: %d", status)
		}
		time.Sleep(time.Second)
		talk.Hangup()
		settle()
		final := a.hook("/status")
		if final.Get("RecordingSid") != first["sid"] || final.Get("RecordingDuration") != "2" {
			t.Errorf("final status: %v", final)
		}
		if status, v := a.rest("POST", path+".json", nil); status != 400 || v["code"] != 21220. {
			t.Errorf("start after the end: %d, %v", status, v)
		}
		time.Sleep(1500 * time.Millisecond)
		file := a.hook("/rec").Get("RecordingUrl")
		get := func(suffix string) (int, string, [][]int16) {
			return download(t, a.client, file+suffix, a.carrier.AccountSID(), a.carrier.AuthToken())
		}
		if status, _, _ := get(".wav"); status != 404 || a.carrier.Fired()[sim.FaultMediaMissing] != 1 {
			t.Errorf("file at once: %d; want 404", status)
		}
		time.Sleep(3 * time.Second)
		status, _, channels := get("")
		if status != 200 || len(channels) != 2 || !slices.Equal(channels[0][:800], flat(800, 700)) || !slices.Equal(channels[1], talk.Heard()) {
			t.Errorf("file: %d, %d channels; want what was said and heard", status, len(channels))
		}
		if status, _, _ := get(".mp3"); status != 501 {
			t.Errorf("another kind of file: %d", status)
		}
		if status, _ := a.rest("DELETE", "/Recordings/"+first["sid"].(string)+".json", nil); status != 204 {
			t.Errorf("delete: %d", status)
		}
		if status, _, _ := get(".wav"); status != 404 {
			t.Errorf("file after the end: %d", status)
		}
		if status, _ := a.rest("DELETE", "/Recordings/"+first["sid"].(string)+".json", nil); status != 404 {
			t.Errorf("delete again: %d", status)
		}
	})
}

func TestTwoChannelsOfOneAreRefused(t *testing.T) {
	inBubble(t, sim.Config{}, func(t *testing.T, a *app) {
		a.documents(map[string]string{"in": `<Response><Say>x</Say><Pause length="60"/></Response>`})
		talk := a.join(them, "in")
		path := "/Calls/" + talk.CallSID() + "/Recordings"
		_, one := a.rest("POST", path+".json", nil)
		_, two := a.rest("POST", path+".json", nil)
		if status, _ := a.rest("POST", path+"/Twilio.CURRENT.json", url.Values{"Status": {"stopped"}}); status != 400 {
			t.Errorf("the current one of two: %d", status)
		}
		time.Sleep(time.Second)
		for _, v := range []map[string]any{one, two} {
			if status, _ := a.rest("POST", path+"/"+v["sid"].(string)+".json", url.Values{"Status": {"stopped"}}); status != 200 {
				t.Errorf("stop: %d", status)
			}
		}
		if status, _ := a.rest("POST", path+"/Twilio.CURRENT.json", url.Values{"Status": {"stopped"}}); status != 404 {
			t.Errorf("the current one of none: %d", status)
		}
		time.Sleep(2 * time.Second)
		if status, v := a.rest("GET", "/Recordings/"+one["sid"].(string)+".wav?RequestedChannels=2", nil); status != 400 || v["code"] != 16113. {
			t.Errorf("two channels: %d, %v", status, v)
		}
	})
}

func TestRecordingCallbacksFailAsOthersDo(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults sim.Faults
		fault  string
		want   string
	}{
		{"none", sim.Faults{}, "", "completed rec"},
		{"late files", sim.Faults{RecordingDelay: time.Minute}, sim.FaultRecordingLate, "completed rec"},
		{"lost", sim.Faults{CallbackLost: 1}, sim.FaultCallbackLost, ""},
		{"twice", sim.Faults{CallbackDoubled: 1}, sim.FaultCallbackDoubled, "completed completed rec rec"},
		{"the recording is told of first", sim.Faults{RecordingDelay: time.Nanosecond, CallbackLate: 1, CallbackDelay: 3 * time.Second}, sim.FaultCallbackLate, "completed rec"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, sim.Config{Faults: tt.faults}, func(t *testing.T, a *app) {
				a.answer = func(url.Values) string { return `<Response><Pause length="3"/></Response>` }
				a.place("Record", "true", "RecordingStatusCallback", a.base+"/rec", "StatusCallbackEvent", "completed")
				time.Sleep(2 * time.Minute)
				settle()
				var got []string
				for _, h := range a.hooks {
					switch h.path {
					case "/rec":
						got = append(got, "rec")
					case "/status":
						got = append(got, h.form.Get("CallStatus"))
					}
				}
				if s := strings.Join(got, " "); s != tt.want {
					t.Errorf("callbacks %q; want %q", s, tt.want)
				}
				if tt.fault != "" && a.carrier.Fired()[tt.fault] == 0 {
					t.Errorf("fired %v", a.carrier.Fired())
				}
			})
		})
	}
}

func TestPlivoRecordings(t *testing.T) {
	inPlivoBubble(t, sim.Config{}, func(t *testing.T, a *plivoApp) {
		a.answer = func(url.Values) string { return `<Response><Speak>hello</Speak><Wait length="200"/></Response>` }
		a.place()
		talk, err := a.carrier.Phone(them).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		path := "/Call/" + talk.CallSID() + "/Record/"
		status, v := a.rest("POST", path, map[string]any{"file_format": "wav", "callback_url": "http://app.test/rec"})
		if status != 202 || v["message"] != "call recording started" {
			t.Fatalf("start: %d, %v", status, v)
		}
		id, file := v["recording_id"].(string), v["url"].(string)
		if status, _ := a.rest("GET", "/Recording/"+id+"/", nil); status != 404 {
			t.Errorf("recording while it runs: %d", status)
		}
		talk.Say(audio.NewSamples(flat(8000, 700), 8000))
		time.Sleep(70 * time.Second) // longer than a recording lasts if it is not told to
		settle()
		var rec url.Values
		for _, h := range a.hooks {
			if h.path == "/rec" {
				rec = h.form
			}
		}
		if rec.Get("recording_id") != id || rec.Get("recording_duration_ms") != "60000" || rec.Get("recording_duration") != "60" ||
			rec.Get("record_url") != file || rec.Get("call_uuid") != talk.CallSID() {
			t.Errorf("callback: %v", rec)
		}
		if status, v = a.rest("GET", "/Recording/"+id+"/", nil); status != 200 || v["recording_duration_ms"] != "60000.00000" || v["recording_format"] != "wav" {
			t.Errorf("recording: %d, %v", status, v)
		}
		if status, _, _ := download(t, a.client, file, "", ""); status != 401 {
			t.Errorf("file without credentials: %d", status)
		}
		status, _, channels := download(t, a.client, file, a.carrier.AccountSID(), a.carrier.AuthToken())
		if status != 200 || len(channels) != 2 || !slices.Equal(channels[0][:8000], flat(8000, 700)) || !slices.Equal(channels[1], talk.Heard()[:60*8000]) {
			t.Errorf("file: %d, %d channels", status, len(channels))
		}

		status, v = a.rest("POST", path, map[string]any{"time_limit": 3600, "record_channel_type": "mono", "file_format": "wav"})
		if status != 202 {
			t.Fatalf("start again: %d, %v", status, v)
		}
		time.Sleep(65 * time.Second)
		if status, _ := a.rest("DELETE", path, nil); status != 204 {
			t.Errorf("stop: %d", status)
		}
		if status, _ := a.rest("DELETE", path, nil); status != 204 {
			t.Errorf("stop again: %d", status)
		}
		time.Sleep(2 * time.Second)
		_, v = a.rest("GET", "/Recording/?call_uuid="+talk.CallSID(), nil)
		if list := v["objects"].([]any); len(list) != 2 || list[0].(map[string]any)["recording_duration_ms"] != "65000.00000" {
			t.Errorf("list: %v", v)
		}
		if status, _ := a.rest("DELETE", "/Recording/"+id+"/", nil); status != 204 {
			t.Errorf("delete: %d", status)
		}
		if status, _, _ := download(t, a.client, file, a.carrier.AccountSID(), a.carrier.AuthToken()); status != 404 {
			t.Errorf("file after that: %d", status)
		}
		talk.Hangup()
		settle()
		if status, _ := a.rest("POST", path, map[string]any{}); status != 404 {
			t.Errorf("start after the end: %d", status)
		}
		for _, bad := range []map[string]any{{"file_format": "ogg"}, {"record_channel_type": "quad"}, {"callback_url": "x"}, {"callback_method": "PUT"}, {"time_limit": "x"}} {
			if status, _ := a.rest("POST", path, bad); status != 400 {
				t.Errorf("%v: %d; want 400", bad, status)
			}
		}
	})
}
