package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
)

// Schema is what a store has in a database, beside others.
type Schema struct {
	// Files holds the directories "migrations/sqlite" and "migrations/postgres". The
	// files of one, in the order of their names, lead from an empty database to the
	// present schema: the nth makes version n. A file that was released never changes.
	Files fs.FS
	// Version is the name of the table in which the schema's version is kept.
	Version string
}

// migrate brings the schema up to date, all of it or nothing. It is one
// transaction that begins by locking others out, so that of several processes
// that open the same database the first migrates, and the others wait and find it
// done.
func (db *DB) migrate(ctx context.Context, schema Schema) error {
	return db.Retry(ctx, func(bool) error {
		return Transact(ctx, db.Write, func(tx *sql.Tx) error {
			if db.dialect.lock != "" {
				if _, err := tx.ExecContext(ctx, db.dialect.lock); err != nil {
					return err
				}
			}
			return schema.migrate(ctx, tx, db.dialect.name)
		})
	})
}

func (s Schema) migrate(ctx context.Context, tx *sql.Tx, dialect string) error {
	files, err := fs.Glob(s.Files, "migrations/"+dialect+"/*.sql") // sorted
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+s.Version+` (version INTEGER NOT NULL)`); err != nil {
		return err
	}
	var version int
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM `+s.Version).Scan(&version); err != nil {
		return err
	}
	if version > len(files) {
		return fmt.Errorf("schema version %d is newer than this program, which knows %d", version, len(files))
	}
	for i, file := range files[version:] {
		script, err := fs.ReadFile(s.Files, file)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(script)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO `+s.Version+` (version) VALUES ($1)`, version+i+1); err != nil {
			return err
		}
	}
	return nil
}

// Transact does everything in one transaction, or nothing.
func Transact(ctx context.Context, db *sql.DB, everything func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := everything(tx); err != nil {
		return err
	}
	return tx.Commit()
}
