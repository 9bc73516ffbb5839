//go:build unix

// Package pgtest starts a PostgreSQL server for tests: of the system's own
// binaries, version 15 or later, on a Unix socket in a directory of its own. Each
// test process has one, from the first test that asks for it until Main returns.
//
// The server does not wait for the disk. It ends with the process that started
// it, however that ends.
package pgtest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package, looks for goroutines that they have left, and
// stops the server. It does not return.
func Main(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if started.server != nil {
			if err := started.server.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = max(code, 1)
			}
		}
		os.Exit(code)
	}))
}

// started is the server of this process, if there is one.
var started struct {
	sync.Once
	server *Server
	err    error
}

// Start returns the server of this process. If there is none and none can be
// started, the test fails and says what to install: a test that is left out
// would look like one that has passed.
func Start(t testing.TB) *Server {
	t.Helper()
	started.Do(func() { started.server, started.err = start() })
	if started.err != nil {
		t.Fatal(started.err)
	}
	return started.server
}
