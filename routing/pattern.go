package routing

import (
	"fmt"
	"strings"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Pattern is a kind of telephone number. A "?" is any one digit, a "*" at the
// end whatever follows; all else is itself:
//
//	+12025550100   this number
//	+1202*         numbers that begin so
//	+1202555????   numbers of this block
//	anonymous      callers of whom the carrier says so
//	*              everybody
//
// A Pattern prints masked like a number if it is one.
type Pattern string

const longestPattern = 64

// Match reports whether n is of this kind. A pattern that is not valid matches
// nothing.
func (p Pattern) Match(n telephony.Number) bool {
	head, open := strings.CutSuffix(string(p), "*")
	if p == "" || len(n) < len(head) || !open && len(n) > len(head) {
		return false
	}
	for i := range len(head) {
		switch c := head[i]; {
		case c == '*':
			return false
		case c == '?':
			if n[i] < '0' || n[i] > '9' {
				return false
			}
		case c != n[i]:
			return false
		}
	}
	return true
}

// Validate checks that p can match something: it is not empty, has at most 64
// bytes and a "*" at its end only.
func (p Pattern) Validate() error {
	switch star := strings.IndexByte(string(p), '*'); {
	case p == "":
		return fmt.Errorf("routing: pattern is empty")
	case len(p) > longestPattern:
		return fmt.Errorf("routing: pattern has more than %d bytes", longestPattern)
	case star >= 0 && star < len(p)-1:
		return fmt.Errorf("routing: pattern has a * that is not at its end")
	}
	return nil
}

// String returns p, masked if it is a number.
func (p Pattern) String() string {
	if n := telephony.Number(p); n.Valid() {
		return n.String()
	}
	return string(p)
}

// GoString returns p masked, for %#v.
func (p Pattern) GoString() string { return fmt.Sprintf("routing.Pattern(%q)", p.String()) }
