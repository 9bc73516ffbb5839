package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/switchboard-voice/switchboard/call"
)

// Store is a call.Store in a database. It may be used by many goroutines, and
// the same database by several processes, at once. Writes wait for each other:
// up to 5 seconds for those of other processes.
//
// Errors begin with "sqlstore: " and the method. Beyond what call.Store says, an
// id, a carrier's id or an idempotency key that another call has is
// call.ErrConflict, and so is a Version other than 1 for a new call; an Update
// of a call that is not there is call.ErrNotFound; a call that is not there has
// no events. When a context ends during a write, the write may have happened.
type Store struct {
	dialect dialect
	write   *sql.DB
	read    *sql.DB // the same as write, if there is one connection only
}

var _ call.Store = (*Store)(nil)

// Close closes the database. After it, methods return errors. A second Close
// does nothing.
func (s *Store) Close() error {
	if err := errors.Join(s.read.Close(), s.write.Close()); err != nil {
		return fmt.Errorf("sqlstore: close: %w", err)
	}
	return nil
}

// Create implements call.Store.
func (s *Store) Create(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
	existing, err := s.create(ctx, c, events)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: create: %w", err)
	}
	return existing, nil
}

// Update implements call.Store.
func (s *Store) Update(ctx context.Context, c *call.Call, events []call.Event) error {
	if err := s.update(ctx, c, events); err != nil {
		return fmt.Errorf("sqlstore: update: %w", err)
	}
	return nil
}

// Delete implements call.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	// Events go with their call, by the foreign key.
	if _, err := s.write.ExecContext(ctx, `DELETE FROM calls WHERE id = $1`, id); err != nil {
		return fmt.Errorf("sqlstore: delete: %w", err)
	}
	return nil
}

// Get implements call.Store.
func (s *Store) Get(ctx context.Context, id string) (*call.Call, error) {
	c, err := scanCall(s.read.QueryRowContext(ctx, `SELECT record FROM calls WHERE id = $1`, id))
	if err != nil {
		return nil, fmt.Errorf("sqlstore: get: %w", err)
	}
	return c, nil
}

// ByProvider implements call.Store.
func (s *Store) ByProvider(ctx context.Context, provider, providerCallID string) (*call.Call, error) {
	c, err := scanCall(s.read.QueryRowContext(ctx,
		`SELECT record FROM calls WHERE provider = $1 AND provider_call_id = $2`, provider, providerCallID))
	if err != nil {
		return nil, fmt.Errorf("sqlstore: by provider: %w", err)
	}
	return c, nil
}

// List implements call.Store.
func (s *Store) List(ctx context.Context, f call.Filter) ([]*call.Call, error) {
	query, args := listQuery(f)
	list, err := collect(ctx, s.read, decodeCall, query, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: list: %w", err)
	}
	return list, nil
}

// Events implements call.Store.
func (s *Store) Events(ctx context.Context, id string, after int64) ([]call.Event, error) {
	events, err := collect(ctx, s.read, decodeEvent,
		`SELECT event FROM events WHERE call_id = $1 AND seq > $2 ORDER BY seq`, id, after)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: events: %w", err)
	}
	return events, nil
}

// scanCall reads the record that a query for one found.
func scanCall(row *sql.Row) (*call.Call, error) {
	var record []byte
	switch err := row.Scan(&record); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, call.ErrNotFound
	case err != nil:
		return nil, err
	}
	return decodeCall(record)
}

// collect decodes the one column of each row of a query.
func collect[T any](ctx context.Context, db *sql.DB, decode func([]byte) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var all []T
	for rows.Next() {
		var text sql.RawBytes
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		v, err := decode(text)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
