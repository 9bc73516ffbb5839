package telephony

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMask(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"a number", "calling +14155550100 failed", "calling +*********** failed"},
		{"a number with spaces and parentheses", "(415) 555-0100!", "(***) ***-****!"},
		{"fewer than seven digits", "code 21211, +1500", "code 21211, +1500"},
		{"two short numbers with a word between", "123456 and 123456", "123456 and 123456"},
		{"a number at the end", "to 4155550100", "to **********"},
		{"line breaks and escapes", "a\r\nb\x1b[0m", "a  b [0m"},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Mask(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if n := len(Mask(strings.Repeat("ä", 500))); n != 200 {
		t.Errorf("a long message is %d bytes, want 200", n)
	}
}

func FuzzMask(f *testing.F) {
	f.Add("The number +1 (415) 555-0100 is not valid")
	f.Add("\xff\x00 1.2.3.4.5.6.7")
	f.Add("00000\x00000")
	seven := regexp.MustCompile(`(\d[ .()-]*){7}`)
	f.Fuzz(func(t *testing.T, s string) {
		got := Mask(s)
		if len(got) > longestMessage || !utf8.ValidString(got) || seven.MatchString(got) || strings.ContainsAny(got, "\r\n\x1b\x00") {
			t.Errorf("Mask(%q) is %q", s, got)
		}
	})
}
