package routing

import (
	"context"
	"errors"
	"fmt"
)

var errNoStaff = errors.New("routing: there is no Staff")

// LeastBusy gives a call to the one of Agents who has the fewest. Among those
// who have as few, whoever was given a call longest ago gets it. It has no
// opinion when nobody has room.
type LeastBusy struct {
	Staff  *Staff // needed
	Agents []string
}

// Route chooses an agent, and counts the call.
func (p LeastBusy) Route(context.Context, *Request) (Decision, error) {
	if p.Staff == nil {
		return Decision{}, errNoStaff
	}
	agent, load, lease := p.Staff.takeLeast(p.Agents)
	if lease == nil {
		return Decision{}, Pass(fmt.Sprintf("none of %d agents has room", len(p.Agents)))
	}
	return Decision{
		AgentID: agent,
		Reason:  fmt.Sprintf("least busy of %d, with %d calls", len(p.Agents), load),
		Lease:   lease,
	}, nil
}

func (p LeastBusy) policy() string { return "least busy" }

// Validate checks that there is a staff, and agents.
func (p LeastBusy) Validate() error { return validateAgents(p.Staff, p.Agents) }

// FirstFree gives a call to the first of Agents who has room. It has no opinion
// when nobody has.
type FirstFree struct {
	Staff  *Staff // needed
	Agents []string
}

// Route chooses an agent, and counts the call.
func (p FirstFree) Route(context.Context, *Request) (Decision, error) {
	if p.Staff == nil {
		return Decision{}, errNoStaff
	}
	for i, agent := range p.Agents {
		if lease, err := p.Staff.Take(agent); err == nil {
			return Decision{
				AgentID: agent,
				Reason:  fmt.Sprintf("first free, number %d of %d", i+1, len(p.Agents)),
				Lease:   lease,
			}, nil
		}
	}
	return Decision{}, Pass(fmt.Sprintf("none of %d agents has room", len(p.Agents)))
}

func (p FirstFree) policy() string { return "first free" }

// Validate checks that there is a staff, and agents.
func (p FirstFree) Validate() error { return validateAgents(p.Staff, p.Agents) }

func validateAgents(s *Staff, agents []string) error {
	if s == nil {
		return errNoStaff
	}
	if len(agents) == 0 {
		return errors.New("routing: there are no agents")
	}
	seen := make(map[string]bool, len(agents))
	for _, a := range agents {
		if a == "" || seen[a] {
			return fmt.Errorf("routing: agent %q is named twice, or has no name", a)
		}
		seen[a] = true
	}
	return nil
}
