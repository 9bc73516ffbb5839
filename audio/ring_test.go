package audio

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRingKeepsOrderAcrossItsEnd(t *testing.T) {
	r := NewRing(5)
	if n := r.Write([]int16{1, 2, 3, 4}); n != 4 {
		t.Fatalf("wrote %d", n)
	}
	p := make([]int16, 3)
	if n := r.Read(p); n != 3 || !slices.Equal(p, []int16{1, 2, 3}) {
		t.Fatalf("read %d: %v", n, p)
	}
	if n := r.Write([]int16{5, 6, 7, 8, 9}); n != 4 {
		t.Errorf("a ring with room for 4 took %d", n)
	}
	p = make([]int16, 9)
	if n := r.Peek(p); n != 5 || !slices.Equal(p[:n], []int16{4, 5, 6, 7, 8}) {
		t.Errorf("peeked %v", p[:n])
	}
	if n := r.Read(p); n != 5 || !slices.Equal(p[:n], []int16{4, 5, 6, 7, 8}) {
		t.Errorf("read %v", p[:n])
	}
	if r.Len() != 0 || r.Free() != 5 || r.Cap() != 5 {
		t.Errorf("length %d, free %d, capacity %d", r.Len(), r.Free(), r.Cap())
	}
}

func TestRingOverwriteDropsTheOldest(t *testing.T) {
	for _, test := range []struct {
		name    string
		there   []int16
		written []int16
		dropped int
		left    []int16
	}{
		{"room for all", []int16{1}, []int16{2, 3}, 0, []int16{1, 2, 3}},
		{"room for some", []int16{1, 2}, []int16{3, 4}, 1, []int16{2, 3, 4}},
		{"more than it holds", []int16{1, 2}, []int16{3, 4, 5, 6, 7}, 4, []int16{5, 6, 7}},
		{"nothing", []int16{1}, nil, 0, []int16{1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := NewRing(3)
			r.Write(test.there)
			if got := r.Overwrite(test.written); got != test.dropped {
				t.Errorf("dropped %d, want %d", got, test.dropped)
			}
			p := make([]int16, 3)
			if p = p[:r.Read(p)]; !slices.Equal(p, test.left) {
				t.Errorf("left %v, want %v", p, test.left)
			}
		})
	}
}

func TestRingDiscardAndReset(t *testing.T) {
	r := NewRing(4)
	r.Write([]int16{1, 2, 3})
	for _, test := range []struct{ n, want, left int }{{-1, 0, 3}, {1, 1, 2}, {9, 2, 0}} {
		if got := r.Discard(test.n); got != test.want || r.Len() != test.left {
			t.Errorf("Discard(%d) dropped %d and left %d", test.n, got, r.Len())
		}
	}
	r.Write([]int16{4})
	r.Reset()
	if r.Len() != 0 {
		t.Errorf("%d samples after Reset", r.Len())
	}
}

func TestRingHoldsAtLeastOneSample(t *testing.T) {
	r := NewRing(-3)
	if r.Cap() != 1 || r.Write([]int16{1, 2}) != 1 {
		t.Errorf("capacity %d, length %d", r.Cap(), r.Len())
	}
}

func TestRingIsAQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	r := NewRing(17)
	var model []int16
	next := int16(0)
	for range 20000 {
		p := make([]int16, random.IntN(25))
		switch random.IntN(4) {
		case 0, 1:
			for i := range p {
				p[i] = next
				next++
			}
			n := r.Write(p)
			if want := min(len(p), 17-len(model)); n != want {
				t.Fatalf("wrote %d, want %d", n, want)
			}
			model = append(model, p[:n]...)
		case 2:
			n := r.Read(p)
			if !slices.Equal(p[:n], model[:min(len(p), len(model))]) {
				t.Fatalf("read %v of %v", p[:n], model)
			}
			model = model[n:]
		case 3:
			dropped := r.Overwrite(p)
			model = append(model, p...)
			if want := max(0, len(model)-17); dropped != want {
				t.Fatalf("dropped %d, want %d", dropped, want)
			}
			model = model[dropped:]
		}
		if r.Len() != len(model) {
			t.Fatalf("length %d, want %d", r.Len(), len(model))
		}
	}
}

func TestRingDoesNotAllocate(t *testing.T) {
	r, p := NewRing(1000), make([]int16, 160)
	noAllocs(t, func() {
		r.Write(p)
		r.Overwrite(p)
		r.Peek(p)
		r.Read(p)
		r.Discard(10)
	})
}
