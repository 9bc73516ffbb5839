package routing

import "context"

// IfFree asks a router, and has no opinion if the agent it names has no room.
// Otherwise the call counts; the router must not count it at the same staff. One
// that is rejected needs no room.
func IfFree(s *Staff, r Router) Router { return ifFree{r, s} }

type ifFree struct {
	router Router
	staff  *Staff
}

func (p ifFree) Route(ctx context.Context, req *Request) (Decision, error) {
	var q inquiry
	d, ok := q.ask(ctx, p.router, req)
	if !ok {
		return Decision{}, q.err()
	}
	if d.AgentID == "" { // rejected
		return d, nil
	}
	l, err := p.staff.Take(d.AgentID)
	if err != nil {
		release(d.Lease)
		q = inquiry{d.Failed, d.Trace}
		q.pass("free", busyText(err))
		return Decision{}, q.err()
	}
	d.Lease = both(d.Lease, l)
	return d, nil
}

func (p ifFree) policy() string { return "free" }

// Validate validates the router, and that there is a staff.
func (p ifFree) Validate() error {
	if p.staff == nil {
		return errNoStaff
	}
	return validate(p.router)
}

// busyText is what an error of Take says after the words of ErrBusy.
func busyText(err error) string { return err.Error()[len(ErrBusy.Error())+len(": "):] }
