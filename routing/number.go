package routing

import (
	"context"

	"github.com/switchboard-voice/switchboard/telephony"
)

// ByNumber sends a call to the agent that belongs to the number that was
// called. The map must not change once calls come in.
type ByNumber map[telephony.Number]string

// Route returns the agent of req.To, or ErrNoRoute.
func (m ByNumber) Route(_ context.Context, req *Request) (Decision, error) {
	agent, ok := m[req.To]
	if !ok {
		return Decision{}, ErrNoRoute
	}
	return Decision{AgentID: agent, Reason: "number " + req.To.String()}, nil
}

func (m ByNumber) policy() string { return "number" }
