package audiotest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verdict stands in for a test and keeps what it is told.
type verdict struct {
	testing.TB
	failures []string
}

func (v *verdict) Helper() {}

func (v *verdict) Errorf(format string, args ...any) {
	v.failures = append(v.failures, fmt.Sprintf(format, args...))
}

// line is what a telephone line leaves of pcm.
func line(pcm []int16) []int16 {
	return audio.AppendDecode(nil, audio.MuLaw, audio.AppendEncode(nil, audio.MuLaw, pcm))
}

func join(parts ...[]int16) []int16 { return slices.Concat(parts...) }

func TestHasToneAndNoTone(t *testing.T) {
	const rate = 8000
	tone := Tone(440, time.Second, rate)
	both := slices.Clone(tone)
	audio.Mix(both, Tone(1000, time.Second, rate))
	for _, test := range []struct {
		name string
		pcm  []int16
		want bool
	}{
		{"the tone", tone, true},
		{"the tone over a line", line(tone), true},
		{"a short tone alone", tone[:160], true},
		{"after silence", join(Silence(time.Second, rate), tone[:1600], Silence(time.Second, rate)), true},
		{"after noise", join(Noise(1, time.Second, rate), tone), true},
		{"too short", join(Silence(time.Second, rate), tone[:400], Silence(time.Second, rate)), false},
		{"another tone", Tone(500, time.Second, rate), false},
		{"two tones", both, false},
		{"noise", Noise(1, time.Second, rate), false},
		{"silence", Silence(time.Second, rate), false},
		{"nothing", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var has, no verdict
			HasTone(&has, test.pcm, rate, 440)
			NoTone(&no, test.pcm, rate, 440)
			if passed := len(has.failures) == 0; passed != test.want {
				t.Errorf("HasTone: %v", has.failures)
			}
			if passed := len(no.failures) == 0; passed == test.want {
				t.Errorf("NoTone: %v", no.failures)
			}
		})
	}
}

func TestHasToneSaysWhatThereIsInstead(t *testing.T) {
	var v verdict
	HasTone(&v, Tone(1000, time.Second, 16000), 16000, 440)
	if len(v.failures) != 1 || !strings.Contains(v.failures[0], "no tone of 440 Hz in 1s") || !strings.Contains(v.failures[0], "loudest near 1000 Hz") {
		t.Errorf("told %q", v.failures)
	}
}

func TestIsSilent(t *testing.T) {
	for _, test := range []struct {
		name string
		pcm  []int16
		want bool
	}{
		{"zeros", Silence(time.Second, 8000), true},
		{"A-law zeros", slices.Repeat([]int16{8}, 8000), true},
		{"a click", join(Silence(time.Second, 8000), Tone(1500, 2*time.Millisecond, 8000)), false},
		{"nothing", nil, true},
	} {
		var v verdict
		IsSilent(&v, test.pcm, 8000)
		if passed := len(v.failures) == 0; passed != test.want {
			t.Errorf("%s: %v", test.name, v.failures)
		}
	}
}

func TestLevelIsThatOfASine(t *testing.T) {
	for _, hz := range []float64{300, 440, 1000, 3400} {
		if got := Level(Tone(hz, time.Second, 8000), 8000, hz); math.Abs(got+12.04) > 0.05 {
			t.Errorf("%v Hz: %.2f dBFS", hz, got)
		}
	}
	if got := Level(nil, 8000, 440); !math.IsInf(got, -1) {
		t.Errorf("nothing: %v dBFS", got)
	}
}

func TestAlignIsExactToTheSample(t *testing.T) {
	const rate = 8000
	sweep := Sweep(300, 3400, 500*time.Millisecond, rate)
	noise := Noise(1, time.Second, rate)
	soft := make([]int16, len(sweep))
	for i, s := range sweep {
		soft[i] = s / 10
	}
	under := slices.Clone(noise)
	audio.Mix(under[1234:], sweep)
	for _, test := range []struct {
		name   string
		a, b   []int16
		offset int
		least  float64
	}{
		{"itself", sweep, sweep, 0, 0.999},
		{"later", sweep, join(make([]int16, 777), sweep), 777, 0.999},
		{"earlier", join(make([]int16, 777), sweep), sweep, -777, 0.999},
		{"within something else", sweep, join(noise, sweep, noise), 8000, 0.999},
		{"softer, over a line", sweep, line(join(make([]int16, 55), soft, make([]int16, 99))), 55, 0.99},
		{"cut at its start", sweep, sweep[500:], -500, 0.999},
		{"under noise", sweep, under, 1234, 0.7},
		{"one sample late", noise, join([]int16{0}, noise), 1, 0.999},
	} {
		t.Run(test.name, func(t *testing.T) {
			offset, similarity := Align(test.a, test.b)
			if offset != test.offset || similarity < test.least || similarity > 1.001 {
				t.Errorf("offset %d, similarity %.3f; want %d and %v", offset, similarity, test.offset, test.least)
			}
		})
	}
}

func TestAlignOfStrangersFindsLittle(t *testing.T) {
	_, similarity := Align(Noise(1, time.Second, 8000), Noise(2, 2*time.Second, 8000))
	if similarity > 0.1 {
		t.Errorf("two noises are alike by %.3f", similarity)
	}
	for _, pair := range [][2][]int16{
		{nil, nil},
		{nil, Noise(1, time.Second, 8000)},
		{Silence(time.Second, 8000), Noise(1, time.Second, 8000)},
	} {
		if _, similarity := Align(pair[0], pair[1]); similarity != 0 {
			t.Errorf("silence is alike by %v", similarity)
		}
	}
}

func TestPulsesAreFoundAgain(t *testing.T) {
	for _, rate := range []int{8000, 48000} {
		pcm := Pulses(100*time.Millisecond, time.Second, rate)
		if len(pcm) != rate {
			t.Errorf("%d samples", len(pcm))
		}
		found := FindPulses(pcm, rate)
		if len(found) != 10 {
			t.Fatalf("found %v", found)
		}
		for i, at := range found {
			if off := at - time.Duration(i)*100*time.Millisecond; off.Abs() > 500*time.Microsecond {
				t.Errorf("pulse %d is off by %v", i, off)
			}
		}
	}
	if found := FindPulses(Pulses(0, time.Second, 8000), 8000); len(found) != 0 {
		t.Errorf("no interval: found %v", found)
	}
}

func TestSweepGlides(t *testing.T) {
	pcm := Sweep(500, 1500, time.Second, 8000)
	for i, hz := range []float64{550, 950, 1450} {
		part := pcm[[]int{320, 3520, 7520}[i]:][:160]
		if level := Level(part, 8000, hz); level < -14 {
			t.Errorf("%v Hz: %.1f dBFS", hz, level)
		}
	}
}

func TestSNR(t *testing.T) {
	tone := Tone(440, time.Second, 8000)
	if got := SNR(tone, tone); !math.IsInf(got, 1) {
		t.Errorf("of the same: %v", got)
	}
	if got := SNR(tone, line(tone)); got < 35 || got > 40 {
		t.Errorf("of mu-law: %.1f dB, want about 37", got)
	}
}
