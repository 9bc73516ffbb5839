package twilio

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
)

// A media stream is mu-law at 8 kHz and nothing else
// (https://www.twilio.com/docs/voice/media-streams/websocket-messages).
var traits = stream.Traits{
	Formats:           []audio.Format{audio.Telephone},
	Packet:            20 * time.Millisecond,
	NeedsStart:        true,
	Marks:             true,
	ClearReturnsMarks: true,
	Buffer:            10 * time.Minute,
}

// Traits describes Twilio's media streams.
func (p *Provider) Traits() stream.Traits { return traits }

// What a start may carry. Twilio itself allows a parameter 500 characters.
const (
	maxParams   = 32
	maxParam    = 500
	maxStreamID = 64
)

// Decode reads one message. It decodes payloads in data's own memory.
//
// It is strict about JSON and about what it reads, and takes everything else as
// it comes: names in any order, unknown names and events, numbers as strings. A
// mark that AppendMark did not write is ignored.
func (p *Provider) Decode(m *stream.Message, data []byte, binary bool) error {
	if binary {
		return errBinary
	}
	if done, err := decodeUsualMedia(m, data); done {
		return err
	}
	return decodeAny(m, data)
}

// decodeUsualMedia reads a media message that is written exactly as Twilio
// documents it and does. It reports whether it was one; if not, it has changed
// neither data nor m.
func decodeUsualMedia(m *stream.Message, data []byte) (done bool, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"event":"media","sequenceNumber":"`))
	sequence, rest, ok := cutCount(rest, ok)
	rest, ok = cut(rest, ok, `","media":{"track":"`)
	track := audio.Inbound
	if ok && bytes.HasPrefix(rest, []byte("outbound")) {
		track = audio.Outbound
		rest = rest[len("outbound"):]
	} else {
		rest, ok = cut(rest, ok, "inbound")
	}
	rest, ok = cut(rest, ok, `","chunk":"`)
	chunk, rest, ok := cutCount(rest, ok)
	rest, ok = cut(rest, ok, `","timestamp":"`)
	millis, rest, ok := cutCount(rest, ok)
	rest, ok = cut(rest, ok, `","payload":"`)
	if !ok || millis > maxMillis {
		return false, nil
	}
	quote := bytes.IndexByte(rest, '"')
	if quote < 0 {
		return false, nil
	}
	payload := rest[:quote]
	tail, ok := cut(rest[quote:], true, `"},"streamSid":"`)
	if !ok || !isUsualTail(tail) || bytes.IndexByte(payload, '\\') >= 0 {
		return false, nil
	}
	n, ok := decodeBase64(payload)
	if !ok {
		return true, errPayload
	}
	m.Kind = stream.KindMedia
	m.Sequence = sequence
	m.Chunk = chunk
	m.Timestamp = time.Duration(millis) * time.Millisecond
	m.Track = track
	m.Payload = payload[:n]
	return true, nil
}

func cut(b []byte, ok bool, prefix string) ([]byte, bool) {
	if !ok || len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return nil, false
	}
	return b[len(prefix):], true
}

func cutCount(b []byte, ok bool) (int64, []byte, bool) {
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	n, fine := parseCount(b[:i])
	return n, b[i:], ok && fine
}

// isUsualTail reports whether b is the end of a message after `"streamSid":"`.
func isUsualTail(b []byte) bool {
	id, ok := bytes.CutSuffix(b, []byte(`"}`))
	return ok && isSafeID(id)
}

// isSafeID tells that an id needs no escaping anywhere, and is not long.
func isSafeID(id []byte) bool {
	if len(id) == 0 || len(id) > maxStreamID {
		return false
	}
	for _, c := range id {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

const maxMillis = math.MaxInt64 / int64(time.Millisecond)

// decodeAny reads any message.
func decodeAny(m *stream.Message, data []byte) error {
	s := scanner{data: data}
	var names seen
	var event, streamID, media, start, mark, dtmf []byte
	sequence := int64(-1)
	if s.peek() != '{' {
		return errSyntax
	}
	s.object()
	for first := true; ; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		switch string(name) {
		case "event":
			s.once(&names, 0)
			event = s.text()
		case "sequenceNumber":
			s.once(&names, 1)
			sequence = s.count()
		case "streamSid":
			s.once(&names, 2)
			streamID = s.text()
		case "media":
			s.once(&names, 3)
			media = s.skip(1)
		case "start":
			s.once(&names, 4)
			start = s.skip(1)
		case "mark":
			s.once(&names, 5)
			mark = s.skip(1)
		case "dtmf":
			s.once(&names, 6)
			dtmf = s.skip(1)
		default:
			s.skip(1)
		}
	}
	s.end()
	if s.err != nil {
		return s.err
	}
	m.Sequence = sequence

	switch string(event) {
	case "media":
		return decodeMedia(m, media)
	case "start":
		return decodeStart(m, start, streamID)
	case "mark":
		return decodeMark(m, mark)
	case "dtmf":
		return decodeKey(m, dtmf)
	case "stop":
		m.Kind = stream.KindStop
	case "":
		return errEvent
	}
	return nil
}

func decodeMedia(m *stream.Message, object []byte) error {
	s := scanner{data: object}
	var names seen
	var payload []byte
	s.object()
	for first := true; ; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		switch string(name) {
		case "track":
			s.once(&names, 0)
			switch string(s.text()) {
			case "inbound":
			case "outbound":
				m.Track = audio.Outbound
			default:
				s.fail(errTrack)
			}
		case "chunk":
			s.once(&names, 1)
			m.Chunk = s.count()
		case "timestamp":
			s.once(&names, 2)
			millis := s.count()
			if millis > maxMillis {
				s.fail(errType)
			}
			m.Timestamp = time.Duration(millis) * time.Millisecond
		case "payload":
			s.once(&names, 3)
			payload = s.text()
		default:
			s.skip(2)
		}
	}
	if s.err != nil {
		return s.err
	}
	if len(payload) == 0 {
		return errNoPayload
	}
	n, ok := decodeBase64(payload)
	if !ok {
		return errPayload
	}
	m.Kind = stream.KindMedia
	m.Payload = payload[:n]
	return nil
}

func decodeMark(m *stream.Message, object []byte) error {
	s := scanner{data: object}
	var names seen
	var mark []byte
	s.object()
	for first := true; ; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		if string(name) != "name" {
			s.skip(2)
			continue
		}
		s.once(&names, 0)
		mark = s.text()
	}
	if s.err != nil {
		return s.err
	}
	n, ok := parseCount(mark)
	if ok && n <= math.MaxUint32 && (mark[0] != '0' || len(mark) == 1) {
		m.Kind = stream.KindMark
		m.Mark = uint32(n)
	}
	return nil
}

func decodeKey(m *stream.Message, object []byte) error {
	s := scanner{data: object}
	var names seen
	var digit []byte
	s.object()
	for first := true; ; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		if string(name) != "digit" {
			s.skip(2)
			continue
		}
		s.once(&names, 0)
		if s.peek() == '"' {
			digit = s.str()
		} else {
			digit = s.skip(2)
		}
	}
	if s.err != nil {
		return s.err
	}
	if len(digit) != 1 || strings.IndexByte("0123456789*#ABCD", digit[0]) < 0 {
		return errDigit
	}
	m.Kind = stream.KindKey
	m.Digit = digit[0]
	return nil
}

func decodeStart(m *stream.Message, object, outerID []byte) error {
	s := scanner{data: object}
	var names seen
	var accountID, streamID, callID []byte
	formatOK := false
	s.object()
	for first := true; ; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		switch string(name) {
		case "accountSid":
			s.once(&names, 0)
			accountID = s.text()
		case "streamSid":
			s.once(&names, 1)
			streamID = s.text()
		case "callSid":
			s.once(&names, 2)
			callID = s.text()
		case "mediaFormat":
			s.once(&names, 3)
			formatOK = scanFormat(&s)
		case "customParameters":
			s.once(&names, 4)
			m.Params = scanParams(&s)
		default:
			s.skip(2)
		}
	}
	switch {
	case s.err != nil:
		return s.err
	case !formatOK:
		return errFormat
	case !isSafeID(streamID), !isSafeID(callID), !isSafeID(accountID):
		return errID
	case outerID != nil && !bytes.Equal(outerID, streamID):
		return errIDs
	}
	m.Kind = stream.KindStart
	m.StreamID = string(streamID)
	m.CallID = string(callID)
	m.AccountID = string(accountID)
	m.Format = audio.Telephone
	return nil
}

func scanFormat(s *scanner) bool {
	var names seen
	var encoding []byte
	var rate, channels int64
	s.object()
	for first := true; ; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		switch string(name) {
		case "encoding":
			s.once(&names, 0)
			encoding = s.text()
		case "sampleRate":
			s.once(&names, 1)
			rate = s.count()
		case "channels":
			s.once(&names, 2)
			channels = s.count()
		default:
			s.skip(3)
		}
	}
	return string(encoding) == "audio/x-mulaw" && rate == 8000 && channels == 1
}

func scanParams(s *scanner) map[string]string {
	if s.peek() == 'n' {
		s.literal("null")
		return nil
	}
	var params map[string]string
	s.object()
	for first := true; ; first = false {
		key, ok := s.member(first)
		if !ok {
			return params
		}
		name := strings.ToValidUTF8(string(key), "\uFFFD")
		value := strings.ToValidUTF8(string(s.text()), "\uFFFD")
		if len(params) == maxParams || len(name) > maxParam || len(value) > maxParam {
			s.fail(errParams)
			return nil
		}
		if _, repeated := params[name]; repeated {
			s.fail(errRepeated)
			return nil
		}
		if params == nil {
			params = make(map[string]string)
		}
		params[name] = value
	}
}

// AppendMedia appends a message that plays payload.
func (p *Provider) AppendMedia(dst []byte, streamID string, _ audio.Format, payload []byte) []byte {
	dst = append(dst, `{"event":"media","streamSid":"`...)
	dst = appendEscaped(dst, streamID)
	dst = append(dst, `","media":{"payload":"`...)
	dst = appendBase64(dst, payload)
	return append(dst, `"}}`...)
}

// AppendMark appends a message that Twilio returns when all audio before it has
// been played or cleared.
func (p *Provider) AppendMark(dst []byte, streamID string, mark uint32) []byte {
	dst = append(dst, `{"event":"mark","streamSid":"`...)
	dst = appendEscaped(dst, streamID)
	dst = append(dst, `","mark":{"name":"`...)
	dst = strconv.AppendUint(dst, uint64(mark), 10)
	return append(dst, `"}}`...)
}

// AppendClear appends a message that throws away what has not been played.
func (p *Provider) AppendClear(dst []byte, streamID string) []byte {
	dst = append(dst, `{"event":"clear","streamSid":"`...)
	dst = appendEscaped(dst, streamID)
	return append(dst, `"}`...)
}

// appendEscaped appends the inside of a JSON string. Ids that came through
// Decode never need it.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
