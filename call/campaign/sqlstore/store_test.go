package sqlstore

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/call/campaign/campaigntest"
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

func file(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "campaigns.db") }

func TestStoreInFile(t *testing.T) {
	campaigntest.TestStore(t, func(t *testing.T) campaign.Store { return mustOpen(t, file(t)) })
}

func TestStoreInMemory(t *testing.T) {
	campaigntest.TestStore(t, func(t *testing.T) campaign.Store { return mustOpen(t, "sqlite::memory:") })
}

func TestStoreInPostgreSQL(t *testing.T) {
	server := pgtest.Start(t)
	campaigntest.TestStore(t, func(t *testing.T) campaign.Store { return mustOpen(t, server.Schema(t)) })
}

func TestOpenRefusesWhatIsNewerAndTellsNoPassword(t *testing.T) {
	address := file(t)
	if _, err := mustOpen(t, address).db.Write.ExecContext(t.Context(), `INSERT INTO campaign_schema VALUES (1000)`); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{address, "mysql://user:hunter2@localhost/c"} {
		if _, err := Open(t.Context(), bad); err == nil || !strings.HasPrefix(err.Error(), "sqlstore: open: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
