package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/internal/sqldb"
)

// rowsAtOnce is how many contacts one statement adds, and groupsAtOnce in how many
// zones one looks: databases bound the values and the parts of a statement.
const (
	rowsAtOnce   = 500
	groupsAtOnce = 100
)

// Add implements campaign.Store.
func (s *Store) Add(ctx context.Context, id string, contacts []campaign.Contact) (added int, err error) {
	err = s.change(ctx, id, func(tx *sql.Tx, now row) error {
		switch {
		case now.state.Over():
			return campaign.ErrOver
		case now.seq+int64(len(contacts)) > campaign.MaxContacts:
			return campaign.ErrFull
		}
		seq := now.seq
		added = 0
		for part := range slices.Chunk(contacts, rowsAtOnce) {
			n, err := insert(ctx, tx, id, seq, part)
			if err != nil {
				return err
			}
			added += int(n)
			seq += int64(len(part))
		}
		_, err := tx.ExecContext(ctx, `UPDATE campaigns SET version = version + 1, seq = $2 WHERE id = $1`, id, seq)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sqlstore: add: %w", err)
	}
	return added, nil
}

// insert adds contacts after seq, but for those that are there.
func insert(ctx context.Context, tx *sql.Tx, id string, seq int64, contacts []campaign.Contact) (int64, error) {
	var query strings.Builder
	query.WriteString(`INSERT INTO campaign_contacts
		(campaign_id, seq, version, number, zones, state, outcome, due, claims, owner, until, record) VALUES `)
	args := []any{id}
	for i := range contacts {
		c := contacts[i].UTC()
		c.Seq, c.Version = seq+int64(i)+1, 1
		record, err := json.Marshal(c)
		if err != nil {
			return 0, err
		}
		if i > 0 {
			query.WriteString(", ")
		}
		n := len(args)
		fmt.Fprintf(&query, "($1, $%d, 1, $%d, $%d, $%d, $%d, $%d, 0, '', 0, $%d)", n+1, n+2, n+3, n+4, n+5, n+6, n+7)
		args = append(args, c.Seq, string(c.Number), c.Zones, string(c.State), string(c.Outcome), nanos(c.Due), string(record))
	}
	query.WriteString(` ON CONFLICT DO NOTHING`)
	r, err := tx.ExecContext(ctx, query.String(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Claim implements campaign.Store.
func (s *Store) Claim(ctx context.Context, id string, want campaign.Claim) (got campaign.Claimed, err error) {
	err = s.change(ctx, id, func(tx *sql.Tx, now row) error {
		got = campaign.Claimed{First: want.Now}
		if now.state != campaign.Running {
			return nil
		}
		c := claim{tx: tx, id: id, want: want}
		var live int
		if err := tx.QueryRowContext(ctx,
			`SELECT count(*) FROM campaign_contacts WHERE campaign_id = $1 AND state = $2 AND until >= $3`,
			id, string(campaign.Live), nanos(want.Now)).Scan(&live); err != nil {
			return err
		}
		first, n := want.Room(timeOf(now.free), live)
		got.First = first
		if n == 0 {
			return nil
		}
		places, err := c.choose(ctx, n)
		if err != nil {
			return err
		}
		for _, p := range places {
			k, err := c.take(ctx, p)
			if err != nil {
				return err
			}
			got.Contacts = append(got.Contacts, k)
		}
		if len(places) == 0 {
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE campaigns SET free = $2 WHERE id = $1`,
			id, nanos(first.Add(time.Duration(len(places))*want.Gap)))
		return err
	})
	if errors.Is(err, campaign.ErrNotFound) {
		return campaign.Claimed{First: want.Now}, nil
	}
	if err != nil {
		return campaign.Claimed{}, fmt.Errorf("sqlstore: claim: %w", err)
	}
	return got, nil
}

// claim is a claim that is being made.
type claim struct {
	tx   *sql.Tx
	id   string
	want campaign.Claim
}

// place is where a contact stands in the queue.
type place struct {
	due, seq int64
}

func byDue(a, b place) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq)) }

func scanPlace(rows *sql.Rows) (p place, err error) {
	err = rows.Scan(&p.due, &p.seq)
	return p, err
}

// choose returns the places of the first n contacts to be claimed.
func (c *claim) choose(ctx context.Context, n int) ([]place, error) {
	chosen, err := sqldb.Rows(ctx, c.tx, scanPlace,
		`SELECT due, seq FROM campaign_contacts WHERE campaign_id = $1 AND state = $2 AND until < $3 ORDER BY seq LIMIT $4`,
		c.id, string(campaign.Live), nanos(c.want.Now), n)
	if err != nil {
		return nil, err
	}
	for _, due := range []span{{1, nanos(c.want.Now)}, {0, 0}} {
		if n == len(chosen) {
			break
		}
		var waiting []place
		for zones := range slices.Chunk(c.want.Zones, groupsAtOnce) {
			part, err := c.waiting(ctx, due, zones, n-len(chosen))
			if err != nil {
				return nil, err
			}
			waiting = append(waiting, part...)
		}
		slices.SortFunc(waiting, byDue)
		chosen = append(chosen, waiting[:min(len(waiting), n-len(chosen))]...)
	}
	return chosen, nil
}

// span is from when to when contacts are due, inclusive.
type span struct{ from, to int64 }

// waiting returns the first n in each of the zones: one by one they can be read in
// the order of the index.
func (c *claim) waiting(ctx context.Context, due span, zones []string, n int) ([]place, error) {
	args := []any{c.id, string(campaign.Waiting), due.from, due.to, n}
	parts := make([]string, len(zones))
	for i, z := range zones {
		args = append(args, z)
		parts[i] = fmt.Sprintf(`SELECT due, seq FROM (SELECT due, seq FROM campaign_contacts
			WHERE campaign_id = $1 AND state = $2 AND zones = $%d AND due BETWEEN $3 AND $4 ORDER BY due, seq LIMIT $5) AS part%d`, len(args), i)
	}
	return sqldb.Rows(ctx, c.tx, scanPlace, strings.Join(parts, ` UNION ALL `), args...)
}

// take claims one contact.
func (c *claim) take(ctx context.Context, p place) (*campaign.Contact, error) {
	list, err := sqldb.Rows(ctx, c.tx, scanContact,
		`UPDATE campaign_contacts SET version = version + 1, state = $3, owner = $4, until = $5,
			claims = claims + CASE WHEN state = $3 THEN 1 ELSE 0 END
		WHERE campaign_id = $1 AND seq = $2 RETURNING `+contactColumns,
		c.id, p.seq, string(campaign.Live), c.want.Owner, nanos(c.want.Until))
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Renew implements campaign.Store.
func (s *Store) Renew(ctx context.Context, id, owner string, until time.Time) error {
	err := s.change(ctx, id, func(tx *sql.Tx, _ row) error {
		_, err := tx.ExecContext(ctx,
			`UPDATE campaign_contacts SET until = $4 WHERE campaign_id = $1 AND state = $2 AND owner = $3`,
			id, string(campaign.Live), owner, nanos(until))
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlstore: renew: %w", err)
	}
	return nil
}

// Settle implements campaign.Store. A write whose reply was lost may be reported as
// a conflict.
func (s *Store) Settle(ctx context.Context, id string, k *campaign.Contact, made *campaign.Attempt) (now *campaign.Campaign, err error) {
	own := k.UTC()
	record, err := json.Marshal(own)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: settle: %w", err)
	}
	err = s.change(ctx, id, func(tx *sql.Tx, r row) error {
		settled, err := sqldb.Affected(tx.ExecContext(ctx,
			`UPDATE campaign_contacts SET version = $3, zones = $4, state = $5, outcome = $6, due = $7, claims = $8, owner = '', until = 0, record = $9
			WHERE campaign_id = $1 AND seq = $2 AND version = $3 - 1 AND state = $10`,
			id, own.Seq, own.Version, own.Zones, string(own.State), string(own.Outcome), nanos(own.Due), own.Claims, string(record), string(campaign.Live)))
		switch {
		case err != nil:
			return err
		case !settled:
			return refusal(ctx, tx, id, own)
		}
		if now, err = decodeCampaign(r.record, r.tally, r.version); err != nil || made == nil {
			return err
		}
		now.Tally.Count(&now.Spec, made)
		tally, err := json.Marshal(&now.Tally)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE campaigns SET tally = $2 WHERE id = $1`, id, string(tally))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: settle: %w", err)
	}
	return now, nil
}

// refusal says why there is no claim that k may settle.
func refusal(ctx context.Context, tx *sql.Tx, id string, k *campaign.Contact) error {
	var version int64
	err := tx.QueryRowContext(ctx, `SELECT version FROM campaign_contacts WHERE campaign_id = $1 AND seq = $2`, id, k.Seq).Scan(&version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return campaign.ErrNotFound
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: version %d does not follow %d", campaign.ErrConflict, k.Version, version)
}

// Contacts implements campaign.Store.
func (s *Store) Contacts(ctx context.Context, id string, after int64, limit int) ([]*campaign.Contact, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, err
	}
	list, err := sqldb.Find(ctx, s.db, scanContact,
		`SELECT `+contactColumns+` FROM campaign_contacts WHERE campaign_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: contacts: %w", err)
	}
	return list, nil
}

// Counts implements campaign.Store.
func (s *Store) Counts(ctx context.Context, id string) ([]campaign.Count, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, err
	}
	counts, err := sqldb.Find(ctx, s.db, func(rows *sql.Rows) (n campaign.Count, err error) {
		var due int64
		err = rows.Scan(&n.Zones, &n.State, &n.Outcome, &n.N, &due)
		n.Due = timeOf(due)
		return n, err
	}, `SELECT zones, state, outcome, count(*), max(due) FROM campaign_contacts WHERE campaign_id = $1 GROUP BY zones, state, outcome`, id)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: counts: %w", err)
	}
	return counts, nil
}

const contactColumns = `record, version, state, claims`

func scanContact(rows *sql.Rows) (*campaign.Contact, error) {
	var (
		record []byte
		c      campaign.Contact
		now    struct {
			version int64
			state   campaign.ContactState
			claims  int
		}
	)
	if err := rows.Scan(&record, &now.version, &now.state, &now.claims); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(record, &c); err != nil {
		return nil, fmt.Errorf("contact: %w", err)
	}
	c.Version, c.State, c.Claims = now.version, now.state, now.claims
	return &c, nil
}
