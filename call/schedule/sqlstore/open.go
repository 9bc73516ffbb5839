// Package sqlstore keeps schedules in a database: a [Store] is a schedule.Store
// on SQLite, for one machine, or on PostgreSQL.
//
// Its tables may be in the same database as those of call/sqlstore. On SQLite a
// write that has returned survives the end of the process, however it ends; a loss
// of power may take the last ones, and then a call may be placed again, unless it
// is the same file that forgets both. On PostgreSQL it survives what the server is
// set up for.
package sqlstore

import (
	"context"
	"embed"
	"fmt"

	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Open opens the database at address and brings its schema up to date. Addresses
// are those of call/sqlstore: "sqlite:" and a path, "sqlite::memory:", or a URL of
// PostgreSQL. A database that a later version of this package has written is
// refused. Close the Store when no method runs any more.
func Open(ctx context.Context, address string) (*Store, error) {
	db, err := sqldb.Open(ctx, address, sqldb.Schema{Files: migrations, Version: "schedule_schema"})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	return &Store{db}, nil
}
