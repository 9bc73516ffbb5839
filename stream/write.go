package stream

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// writer is what belongs to the goroutine that sends; timerAt always to that of
// write.
type writer struct {
	buf     []byte // one message
	scratch []byte // one packet
	timerAt time.Duration
}

// step is the next thing for the writer to do.
type step struct {
	kind    stepKind
	opcode  int // stepSend
	data    []byte
	samples int // of audio in data
	wire    int
	at      time.Duration // stepWait
	pos     int64         // stepTell
	proof   bool
	err     error // stepEnd
}

type stepKind uint8

const (
	stepWait stepKind = iota // until at, or a poke
	stepSend
	stepTell
	stepFail // the stream is to end
	stepLost // it cannot be written to
	stepEnd  // it ends
)

// write does what there is to do until the stream ends.
func (c *Conn) write(h Handler) {
	for {
		s := c.nextStep()
		switch s.kind {
		case stepWait:
			c.sleep(s.at)
		case stepTell:
			h.Heard(s.pos, s.proof)
		case stepFail:
			c.end(s.err)
		case stepSend:
			if err := c.send(s.opcode, s.data); err != nil {
				c.fail(err)
				return
			}
			c.mu.Lock()
			c.sent(s)
			c.sending = false
			c.mu.Unlock()
		case stepLost:
			c.fail(s.err)
			return
		case stepEnd:
			c.sayGoodbye()
			return
		}
	}
}

// sendNow sends the packet that has just been written, if it is due and nothing
// goes before it, on the goroutine that wrote it: to wake the writer for every
// packet costs more than to make and send it does outside the kernel. All else
// is left to the writer. c.mu is held, but not while sending.
func (c *Conn) sendNow() {
	s, ok := c.duePacket()
	if !ok {
		c.poke()
		return
	}
	c.sending = true
	c.mu.Unlock()
	err := c.send(s.opcode, s.data)
	c.mu.Lock()
	c.sending = false
	if err != nil {
		c.unsent = err
	} else {
		c.sent(s)
	}
	if c.waiting || err != nil || c.out.written > c.out.sent {
		c.waiting = false
		c.poke()
	}
}

// duePacket is the packet that is to be sent at once, if that is all there is to
// do. c.mu is held.
func (c *Conn) duePacket() (step, bool) {
	if c.sending || c.ending || c.ponging || !c.started || c.out.clearIt || len(c.queue) > 0 || len(c.out.marks) > 0 {
		return step{}, false
	}
	now := c.now()
	_, n, at := c.out.sendable(now, c.lead)
	if n == 0 {
		return step{}, false
	}
	return c.media(n, now-at), true
}

// sleep waits until there may be something to do.
func (c *Conn) sleep(at time.Duration) {
	if now := c.now(); at < c.wr.timerAt || now >= c.wr.timerAt {
		c.wr.timerAt = at
		c.gate.wheel.Schedule(&c.timer, c.epoch.Add(at))
	}
	<-c.wake
}

// nextStep decides what the writer does next: all that goes out is decided here,
// except for packets that leave at once; see sendNow.
func (c *Conn) nextStep() step {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending {
		c.waiting = true
		return step{kind: stepWait, at: c.now() + c.gate.writeTimeout()} // or a poke
	}
	s := c.decide()
	c.sending = s.kind == stepSend
	return s
}

// decide is nextStep while nobody sends. c.mu is held.
func (c *Conn) decide() step {
	now := c.now()
	if c.unsent != nil {
		return step{kind: stepLost, err: c.unsent}
	}
	if c.ending {
		return step{kind: stepEnd}
	}
	overdue := c.out.overdue(now)
	if pos, proof, ok := c.out.told(); ok {
		c.tellNews()
		return step{kind: stepTell, pos: pos, proof: proof}
	}
	if c.ponging {
		c.ponging = false
		c.wr.buf = append(c.wr.buf[:0], c.pong...)
		return step{kind: stepSend, opcode: websocket.PongMessage, data: c.wr.buf}
	}
	if c.started {
		s, ok := c.nextMessage(now)
		if ok {
			return s
		}
		overdue = min(overdue, s.at)
	}
	s := c.nextWatch(now)
	s.at = min(s.at, overdue)
	return s
}

// nextMessage is the next message of the protocol, or when to ask again. c.mu is
// held.
func (c *Conn) nextMessage(now time.Duration) (step, bool) {
	out, id := &c.out, c.start.StreamID
	if out.clearIt {
		out.clearIt, out.onWire = false, false
		c.wr.buf = c.proto.AppendClear(c.wr.buf[:0], id)
		return c.message(websocket.TextMessage), true
	}
	if len(c.queue) > 0 {
		q := c.queue[0]
		c.queue = c.queue[1:]
		c.wr.buf = append(c.wr.buf[:0], q.data...)
		return c.message(q.opcode), true
	}
	m, n, at := out.sendable(now, c.lead)
	switch {
	case m != nil:
		number := out.stamp(m, now)
		if !out.acks {
			return step{}, false // the clock will do; ask again at once
		}
		c.stats.MarksSent++
		c.wr.buf = c.proto.AppendMark(c.wr.buf[:0], id, number)
		return c.message(websocket.TextMessage), true
	case n > 0:
		return c.media(n, now-at), true
	}
	return step{at: at}, false
}

func (c *Conn) message(opcode int) step {
	return step{kind: stepSend, opcode: opcode, data: c.wr.buf}
}

// media is a message with the next n samples, which are late.
func (c *Conn) media(n int, late time.Duration) step {
	var payload []byte
	payload, c.wr.scratch = c.out.payload(n, c.wr.scratch)
	c.wr.buf = c.proto.AppendMedia(c.wr.buf[:0], c.start.StreamID, c.start.Format, payload)
	c.stats.FramesOut++
	c.stats.SamplesOut += int64(n)
	c.stats.LatenessMax = max(c.stats.LatenessMax, late)
	c.lateSum += late
	opcode := websocket.TextMessage
	if c.traits.Binary {
		opcode = websocket.BinaryMessage
	}
	return step{kind: stepSend, opcode: opcode, data: c.wr.buf, samples: n, wire: c.out.wire}
}

// nextWatch looks after the far end: whether it starts, and whether it lives.
// c.mu is held.
func (c *Conn) nextWatch(now time.Duration) step {
	idle := c.read + c.gate.idleTimeout()
	if now >= idle {
		return step{kind: stepFail, err: ErrIdle}
	}
	start := unlimited
	if c.pending {
		if start = c.gate.startTimeout(); now >= start {
			return step{kind: stepFail, err: ErrNoStart}
		}
	}
	ping := max(c.read, c.pinged) + c.gate.pingInterval()
	if now >= ping {
		c.pinged = now
		return step{kind: stepSend, opcode: websocket.PingMessage}
	}
	return step{kind: stepWait, at: min(idle, start, ping)}
}

func (c *Conn) send(opcode int, data []byte) error {
	_ = c.ws.SetWriteDeadline(time.Now().Add(c.gate.writeTimeout())) // never fails
	return c.ws.WriteMessage(opcode, data)
}

// sent notes that a message has left. c.mu is held.
func (c *Conn) sent(s step) {
	now := c.now()
	c.stats.MessagesOut++
	c.stats.BytesOut += int64(len(s.data))
	if s.samples > 0 {
		c.out.commit(s.samples, s.wire, now)
		signal(c.space)
	}
}

// fail ends the stream because writing failed. If the far end only stopped
// listening, it may have said why: the reader gets a moment to find that.
func (c *Conn) fail(err error) {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.end(fmt.Errorf("%w: %w", ErrWriteTimeout, err))
		c.stopReading(0)
		return
	}
	c.mu.Lock()
	c.broken = !c.ending
	c.mu.Unlock()
	c.end(fmt.Errorf("%w: %w", ErrLost, err))
	c.stopReading(linger)
}

// sayGoodbye closes the socket as RFC 6455, section 7.1.2 asks, and gives the far
// end a moment to do likewise, unless it has been silent for long.
func (c *Conn) sayGoodbye() {
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	wait := linger
	if errors.Is(cause, ErrIdle) || errors.Is(cause, ErrNoStart) {
		wait = 0
	}
	if err := c.send(websocket.CloseMessage, websocket.FormatCloseMessage(closeCode(cause), "")); err != nil {
		wait = 0
	}
	c.stopReading(wait)
}

// stopReading ends the reader's wait after d at the latest.
func (c *Conn) stopReading(d time.Duration) {
	_ = c.ws.SetReadDeadline(time.Now().Add(d)) // on a closed connection nothing is read anyway
}
