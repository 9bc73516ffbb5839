package sqlstore

import (
	"context"
	"embed"
	"fmt"

	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Open opens the database at address and brings its schema up to date; several
// processes may do so at once. A database that a later version of this package
// has written is refused. Close the Store when no method runs any more.
//
// "sqlite:" and a path is a file, which is made if it is not there: readable by
// its owner only, and so are directories that are missing. "sqlite::memory:" is
// a database that ends with the Store. The path is taken as it is, with nothing
// escaped in it and no parameters after it.
//
// A URL of PostgreSQL, such as "postgres://user:password@host/database", is a
// database there, version 13 or later, in UTF-8. What the URL leaves out comes
// from the environment (PGPASSWORD and so on, as PostgreSQL documents for libpq),
// with these differences: a server on another machine has to prove who it is by
// a certificate (sslmode=verify-full) unless a mode is given; connecting takes 5
// seconds at most (connect_timeout); and a Store keeps at most 16 connections
// (pool_max_conns). Behind a pooler of transactions, such as PgBouncer, add
// default_query_exec_mode=exec. The user must be allowed to create tables in the
// first schema of its search path, at least the first time.
func Open(ctx context.Context, address string) (*Store, error) {
	db, err := sqldb.Open(ctx, address, sqldb.Schema{Files: migrations, Version: "schema_version"})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	s := &Store{db: db, write: writeInTransaction, watch: watchSQLite}
	if db.Postgres() {
		s.write, s.watch = writeAtOnce, watchPostgres
	}
	return s, nil
}
