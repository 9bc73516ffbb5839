package twilio

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/jsonscan"
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

func compacted(t testing.TB, b []byte) string {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func capturedMessages(t testing.TB) map[string]string {
	var file struct {
		From []namedMessage `json:"twilio_to_server"`
	}
	readFixture(t, "stream_messages.json", &file)
	messages := make(map[string]string)
	for _, m := range file.From {
		messages[m.Name] = compacted(t, m.Message)
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
		for form, text := range map[string]string{
			"compact": raw, "indented": indented(t, raw), "reversed": reversed(t, raw),
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				got, err := decode(text)
				if err != nil {
					t.Fatal(err)
				}
				if want := want[name]; want.Kind == stream.KindMedia {
					if wantPayload := payloadOf(t, raw); !bytes.Equal(got.Payload, wantPayload) || len(wantPayload) != 160 {
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

func payloadOf(t testing.TB, raw string) []byte {
	var m struct{ Media struct{ Payload []byte } }
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		t.Fatal(err)
	}
	return m.Media.Payload
}

func indented(t testing.TB, raw string) string {
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(raw), "\r\n", "\t "); err != nil {
		t.Fatal(err)
	}
	return " \n" + out.String() + "\n"
}

// reversed writes the members of all objects in the opposite order.
func reversed(t testing.TB, raw string) string {
	d := json.NewDecoder(strings.NewReader(raw))
	var value func() string
	value = func() string {
		token, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		delim, ok := token.(json.Delim)
		if !ok {
			b, _ := json.Marshal(token)
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
		d.Token()
		if delim == '[' {
			return "[" + strings.Join(parts, ",") + "]"
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return value()
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
			if m.Kind == stream.KindMedia && !bytes.Equal(m.Payload, payloadOf(t, odd.Raw)) {
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
	swap := func(in, from, to string) string {
		if !strings.Contains(in, from) {
			panic(from)
		}
		return strings.Replace(in, from, to, 1)
	}
	for name, text := range map[string]string{
		"nothing":                            "",
		"white space":                        " \n",
		"an array":                           "[1,2,3]",
		"a string":                           `"event"`,
		"a truncated message":                usualMedia[:len(usualMedia)-1],
		"something behind the message":       usualMedia + "{}",
		"a NUL behind the message":           usualMedia + "\x00",
		"a trailing comma":                   `{"event":"stop",}`,
		"no comma":                           `{"event":"stop" "a":1}`,
		"no colon":                           `{"event" "stop"}`,
		"a name without quotes":              `{event:"stop"}`,
		"no event":                           `{"sequenceNumber":"1"}`,
		"an empty event":                     `{"event":""}`,
		"an event that is a number":          `{"event":1}`,
		"an event that is null":              `{"event":null}`,
		"event twice":                        `{"event":"stop","event":"media"}`,
		"event twice, once escaped":          `{"event":"stop","\u0065vent":"stop"}`,
		"a control character in a string":    "{\"event\":\"st\nop\"}",
		"an unknown escape":                  `{"event":"st\op"}`,
		"half an escape":                     `{"event":"st\u00"}`,
		"an escape at the end":               `{"event":"stop\`,
		"a number with a leading zero":       `{"event":"stop","x":01}`,
		"a number without digits":            `{"event":"stop","x":-}`,
		"a number with an empty fraction":    `{"event":"stop","x":1.}`,
		"a number with an empty exponent":    `{"event":"stop","x":1e+}`,
		"a misspelt literal":                 `{"event":"stop","x":nul}`,
		"nested too deep":                    `{"event":"x","x":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`,
		"nested much too deep":               `{"event":"x","x":` + strings.Repeat("[", 1<<20),
		"a negative sequence number":         swap(usualMedia, `"3"`, `-3`),
		"a sequence number that is no count": swap(usualMedia, `"3"`, `"3.0"`),
		"an empty sequence number":           swap(usualMedia, `"3"`, `""`),
		"a huge sequence number":             swap(usualMedia, `"3"`, `"1000000000000000000"`),
		"a huge timestamp":                   swap(usualMedia, `"5"`, `"99999999999999"`),
		"a track that is neither":            swap(usualMedia, `"inbound"`, `"both"`),
		"media that is null":                 `{"event":"media","media":null}`,
		"media that is a string":             `{"event":"media","media":"AAAA"}`,
		"no media":                           `{"event":"media"}`,
		"media without payload":              `{"event":"media","media":{}}`,
		"an empty payload":                   swap(usualMedia, "AAECAw==", ""),
		"payload that is a number":           swap(usualMedia, `"AAECAw=="`, "1"),
		"payload twice":                      swap(usualMedia, `"payload"`, `"payload":"AAAA","payload"`),
		"payload that is no base64":          swap(usualMedia, "AAECAw==", "!!!!"),
		"payload without padding":            swap(usualMedia, "AAECAw==", "AAECAw"),
		"payload with half the padding":      swap(usualMedia, "AAECAw==", "AAECAw="),
		"payload with bits behind its end":   swap(usualMedia, "AAECAw==", "AAECAx=="),
		"payload with an escaped line break": swap(usualMedia, "AAECAw==", `AAEC\nAw==`),
		"payload with a bare line break":     swap(usualMedia, "AAECAw==", "AAEC\r\n\r\nAw=="),
		"payload that ends in line breaks":   swap(usualMedia, "AAECAw==", "AAEC\r\n\r\n"),
		"payload of the URL alphabet":        swap(usualMedia, "AAECAw==", "_-_-"),
		"padding in the middle":              swap(usualMedia, "AAECAw==", "AA==AAAA"),
		"only padding":                       swap(usualMedia, "AAECAw==", "===="),
		"a mark that is a string":            `{"event":"mark","mark":"1"}`,
		"a mark whose name is a number":      `{"event":"mark","mark":{"name":1}}`,
		"no mark":                            `{"event":"mark"}`,
		"a mark with two names":              `{"event":"mark","mark":{"name":"1","name":"2"}}`,
		"a key of two":                       `{"event":"dtmf","dtmf":{"digit":"12"}}`,
		"a key that is none":                 `{"event":"dtmf","dtmf":{"digit":"x"}}`,
		"no key":                             `{"event":"dtmf","dtmf":{}}`,
		"start of linear audio":              swap(usualStart, "audio/x-mulaw", "audio/x-l16"),
		"start of a wide band":               swap(usualStart, "8000", "16000"),
		"start of two channels":              swap(usualStart, `"channels":1`, `"channels":2`),
		"start without a format":             swap(usualStart, `"mediaFormat"`, `"format"`),
		"start without a stream":             swap(usualStart, `"streamSid"`, `"stream"`),
		"start without a call":               swap(usualStart, `"callSid"`, `"call"`),
		"start without an account":           swap(usualStart, `"accountSid"`, `"account"`),
		"start with a quote in its id":       strings.ReplaceAll(usualStart, `"MZ1"`, `"MZ\"1"`),
		"start with a very long id":          strings.ReplaceAll(usualStart, `"MZ1"`, `"`+strings.Repeat("M", 65)+`"`),
		"start with two ids":                 swap(usualStart, `"MZ1"`, `"MZ2"`),
		"start with a parameter of a number": swap(usualStart, `"customParameters":{}`, `"customParameters":{"a":1}`),
		"start with a parameter twice":       swap(usualStart, `"customParameters":{}`, `"customParameters":{"a":"1","a":"2"}`),
		"start with a very long parameter":   swap(usualStart, `"customParameters":{}`, `"customParameters":{"a":"`+strings.Repeat("x", 501)+`"}`),
		"start with 33 parameters":           swap(usualStart, `"customParameters":{}`, `"customParameters":`+manyParams(33)),
	} {
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
			want := compacted(t, m.Message)
			var got []byte
			switch m.Name {
			case "media":
				got = p.AppendMedia([]byte("x"), testStream, audio.Telephone, payloadOf(t, want))
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
		"media in any order": decoding(p, &m, reversed(t, captured["media_inbound"])),
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
		f.Add([]byte(reversed(f, raw)))
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
	top, err := members(data)
	if err != nil {
		return m, err
	}
	event, err := top.text("event", false)
	if err != nil || event == "" {
		return m, fail
	}
	if _, err := top.text("streamSid", true); err != nil {
		return m, err
	}
	if m.Sequence, err = top.count("sequenceNumber"); err != nil {
		return m, err
	}
	for _, name := range []string{"media", "start", "mark", "dtmf"} {
		if len(top[name]) > 1 {
			return m, fail
		}
	}
	inner := object{}
	switch event {
	case "media", "start", "mark", "dtmf":
		if len(top[event]) != 1 {
			return m, fail
		}
		if inner, err = members(top[event][0]); err != nil {
			return m, err
		}
	}
	switch event {
	case "stop":
		m.Kind = stream.KindStop
	case "mark":
		name, err := inner.text("name", true)
		if err != nil {
			return m, err
		}
		if n, err := strconv.ParseUint(name, 10, 32); err == nil && strconv.FormatUint(n, 10) == name {
			m.Kind, m.Mark = stream.KindMark, uint32(n)
		}
	case "dtmf":
		if len(inner["digit"]) != 1 {
			return m, fail
		}
		var digit string
		if json.Unmarshal(inner["digit"][0], &digit) != nil {
			digit = string(inner["digit"][0])
		}
		if len(digit) != 1 || !strings.Contains("0123456789*#ABCD", digit) {
			return m, fail
		}
		m.Kind, m.Digit = stream.KindKey, digit[0]
	case "media":
		payload, err := inner.text("payload", false)
		if err != nil {
			return m, err
		}
		track, err := inner.text("track", true)
		if err != nil || track != "" && track != "inbound" && track != "outbound" || len(inner["track"]) > 0 && track == "" {
			return m, fail
		}
		if _, err = inner.count("chunk"); err != nil {
			return m, err
		}
		if at, err := inner.count("timestamp"); err != nil || at > jsonscan.MaxMillis {
			return m, fail
		}
		m.Payload, err = base64.StdEncoding.DecodeString(payload)
		if err != nil || len(m.Payload) == 0 || base64.StdEncoding.EncodeToString(m.Payload) != payload {
			return m, fail
		}
		m.Kind = stream.KindMedia
	case "start":
		var ids [3]string
		for i, name := range []string{"accountSid", "streamSid", "callSid"} {
			if ids[i], err = inner.text(name, false); err != nil || !jsonscan.IsSafeID([]byte(ids[i])) {
				return m, fail
			}
		}
		if outer, _ := top.text("streamSid", true); len(top["streamSid"]) > 0 && outer != ids[1] {
			return m, fail
		}
		if len(inner["mediaFormat"]) != 1 {
			return m, fail
		}
		format, err := members(inner["mediaFormat"][0])
		if err != nil {
			return m, err
		}
		encoding, err1 := format.text("encoding", false)
		rate, err2 := format.count("sampleRate")
		channels, err3 := format.count("channels")
		if err1 != nil || err2 != nil || err3 != nil || encoding != "audio/x-mulaw" || rate != 8000 || channels != 1 {
			return m, fail
		}
		if len(inner["customParameters"]) > 1 {
			return m, fail
		}
		if len(inner["customParameters"]) == 1 && strings.TrimSpace(string(inner["customParameters"][0])) != "null" {
			params, err := members(inner["customParameters"][0])
			if err != nil || len(params) > jsonscan.MaxParams {
				return m, fail
			}
			for name := range params {
				if value, err := params.text(name, false); err != nil || len(name) > jsonscan.MaxParam || len(value) > jsonscan.MaxParam {
					return m, fail
				}
			}
		}
		m.Kind, m.StreamID = stream.KindStart, ids[1]
	}
	return m, nil
}

// object is what stands in a JSON object under each name.
type object map[string][]json.RawMessage

func members(data []byte) (object, error) {
	if !json.Valid(data) || depth(data) > jsonscan.MaxDepth+1 {
		return nil, errors.New("not valid")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if open, _ := d.Token(); open != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	all := object{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		all[name.(string)] = append(all[name.(string)], value)
	}
	return all, nil
}

func depth(data []byte) int {
	d := json.NewDecoder(bytes.NewReader(data))
	depth, deepest := 0, 0
	for {
		token, err := d.Token()
		if err == io.EOF || err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func (o object) text(name string, optional bool) (s string, err error) {
	switch len(o[name]) {
	case 0:
		if !optional {
			err = errors.New("missing")
		}
	case 1:
		if o[name][0][0] != '"' {
			return "", errors.New("not a string")
		}
		err = json.Unmarshal(o[name][0], &s)
	default:
		err = errors.New("repeated")
	}
	return s, err
}

func (o object) count(name string) (int64, error) {
	switch len(o[name]) {
	case 0:
		return -1, nil
	case 1:
		raw := string(o[name][0])
		if raw[0] == '"' {
			json.Unmarshal(o[name][0], &raw)
		}
		if strings.Trim(raw, "0123456789") != "" || len(raw) > 18 {
			return 0, errors.New("not a count")
		}
		return strconv.ParseInt(raw, 10, 64)
	}
	return 0, errors.New("repeated")
}
