package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

// Renew implements call.SharedStore.
func (s *Store) Renew(ctx context.Context, replica string, lease time.Duration) error {
	err := s.db.Retry(ctx, func(bool) error {
		if _, err := s.db.Write.ExecContext(ctx, `DELETE FROM replicas WHERE expires <= `+s.db.Now()); err != nil {
			return err
		}
		_, err := s.db.Write.ExecContext(ctx, `INSERT INTO replicas (name, expires) VALUES ($1, `+s.db.Now()+` + $2)
			ON CONFLICT (name) DO UPDATE SET expires = excluded.expires`, replica, lease.Microseconds())
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: renew: %w", err)
	}
	return nil
}

// Resign implements call.SharedStore.
func (s *Store) Resign(ctx context.Context, replica string) error {
	err := s.db.Retry(ctx, func(bool) error {
		_, err := s.db.Write.ExecContext(ctx, `DELETE FROM replicas WHERE name = $1`, replica)
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: resign: %w", err)
	}
	return nil
}

// Replicas implements call.SharedStore.
func (s *Store) Replicas(ctx context.Context) ([]string, error) {
	replicas, err := sqldb.Find(ctx, s.db, sqldb.Column(func(name []byte) (string, error) { return string(name), nil }),
		`SELECT name FROM replicas WHERE expires > `+s.db.Now()+` ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: replicas: %w", err)
	}
	return replicas, nil
}

// Watch implements call.SharedStore. On SQLite, which tells nobody of anything, it
// looks ten times a second. On PostgreSQL it has a connection of its own, on which
// the server tells of each write; where it is lost, or a pooler of transactions
// stands in between, it looks every two seconds.
func (s *Store) Watch(ctx context.Context, self string, deliver func([]call.Event)) error {
	return fmt.Errorf("sqlstore: watch: %w", s.watch(ctx, s, self, deliver))
}
