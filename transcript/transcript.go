package transcript

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Transcript is what is known of what both parties of a call said, on one
// clock. The zero Transcript is empty and ready for use, by many goroutines at
// once.
type Transcript struct {
	// Limit is how many segments are kept; new ones above it are dropped and
	// counted, while those that are kept may still be replaced. Zero means
	// 10,000, which is more than a day of talk. It must not change after the
	// first Add.
	Limit int

	mu       sync.Mutex
	segments []*entry           // in order
	versions map[version]*entry // those with an ID
	said     map[saying]bool    // finals without an ID, to know them again
	added    int
	dropped  int
}

const defaultLimit = 10_000

// entry is a segment and its place among those that begin at the same time.
type entry struct {
	Segment
	order int
}

// version is what the versions of one segment have in common: recognisers of
// the two parties may count alike.
type version struct {
	speaker Speaker
	id      string
}

// saying is what makes a final segment without an ID the same again.
type saying struct {
	speaker    Speaker
	text       string
	at, end    time.Duration
	confidence float64
	gap        bool
}

func sayingOf(s Segment) saying { return saying{s.Speaker, s.Text, s.At, s.End, s.Confidence, s.Gap} }

// Add takes a segment, or a later version of one that is known by its Speaker
// and ID. After a final version no other counts; without one, the last interim
// version stays. A final segment without an ID counts once, however often it
// comes.
//
// What a segment says of itself is put straight: At is not negative, End not
// before At, Confidence from 0 to 1.
func (t *Transcript) Add(s Segment) {
	s = straight(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.ID == "" && s.Final && t.said[sayingOf(s)] {
		return
	}
	known := t.versions[version{s.Speaker, s.ID}] // nil without an ID
	if known != nil {
		if !known.Final {
			t.replace(known, s)
		}
		return
	}
	if len(t.segments) >= cmp.Or(t.Limit, defaultLimit) {
		t.dropped++
		return
	}
	e := &entry{s, t.added}
	t.added++
	t.insert(e)
	t.remember(e)
}

// remember notes by what a segment will be known when it comes again.
func (t *Transcript) remember(e *entry) {
	if t.versions == nil {
		t.versions = make(map[version]*entry)
		t.said = make(map[saying]bool)
	}
	switch {
	case e.ID != "":
		t.versions[version{e.Speaker, e.ID}] = e
	case e.Final:
		t.said[sayingOf(e.Segment)] = true
	}
}

func (t *Transcript) replace(e *entry, s Segment) {
	i, _ := slices.BinarySearchFunc(t.segments, e, compare)
	t.segments = slices.Delete(t.segments, i, i+1)
	e.Segment = s
	t.insert(e)
}

func (t *Transcript) insert(e *entry) {
	i, _ := slices.BinarySearchFunc(t.segments, e, compare)
	t.segments = slices.Insert(t.segments, i, e)
}

// compare orders by when a segment begins, and by when it came first.
func compare(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.order, b.order))
}

func straight(s Segment) Segment {
	s.At = max(s.At, 0)
	s.End = max(s.End, s.At)
	if !(s.Confidence >= 0) { // nor a number
		s.Confidence = 0
	}
	s.Confidence = min(s.Confidence, 1)
	return s
}

// Segments returns what is known, in order of At; what begins at the same time,
// in the order in which it came. The slice is the caller's.
func (t *Transcript) Segments() []Segment {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Segment, len(t.segments))
	for i, e := range t.segments {
		all[i] = e.Segment
	}
	return all
}

// Dropped is how many segments found no room.
func (t *Transcript) Dropped() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped
}
