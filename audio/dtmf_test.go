package audio

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func newDTMFDetector(t testing.TB, rate int) *DTMFDetector {
	t.Helper()
	d, err := NewDTMFDetector(rate)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// heard returns the keys in pcm, which is at 8 kHz.
func heard(t testing.TB, pcm []int16) string {
	t.Helper()
	var keys []byte
	for _, press := range newDTMFDetector(t, 8000).Append(nil, pcm) {
		keys = append(keys, press.Digit)
	}
	return string(keys)
}

// A dial is how keys are pressed in a test, one tone of a pair being off as
// told.
type dial struct {
	tone, gap     time.Duration
	low, high     float64 // dBFS of the tones
	lowOff, hiOff float64 // parts of the frequency
	noise         float64 // dB below the tones together; 0 for none
	lead          int     // samples before the first key
}

const allKeys = "1234567890*#ABCD"

func (d dial) press(keys string) []int16 {
	random := rand.New(rand.NewPCG(uint64(d.lead), 3))
	pcm := make([]int16, d.lead+400)
	for i := range len(keys) {
		row, column, _ := dtmfKey(keys[i])
		low := newOscillator(dtmfRows[row]*(1+d.lowOff), d.low, 8000)
		high := newOscillator(dtmfColumns[column]*(1+d.hiOff), d.high, 8000)
		for range Samples(d.tone, 8000) {
			pcm = append(pcm, toSample(float32(low.next()+high.next())))
		}
		pcm = appendZeros(pcm, Samples(d.gap, 8000))
	}
	pcm = appendZeros(pcm, 400)
	if d.noise != 0 {
		power := (math.Pow(10, d.low/10) + math.Pow(10, d.high/10)) / 2
		scale := 32768 * math.Sqrt(power*math.Pow(10, -d.noise/10))
		for i := range pcm {
			pcm[i] = toSample(float32(float64(pcm[i]) + scale*random.NormFloat64()))
		}
	}
	return through(MuLaw, pcm)
}

func TestDTMFDetectorTakesWhatQ24Asks(t *testing.T) {
	const ms = time.Millisecond
	plain := dial{tone: 100 * ms, gap: 100 * ms, low: -11, high: -9}
	with := func(change func(*dial)) dial {
		d := plain
		change(&d)
		return d
	}
	for _, test := range []struct {
		name string
		dial dial
	}{
		{"plain", plain},
		{"the shortest tones and gaps", with(func(d *dial) { d.tone, d.gap = 40*ms, 40*ms })},
		{"soft", with(func(d *dial) { d.low, d.high = -40, -40 })},
		{"as loud as can be", with(func(d *dial) { d.low, d.high = -6.1, -6.1 })},
		{"8 dB of twist", with(func(d *dial) { d.low, d.high = -10, -18 })},
		{"4 dB of reverse twist", with(func(d *dial) { d.low, d.high = -14, -10 })},
		{"1.5 % too high", with(func(d *dial) { d.lowOff, d.hiOff = 0.015, 0.015 })},
		{"1.5 % too low", with(func(d *dial) { d.lowOff, d.hiOff = -0.015, -0.015 })},
		{"one too high, one too low", with(func(d *dial) { d.lowOff, d.hiOff = 0.015, -0.015 })},
		{"noise 15 dB below", with(func(d *dial) { d.noise = 15 })},
	} {
		t.Run(test.name, func(t *testing.T) {
			for lead := range 51 {
				test.dial.lead = 2 * lead
				if got := heard(t, test.dial.press(allKeys)); got != allKeys {
					t.Fatalf("%d samples late: heard %q", test.dial.lead, got)
				}
			}
		})
	}
}

func TestDTMFDetectorRefusesWhatQ24Asks(t *testing.T) {
	const ms = time.Millisecond
	plain := dial{tone: 100 * ms, gap: 100 * ms, low: -11, high: -9}
	with := func(change func(*dial)) dial {
		d := plain
		change(&d)
		return d
	}
	for _, test := range []struct {
		name string
		dial dial
	}{
		{"tones of 20 ms", with(func(d *dial) { d.tone = 20 * ms })},
		{"nearly silent", with(func(d *dial) { d.low, d.high = -50, -50 })},
		{"row 3.5 % too high", with(func(d *dial) { d.lowOff = 0.035 })},
		{"row 3.5 % too low", with(func(d *dial) { d.lowOff = -0.035 })},
		{"column 3.5 % too high", with(func(d *dial) { d.hiOff = 0.035 })},
		{"column 3.5 % too low", with(func(d *dial) { d.hiOff = -0.035 })},
		{"the lower tone alone", with(func(d *dial) { d.high = -80 })},
		{"the upper tone alone", with(func(d *dial) { d.low = -80 })},
		{"12 dB of twist", with(func(d *dial) { d.high = -23 })},
		{"8 dB of reverse twist", with(func(d *dial) { d.low = -17 })},
	} {
		t.Run(test.name, func(t *testing.T) {
			for lead := range 51 {
				test.dial.lead = 2 * lead
				if got := heard(t, test.dial.press(allKeys)); got != "" {
					t.Fatalf("%d samples late: heard %q", test.dial.lead, got)
				}
			}
		})
	}
}

func TestDTMFDetectorInMuchNoise(t *testing.T) {
	missed, wrong, sent := 0, 0, 0
	for lead := range 100 {
		d := dial{tone: 60 * time.Millisecond, gap: 60 * time.Millisecond, low: -20, high: -20, noise: 10, lead: lead}
		got := heard(t, d.press(allKeys))
		sent += len(allKeys)
		missed += max(0, len(allKeys)-len(got))
		for i := range got {
			if !strings.ContainsRune(allKeys, rune(got[i])) || len(got) == len(allKeys) && got[i] != allKeys[i] {
				wrong++
			}
		}
		wrong += max(0, len(got)-len(allKeys))
	}
	t.Logf("at 10 dB: %d of %d missed, %d wrong", missed, sent, wrong)
	if missed > sent/200 || wrong > 0 {
		t.Errorf("at 10 dB: %d of %d missed, %d wrong", missed, sent, wrong)
	}
}

func TestDTMFDetectorHearsABrokenToneOnce(t *testing.T) {
	for lead := range 102 {
		d := dial{tone: 120 * time.Millisecond, low: -11, high: -9, lead: lead}
		pcm := d.press("5")
		start := lead + 400 + 400
		clear(pcm[start : start+80])
		if got := heard(t, pcm); got != "5" {
			t.Fatalf("%d samples late: heard %q", lead, got)
		}
	}
}

// Speech, also of several voices, and noise hold no keys.
func TestDTMFDetectorTalkOff(t *testing.T) {
	all, _ := conditions(t)
	var length time.Duration
	for _, c := range all {
		if got := heard(t, c.pcm); got != "" {
			t.Errorf("%s: heard %q", c.name, got)
		}
		length += Duration(len(c.pcm), 8000)
	}
	for _, sentence := range speechFiles(t) {
		for speed := 0.7; speed < 1.4; speed += 0.02 {
			pcm := make([]int16, int(float64(len(sentence)-1)/speed))
			for i := range pcm {
				at := float64(i) * speed
				j := int(at)
				pcm[i] = int16(float64(sentence[j])*(1-at+float64(j)) + float64(sentence[j+1])*(at-float64(j)))
			}
			if got := heard(t, pcm); got != "" {
				t.Errorf("a sentence at %.2f of its speed: heard %q", speed, got)
			}
			length += Duration(len(pcm), 8000)
		}
	}
	t.Logf("no key in %v of speech", length)
}

func TestDTMFRoundTripAtEachRate(t *testing.T) {
	for _, rate := range resampleRates {
		pcm := make([]int16, rate/10)
		pcm, err := AppendDTMF(pcm, allKeys+"w1a,", 0, 0, rate)
		if err != nil {
			t.Fatal(err)
		}
		if want := rate/10 + 18*rate/5 + rate; len(pcm) != want {
			t.Errorf("%d: %d samples, want %d", rate, len(pcm), want)
		}
		d := newDTMFDetector(t, rate)
		want := d.Append(nil, pcm)
		at := Samples(100*time.Millisecond, rate)
		for i, press := range want {
			if i == len(allKeys) {
				at += rate / 2
			}
			if press.Digit != (allKeys + "1A")[i] {
				t.Errorf("%d: key %d is %q", rate, i, press.Digit)
			}
			if off := Duration(int(press.At)-at, rate); off.Abs() > 13*time.Millisecond {
				t.Errorf("%d: key %d is off by %v", rate, i, off)
			}
			at += rate / 5
		}
		if len(want) != len(allKeys)+2 {
			t.Errorf("%d: heard %d keys", rate, len(want))
		}
		d.Reset()
		if got := inPieces(d.Append, pcm); !slices.Equal(got, want) {
			t.Errorf("%d: pieces change the outcome", rate)
		}
	}
}

func TestDTMFRefuses(t *testing.T) {
	dst := []int16{1}
	got, err := AppendDTMF(dst, "12x", 0, 0, 8000)
	if !errors.Is(err, ErrDigit) || len(got) != 1 {
		t.Errorf("%d samples, %v", len(got), err)
	}
	if _, err := NewDTMFDetector(11025); !errors.Is(err, ErrUnsupportedRate) {
		t.Errorf("error %v", err)
	}
}

func TestDTMFDoesNotAllocate(t *testing.T) {
	pcm, _ := AppendDTMF(nil, "123", 0, 0, 16000)
	for _, rate := range resampleRates {
		d, presses, sound := newDTMFDetector(t, rate), make([]Keypress, 0, 8), make([]int16, 0, rate)
		noAllocs(t, func() {
			presses = d.Append(presses[:0], pcm)
			sound, _ = AppendDTMF(sound[:0], "12", 0, 0, rate)
		})
	}
}

func FuzzDTMFDetectorPieces(f *testing.F) {
	sound, _ := AppendDTMF(nil, "1#", 40*time.Millisecond, 40*time.Millisecond, 8000)
	f.Add(AppendEncode(nil, MuLaw, sound), uint8(7))
	f.Fuzz(func(t *testing.T, wire []byte, cut uint8) {
		pcm := AppendDecode(nil, MuLaw, wire)
		want := newDTMFDetector(t, 8000).Append(nil, pcm)
		d := newDTMFDetector(t, 8000)
		var got []Keypress
		for at := 0; at < len(pcm); {
			n := min(len(pcm)-at, 1+(at+int(cut))%200)
			got = d.Append(got, pcm[at:at+n])
			at += n
		}
		if !slices.Equal(got, want) {
			t.Fatal("pieces change the outcome")
		}
		for _, press := range got {
			if _, _, ok := dtmfKey(press.Digit); !ok || press.At < 0 || press.At >= int64(len(pcm)) {
				t.Fatalf("heard %v", press)
			}
		}
	})
}

func BenchmarkDTMFDetector(b *testing.B) {
	d := newDTMFDetector(b, 8000)
	pcm := sine(440, 8000, 160, 8000)
	var presses []Keypress
	b.ReportAllocs()
	for b.Loop() {
		presses = d.Append(presses[:0], pcm)
	}
}
