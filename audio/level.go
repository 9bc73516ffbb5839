package audio

import "math"

// Loudest is the largest amplitude that G.711 mu-law can carry. A-law reaches
// 32256 and PCM16 32767, so a sample this large has met a limit, or nearly so,
// in any of them.
const Loudest = 32124

// RMS is the root of the mean square of pcm, from 0 to 32768.
func RMS(pcm []int16) float64 {
	if len(pcm) == 0 {
		return 0
	}
	return math.Sqrt(energy(pcm) / float64(len(pcm)))
}

func energy(pcm []int16) float64 {
	var sum int64 // of squares below 1<<30: room for 2^33 samples
	for _, s := range pcm {
		sum += int64(s) * int64(s)
	}
	return float64(sum)
}

// Peak is the largest magnitude in pcm, from 0 to 32768.
func Peak(pcm []int16) int {
	peak := 0
	for _, s := range pcm {
		peak = max(peak, int(s), -int(s))
	}
	return peak
}

// Clipped is how many samples of pcm are at the limit: of a magnitude of
// [Loudest] or more.
func Clipped(pcm []int16) int {
	n := 0
	for _, s := range pcm {
		if s >= Loudest || s <= -Loudest {
			n++
		}
	}
	return n
}

// DBFS is the level of sound whose RMS is given, in decibels below that of the
// largest sine, 23170. Speech on the telephone is around -20; silence is -Inf.
func DBFS(rms float64) float64 { return 20 * math.Log10(rms*math.Sqrt2/32768) }

// A Meter measures how loud a stream is. The zero value is ready for use. It is
// used by one goroutine at a time.
type Meter struct {
	sum     float64 // of squares
	samples int64
	clipped int64
	peak    int
}

// Write adds pcm to what is measured.
func (m *Meter) Write(pcm []int16) {
	m.sum += energy(pcm)
	m.samples += int64(len(pcm))
	m.clipped += int64(Clipped(pcm))
	m.peak = max(m.peak, Peak(pcm))
}

// Samples is how many samples were measured.
func (m *Meter) Samples() int64 { return m.samples }

// RMS is the root of the mean square of all samples, 0 without any.
func (m *Meter) RMS() float64 {
	if m.samples == 0 {
		return 0
	}
	return math.Sqrt(m.sum / float64(m.samples))
}

// DBFS is the level of all samples as the function [DBFS] gives it.
func (m *Meter) DBFS() float64 { return DBFS(m.RMS()) }

// Peak is the largest magnitude of any sample.
func (m *Meter) Peak() int { return m.peak }

// Clipped is how many samples were at the limit, as the function [Clipped]
// counts them.
func (m *Meter) Clipped() int64 { return m.clipped }

// Reset begins anew.
func (m *Meter) Reset() { *m = Meter{} }
