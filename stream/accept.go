package stream

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/switchboard-voice/switchboard/internal/wheel"
)

// A Gate admits media sockets and paces what is sent on them. The zero value is
// ready for use; its fields are not changed after that. One Gate serves all
// streams of a service.
type Gate struct {
	// StartTimeout is how long a socket may take to its start. Zero means 5 s.
	StartTimeout time.Duration
	// IdleTimeout ends a stream on which nothing came for so long, pongs
	// included. Zero means 15 s.
	IdleTimeout time.Duration
	// PingInterval is how long nothing has come when the far end is asked
	// whether it is there. Zero means 5 s.
	PingInterval time.Duration
	// WriteTimeout ends a stream whose far end does not take a message for so
	// long, or for three quarters of it at least. Zero means 2 s.
	WriteTimeout time.Duration
	// MaxPending is how many sockets may be open that have not started. Further
	// ones are refused. Zero means 256.
	MaxPending int
	// MaxMessage is the longest message that is read, in bytes. A longer one
	// ends the stream. Zero means 64 KiB.
	MaxMessage int64
	// Lead is how far ahead of its playback audio is sent. It bridges the
	// jitter of network and scheduler. Zero means 200 ms.
	Lead time.Duration
	// Buffer is how much audio may wait to be sent; then Write blocks. Zero
	// means 60 s. In all a stream holds at most 512 KiB of audio.
	Buffer time.Duration
	// AckGrace is how long an acknowledgement may be overdue before a position
	// counts as heard without it. Zero means 2 s.
	AckGrace time.Duration

	wheel wheel.Wheel

	mu      sync.Mutex
	pending int
	open    sync.WaitGroup // Conns
	closed  bool
}

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

func (g *Gate) startTimeout() time.Duration { return or(g.StartTimeout, 5*time.Second) }
func (g *Gate) idleTimeout() time.Duration  { return or(g.IdleTimeout, 15*time.Second) }
func (g *Gate) pingInterval() time.Duration { return or(g.PingInterval, 5*time.Second) }
func (g *Gate) writeTimeout() time.Duration { return or(g.WriteTimeout, 2*time.Second) }
func (g *Gate) maxPending() int             { return or(g.MaxPending, 256) }
func (g *Gate) maxMessage() int64           { return or(g.MaxMessage, 64<<10) }
func (g *Gate) lead() time.Duration         { return or(g.Lead, 200*time.Millisecond) }
func (g *Gate) buffer() time.Duration       { return or(g.Buffer, time.Minute) }
func (g *Gate) ackGrace() time.Duration     { return or(g.AckGrace, 2*time.Second) }

// Upgrade says what a socket is to become.
type Upgrade struct {
	Protocol Protocol
	// Subprotocols are the WebSocket subprotocols offered, the preferred first.
	Subprotocols []string
	// Origins are the values of the Origin header that are allowed, such as
	// "https://app.example.com". A request without one, which no browser sends,
	// is always allowed.
	Origins []string
}

// Accept makes a Conn of a request. On an error it has replied: the error wraps
// ErrTooManyPending, ErrGateClosed, ErrOrigin or ErrNotWebSocket.
//
// It starts no goroutine. Let the handler return and call Run on another
// goroutine: so the memory of the HTTP server's is given back. Each Conn must be
// run or closed. Compression is never negotiated: a small compressed message can
// be a huge one. Response writers wrapped by middleware are fine if they have an
// Unwrap method, as for [http.ResponseController].
func (g *Gate) Accept(w http.ResponseWriter, r *http.Request, u Upgrade) (*Conn, error) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, http.StatusText(http.StatusUpgradeRequired), http.StatusUpgradeRequired)
		return nil, ErrNotWebSocket
	}
	if origin := r.Header.Get("Origin"); origin != "" && !slices.Contains(u.Origins, origin) {
		http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
		return nil, fmt.Errorf("%w: %q", ErrOrigin, origin)
	}
	if err := g.enter(); err != nil {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return nil, err
	}
	upgrader := websocket.Upgrader{
		Subprotocols: u.Subprotocols,
		CheckOrigin:  func(*http.Request) bool { return true }, // done above
	}
	ws, err := upgrader.Upgrade(hijacker{w}, r, nil)
	if err != nil {
		g.leavePending()
		g.open.Done()
		return nil, fmt.Errorf("%w: %w", ErrNotWebSocket, err)
	}
	// That was the handshake, after which the client waits for nothing: no byte
	// of a message has been read yet. The rest is our own; see socket.
	conn := ws.NetConn()
	boundSend(conn)
	return newConn(g, conn, u.Protocol), nil
}

// Close refuses further sockets and returns when every Conn has ended, and the
// goroutine that paced them. It does not end them: that is for whoever runs
// them.
func (g *Gate) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.open.Wait()
	g.wheel.Close()
}

// enter counts a new socket.
func (g *Gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrGateClosed
	}
	if g.pending >= g.maxPending() {
		return ErrTooManyPending
	}
	g.pending++
	g.open.Add(1)
	return nil
}

func (g *Gate) leavePending() {
	g.mu.Lock()
	g.pending--
	g.mu.Unlock()
}

// hijacker finds the connection under middleware that hides it.
type hijacker struct{ http.ResponseWriter }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

// boundSend keeps the kernel from taking megabytes for a far end that has
// stopped reading, which would hide that it has.
func boundSend(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if b, ok := c.(interface{ SetWriteBuffer(int) error }); ok {
		_ = b.SetWriteBuffer(64 << 10) // without it the stall is seen later
	}
}
