package twilio

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/telephony"
)

func testProvider() *Provider {
	return &Provider{AccountSID: testAccount, AuthToken: testToken}
}

type capturedWebhook struct {
	Name, Method, URL, Body string
	Headers, Params         map[string]string
}

func (c capturedWebhook) webhook() *telephony.Webhook {
	h := http.Header{}
	for name, value := range c.Headers {
		h.Set(name, value)
	}
	return &telephony.Webhook{Method: c.Method, URL: c.URL, Header: h, Body: []byte(c.Body)}
}

func capturedWebhooks(t testing.TB) map[string]capturedWebhook {
	var file struct{ Webhooks []capturedWebhook }
	readFixture(t, "webhooks.json", &file)
	all := make(map[string]capturedWebhook)
	for _, w := range file.Webhooks {
		all[w.Name] = w
	}
	return all
}

// signed returns a form webhook as Twilio would send it.
func signed(token telephony.Secret, address string, form url.Values) *telephony.Webhook {
	h := http.Header{}
	h.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	h.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(sign(token, address+signedParams(form))))
	return &telephony.Webhook{Method: http.MethodPost, URL: address, Header: h, Body: []byte(form.Encode())}
}

func TestSignatureVectors(t *testing.T) {
	type vector struct {
		Name, Method, Signature, Body string
		Token                         telephony.Secret `json:"auth_token"`
		URL                           string           `json:"verify_url"`
		Params                        map[string]string
		Repeated                      map[string][]string
	}
	var file struct{ Valid, Invalid []vector }
	readFixture(t, "signature_vectors.json", &file)

	check := func(v vector, valid bool) {
		t.Run(v.Name, func(t *testing.T) {
			form := url.Values(v.Repeated)
			if form == nil {
				form = url.Values{}
			}
			for name, value := range v.Params {
				form.Set(name, value)
			}
			w := &telephony.Webhook{Method: v.Method, URL: v.URL, Header: http.Header{}, Body: []byte(v.Body)}
			if w.Method == "" {
				w.Method = http.MethodPost
			}
			w.Header.Set("X-Twilio-Signature", v.Signature)
			w.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if v.Body != "" {
				w.Header.Set("Content-Type", "application/json")
			} else if w.Method == http.MethodPost {
				w.Body = []byte(form.Encode())
			}
			err := (&Provider{AuthToken: v.Token}).Verify(w)
			if valid != (err == nil) || err != nil && !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("error is %v, want valid %t", err, valid)
			}
			if valid && v.Body != "" {
				w.Body[2]++
				if (&Provider{AuthToken: v.Token}).Verify(w) == nil {
					t.Error("another body passes")
				}
			}
		})
	}
	for _, v := range file.Valid {
		check(v, true)
	}
	for _, v := range file.Invalid {
		check(v, false)
	}
}

func TestEveryTokenVerifiesAndNoEmptyOneDoes(t *testing.T) {
	form := url.Values{"AccountSid": {testAccount}, "CallSid": {testCall}}
	for _, tt := range []struct {
		name     string
		provider *Provider
		signer   telephony.Secret
		want     bool
	}{
		{"the token", &Provider{AuthToken: "new"}, "new", true},
		{"a previous token", &Provider{AuthToken: "new", PreviousTokens: []telephony.Secret{"older", "old"}}, "old", true},
		{"another token", &Provider{AuthToken: "new"}, "old", false},
		{"an empty token", &Provider{}, "", false},
		{"an empty previous token", &Provider{AuthToken: "new", PreviousTokens: []telephony.Secret{""}}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.provider.Verify(signed(tt.signer, "https://voice.example.com/x", form))
			if (err == nil) != tt.want {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestCapturedWebhooks(t *testing.T) {
	at := func(second, nano int) time.Time { return time.Date(2026, 10, 20, 10, 0, second, nano, time.UTC) }
	const us, them = "+15005550001", "+14155550100"
	out := func(status telephony.Status, sequence int, at time.Time) telephony.Event {
		return telephony.Event{From: us, To: them, Status: status, Sequence: sequence, At: at}
	}
	in := func(from telephony.Number, status telephony.Status) telephony.Event {
		return telephony.Event{Direction: telephony.Inbound, From: from, To: "+15005550006", Status: status, Sequence: -1}
	}
	with := func(e telephony.Event, change func(*telephony.Event)) telephony.Event { change(&e); return e }
	amd := func(by telephony.AnsweredBy) telephony.Event { return telephony.Event{Sequence: -1, AnsweredBy: by} }
	recording := func(status telephony.RecordingStatus) *telephony.RecordingReport {
		return &telephony.RecordingReport{
			ID: testRecording, Status: status, Channels: 2,
			URL: "https://api.twilio.com/2010-04-01/Accounts/" + testAccount + "/Recordings/" + testRecording,
		}
	}
	want := map[string]telephony.Event{
		"inbound_voice":               in(them, telephony.StatusRinging),
		"inbound_voice_anonymous":     in("anonymous", telephony.StatusRinging),
		"inbound_voice_get":           in(them, telephony.StatusRinging),
		"outbound_answer_sync_amd":    with(out(telephony.StatusInProgress, -1, time.Time{}), func(e *telephony.Event) { e.AnsweredBy = telephony.AnsweredByHuman }),
		"status_initiated":            out(telephony.StatusInitiated, 0, at(0, 0)),
		"status_in-progress":          out(telephony.StatusInProgress, 2, at(2, 0)),
		"status_busy":                 with(out(telephony.StatusBusy, 2, at(2, 0)), func(e *telephony.Event) { e.Cause = "486" }),
		"status_failed":               with(out(telephony.StatusFailed, 1, at(1, 0)), func(e *telephony.Event) { e.Cause = "404" }),
		"amd_async_human":             amd(telephony.AnsweredByHuman),
		"amd_async_machine_end_beep":  amd(telephony.AnsweredByBeep),
		"amd_async_machine_end_other": amd(telephony.AnsweredByMachine),
		"amd_async_unknown":           amd(telephony.AnsweredByUnknown),
		"stream_stream-stopped":       {Sequence: -1, At: at(4, 123e6), StreamStatus: "stream-stopped"},
		"recording_in_progress":       {Sequence: -1, At: at(5, 0), Recording: recording(telephony.RecordingInProgress)},
		"recording_absent":            {Sequence: -1, Recording: recording(telephony.RecordingAbsent)},
		"dial_action":                 with(in(them, telephony.StatusInProgress), func(e *telephony.Event) { e.Dialed = telephony.StatusCompleted }),
	}
	captured := capturedWebhooks(t)
	if len(captured) != len(want) {
		t.Errorf("%d captured webhooks, %d expectations", len(captured), len(want))
	}
	ids := make(map[string]string)
	for name, c := range captured {
		t.Run(name, func(t *testing.T) {
			got, err := testProvider().ParseEvent(c.webhook())
			if err != nil {
				t.Fatal(err)
			}
			if other, taken := ids[got.ID]; taken || len(got.ID) != 32 {
				t.Errorf("ID %q is also that of %q", got.ID, other)
			}
			ids[got.ID] = name
			if c.Method == http.MethodPost {
				if diff := cmp.Diff(c.Params, got.Fields); diff != "" {
					t.Errorf("fields (-want +got)\n%s", diff)
				}
			} else if got.Fields["tenant"] != "7" {
				t.Errorf("fields are %v", got.Fields)
			}
			got.ID, got.Fields = "", nil
			wanted := want[name]
			wanted.ProviderCallID = testCall
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEndOfCallTellsDurationAndCause(t *testing.T) {
	for _, tt := range []struct {
		name     string
		change   map[string]string
		status   telephony.Status
		duration time.Duration
		cause    string
	}{
		{"completed after a minute", map[string]string{"CallStatus": "completed", "CallDuration": "62", "Duration": "2", "SipResponseCode": "200"}, telephony.StatusCompleted, 62 * time.Second, "200"},
		{"no answer", map[string]string{"CallStatus": "no-answer", "SipResponseCode": "487"}, telephony.StatusNoAnswer, 0, "487"},
		{"canceled", map[string]string{"CallStatus": "canceled"}, telephony.StatusCanceled, 0, ""},
		{"an error code weighs more than the network's", map[string]string{"CallStatus": "failed", "ErrorCode": "13224", "SipResponseCode": "404"}, telephony.StatusFailed, 0, "13224"},
		{"an error of a live call is no cause", map[string]string{"CallStatus": "in-progress", "ErrorCode": "11200"}, telephony.StatusInProgress, 0, ""},
		{"a status of the future", map[string]string{"CallStatus": "on-hold"}, telephony.StatusUnknown, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form := formOf(capturedWebhooks(t)["status_in-progress"])
			for name, value := range tt.change {
				form.Set(name, value)
			}
			e, err := testProvider().ParseEvent(signed(testToken, "https://voice.example.com/s", form))
			if err != nil {
				t.Fatal(err)
			}
			if e.Status != tt.status || e.Duration != tt.duration || e.Cause != tt.cause {
				t.Errorf("got %v, %v, %q", e.Status, e.Duration, e.Cause)
			}
		})
	}
}

// both parses a webhook as a POST and as a GET, which must say the same.
func both(t *testing.T, form url.Values) (telephony.Event, error) {
	t.Helper()
	const address = "https://voice.example.com/s"
	posted, err := testProvider().ParseEvent(signed(testToken, address, form))
	w := signed(testToken, address+"?"+form.Encode(), nil)
	w.Method, w.Body = http.MethodGet, nil
	got, getErr := testProvider().ParseEvent(w)
	if (err == nil) != (getErr == nil) {
		t.Errorf("error is %v by POST, %v by GET", err, getErr)
	}
	posted.ID, got.ID = "", ""
	if diff := cmp.Diff(posted, got); diff != "" {
		t.Errorf("by POST and by GET (-post +get)\n%s", diff)
	}
	return posted, err
}

func TestResultOfADial(t *testing.T) {
	for word, want := range map[string]telephony.Status{
		"completed": telephony.StatusCompleted,
		"answered":  telephony.StatusCompleted,
		"busy":      telephony.StatusBusy,
		"no-answer": telephony.StatusNoAnswer,
		"canceled":  telephony.StatusCanceled,
		"failed":    telephony.StatusFailed,
		"eloped":    telephony.StatusUnknown,
	} {
		t.Run(word, func(t *testing.T) {
			form := formOf(capturedWebhooks(t)["dial_action"])
			form.Set("DialCallStatus", word)
			e, err := both(t, form)
			if err != nil || e.Dialed != want || e.Status != telephony.StatusInProgress || e.Fields["DialCallStatus"] != word {
				t.Errorf("dialed %v, status %v, error %v; want %v", e.Dialed, e.Status, err, want)
			}
		})
	}
}

func TestReportsOfARecording(t *testing.T) {
	const address = "https://api.twilio.com/2010-04-01/Accounts/" + testAccount + "/Recordings/" + testRecording
	for _, tt := range []struct {
		name   string
		base   string
		change map[string]string
		want   *telephony.RecordingReport
	}{
		{"completed", "recording_absent", map[string]string{"RecordingStatus": "completed", "RecordingDuration": "58", "ErrorCode": "0"},
			&telephony.RecordingReport{ID: testRecording, Status: telephony.RecordingCompleted, Duration: 58 * time.Second, Channels: 2, URL: address}},
		{"mixed", "recording_absent", map[string]string{"RecordingStatus": "completed", "RecordingChannels": "1", "RecordingDuration": "0"},
			&telephony.RecordingReport{ID: testRecording, Status: telephony.RecordingCompleted, Channels: 1, URL: address}},
		{"a status of the future", "recording_absent", map[string]string{"RecordingStatus": "archived"},
			&telephony.RecordingReport{ID: testRecording, Channels: 2, URL: address}},
		{"with the end of the call", "status_busy", map[string]string{"CallStatus": "completed", "RecordingSid": testRecording, "RecordingUrl": address, "RecordingDuration": "7"},
			&telephony.RecordingReport{ID: testRecording, Status: telephony.RecordingCompleted, Duration: 7 * time.Second, URL: address}},
		{"without a status, of a live call", "status_in-progress", map[string]string{"RecordingSid": testRecording, "RecordingUrl": address}, nil},
		{"with an address of something else", "recording_absent", map[string]string{"RecordingUrl": "https://evil.example.com/x"}, nil},
		{"without an id", "recording_absent", map[string]string{"RecordingSid": ""}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form := formOf(capturedWebhooks(t)[tt.base])
			for name, value := range tt.change {
				form.Set(name, value)
			}
			e, err := both(t, form)
			if tt.want == nil {
				if !errors.Is(err, telephony.ErrUnverified) {
					t.Errorf("recording %+v, error %v; want ErrUnverified", e.Recording, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, e.Recording); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWhoAnswered(t *testing.T) {
	for word, want := range map[string]telephony.AnsweredBy{
		"human": telephony.AnsweredByHuman, "machine_start": telephony.AnsweredByMachine,
		"machine_end_beep": telephony.AnsweredByBeep, "machine_end_silence": telephony.AnsweredByMachine,
		"machine_end_other": telephony.AnsweredByMachine, "fax": telephony.AnsweredByFax,
		"unknown": telephony.AnsweredByUnknown, "robot": telephony.AnsweredByUnknown,
	} {
		form := formOf(capturedWebhooks(t)["amd_async_human"])
		form.Set("AnsweredBy", word)
		if e, err := both(t, form); err != nil || e.AnsweredBy != want || e.Fields["AnsweredBy"] != word {
			t.Errorf("%s: answered by %q, error %v; want %q", word, e.AnsweredBy, err, want)
		}
	}
}

func formOf(c capturedWebhook) url.Values {
	form := url.Values{}
	for name, value := range c.Params {
		form.Set(name, value)
	}
	return form
}

// What carries a right signature and is refused, or accepted, nevertheless.
func TestSignedWebhooksOfOddShape(t *testing.T) {
	base := capturedWebhooks(t)["status_busy"]
	for _, tt := range []struct {
		name   string
		change func(form url.Values)
		ok     bool
	}{
		{"as it was", func(url.Values) {}, true},
		{"a field that Twilio invents", func(f url.Values) { f.Set("NewThing", "häppy <value>") }, true},
		{"a field that Twilio invents beside a known one", func(f url.Values) { f.Set("CallerReputation", "good") }, true},
		{"a caller that is a SIP address", func(f url.Values) { f.Set("From", "sip:ann@example.com") }, true},
		{"a caller that is nobody", func(f url.Values) { f.Set("From", "") }, true},
		{"another account", func(f url.Values) { f.Set("AccountSid", "ACffffffffffffffffffffffffffffffff") }, false},
		{"no account", func(f url.Values) { f.Del("AccountSid") }, false},
		{"no call", func(f url.Values) { f.Del("CallSid") }, false},
		{"a call that is a path", func(f url.Values) { f.Set("CallSid", "CA/../../x") }, false},
		{"a parameter before AccountSid", func(f url.Values) { f.Set("A0", "") }, false},
		{"a parameter without a name", func(f url.Values) { f.Set("", "") }, false},
		{"a parameter in lower case", func(f url.Values) { f.Set("zip", "1") }, false},
		{"a repeated value", func(f url.Values) { f.Add("CallStatus", "busy") }, false},
		{"two values", func(f url.Values) { f.Add("CallStatus", "completed") }, false},
		{"a line break in a value", func(f url.Values) { f.Set("CallerCity", "A\r\nB") }, false},
		{"a time that is none", func(f url.Values) { f.Set("Timestamp", "yesterday") }, false},
		{"a sequence number that is none", func(f url.Values) { f.Set("SequenceNumber", "1e3") }, false},
		{"a status callback without its time", func(f url.Values) { f.Del("Timestamp") }, false},
		{"a status without a direction", func(f url.Values) { f.Del("Direction") }, false},
		{"a number with letters", func(f url.Values) { f.Set("From", "+1415CALLME") }, false},
		{"an endless value", func(f url.Values) { f.Set("NewThing", strings.Repeat("x", 20000)) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form := formOf(base)
			tt.change(form)
			_, err := testProvider().ParseEvent(signed(testToken, base.URL, form))
			if tt.ok != (err == nil) || err != nil && !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("error is %v, want accepted %t", err, tt.ok)
			}
		})
	}
}

func TestWebhookWithoutAProperSignature(t *testing.T) {
	c := capturedWebhooks(t)["status_busy"]
	for name, change := range map[string]func(w *telephony.Webhook){
		"no signature":        func(w *telephony.Webhook) { w.Header.Del("X-Twilio-Signature") },
		"an empty signature":  func(w *telephony.Webhook) { w.Header.Set("X-Twilio-Signature", "") },
		"two signatures":      func(w *telephony.Webhook) { w.Header.Add("X-Twilio-Signature", w.Header.Get("X-Twilio-Signature")) },
		"not base64":          func(w *telephony.Webhook) { w.Header.Set("X-Twilio-Signature", "***") },
		"a short signature":   func(w *telephony.Webhook) { w.Header.Set("X-Twilio-Signature", "AAAA") },
		"another method":      func(w *telephony.Webhook) { w.Method = http.MethodPut },
		"a GET with a body":   func(w *telephony.Webhook) { w.Method = http.MethodGet },
		"no content type":     func(w *telephony.Webhook) { w.Header.Del("Content-Type") },
		"another media type":  func(w *telephony.Webhook) { w.Header.Set("Content-Type", "text/plain") },
		"JSON without digest": func(w *telephony.Webhook) { w.Header.Set("Content-Type", "application/json") },
		"a broken escape":     func(w *telephony.Webhook) { w.Body = append(w.Body, "%zz"...) },
		"an address of none":  func(w *telephony.Webhook) { w.URL = "/twilio/status" },
		"Plivo's signature": func(w *telephony.Webhook) {
			w.Header.Set("X-Plivo-Signature-V3", w.Header.Get("X-Twilio-Signature"))
			w.Header.Del("X-Twilio-Signature")
		},
		"forwarded headers": func(w *telephony.Webhook) {
			w.URL = "https://evil.example.com/twilio/status"
			w.Header.Set("X-Forwarded-Host", "voice.example.com")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.webhook()
			change(w)
			if _, err := testProvider().ParseEvent(w); !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("error is %v, want ErrUnverified", err)
			}
		})
	}
}

func TestSignedJSONIsAboutNoCall(t *testing.T) {
	address := "https://voice.example.com/x?bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	w := signed(testToken, address, nil)
	w.Header.Set("Content-Type", "application/json")
	w.Body = []byte("{}")
	if _, err := testProvider().ParseEvent(w); !errors.Is(err, telephony.ErrUnknownEvent) {
		t.Errorf("error is %v, want ErrUnknownEvent", err)
	}
}

// Whoever saw signed requests can neither change nor reshape them,
// and a repeated one is known by its ID, whatever its headers say.
func TestForgedAndReshapedWebhooks(t *testing.T) {
	counts := make(map[string]int)
	all := capturedWebhooks(t)
	// The end of a call that was recorded as a whole.
	ended := all["status_busy"]
	ended.Params = maps.Clone(ended.Params)
	maps.Copy(ended.Params, map[string]string{
		"CallStatus": "completed", "RecordingSid": testRecording, "RecordingDuration": "7",
		"RecordingUrl": "https://api.twilio.com/2010-04-01/Accounts/" + testAccount + "/Recordings/" + testRecording,
	})
	w := signed(testToken, ended.URL, formOf(ended))
	ended.Body = string(w.Body)
	ended.Headers = map[string]string{"Content-Type": w.Header.Get("Content-Type"), "X-Twilio-Signature": w.Header.Get("X-Twilio-Signature")}
	all["the end of a recorded call"] = ended

	for name, c := range all {
		original, err := testProvider().ParseEvent(c.webhook())
		if err != nil {
			t.Fatal(err)
		}
		attack := func(kind string, w *telephony.Webhook) {
			counts[kind]++
			if e, err := testProvider().ParseEvent(w); err == nil {
				t.Errorf("%s, %s: accepted %s %q as %+v", name, kind, w.URL, w.Body, e.Fields)
			} else if !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("%s, %s: error %v is not ErrUnverified", name, kind, err)
			}
		}
		for range 10 {
			w := c.webhook()
			w.Header.Set("I-Twilio-Idempotency-Token", fmt.Sprint(rand.Int()))
			counts["replayed"]++
			if e, err := testProvider().ParseEvent(w); err != nil || e.ID != original.ID {
				t.Errorf("%s: replay has ID %q, error %v; want ID %q", name, e.ID, err, original.ID)
			}
		}
		for i := range c.Body {
			w := c.webhook()
			w.Body[i] ^= 1
			if w.Body[i] == '+' && c.Body[i] == '*' {
				continue
			}
			attack("one bit of the body", w)
		}
		for i := range c.URL {
			w := c.webhook()
			b := []byte(w.URL)
			b[i] ^= 2
			w.URL = string(b)
			attack("one bit of the address", w)
		}
		reshape(c, attack)
	}
	total := 0
	for kind, n := range counts {
		t.Logf("%6d %s", n, kind)
		total += n
	}
	if total < 10000 {
		t.Errorf("%d variants, want at least 10,000", total)
	}
}

// reshape moves every border that the signature leaves open: each variant is
// signed by the captured signature.
func reshape(c capturedWebhook, attack func(kind string, w *telephony.Webhook)) {
	send := func(kind, address string, form url.Values) {
		w := c.webhook()
		w.Method, w.URL, w.Body = http.MethodPost, address, []byte(form.Encode())
		w.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if bad := (&Provider{AuthToken: testToken}).Verify(w); bad != nil {
			return // not in the order of names: the signature is of something else
		}
		attack(kind, w)
	}
	original := formOf(c)
	names := slices.Sorted(maps.Keys(original))
	changed := func(change func(f url.Values)) url.Values {
		f := maps.Clone(original)
		change(f)
		return f
	}
	for i, name := range names {
		value := original.Get(name)
		send("a duplicate value", c.URL, changed(func(f url.Values) { f[name] = []string{value, value} }))
		for cut := range len(name) + len(value) + 1 {
			if cut == len(name) {
				continue
			}
			joined := name + value
			send("border between name and value", c.URL, changed(func(f url.Values) {
				f.Del(name)
				f.Set(joined[:cut], joined[cut:])
			}))
		}
		for _, first := range names[:i+1] {
			// A parameter, or several, hidden in the value before.
			if first == name {
				continue
			}
			send("parameters hidden in a value", c.URL, changed(func(f url.Values) {
				hidden := f.Get(first)
				for _, n := range names[slices.Index(names, first)+1 : i+1] {
					hidden += n + f.Get(n)
					f.Del(n)
				}
				f.Set(first, hidden)
			}))
		}
		for cut := 1; cut < len(value); cut++ {
			// A value split in two parameters.
			for end := cut; end <= min(len(value), cut+12); end++ {
				send("a value split", c.URL, changed(func(f url.Values) {
					f.Set(name, value[:cut])
					if _, taken := f[value[cut:end]]; !taken {
						f.Set(value[cut:end], value[end:])
					}
				}))
			}
		}
		if i+1 < len(names) {
			next := names[i+1]
			for cut := 1; cut <= len(next); cut++ {
				send("a name given to the value before", c.URL, changed(func(f url.Values) {
					nextValue := f.Get(next)
					f.Del(next)
					f.Set(name, value+next[:cut])
					f.Set(next[cut:], nextValue)
				}))
			}
			for cut := range len(value) {
				send("a value given to the name behind", c.URL, changed(func(f url.Values) {
					nextValue := f.Get(next)
					f.Del(next)
					f.Set(name, value[:cut])
					f.Set(value[cut:]+next, nextValue)
				}))
			}
		}
	}
	// The end of the address as a parameter, and parameters as its end.
	for cut := len("https://voice.example.com/"); cut < len(c.URL); cut++ {
		for end := cut + 1; end <= min(len(c.URL), cut+8); end++ {
			send("address given to a parameter", c.URL[:cut], changed(func(f url.Values) { f.Set(c.URL[cut:end], c.URL[end:]) }))
		}
	}
	address := c.URL
	for i, name := range names {
		address += name + original.Get(name)
		rest := url.Values{}
		for _, n := range names[i+1:] {
			rest.Set(n, original.Get(n))
		}
		send("parameters given to the address", address, rest)
	}
	w := c.webhook()
	w.Method, w.URL, w.Body = http.MethodGet, address, nil
	if c.Method != http.MethodGet {
		attack("a POST as a GET", w)
	} else {
		w = c.webhook()
		w.Method = http.MethodPost
		attack("a GET as a POST", w)
	}
	for name := range original {
		send("an empty parameter added", c.URL, changed(func(f url.Values) { f.Set("", ""); _ = name }))
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, c := range capturedWebhooks(f) {
		f.Add(c.URL, c.Body)
	}
	p := testProvider()
	f.Fuzz(func(t *testing.T, address, body string) {
		// Signed whatever it is, so that all of the parser is reached.
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		w := signed(testToken, address, form)
		w.Body = []byte(body)
		e, err := p.ParseEvent(w)
		if err != nil {
			if !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("error %v is not ErrUnverified", err)
			}
			return
		}
		if e.Fields["AccountSid"] != testAccount || !callShape.MatchString(e.ProviderCallID) || e.Sequence < -1 || e.Duration < 0 {
			t.Errorf("accepted %+v", e)
		}
		for name, values := range form {
			if len(values) != 1 || e.Fields[name] != values[0] {
				t.Errorf("%q has the values %q and was read as %q", name, values, e.Fields[name])
			}
		}
	})
}

// FuzzVerify looks for something that passes without the token, or does not
// pass with it.
func FuzzVerify(f *testing.F) {
	for _, c := range capturedWebhooks(f) {
		f.Add(c.Method, c.URL, c.Body, c.Headers["X-Twilio-Signature"])
	}
	f.Add("GET", "wss://[::1]:443/a'?b'#c", "", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	stranger := &Provider{AccountSID: testAccount, AuthToken: "a token that nobody signed with"}
	f.Fuzz(func(t *testing.T, method, address, body, signature string) {
		w := &telephony.Webhook{Method: method, URL: address, Header: http.Header{}, Body: []byte(body)}
		w.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w.Header.Set("X-Twilio-Signature", signature)
		if stranger.Verify(w) == nil {
			t.Error("passes without the token")
		}
		form, err := signedForm(w)
		if err != nil || !strings.Contains(address, "://") || strings.Contains(address, "#") {
			return
		}
		w.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(sign(testToken, address+signedParams(form))))
		if err := testProvider().Verify(w); err != nil {
			t.Errorf("what is signed does not pass: %v", err)
		}
	})
}
