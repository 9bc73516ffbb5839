package sqlstore

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchboard-voice/switchboard/call/schedule"
	"github.com/switchboard-voice/switchboard/call/schedule/scheduletest"
	calls "github.com/switchboard-voice/switchboard/call/sqlstore"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
)

func mustOpen(t testing.TB, address string) *Store {
	t.Helper()
	s, err := Open(t.Context(), address)
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

func TestStoreInFile(t *testing.T) {
	scheduletest.TestStore(t, func(t *testing.T) schedule.Store {
		return mustOpen(t, "sqlite:"+filepath.Join(t.TempDir(), "data", "100%25 ö?.db"))
	})
}

func TestStoreInMemory(t *testing.T) {
	scheduletest.TestStore(t, func(t *testing.T) schedule.Store { return mustOpen(t, "sqlite::memory:") })
}

func TestStoreInPostgreSQL(t *testing.T) {
	server := pgtest.Start(t)
	scheduletest.TestStore(t, func(t *testing.T) schedule.Store { return mustOpen(t, server.Schema(t)) })
}

func TestStoreBesideTheCalls(t *testing.T) {
	address := "sqlite:" + filepath.Join(t.TempDir(), "switchboard.db")
	other, err := calls.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	scheduletest.TestStore(t, func(t *testing.T) schedule.Store {
		s := mustOpen(t, address)
		if _, err := s.db.Write.ExecContext(t.Context(), `DELETE FROM schedules`); err != nil {
			t.Fatal(err)
		}
		return s
	})
	again, err := calls.Open(t.Context(), address)
	if err != nil {
		t.Fatalf("the calls cannot be opened any more: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestStoreKeepsWhatWasWritten(t *testing.T) {
	address := "sqlite:" + filepath.Join(t.TempDir(), "s.db")
	s := mustOpen(t, address)
	if err := s.Create(t.Context(), scheduletest.Sample(t, "one")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "one"); err == nil || errors.Is(err, schedule.ErrNotFound) {
		t.Errorf("Get after Close: %v", err)
	}
	if got, err := mustOpen(t, address).Get(t.Context(), "one"); err != nil || got.ID != "one" {
		t.Errorf("after opening again: %+v, %v", got, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	newer := "sqlite:" + filepath.Join(dir, "newer.db")
	if _, err := mustOpen(t, newer).db.Write.ExecContext(t.Context(), `INSERT INTO schedule_schema VALUES (1000)`); err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{
		"nothing": "", "no path": "sqlite:", "a path alone": "s.db", "a host": "sqlite://s.db", "a directory": "sqlite:" + dir,
		"another database, without telling the password": "mysql://user:hunter2@localhost/s",
		"a newer schema": newer,
	} {
		if s, err := Open(t.Context(), address); err == nil || !strings.HasPrefix(err.Error(), "sqlstore: open: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func BenchmarkUpdateWithResult(b *testing.B) {
	s := mustOpen(b, "sqlite:"+filepath.Join(b.TempDir(), "s.db"))
	r := scheduletest.Sample(b, "one")
	if err := s.Create(b.Context(), r); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Version++
		if err := s.Update(b.Context(), r, r.Last); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDue(b *testing.B) {
	s := mustOpen(b, "sqlite:"+filepath.Join(b.TempDir(), "s.db"))
	for n := range 1000 {
		r := scheduletest.Sample(b, string(rune('a'+n%26))+strings.Repeat("x", n/26))
		if err := s.Create(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if list, err := s.Due(b.Context(), 32); err != nil || len(list) != 32 {
			b.Fatal(len(list), err)
		}
	}
}
