// Package transcript turns speech into text with a time and a speaker: a
// [Transcriber] listens to a call, a [Transcript] is what it and the agent
// together know of what was said.
package transcript

import (
	"context"
	"io"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// Info describes a call that is to be transcribed.
type Info struct {
	CallID string
	// Provider names which transcriber the host wants for this call, where
	// there are several; empty means the default.
	Provider string
	// Language is a BCP 47 tag; empty leaves it to the transcriber.
	Language string
	// Format is what travels on the call's stream.
	Format audio.Format
	// Emit takes each segment as it becomes known, interim ones too. It may be
	// called from any goroutine until Close of the sink has returned, and does
	// not block.
	Emit func(Segment)
}

// Transcriber transcribes calls. It may be used by many goroutines at once.
type Transcriber interface {
	// Transcribe begins to listen to one call. The error says why it cannot be
	// transcribed; the call then goes on without.
	Transcribe(ctx context.Context, info Info) (Sink, error)
}

// Sink takes the audio of one call while it is transcribed.
//
// WriteFrame is called from one goroutine, the media path: it neither blocks
// nor keeps the frame.
type Sink interface {
	audio.FrameWriter

	// Close says that no more audio comes, and waits until the last words have
	// been emitted or ctx ends. Called again it returns the same.
	Close(ctx context.Context) error
}

// Retranscriber is what a transcriber that works on recordings is too. It is for
// calls whose live transcription has failed, or has gaps.
type Retranscriber interface {
	// Retranscribe returns what was said in a recording: a WAV file with the
	// caller on the first channel and the agent, if at all, on the second. Of
	// info, Format and Emit do not matter. The segments are in order and all
	// final. With an error there are none.
	Retranscribe(ctx context.Context, info Info, wav io.Reader) ([]Segment, error)
}

// Speaker is who said something.
type Speaker string

// The two parties of a call.
const (
	Agent    Speaker = "agent"
	Customer Speaker = "customer"
)

// Segment is a stretch of one speaker's words.
type Segment struct {
	// ID is the same for all versions of one segment; a later version replaces
	// an earlier one. Segments without an ID never replace another.
	ID      string        `json:"id,omitempty"`
	Speaker Speaker       `json:"speaker"`
	Text    string        `json:"text"`
	At      time.Duration `json:"at"`  // beginning, on the call's media clock
	End     time.Duration `json:"end"` // at or after At
	// Confidence is from 0 to 1; words that are known for certain, such as an
	// agent's own, have 1.
	Confidence float64 `json:"confidence"`
	// Final tells that no later version comes.
	Final bool `json:"final"`
	// Gap marks a stretch in which words may be missing; Text is then empty.
	Gap bool `json:"gap,omitempty"`
	// Words are those of Text, where a transcriber tells them apart. They are
	// never changed: segments share them.
	Words []Word `json:"words,omitempty"`
}

// Word is one word of a segment, as it is written in its text.
type Word struct {
	Text       string        `json:"text"`
	At         time.Duration `json:"at"`
	End        time.Duration `json:"end"`
	Confidence float64       `json:"confidence"`
}
