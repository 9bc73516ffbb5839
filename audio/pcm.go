package audio

import (
	"errors"
	"io"
)

// A Reader is a source of samples at one rate.
//
// ReadPCM fills p with up to len(p) samples and returns how many. Like
// [io.Reader], it may return fewer than asked for, and at the end it returns
// [io.EOF], with the last samples or after them. A Reader is used by one
// goroutine at a time.
//
// A Reader that is also an [io.Closer] is closed by whoever was handed it to
// play, when it has been played or cut off.
type Reader interface {
	Rate() int // samples per second, constant and positive
	ReadPCM(p []int16) (n int, err error)
}

// A Writer takes samples at one rate. WritePCM returns how many it took and,
// if these are fewer than len(p), the reason. It does not keep p.
type Writer interface {
	Rate() int // samples per second, constant and positive
	WritePCM(p []int16) (n int, err error)
}

// ErrRate tells that two ends of a copy differ in rate. Put a [Resample]
// between them.
var ErrRate = errors.New("audio: rates differ")

// Copy copies from src to dst until src ends, and returns the number of
// samples copied. The end of src is not an error. It moves sound as it
// arrives: 20 ms at a time at most.
func Copy(dst Writer, src Reader) (int64, error) {
	if dst.Rate() != src.Rate() {
		return 0, ErrRate
	}
	var copied int64
	buf := make([]int16, max(1, src.Rate()/50))
	for {
		n, err := src.ReadPCM(buf)
		if n > 0 {
			w, werr := dst.WritePCM(buf[:n])
			copied += int64(w)
			if werr != nil {
				return copied, werr
			}
		}
		if errors.Is(err, io.EOF) {
			return copied, nil
		}
		if err != nil {
			return copied, err
		}
	}
}
