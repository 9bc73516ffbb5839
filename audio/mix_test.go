package audio

import (
	"math"
	"slices"
	"testing"
)

func TestMixCutsSumsThatAreTooLarge(t *testing.T) {
	for _, test := range []struct {
		name           string
		dst, src, want []int16
		n              int
	}{
		{"within range", []int16{1, -5, 100}, []int16{2, 3, -100}, []int16{3, -2, 0}, 3},
		{"out of range", []int16{32767, -32768}, []int16{1, -1}, []int16{32767, -32768}, 2},
		{"less to add", []int16{1, 2}, []int16{1}, []int16{2, 2}, 1},
		{"more to add", []int16{1}, []int16{1, 1}, []int16{2}, 1},
		{"nothing", nil, nil, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			dst := slices.Clone(test.dst)
			if n := Mix(dst, test.src); n != test.n || !slices.Equal(dst, test.want) {
				t.Errorf("mixed %d: %v, want %v", n, dst, test.want)
			}
		})
	}
}

func TestLimiterLeavesWhatFitsAlone(t *testing.T) {
	pcm := sine(440, 30000, 8000, 8000)
	got := slices.Clone(pcm)
	NewLimiter(0, 8000).Apply(got)
	if !slices.Equal(got, pcm) {
		t.Error("a gain of 0 dB changes sound")
	}
	NewLimiter(-6.0206, 8000).Apply(got)
	if peak := Peak(got); peak < 14999 || peak > 15001 {
		t.Errorf("-6 dB of 30000 is %d", peak)
	}
}

// A limiter must not cut: a sine of twice full scale comes out as a sine of full
// scale, far cleaner than cutting leaves it.
func TestLimiterKeepsTheShape(t *testing.T) {
	pcm := sine(440, 32000, 8000, 8000)
	NewLimiter(6, 8000).Apply(pcm)
	got, _, rest := fitSine(pcm[800:], 440, 8000)
	snr := 10 * math.Log10(got*got/2/rest)
	cut := sine(440, 32000, 8000, 8000)
	for i, s := range cut {
		cut[i] = toSample(float32(s) * 2)
	}
	cutGot, _, cutRest := fitSine(cut[800:], 440, 8000)
	cutSNR := 10 * math.Log10(cutGot*cutGot/2/cutRest)
	t.Logf("SNR %.1f dB, cutting leaves %.1f dB", snr, cutSNR)
	if Peak(pcm) > math.MaxInt16 || snr < 40 || snr < cutSNR+20 {
		t.Errorf("SNR %.1f dB, cutting leaves %.1f dB", snr, cutSNR)
	}
}

func TestLimiterRecovers(t *testing.T) {
	l := NewLimiter(12, 8000)
	l.Apply(sine(440, 32000, 8000, 8000))
	soft := sine(440, 1000, 8000, 8000)
	l.Apply(soft)
	if got := Peak(soft[4000:]); got < 3970 || got > 3990 {
		t.Errorf("half a second after a peak, 1000 becomes %d, want 3981", got)
	}
	l.Apply(sine(440, 32000, 8000, 8000))
	l.Reset()
	soft = sine(440, 1000, 800, 8000)
	l.Apply(soft)
	if got := Peak(soft); got < 3970 {
		t.Errorf("after Reset, 1000 becomes %d", got)
	}
}

func TestLimiterMixesTwoLoudVoices(t *testing.T) {
	a, b := sine(440, 30000, 8000, 8000), sine(610, 30000, 8000, 8000)
	NewLimiter(0, 8000).Mix(a, b[:4000])
	for i := 3000; i < 4000; i++ {
		if a[i] == math.MinInt16 {
			t.Fatalf("sample %d is cut", i)
		}
	}
	if peak := Peak(a); peak < 32000 {
		t.Errorf("peak %d", peak)
	}
	if peak := Peak(a[6000:]); peak < 29990 || peak > 30010 {
		t.Errorf("peak %d where only one sounds", peak)
	}
}

func TestMixDoesNotAllocate(t *testing.T) {
	a, b := sine(440, 30000, 160, 8000), sine(610, 30000, 160, 8000)
	l := NewLimiter(3, 8000)
	noAllocs(t, func() {
		Mix(a, b)
		l.Apply(a)
		l.Mix(a, b)
		l.SetGain(2)
	})
}
