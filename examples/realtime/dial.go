package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/transcript"
)

// openTimeout is how long the model may take to be ready.
const openTimeout = 10 * time.Second

// errRefused tells that it makes no sense to ask again.
var errRefused = errors.New("refused")

// url is where to connect.
func (a *Agent) url() (string, error) {
	base := a.BaseURL
	if base == "" {
		base = "https://api.openai.com/v1"
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "":
		return "", errors.New("realtime: BaseURL is not a URL")
	case u.Scheme == "https":
		u.Scheme = "wss"
	case u.Scheme == "http" && onThisMachine(u.Hostname()):
		u.Scheme = "ws"
	default:
		return "", errors.New("realtime: BaseURL is without TLS, or not one of https")
	}
	u = u.JoinPath("realtime")
	u.RawQuery = url.Values{"model": {a.model()}}.Encode()
	return u.String(), nil
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// dial connects and opens a session. It returns errRefused if that will not work
// another time either.
func (b *bridge) dial() (*link, error) {
	address, err := b.agent.url()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	dialer := b.agent.Dialer
	if dialer == nil {
		dialer = &websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: openTimeout}
	}
	header := http.Header{}
	if b.agent.Key != "" {
		header.Set("Authorization", "Bearer "+string(b.agent.Key))
	}
	ws, resp, err := dialer.DialContext(b.ctx, address, header)
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close() // gorilla has read what it keeps of it
			err = refusal(resp.StatusCode, err)
		}
		return nil, err
	}
	l := &link{
		bridge: b, ws: ws, since: time.Now(),
		replies: make(map[string]*reply), turns: make(map[string]turn), ended: make(chan struct{}),
	}
	l.active.Store("")
	hangUp := context.AfterFunc(b.ctx, func() { _ = ws.Close() })
	defer hangUp()
	if err := l.open(); err != nil {
		_ = ws.Close()
		return nil, err
	}
	go l.read()
	b.work.Go(l.ping)
	if err := l.begin(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// refusal is errRefused if another attempt would meet with the same status.
func refusal(status int, err error) error {
	if status/100 == 4 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout {
		return fmt.Errorf("%w: %s", errRefused, http.StatusText(status))
	}
	return err
}

// open says what the session is to be, and waits until it is. Before that the
// model would speak another format.
func (l *link) open() error {
	l.ws.SetReadLimit(maxMessage)
	if err := l.ws.SetReadDeadline(time.Now().Add(openTimeout)); err != nil {
		return err
	}
	b := l.bridge
	if err := l.send(b.agent.sessionUpdate()); err != nil {
		return err
	}
	for {
		_, data, err := l.ws.ReadMessage()
		if err != nil {
			return err
		}
		var e event
		if err := json.Unmarshal(data, &e); err != nil {
			return err
		}
		switch e.Type {
		case "error":
			return fmt.Errorf("%w: %s", errRefused, short(e.Error.String()))
		case "session.updated":
			l.ws.SetPongHandler(func(string) error { return l.alive() })
			return l.alive()
		}
	}
}

// begin has the model greet the caller, or tells it what has been said before.
func (l *link) begin() error {
	b := l.bridge
	var said []transcript.Segment
	if b.opened {
		said = b.session.Call().Transcript
	}
	b.opened = true
	for _, s := range said {
		if s.Text == "" {
			continue
		}
		if err := l.send(remember(s.Speaker == transcript.Agent, s.Text)); err != nil {
			return err
		}
	}
	switch n := len(said); {
	case n > 0 && said[n-1].Speaker == transcript.Customer:
		return l.send(respond(""))
	case b.agent.Greeting != "" && !b.spoken.Load():
		return l.send(respond(b.agent.Greeting))
	}
	return nil
}
