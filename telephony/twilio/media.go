package twilio

import (
	"bytes"
	"strconv"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/jsonscan"
	"github.com/switchboard-voice/switchboard/stream"
)

var errFormat = jsonscan.Bad("twilio: audio is not mu-law, 8000 Hz, mono")

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

// Decode reads one message. It decodes payloads in data's own memory.
//
// It is strict about JSON and about what it reads, and takes everything else as
// it comes: names in any order, unknown names and events, numbers as strings. A
// mark that AppendMark did not write is ignored.
func (p *Provider) Decode(m *stream.Message, data []byte, binary bool) error {
	if binary {
		return jsonscan.ErrBinary
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
	sequence, rest, ok := jsonscan.CutCount(rest, ok)
	rest, ok = jsonscan.Cut(rest, ok, `","media":{"track":"`)
	track, rest, ok := jsonscan.CutTrack(rest, ok)
	rest, ok = jsonscan.Cut(rest, ok, `","chunk":"`)
	chunk, rest, ok := jsonscan.CutCount(rest, ok)
	rest, ok = jsonscan.Cut(rest, ok, `","timestamp":"`)
	millis, rest, ok := jsonscan.CutCount(rest, ok)
	rest, ok = jsonscan.Cut(rest, ok, `","payload":"`)
	if !ok || millis > jsonscan.MaxMillis {
		return false, nil
	}
	quote := bytes.IndexByte(rest, '"')
	if quote < 0 {
		return false, nil
	}
	payload := rest[:quote]
	tail, ok := jsonscan.Cut(rest[quote:], true, `"},"streamSid":"`)
	if !ok || !isUsualTail(tail) || bytes.IndexByte(payload, '\\') >= 0 {
		return false, nil
	}
	n, ok := jsonscan.DecodeBase64(payload)
	if !ok {
		return true, jsonscan.ErrPayload
	}
	m.Kind = stream.KindMedia
	m.Sequence = sequence
	m.Chunk = chunk
	m.Timestamp = time.Duration(millis) * time.Millisecond
	m.Track = track
	m.Payload = payload[:n]
	return true, nil
}

// isUsualTail reports whether b is the end of a message after `"streamSid":"`.
func isUsualTail(b []byte) bool {
	id, ok := bytes.CutSuffix(b, []byte(`"}`))
	return ok && jsonscan.IsSafeID(id)
}

// decodeAny reads any message.
func decodeAny(m *stream.Message, data []byte) error {
	s := jsonscan.New(data)
	var names jsonscan.Seen
	var event, streamID, media, start, mark, dtmf []byte
	sequence := int64(-1)
	if s.Peek() != '{' {
		return jsonscan.ErrSyntax
	}
	s.Object()
	for first := true; ; first = false {
		name, ok := s.Member(first)
		if !ok {
			break
		}
		switch string(name) {
		case "event":
			s.Once(&names, 0)
			event = s.Text()
		case "sequenceNumber":
			s.Once(&names, 1)
			sequence = s.Count()
		case "streamSid":
			s.Once(&names, 2)
			streamID = s.Text()
		case "media":
			s.Once(&names, 3)
			media = s.Skip(1)
		case "start":
			s.Once(&names, 4)
			start = s.Skip(1)
		case "mark":
			s.Once(&names, 5)
			mark = s.Skip(1)
		case "dtmf":
			s.Once(&names, 6)
			dtmf = s.Skip(1)
		default:
			s.Skip(1)
		}
	}
	s.End()
	if s.Err() != nil {
		return s.Err()
	}
	m.Sequence = sequence

	switch string(event) {
	case "media":
		return jsonscan.Media(m, media)
	case "start":
		return decodeStart(m, start, streamID)
	case "mark":
		return decodeMark(m, mark)
	case "dtmf":
		return jsonscan.Key(m, dtmf)
	case "stop":
		m.Kind = stream.KindStop
	case "":
		return jsonscan.ErrEvent
	}
	return nil
}

func decodeMark(m *stream.Message, object []byte) error {
	s := jsonscan.New(object)
	var names jsonscan.Seen
	var mark []byte
	s.Object()
	for first := true; ; first = false {
		name, ok := s.Member(first)
		if !ok {
			break
		}
		if string(name) != "name" {
			s.Skip(2)
			continue
		}
		s.Once(&names, 0)
		mark = s.Text()
	}
	if s.Err() != nil {
		return s.Err()
	}
	jsonscan.Mark(m, mark)
	return nil
}

func decodeStart(m *stream.Message, object, outerID []byte) error {
	s := jsonscan.New(object)
	var names jsonscan.Seen
	var accountID, streamID, callID []byte
	formatOK := false
	s.Object()
	for first := true; ; first = false {
		name, ok := s.Member(first)
		if !ok {
			break
		}
		switch string(name) {
		case "accountSid":
			s.Once(&names, 0)
			accountID = s.Text()
		case "streamSid":
			s.Once(&names, 1)
			streamID = s.Text()
		case "callSid":
			s.Once(&names, 2)
			callID = s.Text()
		case "mediaFormat":
			s.Once(&names, 3)
			encoding, rate, channels := s.Format()
			formatOK = string(encoding) == "audio/x-mulaw" && rate == 8000 && channels == 1
		case "customParameters":
			s.Once(&names, 4)
			m.Params = s.Params()
		default:
			s.Skip(2)
		}
	}
	switch {
	case s.Err() != nil:
		return s.Err()
	case !formatOK:
		return errFormat
	case !jsonscan.IsSafeID(streamID), !jsonscan.IsSafeID(callID), !jsonscan.IsSafeID(accountID):
		return jsonscan.ErrID
	case outerID != nil && !bytes.Equal(outerID, streamID):
		return jsonscan.ErrIDs
	}
	m.Kind = stream.KindStart
	m.StreamID = string(streamID)
	m.CallID = string(callID)
	m.AccountID = string(accountID)
	m.Format = audio.Telephone
	return nil
}

// AppendMedia appends a message that plays payload.
func (p *Provider) AppendMedia(dst []byte, streamID string, _ audio.Format, payload []byte) []byte {
	dst = append(dst, `{"event":"media","streamSid":"`...)
	dst = jsonscan.AppendEscaped(dst, streamID)
	dst = append(dst, `","media":{"payload":"`...)
	dst = jsonscan.AppendBase64(dst, payload)
	return append(dst, `"}}`...)
}

// AppendMark appends a message that Twilio returns when all audio before it has
// been played or cleared.
func (p *Provider) AppendMark(dst []byte, streamID string, mark uint32) []byte {
	dst = append(dst, `{"event":"mark","streamSid":"`...)
	dst = jsonscan.AppendEscaped(dst, streamID)
	dst = append(dst, `","mark":{"name":"`...)
	dst = strconv.AppendUint(dst, uint64(mark), 10)
	return append(dst, `"}}`...)
}

// AppendClear appends a message that throws away what has not been played.
func (p *Provider) AppendClear(dst []byte, streamID string) []byte {
	dst = append(dst, `{"event":"clear","streamSid":"`...)
	dst = jsonscan.AppendEscaped(dst, streamID)
	return append(dst, `"}`...)
}
