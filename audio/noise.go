package audio

import "math"

// Noise is an endless [Reader] of comfort noise: soft, and darker than white
// noise, like the room behind a telephone. The same seed gives the same noise.
// It is used by one goroutine at a time.
type Noise struct {
	rate  int
	state uint64
	scale float64
	last  float64
	keep  float64 // how much of the last value is in the next
}

// noiseCorner is where the spectrum begins to fall, by 6 dB an octave.
const noiseCorner = 1000 // Hz

// NewNoise returns noise at dbfs decibels relative to full scale, measured as
// [DBFS] does; -60 is a quiet line. A rate that is not positive stands for
// 8000.
func NewNoise(dbfs float64, rate int, seed uint64) *Noise {
	n := &Noise{rate: rateOr8000(rate), state: seed}
	n.keep = math.Exp(-2 * math.Pi * noiseCorner / float64(n.rate))
	// A value even between -1 and 1 has a variance of 1/3; the low-pass leaves
	// (1-keep)/(1+keep) of it.
	power := (1 - n.keep) / (1 + n.keep) / 3
	n.scale = 32768 / math.Sqrt2 * math.Pow(10, dbfs/20) / math.Sqrt(power)
	return n
}

// Rate is the number of samples per second.
func (n *Noise) Rate() int { return n.rate }

// ReadPCM fills all of p. It never fails.
func (n *Noise) ReadPCM(p []int16) (int, error) {
	for i := range p {
		n.last += (1 - n.keep) * (n.random() - n.last)
		v := math.Round(n.last * n.scale)
		p[i] = int16(max(math.MinInt16, min(math.MaxInt16, v)))
	}
	return len(p), nil
}

// random returns a value between -1 and 1, by the generator SplitMix64.
func (n *Noise) random() float64 {
	n.state += 0x9E3779B97F4A7C15
	z := n.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	z ^= z >> 31
	return float64(int64(z)) / (1 << 63)
}
