package audio

import (
	"errors"
	"io"
	"slices"
	"time"
)

// NewSamples returns a Reader that plays pcm once. It reads from pcm itself,
// which must not change meanwhile. A rate that is not positive stands for
// 8000, as in every source of this file. A method Len tells how many samples are
// left, as that of what Silence and Loop return does.
func NewSamples(pcm []int16, rate int) Reader { return Loop(pcm, rate, 1) }

// Loop returns a Reader that plays pcm the given number of times, or for ever
// if times is not positive. An empty pcm ends at once.
func Loop(pcm []int16, rate, times int) Reader {
	if len(pcm) == 0 {
		times = 1
	}
	return &loop{rate: rateOr8000(rate), pcm: pcm, times: times}
}

type loop struct {
	rate  int
	pcm   []int16
	at    int
	times int // plays left; not positive if endless
}

func (l *loop) Rate() int { return l.rate }

// Len is how many samples are left, 0 if there is no end to them.
func (l *loop) Len() int { return max(0, l.times*len(l.pcm)-l.at) }

func (l *loop) ReadPCM(p []int16) (int, error) {
	read := 0
	for read < len(p) {
		n := copy(p[read:], l.pcm[l.at:])
		read, l.at = read+n, l.at+n
		if l.at < len(l.pcm) {
			break
		}
		if l.times == 1 {
			break
		}
		l.times = max(l.times-1, 0)
		l.at = 0
	}
	if l.times == 1 && l.at == len(l.pcm) {
		return read, io.EOF
	}
	return read, nil
}

// Silence returns a Reader of d of silence.
func Silence(d time.Duration, rate int) Reader {
	rate = rateOr8000(rate)
	return &silence{rate: rate, left: Samples(max(d, 0), rate)}
}

type silence struct {
	rate, left int
}

func (s *silence) Rate() int { return s.rate }

// Len is how many samples are left.
func (s *silence) Len() int { return s.left }

func (s *silence) ReadPCM(p []int16) (int, error) {
	n := min(len(p), s.left)
	clear(p[:n])
	s.left -= n
	if s.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Decoder returns a Reader of the bare samples of format f that r yields, such
// as the body of an answer over HTTP. Reads may end anywhere, even within a
// sample; half a sample at the very end is dropped. If r is an [io.Closer], so
// is the Reader.
func Decoder(r io.Reader, f Format) Reader {
	d := decoder{r: r, format: f, chunk: ChunkDecoder{Encoding: f.Encoding}}
	d.format.Rate = rateOr8000(f.Rate)
	d.pcm = make([]int16, 0, decoderBytes)
	return &d
}

// decoderBytes is the most that is asked of the underlying reader at once.
const decoderBytes = 2048

type decoder struct {
	r      io.Reader
	format Format
	chunk  ChunkDecoder
	raw    [decoderBytes]byte
	pcm    []int16 // decoded, starting at at
	at     int
	err    error // what to say once pcm is used up
}

func (d *decoder) Rate() int { return d.format.Rate }

func (d *decoder) ReadPCM(p []int16) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for empty := 0; d.at == len(d.pcm) && d.err == nil; empty++ {
		if empty == 100 {
			return 0, io.ErrNoProgress
		}
		want := min(len(p)*d.format.Encoding.SampleBytes(), len(d.raw))
		var n int
		n, d.err = d.r.Read(d.raw[:want])
		d.pcm, d.at = d.chunk.Append(d.pcm[:0], d.raw[:n]), 0
		if n > 0 {
			empty = 0
		}
	}
	n := copy(p, d.pcm[d.at:])
	d.at += n
	if d.at == len(d.pcm) {
		return n, d.err
	}
	return n, nil
}

func (d *decoder) Close() error { return closeReader(d.r) }

// Concat returns a Reader that plays readers one after the other, at the rate
// of the first; the others are resampled to it if they differ. Each is closed
// when it has ended, and Close closes those that are left. If a reader fails,
// so does Concat. Without readers it ends at once.
func Concat(readers ...Reader) Reader {
	c := &concat{rate: 8000, left: slices.Clone(readers)}
	if len(readers) > 0 {
		c.rate = readers[0].Rate()
	}
	for i, r := range c.left {
		c.left[i] = Resample(r, c.rate)
	}
	return c
}

type concat struct {
	rate int
	left []Reader
}

func (c *concat) Rate() int { return c.rate }

func (c *concat) ReadPCM(p []int16) (int, error) {
	for len(c.left) > 0 {
		n, err := c.left[0].ReadPCM(p)
		if errors.Is(err, io.EOF) {
			err = closeReader(c.left[0])
			c.left = c.left[1:]
			if n == 0 && err == nil {
				continue
			}
		}
		if err == nil && len(c.left) == 0 {
			err = io.EOF
		}
		return n, err
	}
	return 0, io.EOF
}

func (c *concat) Close() error {
	var first error
	for _, r := range c.left {
		if err := closeReader(r); first == nil {
			first = err
		}
	}
	c.left = nil
	return first
}

// Resample returns a Reader of the same sound at the given rate: r itself if
// that is its rate already. The sound ends with the tail of the filter, so
// nothing is cut off and it plays longer by [Resampler.Delay]. If either rate
// is not supported, reading fails with [ErrUnsupportedRate]. If r is an
// [io.Closer], closing the Reader closes r.
func Resample(r Reader, rate int) Reader {
	if r.Rate() == rate {
		return r
	}
	rs := &resampled{src: r, rate: rateOr8000(rate)}
	rs.resampler, rs.err = NewResampler(r.Rate(), rate)
	if rs.err != nil {
		return rs
	}
	rs.in = make([]int16, max(1, r.Rate()/50))
	rs.out = make([]int16, 0, max(1, rate/50)+rate/r.Rate()+1)
	return rs
}

type resampled struct {
	src       Reader
	rate      int
	resampler *Resampler
	in        []int16
	out       []int16 // resampled, starting at at
	at        int
	err       error // what to say once out is used up
}

func (r *resampled) Rate() int { return r.rate }

func (r *resampled) ReadPCM(p []int16) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for empty := 0; r.at == len(r.out) && r.err == nil; empty++ {
		if empty == 100 {
			return 0, io.ErrNoProgress
		}
		r.fill(len(p))
	}
	n := copy(p, r.out[r.at:])
	r.at += n
	if r.at == len(r.out) {
		return n, r.err
	}
	return n, nil
}

// fill reads what makes about want samples.
func (r *resampled) fill(want int) {
	// No more than is asked for, so that a live source is not waited for.
	ask := (want*r.src.Rate() + r.rate - 1) / r.rate
	in := r.in[:min(max(1, ask), len(r.in))]
	n, err := r.src.ReadPCM(in)
	r.out, r.at = r.resampler.Append(r.out[:0], in[:n]), 0
	r.err = err
	if errors.Is(err, io.EOF) {
		tail := Samples(r.resampler.Delay(), r.src.Rate())
		r.out = r.resampler.Append(r.out, noSound[:tail])
	}
}

// noSound pushes the tail of a filter out: 3 ms at 48 kHz.
var noSound [144]int16

func (r *resampled) Close() error { return closeReader(r.src) }

// FadeIn returns r with its first d rising from silence, in a straight line.
// If r is an [io.Closer], closing the Reader closes r.
func FadeIn(r Reader, d time.Duration) Reader {
	return &fade{Reader: r, length: Samples(max(d, 0), r.Rate())}
}

type fade struct {
	Reader
	at, length int
}

func (f *fade) ReadPCM(p []int16) (int, error) {
	n, err := f.Reader.ReadPCM(p)
	for i := 0; i < n && f.at < f.length; i++ {
		p[i] = int16(int64(p[i]) * int64(f.at) / int64(f.length))
		f.at++
	}
	return n, err
}

func (f *fade) Close() error { return closeReader(f.Reader) }

// Gain returns r made louder by db decibels, or softer if db is negative, with
// a [Limiter]. If r is an [io.Closer], closing the Reader closes r.
func Gain(r Reader, db float64) Reader {
	return &gain{Reader: r, limiter: NewLimiter(db, r.Rate())}
}

type gain struct {
	Reader
	limiter *Limiter
}

func (g *gain) ReadPCM(p []int16) (int, error) {
	n, err := g.Reader.ReadPCM(p)
	g.limiter.Apply(p[:n])
	return n, err
}

func (g *gain) Close() error { return closeReader(g.Reader) }

func rateOr8000(rate int) int {
	if rate <= 0 {
		return 8000
	}
	return rate
}

func closeReader(r any) error {
	if c, ok := r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
