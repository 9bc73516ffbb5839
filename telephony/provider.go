package telephony

import (
	"context"
	"net/http"
	"time"
)

// Provider is the contract of a carrier: it dials, is told how to answer, and
// reports what happened.
//
// An implementation may be used by many goroutines at once. Every method that
// takes a context returns soon after the context ends. Errors of Dial, Hangup
// and Status are [*Error] values.
//
// What a carrier can do beyond this, it offers by implementing one of the small
// interfaces of this package, such as [Redirector].
type Provider interface {
	// Name is the provider's name in URLs and records: lower-case letters,
	// digits and hyphens. It never changes.
	Name() string

	// Dial asks the carrier to place one call and returns the carrier's id for
	// it. At most one request to place a call leaves, whatever comes back:
	// whether to try again is the caller's decision, made from the Outcome of
	// the error. An Outcome of Ambiguous says that the telephone may be ringing.
	Dial(ctx context.Context, req *DialRequest) (providerCallID string, err error)

	// Hangup ends a call in whatever state it is. A call that is already over
	// is no error.
	Hangup(ctx context.Context, providerCallID string) error

	// Status asks the carrier how a call stands. For a call that the carrier
	// does not know the error wraps ErrCallGone.
	Status(ctx context.Context, providerCallID string) (Event, error)

	// ParseEvent verifies that a webhook comes from the carrier and reads it.
	// The error wraps ErrUnverified if it does not, and is another one if it
	// does but makes no sense. It does no I/O.
	ParseEvent(w *Webhook) (Event, error)

	// WriteAnswer writes the reply to a webhook that asked what to do with a
	// call, in the carrier's language. A zero Answer means: nothing to say.
	WriteAnswer(w http.ResponseWriter, a *Answer) error
}

// Validator is implemented by a provider whose settings can be wrong. Validate
// is called once, before the first use; its error says which field to mend.
type Validator interface {
	Validate() error
}

// Finder is implemented by a provider that can look for a call whose id is not
// known, because the reply to its Dial was lost. It returns calls from
// req.From to req.To that were created at or after since, newest first. The
// carrier may be coarser about time; it never leaves out a call that fits.
type Finder interface {
	Find(ctx context.Context, req *DialRequest, since time.Time) ([]Event, error)
}
