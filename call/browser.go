package call

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

// Invitation asks for a call with an agent from a browser, over no carrier.
type Invitation struct {
	AgentID string // needed
	Tenant  string
	// Context and Metadata are as in Request.
	Context  map[string]string
	Metadata map[string]string
	Options  Options
}

// Ticket admits one browser to one call. The browser opens a WebSocket to
// ws/stream below the service's public URL, with "ticket." and the Ticket as
// subprotocol, and speaks the protocol of stream.PCM.
type Ticket struct {
	CallID    string
	Ticket    string
	ExpiresAt time.Time
}

// ticketPrefix comes before a ticket in the name of the subprotocol. A browser
// can send no header with a WebSocket, and an address would be logged.
const ticketPrefix = "ticket."

// Invite makes a call that waits for a browser, and a ticket for it. A call to
// which no browser comes ends by itself, having failed with the cause NoMedia.
// The errors are those of Place.
func (s *Service) Invite(ctx context.Context, inv Invitation) (Ticket, error) {
	t, err := s.invite(ctx, inv)
	if err != nil {
		s.counts.refused.Add(1)
		return Ticket{}, fmt.Errorf("call: invite: %w", err)
	}
	return t, nil
}

func (s *Service) invite(ctx context.Context, inv Invitation) (Ticket, error) {
	if err := checkContext(inv.Context, inv.Metadata); err != nil {
		return Ticket{}, err
	}
	if err := s.checkOptions(inv.Options); err != nil {
		return Ticket{}, err
	}
	l, err := s.receive(ctx, browser{}, Call{
		Tenant:   inv.Tenant,
		AgentID:  inv.AgentID,
		Context:  inv.Context,
		Metadata: inv.Metadata,
		Options:  inv.Options,
		Route:    "invitation",
	}, nil)
	if err != nil {
		return Ticket{}, err
	}
	now := time.Now()
	life := min(tokenLife, l.limits.media+l.limits.ring) // then the call ends: see inAdmitted
	return Ticket{CallID: l.id, Ticket: s.tokens.issue(l, now), ExpiresAt: now.Add(life)}, nil
}

// serveBrowser admits a browser that shows a ticket.
func (s *Service) serveBrowser(w http.ResponseWriter, r *http.Request) {
	protocol, ticket := shownTicket(r)
	if s.passSocket(w, r, ticket) {
		return
	}
	l := s.tokens.take(ticket, time.Now())
	if l == nil || l.carrier() != (browser{}) {
		s.counts.streamsRefused.Add(1)
		http.Error(w, "no such ticket", http.StatusForbidden)
		return
	}
	conn, err := s.cfg.Media.Accept(w, r, stream.Upgrade{
		Protocol:     l.carrier(),
		Subprotocols: []string{protocol},
		Origins:      s.origins(),
	})
	if err != nil { // which has been answered
		s.tokens.restore(l, ticket, time.Now())
		s.counts.streamsRefused.Add(1)
		s.log.Warn("browser refused", "call", l.id, "err", err)
		return
	}
	l.attach(conn)
}

// shownTicket finds the ticket among the subprotocols that a browser offers.
func shownTicket(r *http.Request) (protocol, ticket string) {
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(header, ",") {
			p = strings.TrimSpace(p)
			if t, ok := strings.CutPrefix(p, ticketPrefix); ok {
				return p, t
			}
		}
	}
	return "", ""
}

// origins are those whose pages may connect, as a browser would name them.
func (s *Service) origins() []string {
	u, err := url.Parse(s.cfg.PublicURL)
	if err != nil {
		panic(err) // New has parsed it
	}
	return append([]string{u.Scheme + "://" + u.Host}, s.cfg.BrowserOrigins...)
}

// browserName is the provider of calls that came from a browser.
const browserName = "browser"

// browser is the Provider of such calls. There is no carrier behind it: such a
// call has no id there, and is over when its stream is.
type browser struct{ stream.PCM }

func (browser) Name() string { return browserName }

func (browser) Dial(context.Context, *telephony.DialRequest) (string, error) {
	return "", &telephony.Error{
		Provider: browserName, Op: "dial", Outcome: telephony.Rejected,
		Reason: telephony.ErrRefused, Err: errors.ErrUnsupported,
	}
}

func (browser) Hangup(context.Context, string) error { return nil }

func (browser) Status(context.Context, string) (telephony.Event, error) {
	return telephony.Event{}, &telephony.Error{
		Provider: browserName, Op: "status", Outcome: telephony.Rejected, Reason: telephony.ErrCallGone,
	}
}

func (browser) ParseEvent(*telephony.Webhook) (telephony.Event, error) {
	return telephony.Event{}, telephony.ErrUnverified
}

func (browser) WriteAnswer(w http.ResponseWriter, _ *telephony.Answer) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}
