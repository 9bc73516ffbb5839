package stream

import (
	"encoding/binary"
	"fmt"
	"net"
	"unicode/utf8"
)

// What a frame is (RFC 6455, section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// Why a socket is closed (RFC 6455, section 7.4.1).
const (
	closeNormal      = 1000
	closeGoingAway   = 1001
	closeProtocol    = 1002
	closeUnsupported = 1003
	closeNoStatus    = 1005 // never sent: a close without a code
	closeNotUTF8     = 1007
	closePolicy      = 1008
	closeTooBig      = 1009
)

const (
	maxControl = 125     // bytes that a control frame carries
	firstRead  = 512     // bytes of the reader's buffer at first: a message of 20 ms of telephone sound
	keepRead   = 4 << 10 // bytes it keeps when a longer message has been dealt with
)

// A socket is the server's side of a WebSocket after the handshake, without
// extensions. It reads every message into one buffer, which grows with what
// really comes, up to twice the longest message; and it writes none itself: see
// seal. One goroutine reads.
type socket struct {
	conn  net.Conn
	limit int // bytes of a message

	// buf[:held] is the beginning of a message that comes in fragments,
	// buf[from:to] what came in after that.
	buf            []byte
	held, from, to int
	within         byte // the opcode of the message that has begun; 0: none
}

// A brokenRule is how the far end broke those of RFC 6455, and the code to close
// with.
type brokenRule struct {
	code int
	what string
}

func (b brokenRule) Error() string { return b.what }

// A closed tells that the far end has closed the socket, and why.
type closed struct {
	code   int
	reason string
}

func (c closed) Error() string { return fmt.Sprintf("closed with %d %q", c.code, c.reason) }

// read returns the next message, or the next control frame, which may come
// between the fragments of a message. The payload is the caller's to change until
// the next read. A close is an error: closed.
func (s *socket) read() (opcode byte, payload []byte, err error) {
	if s.within == 0 {
		s.held = 0
		if s.from == s.to && len(s.buf) > keepRead {
			s.buf, s.from, s.to = nil, 0, 0
		}
	}
	for {
		h, err := s.header()
		if err != nil {
			return 0, nil, err
		}
		payload, err := s.take(h.size)
		if err != nil {
			return 0, nil, err
		}
		unmask(payload, h.mask)
		switch {
		case h.opcode == opClose:
			return 0, nil, readClose(payload)
		case h.opcode > opClose:
			return h.opcode, payload, nil
		case h.opcode != opContinuation:
			s.within = h.opcode
		}
		if !h.final || s.held > 0 {
			s.held += copy(s.buf[s.held:], payload)
			payload = s.buf[:s.held]
		}
		if !h.final {
			continue
		}
		opcode, s.within = s.within, 0
		if opcode == opText && !utf8.Valid(payload) {
			return 0, nil, brokenRule{closeNotUTF8, "text is not UTF-8"}
		}
		return opcode, payload, nil
	}
}

// frameHeader is what comes before the payload of a frame.
type frameHeader struct {
	final  bool
	opcode byte
	size   int
	mask   [4]byte
}

// header reads and checks the header of a frame; that it fits the message, too.
func (s *socket) header() (h frameHeader, err error) {
	if err := s.await(2); err != nil {
		return h, err
	}
	first, second := s.buf[s.from], s.buf[s.from+1]
	h.final, h.opcode = first&0x80 != 0, first&0x0F
	short := int(second & 0x7F)
	if broken := s.check(h, short, first&0x70 != 0, second&0x80 != 0); broken != "" {
		return h, brokenRule{closeProtocol, broken}
	}
	length := 2
	switch short {
	case 126:
		length += 2
	case 127:
		length += 8
	}
	if err := s.await(length + len(h.mask)); err != nil {
		return h, err
	}
	b := s.buf[s.from:]
	size, least := uint64(short), uint64(0)
	switch short {
	case 126:
		size, least = uint64(binary.BigEndian.Uint16(b[2:])), 126
	case 127:
		size, least = binary.BigEndian.Uint64(b[2:]), 1<<16
	}
	switch {
	case size < least:
		return h, brokenRule{closeProtocol, "a length in more bytes than it needs"}
	case size>>63 != 0:
		return h, brokenRule{closeProtocol, "a negative length"}
	case h.opcode < opClose && size > uint64(s.limit-s.held):
		return h, brokenRule{closeTooBig, "message is too long"}
	}
	h.size = int(size)
	h.mask = [4]byte(b[length:])
	s.from += length + len(h.mask)
	return h, nil
}

// check names the rule that the first two bytes of a header break, if any.
func (s *socket) check(h frameHeader, short int, reserved, masked bool) (broken string) {
	switch {
	case reserved:
		return "a reserved bit is set"
	case !masked:
		return "a frame of a client is not masked"
	}
	switch h.opcode {
	case opContinuation:
		if s.within == 0 {
			return "a continuation of nothing"
		}
	case opText, opBinary:
		if s.within != 0 {
			return "a message within another"
		}
	case opClose, opPing, opPong:
		if !h.final || short > maxControl {
			return "a control frame is fragmented or too long"
		}
	default:
		return "an unknown opcode"
	}
	return ""
}

// take is the next n bytes.
func (s *socket) take(n int) ([]byte, error) {
	if err := s.await(n); err != nil {
		return nil, err
	}
	b := s.buf[s.from : s.from+n]
	s.from += n
	return b, nil
}

// await reads until n bytes are there.
func (s *socket) await(n int) error {
	for s.to-s.from < n {
		if err := s.fill(); err != nil {
			return err
		}
	}
	return nil
}

// fill reads what there is, at least a byte.
func (s *socket) fill() error {
	if s.from == s.to || s.to == len(s.buf) && s.from > s.held {
		s.to = s.held + copy(s.buf[s.held:], s.buf[s.from:s.to])
		s.from = s.held
	}
	if s.to == len(s.buf) {
		grown := make([]byte, max(firstRead, 2*len(s.buf)))
		copy(grown, s.buf[:s.to])
		s.buf = grown
	}
	n, err := s.conn.Read(s.buf[s.to:])
	s.to += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// unmask takes the mask of a client off (RFC 6455, section 5.3).
func unmask(b []byte, mask [4]byte) {
	half := uint64(binary.LittleEndian.Uint32(mask[:]))
	word := half<<32 | half
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// readClose reads a close frame.
func readClose(payload []byte) error {
	if len(payload) == 0 {
		return closed{code: closeNoStatus}
	}
	if len(payload) == 1 {
		return brokenRule{closeProtocol, "half a code of a close"}
	}
	code, reason := int(binary.BigEndian.Uint16(payload)), payload[2:]
	switch {
	case !mayClose(code):
		return brokenRule{closeProtocol, fmt.Sprintf("a close with %d", code)}
	case !utf8.Valid(reason):
		return brokenRule{closeNotUTF8, "the reason of a close is not UTF-8"}
	}
	return closed{code, string(reason)}
}

// mayClose reports whether a code may be sent: those of RFC 6455, section 7.4,
// and of the registry it made, and not those that only stand for what happened.
func mayClose(code int) bool {
	switch {
	case code == 1004, code == closeNoStatus, code == 1006:
		return false
	}
	return 1000 <= code && code <= 1014 || 3000 <= code && code <= 4999
}

// headRoom is what seal needs before a payload.
const headRoom = 10

// seal makes a frame of b, whose payload begins at headRoom: it puts the header
// before that, and returns the whole.
func seal(opcode byte, b []byte) []byte {
	n := len(b) - headRoom
	switch {
	case n < 126:
		b = b[headRoom-2:]
		b[1] = byte(n)
	case n < 1<<16:
		b = b[headRoom-4:]
		b[1] = 126
		binary.BigEndian.PutUint16(b[2:], uint16(n))
	default:
		b[1] = 127
		binary.BigEndian.PutUint64(b[2:], uint64(n))
	}
	b[0] = 0x80 | opcode
	return b
}
