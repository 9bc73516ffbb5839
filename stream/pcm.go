package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// TextSender is implemented by a Protocol whose far end takes control messages
// of the host's own.
type TextSender interface {
	AppendText(dst []byte, text []byte) []byte
}

// PCM is the protocol for browsers: samples as they are, in binary messages
// both ways, and JSON in text messages.
//
// The client begins with
//
//	{"event":"start","rate":16000,"params":{"name":"value"}}
//
// where rate is 8000, 16000, 24000 or 48000 and params may be missing. After
// that, binary messages are signed 16-bit little-endian samples at that rate. It
// ends with {"event":"stop"} or by closing, and may press keys with
// {"event":"key","digit":"1"}. On {"event":"clear"} it throws away what it has
// not played; {"event":"mark","mark":7} it sends back when it has played all
// that came before. Marks that it clears it forgets. Any other event is the
// host's, in both directions: see Handler.Text and Conn.SendText.
type PCM struct{}

var (
	_ Protocol   = PCM{}
	_ TextSender = PCM{}
)

var pcmTraits = Traits{
	Formats: []audio.Format{
		{Encoding: audio.PCM16, Rate: 16000},
		{Encoding: audio.PCM16, Rate: 8000},
		{Encoding: audio.PCM16, Rate: 24000},
		{Encoding: audio.PCM16, Rate: 48000},
	},
	Binary:     true,
	Packet:     20 * time.Millisecond,
	NeedsStart: true,
	Marks:      true,
	Buffer:     time.Minute,
}

// Traits implements Protocol.
func (PCM) Traits() Traits { return pcmTraits }

// AppendMedia implements Protocol.
func (PCM) AppendMedia(dst []byte, _ string, _ audio.Format, payload []byte) []byte {
	return append(dst, payload...)
}

// AppendMark implements Protocol.
func (PCM) AppendMark(dst []byte, _ string, mark uint32) []byte {
	dst = append(dst, `{"event":"mark","mark":`...)
	dst = strconv.AppendUint(dst, uint64(mark), 10)
	return append(dst, '}')
}

// AppendClear implements Protocol.
func (PCM) AppendClear(dst []byte, _ string) []byte {
	return append(dst, `{"event":"clear"}`...)
}

// AppendText implements TextSender.
func (PCM) AppendText(dst []byte, text []byte) []byte { return append(dst, text...) }

// Decode implements Protocol.
func (PCM) Decode(m *Message, data []byte, binary bool) error {
	if binary {
		if len(data) == 0 || len(data)%2 != 0 {
			return fmt.Errorf("%w: %d bytes of samples", ErrMessage, len(data))
		}
		m.Kind, m.Payload = KindMedia, data
		return nil
	}
	if !json.Valid(data) {
		return fmt.Errorf("%w: not JSON", ErrMessage)
	}
	var f pcmFields
	if !f.scan(data) {
		return fmt.Errorf("%w: no event, or two", ErrMessage)
	}
	switch string(f.event) {
	case `"start"`:
		return decodePCMStart(m, data)
	case `"mark"`:
		n, err := strconv.ParseUint(string(f.mark), 10, 32)
		if err != nil {
			return fmt.Errorf("%w: mark", ErrMessage)
		}
		m.Kind, m.Mark = KindMark, uint32(n)
	case `"key"`:
		if len(f.digit) != 3 || !areKeys(string(f.digit[1:2])) {
			return fmt.Errorf("%w: digit", ErrMessage)
		}
		m.Kind, m.Digit = KindKey, f.digit[1]
	case `"clear"`:
		m.Kind = KindCleared
	case `"stop"`:
		m.Kind = KindStop
	default:
		m.Kind, m.Text = KindText, data
	}
	return nil
}

func decodePCMStart(m *Message, data []byte) error {
	var start struct {
		Rate   int               `json:"rate"`
		Params map[string]string `json:"params"`
	}
	if err := json.Unmarshal(data, &start); err != nil {
		return fmt.Errorf("%w: start: %w", ErrMessage, err)
	}
	m.Kind, m.Params = KindStart, start.Params
	m.Format = audio.Format{Encoding: audio.PCM16, Rate: start.Rate}
	return nil
}

// pcmFields are members of a control message, as they stand there.
type pcmFields struct{ event, mark, digit []byte }

// scan finds them among the members of data, which is valid JSON. It is false
// if there is not exactly one event, a string.
func (f *pcmFields) scan(data []byte) bool {
	data = bytes.TrimSpace(data)
	if data[0] != '{' {
		return false
	}
	i := 1
	for {
		i = skip(data, i, " \t\r\n,")
		if data[i] == '}' {
			return len(f.event) > 0 && f.event[0] == '"'
		}
		name := i
		i = value(data, i)
		key := data[name:i]
		i = skip(data, i, " \t\r\n:")
		begin := i
		i = value(data, i)
		switch v := data[begin:i]; string(key) {
		case `"event"`:
			if f.event != nil {
				return false
			}
			f.event = v
		case `"mark"`:
			f.mark = v
		case `"digit"`:
			f.digit = v
		}
	}
}

func skip(data []byte, i int, set string) int {
	for strings.IndexByte(set, data[i]) >= 0 {
		i++
	}
	return i
}

// value is the end of the JSON value that begins at i.
func value(data []byte, i int) int {
	for depth := 0; ; i++ {
		switch data[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
}
