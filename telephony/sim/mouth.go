package sim

import (
	"sync"
	"time"
)

// A mouth holds what a person is saying, until the line takes it. What is said
// while nobody takes it is lost, as on a telephone.
type mouth struct {
	mu      sync.Mutex
	pending []int16
	at      time.Time     // when pending begins
	taken   bool          // somebody takes what is said
	from    time.Time     // what has been taken ends here
	empty   chan struct{} // closed when nothing is pending; nil if nobody waits
	heard   chan struct{} // closed when somebody takes; nil if nobody waits
	tapes   tapes         // on which all that is said is kept, heard or not
}

// say appends pcm to what is pending and returns when it will have been said.
// A listener that is late makes it late: nothing is lost while there is one.
func (m *mouth) say(now time.Time, pcm []int16) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.taken {
		m.skip(now)
	}
	if len(m.pending) == 0 {
		m.at = now
		if m.taken && m.from.After(now) {
			m.at = m.from
		}
	}
	m.pending = append(m.pending, pcm...)
	return m.at.Add(length(len(m.pending)))
}

// skip drops what was to be said before now. m.mu is held.
func (m *mouth) skip(now time.Time) {
	if n := samplesIn(now.Sub(m.at)); n > 0 {
		m.drop(n)
	}
}

// drop drops the first n samples, which have been said. m.mu is held.
func (m *mouth) drop(n int) {
	n = min(n, len(m.pending))
	m.tapes.add(m.at, m.pending[:n])
	rest := copy(m.pending, m.pending[n:])
	m.pending = m.pending[:rest]
	m.at = m.at.Add(length(n))
	m.wake()
}

// wake tells those who wait for the end. m.mu is held.
func (m *mouth) wake() {
	if m.empty != nil && (len(m.pending) == 0 || !m.taken) {
		close(m.empty)
		m.empty = nil
	}
}

// listen begins to take what is said from now on.
func (m *mouth) listen(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skip(now)
	m.taken, m.from = true, now
	if m.heard != nil {
		close(m.heard)
		m.heard = nil
	}
}

// listened returns a channel that is closed as soon as somebody listens.
func (m *mouth) listened() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken {
		now := make(chan struct{})
		close(now)
		return now
	}
	if m.heard == nil {
		m.heard = make(chan struct{})
	}
	return m.heard
}

// unlisten ends listen.
func (m *mouth) unlisten() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taken = false
	m.wake()
}

// take fills dst with what is said from the given moment on, silence included,
// and reports whether anything was.
func (m *mouth) take(from time.Time, dst []int16) bool {
	clear(dst)
	m.mu.Lock()
	defer m.mu.Unlock()
	to := from.Add(length(len(dst)))
	m.from = to
	if len(m.pending) == 0 || !m.at.Before(to) {
		return false
	}
	if m.at.Before(from) {
		m.at = from
	}
	n := copy(dst[samplesIn(m.at.Sub(from)):], m.pending)
	m.drop(n)
	return n > 0
}

// said returns a channel that is closed when nothing is pending any more or
// nobody listens.
func (m *mouth) said() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.empty == nil {
		m.empty = make(chan struct{})
	}
	c := m.empty
	m.wake()
	return c
}
