package schedule

import (
	"context"
	"errors"
)

// Errors of a Store.
var (
	// ErrNotFound tells that there is no such schedule.
	ErrNotFound = errors.New("schedule: not found")
	// ErrExists tells that there is a schedule of this id.
	ErrExists = errors.New("schedule: id is taken")
	// ErrConflict tells that somebody else has written the record since.
	ErrConflict = errors.New("schedule: record was changed by somebody else")
)

// Store keeps schedules. It may be used by many goroutines at once.
//
// What a Store is given stays the caller's: it copies what it keeps. What it
// returns belongs to the receiver. A write that has returned without error
// survives a crash of the process, if the store is durable at all.
// scheduletest.TestStore judges one.
type Store interface {
	// Create stores a new schedule, whose Version is 1, or returns ErrExists.
	Create(ctx context.Context, s *Schedule) error

	// Update replaces the record of a schedule and appends a result if it is not
	// nil, both or neither. s.Version is one above the version it replaces, or the
	// error wraps ErrConflict. What is not there is ErrNotFound. Of the results,
	// the last KeepResults are kept.
	Update(ctx context.Context, s *Schedule, r *Result) error

	// Get returns a schedule, or ErrNotFound.
	Get(ctx context.Context, id string) (*Schedule, error)

	// List returns schedules that fit f, by id, at most f.Max() of them.
	List(ctx context.Context, f Filter) ([]*Schedule, error)

	// Due returns those that are active, the earliest Due first, at most limit of
	// them.
	Due(ctx context.Context, limit int) ([]*Schedule, error)

	// Results returns what became of the occurrences of a schedule, the last one
	// first. What is not there has none.
	Results(ctx context.Context, id string) ([]Result, error)

	// Delete removes a schedule and its results. Nothing there is no error.
	Delete(ctx context.Context, id string) error
}
