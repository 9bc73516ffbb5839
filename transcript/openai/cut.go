package openai

import (
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

const (
	// before and after are what an utterance has of the silence around it:
	// recognisers want some, and detectors are late.
	before = 300 * time.Millisecond
	after  = 200 * time.Millisecond
	// pause ends an utterance.
	pause = 500 * time.Millisecond
	// longest is the longest utterance. One that goes on is cut where it is most
	// silent in the last stretch.
	longest = 15 * time.Second
	last    = 4 * time.Second
	window  = 100 * time.Millisecond

	hop = 20 * time.Millisecond
	// likely is the likelihood of speech, as audio.Detector knows it, from which
	// on sound is worth a recogniser's while, and sure how much of it must come
	// at once. A detector that decides by itself leaves speakers out who are
	// softer than what it has heard before: here too much is better than too
	// little.
	likely = 0.3
	sure   = 60 * time.Millisecond
)

// An utterance is a stretch of one side's sound.
type utterance struct {
	track    audio.Track
	at       int64   // position, in samples since the call began
	length   int     // samples
	pcm      []int16 // nil when it has been heard
	rate     int
	finished bool   // its result is known
	result   result // valid then, unless it is
	err      error
}

func (u *utterance) start() time.Duration { return audio.Duration(int(u.at), u.rate) }
func (u *utterance) end() time.Duration   { return audio.Duration(int(u.at)+u.length, u.rate) }

// A cutter cuts the sound of one side into utterances. It keeps no more than the
// longest.
type cutter struct {
	track    audio.Track
	rate     int
	detector *audio.Detector
	activity []audio.Activity // not used, but asked for

	at   int64   // where kept begins
	kept []int16 // and goes on to the present
	seen int     // how much of it the detector has heard
	open bool    // an utterance has begun, at at
	loud int64   // end of what is likely speech
	run  int64   // how much of it there is without a break
}

// newCutter returns a cutter for samples from position 0 on. The rate is one
// that detectors know.
func newCutter(track audio.Track, rate int) (*cutter, error) {
	d, err := audio.NewDetector(audio.DetectorConfig{Rate: rate})
	if err != nil {
		return nil, err
	}
	return &cutter{track: track, rate: rate, detector: d}, nil
}

func (c *cutter) samples(d time.Duration) int64 { return int64(audio.Samples(d, c.rate)) }

func (c *cutter) end() int64 { return c.at + int64(len(c.kept)) }

// add takes sound and appends utterances that have ended to dst.
func (c *cutter) add(dst []*utterance, pcm []int16) []*utterance {
	c.kept = append(c.kept, pcm...)
	for n := int(c.samples(hop)); len(c.kept)-c.seen >= n; {
		c.listen(c.kept[c.seen : c.seen+n])
		c.seen += n
		now := c.at + int64(c.seen)
		switch {
		case c.open && now-c.loud >= c.samples(pause):
			dst = append(dst, c.cut(c.loud+c.samples(after), false))
		case c.open && now-c.at >= c.samples(longest):
			dst = append(dst, c.cut(c.softest(), true))
		case !c.open && c.run >= c.samples(sure):
			c.open = true
			c.drop(c.loud - c.run - c.samples(before))
		case !c.open:
			c.drop(now - c.samples(before+sure))
		}
	}
	return dst
}

// listen judges one hop.
func (c *cutter) listen(pcm []int16) {
	c.activity = c.detector.Append(c.activity[:0], pcm)
	if c.detector.Likelihood() < likely && !c.detector.Speaking() {
		c.run = 0
		return
	}
	c.run += int64(len(pcm))
	c.loud = c.at + int64(c.seen+len(pcm))
}

// flush returns the utterance that has not ended, if there is one, and starts
// anew at a position.
func (c *cutter) flush(dst []*utterance, next int64) []*utterance {
	if c.open || c.run > 0 {
		dst = append(dst, c.cut(c.end(), false))
	}
	c.detector.Reset()
	c.at, c.kept, c.seen, c.loud, c.run = next, c.kept[:0], 0, next, 0
	return dst
}

// drop forgets what is before a position.
func (c *cutter) drop(to int64) {
	n := int(max(0, min(to-c.at, int64(len(c.kept)))))
	c.kept = c.kept[:copy(c.kept, c.kept[n:])]
	c.seen = max(0, c.seen-n)
	c.at += int64(n)
}

// cut ends the utterance at a position. Another one may go on from there.
func (c *cutter) cut(to int64, goesOn bool) *utterance {
	n := min(to-c.at, int64(len(c.kept)))
	u := &utterance{track: c.track, at: c.at, length: int(n), rate: c.rate, pcm: append([]int16(nil), c.kept[:n]...)}
	c.drop(c.at + n)
	c.open, c.run = goesOn, 0
	return u
}

// softest is the middle of the softest window in the last stretch.
func (c *cutter) softest() int64 {
	w := int(c.samples(window))
	best, at := -1.0, c.seen
	for i := c.seen - int(c.samples(last)); i+w <= c.seen; i += w / 2 {
		if level := audio.RMS(c.kept[i : i+w]); best < 0 || level < best {
			best, at = level, i+w/2
		}
	}
	return c.at + int64(at)
}
