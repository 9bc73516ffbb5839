package call

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
)

const (
	// maxListeners is how many may listen to a call at once.
	maxListeners = 8
	// listenBuffer is how much sound waits for a listener who names no buffer, and
	// maxListenBuffer for any.
	listenBuffer    = time.Second
	maxListenBuffer = time.Minute
)

// A Listener hears both sides of a live call, as a supervisor does. It changes
// nothing about the call, and a slow one holds up nobody: when its buffer is full
// the oldest sound goes, and is counted. One goroutine reads it; Close and Dropped
// may be called by any.
type Listener struct {
	live   *live
	forget func() bool // of the end of its context

	mu      sync.Mutex // guards what follows
	arrived *sync.Cond
	slots   []audio.Frame // a ring, each with room for 20 ms of PCM
	first   int
	waiting int
	dropped time.Duration
	closed  bool

	frame audio.Frame // what was read last
}

// Listen lets an authorised person, or a program, hear a live call whose caller is
// on its stream: what both sides say from now on, until ctx ends, Close is called
// or the call is over. What is said in a pause of the recording is silence to it
// too (see Session.PauseRecording). The call's events tell that somebody listens
// (EventListen). Whether callers must be told is a matter of the law where they
// are: see Config.Announcement and Config.Notice.
//
// The buffer is how much sound of each side may wait to be read, 20 ms at least
// and a minute at most; zero means one second.
//
// The error wraps ErrNotFound, ErrEnded, or telephony.ErrCallState if the caller
// is not on the stream, or if eight listen already. A call that another replica of
// a Cluster has cannot be heard in this process, which is ErrUnreachable:
// InviteListener works from everywhere.
func (s *Service) Listen(ctx context.Context, id string, buffer time.Duration) (*Listener, error) {
	l, err := s.listen(ctx, id, buffer)
	if err != nil {
		return nil, fmt.Errorf("call: listen: %w", err)
	}
	return l, nil
}

func (s *Service) listen(ctx context.Context, id string, buffer time.Duration) (*Listener, error) {
	if buffer < 0 || buffer > maxListenBuffer {
		return nil, fmt.Errorf("%w: buffer of %v", ErrInvalidRequest, buffer)
	}
	l := s.find(id)
	if l == nil {
		c, err := s.stored(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case c.State.Terminal():
			return nil, ErrEnded
		}
		return nil, ErrUnreachable
	}
	return l.hearken(ctx, cmpOr(buffer, listenBuffer))
}

// hearken adds a listener.
func (l *live) hearken(ctx context.Context, buffer time.Duration) (*Listener, error) {
	session, err := l.audible()
	if err != nil {
		return nil, err
	}
	x := newListener(l, session.format, buffer)
	if err := session.listeners.add(x); err != nil {
		return nil, err
	}
	l.emit(Event{Type: EventListen, Name: "on"})
	x.forget = context.AfterFunc(ctx, x.leave)
	return x, nil
}

func newListener(l *live, format audio.Format, buffer time.Duration) *Listener {
	x := &Listener{live: l, slots: make([]audio.Frame, 2*max(1, buffer/frameLength))}
	x.arrived = sync.NewCond(&x.mu)
	room := format.Samples(frameLength)
	pcm := make([]int16, room*(len(x.slots)+1))
	for i := range x.slots {
		x.slots[i].PCM = pcm[i*room : i*room : (i+1)*room]
	}
	x.frame.PCM = pcm[len(x.slots)*room:][:0]
	return x
}

// audible is the session of a call whose caller is on its stream.
func (l *live) audible() (*Session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.record.State >= Ending || l.over:
		return nil, ErrEnded
	case l.session == nil || !l.streaming:
		return nil, fmt.Errorf("call is %v, without a stream: %w", l.record.State, telephony.ErrCallState)
	}
	return l.session, nil
}

// ReadFrame waits for sound and returns up to 20 ms of it, of either track, at the
// time at which it was heard. Frames of both tracks come as they passed, those of
// one track in order. There is no Payload. The frame is borrowed until the next
// call. After the end of the call, of the context given to Listen, or Close, the
// error is io.EOF, once all that waits has been read.
func (x *Listener) ReadFrame() (*audio.Frame, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.waiting == 0 {
		if x.closed {
			return nil, io.EOF
		}
		x.arrived.Wait()
	}
	next := &x.slots[x.first]
	x.frame, *next = *next, x.frame // and its memory
	x.first = (x.first + 1) % len(x.slots)
	x.waiting--
	return &x.frame, nil
}

// Dropped is how much sound did not fit into the buffer, of both sides together.
func (x *Listener) Dropped() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.dropped
}

// Close ends listening. It may be called again.
func (x *Listener) Close() {
	x.forget()
	x.leave()
}

func (x *Listener) leave() {
	if !x.end() {
		return
	}
	x.live.currentSession().listeners.remove(x)
	e := Event{Type: EventListen, Name: "off"}
	if lost := x.Dropped(); lost > 0 {
		e.Detail = fmt.Sprintf("%v of sound was not heard", lost)
	}
	x.live.emit(e)
}

// end lets what waits be read, and reports whether it is the first to do so.
func (x *Listener) end() (first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	first = !x.closed
	x.closed = true
	x.arrived.Broadcast()
	return first
}

// take keeps a frame. It allocates nothing.
func (x *Listener) take(f *audio.Frame) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return
	}
	if x.waiting == len(x.slots) {
		x.dropped += x.slots[x.first].Duration()
		x.first = (x.first + 1) % len(x.slots)
		x.waiting--
	}
	slot := &x.slots[(x.first+x.waiting)%len(x.slots)]
	slot.PCM = append(slot.PCM[:0], f.PCM...)
	slot.Track, slot.Format, slot.At, slot.Filled = f.Track, f.Format, f.At, f.Filled
	x.waiting++
	x.arrived.Signal()
}

// listeners are those of one call.
type listeners struct {
	mu    sync.Mutex // guards what follows
	all   []*Listener
	ended bool
}

func (ls *listeners) add(x *Listener) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	switch {
	case ls.ended:
		return ErrEnded
	case len(ls.all) == maxListeners:
		return fmt.Errorf("%d listen already: %w", maxListeners, telephony.ErrCallState)
	}
	ls.all = append(ls.all, x)
	return nil
}

func (ls *listeners) remove(x *Listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = slices.DeleteFunc(ls.all, func(other *Listener) bool { return other == x })
}

// write hands a frame to all of them. It is called on the media path.
func (ls *listeners) write(f *audio.Frame) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, x := range ls.all {
		x.take(f)
	}
}

// end tells all that the call is over.
func (ls *listeners) end() {
	ls.mu.Lock()
	all := ls.all
	ls.all, ls.ended = nil, true
	ls.mu.Unlock()
	for _, x := range all {
		x.end()
	}
}
