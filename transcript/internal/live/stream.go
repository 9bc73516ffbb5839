// Package live keeps the transcription of a call going over connections that do
// not last.
//
// A [Session] writes a call's sound to a tape and sends it to a stream of a
// service. When the stream breaks, the next one is sent again what had no final
// result, with silence in place of what had: so no word is lost or doubled, as
// long as the tape reaches back. Where it does not, a gap is marked.
package live

import (
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
)

// A Stream is one connection to a service. Send, KeepAlive and Finish are called
// by one goroutine, Receive by another, Close by any, also more than once.
type Stream interface {
	// Send sends sound: whole samples of all tracks, interleaved. It does not
	// keep p, and fails when the service takes nothing for too long.
	Send(p []byte) error
	// KeepAlive is called when there has been nothing to send for a while. If a
	// service knows no such thing, the error is errors.ErrUnsupported: the stream
	// is then finished, and another opened for what comes.
	KeepAlive() error
	// Finish says that no more sound comes.
	Finish() error
	// Receive returns the next result. After Finish, when all results have been
	// told, the error is io.EOF.
	Receive() (Result, error)
	// Close ends all of the above.
	Close()
}

// A Result is what a service makes of a stretch of one track. Times are since
// the beginning of its stream.
type Result struct {
	Track      audio.Track
	Start, End time.Duration
	Text       string
	Confidence float64
	Words      []transcript.Word
	// Final tells that this stretch is settled, whether there are words or not.
	Final bool
	// Ends tells that the speaker has come to an end.
	Ends bool
}

// Counters counts for all sessions of one transcriber.
type Counters struct {
	Calls, Connections, Failures, Duplicates, Ignored atomic.Int64

	replayed, missed, late atomic.Int64 // time.Duration
}

// Stats returns what has been counted.
func (c *Counters) Stats() transcript.Stats {
	return transcript.Stats{
		Calls:       c.Calls.Load(),
		Connections: c.Connections.Load(),
		Failures:    c.Failures.Load(),
		Replayed:    time.Duration(c.replayed.Load()),
		Missed:      time.Duration(c.missed.Load()),
		Late:        time.Duration(c.late.Load()),
		Duplicates:  c.Duplicates.Load(),
		Ignored:     c.Ignored.Load(),
	}
}

// Missed counts sound that was given up.
func (c *Counters) Missed(d time.Duration) { c.missed.Add(int64(d)) }

// Late counts sound that came too late.
func (c *Counters) Late(d time.Duration) { c.late.Add(int64(d)) }
