package live

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/transcript"
)

const (
	// pause between words ends a segment that no service has ended, and longest
	// ends one that goes on and on.
	pause   = 1500 * time.Millisecond
	longest = 60 * time.Second
	// shortestGap is too short for a word.
	shortestGap = 100 * time.Millisecond
)

// voice puts together what one speaker says. A segment is what is said until the
// speaker comes to an end: final results, and an interim one after them.
type voice struct {
	speaker  transcript.Speaker
	emit     func(transcript.Segment)
	counters *Counters

	covered coverage
	number  int // of the segment
	said    transcript.Segment
	interim transcript.Segment
	heard   span // by which the interim result was made
	shown   bool // a version of the segment has been emitted
	last    span // of that version
}

// take takes a result whose times are those of the call.
func (v *voice) take(r Result) {
	if r.Text == "" && r.Start == r.End {
		if r.Ends {
			v.end()
		}
		return
	}
	s, news := v.segment(r)
	if r.Final {
		v.covered = v.covered.add(span{r.Start, r.End})
	}
	if !news {
		v.counters.Duplicates.Add(1)
		return
	}
	if s.Text != "" && v.said.Text != "" && (s.At-v.said.End > pause || s.End-v.said.At > longest) {
		v.interim = transcript.Segment{}
		v.end()
	}
	if !r.Final {
		v.interim, v.heard = s, span{r.Start, r.End}
		v.show()
		return
	}
	news = s.Text != "" || v.interim.Text != ""
	v.interim = transcript.Segment{}
	v.said = join(v.said, s)
	switch {
	case v.said.Text != "" && (r.Ends || s.Text == "" && r.End-v.said.End > pause):
		v.end()
	case news:
		v.show()
	}
}

// segment makes a segment of the words of r that are not yet settled. news is
// false if there are none, since r was known already.
func (v *voice) segment(r Result) (s transcript.Segment, news bool) {
	s = transcript.Segment{Speaker: v.speaker, Text: r.Text, At: r.Start, End: r.End, Confidence: r.Confidence, Words: r.Words}
	known, length := v.covered.within(span{r.Start, r.End}), r.End-r.Start
	switch {
	case known > 0 && known >= length-seam:
		return s, false
	case known > 0 && !r.Final && len(r.Words) == 0:
		s.At = v.covered.missing(span{r.Start, r.End})[0].from
	case known > 2*seam && len(r.Words) > 0:
		s.Words = v.unsettled(r.Words)
		s.Text = text(s.Words)
	case known > length/2:
		return s, false
	}
	if n := len(s.Words); n > 0 { // the words know better
		s.At, s.End = s.Words[0].At, max(s.Words[n-1].End, s.Words[0].At)
	}
	return s, true
}

// unsettled are the words whose middle is not settled.
func (v *voice) unsettled(words []transcript.Word) (left []transcript.Word) {
	for _, w := range words {
		middle := w.At + (w.End-w.At)/2
		if v.covered.within(span{middle, middle + 1}) == 0 {
			left = append(left, w)
		}
	}
	return left
}

func text(words []transcript.Word) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = w.Text
	}
	return strings.Join(all, " ")
}

// join puts b after a, or in the place where it was said if it comes too late.
func join(a, b transcript.Segment) transcript.Segment {
	if b.Text == "" {
		return a
	}
	if a.Text == "" {
		return b
	}
	la, lb := float64(len(a.Text)), float64(len(b.Text))
	a.Confidence = (a.Confidence*la + b.Confidence*lb) / (la + lb)
	late := b.At < a.End && len(a.Words) > 0 && len(b.Words) > 0
	a.At, a.End = min(a.At, b.At), max(a.End, b.End)
	a.Words = append(a.Words[:len(a.Words):len(a.Words)], b.Words...) // versions that were emitted keep theirs
	if !late {
		a.Text += " " + b.Text
		return a
	}
	slices.SortStableFunc(a.Words, func(x, y transcript.Word) int { return cmp.Compare(x.At, y.At) })
	a.Text = text(a.Words)
	return a
}

// show emits the segment as it is now.
func (v *voice) show() {
	s := join(v.said, v.interim)
	if s.Text == "" {
		if !v.shown {
			return
		}
		s.At, s.End = v.last.from, v.last.to // interim words were taken back
	}
	v.send(s, false)
}

func (v *voice) send(s transcript.Segment, final bool) {
	s.ID = strconv.Itoa(v.number)
	s.Speaker = v.speaker
	s.Final = final
	v.shown, v.last = true, span{s.At, s.End}
	v.emit(s)
}

// end ends the segment with what is settled. Interim words begin another.
func (v *voice) end() {
	if v.said.Text == "" {
		return
	}
	v.send(v.said, true)
	v.next()
	if v.interim.Text != "" {
		v.show()
	}
}

// finish ends the segment, and keeps interim words as they are, for they will
// not be heard again.
func (v *voice) finish() {
	v.end()
	if v.interim.Text != "" {
		v.interim = transcript.Segment{}
		v.next()
	}
}

func (v *voice) next() {
	v.number++
	v.said, v.shown = transcript.Segment{}, false
}

// cover settles a stretch that a service has heard to its end.
func (v *voice) cover(s span) {
	v.finish()
	v.covered = v.covered.add(s)
}

// quiet settles a stretch in which there was no sound of speech, once what was
// said before is settled: services say nothing of it.
func (v *voice) quiet(s span) {
	if first := v.covered.first(); v.interim.Text == "" && s.from <= first {
		v.covered = v.covered.add(span{first, s.to})
	}
}

// giveUp settles all before a moment: it cannot be heard again. What has no
// words, not even interim ones, is a gap.
func (v *voice) giveUp(before time.Duration) {
	if v.covered.first() >= before {
		return
	}
	if v.interim.Text != "" && v.heard.from < before {
		v.finish()
		v.covered = v.covered.add(v.heard)
	}
	for _, gap := range v.covered.missing(span{0, before}) {
		if gap.to-gap.from >= shortestGap {
			v.end()
			v.counters.Missed(gap.to - gap.from)
			v.emit(transcript.Segment{Speaker: v.speaker, At: gap.from, End: gap.to, Final: true, Gap: true})
		}
		v.covered = v.covered.add(gap)
	}
}
