package routing

import (
	"context"
	"errors"
	"fmt"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Step is what one policy said about a call.
type Step struct {
	// Policy is its name: "number", "hours", "least busy"; see [Named].
	Policy string `json:"policy"`
	// AgentID is whom it named; empty if it rejected, had no opinion, or failed.
	AgentID string `json:"agent_id,omitempty"`
	// Said is its reason, or why it named nobody. It holds no telephone number.
	Said string `json:"said"`
	// Failed tells that it could not find out.
	Failed bool `json:"failed,omitempty"`
}

// Pass returns an error that wraps ErrNoRoute and says why a policy has no
// opinion: "not a gold customer".
func Pass(why string) error { return passed(why) }

// passed is ErrNoRoute with a reason.
type passed string

func (p passed) Error() string { return ErrNoRoute.Error() + ": " + string(p) }

func (p passed) Unwrap() error { return ErrNoRoute }

// TraceOf returns what each policy said before err, the error of a router, came
// of it; nil if it does not tell. It belongs to err: copy it to change it.
func TraceOf(err error) []Step {
	var u *undecidedError
	if errors.As(err, &u) {
		return u.trace
	}
	return nil
}

// Named gives a router the name under which it stands in a trace.
func Named(name string, r Router) Router { return named{r, name} }

type named struct {
	Router
	name string
}

func (n named) policy() string { return n.name }

// Validate validates the router.
func (n named) Validate() error { return validate(n.Router) }

func nameOf(r Router) string {
	if p, ok := r.(interface{ policy() string }); ok {
		return p.policy()
	}
	return fmt.Sprintf("%T", r)
}

// validate asks routers whether their settings are right, if they can tell.
func validate(routers ...Router) error {
	for _, r := range routers {
		if r == nil {
			return errors.New("routing: a router is nil")
		}
		if v, ok := r.(telephony.Validator); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// An inquiry asks routers on behalf of another one, and keeps what they say.
type inquiry struct {
	failed []error
	trace  []Step
}

// ask asks one router. Its decision tells of all that was asked before, too; its
// error is kept here.
func (q *inquiry) ask(ctx context.Context, r Router, req *Request) (Decision, bool) {
	d, err := consult(ctx, r, req)
	if err != nil {
		q.note(r, err)
		return Decision{}, false
	}
	// Copies: a router may give out the same memory twice, or to several calls.
	d.Failed = join(q.failed, d.Failed)
	if len(d.Trace) == 0 {
		d.Trace = join(q.trace, []Step{{Policy: nameOf(r), AgentID: d.AgentID, Said: telephony.Mask(d.Reason)}})
	} else {
		d.Trace = join(q.trace, d.Trace)
	}
	return d, true
}

// note keeps what a router said that did not decide.
func (q *inquiry) note(r Router, err error) {
	var undecided *undecidedError
	if errors.As(err, &undecided) {
		q.failed = append(q.failed, undecided.failed...)
		q.trace = append(q.trace, undecided.trace...)
		return
	}
	var why passed
	step := Step{Policy: nameOf(r), Said: "no opinion"}
	switch {
	case errors.As(err, &why):
		step.Said = telephony.Mask(string(why))
	case !errors.Is(err, ErrNoRoute):
		q.failed = append(q.failed, err)
		step.Said, step.Failed = telephony.Mask(err.Error()), true
	}
	q.trace = append(q.trace, step)
}

// pass notes that the policy of this name has no opinion.
func (q *inquiry) pass(policy, why string) {
	q.trace = append(q.trace, Step{Policy: policy, Said: why})
}

// err is what became of it if nobody has decided.
func (q *inquiry) err() error { return &undecidedError{q.failed, q.trace} }

// undecidedError is ErrNoRoute of a router that has asked others.
type undecidedError struct {
	failed []error
	trace  []Step
}

func (e *undecidedError) Error() string { return errors.Join(e.Unwrap()...).Error() }

func (e *undecidedError) Unwrap() []error { return join([]error{ErrNoRoute}, e.failed) }

// errNobody tells of a router that decided for nobody.
var errNobody = errors.New("routing: router named no agent and gave no error")

// consult asks r, whose panic is an error, and so is a decision for nobody.
func consult(ctx context.Context, r Router, req *Request) (d Decision, err error) {
	defer func() {
		if v := recover(); v != nil {
			d, err = Decision{}, &PanicError{Value: v}
		}
	}()
	d, err = r.Route(ctx, req)
	if err == nil && d.AgentID == "" && d.Reject == telephony.RejectNone {
		release(d.Lease)
		return Decision{}, errNobody
	}
	return d, err
}

// PanicError is the failure of a router that panicked. Its text names the type
// of what it panicked with, unless that is an error of the runtime, since it may
// hold anything.
type PanicError struct{ Value any }

// Error says that a router panicked.
func (e *PanicError) Error() string {
	if r, ok := e.Value.(interface{ RuntimeError() }); ok {
		return fmt.Sprintf("routing: router panicked: %v", r)
	}
	return fmt.Sprintf("routing: router panicked with a %T", e.Value)
}

// join returns a new slice of both, nil if there is nothing in them.
func join[T any](a, b []T) []T {
	if len(a)+len(b) == 0 {
		return nil
	}
	return append(append(make([]T, 0, len(a)+len(b)), a...), b...)
}
