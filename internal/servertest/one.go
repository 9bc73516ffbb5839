//go:build unix

// Package servertest runs servers of others for tests: each test process has one
// of a kind, from the first test that asks for it until Main returns. A server
// ends with the process that started it, however that ends.
package servertest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// One is the server of this process. It may be used by many tests at once.
type One[S interface{ Stop() error }] struct {
	New func() (S, error)

	once    sync.Once
	server  S
	err     error
	started bool
}

// Main runs the tests of a package, looks for goroutines that they have left, and
// stops the server. It does not return.
func (o *One[S]) Main(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if o.started {
			if err := o.server.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = max(code, 1)
			}
		}
		os.Exit(code)
	}))
}

// Start returns the server. If there is none and none can be started, the test
// fails and says what to install: a test that is left out would look like one
// that has passed.
func (o *One[S]) Start(t testing.TB) S {
	t.Helper()
	o.once.Do(func() {
		o.server, o.err = o.New()
		o.started = o.err == nil
	})
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.server
}
