package twilio

import (
	"encoding/xml"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

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
	for _, tt := range []struct {
		name   string
		answer telephony.Answer
		want   string
	}{
		{"nothing to say", telephony.Answer{}, `<Response/>`},
		{"busy", telephony.Answer{Reject: telephony.RejectBusy}, `<Response><Reject reason="busy"/></Response>`},
		{"refused, and nothing else", telephony.Answer{Reject: telephony.RejectRefused, Say: "x", Hangup: true}, `<Response><Reject reason="rejected"/></Response>`},
		{"hangup", telephony.Answer{Hangup: true}, `<Response><Hangup/></Response>`},
		{"a sentence and hangup", telephony.Answer{Say: "Goodbye.", Hangup: true}, `<Response><Say>Goodbye.</Say><Hangup/></Response>`},
		{"a language", telephony.Answer{Say: "Tschüß & <b>", Language: "de-DE"}, `<Response><Say language="de-DE">Tschüß &amp; &lt;b&gt;</Say></Response>`},
		{"a stream ends with a hangup", telephony.Answer{Stream: stream}, `<Response><Connect><Stream url="wss://voice.example.com/twilio/stream"/></Connect><Hangup/></Response>`},
		{"somebody else", telephony.Answer{Dial: &telephony.DialAnswer{To: "+14155550199", CallerID: "+15005550006", Timeout: 19500 * time.Millisecond}},
			`<Response><Dial callerId="+15005550006" timeout="20"><Number>+14155550199</Number></Dial></Response>`},
		{"everything", telephony.Answer{
			Say: "Please hold.", Language: "en-US", Hangup: true,
			Stream: &telephony.StreamAnswer{URL: "wss://x/s?a=1&b", StatusURL: "https://x/\"s\""},
		}, `<Response><Say language="en-US">Please hold.</Say><Connect><Stream url="wss://x/s?a=1&amp;b" statusCallback="https://x/&#34;s&#34;"/></Connect><Hangup/></Response>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := written(t, &tt.answer); got != xmlHeader+tt.want {
				t.Errorf("got  %s\nwant %s%s", got, xmlHeader, tt.want)
			}
		})
	}
}

func TestAnswersAreWhatTwilioDocuments(t *testing.T) {
	var file struct{ Replies map[string]string }
	readFixture(t, "twiml.json", &file)
	for name, a := range map[string]*telephony.Answer{
		"empty":       {},
		"hangup":      {Hangup: true},
		"reject_busy": {Reject: telephony.RejectBusy},
	} {
		if got := written(t, a); got != file.Replies[name] {
			t.Errorf("%s: got %s, want %s", name, got, file.Replies[name])
		}
	}
}

func TestTransferTwiML(t *testing.T) {
	for _, tt := range []struct {
		transfer telephony.Transfer
		want     string
	}{
		{telephony.Transfer{To: "+14155550199"}, `<Response><Dial><Number>+14155550199</Number></Dial></Response>`},
		{telephony.Transfer{To: "+14155550199", CallerID: "+15005550006", Timeout: 19500 * time.Millisecond},
			`<Response><Dial callerId="+15005550006" timeout="20"><Number>+14155550199</Number></Dial></Response>`},
		{telephony.Transfer{To: "</Number><Number>+1900"}, `<Response><Dial><Number>&lt;/Number&gt;&lt;Number&gt;+1900</Number></Dial></Response>`},
	} {
		if got := string(transferTwiML(&tt.transfer)); got != xmlHeader+tt.want {
			t.Errorf("got  %s\nwant %s%s", got, xmlHeader, tt.want)
		}
	}
}

// node is a parsed element.
type node struct {
	Name     string
	Attrs    map[string]string
	Text     string
	Children []node
}

func parseXML(text string) (node, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	root := node{}
	open := []*node{&root}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return root, nil
		}
		if err != nil {
			return root, err
		}
		top := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := node{Name: token.Name.Local}
			for _, a := range token.Attr {
				if n.Attrs == nil {
					n.Attrs = map[string]string{}
				}
				n.Attrs[a.Name.Local] = a.Value
			}
			top.Children = append(top.Children, n)
			open = append(open, &top.Children[len(top.Children)-1])
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.Text += string(token)
		}
	}
}

// asXML is what XML 1.0 can hold of s (section 2.2).
func asXML(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD, r >= 0x10000:
			return r
		}
		return utf8.RuneError
	}, s)
}

func FuzzWriteAnswer(f *testing.F) {
	f.Add("Hello", "en", "wss://x/s", "https://x/s")
	f.Add("</Say><Dial>+1900</Dial>", `"/><x y="`, "\x00\r\n\t", "<![CDATA[ ]]>&#0;\xff")
	f.Fuzz(func(t *testing.T, say, language, address, status string) {
		got, err := parseXML(written(t, &telephony.Answer{
			Say: say, Language: language, Stream: &telephony.StreamAnswer{URL: address, StatusURL: status},
		}))
		if err != nil {
			t.Fatal(err)
		}
		attrs := func(pairs ...string) map[string]string {
			var m map[string]string
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i+1] != "" {
					if m == nil {
						m = map[string]string{}
					}
					m[pairs[i]] = asXML(pairs[i+1])
				}
			}
			return m
		}
		var verbs []node
		if say != "" {
			verbs = append(verbs, node{Name: "Say", Attrs: attrs("language", language), Text: asXML(say)})
		}
		verbs = append(verbs,
			node{Name: "Connect", Children: []node{{Name: "Stream", Attrs: attrs("url", address, "statusCallback", status)}}},
			node{Name: "Hangup"})
		want := node{Children: []node{{Name: "Response", Children: verbs}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
