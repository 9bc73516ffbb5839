package audio

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var resampleRates = []int{8000, 16000, 24000, 48000}

func eachRatePair(t *testing.T, test func(t *testing.T, from, to int)) {
	for _, from := range resampleRates {
		for _, to := range resampleRates {
			if from != to {
				t.Run(fmt.Sprintf("%d to %d", from, to), func(t *testing.T) { test(t, from, to) })
			}
		}
	}
}

func newResampler(t testing.TB, from, to int) *Resampler {
	t.Helper()
	r, err := NewResampler(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sine(hz, amplitude float64, n, rate int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return pcm
}

// fitSine splits pcm into its part at hz, given by amplitude and phase (of the
// sine, at sample 0), and the power of the rest.
func fitSine(pcm []int16, hz float64, rate int) (amplitude, phase, rest float64) {
	var ss, sc, cc, xs, xc float64
	w := 2 * math.Pi * hz / float64(rate)
	for i, v := range pcm {
		s, c := math.Sincos(w * float64(i))
		ss, sc, cc = ss+s*s, sc+s*c, cc+c*c
		xs, xc = xs+float64(v)*s, xc+float64(v)*c
	}
	det := ss*cc - sc*sc
	a, b := (xs*cc-xc*sc)/det, (xc*ss-xs*sc)/det
	for i, v := range pcm {
		s, c := math.Sincos(w * float64(i))
		d := float64(v) - a*s - b*c
		rest += d * d
	}
	return math.Hypot(a, b), math.Atan2(b, a), rest / float64(len(pcm))
}

// The goals: SNR at least 90 dB, ripple at most 0.01 dB, alias at most -95 dB,
// delay at most 3 ms.
func TestResamplerIsTransparentOverTheTelephoneBand(t *testing.T) {
	const amplitude = 30000
	worstSNR, worstRipple := math.Inf(1), 0.0
	eachRatePair(t, func(t *testing.T, from, to int) {
		r := newResampler(t, from, to)
		for hz := 300.0; hz <= 3400; hz += 155 {
			r.Reset()
			out := r.Append(nil, sine(hz, amplitude, from/2, from))
			skip := to / 50
			got, phase, rest := fitSine(out[skip:], hz, to)
			snr := 10 * math.Log10(got*got/2/rest)
			ripple := math.Abs(20 * math.Log10(got/amplitude))
			worstSNR, worstRipple = min(worstSNR, snr), max(worstRipple, ripple)
			if snr < 90 {
				t.Errorf("SNR at %v Hz is %.1f dB", hz, snr)
			}
			if ripple > 0.01 {
				t.Errorf("ripple at %v Hz is %.4f dB", hz, ripple)
			}
			late := 2*math.Pi*hz*(float64(skip)/float64(to)-r.Delay().Seconds()) - phase
			late = math.Remainder(late, 2*math.Pi) / (2 * math.Pi * hz)
			if math.Abs(late) > 1e-6 {
				t.Errorf("delay at %v Hz is %v, off by %.1f µs", hz, r.Delay(), late*1e6)
			}
		}
		if r.Delay() > 3*time.Millisecond {
			t.Errorf("delay is %v", r.Delay())
		}
	})
	t.Logf("worst SNR %.1f dB, worst ripple %.5f dB", worstSNR, worstRipple)
}

// An alias is a tone at a frequency that was never sent: when going down, from
// above the new Nyquist frequency, when going up, mirrored at the old one.
func TestResamplerLeavesNoAlias(t *testing.T) {
	const amplitude = 30000
	worst := math.Inf(-1)
	eachRatePair(t, func(t *testing.T, from, to int) {
		r := newResampler(t, from, to)
		lower := float64(min(from, to))
		check := func(sent, heard float64) {
			r.Reset()
			out := r.Append(nil, sine(sent, amplitude, from/2, from))
			got, _, _ := fitSine(out[to/50:], heard, to)
			alias := 20 * math.Log10(got/amplitude)
			worst = max(worst, alias)
			if alias > -95 {
				t.Errorf("%v Hz is heard at %v Hz with %.1f dB", sent, heard, alias)
			}
		}
		// What falls into or comes from the band from 300 to 3400 Hz, scaled. All
		// of it has whole periods in the 0.48 s looked at, so that the tone sent
		// does not leak into what is measured.
		for part := 300.0; part <= 3400; part += 100 {
			hz := part * lower / 8000
			for image := lower; image < float64(max(from, to)); image += lower {
				for _, mirrored := range []float64{image - hz, image + hz} {
					if mirrored >= float64(max(from, to))/2 {
						continue
					}
					if from > to {
						check(mirrored, hz)
					} else {
						check(hz, mirrored)
					}
				}
			}
		}
	})
	t.Logf("worst alias %.1f dB", worst)
}

func TestResamplerHoldsNothingBack(t *testing.T) {
	eachRatePair(t, func(t *testing.T, from, to int) {
		r := newResampler(t, from, to)
		in, out := 0, 0
		for n := range 700 {
			in += n
			out += len(r.Append(nil, make([]int16, n)))
			if want := (in*to + from - 1) / from; out != want {
				t.Fatalf("%d samples in, %d out, want %d", in, out, want)
			}
		}
		r.Reset()
		for range 3 {
			if got := len(r.Append(nil, make([]int16, from/50))); got != to/50 {
				t.Fatalf("20 ms in, %d samples out, want %d", got, to/50)
			}
		}
	})
}

func TestResamplerOutputDoesNotDependOnThePieces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	eachRatePair(t, func(t *testing.T, from, to int) {
		src := make([]int16, 3000)
		for i := range src {
			src[i] = int16(random.Uint32())
		}
		r := newResampler(t, from, to)
		want := r.Append(nil, src)
		r.Reset()
		var got []int16
		for rest := src; len(rest) > 0; {
			n := min(len(rest), random.IntN(400))
			got = r.Append(got, rest[:n])
			rest = rest[n:]
		}
		if !slices.Equal(got, want) {
			t.Error("pieces change the outcome")
		}
	})
}

func TestResamplerLimits(t *testing.T) {
	eachRatePair(t, func(t *testing.T, from, to int) {
		r := newResampler(t, from, to)
		src := make([]int16, from/10)
		for i := range src {
			src[i] = math.MaxInt16
			if i/(from/1000)%2 == 0 {
				src[i] = math.MinInt16
			}
		}
		for i, s := range r.Append(nil, src)[to/50:] {
			// A square wave of 1 ms rings, but never turns over.
			at := i + to/50 - int(r.Delay().Seconds()*float64(to)+0.5)
			low := at/(to/1000)%2 == 0
			edge := at % (to / 1000)
			if edge > to/4000 && edge < to*3/4000 && (s < 0) != low {
				t.Fatalf("sample %d is %d", i, s)
			}
		}
	})
}

func TestResamplerOfEqualRatesCopies(t *testing.T) {
	r := newResampler(t, 16000, 16000)
	src := []int16{1, -2, 3}
	if got := r.Append(nil, src); !slices.Equal(got, src) {
		t.Errorf("got %v", got)
	}
	if r.Delay() != 0 {
		t.Errorf("delay is %v", r.Delay())
	}
}

func TestNewResamplerRefusesOtherRates(t *testing.T) {
	for _, pair := range [][2]int{{0, 8000}, {8000, 0}, {44100, 8000}, {8000, 11025}, {-8000, 8000}} {
		if _, err := NewResampler(pair[0], pair[1]); !errors.Is(err, ErrUnsupportedRate) {
			t.Errorf("%v: error %v", pair, err)
		}
	}
}

func TestResamplerDoesNotAllocate(t *testing.T) {
	eachRatePair(t, func(t *testing.T, from, to int) {
		r := newResampler(t, from, to)
		src, dst := make([]int16, from/50), make([]int16, 0, to/50+1)
		noAllocs(t, func() { dst = r.Append(dst[:0], src) })
	})
}

func FuzzResamplerPieces(f *testing.F) {
	f.Add(uint8(1), []byte{1, 2, 3, 4, 5, 6, 7, 8}, uint8(3))
	f.Add(uint8(14), []byte("some sound that is long enough to be cut"), uint8(5))
	f.Fuzz(func(t *testing.T, pair uint8, sound []byte, cut uint8) {
		from, to := resampleRates[pair%4], resampleRates[pair/4%4]
		src := AppendDecode(nil, PCM16, sound)
		want := newResampler(t, from, to).Append(nil, src)
		if len(want) != (len(src)*to+from-1)/from {
			t.Fatalf("%d samples of %d to %d made %d", len(src), from, to, len(want))
		}
		r := newResampler(t, from, to)
		var got []int16
		for at := 0; at < len(src); {
			n := min(len(src)-at, 1+(at+int(cut))%17)
			got = r.Append(got, src[at:at+n])
			at += n
		}
		if !slices.Equal(got, want) {
			t.Fatal("pieces change the outcome")
		}
	})
}

func BenchmarkResampler(b *testing.B) {
	for _, pair := range [][2]int{{8000, 16000}, {16000, 8000}, {8000, 24000}, {24000, 8000}, {8000, 48000}, {48000, 8000}, {16000, 24000}, {24000, 16000}} {
		b.Run(fmt.Sprintf("%dto%d", pair[0], pair[1]), func(b *testing.B) {
			r := newResampler(b, pair[0], pair[1])
			src, dst := sine(440, 8000, pair[0]/50, pair[0]), make([]int16, 0, pair[1]/50+1)
			b.ReportAllocs()
			for b.Loop() {
				dst = r.Append(dst[:0], src)
			}
		})
	}
}
