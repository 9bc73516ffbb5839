package callecho

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A caller is the carrier's side of one call.
type caller struct {
	gen      *Generator
	conn     net.Conn
	streamID string
	tcp      bool

	answersMarks bool

	mu    sync.Mutex // guards writing
	frame []byte

	speaks   time.Duration // from when on
	number   uint32        // of the next frame; of the goroutine that sends
	sentAt   [64]atomic.Int64
	lastRead time.Duration // of the goroutine that reads, as are those that follow
	next     uint32
	rest     []byte // of what was read: the beginning of a frame
}

// Sizes of what tcp mode sends and gets, headers included: those of the media
// messages of a call that is a few minutes old.
const (
	tcpIn  = 389
	tcpOut = 311
)

// pickUp is how long a caller is silent at first. Who echoes in real time never
// catches up what it was late at the beginning, and to set up hundreds of calls at
// once is not what is measured.
const pickUp = time.Second

func dial(g *Generator, n int) (*caller, error) {
	conn, err := net.DialTimeout("tcp", g.addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &caller{
		gen: g, conn: conn, tcp: g.mode == TCP,
		streamID: fmt.Sprintf("MZ%032x", n),
		frame:    make([]byte, headerRoom, 512),
		rest:     make([]byte, 0, 2048),
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second)) // never fails on a connection that is open
	if err := c.begin(n); err != nil {
		_ = conn.Close() // the first error says it
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	c.speaks = g.now() + pickUp
	return c, nil
}

// begin opens the stream.
func (c *caller) begin(n int) error {
	if c.tcp {
		var sizes [4]byte
		binary.BigEndian.PutUint16(sizes[:], tcpIn)
		binary.BigEndian.PutUint16(sizes[2:], tcpOut)
		_, err := c.conn.Write(sizes[:])
		return err
	}
	_, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", c.gen.mode.path(), c.gen.addr)
	if err != nil {
		return err
	}
	in := bufio.NewReader(c.conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("callecho: server answers %s", resp.Status)
	}
	early, _ := in.Peek(in.Buffered()) // what is buffered can be had
	c.rest = append(c.rest, early...)
	start := c.gen.script.appendStart(c.frame[:headerRoom], c.streamID, fmt.Sprintf("CA%032x", n))
	_, err = c.conn.Write(seal(start))
	return err
}

// say sends the next frame.
func (c *caller) say() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.number
	c.number++
	if c.tcp {
		c.frame = c.frame[:tcpIn]
		binary.BigEndian.PutUint32(c.frame, n)
		return c.write(n, c.frame)
	}
	c.frame = c.gen.script.appendMedia(c.frame[:headerRoom], c.streamID, n)
	return c.write(n, seal(c.frame))
}

func (c *caller) write(n uint32, frame []byte) error {
	c.sentAt[n%uint32(len(c.sentAt))].Store(int64(c.gen.now()))
	_, err := c.conn.Write(frame)
	return err
}

// listen reads what comes until the connection ends.
func (c *caller) listen() error {
	for {
		if err := c.take(); err != nil {
			return err
		}
		n, err := c.conn.Read(c.rest[len(c.rest):cap(c.rest)])
		if err != nil {
			if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		c.rest = c.rest[:len(c.rest)+n]
	}
}

// take deals with all frames that have come whole.
func (c *caller) take() error {
	now := c.gen.now()
	buf := c.rest
	for {
		if c.tcp {
			if len(buf) < tcpOut {
				break
			}
			c.heard(binary.BigEndian.Uint32(buf), now)
			buf = buf[tcpOut:]
			continue
		}
		opcode, payload, size := cutFrame(buf)
		if size == 0 {
			break
		}
		if err := c.message(opcode, payload, now); err != nil {
			return err
		}
		buf = buf[size:]
	}
	if len(buf) == cap(c.rest) {
		return errors.New("callecho: frame is too large")
	}
	c.rest = c.rest[:copy(c.rest[:cap(c.rest)], buf)]
	return nil
}

// cutFrame is the first frame of buf, of size bytes; 0 if it is not all there.
func cutFrame(buf []byte) (opcode byte, payload []byte, size int) {
	if len(buf) < 2 {
		return 0, nil, 0
	}
	n, head := int(buf[1]&0x7f), 2
	if n == 126 {
		if len(buf) < 4 {
			return 0, nil, 0
		}
		n, head = int(binary.BigEndian.Uint16(buf[2:])), 4
	}
	if len(buf) < head+n {
		return 0, nil, 0
	}
	return buf[0] & 0x0f, buf[head : head+n], head + n
}

const (
	opText  = 1
	opClose = 8
	opPing  = 9
)

var payloadKey = []byte(`"payload":`)

func (c *caller) message(opcode byte, payload []byte, now time.Duration) error {
	switch opcode {
	case opClose:
		return readHangup(payload)
	case opPing:
		pong := append([]byte{0x8a, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
		c.mu.Lock()
		defer c.mu.Unlock()
		_, err := c.conn.Write(pong)
		return err
	case opText:
		_, audio, isMedia := bytes.Cut(payload, payloadKey)
		if !isMedia {
			return c.answerMark(payload)
		}
		audio = bytes.TrimLeft(audio, ` "`)
		number, ok := readMark(audio[:min(markText, len(audio))])
		if !ok {
			c.gen.unmatched.Add(1)
			return nil
		}
		c.heard(number, now)
	}
	return nil
}

// heard notes that a frame has come back.
func (c *caller) heard(number uint32, now time.Duration) {
	g := c.gen
	g.received.Add(1)
	if number != c.next {
		g.outOfOrder.Add(1)
	}
	c.next = number + 1
	g.delay.Add(now - time.Duration(c.sentAt[number%uint32(len(c.sentAt))].Load()))
	if c.lastRead > 0 {
		g.gap.Add(now - c.lastRead)
	}
	c.lastRead = now
}
