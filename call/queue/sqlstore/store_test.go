package sqlstore

import (
	"path/filepath"
	"testing"

	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/call/queue/queuetest"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

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
	queuetest.TestStore(t, func(t *testing.T) queue.Store {
		return mustOpen(t, "sqlite:"+filepath.Join(t.TempDir(), "switchboard.db"))
	})
}

func TestStoreInMemory(t *testing.T) {
	queuetest.TestStore(t, func(t *testing.T) queue.Store { return mustOpen(t, "sqlite::memory:") })
}

func TestStoreInPostgreSQL(t *testing.T) {
	server := pgtest.Start(t)
	queuetest.TestStore(t, func(t *testing.T) queue.Store { return mustOpen(t, server.Schema(t)) })
}
