package call

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

const (
	// maxWebhook is the largest webhook that is read, in bytes.
	maxWebhook = 64 << 10
	// webhookTimeout bounds what router and store may take to answer one: with
	// what is given to those that heed it late, less than 5 s, whatever they do.
	webhookTimeout = 4 * time.Second
	// routeTimeout is how long somebody hears it ring until the router has decided.
	routeTimeout = webhookTimeout
	// releaseTimeout bounds the giving back of what a router or a policy holds for
	// a call.
	releaseTimeout = 2 * time.Second
)

// Handler serves what carriers ask for below Config.PublicURL:
//
//	webhook/{provider}/incoming      a call has come in: what to do?
//	webhook/{provider}/answer/{id}   a placed call was picked up: what to do?
//	webhook/{provider}/status/{id}   how a call goes on; also without an id
//	webhook/{provider}/machine/{id}  who picked up
//	webhook/{provider}/next/{id}     a call has left its stream: what to do?
//	webhook/{provider}/back/{id}/{n} nobody else could be reached: what to do?
//	webhook/{provider}/recording/{id} how a recording of the carrier's goes on
//	webhook/{provider}/stream/{id}   how the media stream goes on
//	ws/stream/{token}                the media stream itself
//	ws/stream                        a browser's, with a Ticket
//	ws/listen                        that of a browser that listens, with a Ticket
//	replica/{word}                   what another replica wants: see Cluster
//
// It serves these paths with the path of PublicURL before them and without, so
// that a proxy may strip it. Anything else is 404. What is not signed by the
// carrier or another replica, or has no token, changes nothing.
func (s *Service) Handler() http.Handler {
	u, err := url.Parse(s.cfg.PublicURL)
	if err != nil {
		panic(err) // New has parsed it
	}
	prefix := u.Path
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
		if !ok {
			path = strings.TrimPrefix(r.URL.EscapedPath(), "/")
		}
		part := strings.Split(path, "/")
		switch {
		case len(part) >= 3 && len(part) <= 4 && part[0] == "webhook",
			len(part) == 5 && part[0] == "webhook" && part[2] == "back":
			s.serveWebhook(w, r, path, part)
		case len(part) == 2 && part[0] == "ws" && part[1] == "stream":
			s.serveBrowser(w, r)
		case len(part) == 2 && part[0] == "ws" && part[1] == "listen":
			s.serveListener(w, r)
		case len(part) == 3 && part[0] == "ws" && part[1] == "stream":
			s.serveStream(w, r, part[2])
		case len(part) == 4 && part[0] == "ws" && part[1] == "stream" && s.cfg.AllowInsecureStreams:
			s.serveInsecure(w, r, part[2], part[3])
		case len(part) == 2 && part[0] == replicaPath && r.Method == http.MethodPost:
			s.serveOrder(w, r, part[1])
		default:
			http.NotFound(w, r)
		}
	})
}

// IncomingURL is the address that a carrier shall ask, with POST, what to do
// with calls that come in: what is entered as the voice URL of a number.
func (s *Service) IncomingURL(provider string) string {
	return s.cfg.PublicURL + "webhook/" + provider + "/incoming"
}

// serveWebhook verifies a webhook and hands it to whom it concerns.
func (s *Service) serveWebhook(w http.ResponseWriter, r *http.Request, path string, part []string) {
	provider, ok := s.providers[part[1]]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	if err != nil {
		http.Error(w, "request too large or cut short", http.StatusRequestEntityTooLarge)
		return
	}
	address := s.cfg.PublicURL + path
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.RawQuery
	}
	var event telephony.Event
	err = contain(func() (err error) {
		event, err = provider.ParseEvent(&telephony.Webhook{
			Method: r.Method, URL: address, Header: r.Header, Body: body,
		})
		return err
	})
	switch {
	case errors.Is(err, telephony.ErrUnverified):
		s.counts.unverified.Add(1)
		s.log.Warn("webhook refused", "provider", part[1], "kind", part[2], "err", err)
		http.Error(w, "not signed by the carrier", http.StatusForbidden)
		return
	case err != nil:
		s.log.Warn("webhook not understood", "provider", part[1], "kind", part[2], "err", err)
		http.Error(w, "not understood", http.StatusBadRequest)
		return
	}

	ctx, cancel := context.WithTimeout(r.Context(), webhookTimeout)
	defer cancel()
	id, number := "", ""
	if len(part) >= 4 {
		id = part[3]
	}
	if len(part) == 5 {
		number = part[4]
	}
	if s.passWebhook(ctx, w, r, body, part[1], id, event.ProviderCallID) {
		return
	}
	var answer *telephony.Answer
	switch part[2] {
	case "incoming":
		answer = s.incoming(ctx, provider, event)
	case "answer":
		answer = s.picked(ctx, provider, id, event)
	case "next":
		answer = s.moving(ctx, provider, id, event, func(l *live) *telephony.Answer { return l.next(ctx, event) })
	case "back":
		answer = s.moving(ctx, provider, id, event, func(l *live) *telephony.Answer { return l.back(ctx, number, event) })
	case "recording":
		answer = s.recorded(ctx, provider, id, event)
	case "status", "machine", "stream":
		answer = s.reported(ctx, provider, id, event)
	default:
		http.NotFound(w, r)
		return
	}
	if err := contain(func() error { return provider.WriteAnswer(w, answer) }); err != nil {
		s.log.Error("answer not written", "provider", part[1], "err", err)
	}
}

// serveStream admits the media socket that a token was made for.
func (s *Service) serveStream(w http.ResponseWriter, r *http.Request, token string) {
	if s.passSocket(w, r, token) {
		return
	}
	l := s.tokens.take(token, time.Now())
	if l == nil || l.carrier() == (browser{}) {
		s.counts.streamsRefused.Add(1)
		http.Error(w, "no such stream", http.StatusForbidden)
		return
	}
	conn, err := s.cfg.Media.Accept(w, r, stream.Upgrade{Protocol: l.carrier()})
	if err != nil { // which has been answered
		s.tokens.restore(l, token, time.Now())
		s.counts.streamsRefused.Add(1)
		s.log.Warn("media socket refused", "call", l.id, "err", err)
		return
	}
	l.attach(conn)
}

// serveInsecure makes a call of a media socket that comes without one. See
// Config.AllowInsecureStreams.
func (s *Service) serveInsecure(w http.ResponseWriter, r *http.Request, providerName, agentID string) {
	provider, known := s.providers[providerName]
	_, agent := s.cfg.Agents[agentID]
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if !known || !agent || err != nil || !peer.Addr().Unmap().IsLoopback() {
		s.counts.streamsRefused.Add(1)
		http.Error(w, "no such stream", http.StatusForbidden)
		return
	}
	l, err := s.receive(r.Context(), provider, Call{AgentID: agentID, Route: "insecure stream", Options: s.inboundOptions()}, nil)
	if err != nil {
		s.counts.refused.Add(1)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	conn, err := s.cfg.Media.Accept(w, r, stream.Upgrade{Protocol: provider})
	if err != nil {
		l.tell(input{kind: inEnd, cause: StreamLost, detail: err.Error()})
		return
	}
	l.attach(conn)
}
