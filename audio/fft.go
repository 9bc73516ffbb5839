package audio

import (
	"math"
	"math/bits"
)

// A spectrum is the power of 256 real samples at 129 frequencies.
const (
	spectrumSamples = 256
	spectrumBins    = spectrumSamples/2 + 1
	spectrumHalf    = spectrumSamples / 2
)

var (
	// hann is the window put on the samples of a spectrum.
	hann [spectrumSamples]float32
	// twiddle[k] is exp(-2πik/256).
	twiddle [spectrumHalf]complex64
	// reversed[i] is i with its seven bits in the other order.
	reversed [spectrumHalf]uint8
)

func init() {
	for i := range hann {
		hann[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/spectrumSamples))
	}
	for k := range twiddle {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / spectrumSamples)
		twiddle[k] = complex(float32(cos), float32(sin))
		reversed[k] = bits.Reverse8(uint8(k)) >> 1
	}
}

// powerSpectrum transforms x under a Hann window. The power is that of the bare
// transform: white noise of variance v has 96v in each bin.
func powerSpectrum(power *[spectrumBins]float32, x *[spectrumSamples]float32) {
	// 256 real samples are transformed as 128 complex ones, even samples being
	// the real parts and odd ones the imaginary parts, and then taken apart.
	var z [spectrumHalf]complex64
	for i := range z {
		z[reversed[i]&127] = complex(x[2*i]*hann[2*i], x[2*i+1]*hann[2*i+1])
	}
	for i := 0; i < spectrumHalf; i += 4 { // the first two stages at once
		a, b, c, d := z[i], z[i+1], z[i+2], z[i+3]
		a, b, c, d = a+b, a-b, c+d, c-d
		d = complex(imag(d), -real(d))
		z[i], z[i+1], z[i+2], z[i+3] = a+c, b+d, a-c, b-d
	}
	for size := 8; size <= spectrumHalf; size *= 2 {
		half, step := size/2, spectrumSamples/size
		for start := 0; start < spectrumHalf; start += size {
			low := z[start : start+half]
			high := z[start+half : start+size][:len(low)]
			for k := range low {
				w := twiddle[(k*step)&127]
				h := high[k]
				v := complex(real(h)*real(w)-imag(h)*imag(w), real(h)*imag(w)+imag(h)*real(w))
				low[k], high[k] = low[k]+v, low[k]-v
			}
		}
	}
	power[0] = square(real(z[0]) + imag(z[0]))
	power[spectrumHalf] = square(real(z[0]) - imag(z[0]))
	for k := 1; k < spectrumHalf; k++ {
		a, b := z[k], z[spectrumHalf-k]
		b = complex(real(b), -imag(b))
		even, odd := a+b, a-b
		w := twiddle[k]
		// even/2 - i*w*odd/2
		re := real(even) + (real(odd)*imag(w) + imag(odd)*real(w))
		im := imag(even) - (real(odd)*real(w) - imag(odd)*imag(w))
		power[k] = (re*re + im*im) / 4
	}
}

func square(x float32) float32 { return x * x }
