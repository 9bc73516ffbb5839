package audio

// A Ring is a bounded queue of samples. Its memory is taken once. A Ring is
// not safe for concurrent use: whoever shares it guards it.
//
// When it is full, Write takes less than it was given and Overwrite drops what
// is oldest; both say how much.
type Ring struct {
	buf   []int16
	first int // index of the oldest sample
	len   int
}

// NewRing returns an empty ring that holds up to capacity samples, at least
// one.
func NewRing(capacity int) *Ring {
	return &Ring{buf: make([]int16, max(1, capacity))}
}

// Len is how many samples wait in the ring.
func (r *Ring) Len() int { return r.len }

// Cap is how many samples the ring can hold.
func (r *Ring) Cap() int { return len(r.buf) }

// Free is how many samples Write would take.
func (r *Ring) Free() int { return len(r.buf) - r.len }

// Write appends as much of p as there is room for and returns how much that
// was.
func (r *Ring) Write(p []int16) int {
	p = p[:min(len(p), r.Free())]
	end := r.wrap(r.first + r.len)
	n := copy(r.buf[end:], p)
	copy(r.buf, p[n:])
	r.len += len(p)
	return len(p)
}

// Overwrite appends all of p. If there is no room it drops the oldest samples,
// which are those in the ring and then those at the start of p, and returns
// how many it dropped.
func (r *Ring) Overwrite(p []int16) (dropped int) {
	if extra := len(p) - len(r.buf); extra > 0 {
		p = p[extra:]
		dropped = extra
	}
	dropped += r.Discard(len(p) - r.Free())
	r.Write(p)
	return dropped
}

// Read moves up to len(p) of the oldest samples into p and returns how many.
func (r *Ring) Read(p []int16) int {
	n := r.Peek(p)
	return r.Discard(n)
}

// Peek copies up to len(p) of the oldest samples into p, leaves them in the
// ring and returns how many they are.
func (r *Ring) Peek(p []int16) int {
	p = p[:min(len(p), r.len)]
	n := copy(p, r.buf[r.first:])
	copy(p[n:], r.buf)
	return len(p)
}

// Discard drops up to n of the oldest samples and returns how many. A
// negative n drops nothing.
func (r *Ring) Discard(n int) int {
	n = max(0, min(n, r.len))
	r.first = r.wrap(r.first + n)
	if r.len -= n; r.len == 0 {
		r.first = 0 // whoever keeps up stays in a corner of the memory
	}
	return n
}

// Reset empties the ring.
func (r *Ring) Reset() { r.first, r.len = 0, 0 }

func (r *Ring) wrap(i int) int {
	if i >= len(r.buf) {
		return i - len(r.buf)
	}
	return i
}
