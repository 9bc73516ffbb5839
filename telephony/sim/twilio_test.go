package sim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// loadJSON reads a file of testdata.
func loadJSON(t testing.TB, name string, v any) {
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

// asForm makes a form of JSON: a value is a string or a list of them.
func asForm(t *testing.T, params map[string]any) url.Values {
	form := make(url.Values)
	for name, v := range params {
		switch v := v.(type) {
		case string:
			form.Add(name, v)
		case []any:
			for _, s := range v {
				form.Add(name, s.(string))
			}
		default:
			t.Fatalf("%s is a %T", name, v)
		}
	}
	return form
}

func TestSignatureVectors(t *testing.T) {
	type vector struct {
		Name      string
		AuthToken string         `json:"auth_token"`
		SignedURL string         `json:"signed_url"`
		Params    map[string]any `json:"params"`
		Signature string
	}
	var file struct{ Valid []vector }
	loadJSON(t, "signature_vectors.json", &file)
	if len(file.Valid) < 10 {
		t.Fatalf("%d vectors", len(file.Valid))
	}
	for _, v := range file.Valid {
		t.Run(v.Name, func(t *testing.T) {
			if got := sign(v.AuthToken, v.SignedURL, asForm(t, v.Params)); got != v.Signature {
				t.Errorf("signature %s; want %s", got, v.Signature)
			}
		})
	}
}

func TestSignatureOfWebhooks(t *testing.T) {
	var file struct {
		AuthToken string `json:"auth_token"`
		Webhooks  []struct {
			Name, Method, URL string
			Headers           map[string]string
			Params            map[string]any
		}
	}
	loadJSON(t, "webhooks.json", &file)
	for _, w := range file.Webhooks {
		t.Run(w.Name, func(t *testing.T) {
			u, err := url.Parse(w.URL)
			if err != nil {
				t.Fatal(err)
			}
			if got := sign(file.AuthToken, signedURL(u), asForm(t, w.Params)); got != w.Headers["X-Twilio-Signature"] {
				t.Errorf("signature %s; want %s", got, w.Headers["X-Twilio-Signature"])
			}
		})
	}
}

func TestSignedURL(t *testing.T) {
	tests := []struct{ name, url, want string }{
		{"https loses its port", "https://a.test:8443/x?y=1", "https://a.test/x?y=1"},
		{"http keeps its port", "http://a.test:8080/x", "http://a.test:8080/x"},
		{"a socket keeps its port", "wss://a.test:8443/x", "wss://a.test:8443/x"},
		{"name and password go", "https://me:secret@a.test/x", "https://a.test/x"},
		{"an IPv6 address stays whole", "https://[2001:db8::1]:443/x", "https://[2001:db8::1]/x"},
		{"escapes stay as they are", "https://a.test/a%2Fb%20c?d=e+f%20g'", "https://a.test/a%2Fb%20c?d=e+f%20g'"},
		{"slashes stay as they are", "https://a.test//a/", "https://a.test//a/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			if got := signedURL(u); got != tt.want {
				t.Errorf("%s; want %s", got, tt.want)
			}
		})
	}
}

func TestOverrides(t *testing.T) {
	plain := override{5 * time.Second, 15 * time.Second, 15 * time.Second, 1, []string{"ct"}}
	tests := []struct {
		name, url string
		want      override
	}{
		{"none", "https://a.test/x", plain},
		{"all of them", "https://a.test/x#ct=2000&rt=500&tt=9000&rc=3&rp=5xx,rt",
			override{2 * time.Second, 500 * time.Millisecond, 9 * time.Second, 3, []string{"5xx", "rt"}}},
		{"out of bounds", "https://a.test/x#ct=10&rt=99999&rc=6", plain},
		{"nonsense", "https://a.test/x#%zz", plain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, got := overrides(tt.url, &twilioPatience)
			if u != "https://a.test/x" || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s, %+v; want %+v", u, got, tt.want)
			}
		})
	}
	every := override{policy: []string{"all"}}
	if !every.retry("4xx") || every.retry("") || plain.retry("5xx") {
		t.Error("retry does not follow the policy")
	}
}

var absolute = &url.URL{Scheme: "https", Host: "a.test", Path: "/dir/answer"}

func TestParseTwiML(t *testing.T) {
	post := instruction{method: "POST"}
	post.url = "https://a.test/dir/next?a=1"
	tests := []struct {
		name, twiml string
		want        []verb
	}{
		{"empty", `<Response/>`, []verb{}},
		{"words, with marks in them", `<?xml version="1.0" encoding="ISO-8859-1"?><Response><!-- x --><Say voice="alice"> Hi <b>you</b>! </Say></Response>`,
			[]verb{&say{"Hi you!", 1}}},
		{"words for ever", `<Response><Say loop="0">x</Say></Response>`, []verb{&say{"x", maxLoop}}},
		{"digits", `<Response><Play digits="ww1234#"/></Response>`, []verb{&playDigits{"ww1234#"}}},
		{"a file", `<Response><Play loop="2">/a.wav</Play></Response>`, []verb{&playURL{"https://a.test/a.wav", 2}}},
		{"pauses", `<Response><Pause/><Pause length="0"/><Pause length="5"/></Response>`,
			[]verb{&pause{time.Second}, &pause{0}, &pause{5 * time.Second}}},
		{"a relative redirect", `<Response><Redirect>next?a=1</Redirect></Response>`, []verb{&redirect{post}}},
		{"the ends", `<Response><Hangup/><Reject/><Reject reason="busy"/></Response>`, []verb{&hangup{}, &reject{}, &reject{true}}},
		{"a stream", `<Response><Connect action="next?a=1"><Stream url="wss://b.test/s" name="n" statusCallback="/st" statusCallbackMethod="get" track="inbound_track"><Parameter name="k" value="&lt;v&gt;"/></Stream></Connect></Response>`,
			[]verb{&connect{url: "wss://b.test/s", name: "n", params: [][2]string{{"k", "<v>"}}, statusURL: "https://a.test/st", statusMethod: "GET", action: &post, format: audio.Telephone}}},
		{"a conference", `<Response><Dial timeLimit="60" hangupOnStar="true" action="next?a=1"><Conference muted="true" startConferenceOnEnter="false" endConferenceOnExit="true" beep="onEnter" waitUrl="" statusCallback="/st" statusCallbackEvent="start leave odd">room-42</Conference></Dial></Response>`,
			[]verb{&confer{name: "room-42", ends: true, muted: true, alone: true, enter: 1, star: true, limit: time.Minute, action: &post,
				statusURL: "https://a.test/st", statusMethod: "POST", statusEvents: map[conferenceEvent]bool{conferenceStart: true, memberLeave: true}}}},
		{"a conference of which nothing is said", `<Response><Dial><Conference>x</Conference></Dial></Response>`,
			[]verb{&confer{name: "x", starts: true, alone: true, music: true, enter: 1, exit: 1, limit: defaultLimit, statusMethod: "POST", statusEvents: map[conferenceEvent]bool{}}}},
		{"a bare number", `<Response><Dial callerId="+15005550006" timeout="2">+14155550199</Dial></Response>`,
			[]verb{&dialNumber{to: "+14155550199", callerID: "+15005550006", order: order{statusMethod: "POST", timeout: 10 * time.Second, limit: defaultLimit}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := (&twilio{}).parse([]byte(tt.twiml), absolute)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("verbs %s\nwant  %s", show(got), show(tt.want))
			}
		})
	}
}

func show(verbs []verb) string {
	var b strings.Builder
	for _, v := range verbs {
		fmt.Fprintf(&b, "%T%+v ", v, v)
	}
	return b.String()
}

func TestParseTwiMLRefuses(t *testing.T) {
	tests := []struct{ name, twiml, want string }{
		{"nothing", ``, "empty"},
		{"no XML", `hello`, "empty"},
		{"another root", `<html/>`, "want Response"},
		{"two roots", `<Response/><Response/>`, "more than one root"},
		{"an open element", `<Response><Say>`, "EOF"},
		{"an unknown verb", `<Response><Gather/></Response>`, "Gather: this verb is not simulated"},
		{"a verb in lower case", `<Response><say/></Response>`, "not simulated"},
		{"a one-way stream", `<Response><Start><Stream url="wss://a/b"/></Start></Response>`, "Start: this verb is not simulated"},
		{"a conference without a name", `<Response><Dial><Conference/></Dial></Response>`, "no name"},
		{"a strange beep", `<Response><Dial><Conference beep="loud">x</Conference></Dial></Response>`, "beep"},
		{"two numbers", `<Response><Dial><Number>+14155550199</Number><Number>+14155550199</Number></Dial></Response>`, "only one Number"},
		{"not a number", `<Response><Dial>100</Dial></Response>`, "13224"},
		{"both tracks", `<Response><Connect><Stream url="wss://a/b" track="both_tracks"/></Connect></Response>`, "31941"},
		{"a long parameter", `<Response><Connect><Stream url="wss://a/b"><Parameter name="k" value="` + strings.Repeat("x", 500) + `"/></Stream></Connect></Response>`, "too long"},
		{"a long pause", `<Response><Pause length="x"/></Response>`, "seconds"},
		{"too deep", strings.Repeat("<Response>", 9), "too many"},
		{"too many", "<Response>" + strings.Repeat("<Pause/>", maxElements) + "</Response>", "too many"},
		{"too long", "<Response>" + strings.Repeat(" ", maxTwimlDocument) + "</Response>", "65536 bytes"},
		{"bad digits", `<Response><Play digits="x"/></Response>`, "digits"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := (&twilio{}).parse([]byte(tt.twiml), absolute)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want one with %q", err, tt.want)
			}
		})
	}
	if _, err := (&twilio{}).parse([]byte(`<Response><Redirect>next</Redirect></Response>`), nil); err == nil {
		t.Error("a relative address was resolved without a base")
	}
}

func FuzzParseTwiML(f *testing.F) {
	var file struct{ Replies map[string]string }
	loadJSON(f, "twiml.json", &file)
	for _, doc := range file.Replies {
		f.Add([]byte(doc))
	}
	f.Add([]byte(`<Response><Dial hangupOnStar="true"><Conference beep="onExit" waitUrl="" statusCallbackEvent="join leave">room</Conference></Dial></Response>`))
	f.Add([]byte(`<Response><Dial timeout="5"><Number sendDigits="1w">+14155550199</Number></Dial></Response>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		verbs, err := (&twilio{}).parse(doc, absolute)
		if err != nil && verbs != nil || len(verbs) > maxElements {
			t.Errorf("%d verbs, %v", len(verbs), err)
		}
		for _, v := range verbs {
			if v, ok := v.(*pause); ok && (v.length < 0 || v.length > maxPause) {
				t.Errorf("a pause of %v", v.length)
			}
		}
	})
}

const fixtureSID = "MZ0123456789abcdef0123456789abcdef"

func TestReadMediaRefuses(t *testing.T) {
	var file struct {
		Bad []struct{ Name, Raw string } `json:"server_to_twilio"`
	}
	loadJSON(t, "stream_bad_messages.json", &file)
	for _, m := range file.Bad {
		if m.Raw == "" || m.Name == "wav_header_in_payload" { // which is noise, not an error
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			if cmd, err := readMedia([]byte(m.Raw), fixtureSID); err == nil {
				t.Errorf("read as %+v", cmd)
			}
		})
	}
	for _, raw := range []string{
		`{"event":"media","streamSid":"` + fixtureSID + `"}`,
		`{"event":"mark","streamSid":"` + fixtureSID + `","mark":{}}`,
		`{"event":"media","streamSid":"` + fixtureSID + `","media":{"payload":""}}`,
		`{"event":"media","streamSid":"` + fixtureSID + `","media":{"payload":"//8\n="}}`,
		`[]`, `null`, `"media"`, ``,
	} {
		if cmd, err := readMedia([]byte(raw), fixtureSID); err == nil {
			t.Errorf("%s was read as %+v", raw, cmd)
		}
	}
}

func FuzzReadMedia(f *testing.F) {
	f.Add([]byte(`{"event":"media","streamSid":"` + fixtureSID + `","media":{"payload":"` + base64.StdEncoding.EncodeToString(make([]byte, 160)) + `"}}`))
	f.Add([]byte(`{"event":"mark","streamSid":"` + fixtureSID + `","mark":{"name":"u\u0031"}}`))
	f.Add([]byte(`{"event":"clear","streamSid":"` + fixtureSID + `"}`))
	f.Add([]byte(`{"event":"hangup","streamSid":"` + fixtureSID + `"}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd, err := readMedia(data, fixtureSID)
		if err == nil && cmd.kind == playAudio && (len(cmd.pcm) == 0 || len(cmd.pcm) > len(data)) {
			t.Errorf("%d samples in %d bytes", len(cmd.pcm), len(data))
		}
		if err != nil && !reflect.DeepEqual(cmd, command{}) {
			t.Errorf("%+v, %v", cmd, err)
		}
	})
}

func TestMessagesOfAStream(t *testing.T) {
	s := &stream{connect: &connect{params: [][2]string{{"a", `"`}}}, sid: "MZ1", call: &call{sid: "CA1"}}
	m := &mediaStream{account: "AC1", stream: s}
	got := m.opening()
	got = append(got, m.media(nil, 1, 5*time.Millisecond, []byte{0xff, 0xfe}), m.key(nil, '#'), m.mark(nil, `"é`), m.stop(nil))
	want := []string{
		`{"event":"connected","protocol":"Call","version":"1.0.0"}`,
		`{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"a":"\""}},"streamSid":"MZ1"}`,
		`{"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"//4="},"streamSid":"MZ1"}`,
		`{"event":"dtmf","sequenceNumber":"3","dtmf":{"track":"inbound_track","digit":"#"},"streamSid":"MZ1"}`,
		`{"event":"mark","sequenceNumber":"4","mark":{"name":"\"é"},"streamSid":"MZ1"}`,
		`{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"AC1","callSid":"CA1"},"streamSid":"MZ1"}`,
	}
	for i, w := range want {
		if string(got[i]) != w {
			t.Errorf("message %d: %s\nwant %s", i, got[i], w)
		}
	}
	buf := make([]byte, 0, 1024)
	payload := make([]byte, 160)
	if n := testing.AllocsPerRun(100, func() { m.media(buf, 1, time.Second, payload) }); n != 0 {
		t.Errorf("a media message takes %v allocations", n)
	}
}

func TestDefaultCredentialsPassAsReal(t *testing.T) {
	if len(DefaultAccountSID) != 34 || !strings.HasPrefix(DefaultAccountSID, "AC") || len(DefaultAuthToken) != 32 {
		t.Errorf("%s, %s", DefaultAccountSID, DefaultAuthToken)
	}
}

func TestDialerRefusesWhatIsNotLoopback(t *testing.T) {
	c := New(Config{})
	defer c.Close()
	// RFC 5737: nobody has this address.
	_, err := c.fetchAudio(t.Context(), "http://192.0.2.1/a.wav")
	if err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("error %v", err)
	}
	s := &stream{connect: &connect{url: "ws://192.0.2.1/s"}, language: &mediaStream{}, call: &call{carrier: c}}
	if _, problem := s.address(); problem == nil || problem.code != streamScheme {
		t.Errorf("ws to a far address: %v; want 31922", problem)
	}
	s.url = "ws://localhost:1/s?token=1#f"
	if at, problem := s.address(); problem != nil || at != "ws://localhost:1/s" {
		t.Errorf("ws to loopback: %q, %v", at, problem)
	}
}
