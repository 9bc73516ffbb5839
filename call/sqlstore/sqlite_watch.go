package sqlstore

import (
	"context"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

// sqliteLook is how often what is new is looked for.
const sqliteLook = 100 * time.Millisecond

// watchSQLite is Store.Watch by the numbers of writes.
func watchSQLite(ctx context.Context, s *Store, self string, deliver func([]call.Event)) error {
	seen, err := s.lastWrite(ctx)
	if err != nil {
		return err
	}
	deliver(nil)
	tick := time.NewTicker(sqliteLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		last, err := s.lastWrite(ctx)
		if err != nil || last == seen {
			continue // the next look finds what this one has not
		}
		for seen < last {
			upTo := min(last, seen+watchPage)
			events, err := sqldb.Find(ctx, s.db, sqldb.Column(decodeEvent),
				`SELECT event FROM events WHERE written > $1 AND written <= $2 AND owner <> $3 ORDER BY written, call_id, seq`,
				seen, upTo, self)
			if err != nil {
				break
			}
			seen = upTo
			if len(events) > 0 {
				deliver(events)
			}
		}
	}
}

// watchPage bounds how much is read at once.
const watchPage = 500

// lastWrite is the number of the last write that is done.
func (s *Store) lastWrite(ctx context.Context) (n int64, err error) {
	err = s.db.Retry(ctx, func(bool) error {
		return s.db.Read.QueryRowContext(ctx, `SELECT n FROM writes`).Scan(&n)
	})
	return n, err
}
