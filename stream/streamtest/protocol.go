// Package streamtest judges media protocols: what implements [stream.Protocol],
// ours and others'.
package streamtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
)

// Subject is a protocol to be judged, and what the suite has to know of its far
// end.
type Subject struct {
	Protocol stream.Protocol

	// Messages are genuine ones from the far end: at least a start, media and,
	// if the protocol has marks, a mark. Where the far end may leave things out
	// or write them differently, there should be one of each.
	Messages []Message
	// Bad are ones that must be refused.
	Bad []Message

	// Far reads what was written for the far end, as the far end would.
	Far func(data []byte, binary bool) (Sent, error)
}

// Message is one from the far end, and what it says.
type Message struct {
	Name   string
	Data   []byte
	Binary bool
	// Want is what it says: its Kind, and those other fields that are not zero.
	Want stream.Message
}

// Sent is what one message tells the far end to do.
type Sent struct {
	Kind     stream.Kind // KindMedia, KindMark, KindCleared (to clear) or KindKey
	StreamID string      // empty if the protocol does not say
	Payload  []byte
	Mark     uint32 // the number that a returned mark of this name would decode to
	Keys     string
}

// TestProtocol judges a protocol. Each subtest is a rule of the contract and has
// its name.
func TestProtocol(t *testing.T, s Subject) {
	for _, rule := range protocolRules {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, s) })
	}
}

var protocolRules = []struct {
	name  string
	check func(t testing.TB, s Subject)
}{
	{"its traits make sense and are constant", traitsMakeSense},
	{"genuine messages are read", messagesAreRead},
	{"bad messages are refused", badMessagesAreRefused},
	{"no message makes it panic, or says what it cannot", garbageIsHarmless},
	{"a message that was read leaves nothing behind", nothingIsLeftBehind},
	{"what it writes is what was meant", writesWhatWasMeant},
	{"it appends, and leaves alone what was there", appends},
	{"reading media and writing cost no allocation", costsNoAllocation},
}

const streamID = "MZ0123456789abcdef0123456789abcdef"

func traitsMakeSense(t testing.TB, s Subject) {
	a, b := s.Protocol.Traits(), s.Protocol.Traits()
	if len(a.Formats) == 0 || !slices.Equal(a.Formats, b.Formats) || a.Packet != b.Packet || a.Buffer != b.Buffer {
		t.Errorf("traits are %+v and then %+v", a, b)
	}
	for _, f := range a.Formats {
		if f.Rate < 4000 || f.Rate > 192000 || f.Bytes(20*time.Millisecond) == 0 {
			t.Errorf("a format is %v", f)
		}
	}
	if a.Packet < 10*time.Millisecond || a.Packet > 200*time.Millisecond {
		t.Errorf("a packet is %v long", a.Packet)
	}
	if a.Buffer != 0 && a.Buffer < time.Second {
		t.Errorf("the far end holds %v", a.Buffer)
	}
}

func decode(s Subject, data []byte, binary bool) (stream.Message, error) {
	var m stream.Message
	m.Reset()
	err := s.Protocol.Decode(&m, data, binary)
	return m, err
}

func messagesAreRead(t testing.TB, s Subject) {
	seen := make(map[stream.Kind]bool)
	for _, m := range s.Messages {
		got, err := decode(s, bytes.Clone(m.Data), m.Binary)
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		seen[got.Kind] = true
		if diff := difference(m.Want, got); diff != "" {
			t.Errorf("%s: %s", m.Name, diff)
		}
		if got.Kind == stream.KindStart && !slices.Contains(s.Protocol.Traits().Formats, got.Format) {
			t.Errorf("%s: starts with %v, which is none of its formats", m.Name, got.Format)
		}
	}
	for kind, needed := range map[stream.Kind]bool{
		stream.KindStart: true, stream.KindMedia: true, stream.KindMark: s.Protocol.Traits().Marks,
	} {
		if needed && !seen[kind] {
			t.Errorf("there is no message of kind %d to judge by", kind)
		}
	}
}

// difference compares Kind and the fields of want that are not zero.
func difference(want, got stream.Message) string {
	switch {
	case want.Kind != got.Kind:
		return fmt.Sprintf("kind is %d, want %d", got.Kind, want.Kind)
	case want.StreamID != "" && want.StreamID != got.StreamID:
		return fmt.Sprintf("stream is %q, want %q", got.StreamID, want.StreamID)
	case want.CallID != "" && want.CallID != got.CallID:
		return fmt.Sprintf("call is %q, want %q", got.CallID, want.CallID)
	case want.Format != (audio.Format{}) && want.Format != got.Format:
		return fmt.Sprintf("format is %v, want %v", got.Format, want.Format)
	case want.Payload != nil && !bytes.Equal(want.Payload, got.Payload):
		return fmt.Sprintf("payload is % x, want % x", got.Payload, want.Payload)
	case want.Sequence != 0 && want.Sequence != got.Sequence:
		return fmt.Sprintf("sequence is %d, want %d", got.Sequence, want.Sequence)
	case want.Timestamp != 0 && want.Timestamp != got.Timestamp:
		return fmt.Sprintf("timestamp is %v, want %v", got.Timestamp, want.Timestamp)
	case want.Digit != 0 && want.Digit != got.Digit:
		return fmt.Sprintf("digit is %q, want %q", got.Digit, want.Digit)
	case want.Mark != 0 && want.Mark != got.Mark:
		return fmt.Sprintf("mark is %d, want %d", got.Mark, want.Mark)
	}
	return ""
}

func badMessagesAreRefused(t testing.TB, s Subject) {
	for _, m := range append(s.Bad, Message{Name: "nothing"}) {
		if got, err := decode(s, bytes.Clone(m.Data), m.Binary); !errors.Is(err, stream.ErrMessage) {
			t.Errorf("%s: read as kind %d, %v; want ErrMessage", m.Name, got.Kind, err)
		}
	}
}

// garbageIsHarmless changes, cuts and mixes genuine messages.
func garbageIsHarmless(t testing.TB, s Subject) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		m := s.Messages[rnd.IntN(len(s.Messages))]
		data := bytes.Clone(m.Data)
		for range rnd.IntN(4) {
			if len(data) == 0 {
				break
			}
			switch i := rnd.IntN(len(data)); rnd.IntN(4) {
			case 0:
				data[i] = byte(rnd.Uint32())
			case 1:
				data = data[:i]
			case 2:
				data = slices.Insert(data, i, data[:rnd.IntN(len(data))]...)
			default:
				data = slices.Delete(data, i, min(len(data), i+1+rnd.IntN(8)))
			}
		}
		shown := bytes.Clone(data)
		got, err := decode(s, data, m.Binary)
		if err != nil {
			if !errors.Is(err, stream.ErrMessage) {
				t.Fatalf("%q: the error %v does not wrap ErrMessage", shown, err)
			}
			continue
		}
		if problem := impossible(got, len(shown)); problem != "" {
			t.Fatalf("%q: %s", shown, problem)
		}
	}
}

func impossible(m stream.Message, size int) string {
	switch {
	case m.Kind > stream.KindText:
		return fmt.Sprintf("kind is %d", m.Kind)
	case len(m.Payload) > size:
		return "the payload is longer than the message"
	case m.Kind == stream.KindKey && !bytes.ContainsRune([]byte("0123456789*#ABCD"), rune(m.Digit)):
		return fmt.Sprintf("the key is %q", m.Digit)
	case m.Sequence < -1 || m.Chunk < -1:
		return fmt.Sprintf("sequence %d, chunk %d", m.Sequence, m.Chunk)
	}
	return ""
}

// nothingIsLeftBehind reads all messages one after the other into one Message.
func nothingIsLeftBehind(t testing.TB, s Subject) {
	var m stream.Message
	for _, before := range s.Messages {
		for _, after := range s.Messages {
			m.Reset()
			_ = s.Protocol.Decode(&m, bytes.Clone(before.Data), before.Binary)
			m.Reset()
			err := s.Protocol.Decode(&m, bytes.Clone(after.Data), after.Binary)
			if diff := difference(after.Want, m); err != nil || diff != "" {
				t.Errorf("%s after %s: %v %s", after.Name, before.Name, err, diff)
			}
		}
	}
}

func writesWhatWasMeant(t testing.TB, s Subject) {
	p, rnd := s.Protocol, rand.New(rand.NewPCG(5, 6))
	read := func(what string, data []byte) Sent {
		sent, err := s.Far(data, what == "media" && p.Traits().Binary)
		if err != nil {
			t.Errorf("%s: the far end cannot read %q: %v", what, data, err)
		}
		if sent.StreamID != "" && sent.StreamID != streamID {
			t.Errorf("%s: to stream %q", what, sent.StreamID)
		}
		return sent
	}
	for _, f := range p.Traits().Formats {
		for range 50 {
			payload := make([]byte, f.Bytes(p.Traits().Packet))
			for i := range payload {
				payload[i] = byte(rnd.Uint32())
			}
			if sent := read("media", p.AppendMedia(nil, streamID, f, payload)); sent.Kind != stream.KindMedia || !bytes.Equal(sent.Payload, payload) {
				t.Errorf("media in %v arrives as kind %d, %d bytes", f, sent.Kind, len(sent.Payload))
			}
		}
	}
	if p.Traits().Marks {
		for _, mark := range []uint32{0, 1, 9, 10, 99_999, 1<<32 - 1} {
			if sent := read("mark", p.AppendMark(nil, streamID, mark)); sent.Kind != stream.KindMark || sent.Mark != mark {
				t.Errorf("mark %d arrives as kind %d, mark %d", mark, sent.Kind, sent.Mark)
			}
		}
	}
	if sent := read("clear", p.AppendClear(nil, streamID)); sent.Kind != stream.KindCleared {
		t.Errorf("a clear arrives as kind %d", sent.Kind)
	}
	if k, ok := p.(stream.KeySender); ok {
		if sent := read("keys", k.AppendKeys(nil, streamID, "12*#")); sent.Kind != stream.KindKey || sent.Keys != "12*#" {
			t.Errorf("keys arrive as kind %d, %q", sent.Kind, sent.Keys)
		}
	}
}

func appends(t testing.TB, s Subject) {
	p, f := s.Protocol, s.Protocol.Traits().Formats[0]
	payload := make([]byte, f.Bytes(p.Traits().Packet))
	for name, write := range map[string]func(dst []byte) []byte{
		"media": func(dst []byte) []byte { return p.AppendMedia(dst, streamID, f, payload) },
		"mark":  func(dst []byte) []byte { return p.AppendMark(dst, streamID, 7) },
		"clear": func(dst []byte) []byte { return p.AppendClear(dst, streamID) },
	} {
		alone := write(nil)
		after := write([]byte("before"))
		if string(after) != "before"+string(alone) {
			t.Errorf("%s after something else is %q, alone %q", name, after, alone)
		}
	}
}

func costsNoAllocation(t testing.TB, s Subject) {
	p, f := s.Protocol, s.Protocol.Traits().Formats[0]
	payload := make([]byte, f.Bytes(p.Traits().Packet))
	buf := make([]byte, 0, 64<<10)
	for name, do := range map[string]func(){
		"AppendMedia": func() { buf = p.AppendMedia(buf[:0], streamID, f, payload) },
		"AppendMark":  func() { buf = p.AppendMark(buf[:0], streamID, 4_000_000_000) },
		"AppendClear": func() { buf = p.AppendClear(buf[:0], streamID) },
	} {
		if n := testing.AllocsPerRun(100, do); n > 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	var m stream.Message
	for _, message := range s.Messages {
		if message.Want.Kind != stream.KindMedia {
			continue
		}
		data := make([]byte, len(message.Data))
		if n := testing.AllocsPerRun(100, func() {
			copy(data, message.Data)
			m.Reset()
			_ = p.Decode(&m, data, message.Binary)
		}); n > 0 {
			t.Errorf("Decode of %q allocates %v times", message.Name, n)
		}
	}
}
