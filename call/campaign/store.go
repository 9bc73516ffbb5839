package campaign

import (
	"context"
	"errors"
	"time"
)

// Errors of a Store.
var (
	// ErrNotFound tells that there is no such campaign, or no such contact in it.
	ErrNotFound = errors.New("campaign: not found")
	// ErrExists tells that there is a campaign of this id.
	ErrExists = errors.New("campaign: id is taken")
	// ErrConflict tells that somebody else has written the record since.
	ErrConflict = errors.New("campaign: record was changed by somebody else")
	// ErrOver tells that the campaign is over.
	ErrOver = errors.New("campaign: is over")
	// ErrFull tells that a campaign would have more than MaxContacts.
	ErrFull = errors.New("campaign: has too many contacts")
)

// MaxContacts is how many places for contacts a campaign has.
const MaxContacts = 1_000_000

// Store keeps campaigns and their contacts. It may be used by many goroutines at
// once, and by several processes if it says so.
//
// What a Store is given stays the caller's: it copies what it keeps. What it
// returns belongs to the receiver. Times come back in UTC. A write that has
// returned without error survives a crash of the process, if the store is durable
// at all. campaigntest.TestStore judges one.
type Store interface {
	// Create stores a new campaign, whose Version is 1, or returns ErrExists.
	Create(ctx context.Context, c *Campaign) error
	// Update replaces the record of a campaign, but not its tally. c.Version is one
	// above the version it replaces, or the error wraps ErrConflict. What is not
	// there is ErrNotFound.
	Update(ctx context.Context, c *Campaign) error
	// Get returns a campaign, or ErrNotFound.
	Get(ctx context.Context, id string) (*Campaign, error)
	// List returns campaigns that fit f, by id, at most f.Max() of them.
	List(ctx context.Context, f Filter) ([]*Campaign, error)
	// Delete removes a campaign and its contacts. Nothing there is no error.
	Delete(ctx context.Context, id string) error

	// Add appends contacts, in order, but for those whose number the campaign has
	// already; it returns how many. It gives each its Seq, above all before it, and
	// makes the campaign's Version one higher; all of it or nothing. The error is
	// ErrNotFound, ErrOver if the campaign is, or ErrFull if a Seq would be above
	// MaxContacts.
	Add(ctx context.Context, id string, contacts []Contact) (added int, err error)

	// Claim makes contacts live and returns them, as many as want.Room allows. They
	// are, in this order:
	//
	//   - those that are live, and whose claim has ended before want.Now, by Seq:
	//     their Claims goes up by one;
	//   - of those that wait and whose Zones are among want.Zones, those with a Due
	//     that is not after want.Now, by Due and Seq;
	//   - and those with no Due, by Seq.
	//
	// Each is want.Owner's until want.Until, and its Version one higher. Of a
	// campaign that does not run, or is not there, none is claimed. Several claims at
	// once are as one after another.
	Claim(ctx context.Context, id string, want Claim) (Claimed, error)
	// Renew lets all claims of an owner last until a time.
	Renew(ctx context.Context, id, owner string, until time.Time) error
	// Settle replaces the record of a contact that is live, and counts the attempt
	// that was made, if one was, in the campaign's tally with Tally.Count: both or
	// neither. c.Version is one above that of the claim, or the error wraps
	// ErrConflict; what is not there is ErrNotFound. It returns the campaign.
	Settle(ctx context.Context, id string, c *Contact, made *Attempt) (*Campaign, error)

	// Contacts returns contacts with a Seq above after, in order, at most limit.
	Contacts(ctx context.Context, id string, after int64, limit int) ([]*Contact, error)
	// Counts says how many contacts there are of each kind, in any order.
	Counts(ctx context.Context, id string) ([]Count, error)
}

// Claim is what somebody wants of a campaign who is about to call.
type Claim struct {
	Now   time.Time
	Owner string
	Until time.Time
	Zones []string // of contacts that may be called now

	Limit       int           // how many at most
	Concurrency int           // how many may be live
	Gap         time.Duration // from one dial to the next
	Ahead       time.Duration // from now to the last dial, at most
}

// Claimed are contacts to be called.
type Claimed struct {
	Contacts []*Contact
	// First is when the first one is to be dialed; each other one follows a Gap
	// later. The next claim of the campaign goes on from there.
	First time.Time
}

// Room says how many contacts may be claimed, and when the first is to be dialed.
// Free is when the next dial of the campaign may be, and live how many of its
// contacts are with a claim that lasts. Stores keep free for each campaign; after n
// claims it is First and n Gaps.
func (c *Claim) Room(free time.Time, live int) (first time.Time, n int) {
	first = c.Now
	if free.After(first) {
		first = free
	}
	ahead := c.Now.Add(c.Ahead).Sub(first)
	if ahead < 0 {
		return first, 0
	}
	n = min(c.Limit, c.Concurrency-live)
	if c.Gap > 0 {
		n = min(n, int(ahead/c.Gap)+1)
	}
	return first, max(n, 0)
}

// Count is how many contacts of a campaign are of a kind.
type Count struct {
	Zones   string
	State   ContactState
	Outcome Outcome
	N       int
	// Due is the last Due among them.
	Due time.Time
}
