package measure

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A Histogram counts durations, to 3 %. It may be written by many goroutines at
// once; the zero value is ready for use.
type Histogram struct {
	buckets [64 * parts]atomic.Int64
}

const parts = 32 // of each doubling

// Add counts d. Negative durations count as zero.
func (h *Histogram) Add(d time.Duration) { h.buckets[bucket(uint64(max(d, 0)))].Add(1) }

// bucket keeps the highest bit of n and the five below it.
func bucket(n uint64) int {
	if n < parts {
		return int(n)
	}
	shift := bits.Len64(n) - 6
	return shift*parts + int(n>>shift)
}

// least is the smallest number in a bucket.
func least(bucket int) uint64 {
	if bucket < 2*parts {
		return uint64(bucket)
	}
	shift := bucket/parts - 1
	return uint64(bucket-shift*parts) << shift
}

// Count is how many durations were counted.
func (h *Histogram) Count() int64 {
	n := int64(0)
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

// Quantile is the duration below or at which the part q of all lie; 0 if there
// are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rest := int64(q * float64(h.Count()))
	last := 0
	for i := range h.buckets {
		n := h.buckets[i].Load()
		if n == 0 {
			continue
		}
		last = i
		if rest -= n; rest < 0 {
			break
		}
	}
	return time.Duration((least(last) + least(last+1)) / 2)
}

// Reset forgets everything.
func (h *Histogram) Reset() {
	for i := range h.buckets {
		h.buckets[i].Store(0)
	}
}
