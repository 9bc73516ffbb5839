package live

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Property: a coverage knows of every moment whether it was settled, but for
// seams, which it takes for settled.
func TestCoverage(t *testing.T) {
	const length = 100
	rapid.Check(t, func(t *rapid.T) {
		var c coverage
		var settled [length]bool
		for range rapid.IntRange(0, 15).Draw(t, "n") {
			from := rapid.IntRange(0, length-1).Draw(t, "from")
			to := rapid.IntRange(from, length-1).Draw(t, "to")
			c = c.add(span{at(from), at(to)})
			for i := from; i < to; i++ {
				settled[i] = true
			}
		}
		for i := range c {
			if c[i].to <= c[i].from || i > 0 && c[i].from <= c[i-1].to+seam {
				t.Fatalf("spans %v", c)
			}
		}
		first := slices.Index(settled[:], false)
		if c.first() != at(first) {
			t.Errorf("first is %v, want %v", c.first(), at(first))
		}
		var missing time.Duration
		for _, m := range c.missing(span{0, at(length)}) {
			missing += m.to - m.from
		}
		if got := c.within(span{0, at(length)}); got+missing != at(length) {
			t.Errorf("%v settled and %v missing", got, missing)
		}
		for i, want := range settled {
			if got := c.within(span{at(i), at(i + 1)}) > 0; got != want {
				t.Errorf("moment %d is settled: %v, want %v", i, got, want)
			}
		}
	})
}

func at(i int) time.Duration { return time.Duration(i) * 100 * time.Millisecond }

func TestCoverageIsBounded(t *testing.T) {
	var c coverage
	for i := range 1000 {
		c = c.add(span{at(2 * i), at(2*i + 1)})
	}
	if len(c) != maxSpans || c[0].from != 0 || c[len(c)-1].to != at(1999) {
		t.Errorf("%d spans, %v to %v", len(c), c[0], c[len(c)-1])
	}
}
