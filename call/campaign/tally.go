package campaign

import (
	"maps"
	"strings"
	"time"
)

// Tally counts the attempts of a campaign. The zero value has counted none.
type Tally struct {
	// Attempts are how many had each outcome.
	Attempts map[Outcome]int64 `json:"attempts,omitempty"`
	// Failures and Abandoned tell of the last attempts, and of the last that people
	// answered, which were so: as many of them as the limits of the campaign look at.
	Failures  Recent `json:"failures,omitempty"`
	Abandoned Recent `json:"abandoned,omitempty"`
	// Last is when the last attempt was placed, and Working for how long attempts
	// were being placed: the time between them, less what was nothing but waiting.
	Last    time.Time     `json:"last,omitzero"`
	Working time.Duration `json:"working,omitempty"`
}

// Recent tells of the last things of a kind, the oldest first, whether they were
// so: 'x' or '.'.
type Recent string

func (r Recent) add(so bool, keep int) Recent {
	mark := Recent(".")
	if so {
		mark = "x"
	}
	r += mark
	return r[max(0, len(r)-keep):]
}

// Count is how many were so.
func (r Recent) Count() int { return strings.Count(string(r), "x") }

// Share is which part of them was so, from 0 to 1.
func (r Recent) Share() float64 {
	if r == "" {
		return 0
	}
	return float64(r.Count()) / float64(len(r))
}

// waiting is how long it is between two attempts when nothing was to be done: hours
// that are over, or contacts that are not due.
const waiting = 15 * time.Minute

// Count counts an attempt of a campaign.
func (t *Tally) Count(s *Spec, a *Attempt) {
	if t.Attempts == nil {
		t.Attempts = make(map[Outcome]int64)
	}
	t.Attempts[a.Outcome]++
	t.Failures = t.Failures.add(a.Outcome == Failed, s.Failures.Of)
	if a.Outcome == Answered || a.Outcome == Abandoned {
		t.Abandoned = t.Abandoned.add(a.Outcome == Abandoned, s.Abandoned.Of)
	}
	if at := a.At.Round(0).UTC(); at.After(t.Last) {
		if !t.Last.IsZero() {
			t.Working += min(at.Sub(t.Last), max(waiting, 10*s.gap()))
		}
		t.Last = at
	}
}

// Total is how many attempts there were.
func (t *Tally) Total() (n int64) {
	for _, of := range t.Attempts {
		n += of
	}
	return n
}

// Clone returns a copy that shares no memory with t.
func (t *Tally) Clone() Tally {
	d := *t
	d.Attempts = maps.Clone(t.Attempts)
	return d
}
