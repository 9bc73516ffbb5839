package queue

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/routing"
)

// Place is that of a caller who waits, or whom an agent has.
type Place struct {
	ID     string
	Ticket int64  // from the store: the order of joining
	Queue  string // empty for a call that an agent has without having waited
	CallID string
	// Owner is the desk that has the caller on the line. A callback that nobody has
	// in hand has none.
	Owner string
	// Agent is who was given the caller, under the id Claim. Empty: the caller waits.
	Agent string
	Claim string
	// Joined is when the caller came, by the clock of the store. HeadStart is for
	// how much longer it counts as having waited.
	Joined    time.Time
	HeadStart time.Duration
	// Callback is the call to place when the turn comes, and Ready from when on; nil
	// as long as the caller is on the line.
	Callback *call.Request
	Ready    time.Time
}

// Waits reports whether p has been given to nobody.
func (p *Place) Waits() bool { return p.Agent == "" }

// Compare orders places as their turns come: by when they joined, less their head
// start. So nobody is overtaken by who comes later than the longest head start.
func (p *Place) Compare(q *Place) int {
	return cmp.Or(p.Joined.Add(-p.HeadStart).Compare(q.Joined.Add(-q.HeadStart)), cmp.Compare(p.Ticket, q.Ticket))
}

// Clone returns a copy that shares nothing with p.
func (p *Place) Clone() *Place {
	d := *p
	if p.Callback != nil {
		req := *p.Callback
		req.Context, req.Metadata = maps.Clone(req.Context), maps.Clone(req.Metadata)
		d.Callback = &req
	}
	return &d
}

// Agent is how an agent stands.
type Agent struct {
	Name string
	// Availability is what SetAgent has said; nil if it has not been called.
	Availability *routing.Availability
	Load         int // the calls it has
}

// Room reports whether the agent may be given one more call; capacity is that of
// agents of whom nothing was said.
func (a *Agent) Room(capacity int) bool {
	if a.Availability == nil {
		return a.Load < capacity
	}
	return !a.Availability.Busy && (a.Availability.Capacity <= 0 || a.Load < a.Availability.Capacity)
}

// Look is what there is in a store at one moment.
type Look struct {
	Now    time.Time // by the store's clock
	Places []*Place  // those that wait, of all queues, as their turns come
	Agents []Agent   // those of whom anything is known, by name
}

// Claim asks for the next caller of a queue, for whoever of its agents has room.
type Claim struct {
	ID       string // of this question: the same one has the same answer
	Owner    string // who asks
	Queue    string
	Agents   []string
	Capacity int // of agents of whom nothing was said
	// Callbacks are not passed over.
	Callbacks bool
}

// ErrFull tells that as many wait in a queue as may.
var ErrFull = errors.New("queue: full")

// Store keeps places. It may be used by many goroutines at once, and by several
// desks. Each method happens at one moment between the others, whoever calls them,
// or not at all; each may be called again with the same arguments when it is not
// known whether it has happened.
//
// What a Store is given stays the caller's: it copies what it keeps. What it
// returns belongs to the receiver. queuetest.TestStore judges one.
type Store interface {
	// Join adds a place and sets Ticket, and Joined if that is zero. If it waits, and
	// limit places of its queue do already, nothing is added and the error wraps
	// ErrFull; no limit is 0. A place whose ID is there already is left as it is.
	Join(ctx context.Context, p *Place, limit int) error

	// Claim gives the first place of a queue to the agent who has room and the
	// fewest calls, and of several who have as few the one who was given none for
	// longest. It returns nil if nobody waits or has room, or if the first place is
	// another owner's. Callbacks that are not Ready are passed over; one that is
	// becomes the owner's.
	Claim(ctx context.Context, c Claim) (*Place, error)

	// Return takes a callback that was claimed back into the line, ready after so
	// long. One that was not is left as it is.
	Return(ctx context.Context, id string, after time.Duration) error

	// Leave removes a place, and reports whether it was there.
	Leave(ctx context.Context, id string) (bool, error)

	// Look returns what there is.
	Look(ctx context.Context) (*Look, error)

	// SetAgent says whether an agent may be given calls from now on.
	SetAgent(ctx context.Context, name string, a routing.Availability) error

	// Renew makes the places of an owner good for as long from now on, by the
	// store's clock. The places of owners whose time is over are removed, but those
	// of callbacks, which return into the line. It reports whether owner is new, or
	// had lost its places that way.
	Renew(ctx context.Context, owner string, lease time.Duration) (isNew bool, err error)

	// Resign ends the time of an owner at once.
	Resign(ctx context.Context, owner string) error
}
