package streamtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// subject is the browser's protocol, or one that stands in for it.
func subject(p stream.Protocol) Subject {
	text := func(name, data string, want stream.Message) Message {
		return Message{Name: name, Data: []byte(data), Want: want}
	}
	formats := stream.PCM{}.Traits().Formats
	return Subject{
		Protocol: p,
		Messages: []Message{
			text("start", `{"event":"start","rate":16000,"params":{"name":"value"}}`, stream.Message{Kind: stream.KindStart, Format: formats[0]}),
			text("start in another order", `{ "rate" : 8000, "event" : "start" }`, stream.Message{Kind: stream.KindStart, Format: formats[1]}),
			{"samples", []byte{1, 2, 3, 4}, true, stream.Message{Kind: stream.KindMedia, Payload: []byte{1, 2, 3, 4}}},
			text("mark", `{"event":"mark","mark":7}`, stream.Message{Kind: stream.KindMark, Mark: 7}),
			text("key", `{"event":"key","digit":"#"}`, stream.Message{Kind: stream.KindKey, Digit: '#'}),
			text("stop", `{"event":"stop"}`, stream.Message{Kind: stream.KindStop}),
			text("something of the host's", `{"event":"hello","to":[1,{"a":"}"}]}`, stream.Message{Kind: stream.KindText}),
		},
		Bad: []Message{
			text("half", `{"event":"start"`, stream.Message{}),
			text("no event", `{"mark":7}`, stream.Message{}),
			text("two events", `{"event":"stop","event":"key"}`, stream.Message{}),
			text("a mark that is none", `{"event":"mark","mark":"7"}`, stream.Message{}),
			text("a key that is none", `{"event":"key","digit":"x"}`, stream.Message{}),
			{"half a sample", []byte{1, 2, 3}, true, stream.Message{}},
		},
		Far: func(data []byte, binary bool) (Sent, error) {
			if binary {
				return Sent{Kind: stream.KindMedia, Payload: data}, nil
			}
			var m struct {
				Event string
				Mark  uint32
			}
			err := json.Unmarshal(data, &m)
			return Sent{Kind: map[string]stream.Kind{"mark": stream.KindMark, "clear": stream.KindCleared}[m.Event], Mark: m.Mark}, err
		},
	}
}

func TestPCM(t *testing.T) { TestProtocol(t, subject(stream.PCM{})) }

// spoiled is a protocol that breaks a rule.
type spoiled struct {
	stream.PCM
	traits func(*stream.Traits)
	decode func(m *stream.Message, data []byte, binary bool) error
	media  func(dst, payload []byte) []byte
	mark   func(dst []byte, mark uint32) []byte
	clear  func(dst []byte) []byte
}

func (s *spoiled) Traits() stream.Traits {
	t := s.PCM.Traits()
	if s.traits != nil {
		s.traits(&t)
	}
	return t
}

func (s *spoiled) Decode(m *stream.Message, data []byte, binary bool) error {
	if s.decode != nil {
		return s.decode(m, data, binary)
	}
	return s.PCM.Decode(m, data, binary)
}

func (s *spoiled) AppendMedia(dst []byte, id string, f audio.Format, payload []byte) []byte {
	if s.media != nil {
		return s.media(dst, payload)
	}
	return s.PCM.AppendMedia(dst, id, f, payload)
}

func (s *spoiled) AppendMark(dst []byte, id string, mark uint32) []byte {
	if s.mark != nil {
		return s.mark(dst, mark)
	}
	return s.PCM.AppendMark(dst, id, mark)
}

func (s *spoiled) AppendClear(dst []byte, id string) []byte {
	if s.clear != nil {
		return s.clear(dst)
	}
	return s.PCM.AppendClear(dst, id)
}

// verdict is a testing.TB that keeps failures to itself.
type verdict struct {
	testing.TB
	failed bool
}

type stopped struct{}

func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Error(...any)          { v.failed = true }
func (v *verdict) Fatalf(string, ...any) { v.failed = true; panic(stopped{}) }

// A protocol that breaks a rule is found out by it.
func TestBrokenProtocols(t *testing.T) {
	var last []byte
	pcm := stream.PCM{}
	tests := []struct {
		rule string
		p    spoiled
	}{
		{"its traits make sense and are constant", spoiled{traits: func(t *stream.Traits) { t.Packet = time.Second }}},
		{"its traits make sense and are constant", spoiled{traits: func(t *stream.Traits) { t.Formats = nil }}},
		{"genuine messages are read", spoiled{decode: func(m *stream.Message, data []byte, binary bool) error {
			err := pcm.Decode(m, data, binary)
			if m.Kind == stream.KindKey {
				m.Digit = '1'
			}
			return err
		}}},
		{"bad messages are refused", spoiled{decode: func(m *stream.Message, data []byte, binary bool) error {
			_ = pcm.Decode(m, data, binary)
			return nil
		}}},
		{"bad messages are refused", spoiled{decode: func(m *stream.Message, data []byte, binary bool) error {
			if err := pcm.Decode(m, data, binary); err != nil {
				return errors.New("bad")
			}
			return nil
		}}},
		{"no message makes it panic, or says what it cannot", spoiled{decode: func(m *stream.Message, data []byte, binary bool) error {
			err := pcm.Decode(m, data, binary)
			if m.Kind == stream.KindMedia && len(data) == 2 {
				m.Payload = make([]byte, 320)
			}
			return err
		}}},
		{"a message that was read leaves nothing behind", spoiled{decode: func(m *stream.Message, data []byte, binary bool) error {
			if last != nil && !binary && string(data) == `{"event":"stop"}` {
				data = last
			}
			err := pcm.Decode(m, data, binary)
			if m.Kind == stream.KindMark {
				last = data
			}
			return err
		}}},
		{"what it writes is what was meant", spoiled{mark: func(dst []byte, mark uint32) []byte { return pcm.AppendMark(dst, "", mark+1) }}},
		{"what it writes is what was meant", spoiled{media: func(dst, payload []byte) []byte { return append(dst, payload[1:]...) }}},
		{"it appends, and leaves alone what was there", spoiled{clear: func([]byte) []byte { return pcm.AppendClear(nil, "") }}},
		{"reading media and writing cost no allocation", spoiled{media: func(dst, payload []byte) []byte {
			return append(append([]byte(nil), dst...), payload...)
		}}},
	}
	broken := make(map[string]bool)
	for i, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", i, tt.rule), func(t *testing.T) {
			broken[tt.rule] = true
			for _, rule := range protocolRules {
				if rule.name != tt.rule {
					continue
				}
				v := &verdict{TB: t}
				func() {
					defer func() {
						if r := recover(); r != nil && r != (stopped{}) {
							panic(r)
						}
					}()
					rule.check(v, subject(&tt.p))
				}()
				if !v.failed {
					t.Error("nothing was found")
				}
			}
		})
	}
	for _, rule := range protocolRules {
		if !broken[rule.name] {
			t.Errorf("nobody breaks the rule %q", rule.name)
		}
	}
}
