package audio

import (
	"math"
	"time"
)

// Mix adds src to dst, sample by sample over the length of the shorter, and
// returns that length. Sums beyond the largest sample are cut to it; a
// [Limiter] does this more gently.
func Mix(dst, src []int16) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	for i, s := range src {
		dst[i] = int16(max(math.MinInt16, min(math.MaxInt16, int32(dst[i])+int32(s))))
	}
	return n
}

// A Limiter makes sound louder or softer and keeps it within the range of a
// sample without cutting peaks off: it lowers the gain at once when a peak
// would not fit, and lets it rise again over about 50 ms. It adds no delay. It
// is used by one goroutine at a time.
type Limiter struct {
	factor   float32
	release  float32 // what is left of the envelope after one sample
	envelope float32 // of the sound after gain
}

// limiterRelease is the time in which the envelope falls to 37 %.
const limiterRelease = 50 * time.Millisecond

// NewLimiter returns a Limiter with a gain of db decibels for samples at rate;
// a rate that is not positive stands for 8000.
func NewLimiter(db float64, rate int) *Limiter {
	l := &Limiter{}
	l.SetGain(db)
	l.release = float32(math.Exp(-1 / (limiterRelease.Seconds() * float64(rateOr8000(rate)))))
	return l
}

// SetGain changes the gain, in decibels, from the next sample on.
func (l *Limiter) SetGain(db float64) { l.factor = float32(math.Pow(10, db/20)) }

// Apply changes pcm in place.
func (l *Limiter) Apply(pcm []int16) {
	for i, s := range pcm {
		pcm[i] = l.limit(float32(s) * l.factor)
	}
}

// Mix adds src to dst as the function [Mix] does, with gain and limit upon the
// sum. What dst has beyond the length of src gets gain and limit alone.
func (l *Limiter) Mix(dst, src []int16) {
	n := min(len(dst), len(src))
	for i, s := range src[:n] {
		dst[i] = l.limit((float32(dst[i]) + float32(s)) * l.factor)
	}
	l.Apply(dst[n:])
}

// Reset forgets the peaks that went before.
func (l *Limiter) Reset() { l.envelope = 0 }

func (l *Limiter) limit(v float32) int16 {
	l.envelope = max(v, -v, l.envelope*l.release)
	if l.envelope > math.MaxInt16 {
		v *= math.MaxInt16 / l.envelope
	}
	return toSample(v)
}
