package audio

import "fmt"

// detectorRate is the rate at which all detectors listen. The telephone carries
// nothing that a higher one would show.
const detectorRate = 8000

// A narrow brings a stream down to 8 kHz, for the detectors.
type narrow struct {
	rate    int
	down    *Resampler // nil if the stream is at 8 kHz
	scratch []int16
}

// narrowStep is how much is brought down at once, at 8 kHz.
const narrowStep = 160

func newNarrow(rate int) (narrow, error) {
	if rate == detectorRate {
		return narrow{rate: rate}, nil
	}
	down, err := NewResampler(rate, detectorRate)
	if err != nil {
		return narrow{}, fmt.Errorf("%w: %d", ErrUnsupportedRate, rate)
	}
	return narrow{rate, down, make([]int16, 0, narrowStep+1)}, nil
}

// next returns the first part of pcm at 8 kHz, valid until the next call, and
// the rest of pcm as it is.
func (n *narrow) next(pcm []int16) (sound, rest []int16) {
	if n.down == nil {
		return pcm, nil
	}
	step := min(len(pcm), narrowStep*n.rate/detectorRate)
	n.scratch = n.down.Append(n.scratch[:0], pcm[:step])
	return n.scratch, pcm[step:]
}

// position is where in the stream that was, which is sample at of the sound.
func (n *narrow) position(at int64) int64 {
	at = at * int64(n.rate) / detectorRate
	if n.down != nil {
		at -= int64(Samples(n.down.Delay(), n.rate))
	}
	return max(0, at)
}

func (n *narrow) reset() {
	if n.down != nil {
		n.down.Reset()
	}
}
