// Package sqldb opens the databases that stores keep their records in: SQLite, for
// one machine and any number of processes on it, or PostgreSQL, for any number of
// machines. It brings their schemas up to date, and has them tried again while
// they are away.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// DB is a database. Its methods may be used by many goroutines at once.
type DB struct {
	// Write is for what writes. Read is for what only reads, and may be the same;
	// on SQLite, reads beside a write do not wait for it.
	Write, Read *sql.DB
	// Patience is how long Retry tries while the database is away, unless its
	// context ends before.
	Patience time.Duration

	dialect  dialect
	postgres *pgx.ConnConfig // nil on SQLite
}

// Open opens the database at address and brings the schema up to date; several
// processes may do so at once. A database whose schema is of a later version is
// refused. Errors do not repeat the address, which may hold a password.
//
// "sqlite:" and a path is a file, which is made if it is not there: readable by
// its owner only, and so are directories that are missing. "sqlite::memory:" is
// a database that ends with the DB. The path is taken as it is, with nothing
// escaped in it and no parameters after it.
//
// A URL of PostgreSQL, such as "postgres://user:password@host/database", is a
// database there, version 13 or later, in UTF-8. What the URL leaves out comes
// from the environment (PGPASSWORD and so on, as PostgreSQL documents for libpq),
// with these differences: a server on another machine has to prove who it is by
// a certificate (sslmode=verify-full) unless a mode is given; connecting takes 5
// seconds at most (connect_timeout); and a DB keeps at most 16 connections
// (pool_max_conns).
func Open(ctx context.Context, address string, schema Schema) (*DB, error) {
	scheme, path, _ := strings.Cut(address, ":")
	switch scheme {
	case "sqlite":
		return openSQLite(ctx, path, schema)
	case "postgres", "postgresql":
		return openPostgres(ctx, address, schema)
	}
	return nil, errors.New(`the address begins with neither "sqlite:" nor "postgres:"`)
}

// Close closes the database. After it, methods return errors. A second Close
// does nothing.
func (db *DB) Close() error {
	return errors.Join(db.Read.Close(), db.Write.Close()) // twice is no error
}

// Postgres reports whether the database is one of PostgreSQL, and not of SQLite.
func (db *DB) Postgres() bool { return db.dialect.name == postgresDialect.name }

// Now is an expression for the time of the database's own clock: microseconds since
// 1970.
func (db *DB) Now() string { return db.dialect.now }

// Taken reports whether a write failed because something unique is another row's.
func (db *DB) Taken(err error) bool { return db.dialect.taken(err) }

// Foreign reports whether a query failed because it names what no row can hold:
// PostgreSQL has no text that is not UTF-8 or has a zero byte.
func (db *DB) Foreign(err error) bool { return db.dialect.foreign(err) }

// The range of times that a column holds: nanoseconds since 1970 in 64 bits.
var (
	Earliest = time.Unix(0, math.MinInt64)
	Latest   = time.Unix(0, math.MaxInt64)
)

// Nanos returns t as a column holds it, or the nearest that one can hold.
func Nanos(t time.Time) int64 {
	switch {
	case t.Before(Earliest):
		return math.MinInt64
	case t.After(Latest):
		return math.MaxInt64
	}
	return t.UnixNano()
}
