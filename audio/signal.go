package audio

import (
	"math"
	"time"
)

// A Signal is a tone of the telephone network: some frequencies together, on
// and off by turns.
type Signal struct {
	Hertz []float64
	// Cadence is how long the tone is on, off, on, off … before it begins anew.
	// Empty means that it is always on.
	Cadence []time.Duration
}

// What a caller hears while a telephone rings, or is busy. ITU-T lists them in
// the annex to E.180; these are the ones of North America, of most of Europe
// and of the United Kingdom.
var (
	RingbackNorthAmerica = Signal{[]float64{440, 480}, []time.Duration{2 * time.Second, 4 * time.Second}}
	RingbackEurope       = Signal{[]float64{425}, []time.Duration{time.Second, 4 * time.Second}}
	RingbackBritain      = Signal{[]float64{400, 450}, []time.Duration{
		400 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second,
	}}
	BusyNorthAmerica = Signal{[]float64{480, 620}, []time.Duration{500 * time.Millisecond, 500 * time.Millisecond}}
	BusyEurope       = Signal{[]float64{425}, []time.Duration{500 * time.Millisecond, 500 * time.Millisecond}}
)

const (
	signalLevel = 3277                 // of all tones together: -20 dB of full scale
	signalRamp  = 5 * time.Millisecond // in and out of the tone, so that it does not click
)

// Reader returns the signal without end, at rate samples per second.
func (s Signal) Reader(rate int) Reader { return &signal{Signal: s, rate: rate} }

type signal struct {
	Signal
	rate int
	part int // of the cadence
	at   int // samples into the part
	n    int // samples in all, for the phase
}

func (s *signal) Rate() int { return s.rate }

func (s *signal) ReadPCM(p []int16) (int, error) {
	for i := range p {
		p[i] = int16(math.Round(s.gain() * s.tone()))
		s.advance()
	}
	return len(p), nil
}

// tone is the sum of the frequencies.
func (s *signal) tone() float64 {
	sum := 0.0
	for _, hz := range s.Hertz {
		sum += math.Sin(2 * math.Pi * hz * float64(s.n) / float64(s.rate))
	}
	return sum * signalLevel / float64(max(1, len(s.Hertz)))
}

// gain is 0 while the tone is off and 1 while it is on, with ramps between.
func (s *signal) gain() float64 {
	if len(s.Cadence) == 0 {
		return 1
	}
	if s.part%2 == 1 {
		return 0
	}
	length, ramp := Samples(s.Cadence[s.part], s.rate), float64(Samples(signalRamp, s.rate))
	return min(1, float64(s.at)/ramp, float64(length-s.at)/ramp)
}

func (s *signal) advance() {
	s.n++
	if len(s.Cadence) == 0 {
		return
	}
	if s.at++; s.at >= Samples(s.Cadence[s.part], s.rate) {
		s.at, s.part = 0, (s.part+1)%len(s.Cadence)
	}
}
