package transcript

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// said is a segment of one second that begins at the given second.
func said(speaker Speaker, at int, id, text string, final bool) Segment {
	begin := time.Duration(at) * time.Second
	return Segment{ID: id, Speaker: speaker, Text: text, At: begin, End: begin + time.Second, Confidence: 0.5, Final: final}
}

func TestTranscript(t *testing.T) {
	const interim, final = false, true
	gap := Segment{Speaker: Customer, At: 4 * time.Second, End: 9 * time.Second, Final: true, Gap: true}
	tests := []struct {
		name string
		add  []Segment
		want []Segment
	}{
		{"nothing was said", nil, []Segment{}},
		{"both parties on one clock",
			[]Segment{said(Customer, 3, "1", "b", final), said(Agent, 1, "", "a", final), said(Agent, 5, "", "c", final)},
			[]Segment{said(Agent, 1, "", "a", final), said(Customer, 3, "1", "b", final), said(Agent, 5, "", "c", final)}},
		{"what begins together stays in the order it came",
			[]Segment{said(Customer, 1, "x", "first", final), said(Agent, 1, "", "second", final), said(Customer, 1, "a", "third", final)},
			[]Segment{said(Customer, 1, "x", "first", final), said(Agent, 1, "", "second", final), said(Customer, 1, "a", "third", final)}},
		{"a final version replaces an interim one",
			[]Segment{said(Customer, 1, "1", "goo", interim), said(Customer, 1, "1", "good day", final)},
			[]Segment{said(Customer, 1, "1", "good day", final)}},
		{"the last interim is kept if no final came",
			[]Segment{said(Customer, 1, "1", "goo", interim), said(Customer, 1, "1", "good", interim)},
			[]Segment{said(Customer, 1, "1", "good", interim)}},
		{"an interim that comes after its final does not count",
			[]Segment{said(Customer, 1, "1", "good day", final), said(Customer, 1, "1", "goo", interim)},
			[]Segment{said(Customer, 1, "1", "good day", final)}},
		{"a final that comes twice counts once",
			[]Segment{said(Customer, 1, "1", "yes", final), said(Customer, 1, "1", "yes", final), said(Customer, 1, "1", "no", final)},
			[]Segment{said(Customer, 1, "1", "yes", final)}},
		{"a final without an ID that comes twice counts once",
			[]Segment{said(Customer, 1, "", "yes", final), said(Customer, 1, "", "yes", final)},
			[]Segment{said(Customer, 1, "", "yes", final)}},
		{"the same words at another time count again",
			[]Segment{said(Customer, 1, "", "yes", final), said(Customer, 2, "", "yes", final)},
			[]Segment{said(Customer, 1, "", "yes", final), said(Customer, 2, "", "yes", final)}},
		{"the same words by the other party count again",
			[]Segment{said(Customer, 1, "", "yes", final), said(Agent, 1, "", "yes", final)},
			[]Segment{said(Customer, 1, "", "yes", final), said(Agent, 1, "", "yes", final)}},
		{"segments without an ID never replace another",
			[]Segment{said(Customer, 1, "", "goo", interim), said(Customer, 1, "", "good", interim)},
			[]Segment{said(Customer, 1, "", "goo", interim), said(Customer, 1, "", "good", interim)}},
		{"the parties' IDs are apart",
			[]Segment{said(Customer, 1, "1", "a", interim), said(Agent, 2, "1", "b", final)},
			[]Segment{said(Customer, 1, "1", "a", interim), said(Agent, 2, "1", "b", final)}},
		{"a version that begins elsewhere moves",
			[]Segment{said(Customer, 1, "1", "a", interim), said(Customer, 2, "2", "b", final), said(Customer, 3, "1", "a", final)},
			[]Segment{said(Customer, 2, "2", "b", final), said(Customer, 3, "1", "a", final)}},
		{"finals out of order",
			[]Segment{said(Customer, 3, "3", "c", final), said(Customer, 1, "1", "a", final), said(Customer, 2, "2", "b", final)},
			[]Segment{said(Customer, 1, "1", "a", final), said(Customer, 2, "2", "b", final), said(Customer, 3, "3", "c", final)}},
		{"a gap keeps its place", []Segment{said(Customer, 10, "", "b", final), gap, said(Customer, 1, "", "a", final)},
			[]Segment{said(Customer, 1, "", "a", final), gap, said(Customer, 10, "", "b", final)}},
		{"what is out of range is put straight",
			[]Segment{{At: -1, End: -2, Confidence: math.NaN()}, {At: 5, End: 3, Confidence: 7}, {At: 6, End: 6, Confidence: -1}},
			[]Segment{{}, {At: 5, End: 5, Confidence: 1}, {At: 6, End: 6}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tr Transcript
			for _, s := range tt.add {
				tr.Add(s)
			}
			if diff := cmp.Diff(tt.want, tr.Segments()); diff != "" {
				t.Errorf("segments differ from what is wanted (-) by what is there (+):\n%s", diff)
			}
		})
	}
}

func TestTranscriptIsBounded(t *testing.T) {
	var tr Transcript
	for i := range 10_000 + 7 {
		tr.Add(said(Customer, i, fmt.Sprint(i), "interim", false))
	}
	tr.Add(said(Customer, 3, "3", "final", true))
	all := tr.Segments()
	if len(all) != 10_000 || tr.Dropped() != 7 {
		t.Errorf("%d segments, %d dropped; want 10000 and 7", len(all), tr.Dropped())
	}
	if all[3].Text != "final" {
		t.Errorf("a full transcript does not replace: %+v", all[3])
	}

	small := Transcript{Limit: 1}
	small.Add(said(Agent, 1, "", "a", true))
	small.Add(said(Agent, 1, "", "a", true)) // known, so not dropped
	small.Add(said(Agent, 2, "", "b", true))
	if len(small.Segments()) != 1 || small.Dropped() != 1 {
		t.Errorf("%d segments, %d dropped; want 1 and 1", len(small.Segments()), small.Dropped())
	}
}

func TestTranscriptGivesAway(t *testing.T) {
	var tr Transcript
	tr.Add(said(Agent, 1, "", "a", true))
	tr.Segments()[0].Text = "changed"
	if got := tr.Segments()[0].Text; got != "a" {
		t.Errorf("the caller's slice is the transcript's: %q", got)
	}
}

func TestTranscriptIsForManyGoroutines(t *testing.T) {
	var tr Transcript
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				tr.Add(said(Customer, i, fmt.Sprint(g, i), "x", i%2 == 0))
				tr.Segments()
				tr.Dropped()
			}
		})
	}
	wg.Wait()
	if n := len(tr.Segments()); n != 400 {
		t.Errorf("%d segments, want 400", n)
	}
}

// S8: whatever the order in which versions come, each final appears once, in
// order of At, and where none came the last interim does.
func TestTranscriptKeepsEachFinalOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tr Transcript
		last := make(map[string]Segment)
		for i := range rapid.IntRange(0, 60).Draw(t, "n") {
			s := said(rapid.SampledFrom([]Speaker{Agent, Customer}).Draw(t, "speaker"),
				rapid.IntRange(0, 5).Draw(t, "at"), rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "id"),
				fmt.Sprint(i), rapid.Bool().Draw(t, "final"))
			tr.Add(s)
			if key := string(s.Speaker) + s.ID; !last[key].Final {
				last[key] = s
			}
		}
		all := tr.Segments()
		if len(all) != len(last) {
			t.Fatalf("%d segments, want %d", len(all), len(last))
		}
		for i, s := range all {
			if want := last[string(s.Speaker)+s.ID]; !cmp.Equal(s, want) {
				t.Errorf("segment is %+v, want %+v", s, want)
			}
			if i > 0 && s.At < all[i-1].At {
				t.Errorf("segment %d begins before the one before it", i)
			}
		}
	})
}

var conversation = []Segment{
	{Speaker: Agent, Text: "Good morning.", At: 0, End: 1200 * time.Millisecond, Confidence: 1, Final: true},
	{ID: "1", Speaker: Customer, Text: " I would\nlike <two> & more\x0b", At: 3999 * time.Millisecond, End: 5 * time.Second, Confidence: 0.75, Final: true},
	{Speaker: Customer, At: 61 * time.Second, End: 90 * time.Second, Gap: true, Final: true},
	{ID: "2", Speaker: Customer, At: 62 * time.Second, End: 90 * time.Second, Final: true},
	{Speaker: Agent, Text: "Goodbye --> [0:00:00] customer: x", At: 3723 * time.Second, End: 3723 * time.Second, Confidence: 1},
}

func TestEntries(t *testing.T) {
	got, err := json.Marshal(Entries(conversation))
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"speaker":"agent","text":"Good morning.","timestamp":"0:00:00","confidence":1},` +
		`{"speaker":"customer","text":"I would like \u003ctwo\u003e \u0026 more","timestamp":"0:00:03","confidence":0.75},` +
		`{"speaker":"agent","text":"Goodbye --\u003e [0:00:00] customer: x","timestamp":"1:02:03","confidence":1}]`
	if string(got) != want {
		t.Errorf("JSON is\n%s\nwant\n%s", got, want)
	}
	if got, err := json.Marshal(Entries(nil)); err != nil || string(got) != "[]" {
		t.Errorf("JSON of nothing is %s, %v; want []", got, err)
	}
}

func TestWriteText(t *testing.T) {
	var b strings.Builder
	if err := WriteText(&b, conversation); err != nil {
		t.Fatal(err)
	}
	const want = `[0:00:00] agent: Good morning.
[0:00:03] customer: I would like <two> & more
[0:01:01] customer: [words may be missing until 0:01:30]
[1:02:03] agent: Goodbye --> [0:00:00] customer: x
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWriteVTT(t *testing.T) {
	var b strings.Builder
	if err := WriteVTT(&b, conversation); err != nil {
		t.Fatal(err)
	}
	const want = `WEBVTT

00:00:00.000 --> 00:00:01.200
<v agent>Good morning.

00:00:03.999 --> 00:00:05.000
<v customer>I would like &lt;two&gt; &amp; more

01:02:03.000 --> 01:02:04.000
<v agent>Goodbye --&gt; [0:00:00] customer: x
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestWritersTellOfErrors(t *testing.T) {
	w := failingWriter{errors.New("pipe is gone")}
	if err := WriteText(w, conversation); err != w.err {
		t.Errorf("WriteText: %v", err)
	}
	if err := WriteVTT(w, conversation); err != w.err {
		t.Errorf("WriteVTT: %v", err)
	}
}

func TestTimestamp(t *testing.T) {
	for at, want := range map[time.Duration]string{
		-time.Second:                    "0:00:00",
		0:                               "0:00:00",
		999 * time.Millisecond:          "0:00:00",
		3 * time.Second:                 "0:00:03",
		59*time.Minute + 59*time.Second: "0:59:59",
		time.Hour:                       "1:00:00",
		100*time.Hour + time.Minute + 5*time.Second: "100:01:05",
	} {
		if got := Timestamp(at); got != want {
			t.Errorf("Timestamp(%v) is %q, want %q", at, got, want)
		}
	}
}

// named tells which transcriber was asked.
type named struct {
	err     error
	invalid error
}

func (n *named) Transcribe(context.Context, Info) (Sink, error) { return nil, n.err }

func (n *named) Validate() error { return n.invalid }

// retranscriber knows recordings too.
type retranscriber struct{ Transcriber }

func (retranscriber) Retranscribe(_ context.Context, _ Info, wav io.Reader) ([]Segment, error) {
	text, err := io.ReadAll(wav)
	return []Segment{{Text: string(text), Final: true}}, err
}

func TestByName(t *testing.T) {
	one, two := &named{err: errors.New("one")}, &named{err: errors.New("two")}
	m := ByName{"": one, "two": two, "nil": nil}
	for name, want := range map[string]error{"": one.err, "two": two.err, "three": ErrUnknownProvider, "nil": ErrUnknownProvider} {
		if _, err := m.Transcribe(t.Context(), Info{Provider: name}); !errors.Is(err, want) {
			t.Errorf("%q: %v; want %v", name, err, want)
		}
	}
	m["recordings"] = retranscriber{one}
	for name, want := range map[string]error{"": errors.ErrUnsupported, "three": ErrUnknownProvider, "recordings": nil} {
		if got, err := m.Retranscribe(t.Context(), Info{Provider: name}, strings.NewReader("wav")); !errors.Is(err, want) || (want == nil) != (len(got) == 1) {
			t.Errorf("Retranscribe %q: %v, %v; want %v", name, got, err, want)
		}
	}
	broken := errors.New("no key")
	for name, tt := range map[string]struct {
		m  ByName
		ok bool
	}{
		"two good ones":   {ByName{"": one, "two": two}, true},
		"without default": {ByName{"two": two}, true},
		"none":            {nil, false},
		"nil":             {ByName{"": nil}, false},
		"one is invalid":  {ByName{"": one, "x": &named{invalid: broken}}, false},
	} {
		if err := tt.m.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s: Validate: %v", name, err)
		}
	}
}

func ExampleTranscript() {
	var t Transcript
	t.Add(Segment{Speaker: Agent, Text: "How can I help?", At: time.Second, Confidence: 1, Final: true})
	t.Add(Segment{ID: "1", Speaker: Customer, Text: "I would", At: 3 * time.Second, Confidence: 0.6})
	t.Add(Segment{ID: "1", Speaker: Customer, Text: "I would like to book a table.", At: 3 * time.Second, Confidence: 0.9, Final: true})
	var b strings.Builder
	if err := WriteText(&b, t.Segments()); err != nil {
		fmt.Println(err)
	}
	fmt.Print(b.String())
	// Output:
	// [0:00:01] agent: How can I help?
	// [0:00:03] customer: I would like to book a table.
}
