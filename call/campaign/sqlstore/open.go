// Package sqlstore keeps campaigns in a database: a [Store] is a campaign.Store on
// SQLite, for the processes of one machine, or on PostgreSQL, for those of many.
//
// Its tables may be in the same database as those of call/sqlstore. On SQLite a
// write that has returned survives the end of the process, however it ends; a loss
// of power may take the last ones, and then a contact may be called again, unless it
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
	db, err := sqldb.Open(ctx, address, sqldb.Schema{Files: migrations, Version: "campaign_schema"})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	return &Store{db}, nil
}
