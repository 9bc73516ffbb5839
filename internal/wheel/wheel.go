// Package wheel wakes many owners at their own times with one goroutine.
//
// A call needs to be woken every 20 ms, and ten thousand calls with a ticker
// each spend a core on being woken. A wheel has slots of a quarter of a
// millisecond, in which entries lie as links of a list: to schedule one costs a
// few instructions and no memory, and all that have become due are woken
// together. The slots are narrower than the millisecond by which a Go timer may
// be late on Linux, so that they hardly add to it.
package wheel

import (
	"math/bits"
	"sync"
	"time"
)

const (
	resolution = time.Millisecond / 4
	slots      = 4096 // 1 s; what is later than that is put on again
	mask       = slots - 1
)

// A Wheel calls entries back at their time: never early, and late by up to the
// resolution of a quarter of a millisecond and what the machine adds.
//
// The zero value is ready for use, by many goroutines at once. Its goroutine
// lives only while something is scheduled, and sleeps until the next entry.
type Wheel struct {
	mu     sync.Mutex
	epoch  time.Time  // of tick 0
	slot   []*Entry   // rings, by tick & mask
	full   [64]uint64 // which slots hold something
	words  uint64     // which words of full are not zero
	tick   int64      // all slots before this tick have been emptied
	count  int        // entries scheduled
	wakeAt int64      // the tick that the goroutine sleeps until
	closed bool

	running bool
	kick    chan struct{}
	done    sync.WaitGroup
}

// An Entry is one appointment, embedded in whoever keeps it. Func is set before
// the first use. It runs on the wheel's goroutine and must not block; it may
// schedule and cancel.
type Entry struct {
	Func func()

	tick       int64 // when it is due
	slot       int64 // where it lies
	prev, next *Entry
	scheduled  bool
}

// Schedule has e called at the given time, instead of any time it was
// scheduled for before. A time in the past means now. After Close it does
// nothing.
func (w *Wheel) Schedule(e *Entry, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if w.slot == nil {
		w.slot = make([]*Entry, slots)
		w.epoch = time.Now()
		w.kick = make(chan struct{}, 1)
	}
	if e.scheduled {
		w.remove(e)
	}
	if !w.running {
		// The wheel stood still: nothing is in any slot.
		w.tick = max(w.tick, int64(time.Since(w.epoch)/resolution))
	}
	e.tick = int64((at.Sub(w.epoch) + resolution - 1) / resolution)
	w.insert(e)
	if !w.running {
		w.running = true
		w.wakeAt = 0 // it looks by itself, first thing
		w.done.Go(w.run)
		return
	}
	if e.tick < w.wakeAt {
		w.wakeAt = e.tick
		select {
		case w.kick <- struct{}{}:
		default: // it is awake already
		}
	}
}

// Cancel takes e off the wheel, if it is on it. A call of its Func may be under
// way.
func (w *Wheel) Cancel(e *Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !e.scheduled {
		return
	}
	w.remove(e)
	if w.count == 0 && w.running {
		select {
		case w.kick <- struct{}{}: // nothing is left to live for
		default:
		}
	}
}

// Close forgets all entries and returns when the wheel's goroutine has ended.
func (w *Wheel) Close() {
	w.mu.Lock()
	w.closed = true
	if w.kick != nil {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
	w.mu.Unlock()
	w.done.Wait()
}

func (w *Wheel) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, ok := w.turn()
		if !ok {
			return
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-w.kick:
		}
	}
}

// turn calls what is due and returns when to come again; or false when there
// is nothing left.
func (w *Wheel) turn() (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && w.count > 0 {
		next := w.nextTick()
		due := w.epoch.Add(time.Duration(next) * resolution)
		if time.Now().Before(due) {
			w.wakeAt = next
			return due, true
		}
		w.tick = next
		for e := w.slot[next&mask]; e != nil; e = w.slot[next&mask] {
			w.remove(e)
			if e.tick > next {
				w.insert(e) // it was too far away for one turn of the wheel
				continue
			}
			w.mu.Unlock()
			e.Func()
			w.mu.Lock()
		}
	}
	if w.closed {
		w.forget()
	}
	w.running = false
	return time.Time{}, false
}

// insert puts e into the slot of its tick; the current one if that has passed,
// the last one of this turn if it is further away.
func (w *Wheel) insert(e *Entry) {
	tick := min(max(e.tick, w.tick), w.tick+slots-1)
	i := tick & mask
	e.slot, e.scheduled = i, true
	w.count++
	head := w.slot[i]
	if head == nil {
		e.prev, e.next = e, e
		w.slot[i] = e
		w.full[i/64] |= 1 << (i % 64)
		w.words |= 1 << (i / 64)
		return
	}
	e.prev, e.next = head.prev, head
	e.prev.next, e.next.prev = e, e
}

// remove takes e out of its slot.
func (w *Wheel) remove(e *Entry) {
	i := e.slot
	switch {
	case e.next == e:
		w.slot[i] = nil
		w.full[i/64] &^= 1 << (i % 64)
		if w.full[i/64] == 0 {
			w.words &^= 1 << (i / 64)
		}
	default:
		e.prev.next, e.next.prev = e.next, e.prev
		if w.slot[i] == e {
			w.slot[i] = e.next
		}
	}
	e.prev, e.next, e.scheduled = nil, nil, false
	w.count--
}

// nextTick is the tick of the first slot, from the current one on, that holds
// something. There is one.
func (w *Wheel) nextTick() int64 {
	at := w.tick & mask
	word := at / 64
	if rest := w.full[word] >> (at % 64); rest != 0 {
		return w.tick + int64(bits.TrailingZeros64(rest))
	}
	// The words after this one, in turn, and at last this one's lower half.
	turned := bits.RotateLeft64(w.words, -int(word+1))
	word = (word + 1 + int64(bits.TrailingZeros64(turned))) % 64
	slot := word*64 + int64(bits.TrailingZeros64(w.full[word]))
	return w.tick + (slot-at)&mask
}

// forget takes everything off.
func (w *Wheel) forget() {
	for w.count > 0 {
		w.remove(w.slot[w.nextTick()&mask])
	}
}
