package queue

import (
	"context"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// attendant is an agent whose calls are counted.
type attendant struct {
	desk  *Desk
	name  string
	agent call.Agent
}

// Serve implements call.Agent.
func (a attendant) Serve(ctx context.Context, s *call.Session) error {
	p, begun := a.desk.sit(s.Call().ID, a.name), time.Now()
	defer func() { a.desk.rise(p, time.Since(begun)) }()
	return a.agent.Serve(ctx, s)
}

// sit notes that an agent has a call: the one that it was given, or another one,
// which counts all the same.
func (d *Desk) sit(callID, agent string) *Place {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.given[callID]
	if p == nil || p.Agent != agent {
		p = &Place{ID: newID("place"), CallID: callID, Owner: d.owner, Agent: agent}
		d.write(join, p)
	} else {
		delete(d.given, callID)
	}
	d.seats[p.ID] = p
	return p
}

// rise notes that an agent has had a call.
func (d *Desk) rise(p *Place, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.seats, p.ID)
	d.write(leave, p)
	if l := d.queues[p.Queue]; l != nil {
		l.handled(took)
	}
}
