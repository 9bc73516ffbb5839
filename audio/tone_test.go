package audio

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

func newToneDetector(t testing.TB, cfg ToneConfig) *ToneDetector {
	t.Helper()
	d, err := NewToneDetector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// beep is half a second of a quiet line, a sine at dbfs, and the quiet line
// again, over mu-law.
func beep(t testing.TB, hz, dbfs float64, d time.Duration) []int16 {
	pcm := readNoise(t, NewNoise(-60, 8000, 1), 4000+Samples(d, 8000)+4000)
	Mix(pcm[4000:], sine(hz, 32767*math.Pow(10, dbfs/20), Samples(d, 8000), 8000))
	return through(MuLaw, pcm)
}

func TestToneDetectorHearsTheBeep(t *testing.T) {
	for _, hz := range []float64{480, 850, 1000, 1004, 1100, 1333, 1400, 1850, 2000} {
		for _, dbfs := range []float64{-3, -20, -40} {
			for _, d := range []time.Duration{150 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second} {
				found := newToneDetector(t, ToneConfig{}).Append(nil, beep(t, hz, dbfs, d))
				if len(found) != 1 {
					t.Errorf("%v Hz at %v dBFS for %v: found %v", hz, dbfs, d, found)
					continue
				}
				tone := found[0]
				if math.Abs(tone.Hz-hz) > 5 {
					t.Errorf("%v Hz at %v dBFS: found %v Hz", hz, dbfs, tone.Hz)
				}
				if off := Duration(int(tone.At)-4000, 8000); off.Abs() > 20*time.Millisecond {
					t.Errorf("%v Hz at %v dBFS for %v: beginning off by %v", hz, dbfs, d, off)
				}
				if off := Duration(int(tone.Samples), 8000) - d; off.Abs() > 30*time.Millisecond {
					t.Errorf("%v Hz at %v dBFS for %v: length off by %v", hz, dbfs, d, off)
				}
			}
		}
	}
}

func TestToneDetectorPassesOverWhatIsNoBeep(t *testing.T) {
	keys, _ := AppendDTMF(nil, "1234567890", 300*time.Millisecond, 0, 8000)
	ringback := sine(440, 6000, 16000, 8000)
	Mix(ringback, sine(480, 6000, 16000, 8000))
	glide := make([]int16, 8000)
	for i := range glide {
		x := float64(i) / 8000
		glide[i] = int16(8000 * math.Sin(2*math.Pi*(600*x+400*x*x)))
	}
	for name, pcm := range map[string][]int16{
		"a click":             beep(t, 1000, -10, 50*time.Millisecond),
		"a tone without end":  beep(t, 1000, -10, 4*time.Second),
		"ring-back of Europe": beep(t, 425, -10, time.Second),
		"a fax machine":       beep(t, 2100, -10, time.Second),
		"below the line":      beep(t, 1000, -50, time.Second),
		"ring-back":           append(ringback, make([]int16, 4000)...),
		"keys":                append(keys, make([]int16, 4000)...),
		"a glide":             append(glide, make([]int16, 4000)...),
		"silence":             make([]int16, 8000),
	} {
		if found := newToneDetector(t, ToneConfig{}).Append(nil, pcm); len(found) > 0 {
			t.Errorf("%s: found %v", name, found)
		}
	}
	all, _ := conditions(t)
	for _, c := range all {
		if found := newToneDetector(t, ToneConfig{}).Append(nil, c.pcm); len(found) > 0 {
			t.Errorf("speech, %s: found %v", c.name, found)
		}
	}
}

func TestToneDetectorFindsTheTonesItIsToldTo(t *testing.T) {
	fax := ToneConfig{Low: 2080, High: 2120, MinDuration: time.Second, MaxDuration: 5 * time.Second}
	for _, test := range []struct {
		name string
		hz   float64
		d    time.Duration
		want int
	}{
		{"the tone", 2100, 3 * time.Second, 1},
		{"too short", 2100, 500 * time.Millisecond, 0},
		{"another", 1100, 3 * time.Second, 0},
	} {
		if found := newToneDetector(t, fax).Append(nil, beep(t, test.hz, -15, test.d)); len(found) != test.want {
			t.Errorf("%s: found %v", test.name, found)
		}
	}
	if _, err := NewToneDetector(ToneConfig{Rate: 44100}); !errors.Is(err, ErrUnsupportedRate) {
		t.Errorf("error %v", err)
	}
}

func TestToneDetectorAtEachRateAndInPieces(t *testing.T) {
	for _, rate := range resampleRates {
		pcm := newResampler(t, 8000, rate).Append(nil, beep(t, 1000, -20, 300*time.Millisecond))
		d := newToneDetector(t, ToneConfig{Rate: rate})
		want := d.Append(nil, pcm)
		if len(want) != 1 {
			t.Fatalf("%d: found %v", rate, want)
		}
		if off := Duration(int(want[0].At)-rate/2, rate); off.Abs() > 20*time.Millisecond {
			t.Errorf("%d: off by %v", rate, off)
		}
		if off := Duration(int(want[0].Samples), rate) - 300*time.Millisecond; off.Abs() > 30*time.Millisecond {
			t.Errorf("%d: length off by %v", rate, off)
		}
		d.Reset()
		if got := inPieces(d.Append, pcm); !slices.Equal(got, want) {
			t.Errorf("%d: pieces change the outcome", rate)
		}
	}
}

func TestToneDetectorDoesNotAllocate(t *testing.T) {
	pcm := beep(t, 1000, -20, 200*time.Millisecond)
	for _, rate := range resampleRates {
		d, tones := newToneDetector(t, ToneConfig{Rate: rate}), make([]Tone, 0, 8)
		noAllocs(t, func() { tones = d.Append(tones[:0], pcm) })
	}
}

func BenchmarkToneDetector(b *testing.B) {
	d := newToneDetector(b, ToneConfig{})
	pcm := beep(b, 1000, -20, 200*time.Millisecond)
	var tones []Tone
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		tones = d.Append(tones[:0], pcm[at:at+160])
		at = (at + 160) % (len(pcm) - 160)
	}
}
