package stream

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/wheel"
)

// Start is what the far end says when a stream begins.
type Start struct {
	StreamID  string
	CallID    string // the carrier's
	AccountID string
	Format    audio.Format
	Params    map[string]string
}

// A Handler is told what happens on a stream: in order, by the goroutine of Run,
// except for Heard. It must not block: the stream waits for it.
type Handler interface {
	// Start begins the stream, once and first. An error refuses it, and ends
	// Run. From then on the Conn may be written to.
	Start(s Start) error
	// WriteFrame takes the audio of both tracks: what comes in, without a gap;
	// and what went out, at the time at which it was heard. A frame is at most
	// 20 ms long and borrowed.
	WriteFrame(f *audio.Frame)
	// Key is a key pressed at a media time.
	Key(digit byte, at time.Duration)
	// Text is a control message of a browser. It is borrowed.
	Text(b []byte)
	// Heard tells that playback has reached a position that Mark returned:
	// confirmed by the far end, or not, if the clock says so and no
	// acknowledgement came. Positions come in order, and those that a Clear
	// dropped do not come. It is called by a goroutine that sends, one call at a
	// time, and may use the Conn.
	Heard(pos int64, confirmed bool)
}

const (
	maxQueued = 64               // keys and texts that wait to be sent
	badLimit  = 20               // bad messages …
	badSpan   = 10 * time.Second // … in so long are forgiven
	linger    = time.Second      // for the far end to answer a close
)

// A Conn is one media socket. Its methods may be called by many goroutines at
// once, except that one goroutine at a time writes.
type Conn struct {
	gate   *Gate
	conn   net.Conn
	proto  Protocol
	traits Traits
	epoch  time.Time // all durations below count from here

	wake  chan struct{} // something for the writer to do
	space chan struct{} // something for Write to look at
	timer wheel.Entry   // of the writer

	mu      sync.Mutex
	begun   bool           // Run has been called, or Close before it
	handler Handler        // of Run; nil before, and when nothing is to be written any more
	writing bool           // there is a writer
	writers sync.WaitGroup // that writer
	pending bool           // counted by the gate as such
	started bool           // and not refused: audio may be sent
	start   Start
	out     ledger
	lead    time.Duration
	clears  int // how often what was written has been dropped
	queue   []queued
	pong    []byte // to be sent
	ponging bool
	read    time.Duration // when something came last
	pinged  time.Duration
	blocked bool  // a Write waits for space
	sending bool  // one goroutine is, and has wr
	waiting bool  // the writer waits for that
	unsent  error // why another goroutine than the writer could not send
	ending  bool
	cause   error // of the end; nil if it is orderly
	ended   time.Duration
	broken  bool          // the cause is that writing failed
	news    chan struct{} // closed when a mark is done; nil: nobody waits
	stats   Stats
	lateSum time.Duration

	in reader
	wr writer
}

type queued struct {
	opcode byte
	data   []byte
}

func newConn(g *Gate, conn net.Conn, p Protocol) *Conn {
	c := &Conn{
		gate:    g,
		conn:    conn,
		proto:   p,
		traits:  p.Traits(),
		epoch:   time.Now(),
		wake:    make(chan struct{}, 1),
		space:   make(chan struct{}, 1),
		pending: true,
	}
	c.SetLead(g.lead())
	c.out = ledger{cutAt: -1, stats: &c.stats} // until the format is known
	c.timer.Func = c.onTime
	c.in.socket = socket{conn: conn, limit: int(g.maxMessage())}
	return c
}

func (c *Conn) now() time.Duration { return time.Since(c.epoch) }

// poke has the writer look for something to do: the one there is, or a new one.
// c.mu is held.
func (c *Conn) poke() {
	switch {
	case c.writing:
		signal(c.wake)
	case c.handler != nil:
		c.writing = true
		c.writers.Go(c.write)
	}
}

// onTime is called by the wheel.
func (c *Conn) onTime() {
	c.mu.Lock()
	c.poke()
	c.mu.Unlock()
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it will look anyway
	}
}

// Run reads the socket and tells h, until the far end stops or closes, the
// stream fails, ctx ends or Close is called. It returns nil after an orderly
// end, the reason given to Close, the cause of ctx, or an error that wraps one
// of this package. By then the socket is closed and no goroutine of the Conn is
// left. A second Run, or one after Close, returns ErrClosed.
func (c *Conn) Run(ctx context.Context, h Handler) error {
	if !c.begin() {
		return ErrClosed
	}
	c.mu.Lock()
	c.handler = h
	c.poke()
	c.mu.Unlock()
	watched := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(watched)
		c.Close(context.Cause(ctx))
	})
	// Deferred, so that all is cleaned up behind a handler that panics too.
	defer func() {
		c.end(nil)
		c.writers.Wait()
		if !unwatch() {
			<-watched
		}
		c.leave()
	}()
	c.end(c.readAll(h))
	c.writers.Wait()
	c.finish(h)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// begin tells that nobody else has begun or closed the Conn.
func (c *Conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun {
		return false
	}
	c.begun = true
	c.read = c.now()
	return true
}

// end fixes why the stream ends. The first reason counts.
func (c *Conn) end(cause error) {
	c.mu.Lock()
	if !c.ending {
		c.ending, c.cause, c.ended = true, cause, c.now()
	}
	c.tellNews()
	c.poke()
	c.mu.Unlock()
	signal(c.space)
}

// leave closes the socket and gives back what the gate lent.
func (c *Conn) leave() {
	_ = c.conn.Close() // what mattered has been said or cannot be
	c.gate.wheel.Cancel(&c.timer)
	c.mu.Lock()
	pending := c.pending
	c.pending = false
	c.mu.Unlock()
	if pending {
		c.gate.leavePending()
	}
	c.gate.open.Done()
}

// finish hands on what was heard by the end.
func (c *Conn) finish(h Handler) {
	c.mu.Lock()
	ended := c.ended
	c.mu.Unlock()
	c.tap(h, ended)
	for {
		c.mu.Lock()
		pos, confirmed, ok := c.out.told()
		c.mu.Unlock()
		if !ok {
			return
		}
		h.Heard(pos, confirmed)
	}
}

// Close asks Run to end with an orderly close of the socket, and to return
// reason, which may be nil. Audio that waits to be sent is dropped; see Drain.
// It returns at once. The first reason for the end counts.
func (c *Conn) Close(reason error) {
	if c.begin() { // there is no Run
		c.end(reason)
		c.leave()
		return
	}
	c.end(reason)
}

// Format is what the stream carries, the zero Format before it has started.
func (c *Conn) Format() audio.Format {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start.Format
}

// Write takes samples at the rate of the Format, to be heard after all that was
// written before. It blocks while there is no room for them, and returns how
// many it took: fewer than len(pcm) only with ErrCleared, if a Clear overtook it
// while it waited, ErrClosed after the end, or ErrNotStarted before Start. What
// is due at once it sends itself, for which it may wait for the network, as long
// as Gate.WriteTimeout at most. One goroutine writes at a time. pcm is not kept.
func (c *Conn) Write(pcm []int16) (int, error) { return c.WriteIn(c.Generation(), pcm) }

// Generation counts the Clears so far.
func (c *Conn) Generation() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clears
}

// WriteIn is Write for sound that belongs to a generation: once a Clear has
// begun another one, it takes nothing and returns ErrCleared. So what a writer
// had in its hands at an interruption does not slip in behind it.
func (c *Conn) WriteIn(generation int, pcm []int16) (int, error) {
	taken := 0
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.ending:
			return taken, ErrClosed
		case c.start.Format.Rate == 0:
			return taken, ErrNotStarted
		case c.clears != generation:
			return taken, ErrCleared
		}
		now := c.now()
		taken += c.out.write(pcm[taken:], now)
		c.sendNow(now)
		if taken == len(pcm) {
			return taken, nil
		}
		c.blocked = true
		c.mu.Unlock()
		<-c.space
		c.mu.Lock()
		c.blocked = false
	}
}

// Mark ends an utterance: what was written is sent to its last sample, and the
// far end asked to acknowledge it. Mark returns the position, which Handler.Heard
// will be told. When very many marks wait, a later one speaks for an earlier.
func (c *Conn) Mark() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	pos := c.out.mark(c.now())
	c.poke()
	return pos
}

// Position is how far the sound has come by now.
func (c *Conn) Position() Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.position(c.now())
}

// Clear drops all that has been written and not heard, at the far end too, and
// returns how far it had come. Nothing written before is sent after it. It ends a
// Pause.
func (c *Conn) Clear() Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.out.clear(c.now())
	c.clears++
	c.tellNews()
	signal(c.space)
	c.poke()
	return p
}

// FadeOut is Clear, but that what was to be heard next fades away within d
// instead of breaking off. What fades counts as newly written.
func (c *Conn) FadeOut(d time.Duration) Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.out.fade(c.start.Format.Samples(d), c.now())
	c.clears++
	c.tellNews()
	signal(c.space)
	c.poke()
	return p
}

// Pause silences the far end at once and keeps what it has not heard for Resume.
// It returns how far the sound had come.
func (c *Conn) Pause() Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.out.paused {
		return c.out.position(now)
	}
	p := c.out.pause(now)
	c.poke()
	return p
}

// Resume goes on after a Pause, with the first sample that was not heard.
func (c *Conn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.paused = false
	c.poke()
}

// Drain marks what has been written and waits until it was heard: acknowledged,
// or by the clock and Gate.AckGrace later. It returns ErrCleared if it was
// dropped, ErrClosed if the stream ended first, or the cause of ctx.
func (c *Conn) Drain(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	clears := c.clears
	target := c.out.written + c.out.dropped
	if c.out.settled < target {
		c.out.mark(c.now())
		c.poke()
	}
	for {
		switch {
		case c.clears != clears:
			return ErrCleared
		case c.out.settled >= target:
			return nil
		case c.ending:
			return ErrClosed
		}
		if c.news == nil {
			c.news = make(chan struct{})
		}
		news := c.news
		c.mu.Unlock()
		var err error
		select {
		case <-news:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		c.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// tellNews wakes those that Drain. c.mu is held.
func (c *Conn) tellNews() {
	if c.news != nil {
		close(c.news)
		c.news = nil
	}
}

// SetLead sets how far ahead of its playback audio is sent: at least one packet,
// and half of what the far end can hold at most.
func (c *Conn) SetLead(d time.Duration) {
	if half := c.traits.Buffer / 2; half > 0 {
		d = min(d, half)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lead = max(d, c.traits.Packet)
	c.poke()
}

// SendKeys presses keys, of 0-9, *, # and A-D, towards the person on the line.
// It returns errors.ErrUnsupported if the protocol cannot, ErrKeys, ErrClosed,
// ErrNotStarted, or ErrQueueFull if 64 messages wait.
func (c *Conn) SendKeys(keys string) error {
	p, ok := c.proto.(KeySender)
	if !ok {
		return errors.ErrUnsupported
	}
	if !areKeys(keys) {
		return ErrKeys
	}
	return c.enqueue(func(id string) []byte { return p.AppendKeys(nil, id, keys) })
}

func areKeys(s string) bool {
	for i := range len(s) {
		switch b := s[i]; {
		case '0' <= b && b <= '9', b == '*', b == '#', 'A' <= b && b <= 'D':
		default:
			return false
		}
	}
	return s != ""
}

// SendText sends a control message to a browser. It returns
// errors.ErrUnsupported if the protocol has none, and else fails as SendKeys
// does.
func (c *Conn) SendText(b []byte) error {
	p, ok := c.proto.(TextSender)
	if !ok {
		return errors.ErrUnsupported
	}
	return c.enqueue(func(string) []byte { return p.AppendText(nil, b) })
}

func (c *Conn) enqueue(message func(streamID string) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ending:
		return ErrClosed
	case c.start.Format.Rate == 0:
		return ErrNotStarted
	case len(c.queue) >= maxQueued:
		return ErrQueueFull
	}
	c.queue = append(c.queue, queued{opText, message(c.start.StreamID)})
	c.poke()
	return nil
}

// Stats are the counts of the stream so far.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	if s.FramesOut > 0 {
		s.LatenessMean = c.lateSum / time.Duration(s.FramesOut)
	}
	return s
}
