package callhttp

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchboard-voice/switchboard/call"
)

func (a *API) registerTickets(api huma.API) {
	register(api, route{
		http.MethodPost, "/api/tickets", "invite-browser", "Make a call that waits for a browser, and a ticket for it", http.StatusCreated,
		[]Problem{invalidRequest, agentNotFound, tooLarge, unsupportedType, draining, overloaded},
	}, a.invite)
}

func (a *API) registerListening(api huma.API) {
	register(api, route{
		http.MethodPost, "/api/calls/{id}/listen", "invite-listener", "Make a ticket with which a browser can listen to a live call", http.StatusCreated,
		[]Problem{callNotFound, callState},
	}, a.inviteListener)
}

type listenOutput struct{ Body listenTicket }

type listenTicket struct {
	CallID    string    `json:"call_id"`
	Ticket    string    `json:"ticket" doc:"Admits one browser once: it opens a WebSocket at ws/listen with \"ticket.\" and this as its subprotocol, and hears both sides."`
	ExpiresAt time.Time `json:"expires_at"`
}

func (a *API) inviteListener(ctx context.Context, in *one) (*listenOutput, error) {
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	t, err := a.cfg.Service.InviteListener(ctx, c.ID)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return &listenOutput{listenTicket{CallID: t.CallID, Ticket: t.Ticket, ExpiresAt: t.ExpiresAt.UTC()}}, nil
}

type ticketRequest struct{ Terms }

type ticketInput struct {
	Body    ticketRequest
	RawBody []byte
}

type ticketOutput struct {
	Location string `header:"Location" doc:"Where the call can be asked about."`
	Body     ticket
}

type ticket struct {
	CallID    string    `json:"call_id"`
	Ticket    string    `json:"ticket" doc:"Admits one browser once: it opens a WebSocket at ws/stream with \"ticket.\" and this as its subprotocol."`
	ExpiresAt time.Time `json:"expires_at"`
}

func (a *API) invite(ctx context.Context, in *ticketInput) (*ticketOutput, error) {
	if err := checkNames("body", in.RawBody, ticketFields); err != nil {
		return nil, err
	}
	if err := a.check(&in.Body.Terms); err != nil {
		return nil, err
	}
	t, err := a.cfg.Service.Invite(ctx, call.Invitation{
		AgentID:  in.Body.AgentID,
		Tenant:   tenantOf(ctx),
		Context:  in.Body.data(),
		Metadata: asText(in.Body.Metadata),
		Options:  in.Body.options(),
	})
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return &ticketOutput{
		Location: a.location(t.CallID),
		Body:     ticket{CallID: t.CallID, Ticket: t.Ticket, ExpiresAt: t.ExpiresAt.UTC()},
	}, nil
}
