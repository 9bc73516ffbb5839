package twilio

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/internal/markup"
	"github.com/switchboard-voice/switchboard/internal/markup/markuptest"
	"github.com/switchboard-voice/switchboard/telephony"
)

func written(t testing.TB, a *telephony.Answer) string {
	t.Helper()
	w := httptest.NewRecorder()
	if err := testProvider().WriteAnswer(w, a); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Content-Type"); got != "text/xml; charset=utf-8" {
		t.Errorf("content type is %q", got)
	}
	return w.Body.String()
}

func TestAnswers(t *testing.T) {
	stream := &telephony.StreamAnswer{URL: "wss://voice.example.com/twilio/stream"}
	dial := &telephony.DialAnswer{To: "+14155550199"}
	for _, tt := range []struct {
		name   string
		answer telephony.Answer
		want   string
	}{
		{"nothing to say", telephony.Answer{}, `<Response/>`},
		{"busy", telephony.Answer{Reject: telephony.RejectBusy}, `<Response><Reject reason="busy"/></Response>`},
		{"refused, and nothing else", telephony.Answer{Reject: telephony.RejectRefused, Say: "x", Keys: "!", Hangup: true}, `<Response><Reject reason="rejected"/></Response>`},
		{"hangup", telephony.Answer{Hangup: true}, `<Response><Hangup/></Response>`},
		{"a sentence and hangup", telephony.Answer{Say: "Goodbye.", Hangup: true}, `<Response><Say>Goodbye.</Say><Hangup/></Response>`},
		{"a language", telephony.Answer{Say: "Tschüß & <b>", Language: "de-DE"}, `<Response><Say language="de-DE">Tschüß &amp; &lt;b&gt;</Say></Response>`},
		{"keys", telephony.Answer{Keys: "ww12*#"}, `<Response><Play digits="ww12*#"/></Response>`},
		{"keys and the stream again", telephony.Answer{Keys: "1", Stream: stream}, `<Response><Play digits="1"/><Connect><Stream url="wss://voice.example.com/twilio/stream"/></Connect><Hangup/></Response>`},
		{"a stream ends with a hangup", telephony.Answer{Stream: stream}, `<Response><Connect><Stream url="wss://voice.example.com/twilio/stream"/></Connect><Hangup/></Response>`},
		{"a stream and what comes next", telephony.Answer{Stream: stream, Next: "https://x/n?a=1&b"}, `<Response><Connect><Stream url="wss://voice.example.com/twilio/stream"/></Connect><Redirect method="POST">https://x/n?a=1&amp;b</Redirect></Response>`},
		{"somebody else", telephony.Answer{Dial: &telephony.DialAnswer{To: "+14155550199", CallerID: "+15005550006", Timeout: 19500 * time.Millisecond}},
			`<Response><Dial callerId="+15005550006" timeout="20"><Number>+14155550199</Number></Dial></Response>`},
		{"somebody else, and what became of it", telephony.Answer{Dial: &telephony.DialAnswer{To: "+14155550199", ResultURL: "https://x/done?a=1&b"}},
			`<Response><Dial action="https://x/done?a=1&amp;b" method="POST"><Number>+14155550199</Number></Dial></Response>`},
		{"somebody else, then a hangup", telephony.Answer{Dial: dial, Hangup: true}, `<Response><Dial><Number>+14155550199</Number></Dial><Hangup/></Response>`},
		{"a conference", telephony.Answer{Conference: &telephony.ConferenceAnswer{Name: "room-42"}},
			`<Response><Dial><Conference beep="false" startConferenceOnEnter="true" endConferenceOnExit="false">room-42</Conference></Dial></Response>`},
		{"a conference that ends with one", telephony.Answer{Say: "Hold on.", Conference: &telephony.ConferenceAnswer{Name: "room-42", EndOnExit: true}, Next: "https://x/n"},
			`<Response><Say>Hold on.</Say><Dial><Conference beep="false" startConferenceOnEnter="true" endConferenceOnExit="true">room-42</Conference></Dial><Redirect method="POST">https://x/n</Redirect></Response>`},
		{"everything", telephony.Answer{
			Say: "Please hold.", Language: "en-US", Keys: "1", Hangup: true, Dial: dial, Next: "https://x/n",
			Stream:     &telephony.StreamAnswer{URL: "wss://x/s?a=1&b", StatusURL: "https://x/\"s\""},
			Conference: &telephony.ConferenceAnswer{Name: "a"},
		}, `<Response><Say language="en-US">Please hold.</Say><Play digits="1"/><Connect><Stream url="wss://x/s?a=1&amp;b" statusCallback="https://x/&#34;s&#34;"/></Connect>` +
			`<Dial><Number>+14155550199</Number></Dial><Dial><Conference beep="false" startConferenceOnEnter="true" endConferenceOnExit="false">a</Conference></Dial>` +
			`<Redirect method="POST">https://x/n</Redirect><Hangup/></Response>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := written(t, &tt.answer)
			if got != markup.Header+tt.want {
				t.Errorf("got  %s\nwant %s%s", got, markup.Header, tt.want)
			}
			if diff := cmp.Diff(answerTree(&tt.answer), markuptest.Parse(t, got)); diff != "" {
				t.Errorf("parsed back (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAnswersThatCannotBeAreNotWritten(t *testing.T) {
	for name, a := range map[string]telephony.Answer{
		"keys that are none":        {Keys: `1"/><Dial>`, Hangup: true},
		"a conference without name": {Conference: &telephony.ConferenceAnswer{}},
		"a conference of markup":    {Conference: &telephony.ConferenceAnswer{Name: "a</Conference>"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := testProvider().WriteAnswer(w, &a); err == nil || !strings.HasPrefix(err.Error(), "twilio: answer: ") {
				t.Errorf("error is %v", err)
			}
			if w.Body.Len() > 0 || len(w.Header()) > 0 {
				t.Errorf("written: %v %s", w.Header(), w.Body)
			}
		})
	}
}

func TestAnswersAreWhatTwilioDocuments(t *testing.T) {
	var file struct{ Replies map[string]string }
	readFixture(t, "twiml.json", &file)
	for name, a := range map[string]*telephony.Answer{
		"empty":         {},
		"hangup":        {Hangup: true},
		"reject_busy":   {Reject: telephony.RejectBusy},
		"send_dtmf":     {Keys: "ww1234#"},
		"transfer_dial": {Dial: &telephony.DialAnswer{To: "+14155550199", CallerID: "+15005550006", Timeout: 20 * time.Second, ResultURL: "https://voice.example.com/twilio/dial-done"}},
		"conference":    {Conference: &telephony.ConferenceAnswer{Name: "room-42", EndOnExit: true}},
	} {
		want := markuptest.Parse(t, file.Replies[name])
		got := markuptest.Parse(t, written(t, a))
		// What we say beside, lest a default decide.
		switch name {
		case "transfer_dial":
			want[0].Attrs["method"] = "POST"
		case "conference":
			want[0].Children[0].Attrs["beep"] = "false"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// answerTree is what Twilio shall find in an answer, told another way.
func answerTree(a *telephony.Answer) []markuptest.Node {
	e := markuptest.Element
	if a.Reject != telephony.RejectNone {
		reason := map[telephony.RejectReason]string{telephony.RejectBusy: "busy", telephony.RejectRefused: "rejected"}
		return []markuptest.Node{e("Reject", "", []string{"reason", reason[a.Reject]})}
	}
	var all []markuptest.Node
	if a.Say != "" {
		all = append(all, e("Say", a.Say, []string{"language", a.Language}))
	}
	if a.Keys != "" {
		all = append(all, e("Play", "", []string{"digits", a.Keys}))
	}
	if s := a.Stream; s != nil {
		all = append(all, e("Connect", "", nil, e("Stream", "", []string{"url", s.URL, "statusCallback", s.StatusURL})))
	}
	if d := a.Dial; d != nil {
		attrs := []string{"callerId", string(d.CallerID), "action", d.ResultURL}
		if d.ResultURL != "" {
			attrs = append(attrs, "method", "POST")
		}
		if d.Timeout > 0 {
			attrs = append(attrs, "timeout", "20")
		}
		all = append(all, e("Dial", "", attrs, e("Number", string(d.To), nil)))
	}
	if c := a.Conference; c != nil {
		end := map[bool]string{true: "true", false: "false"}[c.EndOnExit]
		all = append(all, e("Dial", "", nil, e("Conference", c.Name, []string{"beep", "false", "startConferenceOnEnter", "true", "endConferenceOnExit", end})))
	}
	if a.Next != "" {
		all = append(all, e("Redirect", a.Next, []string{"method", "POST"}))
	}
	if a.Hangup || a.Stream != nil && a.Next == "" {
		all = append(all, e("Hangup", "", nil))
	}
	return all
}

// FuzzWriteAnswer puts hostile text into each field, with and without each part.
func FuzzWriteAnswer(f *testing.F) {
	f.Add(uint8(0xFF), "Hello", "en", "1w#", "wss://x/s", "https://x/s", "+14155550199", "+15005550006", "https://x/r", "room", "https://x/n")
	for i, text := range markuptest.Hostile {
		f.Add(uint8(0xFF>>(i%3)), text, text, "", text, text, text, text, text, "room", text)
		f.Add(uint8(0x7F), text, "", text, text, "", text, "", "", text, "")
	}
	f.Fuzz(func(t *testing.T, parts uint8, say, language, keys, address, status, to, callerID, result, room, next string) {
		a := &telephony.Answer{Say: say, Language: language, Keys: keys, Next: next, Hangup: parts&1 != 0}
		if parts&2 != 0 {
			a.Stream = &telephony.StreamAnswer{URL: address, StatusURL: status}
		}
		if parts&4 != 0 {
			a.Dial = &telephony.DialAnswer{To: telephony.Number(to), CallerID: telephony.Number(callerID), ResultURL: result}
		}
		if parts&8 != 0 {
			a.Conference = &telephony.ConferenceAnswer{Name: room, EndOnExit: parts&16 != 0}
		}
		if markup.Check(a) != nil {
			if err := testProvider().WriteAnswer(httptest.NewRecorder(), a); err == nil {
				t.Error("an answer that cannot be is written")
			}
			return
		}
		if diff := cmp.Diff(answerTree(a), markuptest.Parse(t, written(t, a))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
