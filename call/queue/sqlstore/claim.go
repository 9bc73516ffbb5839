package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
	"github.com/switchboard-voice/switchboard/routing"
)

// inLine is the order in which turns come.
const inLine = ` ORDER BY joined - head_start, ticket`

// Claim implements queue.Store.
func (s *Store) Claim(ctx context.Context, c queue.Claim) (got *queue.Place, err error) {
	err = s.alone(ctx, "claim", func(tx *sql.Tx) error {
		got, err = s.claim(ctx, tx, c)
		return err
	})
	return got, err
}

func (s *Store) claim(ctx context.Context, tx *sql.Tx, c queue.Claim) (*queue.Place, error) {
	if p, err := place(ctx, tx, `WHERE claim = $1`, c.ID); p != nil || err != nil {
		return p, err
	}
	now, err := s.now(ctx, tx)
	if err != nil {
		return nil, err
	}
	p, err := place(ctx, tx, `WHERE agent = '' AND queue = $1 AND (callback = '' OR $2 AND ready <= $3)`+inLine,
		c.Queue, c.Callbacks, now)
	if p == nil || err != nil || p.Callback == nil && p.Owner != c.Owner {
		return nil, err
	}
	all, err := agents(ctx, tx)
	if err != nil {
		return nil, err
	}
	var least *agent
	for _, name := range c.Agents {
		a := all[name]
		if a == nil {
			a = &agent{Agent: queue.Agent{Name: name}}
		}
		if a.Room(c.Capacity) && (least == nil || a.Load < least.Load || a.Load == least.Load && a.turn < least.turn) {
			least = a
		}
	}
	if least == nil {
		return nil, nil
	}
	if _, err := tx.ExecContext(ctx,
		`INSERT INTO queue_agents (name, turn) VALUES ($1, (SELECT coalesce(max(turn), 0) + 1 FROM queue_agents))
		ON CONFLICT (name) DO UPDATE SET turn = excluded.turn`, least.Name); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx,
		`UPDATE queue_places SET owner = $2, agent = $3, claim = $4 WHERE id = $1`, p.ID, c.Owner, least.Name, c.ID); err != nil {
		return nil, err
	}
	p.Owner, p.Agent, p.Claim = c.Owner, least.Name, c.ID
	return p, nil
}

type agent struct {
	queue.Agent
	turn int64
}

// agents returns all of whom anything is known, by name.
func agents(ctx context.Context, q sqldb.Querier) (map[string]*agent, error) {
	list, err := listAgents(ctx, q)
	all := make(map[string]*agent, len(list))
	for _, a := range list {
		all[a.Name] = a
	}
	return all, err
}

func listAgents(ctx context.Context, q sqldb.Querier) ([]*agent, error) {
	return sqldb.Rows(ctx, q, func(rows *sql.Rows) (*agent, error) {
		var a agent
		var busy sql.NullBool
		var capacity sql.NullInt64
		if err := rows.Scan(&a.Name, &busy, &capacity, &a.turn, &a.Load); err != nil {
			return nil, err
		}
		if capacity.Valid {
			a.Availability = &routing.Availability{Busy: busy.Bool, Capacity: int(capacity.Int64)}
		}
		return &a, nil
	}, `SELECT name, busy, capacity, coalesce(turn, 0), (SELECT count(*) FROM queue_places WHERE agent = name) FROM (
			SELECT name FROM queue_agents UNION SELECT agent AS name FROM queue_places WHERE agent <> ''
		) AS named LEFT JOIN queue_agents USING (name) ORDER BY name`)
}

// Look implements queue.Store. It keeps nobody from writing.
func (s *Store) Look(ctx context.Context) (*queue.Look, error) {
	var l *queue.Look
	err := s.db.Retry(ctx, func(bool) (err error) {
		l, err = s.look(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: look: %w", err)
	}
	return l, nil
}

func (s *Store) look(ctx context.Context) (*queue.Look, error) {
	tx, err := s.db.Read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // it has only read
	now, err := s.now(ctx, tx)
	if err != nil {
		return nil, err
	}
	l := &queue.Look{Now: instant(now)}
	if l.Places, err = places(ctx, tx, `WHERE agent = ''`+inLine); err != nil {
		return nil, err
	}
	list, err := listAgents(ctx, tx)
	for _, a := range list {
		l.Agents = append(l.Agents, a.Agent)
	}
	return l, err
}
