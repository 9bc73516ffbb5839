package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const (
	// sqliteReaders is how many goroutines read at once. More than a few gain
	// nothing on one file.
	sqliteReaders = 4

	sqliteMemory = ":memory:"
)

// Open opens the database at address and brings its schema up to date.
//
// "sqlite:" and a path is a file, which is made if it is not there: readable by
// its owner only, and so are directories that are missing. "sqlite::memory:" is
// a database that ends with the Store. The path is taken as it is, with nothing
// escaped in it and no parameters after it.
//
// A database that a later version of this package has written is refused. Close
// the Store when no method runs any more.
func Open(ctx context.Context, address string) (*Store, error) {
	scheme, path, _ := strings.Cut(address, ":")
	if scheme != "sqlite" {
		// Not the address itself: it may hold a password.
		return nil, errors.New(`sqlstore: open: the address does not begin with "sqlite:"`)
	}
	s, err := openSQLite(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	return s, nil
}

func openSQLite(ctx context.Context, path string) (*Store, error) {
	switch {
	case path == "":
		return nil, errors.New(`no path after "sqlite:"`)
	case strings.HasPrefix(path, "//"):
		return nil, errors.New(`two slashes after "sqlite:": write sqlite:dir/file or sqlite:/dir/file`)
	case path == sqliteMemory:
		// Each connection would be a database of its own.
		return openPools(ctx, sqliteMemory, 1)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	return openPools(ctx, file.String(), sqliteReaders)
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

// openPools opens one connection that writes, because SQLite has one writer at a
// time and waits best in database/sql's queue, and others that read beside it.
func openPools(ctx context.Context, name string, readers int) (*Store, error) {
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
	s := &Store{dialect: sqliteDialect, write: write, read: write}
	if err := s.dialect.migrate(ctx, write); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	if readers > 1 {
		pragmas.Add("_pragma", "query_only(ON)")
		s.read, err = sql.Open("sqlite", name+"?"+pragmas.Encode())
		if err != nil {
			return nil, errors.Join(err, write.Close())
		}
		s.read.SetMaxOpenConns(readers)
		s.read.SetMaxIdleConns(readers)
	}
	return s, nil
}
