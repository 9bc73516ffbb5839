package sim

import (
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// rate is that of every phone: 8,000 samples per second.
const rate = 8000

func samplesIn(d time.Duration) int { return audio.Samples(d, rate) }
func length(n int) time.Duration    { return audio.Duration(n, rate) }

// Played is a stretch of audio that a phone has heard, or will hear if nothing
// cuts it off.
type Played struct {
	// At is when it begins, since the answer.
	At time.Duration
	// Samples are at 8,000 a second.
	Samples []int16
}

// End is when the stretch ends, since the answer.
func (p Played) End() time.Duration { return p.At + length(len(p.Samples)) }

// An ear plays what it is given, one piece after the other, and remembers it.
// It has no clock of its own: each method is told what time it is, so that it is
// as exact as its caller.
type ear struct {
	shelf *shelf

	mu      sync.Mutex
	zero    time.Time     // the answer
	ended   time.Time     // when the call ended; zero before
	played  []Played      // in order; gaps are silence
	end     time.Time     // when all that is queued will have been heard
	marks   []mark        // pending, in order
	kept    int           // samples in played
	sound   time.Duration // when the last sound ends, heard or queued; 0 if none
	changed chan struct{}
}

// A mark returns at its time.
type mark struct {
	name    string
	at      time.Time
	cleared bool // it confirms a discard
}

func newEar(s *shelf, answer time.Time) *ear {
	return &ear{shelf: s, zero: answer, changed: make(chan struct{})}
}

// touch wakes everybody who waits for a change. e.mu is held.
func (e *ear) touch() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// queued returns how much audio waits to be heard.
func (e *ear) queued(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(0, e.end.Sub(now))
}

// play appends pcm, which the ear keeps, to what is queued, and returns when it
// will have been heard.
func (e *ear) play(now time.Time, pcm []int16) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended.IsZero() || len(pcm) == 0 {
		return now
	}
	at := e.end
	if at.Before(now) {
		at = now
	}
	e.end = at.Add(length(len(pcm)))
	e.add(Played{At: at.Sub(e.zero), Samples: pcm})
	e.touch()
	return e.end
}

// add remembers p. Pieces that follow each other are joined, to keep them few.
func (e *ear) add(p Played) {
	e.keep(len(p.Samples))
	if n := lastSound(p.Samples); n > 0 {
		e.sound = p.At + length(n)
	}
	if n := len(e.played); n > 0 && e.played[n-1].End() == p.At && len(e.played[n-1].Samples) < rate {
		last := &e.played[n-1]
		last.Samples = append(last.Samples, p.Samples...)
		return
	}
	e.played = append(e.played, p)
}

// keep counts n more samples and forgets the beginning if there is no room.
func (e *ear) keep(n int) {
	e.kept += n
	over := e.shelf.take(n)
	for over > 0 && len(e.played) > 1 {
		gone := len(e.played[0].Samples)
		e.played = slices.Delete(e.played, 0, 1)
		e.kept -= gone
		e.shelf.give(gone)
		over -= gone
	}
}

// mark asks for name to be returned when all that is queued has been heard. It
// reports false if too many marks are pending.
func (e *ear) mark(now time.Time, name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.marks) >= maxMarks {
		return false
	}
	at := e.end
	if at.Before(now) {
		at = now
	}
	e.marks = append(e.marks, mark{name: name, at: at})
	e.touch()
	return true
}

// clear cuts off what has not been heard, and makes all marks due.
func (e *ear) clear(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut(now)
	for i := range e.marks {
		if e.marks[i].at.After(now) {
			e.marks[i].at = now
		}
	}
	e.touch()
}

// discard cuts off what has not been heard, forgets the marks that are not due,
// and asks for a mark that confirms it.
func (e *ear) discard(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut(now)
	e.marks = slices.DeleteFunc(e.marks, func(m mark) bool { return m.at.After(now) })
	e.marks = append(e.marks, mark{at: now, cleared: true})
	e.touch()
}

// cut forgets what would be heard after now. e.mu is held.
func (e *ear) cut(now time.Time) {
	if !e.end.After(now) {
		return
	}
	e.end = now
	limit := now.Sub(e.zero)
	gone := 0
	for i := len(e.played) - 1; i >= 0; i-- {
		p := &e.played[i]
		if p.End() <= limit {
			break
		}
		heard := max(0, min(len(p.Samples), samplesIn(limit-p.At)))
		gone += len(p.Samples) - heard
		p.Samples = p.Samples[:heard]
		if heard == 0 {
			e.played = e.played[:i]
		}
	}
	e.kept -= gone
	e.shelf.give(gone)
	if e.sound > limit {
		e.sound = 0
		for _, p := range slices.Backward(e.played) {
			if n := lastSound(p.Samples); n > 0 {
				e.sound = p.At + length(n)
				break
			}
		}
	}
}

// dropMarks forgets all marks: the stream that they belong to has ended.
func (e *ear) dropMarks() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.marks = nil
}

// due appends to dst the marks that are due, and forgets them.
func (e *ear) due(now time.Time, dst []mark) []mark {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for n < len(e.marks) && !e.marks[n].at.After(now) {
		dst = append(dst, e.marks[n])
		n++
	}
	e.marks = slices.Delete(e.marks, 0, n)
	return dst
}

// next returns when the first mark is due, and a channel that is closed when
// that may have changed.
func (e *ear) next() (at time.Time, ok bool, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.marks) == 0 {
		return time.Time{}, false, e.changed
	}
	return e.marks[0].at, true, e.changed
}

// hangup ends hearing.
func (e *ear) hangup(now time.Time) {
	e.mu.Lock()
	if !e.ended.IsZero() {
		e.mu.Unlock()
		return
	}
	e.cut(now)
	e.ended = now
	e.marks = nil
	e.touch()
	kept := e.kept
	e.mu.Unlock()
	if kept > 0 {
		e.shelf.ended(e, kept)
	}
}

// forget drops all that was heard.
func (e *ear) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.played, e.kept = nil, 0
}

// until returns how much of the call there is at now.
func (e *ear) until(now time.Time) time.Duration {
	if !e.ended.IsZero() && e.ended.Before(now) {
		now = e.ended
	}
	return max(0, now.Sub(e.zero))
}

// heard returns what was heard from one moment to another since the answer, but
// not beyond now.
func (e *ear) heard(now time.Time, from, to time.Duration) []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	to = min(to, e.until(now))
	if to <= from {
		return nil
	}
	first := nearest(from)
	pcm := make([]int16, nearest(to)-first)
	for _, p := range e.played {
		at := nearest(p.At) - first
		switch {
		case at >= len(pcm):
			return pcm
		case at >= 0:
			copy(pcm[at:], p.Samples)
		case -at < len(p.Samples):
			copy(pcm, p.Samples[-at:])
		}
	}
	return pcm
}

// nearest is the sample nearest to d.
func nearest(d time.Duration) int { return samplesIn(d + time.Second/rate/2) }

// playback returns all that was played until now, cut off there: one Played for
// each stretch without a gap.
func (e *ear) playback(now time.Time) []Played {
	e.mu.Lock()
	defer e.mu.Unlock()
	limit := e.until(now)
	var list []Played
	for _, p := range e.played {
		n := min(len(p.Samples), samplesIn(limit-p.At))
		if n <= 0 {
			break
		}
		if last := len(list) - 1; last >= 0 && list[last].End() == p.At {
			list[last].Samples = append(list[last].Samples, p.Samples[:n]...)
			continue
		}
		list = append(list, Played{At: p.At, Samples: slices.Clone(p.Samples[:n])})
	}
	return list
}

// sounds returns when the first sound at or after from begins, and a channel
// that is closed when there may be an earlier one. The sound may be yet to come.
func (e *ear) sounds(from time.Time) (at time.Time, ok bool, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	since := from.Sub(e.zero)
	first, _ := slices.BinarySearchFunc(e.played, since, func(p Played, since time.Duration) int {
		if p.End() <= since {
			return -1
		}
		return 1
	})
	for _, p := range e.played[first:] {
		skip := max(0, samplesIn(since-p.At))
		for i, s := range p.Samples[skip:] {
			if isSound(s) {
				return e.zero.Add(p.At + length(skip+i)), true, e.changed
			}
		}
	}
	return time.Time{}, false, e.changed
}

// silent returns when the last sound ends, of all that was heard or is queued,
// and a channel that is closed when that may have changed.
func (e *ear) silent() (at time.Time, ok bool, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.zero.Add(e.sound), e.sound > 0, e.changed
}

// lastSound returns how many samples there are up to the last sound.
func lastSound(pcm []int16) int {
	for i, s := range slices.Backward(pcm) {
		if isSound(s) {
			return i + 1
		}
	}
	return 0
}

// isSound tells sound from line noise and the quietest steps of G.711.
func isSound(s int16) bool { return s > 64 || s < -64 }

// A shelf bounds the audio that all ears together keep.
type shelf struct {
	limit int // samples

	mu   sync.Mutex
	held int
	over []endedEar // oldest first
}

type endedEar struct {
	*ear
	samples int
}

// take counts n more samples, forgets ended calls to make room, and returns how
// many there are too many then.
func (s *shelf) take(n int) (excess int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held += n
	for s.held > s.limit && len(s.over) > 0 {
		old := s.over[0]
		s.over[0] = endedEar{}
		s.over = s.over[1:]
		s.held -= old.samples
		old.forget() // an ended ear never waits for the shelf
	}
	return max(0, s.held-s.limit)
}

// forget drops what was heard on all calls that have ended.
func (s *shelf) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.over {
		s.held -= old.samples
		old.forget()
	}
	s.over = nil
}

func (s *shelf) give(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held -= n
}

// ended puts the ear of an ended call where it may be forgotten.
func (s *shelf) ended(e *ear, samples int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = append(s.over, endedEar{e, samples})
}
