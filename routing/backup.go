package routing

import (
	"context"
	"errors"
	"fmt"
)

// Backup asks Router. If the agent whom that names has no room, the call goes to
// this agent's backup, and if that one has none to the backup's, and so on. It
// has no opinion when none has room, or Router has none. Router must not count
// calls at the same Staff. A call that is rejected needs no room.
type Backup struct {
	Router Router // needed
	Staff  *Staff // needed
	For    map[string]string
}

// Route chooses an agent, and counts the call.
func (p Backup) Route(ctx context.Context, req *Request) (Decision, error) {
	if p.Staff == nil {
		return Decision{}, errNoStaff
	}
	var q inquiry
	d, ok := q.ask(ctx, p.Router, req)
	if !ok {
		return Decision{}, q.err()
	}
	if d.AgentID == "" { // rejected
		return d, nil
	}
	agent := d.AgentID
	for range len(p.For) + 1 { // backups may go round in a circle
		l, err := p.Staff.Take(agent)
		if err == nil {
			return p.decide(d, agent, l), nil
		}
		d.Trace = append(d.Trace, Step{Policy: p.policy(), Said: busyText(err)})
		if agent, ok = p.For[agent]; !ok {
			break
		}
	}
	release(d.Lease)
	q = inquiry{d.Failed, d.Trace}
	return Decision{}, q.err()
}

func (p Backup) decide(d Decision, agent string, l Lease) Decision {
	if agent != d.AgentID {
		release(d.Lease) // it was for somebody else
		d.Lease = nil
		d.Reason = fmt.Sprintf("%s, backup of %s", d.Reason, d.AgentID)
		d.AgentID = agent
		d.Trace = append(d.Trace, Step{Policy: p.policy(), AgentID: agent, Said: d.Reason})
	}
	d.Lease = both(d.Lease, l)
	return d
}

func (p Backup) policy() string { return "backup" }

// Validate validates the router, and checks the backups.
func (p Backup) Validate() error {
	if p.Staff == nil {
		return errNoStaff
	}
	for agent, backup := range p.For {
		if agent == "" || backup == "" || agent == backup {
			return errors.New("routing: a backup has no name, or is its own")
		}
	}
	return validate(p.Router)
}
