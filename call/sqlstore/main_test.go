package sqlstore

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or the process that TestStoreSurvivesKill kills.
func TestMain(m *testing.M) {
	if address := os.Getenv(victimEnv); address != "" {
		os.Exit(victim(address))
	}
	goleak.VerifyTestMain(m)
}
