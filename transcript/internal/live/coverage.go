package live

import (
	"slices"
	"time"
)

// span is a stretch of the call's clock.
type span struct{ from, to time.Duration }

// coverage is what is settled of one track: spans in order, apart from each
// other.
type coverage []span

const (
	// seam is how far apart two spans may be to count as one: services round.
	seam = 30 * time.Millisecond
	// maxSpans bounds a coverage. Above it the oldest spans become one.
	maxSpans = 64
)

// add settles a span.
func (c coverage) add(s span) coverage {
	if s.to <= s.from {
		return c
	}
	i := 0
	for i < len(c) && c[i].to+seam < s.from {
		i++
	}
	j := i
	for j < len(c) && c[j].from <= s.to+seam {
		s.from, s.to = min(s.from, c[j].from), max(s.to, c[j].to)
		j++
	}
	c = slices.Replace(c, i, j, s)
	if len(c) > maxSpans {
		c[1].from = c[0].from
		c = slices.Delete(c, 0, 1)
	}
	return c
}

// first is the first moment that is not settled.
func (c coverage) first() time.Duration {
	if len(c) > 0 && c[0].from <= seam {
		return c[0].to
	}
	return 0
}

// within is how much of s is settled.
func (c coverage) within(s span) (d time.Duration) {
	for _, k := range c {
		d += max(0, min(k.to, s.to)-max(k.from, s.from))
	}
	return d
}

// missing are the parts of s that are not settled.
func (c coverage) missing(s span) (parts []span) {
	for _, k := range c {
		if k.from > s.from && k.from < s.to {
			parts = append(parts, span{s.from, k.from})
		}
		s.from = max(s.from, min(k.to, s.to))
	}
	if s.from < s.to {
		parts = append(parts, s)
	}
	return parts
}
