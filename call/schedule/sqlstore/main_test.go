package sqlstore

import (
	"os"
	"testing"

	"github.com/switchboard-voice/switchboard/internal/pgtest"
)

// TestMain runs the tests, or the process that TestKilledSchedulerDialsOnce
// kills.
func TestMain(m *testing.M) {
	if dials := os.Getenv(victimEnv); dials != "" {
		if err := victim(dials, os.Getenv(databaseEnv)); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	pgtest.Main(m)
}
