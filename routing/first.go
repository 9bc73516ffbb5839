package routing

import "context"

// First asks routers in order and takes the first decision. A router that fails
// is passed over, and its error stands in Decision.Failed. If none decides, the
// error wraps ErrNoRoute and all that failed.
func First(routers ...Router) Router { return first(routers) }

type first []Router

func (f first) Route(ctx context.Context, req *Request) (Decision, error) {
	q := inquiry{trace: make([]Step, 0, len(f))}
	for _, r := range f {
		if d, ok := q.ask(ctx, r, req); ok {
			return d, nil
		}
	}
	return Decision{}, q.err()
}

func (f first) policy() string { return "first" }

// Validate validates each router.
func (f first) Validate() error { return validate(f...) }
