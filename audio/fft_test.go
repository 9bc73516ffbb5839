package audio

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"
)

func TestPowerSpectrumIsTheFourierTransform(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var x [spectrumSamples]float32
	for i := range x {
		x[i] = float32(random.NormFloat64() * 1000)
	}
	var got [spectrumBins]float32
	powerSpectrum(&got, &x)
	for k := range got {
		var sum complex128
		for i, v := range x {
			sum += complex(float64(v)*float64(hann[i]), 0) * cmplx.Rect(1, -2*math.Pi*float64(k*i)/spectrumSamples)
		}
		want := real(sum)*real(sum) + imag(sum)*imag(sum)
		if math.Abs(float64(got[k])-want) > 1e-4*want+1 {
			t.Errorf("bin %d: got %v, want %v", k, got[k], want)
		}
	}
}

func BenchmarkPowerSpectrum(b *testing.B) {
	var x [spectrumSamples]float32
	var p [spectrumBins]float32
	for b.Loop() {
		powerSpectrum(&p, &x)
	}
}
