package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/switchboard-voice/switchboard/call"
)

// columns are those of the table calls after its id. An update leaves the id
// alone: to set it, even to itself, makes SQLite look through the call's events.
const columns = `version, tenant, idempotency_key, agent_id, direction,
	provider, provider_call_id, state, created_at, record`

// columnsOf returns the id of c and the values of columns.
func columnsOf(c *call.Call) ([]any, error) {
	record, err := encodeCall(c)
	if err != nil {
		return nil, err
	}
	return []any{
		c.ID, c.Version, c.Tenant, orNull(c.IdempotencyKey), c.AgentID, c.Direction.String(),
		c.Provider, orNull(c.ProviderCallID), c.State.String(), nanos(c.CreatedAt), record,
	}, nil
}

func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

func (s *Store) create(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
	if c.Version != 1 {
		return nil, fmt.Errorf("%w: a new record has version 1, not %d", call.ErrConflict, c.Version)
	}
	values, err := columnsOf(c)
	if err != nil {
		return nil, err
	}
	var first *call.Call
	err = transact(ctx, s.write, func(tx *sql.Tx) error {
		created, err := affects(tx.ExecContext(ctx,
			`INSERT INTO calls (id, `+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT DO NOTHING`, values...))
		switch {
		case err != nil:
			return err
		case !created:
			first, err = existing(ctx, tx, c)
			return err
		}
		return appendEvents(ctx, tx, c.ID, events)
	})
	if err != nil {
		return nil, err
	}
	return first, nil
}

// existing returns the call that stands in the way of c under its idempotency
// key, or says that it is in the way for another reason.
func existing(ctx context.Context, tx *sql.Tx, c *call.Call) (*call.Call, error) {
	if c.IdempotencyKey != "" {
		first, err := scanCall(tx.QueryRowContext(ctx,
			`SELECT record FROM calls WHERE tenant = $1 AND idempotency_key = $2`, c.Tenant, c.IdempotencyKey))
		if !errors.Is(err, call.ErrNotFound) {
			return first, err
		}
	}
	return nil, fmt.Errorf("%w: the id, or the carrier's, is taken", call.ErrConflict)
}

func (s *Store) update(ctx context.Context, c *call.Call, events []call.Event) error {
	values, err := columnsOf(c)
	if err != nil {
		return err
	}
	return transact(ctx, s.write, func(tx *sql.Tx) error {
		updated, err := affects(tx.ExecContext(ctx,
			`UPDATE calls SET (`+columns+`) = ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			WHERE id = $1 AND version = $2 - 1`, values...))
		switch {
		case s.dialect.taken(err):
			return fmt.Errorf("%w: the carrier's id or the key is taken", call.ErrConflict)
		case err != nil:
			return err
		case !updated:
			return refusal(ctx, tx, c)
		}
		return appendEvents(ctx, tx, c.ID, events)
	})
}

// refusal says why there is no record that c may replace.
func refusal(ctx context.Context, tx *sql.Tx, c *call.Call) error {
	now, err := scanCall(tx.QueryRowContext(ctx, `SELECT record FROM calls WHERE id = $1`, c.ID))
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: version %d does not follow %d", call.ErrConflict, c.Version, now.Version)
}

func appendEvents(ctx context.Context, tx *sql.Tx, id string, events []call.Event) error {
	for _, e := range events {
		event, err := encodeEvent(e)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx,
			`INSERT INTO events (call_id, seq, at, event) VALUES ($1, $2, $3, $4)
			ON CONFLICT (call_id, seq) DO NOTHING`, id, e.Seq, nanos(e.At), event); err != nil {
			return err
		}
	}
	return nil
}

// affects reports whether a statement changed a row.
func affects(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// transact does everything in one transaction, or nothing.
func transact(ctx context.Context, db *sql.DB, everything func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := everything(tx); err != nil {
		return err
	}
	return tx.Commit()
}
