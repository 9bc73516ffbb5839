package audiotest

import (
	"math"
	"math/bits"
	"math/cmplx"
)

// Align finds where one sound lies in the other, to the sample. b[i+offset]
// matches a[i]; the offset is negative if b begins later in a. similarity is
// 1 for the same sound at any loudness, near 0 for sounds that have nothing to
// do with each other, and 0 if either is silent. A sound that repeats itself,
// such as a tone, has many places: use [Sweep] or [Noise].
func Align(a, b []int16) (offset int, similarity float64) {
	if len(a) > len(b) {
		offset, similarity = Align(b, a)
		return -offset, similarity
	}
	energyA, energyB := energies(a)[len(a)], energies(b)
	if energyA == 0 || energyB[len(b)] == 0 {
		return 0, 0
	}
	products := correlate(a, b)
	// Where b is almost silent, rounding must not count as likeness.
	floor := 1 + 1e-6*energyA
	for shift := 1 - len(a); shift < len(b); shift++ {
		from, to := max(shift, 0), min(shift+len(a), len(b))
		overlap := energyB[to] - energyB[from] + floor
		product := products[(shift+len(products))%len(products)]
		if s := product / math.Sqrt((energyA+1)*overlap); s > similarity {
			offset, similarity = shift, s
		}
	}
	return offset, similarity
}

// energies[i] is the energy of the first i samples.
func energies(pcm []int16) []float64 {
	sums := make([]float64, len(pcm)+1)
	for i, s := range pcm {
		sums[i+1] = sums[i] + float64(s)*float64(s)
	}
	return sums
}

// correlate returns, at index shift modulo its length, the sum of
// a[i]*b[i+shift], for all shifts at which a and b meet.
func correlate(a, b []int16) []float64 {
	n := 1 << bits.Len(uint(len(a)+len(b)))
	// Two real transforms in one: a is the real part, b the imaginary one.
	both := make([]complex128, n)
	for i, s := range a {
		both[i] += complex(float64(s), 0)
	}
	for i, s := range b {
		both[i] += complex(0, float64(s))
	}
	transform(both)
	product := make([]complex128, n)
	for i := range product {
		x, y := both[i], cmplx.Conj(both[(n-i)%n])
		fa, fb := (x+y)/2, (x-y)/2i
		// Conjugated, so that a second forward transform is the inverse.
		product[i] = fa * cmplx.Conj(fb)
	}
	transform(product)
	out := make([]float64, n)
	for i := range out {
		out[i] = real(product[i]) / float64(n)
	}
	return out
}

// transform is the discrete Fourier transform, in place; len(x) is a power of
// two.
func transform(x []complex128) {
	n := len(x)
	shift := bits.LeadingZeros(uint(n)) + 1
	for i := range x {
		if j := int(bits.Reverse(uint(i)) >> shift); j > i {
			x[i], x[j] = x[j], x[i]
		}
	}
	twiddles := make([]complex128, n/2)
	for i := range twiddles {
		twiddles[i] = cmplx.Rect(1, -2*math.Pi*float64(i)/float64(n))
	}
	for size := 2; size <= n; size *= 2 {
		half, step := size/2, n/size
		for start := 0; start < n; start += size {
			for k := range half {
				u, v := x[start+k], x[start+k+half]*twiddles[k*step]
				x[start+k], x[start+k+half] = u+v, u-v
			}
		}
	}
}
