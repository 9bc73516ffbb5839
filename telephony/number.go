package telephony

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// ErrInvalidNumber tells that something is not a telephone number in E.164
// form: a plus sign and 7 to 15 digits of which the first is not 0
// (ITU-T E.164, section 6).
var ErrInvalidNumber = errors.New("telephony: not a number in E.164 form")

// Number is a telephone number in E.164 form, such as "+12025550100".
//
// A Number prints masked ("+1202*****00") through fmt and slog, so that it does
// not reach logs by accident. Convert it to string to get all of it. JSON and
// database drivers see all of it too.
//
// On an inbound call the carrier may know no number; then a Number holds what
// the carrier said instead ("anonymous", "sip:ann@example.com"), and Valid
// reports false.
type Number string

// ParseNumber reads a number in E.164 form. Spaces, hyphens and dots between
// digits are dropped; anything else is an error that wraps ErrInvalidNumber and
// says what was wrong, without repeating the number.
func ParseNumber(s string) (Number, error) {
	var b strings.Builder
	for i, r := range strings.TrimSpace(s) {
		switch {
		case r >= '0' && r <= '9', r == '+' && i == 0:
			b.WriteRune(r)
		case r == ' ' || r == '-' || r == '.':
		default:
			return "", fmt.Errorf("%w: unexpected character %q", ErrInvalidNumber, r)
		}
	}
	n := Number(b.String())
	if problem := n.problem(); problem != "" {
		return "", fmt.Errorf("%w: %s", ErrInvalidNumber, problem)
	}
	return n, nil
}

// Valid reports whether n is in E.164 form. It does not say that anybody has
// the number.
func (n Number) Valid() bool { return n.problem() == "" }

func (n Number) problem() string {
	digits, plus := strings.CutPrefix(string(n), "+")
	switch {
	case n == "":
		return "empty"
	case !plus:
		return "no leading +"
	case len(digits) < 7:
		return "fewer than 7 digits"
	case len(digits) > 15:
		return "more than 15 digits"
	case digits[0] == '0':
		return "a country code does not begin with 0"
	case strings.Trim(digits, "0123456789") != "":
		return "not only digits"
	}
	return ""
}

// String returns n masked: the beginning and the last two digits of a valid
// number, only the first character of anything else.
func (n Number) String() string {
	if !n.Valid() {
		if n == "" {
			return ""
		}
		return string([]rune(n)[:1]) + "***"
	}
	shown := min(5, len(n)-6)
	return string(n[:shown]) + strings.Repeat("*", len(n)-shown-2) + string(n[len(n)-2:])
}

// GoString returns n masked, for %#v.
func (n Number) GoString() string { return fmt.Sprintf("telephony.Number(%q)", n.String()) }

// LogValue returns n masked.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.String()) }

// Secret is a credential. It prints as "[secret]" and is written so by every
// encoder; convert it to string to use it.
type Secret string

const maskedSecret = "[secret]"

// String returns "[secret]", or "" if there is none.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return maskedSecret
}

// GoString returns s masked, for %#v.
func (s Secret) GoString() string { return fmt.Sprintf("telephony.Secret(%q)", s.String()) }

// LogValue returns s masked.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns s masked.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
