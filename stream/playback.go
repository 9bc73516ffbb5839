package stream

import (
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// Position is how far the sound of a stream has come, in samples since the
// stream began. Samples that were dropped by a Clear keep their numbers and are
// never heard.
type Position struct {
	Written int64 // taken by Write
	Sent    int64 // given to the network
	// Heard is what has been played at the far end, as far as is known: by the
	// clock, or because it was acknowledged. It does not count what the network
	// still carries, in which a Clear is just as slow. After a Clear it stays
	// where it was until newer sound is heard.
	Heard     int64
	Confirmed int64 // acknowledged by the far end
}

const (
	maxAudio  = 512 << 10 // bytes a stream holds
	minRing   = 512       // bytes it begins with
	keepRing  = 8 << 10   // bytes it keeps when all was heard
	maxMarks  = 1024      // then a new mark takes the place of the last
	maxRuns   = 64        // then a new run counts as part of the last
	unlimited = time.Duration(1<<63 - 1)
)

// A ledger keeps the audio of one stream from when it is written until it was
// heard and handed on, and knows how far it is. It is given the time, as
// the duration since any fixed moment, and does nothing but count.
//
// Inside, samples are counted without those that were dropped, so that what
// is kept is one piece:
//
//	tapped ≤ heard ≤ sent ≤ written
//
// To the outside, dropped is added.
type ledger struct {
	format     audio.Format
	packet     int   // samples of a full packet
	acks       bool  // the far end returns marks
	clearsAcks bool  // and returns all of them on a clear, heard or not
	limit      int64 // samples that may wait to be sent
	grace      time.Duration

	ring                         ring
	tapped, heard, sent, written int64
	dropped                      int64
	confirmed                    int64 // outside
	settled                      int64 // outside: the highest mark dealt with

	cut   int64 // heard at the last clear …
	cutAt int64 // … and what that was outside; -1: no clear

	end     time.Duration // when the far end will have played all that was sent
	runs    []run         // from the one that holds tapped on
	paused  bool
	restAt  time.Duration // since when something has waited to be sent
	readyAt time.Duration // since when a packet could have been

	wire    int  // changes when what was sent is taken back
	onWire  bool // audio was sent since the far end was last cleared
	clearIt bool // the far end is to be cleared

	marks   []mark
	number  uint32 // of the last mark sent
	cleared uint32 // marks up to this were taken back by a clear

	stats *Stats
}

// A run is audio that is played without a pause. One begins when all before it
// has been heard, so none is ever taken back whole.
type run struct {
	from int64 // first sample
	at   time.Duration
}

// A mark goes from waiting to sent to done, and then is told. Marks are in
// order of position, and the done ones come first.
type mark struct {
	pos       int64 // outside
	number    uint32
	sent      bool
	done      bool
	confirmed bool
	due       time.Duration // when its audio will have been played
}

func (l *ledger) duration(samples int64) time.Duration {
	return audio.Duration(int(samples), l.format.Rate)
}

// advance moves heard along with the far end's clock.
func (l *ledger) advance(now time.Duration) {
	unplayed := int64(0)
	if l.end > now {
		// Rounded up: a sample that is being played has not been heard.
		unplayed = (int64(l.end-now)*int64(l.format.Rate) + int64(time.Second) - 1) / int64(time.Second)
	}
	l.heard = max(l.heard, l.sent-unplayed)
}

func (l *ledger) position(now time.Duration) Position {
	l.advance(now)
	p := Position{
		Written:   l.written + l.dropped,
		Sent:      l.sent + l.dropped,
		Heard:     l.heard + l.dropped,
		Confirmed: l.confirmed,
	}
	if l.cutAt >= 0 && l.heard == l.cut {
		p.Heard = l.cutAt
	}
	return p
}

// free is how many samples may be written now.
func (l *ledger) free() int {
	width := int64(l.format.Encoding.SampleBytes())
	return int(max(0, min(l.limit-(l.written-l.sent), maxAudio/width-(l.written-l.tapped))))
}

// write takes as much of pcm as there is room for.
func (l *ledger) write(pcm []int16, now time.Duration) int {
	n := min(len(pcm), l.free())
	if n == 0 {
		return 0
	}
	waiting := l.written - l.sent
	if waiting == 0 {
		l.restAt = now
	}
	if waiting < int64(l.packet) {
		l.readyAt = now
	}
	l.ring.fit(l.tapped, l.written, n, l.format.Encoding.SampleBytes())
	first, second := l.ring.at(l.written, n)
	enc := l.format.Encoding
	done := audio.Encode(first, enc, pcm[:n]) / enc.SampleBytes()
	audio.Encode(second, enc, pcm[done:n])
	l.written += int64(n)
	return n
}

// sendable is what is to be sent next: a mark, or n samples, or nothing before
// a certain time.
func (l *ledger) sendable(now, lead time.Duration) (m *mark, n int, at time.Duration) {
	waiting := l.written - l.sent
	m = l.waitingMark()
	whole := int64(l.packet)
	if m != nil {
		ahead := m.pos - (l.sent + l.dropped)
		if ahead <= 0 {
			return m, 0, now
		}
		whole = min(whole, ahead)
	}
	if l.paused || waiting == 0 {
		return nil, 0, unlimited
	}
	packet := l.duration(int64(l.packet))
	size := min(waiting, whole)
	ready := l.readyAt
	if size < whole {
		ready = max(ready, l.restDue(packet))
	}
	room := l.end + l.duration(size) - max(lead, packet)
	if at = max(ready, room); now < at {
		return nil, 0, at
	}
	return nil, int(size), at
}

// restDue is when less than a packet is sent. More may come, for which it waits
// one packet's time; but not so long that the far end runs dry meanwhile.
func (l *ledger) restDue(packet time.Duration) time.Duration {
	due := l.restAt + packet
	if l.end > l.restAt {
		due = min(due, max(l.restAt, l.end-packet/4))
	}
	return due
}

func (l *ledger) waitingMark() *mark {
	for i := range l.marks {
		if !l.marks[i].sent {
			return &l.marks[i]
		}
	}
	return nil
}

// payload is the audio that is to be sent next, in one piece, with the help of
// scratch where the ring wraps.
func (l *ledger) payload(n int, scratch []byte) (payload, scratch2 []byte) {
	l.onWire = true
	first, second := l.ring.at(l.sent, n)
	if len(second) == 0 {
		return first, scratch
	}
	scratch = append(append(scratch[:0], first...), second...)
	return scratch, scratch
}

// commit notes that n samples have been sent; wire is what it was when they
// were taken. If they have been taken back since, they do not count.
func (l *ledger) commit(n, wire int, now time.Duration) {
	if wire != l.wire {
		return
	}
	if l.end < now || len(l.runs) == 0 {
		if len(l.runs) > 0 && l.midUtterance() {
			l.stats.Underruns++
		}
		l.end = now
		l.begin(run{from: l.sent, at: now})
	}
	l.end += l.duration(int64(n))
	l.sent += int64(n)
	l.restAt = now
}

// midUtterance tells that no mark ended an utterance where sending stands.
func (l *ledger) midUtterance() bool {
	return l.settled < l.sent+l.dropped && (len(l.marks) == 0 || !l.marks[len(l.marks)-1].sent)
}

func (l *ledger) begin(r run) {
	if len(l.runs) < maxRuns {
		l.runs = append(l.runs, r)
	}
}

// mark asks for a mark at what was written last.
func (l *ledger) mark(now time.Duration) int64 {
	pos := l.written + l.dropped
	l.readyAt = min(l.readyAt, now)
	last := len(l.marks) - 1
	switch {
	case last >= 0 && !l.marks[last].done && l.marks[last].pos == pos:
		return pos
	case last+1 >= maxMarks:
		l.marks[last] = mark{pos: pos} // it speaks for the one it replaces
	default:
		l.marks = append(l.marks, mark{pos: pos})
	}
	return pos
}

// stamp numbers m, which is being sent.
func (l *ledger) stamp(m *mark, now time.Duration) uint32 {
	l.number++
	m.number, m.sent, m.due = l.number, true, max(l.end, now)
	return l.number
}

// ack notes that the far end has returned a mark.
func (l *ledger) ack(number uint32, now time.Duration) {
	i := slices.IndexFunc(l.marks, func(m mark) bool { return m.sent && !m.done && m.number == number })
	switch {
	case number == 0 || number > l.number:
		l.stats.MarksUnknown++
		return
	case i < 0 && number <= l.cleared:
		l.stats.MarksCleared++
		return
	case i < 0:
		l.stats.MarksLate++
		return
	}
	l.stats.MarksAcked++
	l.stats.AckDelay += (max(0, now-l.marks[i].due) - l.stats.AckDelay) / time.Duration(l.stats.MarksAcked)
	l.advance(now)
	pos := l.marks[i].pos
	// Of what came before it, all has been played: lost acknowledgements
	// included.
	for j := range l.marks[:i+1] {
		l.settle(&l.marks[j], true)
	}
	l.confirmed = max(l.confirmed, pos)
	if played := pos - l.dropped; played > l.heard {
		l.heard = played
		l.end = min(l.end, now+l.duration(l.sent-played))
	}
}

func (l *ledger) settle(m *mark, confirmed bool) {
	if m.done {
		return
	}
	m.done, m.confirmed = true, confirmed
	l.settled = max(l.settled, m.pos)
}

// overdue gives up marks whose acknowledgement does not come, and returns when
// to ask again. Without acknowledgements the clock is all there is.
func (l *ledger) overdue(now time.Duration) time.Duration {
	grace := l.grace
	if !l.acks {
		grace = 0
	}
	for i := range l.marks {
		m := &l.marks[i]
		switch {
		case m.done:
		case !m.sent:
			return unlimited
		case now < m.due+grace:
			return m.due + grace
		default:
			if l.acks {
				l.stats.MarksGivenUp++
			}
			l.settle(m, false)
		}
	}
	return unlimited
}

// told takes the next mark that is done.
func (l *ledger) told() (pos int64, confirmed, ok bool) {
	if len(l.marks) == 0 || !l.marks[0].done {
		return 0, false, false
	}
	m := l.marks[0]
	l.marks = slices.Delete(l.marks, 0, 1)
	return m.pos, m.confirmed, true
}

// clear drops what was not heard.
func (l *ledger) clear(now time.Duration) Position {
	p := l.takeBack(now)
	l.stats.Clears++
	l.paused = false
	l.stats.DroppedSamples += l.written - l.heard
	l.cut, l.cutAt = l.heard, p.Heard
	l.marks = slices.DeleteFunc(l.marks, func(m mark) bool { return !m.done && m.pos > p.Heard })
	l.dropped += l.written - l.heard
	l.written, l.sent = l.heard, l.heard
	l.settled = max(l.settled, p.Written)
	return p
}

// fade is clear, but that n samples more are heard, ever more softly. They count
// as written anew.
func (l *ledger) fade(n int, now time.Duration) Position {
	l.advance(now)
	n = int(min(int64(n), l.written-l.heard))
	tail := make([]int16, n)
	first, second := l.ring.at(l.heard, n)
	done := audio.Decode(tail, l.format.Encoding, first)
	audio.Decode(tail[done:], l.format.Encoding, second)
	for i := range tail {
		tail[i] = int16(int(tail[i]) * (n - i) / n)
	}
	p := l.clear(now)
	l.write(tail, now)
	return p
}

// pause takes back what was not heard, to be sent again.
func (l *ledger) pause(now time.Duration) Position {
	p := l.takeBack(now)
	l.stats.Pauses++
	l.paused = true
	l.sent = l.heard
	for i := range l.marks {
		if m := &l.marks[i]; !m.done && m.pos > p.Heard {
			*m = mark{pos: m.pos}
		}
	}
	return p
}

// takeBack has the far end cleared. What a mark that comes back after that
// proves depends on the far end: where a clear returns them all, nothing.
// Then those that the clock has passed are heard, and not confirmed.
func (l *ledger) takeBack(now time.Duration) Position {
	p := l.position(now)
	l.wire++
	l.clearIt = l.clearIt || l.onWire
	l.end = min(l.end, now)
	l.cleared = l.number
	if l.clearsAcks {
		for i := range l.marks {
			if m := &l.marks[i]; m.sent && m.pos <= p.Heard {
				l.settle(m, false)
			}
		}
	}
	return p
}

// tap takes the next piece of audio that was heard, of at most n samples:
// its bytes, in two pieces, when it was played, and whether it begins a run.
func (l *ledger) tap(now time.Duration, n int64, dst []byte) (payload []byte, played time.Duration, begins bool) {
	l.advance(now)
	if l.heard == l.tapped {
		return nil, 0, false
	}
	for len(l.runs) > 1 && l.runs[1].from <= l.tapped {
		l.runs = slices.Delete(l.runs, 0, 1)
	}
	n = min(n, l.heard-l.tapped)
	if len(l.runs) > 1 {
		n = min(n, l.runs[1].from-l.tapped)
	}
	first, second := l.ring.at(l.tapped, int(n))
	payload = append(append(dst[:0], first...), second...)
	r := l.runs[0]
	played, begins = r.at+l.duration(l.tapped-r.from), l.tapped == r.from
	l.tapped += n
	l.stats.HeardSamples += n
	if l.tapped == l.written {
		l.ring.shrink()
	}
	return payload, played, begins
}

// A ring holds samples by their number. Its size is a power of two, so a number
// finds its place without a division; it grows to what it must hold.
type ring struct {
	buf   []byte
	width int // bytes a sample
}

// at is where n samples from number i on lie: in two pieces if the ring ends
// between them.
func (r *ring) at(i int64, n int) (first, second []byte) {
	size := n * r.width
	from := int(i*int64(r.width)) & (len(r.buf) - 1)
	if from+size <= len(r.buf) {
		return r.buf[from : from+size], nil
	}
	return r.buf[from:], r.buf[:size-(len(r.buf)-from)]
}

// fit makes room for n samples more than those from first to last.
func (r *ring) fit(first, last int64, n, width int) {
	r.width = width
	need := (int(last-first) + n) * width
	if need <= len(r.buf) {
		return
	}
	size := max(minRing, len(r.buf))
	for size < need {
		size *= 2
	}
	grown := ring{buf: make([]byte, size), width: width}
	for first < last {
		from, _ := r.at(first, int(last-first))
		to, _ := grown.at(first, int(last-first))
		first += int64(copy(to, from) / width)
	}
	*r = grown
}

// shrink gives back the memory of a long utterance when nothing is held.
func (r *ring) shrink() {
	if len(r.buf) > keepRing {
		r.buf = nil
	}
}
