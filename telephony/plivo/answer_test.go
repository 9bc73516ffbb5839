package plivo

import (
	"encoding/xml"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/audio"
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
	stream := &telephony.StreamAnswer{URL: "wss://voice.example.com/plivo/stream"}
	for _, tt := range []struct {
		name   string
		answer telephony.Answer
		want   string
	}{
		{"nothing to say", telephony.Answer{}, `<Response/>`},
		{"busy", telephony.Answer{Reject: telephony.RejectBusy}, `<Response><Hangup reason="busy"/></Response>`},
		{"refused, and nothing else", telephony.Answer{Reject: telephony.RejectRefused, Say: "x", Hangup: true}, `<Response><Hangup reason="rejected"/></Response>`},
		{"hangup", telephony.Answer{Hangup: true}, `<Response><Hangup/></Response>`},
		{"a sentence and hangup", telephony.Answer{Say: "Goodbye.", Hangup: true}, `<Response><Speak>Goodbye.</Speak><Hangup/></Response>`},
		{"a language", telephony.Answer{Say: "Tschüß & <b>", Language: "de-DE"}, `<Response><Speak language="de-DE">Tschüß &amp; &lt;b&gt;</Speak></Response>`},
		{"a stream", telephony.Answer{Stream: stream}, `<Response><Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000">wss://voice.example.com/plivo/stream</Stream></Response>`},
		{"somebody else", telephony.Answer{Dial: &telephony.DialAnswer{To: "+14155550199"}}, `<Response><Dial><Number>14155550199</Number></Dial></Response>`},
		{"everything", telephony.Answer{
			Say: "Please hold.", Language: "en-US", Hangup: true,
			Stream: &telephony.StreamAnswer{URL: "wss://x/s?a=1&b", StatusURL: "https://x/\"s\""},
			Dial:   &telephony.DialAnswer{To: "+14155550199", CallerID: "+15005550006", Timeout: 19500 * time.Millisecond},
		}, `<Response><Speak language="en-US">Please hold.</Speak><Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000" statusCallbackUrl="https://x/&#34;s&#34;" statusCallbackMethod="POST">wss://x/s?a=1&amp;b</Stream>` +
			`<Dial callerId="15005550006" timeout="20"><Number>14155550199</Number></Dial><Hangup/></Response>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := written(t, testProvider(), &tt.answer); got != xmlHeader+tt.want {
				t.Errorf("got  %s\nwant %s%s", got, xmlHeader, tt.want)
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
		change *strings.Replacer // what we never ask for
	}{
		{"stream", testProvider(), telephony.Answer{Stream: socket}, strings.NewReplacer(` extraHeaders="agent=sales,callref=c-42"`, "")},
		{"greeting_then_stream", wide, telephony.Answer{Say: "Please hold.", Stream: &telephony.StreamAnswer{URL: "wss://voice.example.com/plivo/stream/abc"}}, strings.NewReplacer("<Speak>Goodbye.</Speak>", "")},
		{"transfer_dial", testProvider(), telephony.Answer{Dial: &telephony.DialAnswer{To: "+14155550199", CallerID: "+15005550006", Timeout: 20 * time.Second}}, strings.NewReplacer(` action="https://voice.example.com/plivo/dial-done" method="POST"`, "")},
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
	f.Add("Hello", "en", "wss://x/s", "https://x/s", "+14155550199")
	f.Add("</Speak><Dial>+1900</Dial>", `"/><x y="`, "wss://x/?a=1&b=2</Stream><Dial><Number>1900</Number></Dial>", "<![CDATA[ ]]>&#0;\xff", "</Number><Number>1900")
	f.Fuzz(func(t *testing.T, say, language, address, status, to string) {
		got, err := parseXML(written(t, testProvider(), &telephony.Answer{
			Say: say, Language: language, Hangup: true,
			Stream: &telephony.StreamAnswer{URL: address, StatusURL: status},
			Dial:   &telephony.DialAnswer{To: telephony.Number(to)},
		}))
		if err != nil {
			t.Fatal(err)
		}
		var all []node
		if say != "" {
			speak := node{Name: "Speak", Text: asXML(say)}
			if language != "" {
				speak.Attrs = map[string]string{"language": asXML(language)}
			}
			all = append(all, speak)
		}
		attrs := map[string]string{"bidirectional": "true", "keepCallAlive": "true", "contentType": "audio/x-mulaw;rate=8000"}
		if status != "" {
			attrs["statusCallbackUrl"], attrs["statusCallbackMethod"] = asXML(status), "POST"
		}
		all = append(all,
			node{Name: "Stream", Attrs: attrs, Text: asXML(address)},
			node{Name: "Dial", Children: []node{{Name: "Number", Text: asXML(strings.TrimPrefix(to, "+"))}}},
			node{Name: "Hangup"})
		if diff := cmp.Diff(node{Children: []node{{Name: "Response", Children: all}}}, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
