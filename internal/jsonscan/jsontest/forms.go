// Package jsontest judges decoders of carriers' media messages: with the same
// message in other forms, with what none may accept, and with a reference made
// of encoding/json.
package jsontest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// Compact writes JSON without white space.
func Compact(t testing.TB, raw []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Forms are one message as it is, with white space, and with the members of all
// objects in the opposite order.
func Forms(t testing.TB, raw string) map[string]string {
	t.Helper()
	return map[string]string{"compact": raw, "indented": indented(t, raw), "reversed": Reverse(t, raw)}
}

func indented(t testing.TB, raw string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(raw), "\r\n", "\t "); err != nil {
		t.Fatal(err)
	}
	return " \n" + out.String() + "\n"
}

// Reverse writes the members of all objects in the opposite order.
func Reverse(t testing.TB, raw string) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(raw))
	d.UseNumber()
	var value func() string
	value = func() string {
		token, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		delim, ok := token.(json.Delim)
		if !ok {
			b, err := json.Marshal(token)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		var parts []string
		for d.More() {
			if delim == '[' {
				parts = append(parts, value())
				continue
			}
			name := value()
			parts = append([]string{name + ":" + value()}, parts...)
		}
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
		if delim == '[' {
			return "[" + strings.Join(parts, ",") + "]"
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return value()
}

// Payload is what a media message carries.
func Payload(t testing.TB, raw string) []byte {
	t.Helper()
	var m struct{ Media struct{ Payload []byte } }
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		t.Fatal(err)
	}
	return m.Media.Payload
}

// Swap replaces the first from, which must be there.
func Swap(in, from, to string) string {
	if !strings.Contains(in, from) {
		panic(from)
	}
	return strings.Replace(in, from, to, 1)
}
