package plivo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
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
}

func decode(data string) (stream.Message, error) {
	var m stream.Message
	m.Reset()
	err := new(Provider).Decode(&m, []byte(data), false)
	return m, err
}

func capturedMessages(t testing.TB) map[string]string {
	var file struct {
		From []namedMessage `json:"plivo_to_server"`
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
	start := func(f audio.Format) stream.Message {
		return message(func(m *stream.Message) {
			m.Kind, m.Sequence, m.Format = stream.KindStart, 1, f
			m.StreamID, m.CallID, m.AccountID = testStream, testCall, testAccount
			m.Params = map[string]string{"agent": "sales", "call_ref": "c-42"}
		})
	}
	with := func(m stream.Message, change func(m *stream.Message)) stream.Message { change(&m); return m }
	media := func(sequence, chunk int64, at time.Duration) stream.Message {
		return message(func(m *stream.Message) {
			m.Kind, m.Sequence, m.Chunk, m.Timestamp = stream.KindMedia, sequence, chunk, at
		})
	}
	other := func(kind stream.Kind, sequence int64) stream.Message {
		return message(func(m *stream.Message) { m.Kind, m.Sequence = kind, sequence })
	}
	epoch := 1792490400000 * time.Millisecond
	l16 := func(rate int) audio.Format { return audio.Format{Encoding: audio.PCM16, Rate: rate} }
	want := map[string]stream.Message{
		"start_mulaw":               start(audio.Telephone),
		"start_l16_8k":              start(l16(8000)),
		"start_l16_16k":             start(l16(16000)),
		"start_extra_headers_json":  start(audio.Telephone),
		"start_extra_headers_comma": start(audio.Telephone),
		"start_extra_headers_empty": with(start(audio.Telephone), func(m *stream.Message) { m.Params = nil }),
		"start_minimal": with(start(audio.Telephone), func(m *stream.Message) {
			m.Params, m.AccountID, m.Sequence = nil, "", -1
		}),
		"media_mulaw":                  media(2, 1, epoch),
		"media_l16_8k":                 media(2, 1, epoch),
		"media_l16_16k":                media(2, 1, epoch),
		"media_relative_timestamp":     media(42, 41, 820*time.Millisecond),
		"dtmf":                         with(other(stream.KindKey, 43), func(m *stream.Message) { m.Digit = '1' }),
		"playedStream":                 other(stream.KindIgnored, 44),
		"playedStream_string_sequence": other(stream.KindIgnored, 44),
		"clearedAudio":                 other(stream.KindCleared, 45),
		"stop":                         other(stream.KindStop, 46),
		"stop_bare":                    other(stream.KindStop, -1),
		"error":                        other(stream.KindIgnored, -1),
		"playFailed":                   other(stream.KindIgnored, -1),
		"incorrectPayload":             other(stream.KindIgnored, -1),
		"unknown_future_event":         other(stream.KindIgnored, -1),
	}
	captured := capturedMessages(t)
	if len(captured) != len(want) {
		t.Errorf("%d captured messages, %d expectations", len(captured), len(want))
	}
	sizes := map[string]int{"media_l16_8k": 320, "media_l16_16k": 640}
	for name, raw := range captured {
		// As Plivo writes it, with white space, and with the names in reverse.
		for form, text := range jsontest.Forms(t, raw) {
			t.Run(name+" "+form, func(t *testing.T) {
				got, err := decode(text)
				if err != nil {
					t.Fatal(err)
				}
				if want[name].Kind == stream.KindMedia {
					size := sizes[name]
					if size == 0 {
						size = 160
					}
					if payload := jsontest.Payload(t, raw); !bytes.Equal(got.Payload, payload) || len(payload) != size {
						t.Errorf("payload is %x, want %x", got.Payload, payload)
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

func TestCapturedSessions(t *testing.T) {
	var file struct {
		Sessions map[string][]struct {
			Dir     string
			Message json.RawMessage
		}
	}
	readFixture(t, "stream_sessions.json", &file)
	kinds := make(map[stream.Kind]int)
	for name, steps := range file.Sessions {
		for _, step := range steps {
			if step.Dir != "<" || len(step.Message) == 0 {
				continue
			}
			m, err := decode(string(step.Message))
			if err != nil {
				t.Errorf("%s: %s: %v", name, step.Message, err)
			}
			kinds[m.Kind]++
		}
	}
	for _, kind := range []stream.Kind{stream.KindStart, stream.KindMedia, stream.KindCleared, stream.KindStop} {
		if kinds[kind] == 0 {
			t.Errorf("no message of kind %v", kind)
		}
	}
}

func TestOddMessages(t *testing.T) {
	var file struct {
		From []namedMessage `json:"plivo_to_server"`
	}
	readFixture(t, "stream_bad_messages.json", &file)
	for _, odd := range file.From {
		t.Run(odd.Name, func(t *testing.T) {
			m, err := decode(odd.Raw)
			if odd.Name == "bad_base64" {
				if !errors.Is(err, stream.ErrMessage) {
					t.Errorf("error is %v, want ErrMessage", err)
				}
				return
			}
			if err != nil || m.Kind != stream.KindMedia || !bytes.Equal(m.Payload, jsontest.Payload(t, odd.Raw)) {
				t.Errorf("read %+v, error %v", m, err)
			}
			if odd.Name == "string_numbers" && (m.Sequence != 3 || m.Chunk != 2) {
				t.Errorf("read %+v", m)
			}
		})
	}
}

const (
	usualStart = `{"event":"start","sequenceNumber":1,"start":{"callId":"c1","streamId":"s1","accountId":"MA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000}},"extra_headers":"a=b"}`
	usualMedia = `{"event":"media","sequenceNumber":3,"streamId":"s1","media":{"track":"inbound","timestamp":"5","chunk":1,"payload":"AAECAw=="},"extra_headers":"a=b"}`
)

func TestBadMessagesAreErrMessage(t *testing.T) {
	all := jsontest.Bad(usualMedia)
	maps.Copy(all, map[string]string{
		"a negative sequence number":         jsontest.Swap(usualMedia, `:3,`, `:-3,`),
		"a sequence number that is no count": jsontest.Swap(usualMedia, `:3,`, `:3.0,`),
		"a sequence number with a zero":      jsontest.Swap(usualMedia, `:3,`, `:03,`),
		"an empty sequence number":           jsontest.Swap(usualMedia, `:3,`, `:"",`),
		"a huge sequence number":             jsontest.Swap(usualMedia, `:3,`, `:1000000000000000000,`),
		"a stream id that is a number":       jsontest.Swap(usualMedia, `"s1"`, `1`),
		"headers with a line break":          jsontest.Swap(usualMedia, "a=b", "a=\nb"),
		"headers that do not end":            jsontest.Swap(usualMedia, `a=b"`, `a=b`),
		"a checkpoint without a name":        `{"event":"playedStream"}`,
		"a checkpoint whose name is a count": `{"event":"playedStream","name":1}`,
		"a checkpoint with two names":        `{"event":"playedStream","name":"1","name":"2"}`,
		"start of another encoding":          jsontest.Swap(usualStart, "audio/x-mulaw", "audio/wav"),
		"start of mu-law in a wide band":     jsontest.Swap(usualStart, "8000", "16000"),
		"start of linear audio at 24 kHz":    jsontest.Swap(jsontest.Swap(usualStart, "audio/x-mulaw", "audio/x-l16"), "8000", "24000"),
		"start of two channels":              jsontest.Swap(usualStart, `8000`, `8000,"channels":2`),
		"start with half a format":           jsontest.Swap(usualStart, `,"sampleRate":8000`, ``),
		"start without a stream":             jsontest.Swap(usualStart, `"streamId"`, `"stream"`),
		"start without a call":               jsontest.Swap(usualStart, `"callId"`, `"call"`),
		"start with a quote in its id":       jsontest.Swap(usualStart, `"s1"`, `"s\"1"`),
		"start with a quote in its account":  jsontest.Swap(usualStart, `"MA1"`, `"M\"1"`),
		"start with a very long id":          jsontest.Swap(usualStart, `"s1"`, `"`+strings.Repeat("s", 65)+`"`),
		"start with two ids":                 jsontest.Swap(usualStart, `"sequenceNumber":1`, `"streamId":"s2"`),
		"no start":                           `{"event":"start"}`,
	})
	for name, text := range all {
		t.Run(name, func(t *testing.T) {
			if m, err := decode(text); !errors.Is(err, stream.ErrMessage) {
				t.Errorf("decoded to %+v, error %v; want ErrMessage", m, err)
			}
		})
	}
	var m stream.Message
	if err := new(Provider).Decode(&m, []byte(usualMedia), true); !errors.Is(err, stream.ErrMessage) {
		t.Errorf("binary message: error %v, want ErrMessage", err)
	}
}

func TestUnusualButLegalMessages(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		kind stream.Kind
	}{
		"escapes in names and events":       {`{"\u0065vent":"\u006dedia","media":{"p\u0061yload":"AA\u0045CAw\u003d\u003d"}}`, stream.KindMedia},
		"event at the end":                  {`{"name":"7","event":"playedStream"}`, stream.KindMark},
		"an escaped name":                   {`{"name":"\u0037","event":"playedStream"}`, stream.KindMark},
		"names in another case":             {`{"event":"stop","Event":"media","EVENT":1}`, stream.KindStop},
		"an unknown name twice":             {`{"event":"stop","x":1,"x":[{"y":null}]}`, stream.KindStop},
		"a key that is a number":            {`{"event":"dtmf","dtmf":{"digit":9}}`, stream.KindKey},
		"a checkpoint of somebody else":     {`{"event":"playedStream","name":"greeting-end"}`, stream.KindIgnored},
		"a checkpoint with a leading zero":  {`{"event":"playedStream","name":"07"}`, stream.KindIgnored},
		"a checkpoint beyond 32 bits":       {`{"event":"playedStream","name":"4294967296"}`, stream.KindIgnored},
		"media without headers":             {jsontest.Swap(usualMedia, `,"extra_headers":"a=b"`, ``), stream.KindMedia},
		"media with headers that are null":  {jsontest.Swap(usualMedia, `"a=b"`, `null`), stream.KindMedia},
		"media with an escape in a header":  {jsontest.Swap(usualMedia, `a=b`, `a=\"b\"`), stream.KindMedia},
		"media with numbers as strings":     {jsontest.Swap(usualMedia, `:3,`, `:"03",`), stream.KindMedia},
		"media without a sequence number":   {jsontest.Swap(usualMedia, `"sequenceNumber":3,`, ``), stream.KindMedia},
		"start with the rate as a string":   {jsontest.Swap(usualStart, `8000`, `"8000"`), stream.KindStart},
		"start with one channel":            {jsontest.Swap(usualStart, `8000`, `8000,"channels":1`), stream.KindStart},
		"start with its stream outside too": {jsontest.Swap(usualStart, `"sequenceNumber":1`, `"streamId":"s1"`), stream.KindStart},
		"start with headers that are null":  {jsontest.Swap(usualStart, `"a=b"`, `null`), stream.KindStart},
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := decode(tt.text); err != nil || m.Kind != tt.kind {
				t.Errorf("kind %v, error %v; want kind %v", m.Kind, err, tt.kind)
			}
		})
	}
}

func TestStartWithoutAFormatIsInTheProvidersOne(t *testing.T) {
	p := &Provider{Format: audio.Format{Encoding: audio.PCM16, Rate: 16000}}
	var m stream.Message
	m.Reset()
	if err := p.Decode(&m, []byte(capturedMessages(t)["start_minimal"]), false); err != nil || m.Format != p.Format {
		t.Errorf("format is %v, error %v", m.Format, err)
	}
	if traits := p.Traits(); traits.Formats[0] != p.Format || len(traits.Formats) != 3 || traits.ClearReturnsMarks || !traits.Marks {
		t.Errorf("traits are %+v", traits)
	}
}

func TestExtraHeaders(t *testing.T) {
	var many []string
	for i := range 40 {
		many = append(many, strconv.Itoa(i)+"=x")
	}
	for name, tt := range map[string]struct {
		headers string // as JSON
		want    map[string]string
	}{
		"one pair":               {`"a=b"`, map[string]string{"a": "b"}},
		"semicolons":             {`"a=b;c=d,e"`, map[string]string{"a": "b", "c": "d,e"}},
		"commas and spaces":      {`" a = b , c = d "`, map[string]string{"a": "b", "c": "d"}},
		"an object":              {`"{\"a\":\"\\u00e9\",\"c\":\"d\"}"`, map[string]string{"a": "é", "c": "d"}},
		"an empty object":        {`"{}"`, nil},
		"null":                   {`null`, nil},
		"an object outside":      {`{"a":"b"}`, nil},
		"a number":               {`1`, nil},
		"an object cut short":    {`"{\"a\":\"b\""`, nil},
		"an object of numbers":   {`"{\"a\":1}"`, nil},
		"no equals sign":         {`"a;b=c"`, map[string]string{"b": "c"}},
		"a value with an equals": {`"a=b=c"`, map[string]string{"a": "b=c"}},
		"a repeated name":        {`"a=1,a=2"`, map[string]string{"a": "1"}},
		"a long value":           {`"a=` + strings.Repeat("x", 501) + `"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := decode(jsontest.Swap(usualStart, `"a=b"`, tt.headers))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, m.Params); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if m, err := decode(jsontest.Swap(usualStart, "a=b", strings.Join(many, ","))); err != nil || len(m.Params) != jsonscan.MaxParams {
		t.Errorf("%d params of 40, error %v", len(m.Params), err)
	}
}

func TestWrittenMessagesAreTheDocumentedOnes(t *testing.T) {
	var file struct {
		To []namedMessage `json:"server_to_plivo"`
	}
	readFixture(t, "stream_messages.json", &file)
	p := new(Provider)
	written := 0
	for _, m := range file.To {
		t.Run(m.Name, func(t *testing.T) {
			want := jsontest.Compact(t, m.Message)
			var got []byte
			switch m.Name {
			case "playAudio_mulaw":
				got = p.AppendMedia([]byte("x"), testStream, audio.Telephone, jsontest.Payload(t, want))
			case "playAudio_l16_8k":
				got = p.AppendMedia([]byte("x"), testStream, formats[1], jsontest.Payload(t, want))
			case "playAudio_l16_16k":
				got = p.AppendMedia([]byte("x"), testStream, formats[2], jsontest.Payload(t, want))
			case "checkpoint":
				got = p.AppendMark([]byte("x"), testStream, 42)
				want = strings.Replace(want, "greeting-end", "42", 1)
			case "clearAudio":
				got = p.AppendClear([]byte("x"), testStream)
			case "sendDTMF":
				got = p.AppendKeys([]byte("x"), testStream, "123#")
			default:
				return // another way to write the same
			}
			written++
			if string(got) != "x"+want {
				t.Errorf("got  %s\nwant x%s", got, want)
			}
		})
	}
	if written != 6 {
		t.Errorf("%d kinds of messages, want 6", written)
	}
}

func TestCheckpointsComeBack(t *testing.T) {
	for _, mark := range []uint32{0, 1, 10, math.MaxUint32} {
		sent := string(new(Provider).AppendMark(nil, testStream, mark))
		m, err := decode(jsontest.Swap(sent, "checkpoint", "playedStream"))
		if err != nil || m.Kind != stream.KindMark || m.Mark != mark {
			t.Errorf("mark %d came back as %+v, %v", mark, m, err)
		}
	}
}

func TestHostileTextStaysInItsString(t *testing.T) {
	id := "\"},\"x\":{\"\\\n\x00"
	for name, b := range map[string][]byte{
		"streamId": new(Provider).AppendMark(nil, id, 1),
		"name":     new(Provider).AppendClear(nil, id),
		"dtmf":     new(Provider).AppendKeys(nil, testStream, id),
	} {
		if name == "name" {
			name = "streamId"
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil || m[name] != id || m["x"] != nil {
			t.Errorf("%s reads as %v, %v", b, m, err)
		}
	}
}

func TestMediaPathDoesNotAllocate(t *testing.T) {
	captured := capturedMessages(t)
	p := new(Provider)
	var m stream.Message
	buffer := make([]byte, 0, 2048)
	payload := make([]byte, 640)
	for name, do := range map[string]func(){
		"media":              decoding(p, &m, captured["media_mulaw"]),
		"wide media":         decoding(p, &m, captured["media_l16_16k"]),
		"media in any order": decoding(p, &m, jsontest.Reverse(t, captured["media_mulaw"])),
		"escaped media":      decoding(p, &m, strings.ReplaceAll(captured["media_mulaw"], "/", `\/`)),
		"checkpoint":         decoding(p, &m, `{"event":"playedStream","sequenceNumber":4,"streamId":"s1","name":"7"}`),
		"cleared":            decoding(p, &m, captured["clearedAudio"]),
		"dtmf":               decoding(p, &m, captured["dtmf"]),
		"stop":               decoding(p, &m, captured["stop"]),
		"nonsense":           decoding(p, &m, captured["media_mulaw"]+"x"),
		"append media":       func() { p.AppendMedia(buffer, testStream, formats[2], payload) },
		"append mark":        func() { p.AppendMark(buffer, testStream, 42) },
		"append clear":       func() { p.AppendClear(buffer, testStream) },
		"append keys":        func() { p.AppendKeys(buffer, testStream, "123#") },
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
	f.Add([]byte(usualMedia))
	f.Add([]byte(`{"event":"playedStream","name":"7","x":[1.5e-3,true,false,null,{"a":"\ud834\udd1e"}]}`))
	f.Add([]byte(`{"event":"dtmf","dtmf":{"digit":"#"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, wantErr := decodeReference(data)
		got, err := decode(string(data))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: error %v, reference %v", data, err, wantErr)
		}
		if err == nil && (got.Kind != want.Kind || !bytes.Equal(got.Payload, want.Payload) || got.Sequence != want.Sequence ||
			got.Mark != want.Mark || got.Digit != want.Digit || got.StreamID != want.StreamID || got.Format != want.Format) {
			t.Fatalf("%q: %+v, reference %+v", data, got, want)
		}
		if len(got.Params) > jsonscan.MaxParams {
			t.Fatalf("%d params", len(got.Params))
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
	outer, err := top.Text("streamId", true)
	if err != nil {
		return m, err
	}
	if m.Sequence, err = top.Count("sequenceNumber"); err != nil {
		return m, err
	}
	for _, name := range []string{"media", "start", "name", "dtmf", "extra_headers"} {
		if len(top[name]) > 1 {
			return m, fail
		}
	}
	inner := jsontest.Object{}
	switch event {
	case "media", "start", "dtmf":
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
	case "clearedAudio":
		m.Kind = stream.KindCleared
	case "playedStream":
		name, err := top.Text("name", false)
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
		for i, name := range []string{"accountId", "streamId", "callId"} {
			ids[i], err = inner.Text(name, i == 0)
			if err != nil || !jsonscan.IsSafeID([]byte(ids[i])) && (i > 0 || ids[i] != "") {
				return m, fail
			}
		}
		if len(top["streamId"]) > 0 && outer != ids[1] {
			return m, fail
		}
		m.Format = audio.Telephone
		if len(inner["mediaFormat"]) > 1 {
			return m, fail
		}
		if len(inner["mediaFormat"]) == 1 {
			format, err := jsontest.Members(inner["mediaFormat"][0])
			if err != nil {
				return m, err
			}
			encoding, err1 := format.Text("encoding", false)
			rate, err2 := format.Count("sampleRate")
			channels, err3 := format.Count("channels")
			if err1 != nil || err2 != nil || err3 != nil || channels != 1 && channels != -1 {
				return m, fail
			}
			m.Format = audio.Format{Encoding: audio.MuLaw, Rate: int(rate)}
			if encoding == "audio/x-l16" {
				m.Format.Encoding = audio.PCM16
			} else if encoding != "audio/x-mulaw" {
				return m, fail
			}
			if !slices.Contains(formats, m.Format) {
				return m, fail
			}
		}
		m.Kind, m.StreamID = stream.KindStart, ids[1]
	}
	return m, nil
}
