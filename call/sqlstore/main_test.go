package sqlstore

import (
	"os"
	"testing"

	"github.com/switchboard-voice/switchboard/internal/pgtest"
)

// TestMain runs the tests, or the process that TestStoreSurvivesKill kills.
func TestMain(m *testing.M) {
	if address := os.Getenv(victimEnv); address != "" {
		victim(address) // comes back only if it fails
		os.Exit(1)
	}
	pgtest.Main(m)
}
