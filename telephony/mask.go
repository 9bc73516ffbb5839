package telephony

import "strings"

const longestMessage = 200

// Mask makes somebody's explanation fit for a log: it cuts it to 200 bytes,
// replaces control characters by spaces, and replaces by asterisks the digits
// of everything that could be a telephone number, which is seven or more of
// them with nothing but spaces, dots, hyphens or parentheses between.
func Mask(message string) string {
	b := []byte(strings.ToValidUTF8(message, "\uFFFD"))
	digits, first := 0, 0
	mask := func(end int) {
		for i := first; digits >= 7 && i < end; i++ {
			if isDigit(b[i]) {
				b[i] = '*'
			}
		}
		digits = 0
	}
	for i, c := range b {
		switch {
		case isDigit(c):
			if digits == 0 {
				first = i
			}
			digits++
		case c < ' ' || c == 0x7F:
			b[i] = ' '
		case !strings.ContainsRune(" .-()", rune(c)):
			mask(i)
		}
	}
	mask(len(b))
	if len(b) > longestMessage {
		b = b[:longestMessage]
	}
	return strings.ToValidUTF8(string(b), "")
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
