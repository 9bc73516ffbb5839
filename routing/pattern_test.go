package routing_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern routing.Pattern
		number  telephony.Number
		match   bool
	}{
		{"+12025550100", "+12025550100", true},
		{"+12025550100", "+12025550101", false},
		{"+1202*", "+12025550100", true},
		{"+1202*", "+1202", true},
		{"+1202*", "+120", false},
		{"+1202555????", "+12025550100", true},
		{"+1202555????", "+120255501000", false},
		{"+1202555????", "+1202555010", false},
		{"+1202?*", "+12025550100", true},
		{"anonymous", "anonymous", true},
		{"anonymou?", "anonymous", false},
		{"sip:*", "sip:ann@example.com", true},
		{"*", "", true},
		{"*", "anonymous", true},
		{"", "", false},
		{"+1*2", "+1*2", false},
		{"**", "*a", false},
	}
	for _, tt := range tests {
		if got := tt.pattern.Match(tt.number); got != tt.match {
			t.Errorf("%q matches %q: %v", string(tt.pattern), string(tt.number), got)
		}
	}
}

func TestPatternIsMasked(t *testing.T) {
	p := routing.Pattern("+12025550100")
	for _, s := range []string{fmt.Sprint(p), fmt.Sprintf("%v %+v %#v", p, p, p), fmt.Sprint(routing.PatternRule{Caller: p})} {
		if strings.Contains(s, string(p)) {
			t.Errorf("it prints as %s", s)
		}
	}
}

func TestPatternMatchAllocatesNothing(t *testing.T) {
	matched := false
	if n := testing.AllocsPerRun(100, func() { matched = routing.Pattern("+1202555????").Match("+12025550100") }); n != 0 || !matched {
		t.Errorf("%v allocations, matched: %v", n, matched)
	}
}

// A pattern means what a regular expression made of it does.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"", "*", "+1202*", "+1202555????", "anonymous", "+1*2", "??", "a\x00?*"} {
		f.Add(p, "+12025550100")
	}
	f.Fuzz(func(t *testing.T, pattern, number string) {
		p := routing.Pattern(pattern)
		got := p.Match(telephony.Number(number))
		if p.Validate() != nil {
			if len(pattern) <= 64 && got {
				t.Errorf("%q is not valid and matches %q", pattern, number)
			}
			return
		}
		head, open := strings.CutSuffix(pattern, "*")
		var expr strings.Builder
		for i := range len(head) {
			if head[i] == '?' {
				expr.WriteString(`[0-9]`)
			} else {
				fmt.Fprintf(&expr, `\x{%02x}`, head[i])
			}
		}
		if open {
			expr.WriteString(`.*`)
		}
		// Bytes as code points, so that the expression sees what the pattern does.
		points := make([]rune, len(number))
		for i := range len(number) {
			points[i] = rune(number[i])
		}
		if want := regexp.MustCompile(`(?s)\A` + expr.String() + `\z`).MatchString(string(points)); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, number, got, want)
		}
	})
}
