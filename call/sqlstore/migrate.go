package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

// migrations holds a directory for each dialect. The files of one, in the order
// of their names, lead from an empty database to the present schema: the nth
// makes version n. A file that was released never changes.
//
//go:embed migrations
var migrations embed.FS

// migrate brings the schema up to date, all of it or nothing. It is one
// transaction that begins by locking others out, so that of several processes
// that open the same database the first migrates, and the others wait and find it
// done.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Glob(migrations, s.dialect.migrations+"/*.sql") // sorted
	if err != nil {
		return err
	}
	return s.retry(ctx, func(bool) error {
		return transact(ctx, s.write, func(tx *sql.Tx) error {
			if s.dialect.lock != "" {
				if _, err := tx.ExecContext(ctx, s.dialect.lock); err != nil {
					return err
				}
			}
			return migrateFiles(ctx, tx, files)
		})
	})
}

func migrateFiles(ctx context.Context, tx *sql.Tx, files []string) error {
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)`); err != nil {
		return err
	}
	var version int
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM schema_version`).Scan(&version); err != nil {
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
		if _, err := tx.ExecContext(ctx, `INSERT INTO schema_version (version) VALUES ($1)`, version+i+1); err != nil {
			return err
		}
	}
	return nil
}

// transact does everything in one transaction, or nothing.
func transact(ctx context.Context, db *sql.DB, everything func(*sql.Tx) error) error {
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
