package routing

import (
	"context"
	"time"
)

// Within gives a router so much time, so that a lookup that hangs leaves enough
// for those that are asked after it. The router must heed its context.
func Within(limit time.Duration, r Router) Router { return within{r, limit} }

type within struct {
	Router
	limit time.Duration
}

func (w within) Route(ctx context.Context, req *Request) (Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	return w.Router.Route(ctx, req)
}

func (w within) policy() string { return nameOf(w.Router) }

// Validate validates the router.
func (w within) Validate() error { return validate(w.Router) }
