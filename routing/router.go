// Package routing decides which agent answers a call.
//
// A [Router] is one question with one answer. Small routers are put together
// with [First]; the last one usually is [Always].
package routing

import (
	"context"
	"errors"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// ErrNoRoute is returned by a Router that has no opinion about a call.
var ErrNoRoute = errors.New("routing: no route")

// Request describes a call that wants an agent.
type Request struct {
	CallID   string
	From, To telephony.Number
	Provider string    // the name of the carrier it came by
	At       time.Time // when it came
}

// Decision says who answers.
type Decision struct {
	AgentID string
	// Reason is why, for people: "number +1202*****00", "default".
	Reason string
	// Context is added to the call's context for the agent; may be nil.
	Context map[string]string
	// Failed are the errors of routers that were asked before and could not
	// tell. A lookup that fails does not lose the call, but it is reported.
	Failed []error
}

// Router decides which agent answers a call.
//
// Route returns ErrNoRoute if it has no opinion; another error means that it
// could not find out. It may be called by many goroutines at once, and must
// return soon after ctx ends: somebody is listening to it ring.
type Router interface {
	Route(ctx context.Context, req *Request) (Decision, error)
}

// RouterFunc makes a Router of a function.
type RouterFunc func(ctx context.Context, req *Request) (Decision, error)

// Route calls fn.
func (fn RouterFunc) Route(ctx context.Context, req *Request) (Decision, error) { return fn(ctx, req) }

// Always sends every call to one agent.
type Always string

// Route returns the agent, with the reason "default".
func (a Always) Route(context.Context, *Request) (Decision, error) {
	return Decision{AgentID: string(a), Reason: "default"}, nil
}

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
