package routing

import (
	"context"
	"errors"
)

// Overflow asks Router as long as there is room for one more of the calls that
// it decides for, and To otherwise, or when Router does not decide.
//
// How much room there is says Staff, where Group stands for all of them together,
// as if it were an agent:
//
//	staff.Set("sales", routing.Availability{Capacity: 10})
type Overflow struct {
	Router Router // needed
	To     Router // needed
	Staff  *Staff // needed
	Group  string // needed; the name of no agent
}

// Route asks one of the routers, and counts the call if it is Router's.
func (p Overflow) Route(ctx context.Context, req *Request) (Decision, error) {
	if p.Staff == nil {
		return Decision{}, errNoStaff
	}
	var q inquiry
	l, err := p.Staff.Take(p.Group)
	if err != nil {
		q.pass(p.policy(), busyText(err))
	} else {
		if d, ok := q.ask(ctx, p.Router, req); ok {
			d.Lease = both(d.Lease, inGroup{l})
			return d, nil
		}
		l.Release()
	}
	d, ok := q.ask(ctx, p.To, req)
	if !ok {
		return Decision{}, q.err()
	}
	d.Reason += ", overflow of " + p.Group
	return d, nil
}

// inGroup is a place that stays where it is when the call moves on: the group
// has answered it.
type inGroup struct{ Lease }

func (inGroup) Move(string) {}

func (p Overflow) policy() string { return "overflow" }

// Validate validates the routers, and that there is a staff with a name for the
// group.
func (p Overflow) Validate() error {
	if p.Staff == nil {
		return errNoStaff
	}
	if p.Group == "" {
		return errors.New("routing: Overflow.Group is empty")
	}
	return validate(p.Router, p.To)
}
