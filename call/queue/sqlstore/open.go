// Package sqlstore keeps the places of queues in a database: a [Store] is a
// queue.Store on SQLite, for the processes of one machine, or on PostgreSQL.
//
// Its tables may be in the same database as those of call/sqlstore. Places are worth
// little after a power cut; where they are kept in SQLite, the last ones may be lost
// by one.
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
	db, err := sqldb.Open(ctx, address, sqldb.Schema{Files: migrations, Version: "queue_schema"})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	return &Store{db}, nil
}
