// Package livetest has speech that can be told from its sound without doubt, and
// a recogniser for it, to test what lies between the two.
//
// A word is a number. It sounds as noise of one amplitude for as long as the word
// lasts, so that a word which is cut in two is heard as two.
package livetest

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
)

// Words is how many words there are: 1 to Words. All are about as loud.
const Words = 40

// A Word is said by one side of a call.
type Word struct {
	Track   audio.Track
	N       int
	At, End time.Duration
}

// Script is what is said in a call, in order.
type Script []Word

// Talk returns a script in which both sides speak, at the same time too.
// Pauses are of all lengths, as those of people are.
func Talk(length time.Duration, seed uint64) Script {
	var s Script
	for track := range audio.Outbound + 1 {
		r := rand.New(rand.NewPCG(seed, uint64(track)))
		at := ms(r, 100, 1500)
		for n := int(track) * Words / 2; ; n++ {
			w := Word{Track: track, N: n%Words + 1, At: at, End: at + ms(r, 120, 500)}
			if w.End > length {
				break
			}
			s = append(s, w)
			at = w.End + ms(r, 40, 200)
			if r.IntN(6) == 0 {
				at += ms(r, 400, 2500)
			}
		}
	}
	return s
}

// ms is a length between two numbers of milliseconds, in steps of 20.
func ms(r *rand.Rand, least, most int) time.Duration {
	return time.Duration((least+r.IntN(most-least+1))/20*20) * time.Millisecond
}

// Texts are the words of one side.
func (s Script) Texts(track audio.Track) (texts []string) {
	for _, w := range s {
		if w.Track == track {
			texts = append(texts, w.Text())
		}
	}
	return texts
}

// Text is the word in letters.
func (w Word) Text() string { return "w" + strconv.Itoa(w.N) }

// Frame is what one side says for 20 ms from a moment on. Its memory is the
// caller's.
func (s Script) Frame(track audio.Track, at time.Duration) *audio.Frame {
	f := &audio.Frame{Track: track, Format: audio.Telephone, At: at, Payload: make([]byte, 160), PCM: make([]int16, 160)}
	for i := range f.Payload {
		f.Payload[i] = audio.MuLaw.Silence()
	}
	for _, w := range s {
		if w.Track != track || w.End <= at || w.At >= at+20*time.Millisecond {
			continue
		}
		for i := range f.Payload {
			if now := at + audio.Duration(i, 8000); now >= w.At && now < w.End {
				f.Payload[i] = byte(w.N) | sign(int64(now)/1000)
			}
		}
	}
	audio.Decode(f.PCM, audio.MuLaw, f.Payload)
	return f
}

// sign is that of a sample in mu-law, either way as often.
func sign(at int64) byte {
	h := uint64(at+1) * 0x9E3779B97F4A7C15
	return byte(h>>56) & 0x80
}

// Speak says what the script has between two moments, in real time, to a sink.
func (s Script) Speak(sink transcript.Sink, from, to time.Duration) {
	start := time.Now()
	var sides [2]Script
	for _, w := range s {
		sides[w.Track] = append(sides[w.Track], w)
	}
	for at := from; at < to; at += 20 * time.Millisecond {
		time.Sleep(time.Until(start.Add(at - from + 20*time.Millisecond)))
		for track := range audio.Outbound + 1 {
			side := &sides[track]
			for len(*side) > 0 && (*side)[0].End <= at {
				*side = (*side)[1:]
			}
			sink.WriteFrame((*side)[:min(2, len(*side))].Frame(track, at))
		}
	}
}

// Check compares what was heard with the script: each word once, in order, with
// its time. It returns how far off the times are at most.
func (s Script) Check(t testing.TB, tr *transcript.Transcript) (off time.Duration) {
	t.Helper()
	for track, speaker := range []transcript.Speaker{transcript.Customer, transcript.Agent} {
		var want Script
		for _, w := range s {
			if w.Track == audio.Track(track) {
				want = append(want, w)
			}
		}
		got := said(tr, speaker)
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i].Text != want[i].Text() {
				t.Errorf("%s: word %d of %d (%d are wanted) differs:\n got %v\nwant %v", speaker, i, len(got), len(want), around(texts(got), i), around(want.Texts(audio.Track(track)), i))
				break
			}
			off = max(off, (got[i].At - want[i].At).Abs(), (got[i].End - want[i].End).Abs())
		}
	}
	return off
}

// said are the words of a speaker, in the order in which they were said.
func said(tr *transcript.Transcript, speaker transcript.Speaker) (words []transcript.Word) {
	for _, seg := range tr.Segments() {
		if seg.Speaker == speaker {
			words = append(words, seg.Words...)
		}
	}
	slices.SortStableFunc(words, func(a, b transcript.Word) int { return cmp.Compare(a.At, b.At) })
	return words
}

func texts(words []transcript.Word) (all []string) {
	for _, w := range words {
		all = append(all, w.Text)
	}
	return all
}

func around(all []string, i int) []string {
	return all[max(0, min(i-3, len(all))):min(i+4, len(all))]
}
