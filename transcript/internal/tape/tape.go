// Package tape keeps the newest stretch of both sides of a call until it has
// been turned into words.
package tape

import (
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

const (
	// maxTracks are those of the caller and of the agent.
	maxTracks = 2
	// agentLag is how long the caller's side waits for the agent's, which is
	// known when it has been heard, and callerLag how long the agent's waits for
	// the caller's, which may come late and in a burst.
	agentLag  = 100 * time.Millisecond
	callerLag = 3 * time.Second
	// maxJump is how far a frame may be ahead of the tape without so much time
	// having passed.
	maxJump = time.Minute
	// hole is the longest stretch without any frame that is kept as silence.
	hole = 2 * time.Second
)

// A Tape is a ring of bounded memory: what is new takes the place of what is
// oldest. The sound of all tracks is interleaved, on one clock, as it was on the
// wire.
//
// WriteFrame is for one goroutine and never blocks for long; the other methods
// may be called from any.
//
// Positions count samples of one track since the start of the call.
type Tape struct {
	format  audio.Format
	tracks  int
	width   int   // bytes of one position
	size    int64 // positions in the ring
	chunk   int64 // positions that are worth waking the reader for
	started time.Time
	news    chan struct{}

	mu      sync.Mutex
	ring    []byte
	head    int64            // end of what is known
	next    [maxTracks]int64 // likewise, of each track
	read    int64            // end of what was read
	hole    Hole
	closed  bool
	dropped int64 // samples that came too late, or could not be believed
}

// A Hole is a stretch in which there was no frame at all.
type Hole struct{ From, To int64 }

// New returns a tape of the given length. With one track it is the caller's.
// The reader is woken for every chunk.
func New(format audio.Format, tracks int, length, chunk time.Duration) *Tape {
	width := tracks * format.Encoding.SampleBytes()
	size := format.Samples(length)
	t := &Tape{
		format: format, tracks: tracks, width: width, size: int64(size), chunk: int64(format.Samples(chunk)),
		started: time.Now(), news: make(chan struct{}, 1), ring: make([]byte, size*width),
	}
	t.silence(0, t.size)
	return t
}

// Width is the number of bytes of one position.
func (t *Tape) Width() int { return t.width }

// Position is where a moment of the call's clock falls, to the nearest sample.
func (t *Tape) Position(at time.Duration) int64 {
	whole, rest := int64(at/time.Second), int64(at%time.Second)
	rate := int64(t.format.Rate)
	return whole*rate + (rest*rate+int64(time.Second)/2)/int64(time.Second)
}

// Time is the moment of a position.
func (t *Tape) Time(pos int64) time.Duration { return audio.Duration(int(pos), t.format.Rate) }

// News tells that there may be something to read.
func (t *Tape) News() <-chan struct{} { return t.news }

// WriteFrame puts a frame in its place.
func (t *Tape) WriteFrame(f *audio.Frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || int(f.Track) >= t.tracks {
		return
	}
	pos := t.Position(f.At)
	if f.Format != t.format || f.At < 0 || !t.believable(pos) {
		t.dropped += int64(len(f.PCM))
		return
	}
	t.place(int(f.Track), pos, f)
	if t.ready()-t.read >= t.chunk {
		t.wake()
	}
}

func (t *Tape) believable(pos int64) bool {
	most := int64(t.format.Samples(maxJump))
	return pos <= t.head+most || pos <= t.Position(time.Since(t.started))+most
}

// place copies what is new of a frame into the ring.
func (t *Tape) place(track int, pos int64, f *audio.Frame) {
	end := pos + int64(len(f.PCM))
	from := max(pos, t.next[track], end-t.size)
	if late := max(t.read, from) - from; late > 0 && !f.Filled {
		t.dropped += min(late, max(0, end-from)) // though a later reading may find it
	}
	if from >= end {
		return
	}
	t.advance(pos, end)
	t.next[track] = end
	if from = max(from, t.head-t.size); from >= end || f.Filled {
		return
	}
	sample := t.format.Encoding.SampleBytes()
	payload := f.Payload[min(len(f.Payload), int(from-pos)*sample):]
	for len(payload) >= sample && from < end {
		at := int(from%t.size)*t.width + track*sample
		n := min(len(payload)/sample, int(t.size-from%t.size))
		t.put(at, payload[:n*sample])
		payload = payload[n*sample:]
		from += int64(n)
	}
}

// put copies samples of one track to at and on.
func (t *Tape) put(at int, samples []byte) {
	switch {
	case t.tracks == 1:
		copy(t.ring[at:], samples)
	case t.format.Encoding.SampleBytes() == 1:
		for _, b := range samples {
			t.ring[at] = b
			at += t.width
		}
	default:
		for i := 0; i+1 < len(samples); i += 2 {
			t.ring[at], t.ring[at+1] = samples[i], samples[i+1]
			at += t.width
		}
	}
}

// advance moves the head to end, over silence. A long way to pos without a frame
// is a hole.
func (t *Tape) advance(pos, end int64) {
	if end <= t.head {
		return
	}
	if pos-t.head > int64(t.format.Samples(hole)) {
		t.hole = Hole{t.head, pos}
		t.wake()
	}
	t.silence(max(t.head, end-t.size), end)
	t.head = end
}

func (t *Tape) silence(from, end int64) {
	b := t.format.Encoding.Silence()
	for from < end {
		at := from % t.size
		n := min(end-from, t.size-at)
		fill(t.ring[int(at)*t.width:int(at+n)*t.width], b)
		from += n
	}
}

func fill(p []byte, b byte) {
	for i := range p {
		p[i] = b
	}
}

func (t *Tape) wake() {
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// ready is how far both tracks are known, or will not be waited for.
func (t *Tape) ready() int64 {
	caller, agent := t.next[audio.Inbound], t.next[audio.Outbound]
	switch {
	case t.closed:
		return t.head
	case t.tracks == 1:
		return caller
	case agent >= caller:
		return max(caller, agent-int64(t.format.Samples(callerLag)))
	default:
		return max(agent, caller-int64(t.format.Samples(agentLag)))
	}
}

// Read copies what lies from a position on to p, as much as there is and fits,
// and returns how many positions that is. It reads what both tracks have, or
// all. It does not read across a hole. lost tells that the tape has moved on:
// what lay at from is gone.
func (t *Tape) Read(p []byte, from int64, all bool) (n int, lost bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := t.ready()
	if all {
		end = t.head
	}
	end = min(end, from+int64(len(p)/t.width))
	if from <= t.hole.From && t.hole.From < t.hole.To {
		end = min(end, t.hole.From)
	}
	if from >= end {
		return 0, false
	}
	if from < t.head-t.size {
		return 0, true
	}
	for pos := from; pos < end; {
		at := pos % t.size
		k := min(end-pos, t.size-at)
		copy(p[int(pos-from)*t.width:], t.ring[int(at)*t.width:int(at+k)*t.width])
		pos += k
	}
	t.read = max(t.read, end)
	return int(end - from), false
}

// Ready is how far there is something to read.
func (t *Tape) Ready() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ready()
}

// Range is the oldest position that is kept, and the end of what is known.
func (t *Tape) Range() (oldest, head int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, t.head-t.size), t.head
}

// Hole is the last hole.
func (t *Tape) Hole() Hole {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hole
}

// Dropped is how much came too late to be read in its turn, or could not be
// true, of both tracks together.
func (t *Tape) Dropped() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return audio.Duration(int(t.dropped), t.format.Rate)
}

// Close says that no more frames come. Frames that come all the same are
// ignored.
func (t *Tape) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.wake()
}

// Closed reports whether no more frames come.
func (t *Tape) Closed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}
