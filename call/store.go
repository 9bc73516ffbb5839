package call

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Errors of a Store.
var (
	// ErrNotFound tells that there is no such call.
	ErrNotFound = errors.New("call: not found")
	// ErrConflict tells that somebody else has written the record since.
	ErrConflict = errors.New("call: record was changed by somebody else")
)

// Store keeps the records of calls and their events. It may be used by many
// goroutines at once, and by several processes if it says so.
//
// Times come back to the nanosecond and in UTC; a map or slice that is empty may
// come back nil. A context that has ended ends the method with its error, and
// nothing written unless it ended during the write.
//
// What a Store is given stays the caller's: it copies what it keeps. What it
// returns belongs to the receiver. A write that has returned without error
// survives a crash of the process, if the store is durable at all.
type Store interface {
	// Create stores a new call, whose Version is 1, and its first events. If
	// c.IdempotencyKey is set and a call of the same tenant has the same key,
	// nothing is stored and that call is returned instead; otherwise the result
	// is nil. If another call has the ID, or the same carrier's id, or if Version
	// is not 1, the error wraps ErrConflict.
	Create(ctx context.Context, c *Call, events []Event) (existing *Call, err error)

	// Update replaces the record of a call and appends events, both or neither.
	// c.Version is one above the version it replaces, or the error wraps
	// ErrConflict; so it does if another call has its carrier's id or its key. If
	// there is no such call, it wraps ErrNotFound. Events already stored under the
	// same Seq are left alone.
	Update(ctx context.Context, c *Call, events []Event) error

	// Get returns a call, or ErrNotFound.
	Get(ctx context.Context, id string) (*Call, error)

	// ByProvider returns the call that a carrier knows under this id, or
	// ErrNotFound.
	ByProvider(ctx context.Context, provider, providerCallID string) (*Call, error)

	// ByKey returns the call of a tenant that was stored under this idempotency
	// key, or ErrNotFound; so it does for an empty one.
	ByKey(ctx context.Context, tenant, key string) (*Call, error)

	// List returns calls that fit f, newest first (by CreatedAt, then ID,
	// descending), at most f.Limit of them.
	List(ctx context.Context, f Filter) ([]*Call, error)

	// Events returns the stored events of a call with a Seq above after, in
	// order. A call that is not there has none.
	Events(ctx context.Context, id string, after int64) ([]Event, error)

	// Delete removes a call, its events and its idempotency key. Nothing there
	// is no error.
	Delete(ctx context.Context, id string) error
}

// SharedStore is a Store that several services use at once, and that tells them
// of each other: what Config.Cluster needs. A replica is known by a name that no
// other has ever had; Call.Owner is such a name.
type SharedStore interface {
	Store

	// Renew makes the lease of a replica good for as long from now on, by the
	// clock of the store. One that had run out is good again.
	Renew(ctx context.Context, replica string, lease time.Duration) error

	// Resign ends a lease. None there is no error.
	Resign(ctx context.Context, replica string) error

	// Replicas returns those whose lease is good, in the order of their names.
	Replicas(ctx context.Context) ([]string, error)

	// Watch calls deliver with the events that others write, until ctx ends, whose
	// error it returns. An event is another's if the record with which it was
	// written has an Owner that is not self. Each is delivered once, those of a
	// call in order, soon after it was written, and whatever happens to
	// connections meanwhile; those of a call that is deleted may be left out.
	//
	// Deliver is called once with no events, when the watch has begun: of what is
	// written after that nothing is missed. It is called by one goroutine, must not
	// block, and owns what it is given.
	Watch(ctx context.Context, self string, deliver func([]Event)) error
}

// Filter chooses calls. Zero fields do not restrict.
type Filter struct {
	Tenant    *string // nil: every tenant's calls
	States    []State // any of these
	AgentID   string
	Direction *telephony.Direction
	Provider  string
	// NotOwnedBy leaves out the calls whose Owner is one of these; nil leaves out
	// none.
	NotOwnedBy []string
	Since      time.Time // CreatedAt at or after
	Until      time.Time // CreatedAt before
	// Before continues a list: only calls that come after this position in the
	// order of List.
	Before *Position
	Limit  int // 0 means 100, at most 1,000
}

// Position is the place of a call in a list.
type Position struct {
	CreatedAt time.Time
	ID        string
}

// PositionOf returns the place of c.
func PositionOf(c *Call) Position { return Position{CreatedAt: c.CreatedAt, ID: c.ID} }

// Matches reports whether c fits f, but for Limit. It is what List means, for
// stores to use or to be tested against.
func (f *Filter) Matches(c *Call) bool {
	switch {
	case f.Tenant != nil && c.Tenant != *f.Tenant,
		len(f.States) > 0 && !slices.Contains(f.States, c.State),
		f.AgentID != "" && c.AgentID != f.AgentID,
		f.Direction != nil && c.Direction != *f.Direction,
		f.Provider != "" && c.Provider != f.Provider,
		slices.Contains(f.NotOwnedBy, c.Owner),
		!f.Since.IsZero() && c.CreatedAt.Before(f.Since),
		!f.Until.IsZero() && !c.CreatedAt.Before(f.Until):
		return false
	}
	return f.Before == nil || f.Before.after(c)
}

// after reports whether c comes after p in the order of List.
func (p *Position) after(c *Call) bool {
	if c.CreatedAt.Equal(p.CreatedAt) {
		return c.ID < p.ID
	}
	return c.CreatedAt.Before(p.CreatedAt)
}

// Max is the number of calls that List returns at most.
func (f *Filter) Max() int {
	switch {
	case f.Limit <= 0:
		return 100
	case f.Limit > 1000:
		return 1000
	}
	return f.Limit
}
