package plivo

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/markup"
	"github.com/switchboard-voice/switchboard/internal/markup/markuptest"
	"github.com/switchboard-voice/switchboard/telephony"
)

func written(t testing.TB, p *Provider, a *telephony.Answer) string {
	t.Helper()
	w := httptest.NewRecorder()
	if err := p.WriteAnswer(w, a); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Content-Type"); got != "application/xml; charset=utf-8" {
		t.Errorf("content type is %q", got)
	}
	return w.Body.String()
}

func TestAnswers(t *testing.T) {
	const stream = `<Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000">wss://voice.example.com/plivo/stream</Stream>`
	socket := &telephony.StreamAnswer{URL: "wss://voice.example.com/plivo/stream"}
	for _, tt := range []struct {
		name   string
		answer telephony.Answer
		want   string
	}{
		{"nothing to say", telephony.Answer{}, `<Response/>`},
		{"busy", telephony.Answer{Reject: telephony.RejectBusy}, `<Response><Hangup reason="busy"/></Response>`},
		{"refused, and nothing else", telephony.Answer{Reject: telephony.RejectRefused, Say: "x", Keys: "!", Hangup: true}, `<Response><Hangup reason="rejected"/></Response>`},
		{"hangup", telephony.Answer{Hangup: true}, `<Response><Hangup/></Response>`},
		{"a sentence and hangup", telephony.Answer{Say: "Goodbye.", Hangup: true}, `<Response><Speak>Goodbye.</Speak><Hangup/></Response>`},
		{"a language", telephony.Answer{Say: "Tschüß & <b>", Language: "de-DE"}, `<Response><Speak language="de-DE">Tschüß &amp; &lt;b&gt;</Speak></Response>`},
		{"keys", telephony.Answer{Keys: "ww12*#"}, `<Response><DTMF async="false">ww12*#</DTMF></Response>`},
		{"a stream", telephony.Answer{Stream: socket}, `<Response>` + stream + `</Response>`},
		{"a stream and what comes next", telephony.Answer{Stream: socket, Next: "https://x/n?a=1&b"}, `<Response>` + stream + `<Redirect method="POST">https://x/n?a=1&amp;b</Redirect></Response>`},
		{"somebody else", telephony.Answer{Dial: &telephony.DialAnswer{To: "+14155550199"}}, `<Response><Dial><Number>14155550199</Number></Dial></Response>`},
		{"somebody else, and what became of it", telephony.Answer{Dial: &telephony.DialAnswer{To: "+14155550199", ResultURL: "https://x/done?a=1&b"}},
			`<Response><Dial action="https://x/done?a=1&amp;b" method="POST"><Number>14155550199</Number></Dial></Response>`},
		{"a conference", telephony.Answer{Conference: &telephony.ConferenceAnswer{Name: "room-42"}},
			`<Response><Conference startConferenceOnEnter="true" endConferenceOnExit="false">room-42</Conference></Response>`},
		{"a conference that ends with one", telephony.Answer{Say: "Hold on.", Conference: &telephony.ConferenceAnswer{Name: "room-42", EndOnExit: true}, Next: "https://x/n"},
			`<Response><Speak>Hold on.</Speak><Conference startConferenceOnEnter="true" endConferenceOnExit="true">room-42</Conference><Redirect method="POST">https://x/n</Redirect></Response>`},
		{"everything", telephony.Answer{
			Say: "Please hold.", Language: "en-US", Keys: "1", Hangup: true, Next: "https://x/n",
			Stream:     &telephony.StreamAnswer{URL: "wss://x/s?a=1&b", StatusURL: "https://x/\"s\""},
			Dial:       &telephony.DialAnswer{To: "+14155550199", CallerID: "+15005550006", Timeout: 19500 * time.Millisecond},
			Conference: &telephony.ConferenceAnswer{Name: "a"},
		}, `<Response><Speak language="en-US">Please hold.</Speak><DTMF async="false">1</DTMF>` +
			`<Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000" statusCallbackUrl="https://x/&#34;s&#34;" statusCallbackMethod="POST">wss://x/s?a=1&amp;b</Stream>` +
			`<Dial callerId="15005550006" timeout="20"><Number>14155550199</Number></Dial>` +
			`<Conference startConferenceOnEnter="true" endConferenceOnExit="false">a</Conference><Redirect method="POST">https://x/n</Redirect><Hangup/></Response>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := written(t, testProvider(), &tt.answer)
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
		"keys that are none":        {Keys: `1</DTMF><Dial>`, Hangup: true},
		"a conference without name": {Conference: &telephony.ConferenceAnswer{}},
		"a conference of markup":    {Conference: &telephony.ConferenceAnswer{Name: "a</Conference>"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := testProvider().WriteAnswer(w, &a); err == nil || !strings.HasPrefix(err.Error(), "plivo: answer: ") {
				t.Errorf("error is %v", err)
			}
			if w.Body.Len() > 0 || len(w.Header()) > 0 {
				t.Errorf("written: %v %s", w.Header(), w.Body)
			}
		})
	}
}

func TestAnswersAreWhatPlivoDocuments(t *testing.T) {
	var file struct{ Replies map[string]string }
	readFixture(t, "xml.json", &file)
	wide := testProvider()
	wide.Format = audio.Format{Encoding: audio.PCM16, Rate: 16000}
	socket := &telephony.StreamAnswer{URL: "wss://voice.example.com/plivo/stream/abc?x=1&y=2", StatusURL: "https://voice.example.com/plivo/stream"}
	for _, tt := range []struct {
		name   string
		p      *Provider
		answer telephony.Answer
		change *strings.Replacer // what we never ask for, and what we say lest a default decide
	}{
		{"stream", testProvider(), telephony.Answer{Stream: socket}, strings.NewReplacer(` extraHeaders="agent=sales,callref=c-42"`, "")},
		{"greeting_then_stream", wide, telephony.Answer{Say: "Please hold.", Stream: &telephony.StreamAnswer{URL: "wss://voice.example.com/plivo/stream/abc"}}, strings.NewReplacer("<Speak>Goodbye.</Speak>", "")},
		{"transfer_dial", testProvider(), telephony.Answer{Dial: &telephony.DialAnswer{To: "+14155550199", CallerID: "+15005550006", Timeout: 20 * time.Second, ResultURL: "https://voice.example.com/plivo/dial-done"}}, strings.NewReplacer()},
		{"conference", testProvider(), telephony.Answer{Conference: &telephony.ConferenceAnswer{Name: "room-42", EndOnExit: true}}, strings.NewReplacer(`<Conference `, `<Conference startConferenceOnEnter="true" `)},
		{"dtmf", testProvider(), telephony.Answer{Keys: "1234#"}, strings.NewReplacer("<DTMF>", `<DTMF async="false">`)},
		{"reject", testProvider(), telephony.Answer{Reject: telephony.RejectRefused}, strings.NewReplacer()},
		{"busy", testProvider(), telephony.Answer{Reject: telephony.RejectBusy}, strings.NewReplacer()},
		{"hangup", testProvider(), telephony.Answer{Hangup: true}, strings.NewReplacer()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.change.Replace(file.Replies[tt.name])
			if got := written(t, tt.p, &tt.answer); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// answerTree is what Plivo shall find in an answer, told another way.
func answerTree(a *telephony.Answer) []markuptest.Node {
	e := markuptest.Element
	if a.Reject != telephony.RejectNone {
		reason := map[telephony.RejectReason]string{telephony.RejectBusy: "busy", telephony.RejectRefused: "rejected"}
		return []markuptest.Node{e("Hangup", "", []string{"reason", reason[a.Reject]})}
	}
	var all []markuptest.Node
	if a.Say != "" {
		all = append(all, e("Speak", a.Say, []string{"language", a.Language}))
	}
	if a.Keys != "" {
		all = append(all, e("DTMF", a.Keys, []string{"async", "false"}))
	}
	if s := a.Stream; s != nil {
		attrs := []string{"bidirectional", "true", "keepCallAlive", "true", "contentType", "audio/x-mulaw;rate=8000"}
		if s.StatusURL != "" {
			attrs = append(attrs, "statusCallbackUrl", s.StatusURL, "statusCallbackMethod", "POST")
		}
		all = append(all, e("Stream", s.URL, attrs))
	}
	if d := a.Dial; d != nil {
		attrs := []string{"callerId", strings.TrimPrefix(string(d.CallerID), "+"), "action", d.ResultURL}
		if d.ResultURL != "" {
			attrs = append(attrs, "method", "POST")
		}
		if d.Timeout > 0 {
			attrs = append(attrs, "timeout", "20")
		}
		all = append(all, e("Dial", "", attrs, e("Number", strings.TrimPrefix(string(d.To), "+"), nil)))
	}
	if c := a.Conference; c != nil {
		end := map[bool]string{true: "true", false: "false"}[c.EndOnExit]
		all = append(all, e("Conference", c.Name, []string{"startConferenceOnEnter", "true", "endConferenceOnExit", end}))
	}
	if a.Next != "" {
		all = append(all, e("Redirect", a.Next, []string{"method", "POST"}))
	}
	if a.Hangup {
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
		if diff := cmp.Diff(answerTree(a), markuptest.Parse(t, written(t, testProvider(), a))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
