package plivo

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/telephony"
)

type capturedWebhook struct {
	Name, Method, URL, Body string
	Headers, Params         map[string]string
	BaseString              string `json:"base_string"`
}

func (c capturedWebhook) webhook() *telephony.Webhook {
	h := http.Header{}
	for name, value := range c.Headers {
		h.Set(name, value)
	}
	return &telephony.Webhook{Method: c.Method, URL: c.URL, Header: h, Body: []byte(c.Body)}
}

func (c capturedWebhook) form() url.Values {
	form := url.Values{}
	for name, value := range c.Params {
		form.Set(name, value)
	}
	return form
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

// signedWith returns a webhook as Plivo would send it: a POST, or without a form
// a GET.
func signedWith(token telephony.Secret, nonce, address string, form url.Values) *telephony.Webhook {
	w := &telephony.Webhook{Method: http.MethodGet, URL: address, Header: http.Header{}}
	if form != nil {
		w.Method, w.Body = http.MethodPost, []byte(form.Encode())
		w.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	base, raw, _ := strings.Cut(address, "?")
	query, _ := url.ParseQuery(raw)
	text := signedText(query, form)
	w.Header.Set(headerV3, base64.StdEncoding.EncodeToString(sign(token, base+text+"."+nonce)))
	w.Header.Set(headerNonceV3, nonce)
	return w
}

func TestSignatureVectors(t *testing.T) {
	type vector struct {
		Name, Method, URI, Nonce, Signature string
		Token                               telephony.Secret `json:"auth_token"`
		Base                                string           `json:"base_string"`
		Params                              map[string]string
	}
	var file struct{ V2, V3 []vector }
	readFixture(t, "signature_vectors.json", &file)
	if len(file.V3) < 18 || len(file.V2) < 2 {
		t.Fatalf("%d and %d vectors", len(file.V3), len(file.V2))
	}
	for _, v := range file.V3 {
		t.Run(v.Name, func(t *testing.T) {
			form := url.Values{}
			for name, value := range v.Params {
				form.Set(name, value)
			}
			address := v.URI
			w := &telephony.Webhook{Method: v.Method, URL: v.URI, Header: http.Header{}}
			if v.Method == http.MethodPost {
				w.Body = []byte(form.Encode())
				w.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			} else if len(form) > 0 { // as it arrives: all of it in the query
				address += "&" + form.Encode()
				w.URL = address
			}
			w.Header.Set(headerNonceV3, v.Nonce)
			for _, header := range []string{v.Signature, "x, " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "," + v.Signature} {
				w.Header.Set(headerV3, header)
				if err := (&Provider{AuthToken: v.Token}).Verify(w); err != nil {
					t.Errorf("%q: %v", header, err)
				}
				if err := (&Provider{AuthToken: "another"}).Verify(w); !errors.Is(err, telephony.ErrUnverified) {
					t.Errorf("with another token: error %v", err)
				}
				if err := new(Provider).Verify(w); !errors.Is(err, telephony.ErrUnverified) {
					t.Errorf("without a token: error %v", err)
				}
			}
			base, raw, _ := strings.Cut(address, "?")
			query, _ := url.ParseQuery(raw)
			if v.Method == http.MethodGet {
				form = nil
			}
			if got := base + signedText(query, form) + "." + v.Nonce; got != v.Base {
				t.Errorf("signed text is\n%s, want\n%s", got, v.Base)
			}
			w.Header.Set(headerNonceV3, v.Nonce+"0")
			if (&Provider{AuthToken: v.Token}).Verify(w) == nil {
				t.Error("another nonce passes")
			}
		})
	}
	for _, v := range file.V2 {
		t.Run(v.Name, func(t *testing.T) {
			w := &telephony.Webhook{Method: http.MethodPost, URL: v.URI, Header: http.Header{}}
			w.Header.Set(headerNonceV2, v.Nonce)
			w.Header.Set(headerV2, v.Signature)
			if err := (&Provider{AuthToken: v.Token}).Verify(w); !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("error is %v, want refused unless allowed", err)
			}
			p := &Provider{AuthToken: v.Token, AllowV2: true}
			if err := p.Verify(w); err != nil {
				t.Errorf("allowed: %v", err)
			}
			w.Header.Set(headerV3, "AAAA")
			if err := p.Verify(w); !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("beside a wrong newer signature: error %v", err)
			}
		})
	}
}

func TestRequestThatOpensAStream(t *testing.T) {
	var file struct {
		Request    struct{ Headers map[string]string }
		Candidates []struct{ Signature string }
	}
	readFixture(t, "handshake.json", &file)
	for _, c := range file.Candidates {
		w := &telephony.Webhook{Method: http.MethodGet, URL: "wss://voice.example.com/plivo/stream/abc", Header: http.Header{}}
		for name, value := range file.Request.Headers {
			w.Header.Set(name, value)
		}
		w.Header.Set(headerV3, c.Signature)
		if err := testProvider().Verify(w); err != nil {
			t.Errorf("%s: %v", c.Signature, err)
		}
		w.URL += "d"
		if testProvider().Verify(w) == nil {
			t.Error("another path passes")
		}
	}
}

func TestEveryTokenVerifiesAndNoEmptyOneDoes(t *testing.T) {
	form := url.Values{"CallUUID": {testCall}}
	for _, tt := range []struct {
		name     string
		provider *Provider
		header   string
		signer   telephony.Secret
		want     bool
	}{
		{"the token", &Provider{AuthToken: "new"}, headerV3, "new", true},
		{"a previous token", &Provider{AuthToken: "new", PreviousTokens: []telephony.Secret{"older", "old"}}, headerV3, "old", true},
		{"another token", &Provider{AuthToken: "new"}, headerV3, "old", false},
		{"an empty token", &Provider{}, headerV3, "", false},
		{"an empty previous token", &Provider{AuthToken: "new", PreviousTokens: []telephony.Secret{""}}, headerV3, "", false},
		{"the main account's token", &Provider{AuthToken: "sub", MainAuthToken: "main"}, headerMainV3, "main", true},
		{"the main account's token in the other header", &Provider{AuthToken: "sub", MainAuthToken: "main"}, headerV3, "main", false},
		{"the token in the main account's header", &Provider{AuthToken: "sub", MainAuthToken: "main"}, headerMainV3, "sub", false},
		{"an empty token of the main account", &Provider{AuthToken: "sub"}, headerMainV3, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := signedWith(tt.signer, "1", "https://voice.example.com/x", form)
			signature := w.Header.Get(headerV3)
			w.Header.Del(headerV3)
			w.Header.Set(tt.header, signature)
			if err := tt.provider.Verify(w); (err == nil) != tt.want {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestCapturedWebhooks(t *testing.T) {
	at := func(minute, second int) time.Time { return time.Date(2026, 10, 20, 10, minute, second, 0, time.UTC) }
	out := func(status telephony.Status, change func(*telephony.Event)) telephony.Event {
		e := telephony.Event{RequestID: testRequest, From: "+15005550001", To: "+14155550100", Status: status, Sequence: -1}
		if change != nil {
			change(&e)
		}
		return e
	}
	in := func(status telephony.Status, streamStatus string) telephony.Event {
		e := telephony.Event{Direction: telephony.Inbound, From: "+14155550100", To: "+15005550006", Status: status, Sequence: -1}
		if streamStatus != "" {
			e.StreamStatus, e.At = streamStatus, at(0, 4)
		}
		return e
	}
	end := func(cause string, at time.Time) func(*telephony.Event) {
		return func(e *telephony.Event) { e.Cause, e.At = cause, at }
	}
	recorded := in(telephony.StatusInProgress, "")
	recorded.At = time.UnixMilli(1792490463100).UTC()
	recorded.Recording = &telephony.RecordingReport{
		ID:       "c2186400-1c8c-11e4-a664-0026b945b52b",
		Status:   telephony.RecordingCompleted,
		Duration: 58100 * time.Millisecond,
		URL:      "https://media.plivo.com/v1/Account/" + testAccount + "/Recording/c2186400-1c8c-11e4-a664-0026b945b52b.mp3",
	}
	want := map[string]telephony.Event{
		"inbound_answer":             in(telephony.StatusRinging, ""),
		"inbound_answer_sip_headers": in(telephony.StatusRinging, ""),
		"outbound_ring":              out(telephony.StatusRinging, nil),
		"hangup_completed": out(telephony.StatusCompleted, func(e *telephony.Event) {
			e.Cause, e.At, e.Duration = "NORMAL_CLEARING", at(1, 6), 62*time.Second
		}),
		"hangup_no_answer": out(telephony.StatusNoAnswer, end("NO_ANSWER", at(0, 31))),
		"hangup_rejected":  out(telephony.StatusFailed, end("CALL_REJECTED", at(0, 31))),
		"hangup_machine": out(telephony.StatusCompleted, func(e *telephony.Event) {
			e.Cause, e.At, e.AnsweredBy = "NORMAL_CLEARING", at(0, 31), telephony.AnsweredByMachine
		}),
		"hangup_sent_to_answer_url": out(telephony.StatusCompleted, func(e *telephony.Event) {
			e.Cause, e.Duration = "NORMAL_CLEARING", 62*time.Second
		}),
		"stream_StartStream":        in(0, "StartStream"),
		"stream_DroppedStream":      in(0, "DroppedStream"),
		"stream_started_guide_form": in(0, "started"),
		"stream_failed_guide_form":  in(0, "failed"),
		"recording_xml_callback":    recorded,
	}
	captured := capturedWebhooks(t)
	if len(captured) != len(want) {
		t.Errorf("%d captured webhooks, %d expectations", len(captured), len(want))
	}
	ids := make(map[string]string)
	for name, c := range captured {
		t.Run(name, func(t *testing.T) {
			p := testProvider()
			p.ExtraFields = []string{"X-PH-Agent"}
			got, err := p.ParseEvent(c.webhook())
			if err != nil {
				t.Fatal(err)
			}
			if other, taken := ids[got.ID]; taken || len(got.ID) != 32 {
				t.Errorf("ID %q is also that of %q", got.ID, other)
			}
			ids[got.ID] = name
			if diff := cmp.Diff(c.Params, got.Fields); diff != "" {
				t.Errorf("fields (-want +got)\n%s", diff)
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

func TestOtherWebhooks(t *testing.T) {
	ring := capturedWebhooks(t)["outbound_ring"].form()
	changed := func(change map[string]string) url.Values {
		form := maps.Clone(ring)
		for name, value := range change {
			form.Set(name, value)
		}
		return form
	}
	for _, tt := range []struct {
		name string
		form url.Values
		want telephony.Event
	}{
		{"a machine", changed(map[string]string{"Event": "MachineDetection", "Machine": "true", "CallStatus": "in-progress"}),
			telephony.Event{Status: telephony.StatusInProgress, AnsweredBy: telephony.AnsweredByMachine}},
		{"a person", changed(map[string]string{"Event": "MachineDetection", "Machine": "False"}),
			telephony.Event{Status: telephony.StatusRinging, AnsweredBy: telephony.AnsweredByHuman}},
		{"busy", changed(map[string]string{"Event": "Hangup", "CallStatus": "busy", "HangupCause": "USER_BUSY"}),
			telephony.Event{Status: telephony.StatusBusy, Cause: "USER_BUSY"}},
		{"timeout", changed(map[string]string{"Event": "Hangup", "CallStatus": "timeout", "HangupCauseCode": "3070"}),
			telephony.Event{Status: telephony.StatusNoAnswer, Cause: "3070"}},
		{"cancel", changed(map[string]string{"Event": "Hangup", "CallStatus": "cancel"}),
			telephony.Event{Status: telephony.StatusCanceled}},
		{"a status of the future", changed(map[string]string{"CallStatus": "on-hold"}),
			telephony.Event{}},
		{"a caller that is a SIP address", changed(map[string]string{"From": "sip:ann@phone.plivo.com"}),
			telephony.Event{Status: telephony.StatusRinging, From: "sip:ann@phone.plivo.com"}},
		{"a caller that is nobody", changed(map[string]string{"From": "anonymous"}),
			telephony.Event{Status: telephony.StatusRinging, From: "anonymous"}},
		{"a number with its plus", changed(map[string]string{"From": "+15005550001"}),
			telephony.Event{Status: telephony.StatusRinging}},
		{"a name that reads like a parameter", changed(map[string]string{"CallerName": "Machine Works, Direction of Events"}),
			telephony.Event{Status: telephony.StatusRinging}},
		{"SIP headers that nobody asked for", changed(map[string]string{"X-PH-A": "1", "X-PH-B": "häppy <x>"}),
			telephony.Event{Status: telephony.StatusRinging}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := testProvider()
			got, err := p.ParseEvent(signedWith(testToken, "1", "https://voice.example.com/s/1", tt.form))
			if err != nil {
				t.Fatal(err)
			}
			if got.Fields["CallUUID"] != testCall || got.Fields["X-PH-A"] != "" {
				t.Errorf("fields are %v", got.Fields)
			}
			want := tt.want
			want.ID, want.Fields, want.Sequence = got.ID, got.Fields, -1
			want.ProviderCallID, want.RequestID, want.To = testCall, testRequest, "+14155550100"
			if want.From == "" {
				want.From = "+15005550001"
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestRecordingCallbackOfTheAPI(t *testing.T) {
	form := url.Values{
		"api_id": {testRequest}, "call_uuid": {testCall}, "recording_id": {testStream},
		"record_url":         {"https://media.plivo.com/v1/Account/" + testAccount + "/Recording/" + testStream + ".wav"},
		"recording_duration": {"58"}, "recording_duration_ms": {"58100.00000"},
		"recording_start_ms": {"1792490405000.00000"}, "recording_end_ms": {"-1"},
	}
	e, err := testProvider().ParseEvent(signedWith(testToken, "1", "https://voice.example.com/rec", form))
	if err != nil || e.ProviderCallID != testCall || e.Fields["recording_id"] != testStream || e.Status != telephony.StatusUnknown {
		t.Errorf("event %+v, error %v", e, err)
	}
}

func TestWebhooksByGET(t *testing.T) {
	form := capturedWebhooks(t)["hangup_completed"].form()
	form.Set("tenant", "7")
	w := signedWith(testToken, "1", "https://voice.example.com/s?"+form.Encode(), nil)
	e, err := testProvider().ParseEvent(w)
	if err != nil || e.Status != telephony.StatusCompleted || e.Duration != 62*time.Second || e.Fields["tenant"] != "7" {
		t.Errorf("event %+v, error %v", e, err)
	}
}

// What carries a right signature and is refused, or accepted, nevertheless.
func TestSignedWebhooksOfOddShape(t *testing.T) {
	base := capturedWebhooks(t)["hangup_completed"]
	for _, tt := range []struct {
		name    string
		address string
		change  func(form url.Values)
		ok      bool
	}{
		{"as it was", "", func(url.Values) {}, true},
		{"a query of our own", "?tenant=7&a=b", func(url.Values) {}, true},
		{"an escape in the query", "?tenant=caf%20e", func(url.Values) {}, true},
		{"a query with a dot", "?host=a.b", func(url.Values) {}, false},
		{"a query with a capital", "?Tenant=7", func(url.Values) {}, false},
		{"a query with two values", "?a=1&a=2", func(url.Values) {}, false},
		{"a field that is asked for", "", func(f url.Values) { f.Set("NewThing", "some value, 7") }, true},
		{"a field that Plivo invents", "", func(f url.Values) { f.Set("OtherThing", "1") }, false},
		{"a field of another kind", "", func(f url.Values) { f.Set("Machine", "true") }, false},
		{"a parameter without a name", "", func(f url.Values) { f.Set("", "") }, false},
		{"another account", "", func(f url.Values) { f.Set("ParentAuthID", "MAYYYYYYYYYYYYYYYYYY") }, false},
		{"another owner", "", func(f url.Values) { f.Set("AuthID", "SAYYYYYYYYYYYYYYYYYY") }, false},
		{"no account", "", func(f url.Values) { f.Del("ParentAuthID") }, true},
		{"no call", "", func(f url.Values) { f.Del("CallUUID") }, false},
		{"a call that is a path", "", func(f url.Values) { f.Set("CallUUID", "../../x") }, false},
		{"no direction", "", func(f url.Values) { f.Del("Direction") }, false},
		{"another direction", "", func(f url.Values) { f.Set("Direction", "up") }, false},
		{"no status", "", func(f url.Values) { f.Del("CallStatus") }, false},
		{"a repeated value", "", func(f url.Values) { f.Add("CallStatus", "completed") }, false},
		{"two values", "", func(f url.Values) { f.Add("CallStatus", "busy") }, false},
		{"a repeated SIP header", "", func(f url.Values) { f["X-PH-A"] = []string{"1", "2"} }, false},
		{"a line break in a value", "", func(f url.Values) { f.Set("CallerName", "A\r\nB") }, false},
		{"a time that is none", "", func(f url.Values) { f.Set("EndTime", "yesterday") }, false},
		{"a duration that is none", "", func(f url.Values) { f.Set("Duration", "1e3") }, false},
		{"a number with letters", "", func(f url.Values) { f.Set("From", "1415CALLME") }, false},
		{"an endless value", "", func(f url.Values) { f.Set("CallerName", strings.Repeat("x", 9000)) }, false},
		{"a name that hides parameters", "", func(f url.Values) {
			f.Set("CallerName", "xDirectioninbound")
			f.Del("Direction")
		}, false},
		{"a name that could be two parameters", "", func(f url.Values) { f.Set("CallerName", "EveCarrierFailoverTriggeredtrue") }, false},
		{"a name with a direction in it", "", func(f url.Values) { f.Set("CallerName", "xDirectioninboundy") }, false},
		{"a header with the number called", "", func(f url.Values) { f.Set("X-PH-To", "15005550006") }, true},
		{"a header with the number called in it", "", func(f url.Values) { f.Set("X-PH-A", "xTo15005550006") }, false},
		{"a name with a name in it", "", func(f url.Values) { f.Set("CallerName", "From To Events Ltd") }, true},
		{"a name that reads like a SIP header", "", func(f url.Values) { f.Set("CallerName", "X-PH-A1") }, true},
		{"an inbound call that was dialed", "", func(f url.Values) { f.Set("Direction", "inbound") }, false},
		{"a header that is asked for", "", func(f url.Values) { f.Set("X-PH-Agent", "Sales"); f.Set("X-PH-B", "1"); f.Set("X-PH-A", "2") }, true},
		{"a header with another in it", "", func(f url.Values) { f.Set("X-PH-Agent", "SalesX-PH-B1") }, false},
		{"a header that is asked for in another", "", func(f url.Values) { f.Set("X-PH-A", "1X-PH-AgentSales") }, false},
		{"a name full of names", "", func(f url.Values) { f.Set("CallerName", strings.Repeat("ToFrom", 160)) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form := base.form()
			tt.change(form)
			p := testProvider()
			p.ExtraFields = []string{"NewThing", "X-PH-Agent"}
			_, err := p.ParseEvent(signedWith(testToken, "1", base.URL+tt.address, form))
			if tt.ok != (err == nil) || err != nil && !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("error is %v, want accepted %t", err, tt.ok)
			}
		})
	}
}

// both parses a webhook as a POST and as a GET, which must say the same.
func both(t *testing.T, form url.Values) (telephony.Event, error) {
	t.Helper()
	const address = "https://voice.example.com/s/1"
	posted, err := testProvider().ParseEvent(signedWith(testToken, "1", address, form))
	got, getErr := testProvider().ParseEvent(signedWith(testToken, "1", address+"?"+form.Encode(), nil))
	if (err == nil) != (getErr == nil) {
		t.Errorf("error is %v by POST, %v by GET", err, getErr)
	}
	posted.ID, got.ID = "", ""
	if diff := cmp.Diff(posted, got); diff != "" {
		t.Errorf("by POST and by GET (-post +get)\n%s", diff)
	}
	return posted, err
}

// with returns the form of a captured webhook, changed.
func with(t *testing.T, name string, change map[string]string) url.Values {
	t.Helper()
	form := capturedWebhooks(t)[name].form()
	if len(form) == 0 {
		t.Fatalf("no webhook %s is captured", name)
	}
	for name, value := range change {
		form.Set(name, value)
	}
	return form
}

// Why Plivo asks for instructions is told in words that it does not list.
func TestQuestionsInWordsOfTheFuture(t *testing.T) {
	for _, word := range []string{"Redirect", "Teleport", ""} {
		form := with(t, "inbound_answer", map[string]string{"Event": word, "CallStatus": "in-progress"})
		if word == "" {
			form.Del("Event")
		}
		e, err := both(t, form)
		if err != nil || e.Status != telephony.StatusInProgress || e.ProviderCallID != testCall || e.Fields["Event"] != word {
			t.Errorf("%q: event %+v, error %v", word, e, err)
		}
	}
}

func TestMachineThatIsFoundBeforeTheQuestion(t *testing.T) {
	form := with(t, "outbound_ring", map[string]string{"Event": "StartApp", "CallStatus": "in-progress", "Machine": "true"})
	if e, err := both(t, form); err != nil || e.AnsweredBy != telephony.AnsweredByMachine {
		t.Errorf("answered by %q, error %v", e.AnsweredBy, err)
	}
	form = with(t, "inbound_answer", map[string]string{"Machine": "true"})
	if _, err := both(t, form); !errors.Is(err, telephony.ErrUnverified) {
		t.Errorf("a caller that is a machine: error %v, want ErrUnverified", err)
	}
}

func TestResultOfADial(t *testing.T) {
	result := func(change map[string]string) url.Values {
		form := with(t, "inbound_answer", map[string]string{
			"Event": "Redirect", "CallStatus": "in-progress", "DialStatus": "completed", "DialRingStatus": "true",
			"DialHangupCause": "NORMAL_CLEARING", "DialALegUUID": testCall, "DialBLegUUID": testStream,
		})
		for name, value := range change {
			form.Set(name, value)
		}
		return form
	}
	for word, want := range map[string]telephony.Status{
		"completed": telephony.StatusCompleted,
		"busy":      telephony.StatusBusy,
		"no-answer": telephony.StatusNoAnswer,
		"failed":    telephony.StatusFailed,
		"cancel":    telephony.StatusCanceled,
		"timeout":   telephony.StatusTimeout,
		"eloped":    telephony.StatusUnknown,
	} {
		t.Run(word, func(t *testing.T) {
			e, err := both(t, result(map[string]string{"DialStatus": word}))
			if err != nil || e.Dialed != want || e.Status != telephony.StatusInProgress || e.Fields["DialHangupCause"] != "NORMAL_CLEARING" {
				t.Errorf("dialed %v, status %v, error %v; want %v", e.Dialed, e.Status, err, want)
			}
		})
	}
	t.Run("nobody answered", func(t *testing.T) {
		e, err := both(t, result(map[string]string{"DialStatus": "no-answer", "DialBLegUUID": "", "DialRingStatus": "false", "DialHangupCause": ""}))
		if err != nil || e.Dialed != telephony.StatusNoAnswer {
			t.Errorf("dialed %v, error %v", e.Dialed, err)
		}
	})
	t.Run("while it goes on", func(t *testing.T) {
		form := result(map[string]string{
			"Event": "DialHangup", "DialAction": "hangup", "DialBLegStatus": "hangup", "DialBLegDuration": "11", "DialBLegBillDuration": "60",
			"DialBLegHangupCause": "NORMAL_CLEARING", "DialBLegHangupCauseCode": "4000", "DialBLegHangupCauseName": "Normal Hangup",
			"DialBLegHangupSource": "Callee", "DialBLegFrom": "14155550100", "DialBLegTo": "14155550199", "DialBLegTotalCost": "0.01",
			"DialBLegBillRate": "0.01", "DialBLegPosition": "1", "DialDigitsMatch": "1#", "DialDigitsPressedBy": "aleg",
		})
		form.Del("DialStatus")
		if e, err := both(t, form); err != nil || e.Dialed != telephony.StatusUnknown || e.Fields["DialBLegDuration"] != "11" {
			t.Errorf("dialed %v, error %v", e.Dialed, err)
		}
	})
	for name, change := range map[string]map[string]string{
		"of another call":   {"DialALegUUID": testRequest},
		"of no call":        {"DialALegUUID": ""},
		"in capitals":       {"DialStatus": "COMPLETED"},
		"with a cause of x": {"DialHangupCause": "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := both(t, result(change)); !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("error is %v, want ErrUnverified", err)
			}
		})
	}
}

func TestReportsOfARecording(t *testing.T) {
	const id, address = "c2186400-1c8c-11e4-a664-0026b945b52b", "https://media.plivo.com/v1/Account/" + testAccount + "/Recording/c2186400-1c8c-11e4-a664-0026b945b52b."
	api := func(change map[string]string) url.Values {
		form := url.Values{
			"api_id": {testRequest}, "call_uuid": {testCall}, "recording_id": {id}, "record_url": {address + "wav"},
			"recording_duration": {"58"}, "recording_duration_ms": {"58100.00000"},
			"recording_start_ms": {"1792490405000.00000"}, "recording_end_ms": {"1792490463100.00000"},
		}
		for name, value := range change {
			form.Set(name, value)
		}
		return form
	}
	began, ended := time.UnixMilli(1792490405000).UTC(), time.UnixMilli(1792490463100).UTC()
	done := telephony.RecordingReport{ID: id, Status: telephony.RecordingCompleted, Duration: 58100 * time.Millisecond, URL: address + "mp3"}
	for _, tt := range []struct {
		name string
		form url.Values
		want telephony.RecordingReport
		at   time.Time
	}{
		{"by XML", with(t, "recording_xml_callback", nil), done, ended},
		{"of a session that begins", with(t, "recording_xml_callback", map[string]string{
			"RecordingDuration": "-1", "RecordingDurationMs": "-1", "RecordingEndMs": "-1"}),
			telephony.RecordingReport{ID: id, Status: telephony.RecordingInProgress, URL: address + "mp3"}, began},
		{"in seconds only", with(t, "recording_xml_callback", map[string]string{"RecordingDurationMs": "", "RecordingEndMs": ""}),
			telephony.RecordingReport{ID: id, Status: telephony.RecordingCompleted, Duration: 58 * time.Second, URL: address + "mp3"}, time.Time{}},
		{"by the API", api(nil),
			telephony.RecordingReport{ID: id, Status: telephony.RecordingCompleted, Duration: 58100 * time.Millisecond, URL: address + "wav"}, ended},
		{"by the API, that it begins", api(map[string]string{"recording_duration": "-1", "recording_duration_ms": "-1.00000", "recording_end_ms": "-1"}),
			telephony.RecordingReport{ID: id, Status: telephony.RecordingInProgress, URL: address + "wav"}, began},
		{"with numbers that are none", api(map[string]string{"recording_duration": "...", "recording_duration_ms": "99999999999999999999", "recording_end_ms": "-"}),
			telephony.RecordingReport{ID: id, Status: telephony.RecordingCompleted, URL: address + "wav"}, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := both(t, tt.form)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, e.Recording); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if !e.At.Equal(tt.at) || e.ProviderCallID != testCall || e.Fields["CallUUID"]+e.Fields["call_uuid"] != testCall {
				t.Errorf("at %v, want %v; event %+v", e.At, tt.at, e)
			}
		})
	}
}

func TestWebhookWithoutAProperSignature(t *testing.T) {
	c := capturedWebhooks(t)["hangup_completed"]
	for name, change := range map[string]func(w *telephony.Webhook){
		"no signature":          func(w *telephony.Webhook) { w.Header.Del(headerV3) },
		"an empty signature":    func(w *telephony.Webhook) { w.Header.Set(headerV3, "") },
		"not base64":            func(w *telephony.Webhook) { w.Header.Set(headerV3, "***") },
		"a short signature":     func(w *telephony.Webhook) { w.Header.Set(headerV3, "AAAA") },
		"too many signatures":   func(w *telephony.Webhook) { w.Header.Set(headerV3, strings.Repeat("AAAA,", 8)+w.Header.Get(headerV3)) },
		"no nonce":              func(w *telephony.Webhook) { w.Header.Del(headerNonceV3) },
		"two nonces":            func(w *telephony.Webhook) { w.Header.Add(headerNonceV3, w.Header.Get(headerNonceV3)) },
		"a nonce with a dot":    func(w *telephony.Webhook) { w.Header.Set(headerNonceV3, "1.2") },
		"an endless nonce":      func(w *telephony.Webhook) { w.Header.Set(headerNonceV3, strings.Repeat("1", 65)) },
		"another method":        func(w *telephony.Webhook) { w.Method = http.MethodPut },
		"a GET with a body":     func(w *telephony.Webhook) { w.Method = http.MethodGet },
		"no content type":       func(w *telephony.Webhook) { w.Header.Del("Content-Type") },
		"JSON":                  func(w *telephony.Webhook) { w.Header.Set("Content-Type", "application/json") },
		"a broken escape":       func(w *telephony.Webhook) { w.Body = append(w.Body, "%zz"...) },
		"a broken query":        func(w *telephony.Webhook) { w.URL += "?%zz" },
		"an address of none":    func(w *telephony.Webhook) { w.URL = "/plivo/hangup" },
		"an impossible address": func(w *telephony.Webhook) { w.URL = "https://[::1\x00%/" },
		"the older signature": func(w *telephony.Webhook) {
			w.Header = http.Header{"Content-Type": w.Header["Content-Type"]}
			w.Header.Set(headerNonceV2, "1")
			w.Header.Set(headerV2, base64.StdEncoding.EncodeToString(sign(testToken, w.URL+"1")))
		},
		"Twilio's signature": func(w *telephony.Webhook) {
			w.Header.Set("X-Twilio-Signature", w.Header.Get(headerV3))
			w.Header.Del(headerV3)
		},
		"forwarded headers": func(w *telephony.Webhook) {
			w.URL = "https://evil.example.com/plivo/hangup"
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

func TestOlderSignatureIsEnoughWhereItIsAllowed(t *testing.T) {
	w := capturedWebhooks(t)["hangup_completed"].webhook()
	w.Header = http.Header{"Content-Type": w.Header["Content-Type"]}
	w.Header.Set(headerNonceV2, "1")
	w.Header.Set(headerV2, base64.StdEncoding.EncodeToString(sign(testToken, w.URL+"1")))
	p := testProvider()
	p.AllowV2 = true
	if e, err := p.ParseEvent(w); err != nil || e.ProviderCallID != testCall {
		t.Errorf("event %+v, error %v", e, err)
	}
}

func TestNonceIsForOneWebhook(t *testing.T) {
	p := testProvider()
	captured := capturedWebhooks(t)
	first, err := p.ParseEvent(captured["outbound_ring"].webhook())
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.ParseEvent(captured["outbound_ring"].webhook())
	if err != nil || again.ID != first.ID {
		t.Errorf("replay has ID %q, error %v; want ID %q", again.ID, err, first.ID)
	}
	if _, err := p.ParseEvent(captured["hangup_completed"].webhook()); !errors.Is(err, telephony.ErrUnverified) {
		t.Errorf("another webhook with that nonce: error %v", err)
	}
	form := captured["outbound_ring"].form()
	other, err := p.ParseEvent(signedWith(testToken, "2", captured["outbound_ring"].URL, form))
	if err != nil || other.ID != first.ID {
		t.Errorf("delivered with another nonce: ID %q, error %v; want ID %q", other.ID, err, first.ID)
	}
}

func TestNoncesAreForgottenOldestFirst(t *testing.T) {
	var n nonces
	for i := range rememberedNonces + 1 {
		if !n.admit(fmt.Sprint(i), "a") {
			t.Fatalf("nonce %d is refused", i)
		}
	}
	if len(n.ids) != rememberedNonces || !n.admit("0", "b") || n.admit(fmt.Sprint(rememberedNonces), "b") {
		t.Errorf("%d nonces are remembered", len(n.ids))
	}
}

// Whoever saw signed requests can neither change nor reshape them,
// and a repeated one is known by its ID.
func TestForgedAndReshapedWebhooks(t *testing.T) {
	counts := make(map[string]int)
	all := capturedWebhooks(t)
	get := all["outbound_ring"]
	w := signedWith(testToken, "31627761595286130198", get.URL+"?"+get.form().Encode(), nil)
	get.Method, get.URL, get.Body = w.Method, w.URL, ""
	get.Headers = map[string]string{headerV3: w.Header.Get(headerV3), headerNonceV3: w.Header.Get(headerNonceV3)}
	all["by GET"] = get
	query := all["hangup_no_answer"]
	query.URL += "?agent=sales&call=42"
	w = signedWith(testToken, "31627761595286130198", query.URL, query.form())
	query.Headers = map[string]string{headerV3: w.Header.Get(headerV3), headerNonceV3: w.Header.Get(headerNonceV3), "Content-Type": w.Header.Get("Content-Type")}
	all["with a query"] = query
	add := func(name, address string, params map[string]string) {
		c := capturedWebhook{Name: name, Method: http.MethodPost, URL: address, Params: params}
		w := signedWith(testToken, "31627761595286130198", c.URL, c.form())
		c.Headers = map[string]string{headerV3: w.Header.Get(headerV3), headerNonceV3: w.Header.Get(headerNonceV3), "Content-Type": w.Header.Get("Content-Type")}
		c.Body = string(w.Body)
		c.BaseString = address + signedText(nil, c.form()) + ".31627761595286130198"
		all[name] = c
	}
	dialed := maps.Clone(all["inbound_answer"].Params)
	maps.Copy(dialed, map[string]string{
		"Event": "Redirect", "CallStatus": "in-progress", "DialStatus": "busy", "DialRingStatus": "true",
		"DialHangupCause": "USER_BUSY", "DialALegUUID": testCall, "DialBLegUUID": testStream,
	})
	add("the result of a dial", "https://voice.example.com/plivo/dial-done", dialed)
	add("a recording by the API", "https://voice.example.com/plivo/rec", map[string]string{
		"api_id": testRequest, "call_uuid": testCall, "recording_id": testStream,
		"record_url":         "https://media.plivo.com/v1/Account/" + testAccount + "/Recording/" + testStream + ".wav",
		"recording_duration": "58", "recording_duration_ms": "58100.00000", "recording_start_ms": "1792490405000.00000", "recording_end_ms": "1792490463100.00000",
	})

	for name, c := range all {
		original, err := testProvider().ParseEvent(c.webhook())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		attack := func(kind string, w *telephony.Webhook) {
			counts[kind]++
			e, err := testProvider().ParseEvent(w)
			switch {
			case err == nil && cmp.Equal(e, original):
				counts["  of these told the same and nothing else"]++
			case err == nil:
				t.Errorf("%s, %s: accepted %s %q as %+v", name, kind, w.URL, w.Body, e.Fields)
			case !errors.Is(err, telephony.ErrUnverified):
				t.Errorf("%s, %s: error %v is not ErrUnverified", name, kind, err)
			}
		}
		p := testProvider()
		for range 10 {
			counts["replayed"]++
			if e, err := p.ParseEvent(c.webhook()); err != nil || e.ID != original.ID {
				t.Errorf("%s: replay has ID %q, error %v; want ID %q", name, e.ID, err, original.ID)
			}
		}
		for i := range c.Body {
			w := c.webhook()
			w.Body[i] ^= 1
			attack("one bit of the body", w)
		}
		for i := range c.URL {
			w := c.webhook()
			b := []byte(w.URL)
			b[i] ^= 2
			w.URL = string(b)
			attack("one bit of the address", w)
		}
		nonce := c.Headers[headerNonceV3]
		for i := range nonce {
			w := c.webhook()
			w.Header.Set(headerNonceV3, nonce[:i]+nonce[i+1:])
			attack("a shorter nonce", w)
		}
		reshape(c, attack)
	}
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%6d %s", counts[kind], kind)
		if !strings.HasPrefix(kind, " ") {
			total += counts[kind]
		}
	}
	t.Logf("%6d in all", total)
	if total < 10000 {
		t.Errorf("%d variants, want at least 10,000", total)
	}
}

// reshape moves every border that the signature leaves open: each variant is
// signed by the captured signature.
func reshape(c capturedWebhook, attack func(kind string, w *telephony.Webhook)) {
	verifies := func(w *telephony.Webhook) bool {
		return (&Provider{AuthToken: testToken}).Verify(w) == nil
	}
	send := func(kind, address string, form url.Values) {
		w := c.webhook()
		w.Method, w.URL, w.Body = http.MethodPost, address, []byte(form.Encode())
		w.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if !verifies(w) {
			return // not in the order of names: the signature is of something else
		}
		attack(kind, w)
	}
	original := c.form()
	names := slices.Sorted(maps.Keys(original))
	changed := func(change func(f url.Values)) url.Values {
		f := maps.Clone(original)
		change(f)
		return f
	}
	for i, name := range names {
		value := original.Get(name)
		attack("a value repeated", func() *telephony.Webhook {
			w := c.webhook()
			w.Body = append(w.Body, "&"+url.Values{name: {value}}.Encode()...)
			return w
		}())
		joined := name + value
		for cut := range len(joined) + 1 {
			if cut == len(name) {
				continue
			}
			send("border between name and value", c.URL, changed(func(f url.Values) {
				f.Del(name)
				f.Set(joined[:cut], joined[cut:])
			}))
		}
		for _, first := range names[:i] {
			// A parameter, or several, hidden in the value before.
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
	// All that is signed, cut at every place into a query and parameters: the
	// parameters as one, or as those that begin at a known name.
	base, _, _ := strings.Cut(c.URL, "?")
	address := c.BaseString
	if address == "" {
		return
	}
	nonce := c.Headers[headerNonceV3]
	rest := strings.TrimSuffix(strings.TrimPrefix(address, base+"?"), "."+nonce)
	for cut := range len(rest) + 1 {
		query, params := rest[:cut], rest[cut:]
		raw := url.QueryEscape(query)
		if name, value, ok := strings.Cut(query, "="); ok {
			raw = url.QueryEscape(name) + "=" + url.QueryEscape(value)
		}
		w := c.webhook()
		w.Method, w.URL, w.Body = http.MethodGet, base+"?"+raw, nil
		attack("parameters given to the query", w)
		for _, name := range names {
			if value, ok := strings.CutPrefix(strings.TrimPrefix(params, "."), name); ok {
				w := c.webhook()
				w.URL, w.Body = base+"?"+raw, []byte(url.Values{name: {value}}.Encode())
				attack("parameters given to the query, others left", w)
			}
		}
	}
	// The end of what is signed as the beginning of the nonce.
	for cut := range len(rest) {
		w := c.webhook()
		w.Header.Set(headerNonceV3, rest[cut:]+"."+nonce)
		w.Body = []byte(url.Values{names[0]: {strings.TrimPrefix(rest[:cut], names[0])}}.Encode())
		attack("parameters given to the nonce", w)
	}
	w := c.webhook()
	if c.Method == http.MethodGet {
		w.Method = http.MethodPost
		attack("a GET as a POST", w)
	} else {
		w.Method, w.URL, w.Body = http.MethodGet, c.URL+"?"+string(w.Body), nil
		attack("a POST as a GET", w)
	}
	send("an empty parameter added", c.URL, changed(func(f url.Values) { f.Set("", "") }))
}

// A caller who chooses his name or his SIP headers, and sees the webhook about
// it, can make it say nothing else.
func TestChosenTextCannotBecomeParameters(t *testing.T) {
	chosen := []string{
		"xDirectioninboundEventHangupFrom1HangupCauseName",
		"xDirectioninboundEventHangupFrom14155550199SIP-H-To",
		"x.CallStatuscompletedCallUUID" + testRequest + "DirectioninboundEventHangupFrom1To2X-PH-Z",
		"x&CallStatus=completed&CallUUID=" + testRequest + "&Direction=inbound&Event=Hangup&From=1&To=2",
		"xParentAuthID" + testAccount,
		"xDirectioninboundEventStartAppFrom1To2X-PH-Z",
		"sip:a@bTo15550001X-PH-Z@phone.plivo.com",
		"bobTo15550001X-PH-Z", "bobTo1X-PH-Z", "bobTosip:xX-PH-Z", "bobToannX-PH-Z", "bobTo1SIP-H-", "bobToannSIP-H-ToX-PH-",
		"sip:a@bRequestUUID" + testRequest + "SIP-H-To@phone.plivo.com",
		"EveDirectionoutboundEventStartAppFrom1ForwardedFrom2",
		"xDialALegUUID" + testRequest + "DialStatuscompleted",
		"xDialStatuscompleted",
		"sip:a@bMachinetrue",
	}
	base := capturedWebhooks(t)["inbound_answer"]
	counted := 0
	for _, field := range []string{"CallerName", "SIP-H-To", "X-PH-A", "From"} {
		for _, text := range chosen {
			form := base.form()
			form.Set(field, text)
			honest := signedWith(testToken, "1", base.URL, form)
			want, honestErr := testProvider().ParseEvent(honest)
			for _, reading := range divisions(signedText(nil, form)[1:]) {
				w := signedWith(testToken, "1", base.URL, reading)
				if w.Header.Get(headerV3) != honest.Header.Get(headerV3) {
					continue
				}
				counted++
				got, err := testProvider().ParseEvent(w)
				if err == nil && honestErr == nil && !cmp.Equal(got, want) {
					t.Errorf("%s %q is read as %v", field, text, got.Fields)
				}
				if err == nil && honestErr != nil && (got.To != "+15005550006" || got.RequestID != "" || got.Status != telephony.StatusRinging || got.ProviderCallID != testCall) {
					t.Errorf("%s %q is read as %v", field, text, got.Fields)
				}
			}
		}
	}
	if counted < 1000 {
		t.Errorf("%d readings, want at least 1,000", counted)
	}
}

// divisions divides text at known names in all ways, up to a bound.
func divisions(text string) []url.Values {
	every := make(map[string]shape)
	for _, g := range []grammar{ofEnd, ofMachine, ofDial, ofStream, ofRecording} {
		maps.Copy(every, g.names)
	}
	names := append(slices.Sorted(maps.Keys(every)), "X-PH-A", "X-PH-Z")
	begins := make([]bool, len(text)+1)
	for at := range text {
		begins[at] = slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(text[at:], name) })
	}
	begins[len(text)] = true
	var all []url.Values
	var divide func(at int, last string, sofar []pair)
	divide = func(at int, last string, sofar []pair) {
		if at == len(text) {
			form := url.Values{}
			for _, p := range sofar {
				form.Set(p.name, p.value)
			}
			all = append(all, form)
			return
		}
		for _, name := range names {
			if name <= last || !strings.HasPrefix(text[at:], name) {
				continue
			}
			value := at + len(name)
			for end := len(text); end >= value && len(all) < 200; end-- {
				if begins[end] {
					divide(end, name, append(slices.Clone(sofar), pair{name, text[value:end]}))
				}
			}
		}
	}
	divide(0, "", nil)
	return all
}

func FuzzParseEvent(f *testing.F) {
	for _, c := range capturedWebhooks(f) {
		f.Add(c.URL, c.Body)
	}
	f.Add("https://voice.example.com/x?a=1", "api_id="+testRequest+"&call_uuid="+testCall+"&record_url=x&recording_id="+testStream)
	f.Fuzz(func(t *testing.T, address, body string) {
		// Signed whatever it is, so that all of the parser is reached.
		form, err := url.ParseQuery(body)
		if err != nil || strings.Contains(address, "#") {
			return
		}
		w := signedWith(testToken, "1", address, form)
		w.Body = []byte(body)
		e, err := testProvider().ParseEvent(w)
		if err != nil {
			if !errors.Is(err, telephony.ErrUnverified) {
				t.Errorf("error %v is not ErrUnverified", err)
			}
			return
		}
		if !isUUID(e.ProviderCallID) || e.Duration < 0 {
			t.Errorf("accepted %+v", e)
		}
		for name, values := range form {
			if len(values) != 1 || e.Fields[name] != values[0] && !strings.HasPrefix(name, sipHeader) {
				t.Errorf("%q has the values %q and was read as %q", name, values, e.Fields[name])
			}
		}
	})
}

// FuzzVerify looks for something that passes without the token, or does not
// pass with it.
func FuzzVerify(f *testing.F) {
	for _, c := range capturedWebhooks(f) {
		f.Add(c.Method, c.URL, c.Body, c.Headers[headerV3], c.Headers[headerNonceV3])
	}
	f.Add("GET", "wss://[::1]:443/a'?b'#c", "", "AAAA,,=", "1")
	stranger := &Provider{AuthID: testAccount, AuthToken: "a token that nobody signed with", AllowV2: true}
	f.Fuzz(func(t *testing.T, method, address, body, signature, nonce string) {
		w := &telephony.Webhook{Method: method, URL: address, Header: http.Header{}, Body: []byte(body)}
		w.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, name := range []string{headerV3, headerMainV3, headerV2, headerMainV2} {
			w.Header.Set(name, signature)
		}
		w.Header.Set(headerNonceV3, nonce)
		w.Header.Set(headerNonceV2, nonce)
		if stranger.Verify(w) == nil {
			t.Error("passes without the token")
		}
		form, err := formOf(w)
		scheme, rest, ok := strings.Cut(address, "://")
		if err != nil || !ok || scheme == "" || rest == "" || rest[0] == '?' || strings.ContainsAny(address, "#") || strings.Contains(scheme, "?") {
			return
		}
		if _, err := nonceOf(w.Header, headerNonceV3); err != nil {
			return
		}
		base, raw, _ := strings.Cut(address, "?")
		query, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		text := signedText(query, form)
		w.Header.Set(headerV3, base64.StdEncoding.EncodeToString(sign(testToken, base+text+"."+nonce)))
		if err := testProvider().Verify(w); err != nil {
			t.Errorf("what is signed does not pass: %v", err)
		}
	})
}
