package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

const (
	// channel is what writes are notified on. There is nothing in a notification:
	// it says that there is something to read, so that none needs to arrive.
	channel = "switchboard"
	// postgresLook is how often is looked without a notification.
	postgresLook = 2 * time.Second
	// relistenFirst is how long to wait after the connection for notifications
	// could not be made, each time twice as long, up to relistenMost.
	relistenFirst = 250 * time.Millisecond
	relistenMost  = 30 * time.Second
)

// watchPostgres is Store.Watch.
//
// What is new is what the transactions have written that were not done at the
// last look and are now. PostgreSQL describes which those are by a snapshot, so
// that nothing is missed or comes twice, in whatever order transactions end, and
// however long nobody could look.
func watchPostgres(ctx context.Context, s *Store, self string, deliver func([]call.Event)) error {
	w := postgresWatch{store: s, self: self, deliver: deliver}
	var (
		listener *sqldb.Listener // nil while there is none
		again    time.Time       // when to try to have one
		pause    = relistenFirst
	)
	defer func() { listener.Close() }()
	for ctx.Err() == nil {
		if listener == nil && !time.Now().Before(again) {
			var err error
			if listener, err = s.db.Listen(ctx, channel); err != nil {
				again = time.Now().Add(pause)
				pause = min(2*pause, relistenMost)
			} else {
				pause = relistenFirst
			}
		}
		_ = w.look(ctx) // the next one finds what this one has not
		if err := listener.Wait(ctx, postgresLook); err != nil {
			listener.Close()
			listener = nil
		}
	}
	return ctx.Err()
}

// postgresWatch is how far a watch has come.
type postgresWatch struct {
	store   *Store
	self    string
	deliver func([]call.Event)

	seen string // the snapshot of the last look that is delivered whole
	now  string // that of the one that is not; may be empty
	at   place  // how far that one has come
}

// place is the place of an event in the order in which they are read.
type place struct {
	written string
	call    string
	seq     int64
}

// look delivers what is new. After an error it goes on where it was.
func (w *postgresWatch) look(ctx context.Context) error {
	if w.now == "" {
		if err := w.store.db.Retry(ctx, func(bool) error {
			return w.store.db.Read.QueryRowContext(ctx, `SELECT pg_current_snapshot()::text`).Scan(&w.now)
		}); err != nil {
			return err
		}
	}
	if w.seen == "" {
		w.seen, w.now = w.now, ""
		w.deliver(nil)
		return nil
	}
	for w.now != w.seen {
		events, err := w.page(ctx)
		if err != nil {
			return err
		}
		if len(events) < watchPage {
			w.seen = w.now
		}
		if events = slices.DeleteFunc(events, func(e call.Event) bool { return e.CallID == "" }); len(events) > 0 {
			w.deliver(events)
		}
	}
	w.now, w.at = "", place{written: "0"}
	return nil
}

// page returns the next events of a look.
func (w *postgresWatch) page(ctx context.Context) (events []call.Event, err error) {
	const query = `SELECT written::text, call_id, seq, event FROM events
		WHERE written >= pg_snapshot_xmin($1::text::pg_snapshot) AND written < pg_snapshot_xmax($2::text::pg_snapshot)
		AND NOT pg_visible_in_snapshot(written, $1::text::pg_snapshot) AND pg_visible_in_snapshot(written, $2::text::pg_snapshot)
		AND (written, call_id, seq) > ($3::text::xid8, $4, $5) AND owner <> $6
		ORDER BY written, call_id, seq LIMIT $7`
	at := w.at
	err = w.store.db.Retry(ctx, func(bool) error {
		events, at = nil, w.at
		if at.written == "" {
			at.written = "0"
		}
		rows, err := w.store.db.Read.QueryContext(ctx, query, w.seen, w.now, at.written, at.call, at.seq, w.self, watchPage)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err tells
		for rows.Next() {
			var text []byte
			if err := rows.Scan(&at.written, &at.call, &at.seq, &text); err != nil {
				return err
			}
			e, err := decodeEvent(text)
			if err != nil { // and never will be anything else: Events tells
				e = call.Event{}
			}
			events = append(events, e)
		}
		return rows.Err()
	})
	if err == nil {
		w.at = at
	}
	return events, err
}
