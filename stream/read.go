package stream

import (
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// reader is what belongs to the goroutine of Run.
type reader struct {
	socket   socket
	stuckAt  time.Duration // when a message was noticed that has not come in whole; 0: none
	msg      Message
	frame    audio.Frame
	pcm      []int16 // one frame
	tapped   []byte  // one outbound frame
	timeline timeline
	clock    mediaClock
	spoken   time.Duration // where the outbound track ends
	format   audio.Format  // zero before the start
	bad      [badLimit]time.Duration
	badNext  int
}

// readAll reads to the end, and returns nil if that was orderly.
func (c *Conn) readAll(h Handler) error {
	for i := range c.in.bad {
		c.in.bad[i] = -badSpan
	}
	for {
		opcode, data, err := c.in.socket.read()
		if err != nil {
			return c.lastWord(err)
		}
		stop, err := c.handle(h, opcode, data)
		if stop || err != nil {
			return err
		}
	}
}

// handle deals with what was read, and tells whether it was the last.
func (c *Conn) handle(h Handler, opcode byte, data []byte) (stop bool, err error) {
	if opcode > opClose {
		return false, c.receiveControl(h, opcode, data)
	}
	c.in.stuckAt = 0
	now, ending := c.heardFrom(len(data))
	if !ending {
		return c.receive(h, opcode, data, now)
	}
	// Nothing more is handed on. But a far end that stopped by itself has not
	// been lost.
	if c.decode(opcode, data) == nil && c.in.msg.Kind == KindStop {
		c.forgive()
		return true, nil
	}
	return false, nil
}

// receiveControl deals with a ping or a pong.
func (c *Conn) receiveControl(h Handler, opcode byte, data []byte) error {
	now, ending := c.heardFrom(0)
	switch {
	case opcode == opPing:
		c.answerPing(data)
	case !ending:
		c.tap(h, now)
	}
	return c.stuck(now)
}

// stuck is asked at each ping and pong: a far end that answers and never
// completes the message it began is idle too.
func (c *Conn) stuck(now time.Duration) error {
	switch {
	case c.in.socket.within == 0:
	case c.in.stuckAt == 0:
		c.in.stuckAt = now
	case now-c.in.stuckAt >= c.gate.idleTimeout():
		return fmt.Errorf("%w: half a message", ErrIdle)
	}
	return nil
}

// heardFrom notes that the far end lives, and with n > 0 that it sent a message
// of so many bytes.
func (c *Conn) heardFrom(n int) (now time.Duration, ending bool) {
	now = c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = now
	if n > 0 {
		c.stats.MessagesIn++
		c.stats.BytesIn += int64(n)
	}
	return now, c.ending
}

// answerPing has the writer answer. Of pings that come faster than it writes,
// the last is answered (RFC 6455, section 5.5.3).
func (c *Conn) answerPing(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pong = append(c.pong[:0], data...)
	c.ponging = true
	c.poke()
}

// lastWord says what an error of reading means: nil for an orderly close.
func (c *Conn) lastWord(err error) error {
	var (
		broken brokenRule
		closed closed
	)
	switch {
	case errors.As(err, &broken):
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	case errors.As(err, &closed):
		switch closed.code {
		case closeNormal, closeGoingAway, closeNoStatus:
			if c.in.format.Rate == 0 {
				return fmt.Errorf("%w: %w", ErrNoStart, err)
			}
			c.forgive()
			return nil
		}
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// forgive makes the end orderly although writing failed: the far end had
// stopped and did not listen any more.
func (c *Conn) forgive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		c.cause, c.broken = nil, false
	}
}

func (c *Conn) decode(opcode byte, data []byte) error {
	m := &c.in.msg
	m.Reset()
	binary := opcode == opBinary
	if binary && !c.traits.Binary {
		return fmt.Errorf("%w: binary", ErrMessage)
	}
	return c.proto.Decode(m, data, binary)
}

// receive deals with one message, and tells whether it was the last.
func (c *Conn) receive(h Handler, opcode byte, data []byte, now time.Duration) (stop bool, err error) {
	if err := c.decode(opcode, data); err != nil {
		return false, c.countBad(now, err)
	}
	m := &c.in.msg
	if m.Kind == KindStart {
		return false, c.receiveStart(h, m, now)
	}
	if m.Kind == KindStop {
		return true, nil
	}
	if c.in.format.Rate == 0 {
		if m.Kind != KindIgnored {
			c.count(&c.stats.Ignored)
		}
		return false, nil
	}
	switch m.Kind {
	case KindMedia:
		err = c.receiveMedia(h, m, now)
	case KindKey:
		h.Key(m.Digit, c.in.timeline.now())
	case KindMark:
		c.receiveMark(m.Mark, now)
	case KindText:
		h.Text(m.Text)
	}
	c.tap(h, now)
	return false, err
}

// countBad bears a bad message, unless there were too many of late.
func (c *Conn) countBad(now time.Duration, err error) error {
	c.count(&c.stats.BadMessages)
	oldest := &c.in.bad[c.in.badNext]
	c.in.badNext = (c.in.badNext + 1) % badLimit
	if now-*oldest < badSpan {
		return fmt.Errorf("%w: %w", ErrTooManyBad, err)
	}
	*oldest = now
	return nil
}

func (c *Conn) count(n *int64) {
	c.mu.Lock()
	*n++
	c.mu.Unlock()
}

func (c *Conn) receiveStart(h Handler, m *Message, now time.Duration) error {
	if c.in.format.Rate != 0 {
		c.count(&c.stats.Ignored)
		return nil
	}
	if !c.carries(m.Format) {
		return fmt.Errorf("%w: %v", ErrFormat, m.Format)
	}
	s := Start{StreamID: m.StreamID, CallID: m.CallID, AccountID: m.AccountID, Format: m.Format, Params: m.Params}
	c.prepare(s, now)
	if err := h.Start(s); err != nil {
		return refusal{err}
	}
	c.mu.Lock()
	c.started = true
	pending := c.pending
	c.pending = false
	c.poke()
	c.mu.Unlock()
	if pending {
		c.gate.leavePending()
	}
	return nil
}

func (c *Conn) carries(f audio.Format) bool {
	for _, known := range c.traits.Formats {
		if known == f {
			return f.Rate > 0
		}
	}
	return false
}

// prepare makes both directions ready for the format.
func (c *Conn) prepare(s Start, now time.Duration) {
	f := s.Format
	c.in.format = f
	c.in.pcm = make([]int16, f.Samples(maxFrame))
	c.in.timeline = newTimeline(f.Rate)
	c.in.clock = newMediaClock(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = s
	c.out = ledger{
		format:     f,
		packet:     f.Samples(c.traits.Packet),
		acks:       c.traits.Marks,
		clearsAcks: c.traits.ClearReturnsMarks,
		limit:      int64(f.Samples(c.gate.buffer())),
		grace:      c.gate.ackGrace(),
		cutAt:      -1,
		stats:      &c.stats,
	}
}

// receiveMedia delivers a frame and the silence before it.
func (c *Conn) receiveMedia(h Handler, m *Message, now time.Duration) error {
	f := c.in.format
	width := f.Encoding.SampleBytes()
	if len(m.Payload) == 0 || len(m.Payload)%width != 0 {
		return c.countBad(now, fmt.Errorf("%w: %d bytes of %v", ErrMessage, len(m.Payload), f))
	}
	if m.Track != audio.Inbound {
		c.count(&c.stats.Ignored)
		return nil
	}
	samples := len(m.Payload) / width
	before := c.in.timeline.pos
	p := c.in.timeline.place(arrival{
		chunk: m.Chunk, sequence: m.Sequence, stamp: m.Timestamp, samples: samples, at: now,
	})
	c.countFrame(p, samples)
	if p.verdict != accepted {
		return nil
	}
	c.in.clock.observe(now, c.in.timeline.now())
	c.deliverSilence(h, before+p.jump, p.fill)
	c.deliver(h, before+p.jump+p.fill, m.Payload)
	return nil
}

func (c *Conn) countFrame(p placing, samples int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	switch p.verdict {
	case duplicate:
		s.Duplicates++
		return
	case late:
		s.Reordered++
		return
	}
	s.FramesIn++
	s.SamplesIn += int64(samples)
	s.Jitter = time.Duration(c.in.timeline.jitter)
	if p.fill > 0 {
		s.Gaps++
		s.FilledSamples += p.fill
	}
	if p.jump > 0 {
		s.Jumps++
	}
	if p.rebased {
		s.Rebased++
	}
}

func (c *Conn) deliverSilence(h Handler, pos, samples int64) {
	if samples == 0 {
		return
	}
	f := &c.in.frame
	for samples > 0 {
		n := min(samples, int64(len(c.in.pcm)))
		clear(c.in.pcm[:n])
		*f = audio.Frame{
			Track: audio.Inbound, Format: c.in.format, PCM: c.in.pcm[:n],
			At: audio.Duration(int(pos), c.in.format.Rate), Filled: true,
		}
		h.WriteFrame(f)
		pos += n
		samples -= n
	}
}

// deliver hands on inbound audio in frames of the length allowed.
func (c *Conn) deliver(h Handler, pos int64, payload []byte) {
	f := &c.in.frame
	for len(payload) > 0 {
		n := audio.Decode(c.in.pcm, c.in.format.Encoding, payload)
		size := n * c.in.format.Encoding.SampleBytes()
		*f = audio.Frame{
			Track: audio.Inbound, Format: c.in.format, Payload: payload[:size], PCM: c.in.pcm[:n],
			At: audio.Duration(int(pos), c.in.format.Rate),
		}
		h.WriteFrame(f)
		pos += int64(n)
		payload = payload[size:]
	}
}

func (c *Conn) receiveMark(number uint32, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.ack(number, now)
	c.tellNews()
	c.poke()
}

// tap delivers what was heard since the last time. Audio that was played
// without a pause stays without one; after a pause it is put where the media
// clock was when it began, but never before the end of what came before.
func (c *Conn) tap(h Handler, now time.Duration) {
	f := c.in.format
	if f.Rate == 0 {
		return
	}
	for {
		c.mu.Lock()
		payload, played, begins := c.out.tap(now, int64(len(c.in.pcm)), c.in.tapped)
		c.mu.Unlock()
		if len(payload) == 0 {
			return
		}
		c.in.tapped = payload
		if at := c.in.clock.at(played); begins && at > c.in.spoken+maxFrame {
			c.in.spoken = at
		}
		n := audio.Decode(c.in.pcm, f.Encoding, payload)
		c.in.frame = audio.Frame{
			Track: audio.Outbound, Format: f, Payload: payload, PCM: c.in.pcm[:n], At: c.in.spoken,
		}
		h.WriteFrame(&c.in.frame)
		c.in.spoken += audio.Duration(n, f.Rate)
	}
}
