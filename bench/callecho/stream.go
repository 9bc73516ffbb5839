package callecho

import (
	"context"
	"net/http"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// streams is the library's media path alone.
type streams struct {
	gate     stream.Gate
	provider twilio.Provider
}

func newStreams() *streams { return new(streams) }

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := s.gate.Accept(w, r, stream.Upgrade{Protocol: &s.provider})
	if err != nil {
		return
	}
	go func() { _ = conn.Run(context.Background(), &echo{conn: conn}) }()
}

// echo writes back what it hears.
type echo struct{ conn *stream.Conn }

func (e *echo) Start(stream.Start) error { return nil }

func (e *echo) WriteFrame(f *audio.Frame) {
	if f.Track == audio.Inbound {
		_, _ = e.conn.Write(f.PCM) // fails only after the end
	}
}

func (e *echo) Key(byte, time.Duration) {}
func (e *echo) Text([]byte)             {}
func (e *echo) Heard(int64, bool)       {}
