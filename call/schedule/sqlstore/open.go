// Package sqlstore keeps schedules in SQLite, for one machine: a [Store] is a
// schedule.Store.
//
// Its tables may be in the same file as those of call/sqlstore. A write that has
// returned survives the end of the process, however it ends; a loss of power may
// take the last ones, and then a call may be placed again, unless it is the same
// file that forgets both.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver
)

// migrations lead, in the order of their names, from an empty database to the
// present schema: the nth makes version n. A file that was released never
// changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

const inMemory = ":memory:"

// Open opens the database at address and brings its schema up to date.
//
// "sqlite:" and a path is a file, which is made if it is not there, readable by
// its owner only; "sqlite::memory:" is a database that ends with the Store. The
// path is taken as it is, with no parameters after it. A database that a later
// version of this package has written is refused. Close the Store when no method
// runs any more.
func Open(ctx context.Context, address string) (*Store, error) {
	path, ok := strings.CutPrefix(address, "sqlite:")
	if !ok || path == "" || strings.HasPrefix(path, "//") {
		// Not the address itself: it may hold a password.
		return nil, errors.New(`sqlstore: open: the address is not "sqlite:" and a path`)
	}
	s, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, path string) (*Store, error) {
	name := path
	if path != inMemory {
		var err error
		if name, err = prepareFile(path); err != nil {
			return nil, err
		}
	}
	pragmas := url.Values{
		"_pragma": {
			"busy_timeout(5000)", // other connections to the file
			"journal_mode(WAL)",
			"synchronous(NORMAL)",
			"foreign_keys(ON)",
			"secure_delete(ON)",
		},
		"_txlock": {"immediate"},
	}
	db, err := sql.Open("sqlite", name+"?"+pragmas.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // there is little to do, and one writer anyway
	if err := transact(ctx, db, func(tx *sql.Tx) error { return migrate(ctx, tx) }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db}, nil
}

// prepareFile makes path and its directory if they are not there, and returns the
// name by which SQLite takes it as it is.
func prepareFile(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	return file.String(), f.Close()
}

// migrate brings the schema up to date in one transaction, so that of several
// processes that open the same database the first one does it.
func migrate(ctx context.Context, tx *sql.Tx) error {
	files, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schedule_schema (version INTEGER NOT NULL)`); err != nil {
		return err
	}
	var version int
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM schedule_schema`).Scan(&version); err != nil {
		return err
	}
	if version > len(files) {
		return fmt.Errorf("schema version %d is newer than this program, which knows %d", version, len(files))
	}
	for i, file := range files[version:] {
		script, err := migrations.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(script)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO schedule_schema (version) VALUES ($1)`, version+i+1); err != nil {
			return err
		}
	}
	return nil
}
