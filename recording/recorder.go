// Package recording keeps what was said: a [Recorder] writes the audio of calls,
// a [Storage] holds the files.
package recording

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

var (
	// ErrNotFound tells that a storage holds nothing under a key.
	ErrNotFound = errors.New("recording: not found")
	// ErrExists tells that a key is taken.
	ErrExists = errors.New("recording: key is taken")
	// ErrInvalidKey tells that something is not a key; see [CheckKey].
	ErrInvalidKey = errors.New("recording: not a key")
	// ErrUnknownStorage tells that a recorder has no storage of the name that
	// Info asks for.
	ErrUnknownStorage = errors.New("recording: unknown storage")
	// ErrDenied tells that a storage does not accept our credentials, or does
	// not let them do this.
	ErrDenied = errors.New("recording: denied")
	// ErrUnavailable tells that a storage could not be reached or did not do its
	// work. It may later.
	ErrUnavailable = errors.New("recording: storage is not available")
	// ErrFull tells that a storage takes no more recordings for lack of room.
	ErrFull = errors.New("recording: no room")
)

// Info describes a call that is to be recorded.
type Info struct {
	CallID string
	// Storage names where the host wants this recording; empty means the
	// recorder's default.
	Storage string
	// Format is what travels on the call's stream.
	Format audio.Format
	// StartedAt is the wall clock at the start of the stream, which is zero on
	// the clock of its frames.
	StartedAt time.Time
}

// Recorder records calls. It may be used by many goroutines at once.
type Recorder interface {
	// Record begins the recording of one call. The error says why it cannot be
	// recorded; the call then goes on without.
	Record(ctx context.Context, info Info) (Sink, error)
}

// An Eraser is a Recorder that can delete what it kept.
type Eraser interface {
	// Erase deletes the audio of rec. Nothing there is no error.
	Erase(ctx context.Context, rec Recording) error
}

// An Opener is a Recorder that can open what it kept.
type Opener interface {
	// Open opens the audio of rec, or fails with ErrNotFound.
	Open(ctx context.Context, rec Recording) (io.ReadSeekCloser, error)
}

// A Salvager is a Recorder that can bring back what a process that ended during a
// call has left of its recording.
type Salvager interface {
	// Salvage returns the recording of the call with this CallID, in this Storage,
	// that began at StartedAt or later, and makes it one that can be opened. One
	// that was cut short is marked Interrupted. Nothing there is ErrNotFound. It is
	// called when nobody records the call any more, and may be called again.
	Salvage(ctx context.Context, info Info) (Recording, error)
}

// Sink takes the audio of one call while it is recorded.
//
// WriteFrame is called from one goroutine, the media path: it neither blocks
// nor allocates nor keeps the frame. Frames of one track come in order of their
// At; the tracks are not in step. Outbound frames are those that were heard:
// what an interruption cut off never comes.
type Sink interface {
	audio.FrameWriter

	// Close ends the recording at the media time end and returns what was kept.
	// After the first call WriteFrame does nothing and Close returns the same
	// again. When ctx ends first, what has been written so far is kept and
	// marked Truncated. The Recording is valid, if its Key is set, even with an
	// error; if the error came from publishing it, its Storage may not find it.
	Close(ctx context.Context, end time.Duration) (Recording, error)
}

// Recording describes the kept audio of one call.
type Recording struct {
	// Storage and Key say where it is; an empty Key means that nothing was kept.
	Storage string `json:"storage,omitempty"`
	Key     string `json:"key"`

	Format    string        `json:"format"` // "wav"
	Channels  int           `json:"channels"`
	Rate      int           `json:"rate"` // samples per second and channel
	Duration  time.Duration `json:"duration"`
	Size      int64         `json:"size"`       // bytes
	CreatedAt time.Time     `json:"created_at"` // when its first sample was heard

	// Truncated tells that audio is missing at the end, or may be: the disk was
	// full or failed, or the end was not waited for.
	Truncated bool `json:"truncated,omitempty"`
	// Source is the carrier's id for a recording that was made there; empty for
	// one of our own.
	Source string `json:"source,omitempty"`

	// Interrupted tells that the process ended during the call.
	Interrupted bool `json:"interrupted,omitempty"`
	// Dropped is how much audio was not taken, both tracks added up: the disk
	// did not keep up, and silence stands in its place; or it came too late for
	// its place, or for a second time.
	Dropped time.Duration `json:"dropped,omitempty"`
}
