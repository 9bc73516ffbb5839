package plivo

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/jsonscan"
	"github.com/switchboard-voice/switchboard/stream"
)

var errFormat = jsonscan.Bad("plivo: audio is neither mu-law at 8000 Hz nor L16 at 8000 or 16000 Hz")

// formats are what an audio stream may carry (Plivo, "Stream XML"). L16 is little
// endian here, whatever RFC 2586 says of audio/L16.
var formats = []audio.Format{
	audio.Telephone,
	{Encoding: audio.PCM16, Rate: 8000},
	{Encoding: audio.PCM16, Rate: 16000},
}

var contentTypes = [...]string{audio.PCM16: "audio/x-l16", audio.MuLaw: "audio/x-mulaw", audio.ALaw: ""}

func (p *Provider) format() audio.Format {
	if p.Format == (audio.Format{}) {
		return audio.Telephone
	}
	return p.Format
}

// preferring are the formats with each of them first.
var preferring = func() map[audio.Format][]audio.Format {
	m := make(map[audio.Format][]audio.Format)
	for i, f := range formats {
		m[f] = slices.Concat([]audio.Format{f}, formats[:i], formats[i+1:])
	}
	return m
}()

// Traits describes Plivo's audio streams. Of the two lengths that Plivo gives for
// its buffer, 40 and 60 seconds, it tells the shorter.
func (p *Provider) Traits() stream.Traits {
	return stream.Traits{
		Formats:    preferring[p.format()],
		Packet:     20 * time.Millisecond,
		NeedsStart: true,
		Marks:      true,
		Buffer:     40 * time.Second,
	}
}

// Decode reads one message. It decodes payloads in data's own memory.
//
// It is strict about JSON and about what it reads, and takes everything else as
// it comes: names in any order, unknown names and events, numbers as strings, a
// start that says nothing but its ids and is then in Format. A checkpoint that
// AppendMark did not write is ignored.
func (p *Provider) Decode(m *stream.Message, data []byte, binary bool) error {
	if binary {
		return jsonscan.ErrBinary
	}
	if done, err := decodeUsualMedia(m, data); done {
		return err
	}
	return p.decodeAny(m, data)
}

// decodeUsualMedia reads a media message that is written exactly as Plivo
// documents it. It reports whether it was one; if not, it has changed neither
// data nor m.
func decodeUsualMedia(m *stream.Message, data []byte) (done bool, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"event":"media","sequenceNumber":`))
	sequence, rest, ok := bareCount(rest, ok)
	rest, ok = jsonscan.Cut(rest, ok, `,"streamId":"`)
	rest, ok = afterID(rest, ok)
	rest, ok = jsonscan.Cut(rest, ok, `","media":{"track":"`)
	track, rest, ok := jsonscan.CutTrack(rest, ok)
	rest, ok = jsonscan.Cut(rest, ok, `","timestamp":"`)
	millis, rest, ok := jsonscan.CutCount(rest, ok)
	rest, ok = jsonscan.Cut(rest, ok, `","chunk":`)
	chunk, rest, ok := bareCount(rest, ok)
	rest, ok = jsonscan.Cut(rest, ok, `,"payload":"`)
	if !ok || millis > jsonscan.MaxMillis {
		return false, nil
	}
	quote := bytes.IndexByte(rest, '"')
	if quote < 0 {
		return false, nil
	}
	payload := rest[:quote]
	if !isUsualTail(rest[quote:]) || bytes.IndexByte(payload, '\\') >= 0 {
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

// bareCount removes a count that stands without quotes, where JSON has no zero
// before other digits.
func bareCount(b []byte, ok bool) (int64, []byte, bool) {
	n, rest, fine := jsonscan.CutCount(b, ok)
	return n, rest, fine && (b[0] != '0' || len(b)-len(rest) == 1)
}

func afterID(b []byte, ok bool) ([]byte, bool) {
	quote := bytes.IndexByte(b, '"')
	if !ok || quote < 0 || !jsonscan.IsSafeID(b[:quote]) {
		return nil, false
	}
	return b[quote:], true
}

// isUsualTail reports whether b is the end of a message behind the payload.
func isUsualTail(b []byte) bool {
	if string(b) == `"}}` {
		return true
	}
	headers, ok := jsonscan.Cut(b, true, `"},"extra_headers":"`)
	if !ok || len(headers) < 2 || string(headers[len(headers)-2:]) != `"}` {
		return false
	}
	for _, c := range headers[:len(headers)-2] {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// decodeAny reads any message.
func (p *Provider) decodeAny(m *stream.Message, data []byte) error {
	s := jsonscan.New(data)
	var names jsonscan.Seen
	var event, streamID, name, headers, media, start, dtmf []byte
	sequence := int64(-1)
	if s.Peek() != '{' {
		return jsonscan.ErrSyntax
	}
	s.Object()
	for first := true; ; first = false {
		member, ok := s.Member(first)
		if !ok {
			break
		}
		switch string(member) {
		case "event":
			s.Once(&names, 0)
			event = s.Text()
		case "sequenceNumber":
			s.Once(&names, 1)
			sequence = s.Count()
		case "streamId":
			s.Once(&names, 2)
			streamID = s.Text()
		case "name":
			s.Once(&names, 3)
			name = s.Skip(1)
		case "extra_headers":
			s.Once(&names, 4)
			headers = s.Skip(1)
		case "media":
			s.Once(&names, 5)
			media = s.Skip(1)
		case "start":
			s.Once(&names, 6)
			start = s.Skip(1)
		case "dtmf":
			s.Once(&names, 7)
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
		return p.decodeStart(m, start, streamID, headers)
	case "playedStream":
		return decodePlayed(m, name)
	case "dtmf":
		return jsonscan.Key(m, dtmf)
	case "clearedAudio":
		m.Kind = stream.KindCleared
	case "stop":
		m.Kind = stream.KindStop
	case "":
		return jsonscan.ErrEvent
	}
	return nil
}

// decodePlayed reads the name of a checkpoint. One that is no number is not
// ours.
func decodePlayed(m *stream.Message, value []byte) error {
	s := jsonscan.New(value)
	mark := s.Text()
	if s.Err() != nil {
		return s.Err()
	}
	jsonscan.Mark(m, mark)
	return nil
}

func (p *Provider) decodeStart(m *stream.Message, object, outerID, headers []byte) error {
	s := jsonscan.New(object)
	var names jsonscan.Seen
	var accountID, streamID, callID []byte
	format := p.format()
	s.Object()
	for first := true; ; first = false {
		member, ok := s.Member(first)
		if !ok {
			break
		}
		switch string(member) {
		case "accountId":
			s.Once(&names, 0)
			accountID = s.Text()
		case "streamId":
			s.Once(&names, 1)
			streamID = s.Text()
		case "callId":
			s.Once(&names, 2)
			callID = s.Text()
		case "mediaFormat":
			s.Once(&names, 3)
			format = formatOf(s.Format())
		default:
			s.Skip(2)
		}
	}
	switch {
	case s.Err() != nil:
		return s.Err()
	case !slices.Contains(formats, format):
		return errFormat
	case !jsonscan.IsSafeID(streamID), !jsonscan.IsSafeID(callID), len(accountID) > 0 && !jsonscan.IsSafeID(accountID):
		return jsonscan.ErrID
	case outerID != nil && !bytes.Equal(outerID, streamID):
		return jsonscan.ErrIDs
	}
	m.Kind = stream.KindStart
	m.StreamID = string(streamID)
	m.CallID = string(callID)
	m.AccountID = string(accountID)
	m.Format = format
	m.Params = readHeaders(headers)
	return nil
}

// formatOf is the format that is described so, or the zero Format.
func formatOf(encoding []byte, rate, channels int64) audio.Format {
	for _, f := range formats {
		if string(encoding) == contentTypes[f.Encoding] && rate == int64(f.Rate) && (channels == 1 || channels == -1) {
			return f
		}
	}
	return audio.Format{}
}

// readHeaders reads the extra headers of a start, a JSON string. Plivo describes
// what is in it in three ways: an object, pairs with semicolons and pairs with
// commas. They say nothing that we have asked for, so what cannot be read, or is
// too much, is left out.
func readHeaders(value []byte) map[string]string {
	s := jsonscan.New(value)
	if s.Peek() != '"' {
		return nil // null, or none
	}
	list := bytes.TrimSpace(s.Str())
	if len(list) > 0 && list[0] == '{' {
		inner := jsonscan.New(list)
		params := inner.Params()
		inner.End()
		if inner.Err() != nil {
			return nil
		}
		return params
	}
	separator := ","
	if bytes.IndexByte(list, ';') >= 0 {
		separator = ";"
	}
	params := make(map[string]string)
	for pair := range strings.SplitSeq(strings.ToValidUTF8(string(list), "\uFFFD"), separator) {
		name, value, ok := strings.Cut(pair, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" || len(name) > jsonscan.MaxParam || len(value) > jsonscan.MaxParam {
			continue
		}
		if _, repeated := params[name]; !repeated && len(params) < jsonscan.MaxParams {
			params[name] = value
		}
	}
	if len(params) == 0 {
		return nil
	}
	return params
}

// AppendMedia appends a message that plays payload.
func (p *Provider) AppendMedia(dst []byte, _ string, f audio.Format, payload []byte) []byte {
	dst = append(dst, `{"event":"playAudio","media":{"contentType":"`...)
	dst = append(dst, contentTypes[f.Encoding]...)
	dst = append(dst, `","sampleRate":`...)
	dst = strconv.AppendInt(dst, int64(f.Rate), 10)
	dst = append(dst, `,"payload":"`...)
	dst = jsonscan.AppendBase64(dst, payload)
	return append(dst, `"}}`...)
}

// AppendMark appends a checkpoint, which Plivo returns when all audio before it
// has been played, and never if that was cleared.
func (p *Provider) AppendMark(dst []byte, streamID string, mark uint32) []byte {
	dst = append(dst, `{"event":"checkpoint","streamId":"`...)
	dst = jsonscan.AppendEscaped(dst, streamID)
	dst = append(dst, `","name":"`...)
	dst = strconv.AppendUint(dst, uint64(mark), 10)
	return append(dst, `"}`...)
}

// AppendClear appends a message that throws away what has not been played.
func (p *Provider) AppendClear(dst []byte, streamID string) []byte {
	dst = append(dst, `{"event":"clearAudio","streamId":"`...)
	dst = jsonscan.AppendEscaped(dst, streamID)
	return append(dst, `"}`...)
}

// AppendKeys appends a message that presses keys: 0-9 * #.
func (p *Provider) AppendKeys(dst []byte, _ string, keys string) []byte {
	dst = append(dst, `{"event":"sendDTMF","dtmf":"`...)
	dst = jsonscan.AppendEscaped(dst, keys)
	return append(dst, `"}`...)
}
