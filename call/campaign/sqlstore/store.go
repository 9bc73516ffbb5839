package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

// Store is a campaign.Store in a database. It may be used by many goroutines, and
// the same database by several processes, at once: those who claim or settle
// contacts of one campaign wait for each other. Errors begin with "sqlstore: " and
// the method. When a write fails because its context has ended, or because the
// database stayed away, it may have happened.
type Store struct{ db *sqldb.DB }

var _ campaign.Store = (*Store)(nil)

// Close closes the database. A second Close does nothing.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("sqlstore: close: %w", err)
	}
	return nil
}

// Create implements campaign.Store.
func (s *Store) Create(ctx context.Context, c *campaign.Campaign) error {
	if c.Version != 1 {
		return fmt.Errorf("sqlstore: create: %w: a new record has version 1, not %d", campaign.ErrConflict, c.Version)
	}
	record, err := encode(c)
	if err != nil {
		return fmt.Errorf("sqlstore: create: %w", err)
	}
	err = s.db.Retry(ctx, func(again bool) error {
		created, err := sqldb.Affected(s.db.Write.ExecContext(ctx,
			`INSERT INTO campaigns (id, version, tenant, state, record, tally, free, seq) VALUES ($1, $2, $3, $4, $5, '{}', 0, 0)
			ON CONFLICT DO NOTHING`, c.ID, c.Version, c.Request.Tenant, string(c.State), record))
		if err != nil || created {
			return err
		}
		if again { // it may be what an earlier try has written
			var same bool
			err := s.db.Write.QueryRowContext(ctx, `SELECT record = $2 FROM campaigns WHERE id = $1`, c.ID, record).Scan(&same)
			if err != nil || same {
				return err
			}
		}
		return campaign.ErrExists
	})
	if err != nil {
		return fmt.Errorf("sqlstore: create: %w", err)
	}
	return nil
}

// Update implements campaign.Store. A write whose reply was lost may be reported as
// a conflict.
func (s *Store) Update(ctx context.Context, c *campaign.Campaign) error {
	record, err := encode(c)
	if err != nil {
		return fmt.Errorf("sqlstore: update: %w", err)
	}
	err = s.change(ctx, c.ID, func(tx *sql.Tx, now row) error {
		if c.Version != now.version+1 {
			return fmt.Errorf("%w: version %d does not follow %d", campaign.ErrConflict, c.Version, now.version)
		}
		_, err := tx.ExecContext(ctx, `UPDATE campaigns SET version = $2, state = $3, record = $4 WHERE id = $1`,
			c.ID, c.Version, string(c.State), record)
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: update: %w", err)
	}
	return nil
}

// Get implements campaign.Store.
func (s *Store) Get(ctx context.Context, id string) (*campaign.Campaign, error) {
	list, err := sqldb.Find(ctx, s.db, scanCampaign, `SELECT record, tally, version FROM campaigns WHERE id = $1`, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("sqlstore: get: %w", err)
	case len(list) == 0:
		return nil, fmt.Errorf("sqlstore: get: %w", campaign.ErrNotFound)
	}
	return list[0], nil
}

// List implements campaign.Store.
func (s *Store) List(ctx context.Context, f campaign.Filter) ([]*campaign.Campaign, error) {
	args := sqldb.Args{f.After, f.Max()}
	query := `SELECT record, tally, version FROM campaigns WHERE id > $1`
	if f.Tenant != nil {
		query += ` AND tenant = ` + args.Add(*f.Tenant)
	}
	if len(f.States) > 0 {
		query += ` AND state IN ` + sqldb.AddTexts(&args, f.States)
	}
	list, err := sqldb.Find(ctx, s.db, scanCampaign, query+` ORDER BY id LIMIT $2`, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: list: %w", err)
	}
	return list, nil
}

// Delete implements campaign.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	err := s.db.Retry(ctx, func(bool) error {
		// Contacts go with their campaign, by the foreign key.
		_, err := s.db.Write.ExecContext(ctx, `DELETE FROM campaigns WHERE id = $1`, id)
		return err
	})
	if err != nil && !s.db.Foreign(err) {
		return fmt.Errorf("sqlstore: delete: %w", err)
	}
	return nil
}

// row is what is looked at of a campaign before it is changed.
type row struct {
	version int64
	state   campaign.State
	free    int64
	seq     int64
	record  []byte
	tally   []byte
}

// change changes a campaign and its contacts in one transaction, in which nobody
// else does.
func (s *Store) change(ctx context.Context, id string, do func(*sql.Tx, row) error) error {
	query := `SELECT version, state, free, seq, record, tally FROM campaigns WHERE id = $1`
	if s.db.Postgres() {
		query += ` FOR UPDATE`
	}
	err := s.db.Retry(ctx, func(bool) error {
		return sqldb.Transact(ctx, s.db.Write, func(tx *sql.Tx) error {
			var r row
			switch err := tx.QueryRowContext(ctx, query, id).Scan(&r.version, &r.state, &r.free, &r.seq, &r.record, &r.tally); {
			case errors.Is(err, sql.ErrNoRows):
				return campaign.ErrNotFound
			case err != nil:
				return err
			}
			return do(tx, r)
		})
	})
	if err != nil && s.db.Foreign(err) {
		return campaign.ErrNotFound
	}
	return err
}

func encode(c *campaign.Campaign) (string, error) {
	own := *c
	own.CreatedAt = c.CreatedAt.Round(0).UTC()
	record, err := json.Marshal(&own)
	return string(record), err
}

func decodeCampaign(record, tally []byte, version int64) (*campaign.Campaign, error) {
	c := new(campaign.Campaign)
	if err := json.Unmarshal(record, c); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if err := json.Unmarshal(tally, &c.Tally); err != nil {
		return nil, fmt.Errorf("tally: %w", err)
	}
	c.Version = version // adding contacts changes it, and not the record
	return c, nil
}

func scanCampaign(rows *sql.Rows) (*campaign.Campaign, error) {
	var record, tally []byte
	var version int64
	if err := rows.Scan(&record, &tally, &version); err != nil {
		return nil, err
	}
	return decodeCampaign(record, tally, version)
}

// nanos is t as a column holds it: 0 for none.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return sqldb.Nanos(t)
}

// timeOf is what nanos has written.
func timeOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}
