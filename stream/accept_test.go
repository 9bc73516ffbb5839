package stream

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// wrapped is what middleware makes of a response writer.
type wrapped struct{ w http.ResponseWriter }

func (m wrapped) Header() http.Header         { return m.w.Header() }
func (m wrapped) Write(p []byte) (int, error) { return m.w.Write(p) }
func (m wrapped) WriteHeader(code int)        { m.w.WriteHeader(code) }
func (m wrapped) Unwrap() http.ResponseWriter { return m.w }

func TestAccept(t *testing.T) {
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	with := func(key, value string) http.Header {
		h := upgrade.Clone()
		if value == "" {
			h.Del(key)
		} else {
			h.Set(key, value)
		}
		return h
	}
	tests := []struct {
		name   string
		method string
		header http.Header
		wrap   bool
		code   int
		want   error
	}{
		{"a websocket", "GET", upgrade, false, 101, nil},
		{"behind middleware that only unwraps", "GET", upgrade, true, 101, nil},
		{"compression offered is not taken", "GET", with("Sec-Websocket-Extensions", "permessage-deflate"), false, 101, nil},
		{"from a page that is allowed", "GET", with("Origin", "https://app.example.com"), false, 101, nil},
		{"from a page that is not", "GET", with("Origin", "https://evil.example.com"), false, 403, ErrOrigin},
		{"from the page's own host, not listed", "GET", with("Origin", "http://example.com"), false, 403, ErrOrigin},
		{"an ordinary request", "GET", http.Header{}, false, 426, ErrNotWebSocket},
		{"not a GET", "POST", upgrade, false, 405, ErrNotWebSocket},
		{"no key", "GET", with("Sec-Websocket-Key", ""), false, 400, ErrNotWebSocket},
		{"another version", "GET", with("Sec-Websocket-Version", "8"), false, 400, ErrNotWebSocket},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := &Gate{}
			failed := make(chan error, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.wrap {
					w = wrapped{w}
				}
				c, err := g.Accept(w, r, Upgrade{
					Protocol: newLines(), Subprotocols: []string{"audio"}, Origins: []string{"https://app.example.com"},
				})
				if err == nil {
					c.Close(nil)
				}
				failed <- err
			}))
			r, err := http.NewRequest(test.method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = test.header.Clone()
			r.Header.Set("Sec-Websocket-Protocol", "other, audio")
			client := &http.Client{Transport: &http.Transport{}}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != test.code {
				t.Errorf("status %d, want %d", resp.StatusCode, test.code)
			}
			if err := <-failed; !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Errorf("%v, want %v", err, test.want)
			}
			if test.code == 101 && resp.Header.Get("Sec-Websocket-Protocol") != "audio" {
				t.Errorf("subprotocol %q", resp.Header.Get("Sec-Websocket-Protocol"))
			}
			if e := resp.Header.Get("Sec-Websocket-Extensions"); e != "" {
				t.Errorf("extensions %q", e)
			}
			client.CloseIdleConnections()
			server.Close()
			g.Close()
			if g.pending != 0 {
				t.Errorf("%d pending", g.pending)
			}
		})
	}
}

func TestSocketsWithoutAStartAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gate{MaxPending: 3}
		var lines []*line
		for range 3 {
			lines = append(lines, newLine(t, g, newLines()).run(t.Context()))
		}
		refused := func() int {
			w := &pipeWriter{header: http.Header{}}
			r := httptest.NewRequest("GET", "/", nil)
			r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
			if _, err := g.Accept(w, r, Upgrade{Protocol: newLines()}); !errors.Is(err, ErrTooManyPending) && !errors.Is(err, ErrNotWebSocket) {
				t.Errorf("Accept: %v", err)
			}
			return w.code
		}
		if code := refused(); code != 503 {
			t.Errorf("a fourth got %d", code)
		}
		lines[0].far.send("start mulaw")
		synctest.Wait()
		if code := refused(); code == 503 {
			t.Error("a start did not make room")
		}
		time.Sleep(6 * time.Second) // the other two run out of time
		for _, l := range lines[1:] {
			if err := <-l.ended; !errors.Is(err, ErrNoStart) {
				t.Errorf("Run: %v", err)
			}
			l.far.ws.Close()
		}
		lines[0].finish()
		w := &pipeWriter{header: http.Header{}}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
		if _, err := g.Accept(w, r, Upgrade{Protocol: newLines()}); err != ErrGateClosed || w.code != 503 {
			t.Errorf("after Close: %v, %d", err, w.code)
		}
	})
}

func TestCompressedBombIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, &Gate{}, newLines()).begin()
		// A text message with RSV1 set: compressed, though nobody agreed to it.
		l.far.ws.NetConn().Write([]byte{0xC1, 0x80, 0, 0, 0, 0})
		if err := <-l.ended; !errors.Is(err, ErrProtocol) {
			t.Errorf("Run: %v", err)
		}
		l.hangUp()
		if l.far.code != websocket.CloseProtocolError {
			t.Errorf("told %d", l.far.code)
		}
	})
}
