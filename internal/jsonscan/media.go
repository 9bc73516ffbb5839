package jsonscan

import (
	"math"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
)

// What carriers write alike, under names of their own around it.
var (
	ErrBinary    = Bad("binary message")
	ErrEvent     = Bad("no event")
	ErrPayload   = Bad("payload is not canonical base64")
	ErrNoPayload = Bad("no payload")
	ErrTrack     = Bad("unknown track")
	ErrDigit     = Bad("not a key")
	ErrID        = Bad("missing or unsafe id")
	ErrIDs       = Bad("two stream ids")
)

// Media reads the object of a media message: track, chunk, timestamp and
// payload, which is decoded where it stands.
func Media(m *stream.Message, object []byte) error {
	s := New(object)
	var names Seen
	var payload []byte
	s.Object()
	for first := true; ; first = false {
		name, ok := s.Member(first)
		if !ok {
			break
		}
		switch string(name) {
		case "track":
			s.Once(&names, 0)
			switch string(s.Text()) {
			case "inbound":
			case "outbound":
				m.Track = audio.Outbound
			default:
				s.Fail(ErrTrack)
			}
		case "chunk":
			s.Once(&names, 1)
			m.Chunk = s.Count()
		case "timestamp":
			s.Once(&names, 2)
			millis := s.Count()
			if millis > MaxMillis {
				s.Fail(ErrType)
			}
			m.Timestamp = time.Duration(millis) * time.Millisecond
		case "payload":
			s.Once(&names, 3)
			payload = s.Text()
		default:
			s.Skip(2)
		}
	}
	if s.Err() != nil {
		return s.Err()
	}
	if len(payload) == 0 {
		return ErrNoPayload
	}
	n, ok := DecodeBase64(payload)
	if !ok {
		return ErrPayload
	}
	m.Kind = stream.KindMedia
	m.Payload = payload[:n]
	return nil
}

// CutTrack removes the name of a track, if all was well before.
func CutTrack(b []byte, ok bool) (audio.Track, []byte, bool) {
	if rest, in := Cut(b, ok, "inbound"); in {
		return audio.Inbound, rest, true
	}
	rest, ok := Cut(b, ok, "outbound")
	return audio.Outbound, rest, ok
}

// Mark reads the name of a mark. One that AppendMark would not have written is
// somebody else's, and ignored.
func Mark(m *stream.Message, name []byte) {
	n, ok := ParseCount(name)
	if ok && n <= math.MaxUint32 && (name[0] != '0' || len(name) == 1) {
		m.Kind = stream.KindMark
		m.Mark = uint32(n)
	}
}

// Key reads the object of a message that tells of a key: a digit, which may
// stand without quotes.
func Key(m *stream.Message, object []byte) error {
	s := New(object)
	var names Seen
	var digit []byte
	s.Object()
	for first := true; ; first = false {
		name, ok := s.Member(first)
		if !ok {
			break
		}
		if string(name) != "digit" {
			s.Skip(2)
			continue
		}
		s.Once(&names, 0)
		if s.Peek() == '"' {
			digit = s.Str()
		} else {
			digit = s.Skip(2)
		}
	}
	if s.Err() != nil {
		return s.Err()
	}
	if len(digit) != 1 || strings.IndexByte("0123456789*#ABCD", digit[0]) < 0 {
		return ErrDigit
	}
	m.Kind = stream.KindKey
	m.Digit = digit[0]
	return nil
}

// Format reads the object that describes the audio of a stream. A number that is
// not there is -1.
func (s *Scanner) Format() (encoding []byte, rate, channels int64) {
	var names Seen
	rate, channels = -1, -1
	s.Object()
	for first := true; ; first = false {
		name, ok := s.Member(first)
		if !ok {
			return encoding, rate, channels
		}
		switch string(name) {
		case "encoding":
			s.Once(&names, 0)
			encoding = s.Text()
		case "sampleRate":
			s.Once(&names, 1)
			rate = s.Count()
		case "channels":
			s.Once(&names, 2)
			channels = s.Count()
		default:
			s.Skip(3)
		}
	}
}
