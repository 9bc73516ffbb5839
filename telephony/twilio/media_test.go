package twilio

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/jsonscan"
	"github.com/switchboard-voice/switchboard/internal/jsonscan/jsontest"
	"github.com/switchboard-voice/switchboard/stream"
)

type namedMessage struct {
	Name    string
	Message json.RawMessage
	Raw     string
	Hex     string
	Frame   string
}

func decode(data string) (stream.Message, error) {
	var m stream.Message
	m.Reset()
	err := new(Provider).Decode(&m, []byte(data), false)
	return m, err
}

func capturedMessages(t testing.TB) map[string]string {
	var file struct {
		From []namedMessage `json:"twilio_to_server"`
	}
	readFixture(t, "stream_messages.json", &file)
	messages := make(map[string]string)
	for _, m := range file.From {
		messages[m.Name] = jsontest.Compact(t, m.Message)
	}
	return messages
}

func TestCapturedMessages(t *testing.T) {
	message := func(change func(m *stream.Message)) stream.Message {
		var m stream.Message
		m.Reset()
		change(&m)
		return m
	}
	start := func(params map[string]string) stream.Message {
		return message(func(m *stream.Message) {
			m.Kind, m.Sequence, m.Format = stream.KindStart, 1, audio.Telephone
			m.StreamID, m.CallID, m.AccountID, m.Params = testStream, testCall, testAccount, params
		})
	}
	media := func(sequence, chunk int64, at time.Duration, track audio.Track) stream.Message {
		return message(func(m *stream.Message) {
			m.Kind, m.Sequence, m.Chunk, m.Timestamp, m.Track = stream.KindMedia, sequence, chunk, at, track
		})
	}
	key := func(sequence int64, digit byte) stream.Message {
		return message(func(m *stream.Message) { m.Kind, m.Sequence, m.Digit = stream.KindKey, sequence, digit })
	}
	want := map[string]stream.Message{
		"connected":               message(func(*stream.Message) {}),
		"start":                   start(map[string]string{"agent": "sales", "call_ref": "c-42"}),
		"start_both_tracks":       start(nil),
		"media_inbound":           media(3, 1, 5*time.Millisecond, audio.Inbound),
		"media_inbound_long_call": media(926, 925, 18553*time.Millisecond, audio.Inbound),
		"media_outbound":          media(4, 1, 5*time.Millisecond, audio.Outbound),
		"dtmf":                    key(5, '1'),
		"dtmf_hash":               key(6, '#'),
		"mark_echo":               message(func(m *stream.Message) { m.Sequence = 7 }),
		"stop":                    message(func(m *stream.Message) { m.Kind, m.Sequence = stream.KindStop, 8 }),
		"unknown_future_event":    message(func(m *stream.Message) { m.Sequence = 9 }),
	}
	captured := capturedMessages(t)
	if len(captured) != len(want) {
		t.Errorf("%d captured messages, %d expectations", len(captured), len(want))
	}
	for name, raw := range captured {
		// As Twilio writes it, with white space, and with the names in reverse.
		for form, text := range jsontest.Forms(t, raw) {
			t.Run(name+" "+form, func(t *testing.T) {
				got, err := decode(text)
				if err != nil {
					t.Fatal(err)
				}
				if want := want[name]; want.Kind == stream.KindMedia {
					if wantPayload := jsontest.Payload(t, raw); !bytes.Equal(got.Payload, wantPayload) || len(wantPayload) != 160 {
						t.Errorf("payload is %x, want %x", got.Payload, wantPayload)
					}
					got.Payload = nil
				}
				if diff := cmp.Diff(want[name], got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

func TestOddMessages(t *testing.T) {
	var file struct {
		From []namedMessage `json:"twilio_to_server"`
	}
	readFixture(t, "stream_bad_messages.json", &file)
	// What is about order, the stream decides; here a message stands alone.
	legal := map[string]stream.Kind{
		"media_before_start":         stream.KindMedia,
		"start_without_connected":    stream.KindStart,
		"numbers_instead_of_strings": stream.KindMedia,
		"escaped_slashes":            stream.KindMedia,
		"sequence_gap":               stream.KindMedia,
		"second_start":               stream.KindStart,
	}
	for _, odd := range file.From {
		t.Run(odd.Name, func(t *testing.T) {
			data, binary := []byte(odd.Raw), odd.Frame == "binary"
			if binary {
				data, _ = hex.DecodeString(odd.Hex)
			}
			var m stream.Message
			m.Reset()
			err := new(Provider).Decode(&m, data, binary)
			kind, ok := legal[odd.Name]
			if ok != (err == nil) || ok && m.Kind != kind {
				t.Fatalf("kind %v, error %v", m.Kind, err)
			}
			if err != nil && !errors.Is(err, stream.ErrMessage) {
				t.Errorf("%v is not ErrMessage", err)
			}
			if m.Kind == stream.KindMedia && !bytes.Equal(m.Payload, jsontest.Payload(t, odd.Raw)) {
				t.Errorf("payload is %x", m.Payload)
			}
			if odd.Name == "numbers_instead_of_strings" && (m.Sequence != 9 || m.Chunk != 9 || m.Timestamp != 160*time.Millisecond) {
				t.Errorf("read %+v", m)
			}
		})
	}
}

const (
	usualStart = `{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},"streamSid":"MZ1"}`
	usualMedia = `{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"AAECAw=="},"streamSid":"MZ1"}`
)

func TestBadMessagesAreErrMessage(t *testing.T) {
	all := jsontest.Bad(usualMedia)
	maps.Copy(all, map[string]string{
		"a negative sequence number":         jsontest.Swap(usualMedia, `"3"`, `-3`),
		"a sequence number that is no count": jsontest.Swap(usualMedia, `"3"`, `"3.0"`),
		"an empty sequence number":           jsontest.Swap(usualMedia, `"3"`, `""`),
		"a huge sequence number":             jsontest.Swap(usualMedia, `"3"`, `"1000000000000000000"`),
		"a mark that is a string":            `{"event":"mark","mark":"1"}`,
		"a mark whose name is a number":      `{"event":"mark","mark":{"name":1}}`,
		"no mark":                            `{"event":"mark"}`,
		"a mark with two names":              `{"event":"mark","mark":{"name":"1","name":"2"}}`,
		"start of linear audio":              jsontest.Swap(usualStart, "audio/x-mulaw", "audio/x-l16"),
		"start of a wide band":               jsontest.Swap(usualStart, "8000", "16000"),
		"start of two channels":              jsontest.Swap(usualStart, `"channels":1`, `"channels":2`),
		"start without a format":             jsontest.Swap(usualStart, `"mediaFormat"`, `"format"`),
		"start without a stream":             jsontest.Swap(usualStart, `"streamSid"`, `"stream"`),
		"start without a call":               jsontest.Swap(usualStart, `"callSid"`, `"call"`),
		"start without an account":           jsontest.Swap(usualStart, `"accountSid"`, `"account"`),
		"start with a quote in its id":       strings.ReplaceAll(usualStart, `"MZ1"`, `"MZ\"1"`),
		"start with a very long id":          strings.ReplaceAll(usualStart, `"MZ1"`, `"`+strings.Repeat("M", 65)+`"`),
		"start with two ids":                 jsontest.Swap(usualStart, `"MZ1"`, `"MZ2"`),
		"start with a parameter of a number": jsontest.Swap(usualStart, `"customParameters":{}`, `"customParameters":{"a":1}`),
		"start with a parameter twice":       jsontest.Swap(usualStart, `"customParameters":{}`, `"customParameters":{"a":"1","a":"2"}`),
		"start with a very long parameter":   jsontest.Swap(usualStart, `"customParameters":{}`, `"customParameters":{"a":"`+strings.Repeat("x", 501)+`"}`),
		"start with 33 parameters":           jsontest.Swap(usualStart, `"customParameters":{}`, `"customParameters":`+manyParams(33)),
	})
	for name, text := range all {
		t.Run(name, func(t *testing.T) {
			if m, err := decode(text); !errors.Is(err, stream.ErrMessage) {
				t.Errorf("decoded to %+v, error %v; want ErrMessage", m, err)
			}
		})
	}
}

func manyParams(n int) string {
	params := make(map[string]string)
	for i := range n {
		params[strconv.Itoa(i)] = "x"
	}
	b, _ := json.Marshal(params)
	return string(b)
}

func TestUnusualButLegalMessages(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		kind stream.Kind
	}{
		"escapes in names and events":    {`{"\u0065vent":"\u006dedia","media":{"p\u0061yload":"AA\u0045CAw\u003d\u003d"}}`, stream.KindMedia},
		"event at the end":               {`{"mark":{"name":"7"},"event":"mark"}`, stream.KindMark},
		"names in another case":          {`{"event":"stop","Event":"media","EVENT":1}`, stream.KindStop},
		"an unknown name twice":          {`{"event":"stop","x":1,"x":[{"y":null}]}`, stream.KindStop},
		"a key that is a number":         {`{"event":"dtmf","dtmf":{"digit":9}}`, stream.KindKey},
		"sixteen levels":                 {`{"event":"x","x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, stream.KindIgnored},
		"a mark of somebody else":        {`{"event":"mark","mark":{"name":"greeting-end"}}`, stream.KindIgnored},
		"a mark with a leading zero":     {`{"event":"mark","mark":{"name":"07"}}`, stream.KindIgnored},
		"a mark beyond 32 bits":          {`{"event":"mark","mark":{"name":"4294967296"}}`, stream.KindIgnored},
		"parameters that are null":       {strings.Replace(usualStart, `"customParameters":{}`, `"customParameters":null`, 1), stream.KindStart},
		"32 parameters":                  {strings.Replace(usualStart, `"customParameters":{}`, `"customParameters":`+manyParams(32), 1), stream.KindStart},
		"start without the outer stream": {strings.Replace(usualStart, `,"streamSid":"MZ1"}`, `}`, 1), stream.KindStart},
		"rate and channels as strings":   {strings.NewReplacer(`8000`, `"8000"`, `"channels":1`, `"channels":"1"`).Replace(usualStart), stream.KindStart},
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := decode(tt.text); err != nil || m.Kind != tt.kind {
				t.Errorf("kind %v, error %v; want kind %v", m.Kind, err, tt.kind)
			}
		})
	}
}

func TestEscapesInParameters(t *testing.T) {
	want := map[string]string{"a \"b\"\\/\b\f\n\r\t": "é𝄞\uFFFD!", "": "x\uFFFDy"}
	params := `{"a \"b\"\\\/\b\f\n\r\t":"\u00e9\ud834\udd1e\ud834!","":"x` + "\xff" + `y"}`
	m, err := decode(strings.Replace(usualStart, `"customParameters":{}`, `"customParameters":`+params, 1))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, m.Params); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWrittenMessagesAreTheDocumentedOnes(t *testing.T) {
	var file struct {
		To []namedMessage `json:"server_to_twilio"`
	}
	readFixture(t, "stream_messages.json", &file)
	p := new(Provider)
	for _, m := range file.To {
		t.Run(m.Name, func(t *testing.T) {
			want := jsontest.Compact(t, m.Message)
			var got []byte
			switch m.Name {
			case "media":
				got = p.AppendMedia([]byte("x"), testStream, audio.Telephone, jsontest.Payload(t, want))
			case "mark":
				got = p.AppendMark([]byte("x"), testStream, 42)
				want = strings.Replace(want, "greeting-end", "42", 1)
			case "clear":
				got = p.AppendClear([]byte("x"), testStream)
			default:
				t.Fatal("nothing writes this")
			}
			if string(got) != "x"+want {
				t.Errorf("got  %s\nwant x%s", got, want)
			}
		})
	}
}

func TestMarksComeBack(t *testing.T) {
	for _, mark := range []uint32{0, 1, 10, math.MaxUint32} {
		m, err := decode(string(new(Provider).AppendMark(nil, testStream, mark)))
		if err != nil || m.Kind != stream.KindMark || m.Mark != mark {
			t.Errorf("mark %d came back as %+v, %v", mark, m, err)
		}
	}
}

func TestHostileStreamIDStaysInItsString(t *testing.T) {
	id := "\"},\"x\":{\"\\\n\x00"
	for _, b := range [][]byte{
		new(Provider).AppendMedia(nil, id, audio.Telephone, []byte{1}),
		new(Provider).AppendMark(nil, id, 1),
		new(Provider).AppendClear(nil, id),
	} {
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil || m["streamSid"] != id || m["x"] != nil {
			t.Errorf("%s reads as %v, %v", b, m, err)
		}
	}
}

func TestMediaPathDoesNotAllocate(t *testing.T) {
	captured := capturedMessages(t)
	p := new(Provider)
	var m stream.Message
	buffer := make([]byte, 0, 1024)
	payload := make([]byte, 160)
	for name, do := range map[string]func(){
		"media":              decoding(p, &m, captured["media_inbound"]),
		"media in any order": decoding(p, &m, jsontest.Reverse(t, captured["media_inbound"])),
		"escaped media":      decoding(p, &m, strings.ReplaceAll(captured["media_inbound"], "/", `\/`)),
		"mark":               decoding(p, &m, `{"event":"mark","sequenceNumber":"4","streamSid":"MZ1","mark":{"name":"7"}}`),
		"dtmf":               decoding(p, &m, captured["dtmf"]),
		"stop":               decoding(p, &m, captured["stop"]),
		"nonsense":           decoding(p, &m, captured["media_inbound"]+"x"),
		"append media":       func() { p.AppendMedia(buffer, testStream, audio.Telephone, payload) },
		"append mark":        func() { p.AppendMark(buffer, testStream, 42) },
		"append clear":       func() { p.AppendClear(buffer, testStream) },
		"traits":             func() { p.Traits() },
	} {
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func decoding(p *Provider, m *stream.Message, text string) func() {
	data := make([]byte, len(text))
	return func() {
		copy(data, text)
		m.Reset()
		p.Decode(m, data, false)
	}
}

// FuzzDecode compares with a decoder made of encoding/json's tokens.
func FuzzDecode(f *testing.F) {
	for _, raw := range capturedMessages(f) {
		f.Add([]byte(raw))
		f.Add([]byte(jsontest.Reverse(f, raw)))
	}
	f.Add([]byte(usualStart))
	f.Add([]byte(strings.ReplaceAll(usualMedia, "AAECAw==", `\/\/8=`)))
	f.Add([]byte(`{"event":"mark","mark":{"name":"7"},"x":[1.5e-3,true,false,null,{"a":"\ud834\udd1e"}]}`))
	f.Add([]byte(`{"event":"dtmf","dtmf":{"digit":"#"}}`))
	f.Add([]byte(`{"event":"media","event":"stop"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, wantErr := decodeReference(data)
		got, err := decode(string(data))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: error %v, reference %v", data, err, wantErr)
		}
		if err == nil && (got.Kind != want.Kind || !bytes.Equal(got.Payload, want.Payload) || got.Sequence != want.Sequence ||
			got.Mark != want.Mark || got.Digit != want.Digit || got.StreamID != want.StreamID) {
			t.Fatalf("%q: %+v, reference %+v", data, got, want)
		}
	})
}

// decodeReference is what Decode should do, as plainly as can be said.
func decodeReference(data []byte) (m stream.Message, err error) {
	m.Reset()
	fail := fmt.Errorf("bad")
	top, err := jsontest.Members(data)
	if err != nil {
		return m, err
	}
	event, err := top.Text("event", false)
	if err != nil || event == "" {
		return m, fail
	}
	if _, err := top.Text("streamSid", true); err != nil {
		return m, err
	}
	if m.Sequence, err = top.Count("sequenceNumber"); err != nil {
		return m, err
	}
	for _, name := range []string{"media", "start", "mark", "dtmf"} {
		if len(top[name]) > 1 {
			return m, fail
		}
	}
	inner := jsontest.Object{}
	switch event {
	case "media", "start", "mark", "dtmf":
		if len(top[event]) != 1 {
			return m, fail
		}
		if inner, err = jsontest.Members(top[event][0]); err != nil {
			return m, err
		}
	}
	switch event {
	case "stop":
		m.Kind = stream.KindStop
	case "mark":
		name, err := inner.Text("name", true)
		if err != nil {
			return m, err
		}
		jsontest.Mark(&m, name)
	case "dtmf":
		err = jsontest.Key(&m, inner)
		return m, err
	case "media":
		err = jsontest.Media(&m, inner)
		return m, err
	case "start":
		var ids [3]string
		for i, name := range []string{"accountSid", "streamSid", "callSid"} {
			if ids[i], err = inner.Text(name, false); err != nil || !jsonscan.IsSafeID([]byte(ids[i])) {
				return m, fail
			}
		}
		if outer, _ := top.Text("streamSid", true); len(top["streamSid"]) > 0 && outer != ids[1] {
			return m, fail
		}
		if len(inner["mediaFormat"]) != 1 {
			return m, fail
		}
		format, err := jsontest.Members(inner["mediaFormat"][0])
		if err != nil {
			return m, err
		}
		encoding, err1 := format.Text("encoding", false)
		rate, err2 := format.Count("sampleRate")
		channels, err3 := format.Count("channels")
		if err1 != nil || err2 != nil || err3 != nil || encoding != "audio/x-mulaw" || rate != 8000 || channels != 1 {
			return m, fail
		}
		if len(inner["customParameters"]) > 1 {
			return m, fail
		}
		if len(inner["customParameters"]) == 1 && strings.TrimSpace(string(inner["customParameters"][0])) != "null" {
			params, err := jsontest.Members(inner["customParameters"][0])
			if err != nil || len(params) > jsonscan.MaxParams {
				return m, fail
			}
			for name := range params {
				if value, err := params.Text(name, false); err != nil || len(name) > jsonscan.MaxParam || len(value) > jsonscan.MaxParam {
					return m, fail
				}
			}
		}
		m.Kind, m.StreamID = stream.KindStart, ids[1]
	}
	return m, nil
}
