package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

var sqliteDialect = dialect{
	name: "sqlite",
	now:  `CAST(unixepoch('subsec') * 1000000 AS INTEGER)`,
	taken: func(err error) bool {
		code := sqliteCode(err)
		return code == lib.SQLITE_CONSTRAINT_UNIQUE || code == lib.SQLITE_CONSTRAINT_PRIMARYKEY
	},
	foreign: func(error) bool { return false },
	outcome: func(err error) outcome {
		// SQLite has waited already, but not for those who open the same new file
		// and turn to write-ahead logging at the same time.
		if sqliteCode(err)&0xff == lib.SQLITE_BUSY {
			return undone
		}
		return failed
	},
}

func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return lib.SQLITE_OK
}

const (
	// sqliteReaders is how many goroutines read at once. More than a few gain
	// nothing on one file.
	sqliteReaders = 4

	sqliteMemory = ":memory:"
)

func openSQLite(ctx context.Context, path string, schema Schema) (*DB, error) {
	switch {
	case path == "":
		return nil, errors.New(`no path after "sqlite:"`)
	case strings.HasPrefix(path, "//"):
		return nil, errors.New(`two slashes after "sqlite:": write sqlite:dir/file or sqlite:/dir/file`)
	case path == sqliteMemory:
		// Each connection would be a database of its own.
		return openFile(ctx, sqliteMemory, 1, schema)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	return openFile(ctx, file.String(), sqliteReaders, schema)
}

// prepareFile makes path and its directory if they are not there. SQLite gives
// the files that it puts beside it the same permissions.
func prepareFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openFile opens one connection that writes, because SQLite has one writer at a
// time and waits best in database/sql's queue, and others that read beside it.
func openFile(ctx context.Context, name string, readers int, schema Schema) (*DB, error) {
	pragmas := url.Values{"_pragma": {
		"busy_timeout(5000)", // other processes; first, so that the next one waits too
		"journal_mode(WAL)",
		"synchronous(NORMAL)",
		"foreign_keys(ON)",
		"secure_delete(ON)",
	}}
	pragmas.Set("_txlock", "immediate")
	write, err := sql.Open("sqlite", name+"?"+pragmas.Encode())
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	db := &DB{Write: write, Read: write, Patience: retryFor, dialect: sqliteDialect}
	if err := db.migrate(ctx, schema); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	if readers > 1 {
		pragmas.Add("_pragma", "query_only(ON)")
		db.Read, err = sql.Open("sqlite", name+"?"+pragmas.Encode())
		if err != nil {
			return nil, errors.Join(err, write.Close())
		}
		db.Read.SetMaxOpenConns(readers)
		db.Read.SetMaxIdleConns(readers)
	}
	return db, nil
}
