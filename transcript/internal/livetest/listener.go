package livetest

import (
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
)

const (
	step     = 800  // samples after which a Listener says what it has made out
	endpoint = 2400 // silence that ends an utterance
	settle   = 8000 // silence that is settled
	longest  = 24000
	noise    = 40 // what is shorter is no word
)

// A Listener recognises the words of one side, in mu-law at 8 kHz, as services
// do it: interim results while words are said, final ones after a pause, or in
// any gap between words if it has been long.
type Listener struct {
	Track audio.Track

	pos, start int64 // of the segment
	told       int64 // pos when results were told
	words      []heard
	current    heard // n is 0 in silence
	shown      int   // words in the last interim
}

type heard struct {
	n        byte
	from, to int64
}

// Hear takes sound and returns what it makes of it.
func (l *Listener) Hear(sound []byte) (results []live.Result) {
	for _, b := range sound {
		if b &= 0x7F; b == audio.MuLaw.Silence()&0x7F {
			b = 0
		}
		if b != l.current.n {
			l.word()
			l.current = heard{n: b, from: l.pos}
		}
		l.pos++
		if l.pos-l.told >= step {
			l.told = l.pos
			results = append(results, l.tell()...)
		}
	}
	return results
}

// word ends the current word.
func (l *Listener) word() {
	if l.current.n != 0 && l.pos-l.current.from >= noise {
		l.current.to = l.pos
		l.words = append(l.words, l.current)
	}
}

func (l *Listener) tell() []live.Result {
	silent := l.current.n == 0
	quiet := l.pos - l.current.from
	switch {
	case silent && len(l.words) > 0 && quiet >= endpoint:
		return l.final(true)
	case silent && len(l.words) > 0 && l.pos-l.start >= longest:
		return l.final(false)
	case silent && len(l.words) == 0 && l.pos-l.start >= settle:
		return l.final(false)
	}
	words := l.words
	if !silent {
		words = append(words[:len(words):len(words)], heard{l.current.n, l.current.from, l.pos})
	}
	if len(words) == l.shown {
		return nil
	}
	l.shown = len(words)
	return []live.Result{l.result(words, false)}
}

// Flush settles all that was heard, as when no more comes.
func (l *Listener) Flush() []live.Result {
	l.word()
	l.current = heard{from: l.pos}
	if l.pos == l.start {
		return nil
	}
	return l.final(false)
}

func (l *Listener) final(ends bool) []live.Result {
	r := l.result(l.words, true)
	r.Ends = ends
	l.words, l.start, l.shown = nil, l.pos, 0
	return []live.Result{r}
}

func (l *Listener) result(words []heard, final bool) live.Result {
	r := live.Result{Track: l.Track, Start: at(l.start), End: at(l.pos), Final: final}
	var texts []string
	for _, w := range words {
		text := Word{N: int(w.n)}.Text()
		texts = append(texts, text)
		r.Words = append(r.Words, transcript.Word{Text: text, At: at(w.from), End: at(w.to), Confidence: 0.9})
	}
	if len(words) > 0 {
		r.Confidence = 0.9
	}
	r.Text = strings.Join(texts, " ")
	return r
}

func at(pos int64) time.Duration { return audio.Duration(int(pos), 8000) }
