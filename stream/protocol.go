package stream

import (
	"errors"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// Kind is what a message from the far end is about.
type Kind uint8

const (
	// KindIgnored is a message that is legal and of no concern.
	KindIgnored Kind = iota
	// KindStart opens the stream and says what it carries.
	KindStart
	// KindMedia carries audio.
	KindMedia
	// KindKey is a key pressed by the caller.
	KindKey
	// KindMark returns a mark: what was sent before it is done with.
	KindMark
	// KindCleared confirms a clear.
	KindCleared
	// KindStop ends the stream.
	KindStop
	// KindText is a control message of a browser client.
	KindText
)

// A Message is what one WebSocket message says. Byte slices point into the
// message that was decoded and are valid until the next one is.
type Message struct {
	Kind Kind

	// Start.
	StreamID  string
	CallID    string // the carrier's
	AccountID string
	Format    audio.Format
	Params    map[string]string

	// Media.
	Sequence  int64         // counts messages of the stream; -1 if not numbered
	Chunk     int64         // counts audio of this track; -1 if not numbered
	Timestamp time.Duration // of the first sample, from any fixed origin; -1 if there is none
	Track     audio.Track
	Payload   []byte // audio in the stream's format

	// Key.
	Digit byte // 0-9 * # A-D

	// Mark.
	Mark uint32 // the number that AppendMark was given

	// Text.
	Text []byte
}

// Reset makes m ready for the next Decode.
func (m *Message) Reset() { *m = Message{Sequence: -1, Chunk: -1, Timestamp: -1} }

// ErrMessage is wrapped by the errors of Decode: the message is not what the
// protocol allows. One such message is dropped and counted, many end the
// stream.
var ErrMessage = errors.New("stream: bad message")

// Protocol is how a far end packs audio into WebSocket messages.
//
// An implementation keeps no state between calls, so one value serves every
// stream at once. The append methods add one whole message to dst and return
// it, as [strconv.AppendInt] does; none of the methods but a Decode of a
// KindStart allocates, given a dst with room.
type Protocol interface {
	// Traits says what the protocol is like. It is constant.
	Traits() Traits

	// Decode reads one message into m, which has been Reset. It may write to
	// data, for example to decode a payload in place. The error wraps
	// ErrMessage.
	Decode(m *Message, data []byte, binary bool) error

	// AppendMedia appends a message that plays payload, which is audio in
	// format f.
	AppendMedia(dst []byte, streamID string, f audio.Format, payload []byte) []byte
	// AppendMark appends a message that is returned when all audio before it
	// has been dealt with.
	AppendMark(dst []byte, streamID string, mark uint32) []byte
	// AppendClear appends a message that throws away the audio that has been
	// sent and not yet played.
	AppendClear(dst []byte, streamID string) []byte
}

// KeySender is implemented by a Protocol that can press keys towards the person
// on the line.
type KeySender interface {
	AppendKeys(dst []byte, streamID string, keys string) []byte
}

// Traits is what differs between protocols, as data.
type Traits struct {
	// Formats are what a stream may carry, the preferred one first.
	Formats []audio.Format
	// Binary tells that media travels in binary messages; control messages are
	// always text.
	Binary bool
	// Packet is how much audio one message carries, best.
	Packet time.Duration
	// NeedsStart tells that nothing may be sent before the far end's start.
	NeedsStart bool
	// Marks tells that the far end returns marks at all.
	Marks bool
	// ClearReturnsMarks tells that a clear makes the far end return every mark
	// that is still pending, as if its audio had been played. Otherwise those
	// marks are dropped and never come.
	ClearReturnsMarks bool
	// Buffer is how much unplayed audio the far end holds before it discards.
	Buffer time.Duration
}
