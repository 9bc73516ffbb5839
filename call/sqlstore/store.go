package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

// Store is a call.SharedStore in a database. It may be used by many goroutines, and
// the same database by several processes, at once. On SQLite writes wait for each
// other, up to 5 seconds for those of other processes; on PostgreSQL only those
// of the same call do.
//
// Where PostgreSQL cannot be reached, restarts, or hands over to another server,
// methods try again for up to 5 seconds. A write whose reply was lost on the way
// is found again, and neither done twice nor taken for another's.
//
// Errors begin with "sqlstore: " and the method. When a write fails because its
// context has ended, or because the database stayed away, it may have happened.
type Store struct {
	db    *sqldb.DB
	write writer
	watch func(ctx context.Context, s *Store, self string, deliver func([]call.Event)) error
}

var (
	_ call.SharedStore = (*Store)(nil)
	_ call.EventEraser = (*Store)(nil)
)

// Close closes the database. After it, methods return errors. A second Close
// does nothing.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
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
	err := s.db.Retry(ctx, func(bool) error {
		// Events go with their call, by the foreign key.
		_, err := s.db.Write.ExecContext(ctx, `DELETE FROM calls WHERE id = $1`, id)
		return err
	})
	if err != nil && !s.db.Foreign(err) {
		return fmt.Errorf("sqlstore: delete: %w", err)
	}
	return nil
}

// EraseEvents implements call.EventEraser.
func (s *Store) EraseEvents(ctx context.Context, id string, last int64) error {
	err := s.db.Retry(ctx, func(bool) error {
		_, err := s.db.Write.ExecContext(ctx, `DELETE FROM events WHERE call_id = $1 AND seq <= $2`, id, last)
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: erase events: %w", err)
	}
	return nil
}

// Get implements call.Store.
func (s *Store) Get(ctx context.Context, id string) (*call.Call, error) {
	c, err := s.find(ctx, `SELECT record FROM calls WHERE id = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: get: %w", err)
	}
	return c, nil
}

// ByProvider implements call.Store.
func (s *Store) ByProvider(ctx context.Context, provider, providerCallID string) (*call.Call, error) {
	c, err := s.find(ctx, `SELECT record FROM calls WHERE provider = $1 AND provider_call_id = $2`, provider, providerCallID)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: by provider: %w", err)
	}
	return c, nil
}

const selectByKey = `SELECT record FROM calls WHERE tenant = $1 AND idempotency_key = $2`

// ByKey implements call.Store.
func (s *Store) ByKey(ctx context.Context, tenant, key string) (*call.Call, error) {
	c, err := s.find(ctx, selectByKey, tenant, key)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: by key: %w", err)
	}
	return c, nil
}

// List implements call.Store.
func (s *Store) List(ctx context.Context, f call.Filter) ([]*call.Call, error) {
	query, args := listQuery(f)
	list, err := sqldb.Find(ctx, s.db, sqldb.Column(decodeCall), query, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: list: %w", err)
	}
	return list, nil
}

// Events implements call.Store.
func (s *Store) Events(ctx context.Context, id string, after int64) ([]call.Event, error) {
	events, err := sqldb.Find(ctx, s.db, sqldb.Column(decodeEvent),
		`SELECT event FROM events WHERE call_id = $1 AND seq > $2 ORDER BY seq`, id, after)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: events: %w", err)
	}
	return events, nil
}

// find returns the one call that a query finds, or call.ErrNotFound.
func (s *Store) find(ctx context.Context, query string, args ...any) (c *call.Call, err error) {
	err = s.db.Retry(ctx, func(bool) error {
		c, err = scanCall(s.db.Read.QueryRowContext(ctx, query, args...))
		return err
	})
	if err != nil && s.db.Foreign(err) {
		return nil, call.ErrNotFound
	}
	return c, err
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
