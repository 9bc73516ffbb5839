package deepgram

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/memnet"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
	"github.com/switchboard-voice/switchboard/transcript/internal/livetest"
)

const key = "a-key-that-nobody-may-see"

// server speaks the streaming API as it is documented, and misbehaves as a test
// wants.
type server struct {
	faults func(nth int) faults

	mu         sync.Mutex
	streams    int
	query      url.Values
	keepAlives int
	finalized  int
	closed     int // by CloseStream
}

type faults struct {
	status  int           // refuses the stream so
	retry   string        // Retry-After
	cut     time.Duration // after which the connection breaks
	code    int           // with which the stream is closed then
	stall   time.Duration // after which the server reads nothing
	slow    time.Duration // for each result
	garbage bool          // between all results
	twice   bool          // each result
	noFinal bool
	mute    bool // after CloseStream
}

// start serves on a network of its own and returns a transcriber for it.
func start(t *testing.T, s *server) *Transcriber {
	n := memnet.New()
	l, err := n.Listen("127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: s}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() {
		_ = srv.Close()
		_ = n.Close()
		wg.Wait()
	})
	return &Transcriber{Key: key, BaseURL: "ws://127.0.0.1", Dial: n.DialContext}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	nth := s.streams
	s.streams++
	query := r.URL.Query()
	s.query = query
	s.mu.Unlock()
	var f faults
	if s.faults != nil {
		f = s.faults(nth)
	}
	switch {
	case r.URL.Path != "/v1/listen":
		f.status = http.StatusNotFound
	case r.Header.Get("Authorization") != "Token "+key:
		f.status = http.StatusUnauthorized
	}
	if f.status != 0 {
		w.Header().Set("dg-error", "no good: "+key)
		if f.retry != "" {
			w.Header().Set("Retry-After", f.retry)
		}
		w.WriteHeader(f.status)
		return
	}
	ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &conn{server: s, faults: f, ws: ws, channels: 1}
	if query.Get("multichannel") == "true" {
		c.channels = 2
		c.listeners[1].Track = audio.Outbound
	}
	c.run()
}

// conn is one stream.
type conn struct {
	*server
	faults
	ws        *websocket.Conn
	channels  int
	listeners [2]livetest.Listener

	mu  sync.Mutex // of writing
	err error
}

func (c *conn) run() {
	began := time.Now()
	defer func() { _ = c.ws.Close() }()
	if c.cut > 0 {
		defer time.AfterFunc(c.cut, func() {
			if c.code != 0 {
				c.mu.Lock()
				defer c.mu.Unlock()
				_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(c.code, "NET-0000 "+key), time.Now().Add(time.Second))
			}
			_ = c.ws.Close()
		}).Stop()
	}
	for {
		// The service closes a stream without a message for ten seconds.
		_ = c.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		kind, data, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		if c.stall > 0 && time.Since(began) > c.stall {
			time.Sleep(20 * time.Second)
			return
		}
		if kind == websocket.BinaryMessage {
			c.hear(data)
			continue
		}
		if c.control(data) {
			return
		}
	}
}

func (c *conn) hear(data []byte) {
	side := make([]byte, len(data)/c.channels)
	for track := range c.channels {
		for i := range side {
			side[i] = data[c.channels*i+track]
		}
		c.tell(c.listeners[track].Hear(side))
	}
}

func (c *conn) flush() {
	for track := range c.channels {
		c.tell(c.listeners[track].Flush())
	}
}

// control acts on a message of control, and reports whether it was the last.
func (c *conn) control(data []byte) bool {
	var m struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		c.err = err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	switch m.Type {
	case "KeepAlive":
		c.keepAlives++
	case "Finalize":
		c.finalized++
		if !c.mute {
			c.flush()
		}
	case "CloseStream":
		c.server.closed++
		if c.mute {
			return false
		}
		c.flush()
		c.write(map[string]any{"type": "Metadata", "request_id": "1", "duration": 1.0, "channels": c.channels})
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
		return true
	}
	return false
}

func (c *conn) tell(results []live.Result) {
	for _, r := range results {
		if r.Final && c.noFinal {
			continue
		}
		time.Sleep(c.slow)
		if c.garbage {
			c.mu.Lock()
			for _, s := range []string{`{`, `{"type":"Results"}`, `[]`, `{"type":"Results","channel_index":[9,2],"channel":{}}`,
				`{"type":"Results","channel_index":[0,2],"start":1e300,"duration":-1,"channel":{"alternatives":[{"transcript":"x"}]}}`,
				`{"type":"News","of":"tomorrow"}`} {
				_ = c.ws.WriteMessage(websocket.TextMessage, []byte(s))
			}
			_ = c.ws.WriteMessage(websocket.BinaryMessage, []byte{1, 2, 3})
			c.mu.Unlock()
		}
		c.write(c.results(r))
		if c.twice {
			c.write(c.results(r))
		}
		if r.Ends {
			c.write(map[string]any{"type": "UtteranceEnd", "channel": []int{int(r.Track), c.channels}, "last_word_end": r.End.Seconds()})
		}
	}
}

// results is a message of type Results.
func (c *conn) results(r live.Result) map[string]any {
	words := []map[string]any{}
	for _, w := range r.Words {
		words = append(words, map[string]any{"word": w.Text, "punctuated_word": w.Text, "start": w.At.Seconds(), "end": w.End.Seconds(), "confidence": w.Confidence})
	}
	return map[string]any{
		"type": "Results", "channel_index": []int{int(r.Track), c.channels},
		"start": r.Start.Seconds(), "duration": (r.End - r.Start).Seconds(), "is_final": r.Final, "speech_final": r.Ends,
		"channel": map[string]any{"alternatives": []any{
			map[string]any{"transcript": r.Text, "confidence": r.Confidence, "words": words},
			map[string]any{"transcript": "something else", "confidence": 0.1, "words": words},
		}},
		"metadata": map[string]any{"request_id": "1"},
	}
}

func (c *conn) write(m any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ws.WriteJSON(m); err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		c.err = err
	}
}
