package audio

import "time"

// Track is which way sound travels.
type Track uint8

const (
	// Inbound is what the person on the phone says.
	Inbound Track = iota
	// Outbound is what the agent says.
	Outbound
)

// String returns "inbound" or "outbound".
func (t Track) String() string {
	if t == Outbound {
		return "outbound"
	}
	return "inbound"
}

// A Frame is a stretch of audio on its way through a call.
//
// A frame and both of its slices are borrowed: they belong to whoever passed
// the frame on and are used again as soon as the receiver returns. Copy what
// you keep.
type Frame struct {
	Track  Track
	Format Format // of Payload; its Rate is also the rate of PCM

	// Payload is the audio as it stood on the wire. It is nil for silence
	// that was filled in for a gap.
	Payload []byte
	// PCM is the same audio decoded.
	PCM []int16

	// At is when the frame begins, on the media clock of its stream: zero is
	// the start of the stream. Within a track, At never goes back, and frames
	// do not overlap.
	At time.Duration
	// Filled tells that the audio was lost or never sent, and that PCM is the
	// silence put in its place.
	Filled bool
}

// Duration is how long the frame plays.
func (f *Frame) Duration() time.Duration { return Duration(len(f.PCM), f.Format.Rate) }

// A FrameWriter takes frames as they pass. WriteFrame is called from the media
// path: it must not block and must not keep the frame.
type FrameWriter interface {
	WriteFrame(f *Frame)
}

// FrameWriterFunc makes a FrameWriter of a function.
type FrameWriterFunc func(f *Frame)

// WriteFrame calls fn.
func (fn FrameWriterFunc) WriteFrame(f *Frame) { fn(f) }
