//go:build unix

// Package pgtest starts a PostgreSQL server for tests: of the system's own
// binaries, version 15 or later, on a Unix socket in a directory of its own. Each
// test process has one, from the first test that asks for it until Main returns.
//
// The server does not wait for the disk. It ends with the process that started
// it, however that ends.
package pgtest

import (
	"testing"

	"github.com/switchboard-voice/switchboard/internal/servertest"
)

var one = servertest.One[*Server]{New: start}

// Main runs the tests of a package and stops the server. It does not return.
func Main(m *testing.M) { one.Main(m) }

// Start returns the server of this process. If none can be started, the test
// fails.
func Start(t testing.TB) *Server {
	t.Helper()
	return one.Start(t)
}
