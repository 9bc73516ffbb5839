package markup

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/internal/markup/markuptest"
	"github.com/switchboard-voice/switchboard/telephony"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDocument(t *testing.T) {
	if got, want := string(Document()), Header+"<Response/>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got := string(Document(Element{
		Name: "A", Attrs: []Attr{{"x", `"1"`}, {"y", ""}, {"z", "<&>"}}, Text: "t<",
		Children: []Element{{Name: "B"}, {Name: "C", Text: "c"}},
	}, Element{Name: "D"}))
	want := Header + `<Response><A x="&#34;1&#34;" z="&lt;&amp;&gt;">t&lt;<B/><C>c</C></A><D/></Response>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestReply(t *testing.T) {
	w := httptest.NewRecorder()
	if err := Reply(w, "text/xml", Element{Name: "Hangup"}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.Body.String(), Header+"<Response><Hangup/></Response>"; got != want {
		t.Errorf("body is %s", got)
	}
	want := map[string]string{"Content-Type": "text/xml; charset=utf-8", "Content-Length": "68", "Cache-Control": "no-store"}
	for name, value := range want {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

func TestHostileTextStaysWhereItIs(t *testing.T) {
	for _, text := range markuptest.Hostile {
		got := markuptest.Parse(t, string(Document(Element{
			Name: "A", Attrs: []Attr{{"x", text}}, Text: text, Children: []Element{{Name: "B", Text: text}},
		})))
		want := []markuptest.Node{markuptest.Element("A", text, []string{"x", text}, markuptest.Element("B", text, nil))}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
}

func FuzzDocument(f *testing.F) {
	for _, text := range markuptest.Hostile {
		f.Add(text, text, text)
	}
	f.Fuzz(func(t *testing.T, attr, text, inner string) {
		e := Element{Name: "A", Attrs: []Attr{{"x", attr}, {"y", inner}}, Text: text}
		want := markuptest.Element("A", text, []string{"x", attr, "y", inner})
		if inner != "" {
			e.Children = []Element{{Name: "B", Text: inner}}
			want.Children = []markuptest.Node{markuptest.Element("B", inner, nil)}
		}
		if diff := cmp.Diff([]markuptest.Node{want}, markuptest.Parse(t, string(Document(e)))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestCheck(t *testing.T) {
	conference := func(name string) telephony.Answer {
		return telephony.Answer{Conference: &telephony.ConferenceAnswer{Name: name}}
	}
	for name, tt := range map[string]struct {
		answer telephony.Answer
		want   error
	}{
		"nothing":                           {telephony.Answer{}, nil},
		"every key":                         {telephony.Answer{Keys: "0123456789*#w"}, nil},
		"a key of four columns":             {telephony.Answer{Keys: "1A"}, errKeys},
		"a pause of a second":               {telephony.Answer{Keys: "1W2"}, errKeys},
		"a space between keys":              {telephony.Answer{Keys: "1 2"}, errKeys},
		"a conference":                      {conference("Room_42-a"), nil},
		"a conference with 64 characters":   {conference(strings.Repeat("a", 64)), nil},
		"a conference with 65 characters":   {conference(strings.Repeat("a", 65)), errConference},
		"a conference without a name":       {conference(""), errConference},
		"a conference with a space":         {conference("a b"), errConference},
		"a conference with markup":          {conference("a</Conference>"), errConference},
		"a conference in letters of others": {conference("räum"), errConference},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Check(&tt.answer); err != tt.want {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
}
