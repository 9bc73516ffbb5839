package campaign

import (
	"slices"
	"time"
)

// State is where a campaign stands.
type State string

// The states of a campaign.
const (
	Paused  State = "paused" // until Start; every campaign begins so
	Running State = "running"
	Done    State = "done"    // all contacts are over
	Stopped State = "stopped" // for good, by Stop or a limit: Reason says why
)

// Over reports whether nobody will be called any more.
func (s State) Over() bool { return s == Done || s == Stopped }

// Campaign is the record of a campaign. One that a Runner hands out is a copy and
// belongs to the receiver.
type Campaign struct {
	Spec
	State State `json:"state"`
	// Reason is why it was stopped, for people.
	Reason    string    `json:"reason,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	// Version counts the writes of this record, and additions of contacts; a Store
	// refuses a write that does not follow the last one.
	Version int64 `json:"version"`

	// Tally counts the attempts. It is no part of the record: Store.Settle writes it.
	Tally Tally `json:"-"`
}

// Clone returns a copy that shares no memory with c that either would change: Hours
// and the maps of Request are never changed.
func (c *Campaign) Clone() *Campaign {
	d := *c
	d.Tally = c.Tally.Clone()
	return &d
}

// Filter chooses campaigns. Zero fields do not restrict.
type Filter struct {
	Tenant *string // of Request; nil: every tenant's
	States []State // any of these
	After  string  // only ids that come after this one, to continue a list
	Limit  int     // 0 means 100, at most 1,000
}

// Matches reports whether c fits f, but for Limit.
func (f *Filter) Matches(c *Campaign) bool {
	return (f.Tenant == nil || c.Request.Tenant == *f.Tenant) &&
		(len(f.States) == 0 || slices.Contains(f.States, c.State)) &&
		c.ID > f.After
}

// Max is the number of campaigns that List returns at most.
func (f *Filter) Max() int {
	switch {
	case f.Limit <= 0:
		return 100
	case f.Limit > 1000:
		return 1000
	}
	return f.Limit
}
