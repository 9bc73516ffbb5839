package routing

import (
	"context"
	"fmt"

	"github.com/switchboard-voice/switchboard/telephony"
)

// ByCaller sends a call to the agent who looks after this very caller. The map
// must not change once calls come in.
type ByCaller map[telephony.Number]string

// Route returns the agent of req.From, or ErrNoRoute.
func (m ByCaller) Route(_ context.Context, req *Request) (Decision, error) {
	agent, ok := m[req.From]
	if !ok {
		return Decision{}, ErrNoRoute
	}
	return Decision{AgentID: agent, Reason: "caller " + req.From.String()}, nil
}

func (m ByCaller) policy() string { return "caller" }

// ByPattern sends a call to the agent of the first pattern that matches the
// caller: more special patterns come first.
type ByPattern []PatternRule

// PatternRule says who answers callers of a kind.
type PatternRule struct {
	Caller  Pattern
	AgentID string
}

// Route returns the agent of the first rule that fits req.From, or ErrNoRoute.
func (rules ByPattern) Route(_ context.Context, req *Request) (Decision, error) {
	for _, r := range rules {
		if r.Caller.Match(req.From) {
			return Decision{AgentID: r.AgentID, Reason: "caller " + r.Caller.String()}, nil
		}
	}
	return Decision{}, ErrNoRoute
}

func (rules ByPattern) policy() string { return "pattern" }

// Validate checks the patterns, and that each has an agent.
func (rules ByPattern) Validate() error {
	for i, r := range rules {
		if err := r.Caller.Validate(); err != nil {
			return fmt.Errorf("%w (rule %d)", err, i+1)
		}
		if r.AgentID == "" {
			return fmt.Errorf("routing: pattern %s has no agent", r.Caller)
		}
	}
	return nil
}
