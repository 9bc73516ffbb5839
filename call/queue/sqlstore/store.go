package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
	"github.com/switchboard-voice/switchboard/routing"
)

// Store is a queue.Store in a database. It may be used by many goroutines at once.
// Errors begin with "sqlstore: " and the method.
type Store struct{ db *sqldb.DB }

var _ queue.Store = (*Store)(nil)

// Close closes the database. A second Close does nothing.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("sqlstore: close: %w", err)
	}
	return nil
}

// alone does something to the tables while nobody else does: what it reads stays
// true until it has written. PostgreSQL ends the transaction of a process that
// leaves it alone for long, so that a machine that has lost its network keeps
// nobody out.
func (s *Store) alone(ctx context.Context, deed string, do func(*sql.Tx) error) error {
	err := s.db.Retry(ctx, func(bool) error {
		return sqldb.Transact(ctx, s.db.Write, func(tx *sql.Tx) error {
			if s.db.Postgres() {
				for _, statement := range []string{
					`SET LOCAL idle_in_transaction_session_timeout = 2000`, // ms
					`LOCK TABLE queue_places IN SHARE ROW EXCLUSIVE MODE`,
				} {
					if _, err := tx.ExecContext(ctx, statement); err != nil {
						return err
					}
				}
			}
			return do(tx)
		})
	})
	if err != nil {
		return fmt.Errorf("sqlstore: %s: %w", deed, err)
	}
	return nil
}

// now returns the time of the database's clock, as columns hold it.
func (s *Store) now(ctx context.Context, tx *sql.Tx) (now int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT `+s.db.Now()).Scan(&now)
	return now, err
}

// Join implements queue.Store.
func (s *Store) Join(ctx context.Context, p *queue.Place, limit int) error {
	return s.alone(ctx, "join", func(tx *sql.Tx) error { return s.join(ctx, tx, p, limit) })
}

func (s *Store) join(ctx context.Context, tx *sql.Tx, p *queue.Place, limit int) error {
	switch have, err := place(ctx, tx, `WHERE id = $1`, p.ID); {
	case err != nil:
		return err
	case have != nil:
		p.Ticket, p.Joined = have.Ticket, have.Joined
		return nil
	}
	if p.Waits() && limit > 0 {
		var n int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM queue_places WHERE agent = '' AND queue = $1`, p.Queue).Scan(&n)
		if err != nil {
			return err
		}
		if n >= limit {
			return queue.ErrFull
		}
	}
	now, err := s.now(ctx, tx)
	if err != nil {
		return err
	}
	if !p.Joined.IsZero() {
		now = p.Joined.UnixMicro()
	}
	callback := ""
	if p.Callback != nil {
		text, err := json.Marshal(p.Callback)
		if err != nil {
			return err
		}
		callback = string(text)
	}
	err = tx.QueryRowContext(ctx,
		`INSERT INTO queue_places (id, queue, call_id, owner, agent, claim, joined, head_start, ready, callback)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING ticket`,
		p.ID, p.Queue, p.CallID, p.Owner, p.Agent, p.Claim, now, p.HeadStart.Microseconds(), micros(p.Ready), callback).Scan(&p.Ticket)
	p.Joined = instant(now)
	return err
}

// micros and instant translate times, of which zero is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// Return implements queue.Store.
func (s *Store) Return(ctx context.Context, id string, after time.Duration) error {
	return s.alone(ctx, "return", func(tx *sql.Tx) error {
		return s.back(ctx, tx, after, `id = $1 AND agent <> ''`, id)
	})
}

// back puts callbacks into the line.
func (s *Store) back(ctx context.Context, tx *sql.Tx, after time.Duration, which string, arg any) error {
	now, err := s.now(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`UPDATE queue_places SET owner = '', agent = '', claim = '', ready = $2 WHERE callback <> '' AND `+which,
		arg, now+after.Microseconds())
	return err
}

// Leave implements queue.Store.
func (s *Store) Leave(ctx context.Context, id string) (was bool, err error) {
	err = s.alone(ctx, "leave", func(tx *sql.Tx) error {
		var err error
		was, err = sqldb.Affected(tx.ExecContext(ctx, `DELETE FROM queue_places WHERE id = $1`, id))
		return err
	})
	return was, err
}

// SetAgent implements queue.Store.
func (s *Store) SetAgent(ctx context.Context, name string, a routing.Availability) error {
	return s.alone(ctx, "set agent", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx,
			`INSERT INTO queue_agents (name, busy, capacity, turn) VALUES ($1, $2, $3, 0)
			ON CONFLICT (name) DO UPDATE SET busy = excluded.busy, capacity = excluded.capacity`,
			name, a.Busy, a.Capacity)
		return err
	})
}

// Renew implements queue.Store.
func (s *Store) Renew(ctx context.Context, owner string, lease time.Duration) (isNew bool, err error) {
	err = s.alone(ctx, "renew", func(tx *sql.Tx) error {
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		over, err := sqldb.Rows(ctx, tx, func(rows *sql.Rows) (name string, err error) { return name, rows.Scan(&name) },
			`SELECT name FROM queue_owners WHERE until <= $1`, now)
		if err != nil {
			return err
		}
		for _, name := range over {
			if err := s.giveUp(ctx, tx, name); err != nil {
				return err
			}
		}
		var known int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM queue_owners WHERE name = $1`, owner).Scan(&known); err != nil {
			return err
		}
		isNew = known == 0
		_, err = tx.ExecContext(ctx,
			`INSERT INTO queue_owners (name, until) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET until = excluded.until`,
			owner, now+lease.Microseconds())
		return err
	})
	return isNew, err
}

// Resign implements queue.Store.
func (s *Store) Resign(ctx context.Context, owner string) error {
	return s.alone(ctx, "resign", func(tx *sql.Tx) error { return s.giveUp(ctx, tx, owner) })
}

// giveUp ends what an owner had.
func (s *Store) giveUp(ctx context.Context, tx *sql.Tx, owner string) error {
	if err := s.back(ctx, tx, 0, `owner = $1`, owner); err != nil {
		return err
	}
	for _, statement := range []string{`DELETE FROM queue_places WHERE owner = $1`, `DELETE FROM queue_owners WHERE name = $1`} {
		if _, err := tx.ExecContext(ctx, statement, owner); err != nil {
			return err
		}
	}
	return nil
}

// place returns the first place that a clause chooses; nil if there is none.
func place(ctx context.Context, q sqldb.Querier, clause string, args ...any) (*queue.Place, error) {
	found, err := places(ctx, q, clause+` LIMIT 1`, args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

func places(ctx context.Context, q sqldb.Querier, clause string, args ...any) ([]*queue.Place, error) {
	return sqldb.Rows(ctx, q, scan,
		`SELECT ticket, id, queue, call_id, owner, agent, claim, joined, head_start, ready, callback FROM queue_places `+clause, args...)
}

func scan(rows *sql.Rows) (*queue.Place, error) {
	var p queue.Place
	var joined, headStart, ready int64
	var callback string
	err := rows.Scan(&p.Ticket, &p.ID, &p.Queue, &p.CallID, &p.Owner, &p.Agent, &p.Claim, &joined, &headStart, &ready, &callback)
	if err != nil {
		return nil, err
	}
	p.Joined, p.HeadStart, p.Ready = instant(joined), time.Duration(headStart)*time.Microsecond, instant(ready)
	if callback != "" {
		p.Callback = new(call.Request)
		return &p, json.Unmarshal([]byte(callback), p.Callback)
	}
	return &p, nil
}
