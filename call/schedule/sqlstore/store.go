package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/call/schedule"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

// Store is a schedule.Store in a database. It may be used by many goroutines at
// once. Errors begin with "sqlstore: " and the method. When a context ends during
// a write, the write may have happened.
type Store struct{ db *sqldb.DB }

var _ schedule.Store = (*Store)(nil)

// Close closes the database. A second Close does nothing.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("sqlstore: close: %w", err)
	}
	return nil
}

// Create implements schedule.Store.
func (s *Store) Create(ctx context.Context, r *schedule.Schedule) error {
	if err := s.create(ctx, r); err != nil {
		return fmt.Errorf("sqlstore: create: %w", err)
	}
	return nil
}

func (s *Store) create(ctx context.Context, r *schedule.Schedule) error {
	if r.Version != 1 {
		return fmt.Errorf("%w: a new record has version 1, not %d", schedule.ErrConflict, r.Version)
	}
	values, err := columns(r)
	if err != nil {
		return err
	}
	created, err := sqldb.Affected(s.db.Write.ExecContext(ctx,
		`INSERT INTO schedules (id, version, tenant, state, due, record) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT DO NOTHING`, values...))
	switch {
	case err != nil:
		return err
	case !created:
		return schedule.ErrExists
	}
	return nil
}

// Update implements schedule.Store.
func (s *Store) Update(ctx context.Context, r *schedule.Schedule, result *schedule.Result) error {
	err := sqldb.Transact(ctx, s.db.Write, func(tx *sql.Tx) error { return update(ctx, tx, r, result) })
	if err != nil {
		return fmt.Errorf("sqlstore: update: %w", err)
	}
	return nil
}

func update(ctx context.Context, tx *sql.Tx, r *schedule.Schedule, result *schedule.Result) error {
	values, err := columns(r)
	if err != nil {
		return err
	}
	updated, err := sqldb.Affected(tx.ExecContext(ctx,
		`UPDATE schedules SET version = $2, tenant = $3, state = $4, due = $5, record = $6
		WHERE id = $1 AND version = $2 - 1`, values...))
	switch {
	case err != nil:
		return err
	case !updated:
		return refusal(ctx, tx, r)
	case result == nil:
		return nil
	}
	own := *result
	own.At, own.DecidedAt = own.At.UTC(), own.DecidedAt.UTC()
	text, err := json.Marshal(own)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx,
		`INSERT INTO schedule_results (schedule_id, seq, result) VALUES ($1, $2, $3)`, r.ID, r.Version, string(text)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`DELETE FROM schedule_results WHERE schedule_id = $1 AND seq <= (
			SELECT seq FROM schedule_results WHERE schedule_id = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2)`,
		r.ID, schedule.KeepResults)
	return err
}

// refusal says why there is no record that r may replace.
func refusal(ctx context.Context, tx *sql.Tx, r *schedule.Schedule) error {
	var version int64
	switch err := tx.QueryRowContext(ctx, `SELECT version FROM schedules WHERE id = $1`, r.ID).Scan(&version); {
	case errors.Is(err, sql.ErrNoRows):
		return schedule.ErrNotFound
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: version %d does not follow %d", schedule.ErrConflict, r.Version, version)
}

// Get implements schedule.Store.
func (s *Store) Get(ctx context.Context, id string) (*schedule.Schedule, error) {
	list, err := find[*schedule.Schedule](ctx, s, `SELECT record FROM schedules WHERE id = $1`, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("sqlstore: get: %w", err)
	case len(list) == 0:
		return nil, fmt.Errorf("sqlstore: get: %w", schedule.ErrNotFound)
	}
	return list[0], nil
}

// List implements schedule.Store.
func (s *Store) List(ctx context.Context, f schedule.Filter) ([]*schedule.Schedule, error) {
	args := sqldb.Args{f.After, f.Max()}
	query := `SELECT record FROM schedules WHERE id > $1`
	if f.Tenant != nil {
		query += ` AND tenant = ` + args.Add(*f.Tenant)
	}
	if len(f.States) > 0 {
		query += ` AND state IN ` + sqldb.AddTexts(&args, f.States)
	}
	list, err := find[*schedule.Schedule](ctx, s, query+` ORDER BY id LIMIT $2`, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: list: %w", err)
	}
	return list, nil
}

// Due implements schedule.Store.
func (s *Store) Due(ctx context.Context, limit int) ([]*schedule.Schedule, error) {
	list, err := find[*schedule.Schedule](ctx, s,
		`SELECT record FROM schedules WHERE state = $1 ORDER BY due, id LIMIT $2`, string(schedule.Active), limit)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: due: %w", err)
	}
	return list, nil
}

// Results implements schedule.Store.
func (s *Store) Results(ctx context.Context, id string) ([]schedule.Result, error) {
	results, err := find[schedule.Result](ctx, s,
		`SELECT result FROM schedule_results WHERE schedule_id = $1 ORDER BY seq DESC`, id)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: results: %w", err)
	}
	return results, nil
}

// Delete implements schedule.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	// Results go with their schedule, by the foreign key.
	_, err := s.db.Write.ExecContext(ctx, `DELETE FROM schedules WHERE id = $1`, id)
	if err != nil && !s.db.Foreign(err) {
		return fmt.Errorf("sqlstore: delete: %w", err)
	}
	return nil
}

// columns returns the values of the table's columns, with times in UTC.
func columns(r *schedule.Schedule) ([]any, error) {
	u := r.Clone()
	for _, t := range []*time.Time{&u.From, &u.Until, &u.CreatedAt, &u.Next.At, &u.Due, &u.Claimed, &u.Held} {
		*t = t.UTC()
	}
	if u.Last != nil {
		u.Last.At, u.Last.DecidedAt = u.Last.At.UTC(), u.Last.DecidedAt.UTC()
	}
	record, err := json.Marshal(u)
	if err != nil {
		return nil, err
	}
	return []any{u.ID, u.Version, u.Request.Tenant, string(u.State), sqldb.Nanos(u.Due), string(record)}, nil
}

// decode reads the JSON of a record, or of a result.
func decode[T any](text []byte) (v T, err error) {
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("record: %w", err)
	}
	return v, nil
}

// find returns what is in the one column that a query finds.
func find[T any](ctx context.Context, s *Store, query string, args ...any) ([]T, error) {
	return sqldb.Find(ctx, s.db, sqldb.Column(decode[T]), query, args...)
}
