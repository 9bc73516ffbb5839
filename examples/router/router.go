// Package router is a router of one's own, beside those that are ready: callers
// are looked up among a shop's customers, and the rest is as everywhere.
package router

import (
	"context"

	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// Customer is somebody whom the shop knows.
type Customer struct {
	Name  string
	Owes  bool
	Agent string // who looks after them; may be empty
}

// Customers looks up who has a number; nil if nobody does.
type Customers interface {
	ByPhone(ctx context.Context, number telephony.Number) (*Customer, error)
}

// ByCustomer sends customers to whoever looks after them, and those who owe to
// billing. The agent is told their name. It has no opinion about others.
type ByCustomer struct{ Customers Customers }

// Route implements routing.Router.
func (r ByCustomer) Route(ctx context.Context, req *routing.Request) (routing.Decision, error) {
	c, err := r.Customers.ByPhone(ctx, req.From)
	switch {
	case err != nil:
		return routing.Decision{}, err // the next one is asked, and the record tells why
	case c == nil:
		return routing.Decision{}, routing.Pass("not a customer")
	case c.Owes:
		return routing.Decision{AgentID: "billing", Reason: "owes", Context: map[string]string{"name": c.Name}}, nil
	case c.Agent == "":
		return routing.Decision{}, routing.Pass("nobody's customer")
	}
	return routing.Decision{AgentID: c.Agent, Reason: "their agent", Context: map[string]string{"name": c.Name}}, nil
}

// New is how the shop answers: customers first, then during its hours whoever is
// free, and otherwise the machine.
func New(customers Customers, hours *routing.Hours, staff *routing.Staff, sales ...string) routing.Router {
	return routing.First(
		ByCustomer{customers},
		routing.During(hours, routing.LeastBusy{Staff: staff, Agents: sales}),
		routing.Always("machine"),
	)
}
