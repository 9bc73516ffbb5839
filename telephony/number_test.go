package telephony

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestParseNumber(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Number // "" for an error
	}{
		{"E.164", "+12025550100", "+12025550100"},
		{"spaces, hyphens and dots are dropped", " +1 202-555.0100 ", "+12025550100"},
		{"seven digits are enough", "+4912345", "+4912345"},
		{"fifteen digits are the most", "+123456789012345", "+123456789012345"},
		{"six digits are too few", "+491234", ""},
		{"sixteen digits are too many", "+1234567890123456", ""},
		{"no plus", "12025550100", ""},
		{"two pluses", "++12025550100", ""},
		{"a plus in the middle", "+1202+5550100", ""},
		{"a leading zero", "+02025550100", ""},
		{"letters", "+1202CALLNOW", ""},
		{"parentheses", "+1 (202) 5550100", ""},
		{"digits of another script", "+١٢٠٢٥٥٥٠١٠٠", ""},
		{"a line break inside", "+1202555\n0100", ""},
		{"a SIP address", "sip:ann@example.com", ""},
		{"only a plus", "+", ""},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseNumber(tt.in)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Fatalf("got %q, %v; want %q", string(got), err, string(tt.want))
			}
			if err == nil && !got.Valid() {
				t.Error("what was parsed is not valid")
			}
			if err != nil && (!errors.Is(err, ErrInvalidNumber) || strings.Contains(err.Error(), "5550100")) {
				t.Errorf("error is %q", err)
			}
		})
	}
}

func FuzzParseNumber(f *testing.F) {
	f.Add("+1 202-555.0100")
	f.Add("sip:ann@example.com")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNumber(s)
		if err != nil {
			if n != "" || !errors.Is(err, ErrInvalidNumber) {
				t.Errorf("got %q, %v", string(n), err)
			}
			return
		}
		again, err := ParseNumber(string(n))
		if again != n || err != nil || !n.Valid() {
			t.Errorf("%q parses again as %q, %v", string(n), string(again), err)
		}
	})
}

func TestNumbersAndSecretsPrintMasked(t *testing.T) {
	const number, caller, secret = Number("+12025550100"), Number("anonymous"), Secret("hunter2")
	if got, want := number.String(), "+1202*****00"; got != want {
		t.Errorf("number is %q, want %q", got, want)
	}
	if got, want := Number("+4912345").String(), "+4***45"; len(got) != len("+4912345") || strings.Contains(got, "123") {
		t.Errorf("short number is %q, want something like %q", got, want)
	}
	for _, n := range []Number{"", "a", "é", "sip:ann@example.com"} {
		if s := n.String(); len(n) > 2 && strings.Contains(s, string(n)) {
			t.Errorf("%q prints as %q", string(n), s)
		}
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("x", "number", number, "caller", caller, "secret", secret)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "number", number, "secret", secret)
	type record struct {
		N Number
		S Secret
	}
	r := record{number, secret}
	encoded, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(number, caller, secret), fmt.Sprintf("%v %+v %#v %s %q", r, r, r, number, number),
		fmt.Sprintf("%s %q %#v", secret, secret, secret), log.String(), string(encoded),
	} {
		for _, bare := range []string{"5550100", "anonymous", "hunter2"} {
			if strings.Contains(text, bare) {
				t.Errorf("%q stands in %s", bare, text)
			}
		}
	}
	if Secret("").String() != "" || Number("").String() != "" {
		t.Error("nothing does not print as nothing")
	}
}
