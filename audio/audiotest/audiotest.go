// Package audiotest makes sounds that can be told apart and finds them again,
// for tests of what a call carries.
package audiotest

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// amplitude is the peak of the sounds made here: 12 dB below the largest
// sample, as loud as clear speech.
const amplitude = 8192

// Tone returns d of a sine of hz at 12 dB below full scale, starting at zero.
func Tone(hz float64, d time.Duration, rate int) []int16 {
	pcm := make([]int16, audio.Samples(d, rate))
	for i := range pcm {
		pcm[i] = round(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return pcm
}

// Silence returns d of zeros.
func Silence(d time.Duration, rate int) []int16 {
	return make([]int16, audio.Samples(d, rate))
}

// Noise returns d of white noise at 12 dB below full scale, the same for the
// same seed.
func Noise(seed uint64, d time.Duration, rate int) []int16 {
	random := rand.New(rand.NewPCG(seed, 0))
	pcm := make([]int16, audio.Samples(d, rate))
	for i := range pcm {
		pcm[i] = round(amplitude * (2*random.Float64() - 1))
	}
	return pcm
}

// Sweep returns a sine of d that glides from one frequency to another at an
// even pace. No part of it is like another, so [Align] finds it to the sample.
func Sweep(from, to float64, d time.Duration, rate int) []int16 {
	pcm := make([]int16, audio.Samples(d, rate))
	for i := range pcm {
		t := float64(i) / float64(rate)
		hz := from + (to-from)*t/(2*d.Seconds())
		pcm[i] = round(amplitude * math.Sin(2*math.Pi*hz*t))
	}
	return pcm
}

// pulseLength is how long one pulse lasts: short enough to be a moment, long
// enough to pass a telephone line.
const pulseLength = 2 * time.Millisecond

// Pulses returns d of silence with a click at its start and again after each
// interval. [FindPulses] gives back the times.
func Pulses(interval, d time.Duration, rate int) []int16 {
	pcm := make([]int16, audio.Samples(d, rate))
	click := Tone(1500, pulseLength, rate)
	for n := time.Duration(0); n*interval < d && interval > 0; n++ {
		copy(pcm[audio.Samples(n*interval, rate):], click)
	}
	return pcm
}

// FindPulses returns the times at which pulses begin in pcm, to about half a
// millisecond.
func FindPulses(pcm []int16, rate int) []time.Duration {
	var found []time.Duration
	quietAfter := audio.Samples(4*pulseLength, rate)
	last := -quietAfter
	for i, s := range pcm {
		if s > amplitude/4 || s < -amplitude/4 {
			if i-last >= quietAfter {
				found = append(found, audio.Duration(i, rate))
			}
			last = i
		}
	}
	return found
}

func round(v float64) int16 {
	return int16(math.Round(min(max(v, math.MinInt16), math.MaxInt16)))
}
