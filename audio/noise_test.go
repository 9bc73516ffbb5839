package audio

import (
	"math"
	"slices"
	"testing"
)

func readNoise(t testing.TB, noise *Noise, samples int) []int16 {
	t.Helper()
	pcm := make([]int16, samples)
	if n, err := noise.ReadPCM(pcm); n != samples || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	return pcm
}

func TestNoiseHasItsLevelAtEachRate(t *testing.T) {
	for _, rate := range resampleRates {
		for _, level := range []float64{-20, -50, -60} {
			pcm := readNoise(t, NewNoise(level, rate, 7), rate*2)
			if got := DBFS(RMS(pcm)); math.Abs(got-level) > 0.5 {
				t.Errorf("%v dBFS at %d: %.2f", level, rate, got)
			}
			mean := 0.0
			for _, s := range pcm {
				mean += float64(s) / float64(len(pcm))
			}
			if math.Abs(mean) > 0.05*RMS(pcm) {
				t.Errorf("%v dBFS at %d: mean %v", level, rate, mean)
			}
		}
	}
}

func TestNoiseIsTheSameForTheSameSeed(t *testing.T) {
	read := func(seed uint64) []int16 {
		return readNoise(t, NewNoise(-30, 8000, seed), 1000)
	}
	if !slices.Equal(read(1), read(1)) {
		t.Error("the same seed gives other noise")
	}
	if slices.Equal(read(1), read(2)) {
		t.Error("another seed gives the same noise")
	}
}

func TestNoiseIsDark(t *testing.T) {
	pcm := readNoise(t, NewNoise(-20, 8000, 1), 80000)
	var low, high float64
	for at := 0; at+256 <= len(pcm); at += 256 {
		var x [spectrumSamples]float32
		for i := range x {
			x[i] = float32(pcm[at+i])
		}
		var power [spectrumBins]float32
		powerSpectrum(&power, &x)
		for k := 4; k < 16; k++ {
			low += float64(power[k])
			high += float64(power[k+100])
		}
	}
	if ratio := 10 * math.Log10(low/high); ratio < 6 || ratio > 14 {
		t.Errorf("300 Hz is %.1f dB above 3500 Hz", ratio)
	}
}

func TestNoiseDoesNotAllocate(t *testing.T) {
	n, p := NewNoise(-60, 0, 0), make([]int16, 160)
	if n.Rate() != 8000 {
		t.Errorf("rate is %d", n.Rate())
	}
	noAllocs(t, func() { mustRead(t, n, p) })
}
