package jsonscan

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"github.com/switchboard-voice/switchboard/stream"
)

// FuzzSkip compares what counts as JSON with encoding/json.
func FuzzSkip(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-0.5e+3,true,false,null,"\u00e9\\"],"b":{}}`, ` [ ] `, `01`, `1.`, `"\x"`, `"a` + "\n" + `"`, `{"a":1,}`, `[[[[]]]]`, "nul", "\"\xff\"",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := New(bytes.Clone(data))
		s.Skip(0)
		s.End()
		if errors.Is(s.Err(), ErrDepth) {
			return
		}
		if s.Err() != nil && !errors.Is(s.Err(), stream.ErrMessage) {
			t.Errorf("%v is not ErrMessage", s.Err())
		}
		if got, want := s.Err() == nil, json.Valid(data); got != want {
			t.Errorf("%q: valid is %t, want %t", data, got, want)
		}
	})
}

// FuzzText compares what a string says with encoding/json.
func FuzzText(f *testing.F) {
	f.Add([]byte(`"a\"\\\/\b\f\n\r\t\u00e9\ud834\udd1e\ud834!"`))
	f.Add([]byte(`"plain"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var want string
		if json.Unmarshal(data, &want) != nil {
			return
		}
		s := New(bytes.Clone(data))
		if s.Peek() != '"' {
			return // null is no text
		}
		got := bytes.ToValidUTF8(s.Text(), []byte("\uFFFD"))
		if s.Err() != nil || string(got) != string(bytes.ToValidUTF8([]byte(want), []byte("\uFFFD"))) {
			if !bytes.ContainsRune(data, '\uFFFD') && bytes.Equal(bytes.ToValidUTF8(data, nil), data) {
				t.Errorf("%q: got %q, %v, want %q", data, got, s.Err(), want)
			}
		}
	})
}

func FuzzBase64(f *testing.F) {
	for _, text := range []string{"AAECAw==", "AAE=", "AAEC", "AAECAx==", "AA==AAAA", "AAEC\r\n", "_-_-", "===="} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := string(AppendBase64([]byte("x"), data)), "x"+base64.StdEncoding.EncodeToString(data); got != want {
			t.Errorf("%x: encoded %q, want %q", data, got, want)
		}
		want, err := base64.StdEncoding.DecodeString(string(data))
		canonical := err == nil && len(want) > 0 && base64.StdEncoding.EncodeToString(want) == string(data)
		b := bytes.Clone(data)
		n, ok := DecodeBase64(b)
		if ok != canonical || ok && !bytes.Equal(b[:n], want) {
			t.Errorf("%q: decoded %x, %t, want %x, %t", data, b[:n], ok, want, canonical)
		}
	})
}

func TestEscapedTextIsJSON(t *testing.T) {
	for _, text := range []string{"", "plain", "a\"b\\c\x00\x1f\n/é"} {
		var got string
		if err := json.Unmarshal(append(AppendEscaped([]byte(`"`), text), '"'), &got); err != nil || got != text {
			t.Errorf("%q becomes %q, error %v", text, got, err)
		}
	}
}

func TestIdsAreShortAndNeedNoEscapes(t *testing.T) {
	for id, want := range map[string]bool{
		"": false, "MZ1": true, "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d": true, "a b": false, `a"`: false, "a/b": false,
		string(bytes.Repeat([]byte("a"), 64)): true, string(bytes.Repeat([]byte("a"), 65)): false,
	} {
		if got := IsSafeID([]byte(id)); got != want {
			t.Errorf("%q: %t, want %t", id, got, want)
		}
	}
}
