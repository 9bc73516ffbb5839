package jsonscan

import (
	"math"
	"strings"
	"time"
)

// What a start may carry. Twilio allows a parameter 500 characters, Plivo 512
// bytes in all.
const (
	MaxParams = 32
	MaxParam  = 500
)

// maxID bounds an id.
const maxID = 64

// IsSafeID tells that an id needs no escaping anywhere, and is not long.
func IsSafeID(id []byte) bool {
	if len(id) == 0 || len(id) > maxID {
		return false
	}
	for _, c := range id {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// MaxMillis is the most that a time.Duration holds.
const MaxMillis = math.MaxInt64 / int64(time.Millisecond)

// Cut removes a prefix that must be there, if all was well before.
func Cut(b []byte, ok bool, prefix string) ([]byte, bool) {
	if !ok || len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return nil, false
	}
	return b[len(prefix):], true
}

// CutCount removes a count.
func CutCount(b []byte, ok bool) (int64, []byte, bool) {
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	n, fine := ParseCount(b[:i])
	return n, b[i:], ok && fine
}

// Params reads an object of strings, or null.
func (s *Scanner) Params() map[string]string {
	if s.Peek() == 'n' {
		s.Literal("null")
		return nil
	}
	var params map[string]string
	s.Object()
	for first := true; ; first = false {
		key, ok := s.Member(first)
		if !ok {
			return params
		}
		name := strings.ToValidUTF8(string(key), "\uFFFD")
		value := strings.ToValidUTF8(string(s.Text()), "\uFFFD")
		if len(params) == MaxParams || len(name) > MaxParam || len(value) > MaxParam {
			s.Fail(ErrParams)
			return nil
		}
		if _, repeated := params[name]; repeated {
			s.Fail(ErrRepeated)
			return nil
		}
		if params == nil {
			params = make(map[string]string)
		}
		params[name] = value
	}
}

// AppendEscaped appends the inside of a JSON string. Ids that came through
// Decode never need it.
func AppendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
