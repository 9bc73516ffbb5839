package routing

import (
	"context"
	"errors"
)

// First asks routers in order and takes the first decision. A router that fails
// is passed over, and its error stands in Decision.Failed. If none decides, the
// error wraps ErrNoRoute and all that failed.
func First(routers ...Router) Router {
	return RouterFunc(func(ctx context.Context, req *Request) (Decision, error) {
		var failed []error
		for _, r := range routers {
			d, err := r.Route(ctx, req)
			if err == nil {
				d.Failed = append(failed, d.Failed...)
				return d, nil
			}
			failed = append(failed, failures(err)...)
		}
		if failed == nil {
			return Decision{}, ErrNoRoute
		}
		return Decision{}, &undecidedError{failed}
	})
}

// undecidedError is ErrNoRoute of a First some of whose routers failed.
type undecidedError struct{ failed []error }

func (e *undecidedError) Error() string { return errors.Join(e.Unwrap()...).Error() }

func (e *undecidedError) Unwrap() []error { return append([]error{ErrNoRoute}, e.failed...) }

// failures are the failures that the error of a router tells of: none if it
// only has no opinion, several if it is a First itself.
func failures(err error) []error {
	var undecided *undecidedError
	switch {
	case errors.As(err, &undecided):
		return undecided.failed
	case errors.Is(err, ErrNoRoute):
		return nil
	}
	return []error{err}
}
