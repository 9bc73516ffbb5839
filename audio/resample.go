package audio

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// ErrUnsupportedRate tells that a rate is none that this package works with:
// 8000, 16000, 24000 and 48000 samples per second.
var ErrUnsupportedRate = errors.New("audio: unsupported sampling rate")

// SupportedRate reports whether rate is one of 8000, 16000, 24000 and 48000.
func SupportedRate(rate int) bool {
	switch rate {
	case 8000, 16000, 24000, 48000:
		return true
	}
	return false
}

// A Resampler turns a stream of samples into the same sound at another rate.
// It is used by one goroutine at a time.
//
// It holds nothing back: after n samples have gone in, n*to/from (rounded up)
// have come out, however they were cut into pieces, and the pieces do not
// change the outcome. What comes out is late by [Resampler.Delay], the delay of
// its filter, so the sound begins with that much near silence. Sound above the
// lower of the two Nyquist frequencies is removed; the filter falls from flat
// to nothing between 0.85 and 1.15 of it.
type Resampler struct {
	filter  *filter
	history []float32 // the last filter.reach samples
	skip    int       // position of the next output, in steps of 1/up sample after the history
}

// NewResampler returns a Resampler between two of the rates 8000, 16000, 24000
// and 48000, which may be equal. The error is [ErrUnsupportedRate].
func NewResampler(from, to int) (*Resampler, error) {
	if !SupportedRate(from) || !SupportedRate(to) {
		return nil, fmt.Errorf("%w: %d to %d", ErrUnsupportedRate, from, to)
	}
	f := filterFor(from, to)
	return &Resampler{filter: f, history: make([]float32, f.reach)}, nil
}

// Delay is how much later sound comes out than it went in. It is below 3 ms
// for every pair of rates, and 0 if they are equal.
func (r *Resampler) Delay() time.Duration { return r.filter.delay }

// Reset returns the Resampler to the state of a new one, as after a cut in the
// sound.
func (r *Resampler) Reset() {
	clear(r.history)
	r.skip = 0
}

// block is how many samples are filtered at once; the working copy of a block
// lives on the stack.
const block = 256

// maxReach is the longest history, that of 48 kHz to 8 kHz.
const maxReach = 2 * filterHalf * 6

// Append appends the resampled src to dst and returns the extended slice. It
// allocates only if dst is too small. dst and src must not overlap.
func (r *Resampler) Append(dst, src []int16) []int16 {
	f := r.filter
	if f.reach == 0 {
		return append(dst, src...)
	}
	dst = slices.Grow(dst, len(src)*f.up/f.down+1)
	var work [maxReach + block]float32
	x := work[:f.reach+min(len(src), block)]
	copy(x, r.history)
	for len(src) > 0 {
		n := min(len(src), block)
		x = x[:f.reach+n]
		for i, s := range src[:n] {
			x[f.reach+i] = float32(s)
		}
		src = src[n:]
		dst = r.run(dst, x, n)
		copy(x, x[n:])
	}
	copy(r.history, x)
	return dst
}

// run appends the output for the n last samples of x, which follow
// filter.reach older ones.
func (r *Resampler) run(dst []int16, x []float32, n int) []int16 {
	f := r.filter
	if f.up == 1 {
		at := r.skip
		for ; at < n; at += f.down {
			dst = append(dst, toSample(f.fold(x[at:at+f.reach+1])))
		}
		r.skip = at - n
		return dst
	}
	at, phase := 0, r.skip
	for {
		for ; phase >= f.up; phase -= f.up {
			at++
		}
		if at >= n {
			r.skip = (at-n)*f.up + phase
			return dst
		}
		if p := &f.phases[phase]; p.copies {
			dst = append(dst, int16(x[at+p.only]))
		} else {
			dst = append(dst, toSample(dot(p.taps, x[at:])))
		}
		phase += f.down
	}
}

// toSample rounds to the nearest sample and limits.
func toSample(v float32) int16 {
	v += 32768.5
	if v < 0 {
		return math.MinInt16
	}
	if v >= 65535 {
		return math.MaxInt16
	}
	return int16(int32(v) - 32768)
}

// A filter is a low-pass at the lower Nyquist frequency: a sinc under a Kaiser
// window. Filters are shared and never change.
//
// With a sinc, every tap but the middle one that lies a whole number of
// samples of the lower rate from the middle is zero. So one of the phases of
// an interpolator merely copies, and a decimator by two, the half-band filter,
// has work for half of its taps only.
type filter struct {
	up, down int
	delay    time.Duration
	reach    int // how many samples before the newest one a tap can touch

	phases []phase   // up > 1: the taps that meet samples, for each position between two
	half   []float32 // up == 1: taps from the middle outwards; the other side mirrors them
	stride int       // up == 1: 2 if every second tap of half is zero, else 1
}

type phase struct {
	taps   []float32 // in the order of the samples they meet, oldest first
	copies bool      // whether there is one tap only, of weight 1
	only   int       // its place
}

const (
	// filterHalf is half the length of a filter in steps of the highest rate,
	// divided by the ratio of that rate to the lower one. At 8 kHz it makes for
	// 2.8125 ms of delay.
	filterHalf = 22.5
	// filterBeta shapes the Kaiser window: side lobes of the filter at -100 dB.
	filterBeta = 10.06
)

var filters struct {
	sync.Mutex
	byRates map[[2]int]*filter // from, to; at most 16
}

func filterFor(from, to int) *filter {
	filters.Lock()
	defer filters.Unlock()
	key := [2]int{from, to}
	if f, ok := filters.byRates[key]; ok {
		return f
	}
	f := newFilter(from, to)
	if filters.byRates == nil {
		filters.byRates = make(map[[2]int]*filter)
	}
	filters.byRates[key] = f
	return f
}

func newFilter(from, to int) *filter {
	if from == to {
		return &filter{up: 1, down: 1}
	}
	g := gcd(from, to)
	f := &filter{up: to / g, down: from / g}
	high := from * f.up
	ratio := high / min(from, to)
	middle := int(filterHalf * float64(ratio))
	f.delay = Duration(middle, high)

	taps := make([]float64, 2*middle+1)
	for i := range taps {
		d := i - middle
		window := bessel(filterBeta*math.Sqrt(1-sq(float64(d)/float64(middle+1)))) / bessel(filterBeta)
		taps[i] = window * sinc(d, ratio) * float64(f.up) / float64(ratio)
	}
	if f.up == 1 {
		f.reach = 2 * middle
		f.half = make([]float32, middle+1)
		for i := range f.half {
			f.half[i] = float32(taps[middle+i])
		}
		f.stride = 1
		if ratio == 2 {
			f.stride = 2
		}
		return f
	}
	perPhase := (len(taps) + f.up - 1) / f.up
	f.reach = perPhase - 1
	f.phases = make([]phase, f.up)
	for p := range f.phases {
		f.phases[p] = newPhase(taps, p, f.up, perPhase)
	}
	return f
}

func newPhase(taps []float64, p, up, n int) phase {
	ph := phase{taps: make([]float32, n)}
	used := 0
	for j := range n {
		if i := p + j*up; i < len(taps) && taps[i] != 0 {
			ph.taps[n-1-j] = float32(taps[i])
			ph.only = n - 1 - j
			used++
		}
	}
	ph.copies = used == 1 && ph.taps[ph.only] == 1
	return ph
}

// fold is the product of a symmetric filter with x, which is as long as the
// filter. Four sums go on side by side, since each addition waits for the one
// before.
func (f *filter) fold(x []float32) float32 {
	middle := len(x) / 2
	half := f.half[1:]
	right := x[middle+1:][:len(half)]
	left := x[:middle][:len(half)]
	var a, b, c, d float32
	i := 0
	if f.stride == 2 {
		for ; i <= len(half)-8; i += 8 {
			h, r := (*[8]float32)(half[i:]), (*[8]float32)(right[i:])
			l := (*[8]float32)(left[len(half)-8-i:])
			a += h[0] * (r[0] + l[7])
			b += h[2] * (r[2] + l[5])
			c += h[4] * (r[4] + l[3])
			d += h[6] * (r[6] + l[1])
		}
	} else {
		for ; i <= len(half)-4; i += 4 {
			h, r := (*[4]float32)(half[i:]), (*[4]float32)(right[i:])
			l := (*[4]float32)(left[len(half)-4-i:])
			a += h[0] * (r[0] + l[3])
			b += h[1] * (r[1] + l[2])
			c += h[2] * (r[2] + l[1])
			d += h[3] * (r[3] + l[0])
		}
	}
	sum := f.half[0] * x[middle]
	for ; i < len(half); i += f.stride {
		sum += half[i] * (right[i] + left[len(half)-1-i])
	}
	return sum + (a + b) + (c + d)
}

// dot is the product of taps with the first samples of x.
func dot(taps, x []float32) float32 {
	x = x[:len(taps)]
	var a, b, c, d float32
	i := 0
	for ; i <= len(taps)-4; i += 4 {
		t, v := (*[4]float32)(taps[i:]), (*[4]float32)(x[i:])
		a += t[0] * v[0]
		b += t[1] * v[1]
		c += t[2] * v[2]
		d += t[3] * v[3]
	}
	for ; i < len(taps); i++ {
		a += taps[i] * x[i]
	}
	return (a + b) + (c + d)
}

// sinc is sin(πx)/πx at x = d/ratio, exactly zero where it must be.
func sinc(d, ratio int) float64 {
	if d == 0 {
		return 1
	}
	if d%ratio == 0 {
		return 0
	}
	x := math.Pi * float64(d) / float64(ratio)
	return math.Sin(x) / x
}

// bessel is the modified Bessel function of the first kind and order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= sq(x / (2 * k))
		sum += term
	}
	return sum
}

func sq(x float64) float64 { return x * x }

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
