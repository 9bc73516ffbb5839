package schedule

import (
	"slices"
	"time"
)

// State is where a schedule stands.
type State string

// The states of a schedule.
const (
	Active   State = "active"
	Paused   State = "paused"   // until Resume
	Done     State = "done"     // there are no more occurrences
	Canceled State = "canceled" // by Cancel
)

// Over reports whether no call will be placed any more.
func (s State) Over() bool { return s == Done || s == Canceled }

// Schedule is the record of a schedule: what is wanted, and how it stands. One
// that a Scheduler hands out is a copy and belongs to the receiver.
type Schedule struct {
	Spec
	State     State     `json:"state"`
	CreatedAt time.Time `json:"created_at"`

	// Next is the occurrence to come, Due when it is seen to: later than that if
	// it waits for calling hours, or for room, or for whoever is at it. Both are
	// zero if none comes.
	Next Occurrence `json:"next,omitzero"`
	Due  time.Time  `json:"due,omitzero"`
	// Claimed is when somebody first set about to place the call of Next; zero if
	// nobody has. As long as it is set, the call may have been placed.
	Claimed time.Time `json:"claimed,omitzero"`
	// Held is until when somebody is at it, and all others leave it alone; zero if
	// nobody is. Somebody whose process has ended is at it until then, too.
	Held time.Time `json:"held,omitzero"`
	// Last is what became of the last occurrence, LastCallID the last call.
	Last       *Result `json:"last,omitempty"`
	LastCallID string  `json:"last_call_id,omitempty"`

	// Version counts the writes of this record; a Store refuses a write that does
	// not follow the last one.
	Version int64 `json:"version"`
}

// Clone returns a copy that shares no memory with s that either would change:
// Hours and the maps of Request are never changed.
func (s *Schedule) Clone() *Schedule {
	d := *s
	if s.Last != nil {
		last := *s.Last
		d.Last = &last
	}
	return &d
}

// none leaves s without an occurrence to come.
func (s *Schedule) none() {
	s.Next, s.Due, s.Claimed, s.Held = Occurrence{}, time.Time{}, time.Time{}, time.Time{}
}

// key is the idempotency key of the call of Next.
func (s *Schedule) key() string { return s.ID + "@" + s.Next.Local.String() }

// Outcome is what became of an occurrence.
type Outcome string

// The outcomes.
const (
	Placed  Outcome = "placed"  // the call has an id, and its own fate
	Missed  Outcome = "missed"  // it was too late: see Spec.Grace
	Skipped Outcome = "skipped" // outside of calling hours, or while a call was live
	Refused Outcome = "refused" // by the service, or its policy
)

var outcomes = []Outcome{Placed, Missed, Skipped, Refused}

// Result is what became of an occurrence.
type Result struct {
	Occurrence
	Outcome Outcome `json:"outcome"`
	CallID  string  `json:"call_id,omitempty"`
	// Detail says why, for people; it holds no telephone number.
	Detail string `json:"detail,omitempty"`
	// DecidedAt is when.
	DecidedAt time.Time `json:"decided_at"`
	// More is how many occurrences after this one were missed with it, during a
	// long absence.
	More int `json:"more,omitempty"`
}

// KeepResults is how many results of a schedule a Store keeps; older ones it
// forgets.
const KeepResults = 100

// Filter chooses schedules. Zero fields do not restrict.
type Filter struct {
	Tenant *string // of Request; nil: every tenant's
	States []State // any of these
	After  string  // only ids that come after this one, to continue a list
	Limit  int     // 0 means 100, at most 1,000
}

// Matches reports whether s fits f, but for Limit.
func (f *Filter) Matches(s *Schedule) bool {
	return (f.Tenant == nil || s.Request.Tenant == *f.Tenant) &&
		(len(f.States) == 0 || slices.Contains(f.States, s.State)) &&
		s.ID > f.After
}

// Max is the number of schedules that List returns at most.
func (f *Filter) Max() int {
	switch {
	case f.Limit <= 0:
		return 100
	case f.Limit > 1000:
		return 1000
	}
	return f.Limit
}
