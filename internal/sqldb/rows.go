package sqldb

import (
	"context"
	"database/sql"
)

// A Querier is a database, or a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Rows returns what scan makes of each row of a query.
func Rows[T any](ctx context.Context, q Querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// Find is Rows of a query that only reads. It is tried again while the database is
// away; what no row can hold is in none.
func Find[T any](ctx context.Context, db *DB, scan func(*sql.Rows) (T, error), query string, args ...any) (all []T, err error) {
	err = db.Retry(ctx, func(bool) error {
		all, err = Rows(ctx, db.Read, scan, query, args...)
		return err
	})
	if err != nil && db.Foreign(err) {
		return nil, nil
	}
	return all, err
}

// Column returns a scan of rows of one column, of which decode must keep nothing.
func Column[T any](decode func([]byte) (T, error)) func(*sql.Rows) (T, error) {
	return func(rows *sql.Rows) (v T, err error) {
		var text sql.RawBytes
		if err := rows.Scan(&text); err != nil {
			return v, err
		}
		return decode(text)
	}
}

// Affected reports whether a statement changed a row.
func Affected(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}
