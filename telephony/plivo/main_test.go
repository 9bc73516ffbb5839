package plivo

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testAccount = "MAXXXXXXXXXXXXXXXXXX" // as the captured messages have it
	testToken   = "Y2Q2ZDgxZmY5YWRiOTI5YmQ1Njg0MTAxZWIyOTc4"
	testCall    = "4e2f1a3c-1b2d-4c5e-8f90-123456789abc"
	testRequest = "7a1d2c3e-4f50-4a6b-8c7d-0123456789ab"
	testStream  = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
)

func testProvider() *Provider { return &Provider{AuthID: testAccount, AuthToken: testToken} }

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
