package stream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"

	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/switchboard-voice/switchboard/audio"
)

// maskedFrame is a client's WebSocket message on the wire, masked with zeros.
func maskedFrame(opcode byte, payload []byte) []byte {
	b := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n <= 125:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// tapped echoes and has three taps, as a call has.
type tapped struct {
	story
	taps [3]int64
}

func (h *tapped) WriteFrame(f *audio.Frame) {
	for i := range h.taps {
		h.taps[i] += int64(len(f.PCM))
	}
	if f.Track == audio.Inbound {
		h.c.Write(f.PCM)
		// This far end plays as fast as it is sent to.
		h.c.mu.Lock()
		h.c.out.end = 0
		h.c.mu.Unlock()
	}
}

func (h *tapped) Heard(int64, bool) {}

// TestAFrameAllocatesNothing follows a frame from the socket through three taps
// and back to the socket, marks included.
func TestAFrameAllocatesNothing(t *testing.T) {
	for name, p := range map[string]Protocol{"text and base64": newLines(), "binary": PCM{}} {
		t.Run(name, func(t *testing.T) {
			h, ws, end := overTCP(t, p)
			conn := ws.NetConn()
			var frame []byte
			opcode, start := byte(1), []byte("start mulaw")
			chunk := int64(0)
			if p == (PCM{}) {
				opcode, start = 2, []byte(`{"event":"start","rate":16000}`)
				frame = maskedFrame(2, make([]byte, 640))
			}
			conn.Write(maskedFrame(1, start))
			<-h.started
			reply := make([]byte, 4096)
			buf := make([]byte, 0, 4096)
			codes := make([]byte, 160)
			once := func() {
				out := frame
				if out == nil {
					chunk++
					buf = appendInbound(buf[:8], chunk, chunk, chunk*20, codes)
					n := len(buf) - 8
					buf[0], buf[1] = 0x80|opcode, 0x80|126
					binary.BigEndian.PutUint16(buf[2:], uint16(n))
					clear(buf[4:8])
					out = buf
				}
				if _, err := conn.Write(out); err != nil {
					t.Fatal(err)
				}
				readFrame(t, conn, reply)
			}
			for range 100 {
				once()
			}
			allocs := testing.AllocsPerRun(2000, once)
			if allocs > 0 && !raceEnabled {
				t.Errorf("%v allocations a frame", allocs)
			}
			t.Logf("%v allocations a frame", allocs)
			end()
			if h.taps[2] < 2000*160 {
				t.Errorf("the taps got %d samples", h.taps[2])
			}
		})
	}
}

// readFrame reads one server's message of up to 64 KiB.
func readFrame(t testing.TB, r io.Reader, buf []byte) {
	if _, err := io.ReadFull(r, buf[:2]); err != nil {
		t.Fatal(err)
	}
	n := int(buf[1])
	if n == 126 {
		if _, err := io.ReadFull(r, buf[:2]); err != nil {
			t.Fatal(err)
		}
		n = int(binary.BigEndian.Uint16(buf))
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		t.Fatal(err)
	}
}

// overTCP starts an echo over loopback and returns the client's socket.
func overTCP(t testing.TB, p Protocol) (h *tapped, ws *websocket.Conn, end func()) {
	g := &Gate{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended, accepted := make(chan error, 1), make(chan *tapped, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := g.Accept(w, r, Upgrade{Protocol: p})
		if err != nil {
			t.Error(err)
			return
		}
		h := &tapped{story: *newStory(c)}
		go func() { ended <- c.Run(context.Background(), h) }()
		accepted <- h
	})}
	go server.Serve(listener)
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ws = dial(t, conn)
	return <-accepted, ws, func() {
		conn.Close()
		<-ended
		server.Close()
		g.Close()
	}
}

func BenchmarkEcho(b *testing.B) {
	_, ws, end := overTCP(b, newLines())
	ws.WriteMessage(websocket.TextMessage, startMuLaw)
	codes, reply, buf := make([]byte, 160), make([]byte, 4096), []byte(nil)
	in := bufio.NewReader(ws.NetConn())
	b.ReportAllocs() // one is the client's
	chunk := int64(0)
	for b.Loop() {
		chunk++
		buf = appendInbound(buf[:0], chunk, chunk, chunk*20, codes)
		if err := ws.WriteMessage(websocket.TextMessage, buf); err != nil {
			b.Fatal(err)
		}
		readFrame(b, in, reply)
	}
	end()
}

// feed is a connection whose far end has said all it has to say and does not
// care for answers.
type feed struct {
	net.Conn
	r io.Reader
}

func (f *feed) Read(p []byte) (int, error)       { return f.r.Read(p) }
func (f *feed) Write(p []byte) (int, error)      { return len(p), nil }
func (f *feed) Close() error                     { return nil }
func (f *feed) SetReadDeadline(time.Time) error  { return nil }
func (f *feed) SetWriteDeadline(time.Time) error { return nil }
func (f *feed) SetDeadline(time.Time) error      { return nil }

// FuzzRun throws arbitrary messages, and arbitrary bytes, at a stream.
func FuzzRun(f *testing.F) {
	add := func(messages ...string) {
		var b []byte
		for _, m := range messages {
			b = append(b, maskedFrame(1, []byte(m))...)
		}
		f.Add(b, false)
		f.Add(b, true)
	}
	add("start mulaw", "media 1 1 0 AAAA", "media 2 3 60 AAAA", "mark 1", "key 5", "stop")
	add(`{"event":"start","rate":8000}`, `{"event":"mark","mark":1}`, `{"event":"x"}`)
	add("start linear", "media 1 1 0 AAA=")
	f.Add(append(maskedFrame(9, []byte("ping")), maskedFrame(8, []byte{3, 232})...), false)
	f.Fuzz(func(t *testing.T, data []byte, pcm bool) {
		var p Protocol = newLines()
		if pcm {
			p = PCM{}
		}
		g := &Gate{WriteTimeout: time.Second}
		near, far := net.Pipe()
		far.Close()
		handshake := &http.Request{Method: "GET", Header: http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}}
		conn := &feed{Conn: near, r: bytes.NewReader(data)}
		c, err := g.Accept(&pipeWriter{header: http.Header{}, conn: conn}, handshake, Upgrade{Protocol: p})
		if err != nil {
			t.Fatal(err)
		}
		s := newStory(c)
		err = c.Run(t.Context(), s)
		known := false
		for _, e := range []error{nil, ErrNoStart, ErrFormat, ErrTooManyBad, ErrProtocol, ErrLost} {
			known = known || errors.Is(err, e)
		}
		if !known {
			t.Errorf("Run: %v", err)
		}
		for _, problem := range s.problems {
			t.Error(problem)
		}
		if st := c.Stats(); st.SamplesIn+st.FilledSamples != s.in {
			t.Errorf("%d samples taken, %d filled, %d delivered", st.SamplesIn, st.FilledSamples, s.in)
		}
		near.Close()
		g.Close()
	})
}
