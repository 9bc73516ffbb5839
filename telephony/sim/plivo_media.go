package sim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

func (t *plivo) talk(s *stream) language {
	return &plivoStream{
		plivo:   t,
		stream:  s,
		headers: appendJSON(nil, t.headers(s.params)),
		kind:    mediaKind(s.format),
	}
}

// mediaKind is the media type of audio in messages, which has no rate.
func mediaKind(f audio.Format) string {
	if f.Encoding == audio.MuLaw {
		return "audio/x-mulaw"
	}
	return "audio/x-l16"
}

// headers writes the extra headers of a stream.
func (t *plivo) headers(pairs [][2]string) string {
	and := ";"
	switch t.carrier.config.Quirks.Headers {
	case HeadersComma:
		and = ","
	case HeadersJSON:
		object := make(map[string]string, len(pairs))
		for _, p := range pairs {
			object[p[0]] = p[1]
		}
		return string(appendJSON(nil, object))
	}
	list := make([]string, len(pairs))
	for i, p := range pairs {
		list[i] = p[0] + "=" + p[1]
	}
	return strings.Join(list, and)
}

// A plivoStream writes and reads the messages of one stream ("Audio streaming
// protocol reference"). Writing and reading may be done at the same time.
type plivoStream struct {
	plivo    *plivo
	stream   *stream
	headers  []byte // as JSON
	kind     string
	sequence int64
}

var plivoManners = manners{queue: time.Minute, tries: 3, query: true, clearDrops: true}

func (m *plivoStream) manners() *manners { return &plivoManners }

func (m *plivoStream) handshake(address string) http.Header {
	h := http.Header{"User-Agent": {"Plivo"}}
	if u, err := url.Parse(address); err == nil { // otherwise the dialer says so
		m.plivo.sign(h, u, nil)
	}
	return h
}

func (m *plivoStream) opening() [][]byte { return [][]byte{m.start(nil)} }

func (m *plivoStream) start(dst []byte) []byte {
	dst = m.begin(dst, "start")
	dst = append(dst, `,"start":{"callId":`...)
	dst = appendJSON(dst, m.stream.call.sid)
	dst = append(dst, `,"streamId":`...)
	dst = appendJSON(dst, m.stream.sid)
	dst = append(dst, `,"accountId":`...)
	dst = appendJSON(dst, m.plivo.carrier.config.AccountSID)
	dst = append(dst, `,"tracks":["inbound"],"mediaFormat":{"encoding":"`...)
	dst = append(dst, m.kind...)
	dst = append(dst, `","sampleRate":`...)
	dst = strconv.AppendInt(dst, int64(m.stream.format.Rate), 10)
	return m.endWithHeaders(append(dst, `}}`...))
}

// begin begins a message: its event and its number.
func (m *plivoStream) begin(dst []byte, event string) []byte {
	m.sequence++
	dst = append(dst, `{"event":"`...)
	dst = append(dst, event...)
	dst = append(dst, `","sequenceNumber":`...)
	return strconv.AppendInt(dst, m.sequence, 10)
}

// beginOf is begin with the id of the stream, which all messages but start have.
func (m *plivoStream) beginOf(dst []byte, event string) []byte {
	dst = m.begin(dst, event)
	dst = append(dst, `,"streamId":"`...)
	dst = append(dst, m.stream.sid...)
	return append(dst, '"')
}

func (m *plivoStream) endWithHeaders(dst []byte) []byte {
	dst = append(dst, `,"extra_headers":`...)
	return append(append(dst, m.headers...), '}')
}

// clock is a moment of the stream as Plivo writes it: milliseconds since 1970,
// in a string.
func (m *plivoStream) clock(dst []byte, at time.Duration) []byte {
	return appendQuoted(dst, m.stream.begun.Add(at).UnixMilli())
}

func (m *plivoStream) media(dst []byte, chunk int, at time.Duration, payload []byte) []byte {
	dst = m.beginOf(dst, "media")
	dst = append(dst, `,"media":{"track":"inbound","timestamp":`...)
	dst = m.clock(dst, at)
	dst = append(dst, `,"chunk":`...)
	dst = strconv.AppendInt(dst, int64(chunk), 10)
	dst = append(dst, `,"payload":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, payload)
	return m.endWithHeaders(append(dst, `"}`...))
}

func (m *plivoStream) key(dst []byte, key byte) []byte {
	dst = m.beginOf(dst, "dtmf")
	dst = append(dst, `,"dtmf":{"track":"inbound","digit":"`...)
	dst = append(dst, key)
	dst = append(dst, `","timestamp":`...)
	dst = m.clock(dst, time.Since(m.stream.begun))
	return m.endWithHeaders(append(dst, '}'))
}

func (m *plivoStream) mark(dst []byte, name string) []byte {
	dst = m.beginOf(dst, "playedStream")
	dst = append(dst, `,"name":`...)
	return append(appendJSON(dst, name), '}')
}

func (m *plivoStream) cleared(dst []byte) []byte {
	return append(m.beginOf(dst, "clearedAudio"), '}')
}

func (m *plivoStream) stop(dst []byte) []byte {
	if m.plivo.carrier.config.Quirks.NoStop {
		return nil
	}
	return append(m.beginOf(dst, "stop"), '}')
}

// maxPlivoMessage bounds a message from the application.
const maxPlivoMessage = 64 << 10

func (m *plivoStream) read(data []byte) (command, error) {
	if m.stream.oneWay {
		return command{}, errors.New("the stream is not bidirectional")
	}
	return readPlivo(data, m.stream.sid, m.stream.format)
}

// readPlivo reads a message from the application to the stream with this id.
func readPlivo(data []byte, id string, format audio.Format) (command, error) {
	if len(data) > maxPlivoMessage {
		return command{}, errors.New("message is longer than 64 KiB")
	}
	var msg struct {
		Event    string  `json:"event"`
		StreamID *string `json:"streamId"`
		Name     string  `json:"name"`
		DTMF     string  `json:"dtmf"`
		Media    *struct {
			ContentType string `json:"contentType"`
			SampleRate  any    `json:"sampleRate"` // a number, or one in a string
			Payload     string `json:"payload"`
		} `json:"media"`
	}
	if err := json.Unmarshal(data, &msg); err != nil {
		return command{}, err
	}
	if msg.StreamID != nil && *msg.StreamID != id {
		return command{}, fmt.Errorf("streamId %.40q is not that of this stream", *msg.StreamID)
	}
	switch msg.Event {
	case "playAudio":
		if msg.Media == nil {
			return command{}, errors.New("playAudio lacks its media")
		}
		if kind, rate := msg.Media.ContentType, fmt.Sprint(msg.Media.SampleRate); kind != mediaKind(format) || rate != strconv.Itoa(format.Rate) {
			return command{}, fmt.Errorf("invalid_content_type: %.40q at %.20q is not the format of this stream", kind, rate)
		}
		payload, err := readPayload(msg.Media.Payload)
		if err != nil {
			return command{}, err
		}
		if len(payload)%format.Encoding.SampleBytes() != 0 {
			return command{}, errors.New("payload ends within a sample")
		}
		return command{kind: playAudio, pcm: audio.AppendDecode(nil, format.Encoding, payload)}, nil
	case "sendDTMF":
		if msg.DTMF == "" || !validDigits(msg.DTMF) {
			return command{}, fmt.Errorf("dtmf %.40q", msg.DTMF)
		}
		return command{kind: sendKeys, text: msg.DTMF}, nil
	}
	if msg.StreamID == nil {
		return command{}, fmt.Errorf("event %.40q lacks its streamId", msg.Event)
	}
	switch {
	case msg.Event == "checkpoint" && msg.Name != "":
		return command{kind: setMark, text: msg.Name}, nil
	case msg.Event == "clearAudio":
		return command{kind: clearAudio}, nil
	}
	return command{}, fmt.Errorf("event %.40q is unknown or lacks its name", msg.Event)
}
