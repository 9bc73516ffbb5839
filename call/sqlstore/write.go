package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

// columns are those of the table calls after its id. An update leaves the id
// alone: to set it, even to itself, makes SQLite look through the call's events.
const columns = `version, tenant, idempotency_key, agent_id, direction,
	provider, provider_call_id, state, created_at, owner, record`

const (
	insertCall = `INSERT INTO calls (id, ` + columns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT DO NOTHING`
	updateCall = `UPDATE calls SET (` + columns + `) = ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		WHERE id = $1 AND version = $2 - 1`
)

// row is a call as the table has it.
type row struct {
	values []any // the id and those of columns
	record string
}

func rowOf(c *call.Call) (row, error) {
	record, err := encodeCall(c)
	if err != nil {
		return row{}, err
	}
	return row{record: record, values: []any{
		c.ID, c.Version, c.Tenant, orNull(c.IdempotencyKey), c.AgentID, c.Direction.String(),
		c.Provider, orNull(c.ProviderCallID), c.State.String(), sqldb.Nanos(c.CreatedAt), c.Owner, record,
	}}, nil
}

func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// eventRows are the events of one write as the table has them, column by column.
type eventRows struct {
	owner   string
	seq, at []int64
	event   []string
}

func eventRowsOf(c *call.Call, events []call.Event) (rows eventRows, err error) {
	rows.owner = c.Owner
	for _, e := range events {
		event, err := encodeEvent(e)
		if err != nil {
			return rows, err
		}
		rows.seq = append(rows.seq, e.Seq)
		rows.at = append(rows.at, sqldb.Nanos(e.At))
		rows.event = append(rows.event, event)
	}
	return rows, nil
}

func (s *Store) create(ctx context.Context, c *call.Call, events []call.Event) (first *call.Call, err error) {
	if c.Version != 1 {
		return nil, fmt.Errorf("%w: a new record has version 1, not %d", call.ErrConflict, c.Version)
	}
	err = s.put(ctx, insertCall, c, events, func() error {
		first, err = s.existing(ctx, c)
		return err
	})
	return first, err
}

// existing returns the call that stands in the way of c under its idempotency
// key, or says that it is in the way for another reason.
func (s *Store) existing(ctx context.Context, c *call.Call) (*call.Call, error) {
	if c.IdempotencyKey != "" {
		first, err := scanCall(s.db.Write.QueryRowContext(ctx, selectByKey, c.Tenant, c.IdempotencyKey))
		if !errors.Is(err, call.ErrNotFound) {
			return first, err
		}
	}
	return nil, fmt.Errorf("%w: the id, or the carrier's, is taken", call.ErrConflict)
}

func (s *Store) update(ctx context.Context, c *call.Call, events []call.Event) error {
	err := s.put(ctx, updateCall, c, events, func() error { return s.refusal(ctx, c) })
	if s.db.Taken(err) {
		return fmt.Errorf("%w: the carrier's id or the key is taken", call.ErrConflict)
	}
	return err
}

// refusal says why there is no record that c may replace.
func (s *Store) refusal(ctx context.Context, c *call.Call) error {
	now, err := scanCall(s.db.Write.QueryRowContext(ctx, `SELECT record FROM calls WHERE id = $1`, c.ID))
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: version %d does not follow %d", call.ErrConflict, c.Version, now.Version)
}

// put executes a statement that writes c, and adds the events. If the statement
// finds that it may not write, refused says why.
//
// What stands in the way after the reply to an earlier try was lost may be what
// that try has written; then all is well. It is known by the record, which two
// writers never have in common: there are times to the nanosecond in it.
func (s *Store) put(ctx context.Context, statement string, c *call.Call, events []call.Event, refused func() error) error {
	row, err := rowOf(c)
	if err != nil {
		return err
	}
	rows, err := eventRowsOf(c, events)
	if err != nil {
		return err
	}
	return s.db.Retry(ctx, func(again bool) error {
		done, err := s.write(ctx, s.db.Write, statement, row.values, rows)
		if err != nil || done {
			return err
		}
		if again {
			if ours, err := s.has(ctx, c.ID, row.record); err != nil || ours {
				return err
			}
		}
		return refused()
	})
}

// has reports whether the record of a call is exactly this.
func (s *Store) has(ctx context.Context, id, record string) (bool, error) {
	var same bool
	err := s.db.Write.QueryRowContext(ctx, `SELECT record = $2 FROM calls WHERE id = $1`, id, record).Scan(&same)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return same, err
}

// A writer executes a statement that inserts or updates one call, and if it did,
// adds the events; both or neither. It reports whether it did.
type writer func(ctx context.Context, db *sql.DB, statement string, values []any, events eventRows) (bool, error)

// writeAtOnce writes as one statement, and so one transaction: it needs
// one journey to the server, and a process that dies or loses its network cannot
// leave a lock behind. With it goes the notification of those who watch.
// Statements have twelve values.
func writeAtOnce(ctx context.Context, db *sql.DB, statement string, values []any, events eventRows) (bool, error) {
	const query = `WITH written AS (%s RETURNING id), noted AS (
			INSERT INTO events (call_id, seq, at, event, owner)
			SELECT id, seq, at, event, $16 FROM written, unnest($13::bigint[], $14::bigint[], $15::text[]) AS e (seq, at, event)
			ON CONFLICT (call_id, seq) DO NOTHING RETURNING seq)
		SELECT count(*), (SELECT pg_notify('` + channel + `', '')::text FROM noted LIMIT 1) FROM written`
	values = append(values[:len(values):len(values)], events.seq, events.at, events.event, events.owner)
	var (
		written int
		told    sql.NullString
	)
	err := db.QueryRowContext(ctx, fmt.Sprintf(query, statement), values...).Scan(&written, &told)
	return written > 0, err
}

// writeInTransaction writes with a statement for each event, which cost little
// without a network.
func writeInTransaction(ctx context.Context, db *sql.DB, statement string, values []any, events eventRows) (done bool, err error) {
	err = sqldb.Transact(ctx, db, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, statement, values...)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if done = n > 0; err != nil || !done {
			return err
		}
		if len(events.seq) == 0 {
			return nil
		}
		var number int64
		if err := tx.QueryRowContext(ctx, `UPDATE writes SET n = n + 1 RETURNING n`).Scan(&number); err != nil {
			return err
		}
		for i := range events.seq {
			if _, err := tx.ExecContext(ctx,
				`INSERT INTO events (call_id, seq, at, event, owner, written) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (call_id, seq) DO NOTHING`,
				values[0], events.seq[i], events.at[i], events.event[i], events.owner, number); err != nil {
				return err
			}
		}
		return nil
	})
	return done && err == nil, err
}
