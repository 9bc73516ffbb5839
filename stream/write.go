package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// writer is what belongs to whoever sends; timerAt always to the goroutine of
// write.
type writer struct {
	*desk                  // from when a message is begun until it is sent
	deadline time.Duration // of the connection's writing; 0: none yet
	timerAt  time.Duration // of the wheel
}

// step is the next thing for the writer to do.
type step struct {
	kind    stepKind
	opcode  byte // stepSend
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
	stepRest                 // the same, by the wheel alone
	stepSend
	stepTell
	stepFail // the stream is to end
	stepLost // it cannot be written to
	stepEnd  // it ends
)

// write does what there is to do: as long as audio waits for its time, it waits
// too. Then it ends, and the next poke begins another one.
func (c *Conn) write() {
	for {
		s := c.nextStep()
		switch s.kind {
		case stepWait:
			<-c.wake
		case stepRest:
			return
		case stepTell:
			c.handler.Heard(s.pos, s.proof)
		case stepFail:
			c.end(s.err)
		case stepSend:
			if err := c.send(s, c.now()); err != nil {
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
func (c *Conn) sendNow(now time.Duration) {
	s, ok := c.duePacket(now)
	if !ok {
		c.poke()
		return
	}
	c.sending = true
	c.mu.Unlock()
	err := c.send(s, now)
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
func (c *Conn) duePacket(now time.Duration) (step, bool) {
	if c.sending || c.ending || c.ponging || !c.started || c.out.clearIt || len(c.queue) > 0 || len(c.out.marks) > 0 {
		return step{}, false
	}
	_, n, at := c.out.sendable(now, c.lead)
	if n == 0 {
		return step{}, false
	}
	return c.media(n, now-at), true
}

// nextStep decides what the writer does next: all that goes out is decided here,
// except for packets that leave at once; see sendNow.
func (c *Conn) nextStep() step {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending {
		c.waiting = true
		return step{kind: stepWait}
	}
	s := c.decide()
	switch s.kind {
	case stepSend:
		c.sending = true
	case stepWait:
		c.setAlarm(s.at)
		if c.out.written == c.out.sent {
			c.writing = false
			s.kind = stepRest
		}
	}
	return s
}

// setAlarm has the wheel poke at a time; an earlier alarm will do. c.mu is held.
func (c *Conn) setAlarm(at time.Duration) {
	if at < c.wr.timerAt || c.now() >= c.wr.timerAt {
		c.wr.timerAt = at
		c.gate.wheel.Schedule(&c.timer, c.epoch.Add(at))
	}
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
		return c.message(opPong, append(c.blank(), c.pong...))
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
		return c.message(opText, c.proto.AppendClear(c.blank(), id)), true
	}
	if len(c.queue) > 0 {
		q := c.queue[0]
		c.queue = c.queue[1:]
		return c.message(q.opcode, append(c.blank(), q.data...)), true
	}
	m, n, at := out.sendable(now, c.lead)
	switch {
	case m != nil:
		number := out.stamp(m, now)
		if !out.acks {
			return step{}, false // the clock will do; ask again at once
		}
		c.stats.MarksSent++
		return c.message(opText, c.proto.AppendMark(c.blank(), id, number)), true
	case n > 0:
		return c.media(n, now-at), true
	}
	return step{at: at}, false
}

// blank is an empty message, behind room for its header, which is to be sent.
func (c *Conn) blank() []byte {
	c.wr.desk = desks.Get().(*desk)
	return append(c.wr.message[:0], make([]byte, headRoom)...)
}

// message is a message that was appended to a blank one.
func (c *Conn) message(opcode byte, data []byte) step {
	c.wr.message = data
	return step{kind: stepSend, opcode: opcode, data: data}
}

// media is a message with the next n samples, which are late.
func (c *Conn) media(n int, late time.Duration) step {
	var payload []byte
	blank := c.blank()
	payload, c.wr.packet = c.out.payload(n, c.wr.packet)
	data := c.proto.AppendMedia(blank, c.start.StreamID, c.start.Format, payload)
	c.stats.FramesOut++
	c.stats.SamplesOut += int64(n)
	c.stats.LatenessMax = max(c.stats.LatenessMax, late)
	c.lateSum += late
	opcode := byte(opText)
	if c.traits.Binary {
		opcode = opBinary
	}
	s := c.message(opcode, data)
	s.samples, s.wire = n, c.out.wire
	return s
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
		return c.message(opPing, c.blank())
	}
	return step{kind: stepWait, at: min(idle, start, ping)}
}

// send writes a message, for which it takes as long as three quarters of
// Gate.WriteTimeout at least and all of it at most: to set the deadline anew for
// each would cost more than to make the message.
func (c *Conn) send(s step, now time.Duration) error {
	timeout := c.gate.writeTimeout()
	if c.wr.deadline < now+timeout/4*3 {
		c.wr.deadline = now + timeout
		_ = c.conn.SetWriteDeadline(c.epoch.Add(c.wr.deadline)) // if it fails, so does the writing
	}
	_, err := c.conn.Write(seal(s.opcode, s.data))
	c.wr.giveBack()
	c.wr.desk = nil
	return err
}

// sent notes that a message has left. c.mu is held.
func (c *Conn) sent(s step) {
	now := c.now()
	c.stats.MessagesOut++
	c.stats.BytesOut += int64(len(s.data) - headRoom)
	if s.samples > 0 {
		c.out.commit(s.samples, s.wire, now)
		if c.blocked {
			signal(c.space)
		}
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
	goodbye := binary.BigEndian.AppendUint16(c.blank(), uint16(closeCode(cause)))
	if err := c.send(c.message(opClose, goodbye), c.now()); err != nil {
		wait = 0
	}
	c.stopReading(wait)
}

// stopReading ends the reader's wait after d at the latest.
func (c *Conn) stopReading(d time.Duration) {
	_ = c.conn.SetReadDeadline(time.Now().Add(d)) // on a closed connection nothing is read anyway
}
