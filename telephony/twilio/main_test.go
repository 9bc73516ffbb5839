package twilio

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testAccount   = "AC0123456789abcdef0123456789abcdef"
	testCall      = "CA0123456789abcdef0123456789abcdef"
	testStream    = "MZ0123456789abcdef0123456789abcdef"
	testRecording = "RE0123456789abcdef0123456789abcdef"
	testToken     = "12345"
)

// readFixture reads a file of captured messages.
func readFixture(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
