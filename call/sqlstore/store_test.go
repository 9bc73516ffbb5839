package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
)

func TestStoreInFile(t *testing.T) {
	calltest.TestStore(t, func(t *testing.T) call.Store {
		return mustOpen(t, "sqlite:"+filepath.Join(t.TempDir(), "calls.db"))
	})
}

func TestStoreOnPostgreSQL(t *testing.T) {
	for _, tt := range []struct{ name, parameter string }{
		{"as it is", ""},
		{"in serializable transactions", "&default_transaction_isolation=serializable"},
		{"behind a pooler of transactions", "&default_query_exec_mode=exec"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calltest.TestStore(t, func(t *testing.T) call.Store {
				return mustOpen(t, databases["PostgreSQL"](t)+tt.parameter)
			})
		})
	}
}

// databases make an empty database and return its address.
var databases = map[string]func(testing.TB) string{
	"SQLite":     func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "calls.db") },
	"PostgreSQL": func(t testing.TB) string { return pgtest.Start(t).Schema(t) },
}

// onEach runs a test on each database.
func onEach(t *testing.T, test func(t *testing.T, address string)) {
	for name, address := range databases {
		t.Run(name, func(t *testing.T) { test(t, address(t)) })
	}
}

func TestStoreInMemory(t *testing.T) {
	calltest.TestStore(t, func(t *testing.T) call.Store { return mustOpen(t, "sqlite::memory:") })
}

func TestStoreRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := mustOpen(t, address)
		first := sample("first")
		if err := put(s, first); err != nil {
			t.Fatal(err)
		}
		tests := []struct {
			name   string
			change func(*call.Call, *call.Event)
		}{
			{"a quality that is no number", func(c *call.Call, _ *call.Event) { c.Metrics.AudioQuality = math.NaN() }},
			{"a state that has no name", func(c *call.Call, _ *call.Event) { c.State = 99 }},
			{"a call that was never made", func(c *call.Call, _ *call.Event) { c.CreatedAt = time.Time{} }},
			{"a call of the far future", func(c *call.Call, _ *call.Event) { c.CreatedAt = time.Date(2263, 1, 1, 0, 0, 0, 0, time.UTC) }},
			{"an answer that has no year", func(c *call.Call, _ *call.Event) { c.AnsweredAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
			{"an event in a state that has no name", func(_ *call.Call, e *call.Event) { e.State = 99 }},
			{"a confidence without an end", func(_ *call.Call, e *call.Event) {
				e.Segment = &transcript.Segment{Confidence: math.Inf(1)}
			}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				c := sample("refused")
				e := call.Event{Seq: 1, At: c.CreatedAt}
				tt.change(c, &e)
				if _, err := s.Create(t.Context(), c, []call.Event{e}); err == nil || !strings.HasPrefix(err.Error(), "sqlstore: create: ") {
					t.Errorf("Create returned %v", err)
				}
				if _, err := s.Get(t.Context(), c.ID); !errors.Is(err, call.ErrNotFound) {
					t.Errorf("after the refused Create: %v", err)
				}
				c = first.Clone()
				c.Version++
				e = call.Event{Seq: 2, At: c.CreatedAt}
				tt.change(c, &e)
				if err := s.Update(t.Context(), c, []call.Event{e}); err == nil || !strings.HasPrefix(err.Error(), "sqlstore: update: ") {
					t.Errorf("Update returned %v", err)
				}
				got, err := s.Get(t.Context(), first.ID)
				if err != nil || got.Version != 1 {
					t.Errorf("after the refused Update: %v, %v", got, err)
				}
			})
		}
	})
}

func TestStoreKeepsWhatWasWritten(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := mustOpen(t, address)
		if err := put(s, sample("one")); err != nil {
			t.Fatal(err)
		}
		for range 2 { // and a second Close does nothing
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Get(t.Context(), "one"); err == nil || errors.Is(err, call.ErrNotFound) {
			t.Errorf("Get after Close returned %v", err)
		}
		if err := put(s, sample("two")); err == nil {
			t.Error("Create after Close returned no error")
		}
		s = mustOpen(t, address)
		if c, err := s.Get(t.Context(), "one"); err != nil || c.ID != "one" {
			t.Errorf("after opening again: %v, %v", c, err)
		}
	})
}

func TestStoreReportsBrokenRecord(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := mustOpen(t, address)
		if err := put(s, sample("one")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.db.Write.ExecContext(t.Context(), `UPDATE calls SET record = '{"state":"asleep"}'; UPDATE events SET event = '{'`); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), "one"); err == nil || !strings.HasPrefix(err.Error(), "sqlstore: get: record: ") {
			t.Errorf("Get returned %v", err)
		}
		if _, err := s.List(t.Context(), call.Filter{}); err == nil || !strings.HasPrefix(err.Error(), "sqlstore: list: record: ") {
			t.Errorf("List returned %v", err)
		}
		if _, err := s.Events(t.Context(), "one", 0); err == nil || !strings.HasPrefix(err.Error(), "sqlstore: events: event: ") {
			t.Errorf("Events returned %v", err)
		}
	})
}

// Two stores on one database are what two processes are.
func TestStoreShared(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		stores := []*Store{mustOpen(t, address), mustOpen(t, address)}
		const writes = 100
		results := make([]error, len(stores))
		var writers sync.WaitGroup
		for i, s := range stores {
			writers.Go(func() {
				for n := range writes {
					id := fmt.Sprintf("call-%d", n)
					c := sample(id)
					c.IdempotencyKey = id
					existing, err := s.Create(context.Background(), c, nil)
					if err != nil {
						results[i] = err
						return
					}
					if existing != nil {
						c = existing
					}
					for { // both count up, none is lost
						c.Version++
						err := s.Update(context.Background(), c, []call.Event{{Seq: c.Version, At: c.CreatedAt}})
						if err == nil {
							break
						}
						if !errors.Is(err, call.ErrConflict) {
							results[i] = err
							return
						}
						if c, err = s.Get(context.Background(), id); err != nil {
							results[i] = err
							return
						}
					}
				}
			})
		}
		writers.Wait()
		if err := errors.Join(results...); err != nil {
			t.Fatal(err)
		}
		list, err := stores[0].List(t.Context(), call.Filter{Limit: 1000})
		if err != nil || len(list) != writes {
			t.Fatalf("List returned %d calls, %v", len(list), err)
		}
		for _, c := range list {
			if c.Version != 3 {
				t.Errorf("%s has version %d, not that of one create and two updates", c.ID, c.Version)
			}
		}
	})
}

func TestStoreOverwritesWhatIsDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	s := mustOpen(t, "sqlite:"+path)
	secret := "the words that nobody may read again"
	for i := range 20 {
		c := sample(fmt.Sprintf("call-%d", i))
		c.Transcript = []transcript.Segment{{Text: secret}}
		c.Life = bytes.Repeat([]byte{1}, 5000) // more than a page
		if err := put(s, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Contains(b, []byte(secret)) {
		t.Fatalf("the test does not find what it looks for: %v", err)
	}
	s = mustOpen(t, "sqlite:"+path)
	for i := range 20 {
		if err := s.Delete(t.Context(), fmt.Sprintf("call-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s still has it", filepath.Base(file))
		}
	}
}

func TestListReadsIndexOnly(t *testing.T) {
	s := mustOpen(t, "sqlite::memory:")
	tenant, inbound := "t", telephony.Inbound
	live := []call.State{call.Initiated, call.Connecting, call.Connected, call.Active, call.Ending}
	before := &call.Position{CreatedAt: time.Unix(1e9, 0), ID: "x"}
	for _, tt := range []struct {
		name  string
		f     call.Filter
		index string
		sorts bool
	}{
		{"everything", call.Filter{}, "calls_in_order", false},
		{"the next page", call.Filter{Before: before}, "calls_in_order", false},
		{"a day", call.Filter{Since: time.Unix(1e9, 0), Until: time.Unix(1e9+86400, 0)}, "calls_in_order", false},
		{"a tenant", call.Filter{Tenant: &tenant}, "calls_of_tenant", false},
		{"a tenant's next page", call.Filter{Tenant: &tenant, Before: before}, "calls_of_tenant", false},
		{"a tenant's inbound calls", call.Filter{Tenant: &tenant, Direction: &inbound}, "calls_of_tenant", false},
		{"one state", call.Filter{States: live[:1]}, "calls_in_state", false},
		{"what is live", call.Filter{States: live}, "calls_in_state", true}, // few
	} {
		t.Run(tt.name, func(t *testing.T) {
			query, args := listQuery(tt.f)
			rows, err := s.db.Read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := rows.Close(); err != nil {
					t.Error(err)
				}
			}()
			var plan []string
			for rows.Next() {
				var id, parent, unused int
				var step string
				if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
					t.Fatal(err)
				}
				plan = append(plan, step)
			}
			all := strings.Join(plan, "; ")
			if !strings.Contains(all, "USING INDEX "+tt.index) || strings.Contains(all, "TEMP B-TREE") != tt.sorts {
				t.Errorf("not by %s: %s", tt.index, all)
			}
		})
	}
}

// sample returns a call as long as most are.
func sample(id string) *call.Call {
	c := &call.Call{
		ID: id, Version: 1, Tenant: "tenant", AgentID: "reception",
		Provider: "sim", ProviderCallID: "CA-" + id,
		From: "+12025550100", To: "+12025550101",
		State: call.Active, CreatedAt: time.Unix(1_750_000_000, 123_456_789),
		Context:  map[string]string{"name": "Zoë", "order": "4711"},
		Metadata: map[string]string{"campaign": "spring"},
		Life:     bytes.Repeat([]byte("life"), 30),
	}
	for i := range 10 {
		c.Transcript = append(c.Transcript, transcript.Segment{
			Speaker: transcript.Agent, Text: "How may I help you today, and whom shall I connect you with?",
			At: time.Duration(i) * time.Second, End: time.Duration(i+1) * time.Second, Confidence: 1, Final: true,
		})
	}
	return c
}

func mustOpen(t testing.TB, address string) *Store {
	t.Helper()
	s, err := Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
