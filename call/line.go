package call

import (
	"io"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// Line is the two-way sound of a call at one rate. It is an [audio.Reader] of
// what the caller says and an [audio.Writer] of what the caller hears, for
// agents that stream both ways themselves; others had better use Session.Speak.
//
// A Line is used by at most one reading and one writing goroutine.
type Line struct {
	session *Session
	rate    int

	in, out  *audio.Resampler // nil if the stream has this rate
	raw      []int16          // what was taken from the inbox
	heard    []int16          // resampled and not yet read
	resident []int16          // resampled and being written
}

// Line returns the sound of the call at a rate of 8, 16, 24 or 48 kHz, or that
// of the stream itself. What the caller says is delivered once: several lines
// that are read share it.
//
// An agent that does not keep up loses the oldest sound: more than five seconds
// do not wait, and half a second before the first call of Line.
func (s *Session) Line(rate int) *Line {
	s.inbox.subscribe(s.format.Rate)
	l := &Line{session: s, rate: rate}
	if rate != s.format.Rate {
		var err error
		if l.in, err = audio.NewResampler(s.format.Rate, rate); err != nil {
			panic("call: Line: " + err.Error()) // a mistake in the agent's code
		}
		if l.out, err = audio.NewResampler(rate, s.format.Rate); err != nil {
			panic("call: Line: " + err.Error())
		}
	}
	return l
}

// Rate is the rate that the Line was made for.
func (l *Line) Rate() int { return l.rate }

// ReadPCM waits for what the caller says and returns it as it arrives. At the
// end of the call it returns io.EOF.
func (l *Line) ReadPCM(p []int16) (int, error) {
	if l.in == nil {
		return l.session.inbox.read(p)
	}
	for len(l.heard) == 0 {
		if l.raw == nil {
			l.raw = make([]int16, l.session.format.Rate/50)
		}
		n, err := l.session.inbox.read(l.raw)
		if err != nil {
			return 0, err
		}
		l.heard = l.in.Append(l.heard[:0], l.raw[:n])
	}
	n := copy(p, l.heard)
	l.heard = l.heard[:copy(l.heard, l.heard[n:])]
	return n, nil
}

// WritePCM queues sound for the caller and returns when there was room for it:
// about a minute may wait. While the caller is away it waits, and while the
// caller is on hold the sound is lost, in its time. After the end of the call it
// returns ErrEnded.
func (l *Line) WritePCM(p []int16) (int, error) {
	pcm := p
	if l.out != nil {
		l.resident = l.out.Append(l.resident[:0], p)
		pcm = l.resident
	}
	n, err := l.session.write(pcm)
	if err == nil {
		return len(p), nil
	}
	return min(len(p), n*l.rate/l.session.format.Rate), ended(err)
}

// Position returns how much sound has been written to the stream since it began,
// by the Line or otherwise, and how much of that the caller has heard. Sound that
// was cleared counts as written and not as heard.
func (l *Line) Position() (written, heard time.Duration) {
	w, h := l.session.link.Load().position()
	rate := l.session.format.Rate
	return audio.Duration(int(w), rate), audio.Duration(int(h), rate)
}

const (
	// inboxLength is how much of the caller's sound waits for an agent that
	// reads it.
	inboxLength = 5 * time.Second
	// inboxFirst is how much waits until it is known whether the agent does:
	// many never read.
	inboxFirst = 500 * time.Millisecond
)

// inbox holds what the caller has said and the agent has not read. When it is
// full the oldest sound goes, and is counted if the agent reads at all.
type inbox struct {
	mu      sync.Mutex // guards what follows
	arrived *sync.Cond
	ring    *audio.Ring
	wanted  bool  // the agent reads
	most    int   // samples that the ring may grow to hold
	dropped int64 // samples
	closed  bool
}

func (b *inbox) init() { b.arrived = sync.NewCond(&b.mu) }

// open begins to keep sound.
func (b *inbox) open(rate int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ring = audio.NewRing(audio.Samples(inboxFirst, rate))
}

// subscribe is told that the agent reads, and may lag behind for longer.
func (b *inbox) subscribe(rate int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wanted = true
	b.most = audio.Samples(inboxLength, rate)
}

// grow makes more room, at the first time that an agent lags behind so far. The
// caller holds mu.
func (b *inbox) grow() {
	waiting := make([]int16, b.ring.Len())
	b.ring.Read(waiting)
	b.ring = audio.NewRing(min(2*b.ring.Cap(), b.most))
	b.ring.Write(waiting)
}

func (b *inbox) write(pcm []int16) {
	b.mu.Lock()
	for b.ring.Len()+len(pcm) > b.ring.Cap() && b.ring.Cap() < b.most {
		b.grow()
	}
	dropped := b.ring.Overwrite(pcm)
	if b.wanted {
		b.dropped += int64(dropped)
	}
	b.mu.Unlock()
	b.arrived.Signal()
}

func (b *inbox) read(p []int16) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.ring.Len() == 0 {
		if b.closed {
			return 0, io.EOF
		}
		b.arrived.Wait()
	}
	return b.ring.Read(p), nil
}

func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.arrived.Broadcast()
}

func (b *inbox) lost() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}
