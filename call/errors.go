package call

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of a Service. More are in the packages whose words they use:
// telephony.ErrInvalidNumber, for one.
var (
	// ErrUnknownAgent tells that Config.Agents has no agent of this name.
	ErrUnknownAgent = errors.New("no such agent")
	// ErrUnknownProvider tells that Config.Providers has none of this name.
	ErrUnknownProvider = errors.New("no such provider")
	// ErrNotAllowed tells that the policy refuses to dial. The error chain says
	// why: see Refusal.
	ErrNotAllowed = errors.New("not allowed")
	// ErrOverloaded tells that Config.MaxCalls calls are live.
	ErrOverloaded = errors.New("too many calls are live")
	// ErrShutdown tells that the service takes no new calls any more.
	ErrShutdown = errors.New("service is shutting down")
	// ErrStore tells that the store does not answer in time, or fails: it is away,
	// perhaps for a moment. What was asked for was not begun: a call that could not
	// be placed for it is never dialed.
	ErrStore = errors.New("store does not answer")
	// ErrUnsaved tells that the last state of some calls could not be stored. Recover
	// finds them as calls that live.
	ErrUnsaved = errors.New("calls were not stored")
	// ErrIdempotency tells that the same key was used for another request.
	ErrIdempotency = errors.New("idempotency key was used for another request")
	// ErrInvalidRequest tells that a field of a request cannot be. The error
	// chain names it.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrEnded tells that the call is over.
	ErrEnded = errors.New("call is over")
	// ErrLive tells that the call is not over yet.
	ErrLive = errors.New("call is live")
)

// OverloadRetry is how long a client that met ErrOverloaded, ErrShutdown, ErrStore,
// ErrNoLease or ErrUnreachable had best wait before it asks again.
const OverloadRetry = 5 * time.Second

// ofStore is what a service says of an error of its store's, asked with ctx.
func ofStore(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrStore, err)
}
