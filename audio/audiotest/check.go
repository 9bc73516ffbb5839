package audiotest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// HasTone fails the test unless somewhere in pcm a tone of hz sounds alone
// for at least 100 ms (or all of pcm, if that is shorter), above -50 dBFS.
// What went over a telephone line still passes.
func HasTone(t testing.TB, pcm []int16, rate int, hz float64) {
	t.Helper()
	if longestTone(pcm, rate, hz) < toneNeeded(pcm, rate) {
		t.Errorf("no tone of %g Hz in %v of sound; %s", hz, audio.Duration(len(pcm), rate), describe(pcm, rate))
	}
}

// NoTone fails the test if [HasTone] would pass.
func NoTone(t testing.TB, pcm []int16, rate int, hz float64) {
	t.Helper()
	if longestTone(pcm, rate, hz) >= toneNeeded(pcm, rate) {
		t.Errorf("a tone of %g Hz in %v of sound", hz, audio.Duration(len(pcm), rate))
	}
}

// IsSilent fails the test if any part of pcm is louder than -60 dBFS.
func IsSilent(t testing.TB, pcm []int16, rate int) {
	t.Helper()
	window := max(1, rate/50)
	for at := 0; at < len(pcm); at += window {
		part := pcm[at:min(at+window, len(pcm))]
		if level := rmsLevel(part); level > -60 {
			t.Errorf("%.1f dBFS at %v, not silence; %s", level, audio.Duration(at, rate), describe(pcm, rate))
			return
		}
	}
}

const (
	toneWindow = 40 * time.Millisecond
	toneHop    = 10 * time.Millisecond
	toneRun    = 100 * time.Millisecond
	toneFloor  = -50 // dBFS
	// toneShare is the part of all power that must lie at the frequency.
	toneShare = 0.8
)

func toneNeeded(pcm []int16, rate int) time.Duration {
	return max(1, min(toneRun, audio.Duration(len(pcm), rate)))
}

// longestTone is how long the tone sounds without a break.
func longestTone(pcm []int16, rate int, hz float64) time.Duration {
	window := min(len(pcm), audio.Samples(toneWindow, rate))
	hop := max(1, audio.Samples(toneHop, rate))
	var longest, run time.Duration
	for at := 0; window > 0 && at+window <= len(pcm); at += hop {
		part := pcm[at : at+window]
		level := Level(part, rate, hz)
		if level < toneFloor || level < rmsLevel(part)+10*math.Log10(toneShare) {
			run = 0
			continue
		}
		if run == 0 {
			run = audio.Duration(window-hop, rate)
		}
		run += audio.Duration(hop, rate)
		longest = max(longest, run)
	}
	return longest
}

// Level is how loud the part of pcm at hz is, in decibels relative to the
// largest sine (dBFS). Silence is -Inf.
func Level(pcm []int16, rate int, hz float64) float64 {
	if len(pcm) == 0 {
		return math.Inf(-1)
	}
	// Goertzel's algorithm: one bin of a Fourier transform.
	w := 2 * math.Pi * hz / float64(rate)
	c := 2 * math.Cos(w)
	var s1, s2 float64
	for _, x := range pcm {
		s1, s2 = float64(x)+c*s1-s2, s1
	}
	power := s1*s1 + s2*s2 - c*s1*s2
	peak := 2 * math.Sqrt(max(power, 0)) / float64(len(pcm))
	return decibels(peak / -math.MinInt16)
}

// rmsLevel is the level of all of pcm in dBFS, on the scale of Level.
func rmsLevel(pcm []int16) float64 {
	var sum float64
	for _, x := range pcm {
		sum += float64(x) * float64(x)
	}
	return decibels(math.Sqrt(2*sum/float64(max(1, len(pcm)))) / -math.MinInt16)
}

func decibels(ratio float64) float64 { return 20 * math.Log10(ratio) }

// describe says what there is instead of what was looked for.
func describe(pcm []int16, rate int) string {
	level := rmsLevel(pcm)
	if math.IsInf(level, -1) {
		return "it is silent"
	}
	best, at := math.Inf(-1), 0.0
	for hz := 50.0; hz < float64(rate)/2; hz += 10 {
		if l := Level(pcm, rate, hz); l > best {
			best, at = l, hz
		}
	}
	return fmt.Sprintf("it is at %.1f dBFS, loudest near %g Hz (%.1f dBFS)", level, at, best)
}

// SNR is how much louder reference is than what pcm differs from it, in
// decibels, over the length of the shorter. Equal sounds give +Inf. Align the
// two first.
func SNR(reference, pcm []int16) float64 {
	var signal, noise float64
	for i := range min(len(reference), len(pcm)) {
		d := float64(pcm[i]) - float64(reference[i])
		signal += float64(reference[i]) * float64(reference[i])
		noise += d * d
	}
	return 10 * math.Log10(signal/noise)
}
