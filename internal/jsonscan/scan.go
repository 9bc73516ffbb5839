// Package jsonscan reads and writes the messages of carriers' media streams,
// which are JSON around base64, fifty times a second and call, without
// allocating.
package jsonscan

import (
	"bytes"
	"fmt"
	"math"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/switchboard-voice/switchboard/stream"
)

// The errors are made once: a peer that sends nonsense shall not cost more than
// one that does not. They wrap stream.ErrMessage.
var (
	ErrSyntax   = Bad("not JSON")
	ErrDepth    = Bad("nested too deep")
	ErrRepeated = Bad("repeated name")
	ErrType     = Bad("value of the wrong type")
	ErrParams   = Bad("too many or too long parameters")
)

// Bad makes another such error.
func Bad(what string) error { return fmt.Errorf("%w: %s", stream.ErrMessage, what) }

// MaxDepth is far below what could hurt the stack and far above the 3 that
// carriers need.
const MaxDepth = 16

// Scanner reads JSON (RFC 8259) without allocating. Names are compared exactly,
// and strings are unescaped where they stand, which only makes them shorter.
// After an error it reads nothing more, so that errors can be asked for once.
type Scanner struct {
	data []byte
	at   int
	err  error
}

// New returns a Scanner of data, which it may write to.
func New(data []byte) Scanner { return Scanner{data: data} }

// Err returns the first error.
func (s *Scanner) Err() error { return s.err }

// Fail ends the reading with err, unless it has ended.
func (s *Scanner) Fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.at = len(s.data)
}

// Peek returns the next byte that is not white space, 0 at the end.
func (s *Scanner) Peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (s *Scanner) expect(c byte) {
	if s.Peek() != c {
		s.Fail(ErrSyntax)
		return
	}
	s.at++
}

// End demands that nothing follows.
func (s *Scanner) End() {
	if s.err == nil && s.Peek() != 0 || s.at < len(s.data) {
		s.Fail(ErrSyntax)
	}
}

// raw returns what stands between the quotes of a string, checked, and whether
// there is a backslash in it.
func (s *Scanner) raw() (text []byte, escaped bool) {
	s.expect('"')
	start := s.at
	for s.at < len(s.data) {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return s.data[start : s.at-1], escaped
		case c < ' ':
			s.Fail(ErrSyntax)
		case c == '\\':
			escaped = true
			s.at += escapeLen(s.data[s.at:])
			if s.at > len(s.data) {
				s.Fail(ErrSyntax)
			}
		default:
			s.at++
		}
	}
	s.Fail(ErrSyntax)
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

// Str returns a string, unescaped.
func (s *Scanner) Str() []byte {
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
func (s *Scanner) next(closer byte, first bool) bool {
	if s.err != nil {
		return false
	}
	if s.Peek() == closer {
		s.at++
		return false
	}
	if !first {
		s.expect(',')
	}
	return s.err == nil
}

// Member reads the name of the next member of an object.
func (s *Scanner) Member(first bool) (name []byte, ok bool) {
	if !s.next('}', first) {
		return nil, false
	}
	name = s.Str()
	s.expect(':')
	return name, s.err == nil
}

// Skip checks one value and returns it.
func (s *Scanner) Skip(depth int) []byte {
	c := s.Peek()
	start := s.at
	if depth > MaxDepth {
		s.Fail(ErrDepth)
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
			s.Skip(depth + 1)
		}
	case c == '[':
		s.at++
		for first := true; s.next(']', first); first = false {
			s.Skip(depth + 1)
		}
	case c == '-' || c >= '0' && c <= '9':
		s.number()
	case c == 't':
		s.Literal("true")
	case c == 'f':
		s.Literal("false")
	case c == 'n':
		s.Literal("null")
	default:
		s.Fail(ErrSyntax)
	}
	if s.err != nil {
		return nil
	}
	return s.data[start:s.at]
}

// Literal reads a word that stands without quotes.
func (s *Scanner) Literal(word string) {
	if !bytes.HasPrefix(s.data[s.at:], []byte(word)) {
		s.Fail(ErrSyntax)
		return
	}
	s.at += len(word)
}

func (s *Scanner) number() {
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

func (s *Scanner) digits() {
	start := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	if s.at == start {
		s.Fail(ErrSyntax)
	}
}

// Count reads a number that is not negative, as a string or as a number: carriers
// write both.
func (s *Scanner) Count() int64 {
	var digits []byte
	if s.Peek() == '"' {
		digits = s.Str()
	} else {
		digits = s.Skip(0)
	}
	n, ok := ParseCount(digits)
	if !ok {
		s.Fail(ErrType)
	}
	return n
}

// ParseCount reads up to 18 digits, which an int64 always holds.
func ParseCount(digits []byte) (n int64, ok bool) {
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

// Text reads a value that must be a string.
func (s *Scanner) Text() []byte {
	if s.Peek() != '"' {
		s.Fail(ErrType)
		return nil
	}
	return s.Str()
}

// Object enters a value that must be an object.
func (s *Scanner) Object() {
	if s.Peek() != '{' {
		s.Fail(ErrType)
		return
	}
	s.at++
}

// Seen remembers which of a few names an object had.
type Seen uint16

// Once marks the nth name, and fails if it was there already.
func (s *Scanner) Once(names *Seen, nth int) {
	if *names&(1<<nth) != 0 {
		s.Fail(ErrRepeated)
	}
	*names |= 1 << nth
}
