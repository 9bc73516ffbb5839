package twilio

import (
	"bytes"
	"fmt"
	"math"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/switchboard-voice/switchboard/stream"
)

// The errors of Decode are made once: a peer that sends nonsense shall not cost
// more than one that does not.
var (
	errSyntax    = bad("not JSON")
	errDepth     = bad("nested too deep")
	errRepeated  = bad("repeated name")
	errType      = bad("value of the wrong type")
	errBinary    = bad("binary message")
	errEvent     = bad("no event")
	errPayload   = bad("payload is not canonical base64")
	errNoPayload = bad("no payload")
	errTrack     = bad("unknown track")
	errDigit     = bad("not a key")
	errID        = bad("missing or unsafe id")
	errIDs       = bad("two stream ids")
	errFormat    = bad("audio is not mu-law, 8000 Hz, mono")
	errParams    = bad("too many or too long parameters")
)

func bad(what string) error { return fmt.Errorf("%w: twilio: %s", stream.ErrMessage, what) }

// maxDepth is far below what could hurt the stack and far above Twilio's 3.
const maxDepth = 16

// scanner reads JSON (RFC 8259) without allocating. Names are compared exactly,
// and strings are unescaped where they stand, which only makes them shorter.
// After an error it reads nothing more, so that errors can be asked for once.
type scanner struct {
	data []byte
	at   int
	err  error
}

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.at = len(s.data)
}

// peek returns the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) expect(c byte) {
	if s.peek() != c {
		s.fail(errSyntax)
		return
	}
	s.at++
}

// end demands that nothing follows.
func (s *scanner) end() {
	if s.err == nil && s.peek() != 0 || s.at < len(s.data) {
		s.fail(errSyntax)
	}
}

// raw returns what stands between the quotes of a string, checked, and whether
// there is a backslash in it.
func (s *scanner) raw() (text []byte, escaped bool) {
	s.expect('"')
	start := s.at
	for s.at < len(s.data) {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return s.data[start : s.at-1], escaped
		case c < ' ':
			s.fail(errSyntax)
		case c == '\\':
			escaped = true
			s.at += escapeLen(s.data[s.at:])
			if s.at > len(s.data) {
				s.fail(errSyntax)
			}
		default:
			s.at++
		}
	}
	s.fail(errSyntax)
	return nil, false
}

// escapeLen is the length of the escape that b begins with, more than b holds if
// it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 2
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return math.MaxInt32
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// str returns a string, unescaped.
func (s *scanner) str() []byte {
	text, escaped := s.raw()
	if !escaped {
		return text
	}
	return unescape(text)
}

// unescape rewrites a checked string in its own memory. Half a surrogate pair
// becomes U+FFFD, as in encoding/json.
func unescape(b []byte) []byte {
	n := 0
	for i := 0; i < len(b); {
		if b[i] != '\\' {
			b[n] = b[i]
			n, i = n+1, i+1
			continue
		}
		c := b[i+1]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, _ := hex4(b[i+2:])
			i += 6
			if utf16.IsSurrogate(r) {
				pair := rune(utf8.RuneError)
				if len(b) >= i+6 && b[i] == '\\' && b[i+1] == 'u' {
					low, _ := hex4(b[i+2:])
					pair = utf16.DecodeRune(r, low)
				}
				if r = pair; pair != utf8.RuneError {
					i += 6
				}
			}
			n += utf8.EncodeRune(b[n:n+utf8.RuneLen(r)], r)
			continue
		}
		b[n] = c
		n, i = n+1, i+2
	}
	return b[:n]
}

// next moves to the next member of an object, or to the next element with
// closer ']'. first tells that none was read yet.
func (s *scanner) next(closer byte, first bool) bool {
	if s.err != nil {
		return false
	}
	if s.peek() == closer {
		s.at++
		return false
	}
	if !first {
		s.expect(',')
	}
	return s.err == nil
}

// member reads the name of the next member of an object.
func (s *scanner) member(first bool) (name []byte, ok bool) {
	if !s.next('}', first) {
		return nil, false
	}
	name = s.str()
	s.expect(':')
	return name, s.err == nil
}

// skip checks one value and returns it.
func (s *scanner) skip(depth int) []byte {
	c := s.peek()
	start := s.at
	if depth > maxDepth {
		s.fail(errDepth)
		return nil
	}
	switch {
	case c == '"':
		s.raw()
	case c == '{':
		s.at++
		for first := true; s.next('}', first); first = false {
			s.raw()
			s.expect(':')
			s.skip(depth + 1)
		}
	case c == '[':
		s.at++
		for first := true; s.next(']', first); first = false {
			s.skip(depth + 1)
		}
	case c == '-' || c >= '0' && c <= '9':
		s.number()
	case c == 't':
		s.literal("true")
	case c == 'f':
		s.literal("false")
	case c == 'n':
		s.literal("null")
	default:
		s.fail(errSyntax)
	}
	if s.err != nil {
		return nil
	}
	return s.data[start:s.at]
}

func (s *scanner) literal(word string) {
	if !bytes.HasPrefix(s.data[s.at:], []byte(word)) {
		s.fail(errSyntax)
		return
	}
	s.at += len(word)
}

func (s *scanner) number() {
	if s.data[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.data) && s.data[s.at] == '0' {
		s.at++
	} else {
		s.digits()
	}
	if s.at < len(s.data) && s.data[s.at] == '.' {
		s.at++
		s.digits()
	}
	if s.at < len(s.data) && s.data[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.data) && (s.data[s.at] == '+' || s.data[s.at] == '-') {
			s.at++
		}
		s.digits()
	}
}

func (s *scanner) digits() {
	start := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	if s.at == start {
		s.fail(errSyntax)
	}
}

// count reads a number that is not negative, as a string or as a number: Twilio
// writes both.
func (s *scanner) count() int64 {
	var digits []byte
	if s.peek() == '"' {
		digits = s.str()
	} else {
		digits = s.skip(0)
	}
	n, ok := parseCount(digits)
	if !ok {
		s.fail(errType)
	}
	return n
}

// parseCount reads up to 18 digits, which an int64 always holds.
func parseCount(digits []byte) (n int64, ok bool) {
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// text reads a value that must be a string.
func (s *scanner) text() []byte {
	if s.peek() != '"' {
		s.fail(errType)
		return nil
	}
	return s.str()
}

// object enters a value that must be an object.
func (s *scanner) object() {
	if s.peek() != '{' {
		s.fail(errType)
		return
	}
	s.at++
}

// seen remembers which of a few names an object had.
type seen uint16

// once marks the nth name, and fails if it was there already.
func (s *scanner) once(names *seen, nth int) {
	if *names&(1<<nth) != 0 {
		s.fail(errRepeated)
	}
	*names |= 1 << nth
}
