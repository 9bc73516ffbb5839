package callhttp

import (
	"crypto/rand"
	"strconv"
	"strings"
	"sync"

	"github.com/switchboard-voice/switchboard/call"
)

// feed numbers the events of all calls and keeps the latest of them. Readers
// each have their own place in it, so that it needs no memory for them and a
// slow one holds up nobody.
type feed struct {
	// epoch tells the numbers of this feed from those of another process.
	epoch string

	mu      sync.Mutex // guards what follows
	ring    []entry
	next    int64         // the number of the next event, from 1
	changed chan struct{} // closed at the next event or the end
	closed  bool
}

// entry is an event, or a gap where events were lost.
type entry struct {
	call.Event
	gap bool
}

func newFeed(keep int) *feed {
	return &feed{
		epoch:   rand.Text()[:8],
		ring:    make([]entry, keep),
		next:    1,
		changed: make(chan struct{}),
	}
}

// gather adds events until there are no more.
func (f *feed) gather(events *call.Subscription) {
	defer f.close()
	var dropped int64
	for e := range events.C {
		if n := events.Dropped(); n != dropped {
			dropped = n
			f.add(entry{gap: true})
		}
		f.add(entry{Event: e})
	}
}

func (f *feed) add(e entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring[f.next%int64(len(f.ring))] = e
	f.next++
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	close(f.changed)
}

// end is the number that the next event will have.
func (f *feed) end() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

// batch bounds how much a reader takes at once.
const batch = 64

// page is what a reader finds at its place.
type page struct {
	entries []entry
	first   int64 // the number of entries[0], or of the next event
	lost    bool  // events between the reader's place and first are gone
	changed <-chan struct{}
	closed  bool // there are no entries and never will be
}

// read returns the events from a place on, at most batch of them. If there are
// none, changed is closed when there are, or when the feed ends.
func (f *feed) read(place int64) page {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := max(1, f.next-int64(len(f.ring)))
	p := page{first: min(max(place, oldest), f.next), changed: f.changed}
	p.lost = p.first != place
	for n := p.first; n < f.next && len(p.entries) < batch; n++ {
		p.entries = append(p.entries, f.ring[n%int64(len(f.ring))])
	}
	p.closed = f.closed && len(p.entries) == 0
	return p
}

// id is the name of the event with this number.
func (f *feed) id(number int64) string { return f.epoch + "-" + strconv.FormatInt(number, 10) }

// after is the place after the event with this id; ok is false if no event of
// this feed has it.
func (f *feed) after(id string) (place int64, ok bool) {
	epoch, digits, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || epoch != f.epoch || n < 0 || n >= f.end() {
		return 0, false
	}
	return n + 1, true
}
