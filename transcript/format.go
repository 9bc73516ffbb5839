package transcript

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// Entry is a segment as it is shown to people and to other programs.
type Entry struct {
	Speaker    Speaker `json:"speaker"`
	Text       string  `json:"text"`
	Timestamp  string  `json:"timestamp"` // when it begins: "0:00:03"
	Confidence float64 `json:"confidence"`
}

// Entries returns the words of segments for JSON, in their order. Segments
// without words, gaps among them, are left out. The result is never nil, so that
// it is written as a list.
func Entries(segments []Segment) []Entry {
	entries := make([]Entry, 0, len(segments))
	for _, s := range segments {
		if text := oneLine(s.Text); text != "" {
			entries = append(entries, Entry{s.Speaker, text, Timestamp(s.At), s.Confidence})
		}
	}
	return entries
}

// Timestamp writes a moment of a call in whole seconds, rounded down: "0:00:03",
// "12:34:56".
func Timestamp(at time.Duration) string {
	s := int64(max(at, 0) / time.Second)
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// WriteText writes segments for people, one line each: "[0:00:03] agent: Good
// morning." A gap is a line that says until when words may be missing.
func WriteText(w io.Writer, segments []Segment) error {
	b := bufio.NewWriter(w)
	for _, s := range segments {
		text := oneLine(s.Text)
		if s.Gap {
			text = fmt.Sprintf("[words may be missing until %s]", Timestamp(s.End))
		}
		if text != "" {
			fmt.Fprintf(b, "[%s] %s: %s\n", Timestamp(s.At), s.Speaker, text)
		}
	}
	return b.Flush()
}

// shortestCue is how long a subtitle stays at least: one that ends as it begins
// is never shown.
const shortestCue = time.Second

// WriteVTT writes segments as subtitles to the call's recording, in WebVTT
// (https://www.w3.org/TR/webvtt1/), with the speaker as the voice of each cue.
func WriteVTT(w io.Writer, segments []Segment) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "WEBVTT\n")
	for _, s := range segments {
		text := oneLine(s.Text)
		if text == "" {
			continue
		}
		end := max(s.End, s.At+shortestCue)
		fmt.Fprintf(b, "\n%s --> %s\n<v %s>%s\n", vttTime(s.At), vttTime(end), vttText.Replace(string(s.Speaker)), vttText.Replace(text))
	}
	return b.Flush()
}

func vttTime(at time.Duration) string {
	ms := max(at, 0).Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3600_000, ms/60_000%60, ms/1000%60, ms%1000)
}

// vttText escapes what has a meaning in the text of a cue; "-->" is not allowed
// there either, and not left when its last character is escaped.
var vttText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// oneLine keeps words from looking like lines of their own.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
