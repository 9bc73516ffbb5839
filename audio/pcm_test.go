package audio

import (
	"errors"
	"io"
	"slices"
	"testing"
)

// collector takes all samples, at most most of them.
type collector struct {
	rate, most int
	pcm        []int16
	largest    int
}

var errFull = errors.New("full")

func (c *collector) Rate() int { return c.rate }

func (c *collector) WritePCM(p []int16) (int, error) {
	c.largest = max(c.largest, len(p))
	n := min(len(p), c.most-len(c.pcm))
	c.pcm = append(c.pcm, p[:n]...)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// failing yields one sample and then an error.
type failing struct{ err error }

func (f failing) Rate() int { return 8000 }

func (f failing) ReadPCM(p []int16) (int, error) {
	p[0] = 7
	return 1, f.err
}

func TestCopyMovesAllSamples(t *testing.T) {
	src := sine(440, 8000, 1234, 8000)
	dst := &collector{rate: 8000, most: 1 << 20}
	n, err := Copy(dst, NewSamples(src, 8000))
	if n != 1234 || err != nil {
		t.Errorf("copied %d, %v", n, err)
	}
	if !slices.Equal(dst.pcm, src) {
		t.Error("samples differ")
	}
	if dst.largest > 160 {
		t.Errorf("%d samples at once", dst.largest)
	}
}

func TestCopyRefusesTwoRates(t *testing.T) {
	_, err := Copy(&collector{rate: 16000}, NewSamples(nil, 8000))
	if !errors.Is(err, ErrRate) {
		t.Errorf("error %v", err)
	}
}

func TestCopyReportsWhichEndFailed(t *testing.T) {
	n, err := Copy(&collector{rate: 8000, most: 200}, NewSamples(make([]int16, 500), 8000))
	if n != 200 || !errors.Is(err, errFull) {
		t.Errorf("full: copied %d, %v", n, err)
	}
	broken := errors.New("broken")
	n, err = Copy(&collector{rate: 8000, most: 200}, failing{broken})
	if n != 1 || !errors.Is(err, broken) {
		t.Errorf("broken: copied %d, %v", n, err)
	}
	n, err = Copy(&collector{rate: 8000, most: 200}, failing{io.EOF})
	if n != 1 || err != nil {
		t.Errorf("end with the last sample: copied %d, %v", n, err)
	}
}

// inPieces hands pcm to a detector in pieces of many lengths.
func inPieces[T any](listen func(dst []T, pcm []int16) []T, pcm []int16) (heard []T) {
	for n := 1; len(pcm) > 0; n = n*7%997 + 1 {
		n = min(n, len(pcm))
		heard = listen(heard, pcm[:n])
		pcm = pcm[n:]
	}
	return heard
}
