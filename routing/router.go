// Package routing decides which agent answers a call.
//
// A [Router] is one question with one answer. Small ones are put together: a
// [First] asks several in order, [During] asks within opening hours, [IfFree]
// heeds whether an agent has room for one more call. The last one usually is
// [Always].
//
// Whatever a policy of the host's does, the call is not lost: one that fails,
// panics or names nobody is passed over and told of in Decision.Failed. What
// each of them said is in Decision.Trace.
package routing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// ErrNoRoute is returned by a Router that has no opinion about a call. See
// [Pass] for one that says why.
var ErrNoRoute = errors.New("routing: no route")

// Request describes a call that wants an agent.
type Request struct {
	CallID   string
	From, To telephony.Number
	Provider string    // the name of the carrier it came by
	At       time.Time // when it came; zero is now
}

// at is when the call came.
func (r *Request) at() time.Time {
	if r.At.IsZero() {
		return time.Now()
	}
	return r.At
}

// Decision says who answers, or that nobody does.
type Decision struct {
	AgentID string
	// Reject, if it is set instead of AgentID, turns the caller away: see [Reject].
	Reject telephony.RejectReason
	// Reason is why, for people: "number +1202*****00", "default".
	Reason string
	// Context is added to the call's context for the agent; may be nil.
	Context map[string]string
	// Failed are the errors of routers that were asked before and could not
	// tell. A lookup that fails does not lose the call, but it is reported.
	Failed []error
	// Trace is what each policy said, in the order in which they were asked.
	Trace []Step
	// Lease is the place that the call takes up, if places are counted. Whoever
	// took the decision releases it when the call is over, or does not come about.
	// Nil: there is nothing to release.
	Lease Lease
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

func (a Always) policy() string { return "default" }

// Reject turns every caller away who comes to it, with the busy tone or as if the
// number were not in service: behind ByCaller, those who are not welcome; at the
// end of a First, those for whom there is nobody.
type Reject telephony.RejectReason

// Route rejects, with the reason "rejected".
func (r Reject) Route(context.Context, *Request) (Decision, error) {
	return Decision{Reject: telephony.RejectReason(r), Reason: "rejected"}, nil
}

// Validate reports a reason that is none.
func (r Reject) Validate() error {
	switch telephony.RejectReason(r) {
	case telephony.RejectBusy, telephony.RejectRefused:
		return nil
	}
	return fmt.Errorf("routing: %d is no reason to reject", r)
}

func (r Reject) policy() string { return "reject" }
