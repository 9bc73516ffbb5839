package routing

import (
	"context"
	"errors"
	"time"
)

// During asks a router at the given hours, and has no opinion at others. The
// hours must not change once calls come in.
func During(h *Hours, r Router) Router { return during{r, h} }

type during struct {
	router Router
	hours  *Hours
}

func (p during) Route(ctx context.Context, req *Request) (Decision, error) {
	at := req.at().In(p.hours.zone())
	if !p.hours.Open(at) {
		return Decision{}, Pass("closed on " + showTime(at))
	}
	q := inquiry{trace: []Step{{Policy: p.policy(), Said: "open on " + showTime(at)}}}
	if d, ok := q.ask(ctx, p.router, req); ok {
		return d, nil
	}
	return Decision{}, q.err()
}

func showTime(t time.Time) string { return t.Format("Mon 2 Jan 15:04 MST") }

func (p during) policy() string { return "hours" }

// Validate validates the hours and the router.
func (p during) Validate() error {
	if p.hours == nil {
		return errors.New("routing: During has no hours")
	}
	if err := p.hours.Validate(); err != nil {
		return err
	}
	return validate(p.router)
}
