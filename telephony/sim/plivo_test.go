package sim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
)

// mustParse parses an address that is known to be good.
func mustParse(t testing.TB, address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestPlivoSignatureVectors(t *testing.T) {
	var file struct {
		V3 []struct {
			Name, Method, URI, Nonce, Signature string
			AuthToken                           string `json:"auth_token"`
			Params                              map[string]any
		}
	}
	loadJSON(t, "plivo_signature_vectors.json", &file)
	if len(file.V3) < 18 {
		t.Fatalf("%d vectors", len(file.V3))
	}
	for _, v := range file.V3 {
		t.Run(v.Name, func(t *testing.T) {
			u, params := mustParse(t, v.URI), asForm(t, v.Params)
			if v.Method == http.MethodGet { // as a GET is sent
				u, params = withQuery(u, params), nil
			}
			if got := signV3(v.AuthToken, u, params, v.Nonce); got != v.Signature {
				t.Errorf("signature %s; want %s", got, v.Signature)
			}
		})
	}
}

func TestPlivoSignatureOfWebhooks(t *testing.T) {
	var file struct {
		AuthToken string `json:"auth_token"`
		Nonce     string
		Webhooks  []struct {
			Name, Method, URL string
			Headers           map[string]string
			Params            map[string]any
		}
	}
	loadJSON(t, "plivo_webhooks.json", &file)
	for _, w := range file.Webhooks {
		t.Run(w.Name, func(t *testing.T) {
			got := signV3(file.AuthToken, mustParse(t, w.URL), asForm(t, w.Params), file.Nonce)
			if got != w.Headers["X-Plivo-Signature-V3"] {
				t.Errorf("signature %s; want %s", got, w.Headers["X-Plivo-Signature-V3"])
			}
		})
	}
}

func TestNonces(t *testing.T) {
	a, b := newNonce(), newNonce()
	if a == b || len(a) != 20 || strings.Trim(a, "0123456789") != "" {
		t.Errorf("nonces %q, %q", a, b)
	}
}

func TestPlivoPatience(t *testing.T) {
	address, o := overrides("https://a.test/x#ct=2500&rt=40000&tt=55000&rc=2&rp=5xx&er=mumbai", &plivoPatience)
	want := override{2500 * time.Millisecond, 40 * time.Second, 55 * time.Second, 2, []string{"5xx"}}
	if address != "https://a.test/x" || !reflect.DeepEqual(o, want) {
		t.Errorf("%s: %+v; want %+v", address, o, want)
	}
	if _, o = overrides("https://a.test/x#ct=20000&rc=9", &plivoPatience); !reflect.DeepEqual(o, plivoPatience.override) {
		t.Errorf("what is out of bounds gives %+v", o)
	}
}

func TestParsePlivoXML(t *testing.T) {
	post := instruction{url: "https://a.test/dir/next?a=1", method: "POST"}
	linear := audio.Format{Encoding: audio.PCM16, Rate: 8000}
	tests := []struct {
		name, xml string
		want      []verb
	}{
		{"empty", `<Response/>`, []verb{}},
		{"words", `<Response><Speak voice="MAN" language="en-GB"> Hi <break/> you </Speak></Response>`, []verb{&say{"Hi  you", 1}}},
		{"a file, twice", `<Response><Play loop="2">/a.wav</Play></Response>`, []verb{&playURL{"https://a.test/a.wav", 2}}},
		{"waits", `<Response><Wait/><Wait length="5"/></Response>`, []verb{&pause{time.Second}, &pause{5 * time.Second}}},
		{"digits", `<Response><DTMF>1w2#</DTMF></Response>`, []verb{&playDigits{"1w2#"}}},
		{"a redirect", `<Response><Redirect>next?a=1</Redirect></Response>`, []verb{&redirect{post}}},
		{"the ends", `<Response><Hangup/><Hangup reason="rejected"/><Hangup reason="busy"/></Response>`, []verb{&hangup{}, &reject{}, &reject{true}}},
		{"a stream", `<Response><Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000" streamTimeout="60"
			statusCallbackUrl="/st" statusCallbackMethod="GET" extraHeaders="a=1, b=2">wss://b.test/s?x=1&amp;y=2</Stream></Response>`,
			[]verb{&connect{url: "wss://b.test/s?x=1&y=2", format: audio.Telephone, limit: time.Minute, statusURL: "https://a.test/st", statusMethod: "GET", params: [][2]string{{"a", "1"}, {"b", "2"}}}}},
		{"a stream without attributes", `<Response><Stream>wss://b.test/s</Stream></Response>`,
			[]verb{&connect{url: "wss://b.test/s", format: linear, oneWay: true, aside: true, limit: defaultStream, statusMethod: "POST"}}},
		{"a conference", `<Response><Conference muted="true" stayAlone="false" hangupOnStar="true" exitSound="beep:2" callbackUrl="/cb" action="next?a=1" redirect="false">room</Conference></Response>`,
			[]verb{&confer{name: "room", starts: true, muted: true, music: true, exit: 2, star: true, limit: 24 * time.Hour, action: &post, aside: true,
				statusURL: "https://a.test/cb", statusMethod: "POST", statusEvents: map[conferenceEvent]bool{memberJoin: true, memberLeave: true}}}},
		{"a number", `<Response><Dial callerId="15005550006" timeout="20" action="next?a=1"><Number sendDigits="1w">14155550199</Number></Dial></Response>`,
			[]verb{&dialNumber{to: "+14155550199", callerID: "+15005550006", action: &post, order: order{timeout: 20 * time.Second, limit: defaultLimit, digits: "1w"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := (&plivo{}).parse([]byte(tt.xml), absolute)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("verbs %+v; want %+v", got, tt.want)
			}
		})
	}
}

func TestParsePlivoXMLRefuses(t *testing.T) {
	in := func(attrs string) string { return `<Response><Stream ` + attrs + `>wss://b.test/s</Stream></Response>` }
	tests := []struct{ name, xml, want string }{
		{"the element of another company", `<Response><Reject/></Response>`, "Reject: this element is not simulated"},
		{"another root", `<Stream/>`, "want Response"},
		{"no XML", `hello`, "empty"},
		{"an open element", `<Response><Wait>`, "EOF"},
		{"too long", `<Response>` + strings.Repeat(" ", maxPlivoDocument) + `</Response>`, "longer than"},
		{"a reason of its own", `<Response><Hangup reason="bored"/></Response>`, "reason"},
		{"both tracks both ways", in(`bidirectional="true" audioTrack="both"`), "bidirectional"},
		{"the other track", in(`audioTrack="outbound"`), "not simulated"},
		{"no track", in(`audioTrack="left"`), "audioTrack"},
		{"a format that is not carried", in(`contentType="audio/x-l16;rate=24000"`), "contentType"},
		{"neither true nor false", in(`bidirectional="yes"`), "bidirectional"},
		{"headers that are no pairs", in(`extraHeaders="abc"`), "extraHeaders"},
		{"long headers", in(`extraHeaders="a=` + strings.Repeat("x", 512) + `"`), "longer"},
		{"a long address", `<Response><Stream>wss://` + strings.Repeat("x", maxStreamURL) + `</Stream></Response>`, "longer"},
		{"two numbers", `<Response><Dial><Number>1</Number><Number>2</Number></Dial></Response>`, "only one Number"},
		{"no number", `<Response><Dial><Number>x</Number></Dial></Response>`, "not a number"},
		{"no digits", `<Response><DTMF/></Response>`, "digits"},
		{"a conference without a name", `<Response><Conference/></Response>`, "no name"},
		{"the sound of an address", `<Response><Conference enterSound="http://a.test/b">x</Conference></Response>`, "not simulated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v, err := (&plivo{}).parse([]byte(tt.xml), absolute); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, error %v; want one with %q", v, err, tt.want)
			}
		})
	}
}

func FuzzParsePlivoXML(f *testing.F) {
	var file struct{ Replies map[string]string }
	loadJSON(f, "plivo_xml.json", &file)
	for _, doc := range file.Replies {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		verbs, err := (&plivo{}).parse(doc, absolute)
		if err != nil && verbs != nil || len(verbs) > maxElements {
			t.Errorf("%d verbs, %v", len(verbs), err)
		}
		for _, v := range verbs {
			if c, ok := v.(*connect); ok && (c.format.Rate == 0 || c.limit <= 0 || len(c.url) > maxStreamURL) {
				t.Errorf("stream %+v", c)
			}
		}
	})
}

const fixtureStream = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"

func TestPlivoRefusesBadMessages(t *testing.T) {
	var file struct {
		Bad []struct{ Name, Raw string } `json:"server_to_plivo"`
	}
	loadJSON(t, "plivo_stream_bad_messages.json", &file)
	bad := map[string]string{
		"no JSON":              `{`,
		"no event":             `{}`,
		"no media":             `{"event":"playAudio"}`,
		"no payload":           `{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":""}}`,
		"payload no base64":    `{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"!"}}`,
		"rate in the type":     `{"event":"playAudio","media":{"contentType":"audio/x-mulaw;rate=8000","sampleRate":8000,"payload":"AAAA"}}`,
		"no rate":              `{"event":"playAudio","media":{"contentType":"audio/x-mulaw","payload":"AAAA"}}`,
		"another stream":       `{"event":"playAudio","streamId":"x","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"AAAA"}}`,
		"clear of no stream":   `{"event":"clearAudio"}`,
		"clear of another":     `{"event":"clearAudio","streamId":"x"}`,
		"checkpoint, nameless": `{"event":"checkpoint","streamId":"` + fixtureStream + `"}`,
		"keys that are none":   `{"event":"sendDTMF","dtmf":"x"}`,
		"no keys":              `{"event":"sendDTMF"}`,
		"a long message": `{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"` +
			base64.StdEncoding.EncodeToString(make([]byte, 50_000)) + `"}}`,
	}
	for _, m := range file.Bad {
		if m.Raw != "" {
			bad[m.Name] = m.Raw
		}
	}
	for name, raw := range bad {
		t.Run(name, func(t *testing.T) {
			if cmd, err := readPlivo([]byte(raw), fixtureStream, audio.Telephone); err == nil {
				t.Errorf("read %+v", cmd)
			}
		})
	}
	if _, err := readPlivo([]byte(`{"event":"playAudio","media":{"contentType":"audio/x-l16","sampleRate":8000,"payload":"AAAA"}}`),
		fixtureStream, audio.Format{Encoding: audio.PCM16, Rate: 8000}); err == nil {
		t.Error("a sample and a half was read")
	}
}

func TestPlivoReads(t *testing.T) {
	wide := audio.Format{Encoding: audio.PCM16, Rate: 16000}
	tests := []struct {
		name, raw string
		format    audio.Format
		want      command
	}{
		{"audio", `{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"//8="}}`, audio.Telephone, command{pcm: []int16{0, 0}}},
		{"audio whose rate is a string", `{"event":"playAudio","streamId":"` + fixtureStream + `","media":{"contentType":"audio/x-l16","sampleRate":"16000","payload":"AQACAA=="}}`, wide, command{pcm: []int16{1, 2}}},
		{"a checkpoint", `{"event":"checkpoint","streamId":"` + fixtureStream + `","name":"u-7"}`, wide, command{kind: setMark, text: "u-7"}},
		{"a clear", `{"event":"clearAudio","streamId":"` + fixtureStream + `"}`, wide, command{kind: clearAudio}},
		{"keys", `{"event":"sendDTMF","dtmf":"123#"}`, wide, command{kind: sendKeys, text: "123#"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readPlivo([]byte(tt.raw), fixtureStream, tt.format)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func FuzzReadPlivo(f *testing.F) {
	for _, raw := range []string{
		`{"event":"playAudio","media":{"contentType":"audio/x-l16","sampleRate":16000,"payload":"AAAA"}}`,
		`{"event":"checkpoint","streamId":"` + fixtureStream + `","name":"a"}`,
		`{"event":"clearAudio","streamId":"` + fixtureStream + `"}`,
		`{"event":"sendDTMF","dtmf":"1"}`,
		`{"event":"media","streamSid":"MZ","media":{"payload":"AAAA"}}`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd, err := readPlivo(data, fixtureStream, audio.Format{Encoding: audio.PCM16, Rate: 16000})
		switch {
		case err != nil && !reflect.DeepEqual(cmd, command{}):
			t.Errorf("%+v with %v", cmd, err)
		case err == nil && cmd.kind == setMark && cmd.text == "":
			t.Error("a checkpoint without a name")
		case err == nil && cmd.kind == sendKeys && !validDigits(cmd.text):
			t.Errorf("keys %q", cmd.text)
		}
	})
}

func TestPlivoMessagesOfAStream(t *testing.T) {
	begun := time.UnixMilli(1792490400000)
	newStream := func(q Quirks, format audio.Format) *plivoStream {
		p := &plivo{carrier: &Carrier{config: Config{AccountSID: "MA1", Quirks: q}}}
		s := &stream{connect: &connect{params: [][2]string{{"a", "1"}, {"b", "2"}}, format: format}, sid: "s1", call: &call{sid: "c1"}, begun: begun}
		return p.talk(s).(*plivoStream)
	}
	m := newStream(Quirks{}, audio.Telephone)
	got := append(m.opening(), m.media(nil, 1, 5*time.Millisecond, []byte{0xff, 0xfe}), m.mark(nil, `"é`), m.cleared(nil), m.stop(nil))
	got = append(got, newStream(Quirks{Headers: HeadersComma}, audio.Format{Encoding: audio.PCM16, Rate: 16000}).start(nil), newStream(Quirks{Headers: HeadersJSON}, audio.Telephone).start(nil))
	start := `{"event":"start","sequenceNumber":1,"start":{"callId":"c1","streamId":"s1","accountId":"MA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-%s","sampleRate":%d}},"extra_headers":%s}`
	want := []string{
		fmt.Sprintf(start, "mulaw", 8000, `"a=1;b=2"`),
		`{"event":"media","sequenceNumber":2,"streamId":"s1","media":{"track":"inbound","timestamp":"1792490400005","chunk":1,"payload":"//4="},"extra_headers":"a=1;b=2"}`,
		`{"event":"playedStream","sequenceNumber":3,"streamId":"s1","name":"\"é"}`,
		`{"event":"clearedAudio","sequenceNumber":4,"streamId":"s1"}`,
		`{"event":"stop","sequenceNumber":5,"streamId":"s1"}`,
		fmt.Sprintf(start, "l16", 16000, `"a=1,b=2"`),
		fmt.Sprintf(start, "mulaw", 8000, `"{\"a\":\"1\",\"b\":\"2\"}"`),
	}
	for i, w := range want {
		if string(got[i]) != w {
			t.Errorf("message %d: %s\nwant %s", i, got[i], w)
		}
	}
	if key := string(m.key(nil, '#')); !strings.HasPrefix(key, `{"event":"dtmf","sequenceNumber":6,"streamId":"s1","dtmf":{"track":"inbound","digit":"#","timestamp":"`) || !strings.HasSuffix(key, `"},"extra_headers":"a=1;b=2"}`) {
		t.Errorf("a key is %s", key)
	}
	if stop := newStream(Quirks{NoStop: true}, audio.Telephone).stop(nil); len(stop) > 0 {
		t.Errorf("stop is %s", stop)
	}
	buf, payload := make([]byte, 0, 1024), make([]byte, 160)
	if n := testing.AllocsPerRun(100, func() { m.media(buf, 1, time.Second, payload) }); n != 0 {
		t.Errorf("a media message takes %v allocations", n)
	}
}

func TestPlivoCauses(t *testing.T) {
	out, in := telephony.Outbound, telephony.Inbound
	tests := []struct {
		name      string
		direction telephony.Direction
		answered  bool
		ending    ending
		want      cause
	}{
		{"the callee hangs up", out, true, ending{by: ByCallee}, cause{4000, "Normal Hangup", "Callee", "completed", "NORMAL_CLEARING"}},
		{"nothing is left to do", in, true, ending{by: ByCallee, how: atLastVerb}, cause{4010, "End Of XML Instructions", "Answer XML", "completed", "NORMAL_CLEARING"}},
		{"the application hangs up", out, true, ending{by: ByCaller, how: onRequest}, cause{4000, "Normal Hangup", "API Request", "completed", "NORMAL_CLEARING"}},
		{"it lasted too long", out, true, ending{by: ByCarrier, how: atLimit}, cause{6000, "Scheduled Hangup", "Plivo", "completed", "NORMAL_CLEARING"}},
		{"a machine answers", out, true, ending{by: ByCarrier, how: foundMachine}, cause{9100, "Machine Detected", "Plivo", "completed", "NORMAL_CLEARING"}},
		{"busy", out, false, ending{by: ByCallee, status: telephony.StatusBusy, sip: 486}, cause{3010, "Busy Line", "Callee", "busy", "USER_BUSY"}},
		{"nobody answers", out, false, ending{by: ByCarrier, status: telephony.StatusNoAnswer, sip: 480}, cause{3000, "No Answer", "Carrier", "no-answer", "NO_ANSWER"}},
		{"nobody answers in time", out, false, ending{by: ByCarrier, status: telephony.StatusNoAnswer, sip: 487}, cause{6010, "Ring Timeout Reached", "Plivo", "timeout", "NO_ANSWER"}},
		{"there is no such number", out, false, ending{by: ByCarrier, status: telephony.StatusFailed, sip: 404}, cause{3050, "Unallocated Number", "Carrier", "failed", "UNALLOCATED_NUMBER"}},
		{"it is cancelled", out, false, ending{by: ByCaller, status: telephony.StatusCanceled, how: onRequest}, cause{1000, "Cancelled", "API Request", "cancel", "ORIGINATOR_CANCEL"}},
		{"the application rejects", in, false, ending{by: ByCallee, status: telephony.StatusNoAnswer, sip: 403, how: byVerb}, cause{3020, "Rejected", "Answer XML", "completed", "CALL_REJECTED"}},
		{"the answer URL fails", in, false, ending{by: ByCarrier, status: telephony.StatusFailed, err: &hookError{hookFailed, ErrClosed}}, cause{7011, "Error Reaching Answer URL", "Error", "completed", "NORMAL_CLEARING"}},
		{"its XML is bad", out, true, ending{by: ByCarrier, err: &hookError{hookDocument, ErrClosed}}, cause{8011, "Invalid Answer XML", "Error", "completed", "NORMAL_CLEARING"}},
		{"a file cannot be fetched", out, true, ending{by: ByCarrier, err: errors.New("no")}, cause{0, "Unknown", "Unknown", "completed", "NETWORK_OUT_OF_ORDER"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &call{direction: tt.direction, ending: &tt.ending}
			if tt.answered {
				c.answered = time.Unix(1, 0)
			}
			if got := (&plivo{}).cause(c); got != tt.want {
				t.Errorf("%+v; want %+v", got, tt.want)
			}
		})
	}
}
