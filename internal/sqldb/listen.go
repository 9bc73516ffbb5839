package sqldb

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Listener is a connection on which PostgreSQL notifies. A nil one is never
// notified, and has time.
type Listener struct{ conn *pgx.Conn }

// Listen opens a connection, beside those that the DB keeps, on which a channel is
// listened to. Its name goes into a statement as it is.
func (db *DB) Listen(ctx context.Context, channel string) (*Listener, error) {
	if db.postgres == nil {
		return nil, errors.ErrUnsupported
	}
	conn, err := pgx.ConnectConfig(ctx, db.postgres)
	if err != nil {
		return nil, err
	}
	l := &Listener{conn: conn}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Wait waits for a notification, but no longer than that; then, and when ctx ends,
// it returns nil, too. An error tells that the connection is lost.
func (l *Listener) Wait(ctx context.Context, long time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	if l == nil {
		<-ctx.Done()
		return nil
	}
	if _, err := l.conn.WaitForNotification(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// Close closes the connection, whatever state it is in.
func (l *Listener) Close() {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.conn.Close(ctx) // which may be lost
}
