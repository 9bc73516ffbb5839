package campaign

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
)

// page is how many contacts are read from the store at once.
const page = 500

// Contacts returns the contacts of a campaign with a Seq above after, in order, and
// what became of them: as they are when they are read, a page at a time.
func (r *Runner) Contacts(ctx context.Context, id string, after int64) iter.Seq2[*Contact, error] {
	return func(yield func(*Contact, error) bool) {
		for {
			list, err := r.store.Contacts(ctx, id, after, page)
			if err != nil {
				yield(nil, fmt.Errorf("campaign: contacts: %w", err))
				return
			}
			for _, c := range list {
				if !yield(c, nil) {
					return
				}
				after = c.Seq
			}
			if len(list) < page {
				return
			}
		}
	}
}

// WriteJSON writes contacts as lines of JSON, with all their attempts.
func WriteJSON(w io.Writer, contacts iter.Seq2[*Contact, error]) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for c, err := range contacts {
		if err != nil {
			return err
		}
		if err := encoder.Encode(c); err != nil {
			return err
		}
	}
	return nil
}

// csvHeader is the first line that WriteCSV writes.
var csvHeader = []string{"seq", "number", "state", "outcome", "attempts", "last_at", "last_call_id", "last_cause", "talk_seconds", "due", "detail", "data"}

// WriteCSV writes contacts as CSV (RFC 4180) with a header: a line for each contact,
// with its last attempt, and its data as JSON. Times are UTC. No field begins with
// what a spreadsheet takes for a formula, but for the plus sign of numbers.
func WriteCSV(w io.Writer, contacts iter.Seq2[*Contact, error]) error {
	out := csv.NewWriter(w)
	_ = out.Write(csvHeader) // Error tells
	for c, err := range contacts {
		if err != nil {
			out.Flush()
			return err
		}
		record, err := c.record()
		if err != nil {
			return err
		}
		if out.Write(record) != nil {
			break
		}
	}
	out.Flush()
	return out.Error()
}

func (c *Contact) record() ([]string, error) {
	data := "{}"
	if len(c.Data) > 0 {
		b, err := json.Marshal(c.Data)
		if err != nil {
			return nil, err
		}
		data = string(b)
	}
	var last Attempt
	if n := len(c.Attempts); n > 0 {
		last = c.Attempts[n-1]
	}
	return []string{
		strconv.FormatInt(c.Seq, 10), string(c.Number), string(c.State), string(c.Outcome), strconv.Itoa(len(c.Attempts)),
		stamp(last.At), last.CallID, last.Cause, strconv.FormatFloat(last.Talk.Seconds(), 'f', 1, 64), stamp(c.Due), c.Detail, data,
	}, nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
