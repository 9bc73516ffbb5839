package audio

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var thorough = flag.Bool("thorough", false, "listen to four times as much for beeps")

func newBeepDetector(t testing.TB, rate int) *BeepDetector {
	t.Helper()
	d, err := NewBeepDetector(rate)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A machine is what an answering machine plays: words, a pause and a beep.
type machine struct {
	hz         []float64
	dbfs       float64
	length     time.Duration
	format     Format
	pcm        []int16
	begin, end int // of the beep
}

// randomMachine draws one. The beep is louder than the noise of the line by snr
// dB, or the line is quiet if that is 0.
func randomMachine(t testing.TB, random *rand.Rand, snr float64) machine {
	const rate = 8000
	m := machine{
		hz:     []float64{220 + 1800*random.Float64()},
		dbfs:   -3 - 30*random.Float64(),
		length: 140*time.Millisecond + time.Duration(random.Int64N(int64(1800*time.Millisecond))),
		format: []Format{{MuLaw, 8000}, {ALaw, 8000}, {PCM16, 16000}}[random.IntN(3)],
	}
	if random.IntN(4) == 0 { // two tones
		m.hz = append(m.hz, m.hz[0]+180+600*random.Float64())
		m.dbfs -= 6 // each
	}
	if d := new(BeepDetector); m.hz[len(m.hz)-1] > 2040 || knownTone(d, m) {
		return randomMachine(t, random, snr)
	}
	files := speechFiles(t)
	words := files[random.IntN(len(files))]
	words = words[len(words)/2:]
	pause := 200 + random.IntN(8000)
	m.begin = len(words) + pause
	m.end = m.begin + Samples(m.length, rate)
	m.pcm = make([]int16, m.end+4000)
	copy(m.pcm, words)
	level := -60.0
	if snr > 0 {
		level = m.dbfs - snr
	}
	random64 := rand.New(rand.NewPCG(random.Uint64(), 0))
	for i := range m.pcm {
		v := float64(m.pcm[i]) + 32768/math.Sqrt2*math.Pow(10, level/20)*random64.NormFloat64()
		if i >= m.begin && i < m.end {
			ramp := min(1, float64(i-m.begin)/40, float64(m.end-i)/40)
			for _, hz := range m.hz {
				v += ramp * 32767 * math.Pow(10, m.dbfs/20) * math.Sin(2*math.Pi*hz*float64(i)/rate)
			}
		}
		m.pcm[i] = int16(math.Round(min(max(v, math.MinInt16), math.MaxInt16)))
	}
	if m.format.Rate != rate {
		m.pcm = newResampler(t, rate, m.format.Rate).Append(nil, m.pcm)
	} else {
		m.pcm = through(m.format.Encoding, m.pcm)
	}
	return m
}

// knownTone reports whether the beep of m is like a tone that is passed over.
func knownTone(d *BeepDetector, m machine) bool {
	d.tones.cfg.Rate = 8000
	for _, off := range []float64{-10, 0, 10} { // as it may be heard
		tone := Tone{Hz: m.hz[0] + off, Samples: int64(Samples(m.length, 8000))}
		if len(m.hz) > 1 {
			tone.Second = m.hz[1] + off
			if math.Abs(m.hz[1]-2*m.hz[0]) < 200 { // an octave
				return true
			}
		}
		if d.known(tone) {
			return true
		}
	}
	return len(m.hz) == 1 && math.Abs(m.hz[0]-faxHz) < 2*faxWidth
}

// Beeps of all kinds, after words, over noise, through each codec.
func TestBeepDetectorHearsBeeps(t *testing.T) {
	machines := 50
	if *thorough {
		machines = 200
	}
	for _, c := range []struct {
		name  string
		snr   float64
		least float64 // share that must be heard
	}{{"a quiet line", 0, 0.99}, {"30 dB over noise", 30, 0.99}, {"20 dB over noise", 20, 0.98}, {"15 dB over noise", 15, 0.9}} {
		random := rand.New(rand.NewPCG(1, 2))
		heard, others := 0, 0
		for range machines {
			m := randomMachine(t, random, c.snr)
			d := newBeepDetector(t, m.format.Rate)
			hit := false
			for _, b := range d.Append(nil, m.pcm) {
				begin := Duration(int(b.At), m.format.Rate)
				if off := begin - Duration(m.begin, 8000); off.Abs() < 40*time.Millisecond {
					hit = true
				} else {
					others++
				}
			}
			if hit {
				heard++
			}
		}
		t.Logf("%s: %d of %d beeps heard, %d other sounds taken for one", c.name, heard, machines, others)
		if float64(heard) < c.least*float64(machines) || others > 0 {
			t.Errorf("%s: too few, or too many", c.name)
		}
	}
}

// The end of a beep is told within the time that the documentation gives.
func TestBeepDetectorIsFast(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var latest time.Duration
	for range 50 {
		m := randomMachine(t, random, 0)
		d := newBeepDetector(t, m.format.Rate)
		step := m.format.Rate / 100
		for at := 0; at+step <= len(m.pcm); at += step {
			if len(d.Append(nil, m.pcm[at:at+step])) > 0 {
				latest = max(latest, Duration(at+step, m.format.Rate)-Duration(m.end, 8000))
				break
			}
		}
	}
	t.Logf("told %v after its end at the latest", latest)
	if latest > 90*time.Millisecond || latest < 0 {
		t.Errorf("a beep was told %v after its end", latest)
	}
}

func TestBeepDetectorPassesOverWhatIsNoBeep(t *testing.T) {
	minutes := 1
	if *thorough {
		minutes = 4
	}
	n := minutes * 60 * 8000
	quiet := make([]int16, 4000)
	signal := func(s Signal) []int16 {
		pcm := make([]int16, 60*8000)
		mustRead(t, s.Reader(8000), pcm)
		return pcm
	}
	once := func(hz float64, d time.Duration) []int16 {
		return slices.Concat(quiet, sine(hz, 8000, Samples(d, 8000), 8000), quiet)
	}
	sounds := map[string][]int16{
		"keys":                     keysAtRandom(t, n),
		"music of strings":         music(rand.New(rand.NewPCG(5, 1)), n, []float64{1, 0.6, 0.4, 0.3, 0.2}, 2),
		"music of a piano":         music(rand.New(rand.NewPCG(5, 2)), n, []float64{1, 0.5, 0.25}, 0.4),
		"music of a flute":         music(rand.New(rand.NewPCG(5, 3)), n, []float64{1, 0.25, 0.1}, 4),
		"ring-back, North America": signal(RingbackNorthAmerica),
		"ring-back, Europe":        signal(RingbackEurope),
		"ring-back, Britain":       signal(RingbackBritain),
		"busy, North America":      signal(BusyNorthAmerica),
		"busy, Europe":             signal(BusyEurope),
		"a fax that calls":         once(1100, 500*time.Millisecond),
		"a fax that answers":       once(2100, 3*time.Second),
		"a number out of service": slices.Concat(quiet, sine(950, 8000, 2640, 8000), sine(1400, 8000, 2640, 8000),
			sine(1800, 8000, 2640, 8000), quiet), // ITU-T E.180: special information tone
		"a click":            once(1000, 60*time.Millisecond),
		"a tone without end": once(1000, 4*time.Second),
		"white noise":        samplesOf(whiteNoise(n), 3000),
		"pink noise":         samplesOf(pinkNoise(n), 3000),
	}
	all, _ := conditions(t)
	for _, c := range all {
		sounds["speech, "+c.name] = c.pcm
	}
	for i, words := range speechFiles(t) {
		for speed := 0.6; speed < 1.6; speed += 0.1 {
			sounds[fmt.Sprintf("speech %d, %.1f times as fast", i, speed)] = atSpeed(words, speed)
		}
	}
	var listened time.Duration
	alarms := 0
	for name, pcm := range sounds {
		pcm = through(MuLaw, pcm)
		listened += Duration(len(pcm), 8000)
		if found := newBeepDetector(t, 8000).Append(nil, pcm); len(found) > 0 {
			alarms += len(found)
			t.Errorf("%s: found %v", name, found)
		}
	}
	t.Logf("%v of %d sounds: %d false alarms", listened.Round(time.Second), len(sounds), alarms)
}

func samplesOf(x []float64, level float64) []int16 {
	pcm := make([]int16, len(x))
	scale := level / math.Sqrt(power(x))
	for i, v := range x {
		pcm[i] = int16(min(max(v*scale, math.MinInt16), math.MaxInt16))
	}
	return pcm
}

// atSpeed is words spoken faster or slower, and so higher or lower.
func atSpeed(words []int16, speed float64) []int16 {
	pcm := make([]int16, int(float64(len(words)-1)/speed))
	for i := range pcm {
		at := float64(i) * speed
		j := int(at)
		pcm[i] = int16(float64(words[j])*(1-at+float64(j)) + float64(words[j+1])*(at-float64(j)))
	}
	return pcm
}

func keysAtRandom(t testing.TB, n int) []int16 {
	random := rand.New(rand.NewPCG(7, 7))
	var pcm []int16
	for len(pcm) < n {
		var err error
		pcm, err = AppendDTMF(pcm, string(dtmfKeys[random.IntN(16)]),
			time.Duration(50+random.IntN(600))*time.Millisecond, time.Duration(30+random.IntN(400))*time.Millisecond, 8000)
		if err != nil {
			t.Fatal(err)
		}
	}
	return pcm[:n]
}

// music is a melody over a second voice, of tones with these partials, that fade
// over so many seconds, with vibrato and rests.
func music(random *rand.Rand, n int, partials []float64, fade float64) []int16 {
	x := make([]float64, n)
	for _, low := range []float64{130, 260} {
		for at := 0; at < n; {
			hz := low * math.Pow(2, float64(random.IntN(24))/12)
			length := min(n-at, 800+random.IntN(8000))
			for i := range length {
				s := float64(i) / 8000
				envelope := min(1, s/0.02) * math.Exp(-s/fade) * min(1, float64(length-i)/400)
				for k, p := range partials {
					phase := 2 * math.Pi * hz * float64(k+1) * (s + 0.0003*math.Sin(2*math.Pi*5*s))
					x[at+i] += p * envelope * math.Sin(phase)
				}
			}
			at += length
			if random.IntN(4) == 0 {
				at += random.IntN(4000)
			}
		}
	}
	return samplesOf(x, 3000)
}

func TestBeepDetectorAtEachRateAndInPieces(t *testing.T) {
	for _, rate := range resampleRates {
		pcm := newResampler(t, 8000, rate).Append(nil, beep(t, 440, -20, 300*time.Millisecond))
		d := newBeepDetector(t, rate)
		want := d.Append(nil, pcm)
		if len(want) != 1 {
			t.Fatalf("%d: found %v", rate, want)
		}
		d.Reset()
		if got := inPieces(d.Append, pcm); !slices.Equal(got, want) {
			t.Errorf("%d: pieces change the outcome", rate)
		}
	}
	if _, err := NewBeepDetector(44100); err == nil {
		t.Error("44100 was taken")
	}
}

func TestBeepDetectorDoesNotAllocate(t *testing.T) {
	pcm := beep(t, 1000, -20, 200*time.Millisecond)
	for _, rate := range resampleRates {
		d, tones := newBeepDetector(t, rate), make([]Tone, 0, 8)
		noAllocs(t, func() { tones = d.Append(tones[:0], pcm) })
	}
}

// Whatever is heard: beeps come in order, are as long as they may be, and do not
// depend on the pieces.
func FuzzBeepDetector(f *testing.F) {
	f.Add(AppendEncode(nil, MuLaw, beep(f, 1000, -20, 200*time.Millisecond)), 160)
	f.Add(AppendEncode(nil, MuLaw, beep(f, 440, -3, 150*time.Millisecond)), 7)
	f.Fuzz(func(t *testing.T, mulaw []byte, piece int) {
		pcm := AppendDecode(nil, MuLaw, mulaw)
		want := newBeepDetector(t, 8000).Append(nil, pcm)
		end := int64(-1)
		for _, b := range want {
			if b.At < end || b.Hz < beepLow || b.Samples < 960 || b.Samples > 20000 || !b.Quiet {
				t.Fatalf("%+v after %d", b, end)
			}
			end = b.At
		}
		d := newBeepDetector(t, 8000)
		var got []Tone
		for piece = max(1, piece); len(pcm) > 0; pcm = pcm[min(piece, len(pcm)):] {
			got = d.Append(got, pcm[:min(piece, len(pcm))])
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v in pieces, %v as a whole", got, want)
		}
	})
}
