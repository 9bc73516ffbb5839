package sqlstore

import (
	"errors"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// dialect is what differs between databases. Queries do not: they keep to what
// SQLite and PostgreSQL share, with $1 for arguments, upserts by ON CONFLICT and
// times as integers.
type dialect struct {
	// migrations is the directory of the schema in migrations.
	migrations string
	// taken reports whether a write failed because something unique is another
	// row's.
	taken func(error) bool
}

var sqliteDialect = dialect{
	migrations: "migrations/sqlite",
	taken: func(err error) bool {
		var e *sqlite.Error
		return errors.As(err, &e) &&
			(e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY)
	},
}
