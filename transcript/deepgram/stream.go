package deepgram

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
)

const (
	// writeTimeout is how long the service may take nothing.
	writeTimeout = 5 * time.Second
	// pingEvery and deadAfter find a connection that is dead before the tape of
	// the call has moved on.
	pingEvery = 2 * time.Second
	deadAfter = 6 * time.Second

	maxMessage = 1 << 20
	// maxBad is how many messages in a row may be of no sense.
	maxBad = 20
)

// Messages of control
// (https://developers.deepgram.com/docs/lower-level-websockets).
var (
	keepAlive   = []byte(`{"type":"KeepAlive"}`)
	finalize    = []byte(`{"type":"Finalize"}`)
	closeStream = []byte(`{"type":"CloseStream"}`)
)

var errGarbage = errors.New("too many messages of no sense")

// stream is one connection.
type stream struct {
	ws       *websocket.Conn
	counters *live.Counters
	pinged   time.Time // of the sender alone
	bad      int       // of the receiver alone
	finished atomic.Bool
}

func newStream(ws *websocket.Conn, counters *live.Counters) *stream {
	s := &stream{ws: ws, counters: counters}
	ws.SetReadLimit(maxMessage)
	ws.SetPongHandler(func(string) error { return s.alive() })
	_ = s.alive() // or the first read fails
	return s
}

func (s *stream) alive() error { return s.ws.SetReadDeadline(time.Now().Add(deadAfter)) }

// Send sends sound.
func (s *stream) Send(p []byte) error { return s.write(websocket.BinaryMessage, p) }

// KeepAlive keeps the service from closing a stream without sound, which it does
// after ten seconds.
func (s *stream) KeepAlive() error { return s.write(websocket.TextMessage, keepAlive) }

// Finish has the service tell its last results and close the stream.
func (s *stream) Finish() error {
	s.finished.Store(true)
	if err := s.write(websocket.TextMessage, finalize); err != nil {
		return err
	}
	return s.write(websocket.TextMessage, closeStream)
}

func (s *stream) write(kind int, p []byte) error {
	now := time.Now()
	if now.Sub(s.pinged) >= pingEvery {
		s.pinged = now
		if err := s.ws.WriteControl(websocket.PingMessage, nil, now.Add(writeTimeout)); err != nil {
			return unavailable(err)
		}
	}
	if err := s.ws.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
		return unavailable(err)
	}
	if err := s.ws.WriteMessage(kind, p); err != nil {
		return unavailable(err)
	}
	return nil
}

func unavailable(err error) error {
	return &transcript.Error{Service: service, Reason: transcript.ErrUnavailable, Err: err}
}

// Receive returns the next result.
func (s *stream) Receive() (live.Result, error) {
	for {
		kind, data, err := s.ws.ReadMessage()
		if err != nil {
			return live.Result{}, ended(err)
		}
		if err := s.alive(); err != nil {
			return live.Result{}, unavailable(err)
		}
		m, err := decode(data)
		if kind != websocket.TextMessage || err != nil {
			s.counters.Ignored.Add(1)
			if s.bad++; s.bad > maxBad {
				return live.Result{}, unavailable(errGarbage)
			}
			continue
		}
		s.bad = 0
		switch {
		case m.Type == typeMetadata && s.finished.Load():
			return live.Result{}, io.EOF // which the service says last
		case m.Type == typeError:
			return live.Result{}, &transcript.Error{Service: service, Reason: transcript.ErrUnavailable, Message: live.Message(m.Description, "")}
		case m.Type == typeResults, m.Type == typeUtteranceEnd:
			return m.result(), nil
		}
	}
}

// ended tells why a stream has ended. The service gives its reasons as that of
// closing, such as NET-0001.
func ended(err error) error {
	var closed *websocket.CloseError
	switch {
	case !errors.As(err, &closed):
		return unavailable(err)
	case closed.Code == websocket.CloseNormalClosure:
		return io.EOF
	}
	return &transcript.Error{Service: service, Reason: transcript.ErrUnavailable, Message: live.Message(closed.Text, ""), Err: errClosed(closed.Code)}
}

// Close ends the stream.
func (s *stream) Close() { _ = s.ws.Close() } // nothing is left to be lost
