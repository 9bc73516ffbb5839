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

// talk returns what is said on a media stream.
func (t *twilio) talk(s *stream) language {
	return &mediaStream{account: t.carrier.config.AccountSID, token: t.carrier.AuthToken(), stream: s}
}

// A mediaStream writes and reads the messages of one stream ("Media Streams –
// WebSocket Messages"). Writing and reading may be done at the same time.
type mediaStream struct {
	account, token string
	stream         *stream
	sequence       int64
}

func (m *mediaStream) handshake(address string) http.Header {
	u, err := url.Parse(address)
	if err != nil {
		return nil // the dialer will say so
	}
	return http.Header{
		"User-Agent":         {"Twilio.TmeWs/1.0"},
		"X-Twilio-Signature": {sign(m.token, signedURL(u), nil)},
	}
}

func (m *mediaStream) opening() [][]byte {
	return [][]byte{
		[]byte(`{"event":"connected","protocol":"Call","version":"1.0.0"}`),
		m.start(nil),
	}
}

func (m *mediaStream) start(dst []byte) []byte {
	params := make(map[string]string, len(m.stream.params))
	for _, p := range m.stream.params {
		params[p[0]] = p[1]
	}
	dst = m.begin(dst, "start")
	dst = append(dst, `,"start":{"accountSid":`...)
	dst = appendJSON(dst, m.account)
	dst = append(dst, `,"streamSid":"`...)
	dst = append(dst, m.stream.sid...)
	dst = append(dst, `","callSid":"`...)
	dst = append(dst, m.stream.call.sid...)
	dst = append(dst, `","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":`...)
	dst = appendJSON(dst, params)
	return m.end(append(dst, '}'))
}

// begin begins a message: its event and its number.
func (m *mediaStream) begin(dst []byte, event string) []byte {
	m.sequence++
	dst = append(dst, `{"event":"`...)
	dst = append(dst, event...)
	dst = append(dst, `","sequenceNumber":`...)
	return appendQuoted(dst, m.sequence)
}

// end ends a message: the id of the stream.
func (m *mediaStream) end(dst []byte) []byte {
	dst = append(dst, `,"streamSid":"`...)
	dst = append(dst, m.stream.sid...)
	return append(dst, `"}`...)
}

// appendQuoted appends a number as a string, as Twilio does.
func appendQuoted(dst []byte, n int64) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '"')
}

func appendJSON(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and maps of strings always can be written
	}
	return append(dst, b...)
}

func (m *mediaStream) media(dst []byte, chunk int, at time.Duration, payload []byte) []byte {
	dst = m.begin(dst, "media")
	dst = append(dst, `,"media":{"track":"inbound","chunk":`...)
	dst = appendQuoted(dst, int64(chunk))
	dst = append(dst, `,"timestamp":`...)
	dst = appendQuoted(dst, at.Milliseconds())
	dst = append(dst, `,"payload":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, payload)
	return m.end(append(dst, `"}`...))
}

func (m *mediaStream) key(dst []byte, key byte) []byte {
	dst = m.begin(dst, "dtmf")
	dst = append(dst, `,"dtmf":{"track":"inbound_track","digit":"`...)
	dst = append(dst, key)
	return m.end(append(dst, `"}`...))
}

func (m *mediaStream) mark(dst []byte, name string) []byte {
	dst = m.begin(dst, "mark")
	dst = append(dst, `,"mark":{"name":`...)
	dst = appendJSON(dst, name)
	return m.end(append(dst, '}'))
}

func (m *mediaStream) stop(dst []byte) []byte {
	dst = m.begin(dst, "stop")
	dst = append(dst, `,"stop":{"accountSid":`...)
	dst = appendJSON(dst, m.account)
	dst = append(dst, `,"callSid":"`...)
	dst = append(dst, m.stream.call.sid...)
	return m.end(append(dst, `"}`...))
}

// cleared is not said: a clear returns marks.
func (m *mediaStream) cleared([]byte) []byte { return nil }

var twilioManners = manners{queue: 10 * time.Minute, tries: 1}

func (m *mediaStream) manners() *manners { return &twilioManners }

func (m *mediaStream) read(data []byte) (command, error) {
	return readMedia(data, m.stream.sid)
}

// readMedia reads a message from the application to the stream with this id.
func readMedia(data []byte, sid string) (command, error) {
	var msg struct {
		Event     string `json:"event"`
		StreamSid string `json:"streamSid"`
		Media     *struct {
			Payload string `json:"payload"`
		} `json:"media"`
		Mark *struct {
			Name *string `json:"name"`
		} `json:"mark"`
	}
	if err := json.Unmarshal(data, &msg); err != nil {
		return command{}, err
	}
	if msg.StreamSid != sid {
		return command{}, fmt.Errorf("streamSid %.40q is not that of this stream", msg.StreamSid)
	}
	switch {
	case msg.Event == "clear":
		return command{kind: clearAudio}, nil
	case msg.Event == "mark" && msg.Mark != nil && msg.Mark.Name != nil:
		return command{kind: setMark, text: *msg.Mark.Name}, nil
	case msg.Event == "media" && msg.Media != nil:
		payload, err := readPayload(msg.Media.Payload)
		if err != nil {
			return command{}, err
		}
		return command{kind: playAudio, pcm: audio.AppendDecode(nil, audio.MuLaw, payload)}, nil
	}
	return command{}, fmt.Errorf("event %.40q is unknown or lacks its object", msg.Event)
}

func readPayload(s string) ([]byte, error) {
	if s == "" || strings.ContainsAny(s, "\r\n") { // which package base64 passes over
		return nil, errors.New("payload is empty or has line breaks")
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}
