//go:build unix

// Package s3test starts an S3 server for tests: versitygw, over a directory of its
// own, on loopback. Each test process has one, from the first test that asks for
// it until Main returns.
//
// The server ends with the process that started it, however that ends.
package s3test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/switchboard-voice/switchboard/internal/servertest"
)

// The credentials that the server accepts, and where it says that it is.
const (
	AccessKeyID     = "switchboard"
	SecretAccessKey = "a-secret-for-tests"
	Region          = "us-east-1"
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

// Server is an S3 server.
type Server struct {
	program string
	addr    string
	process *servertest.Process // whose directory has the buckets

	made atomic.Int64 // buckets
}

func start() (*Server, error) {
	program, err := find()
	if err != nil {
		return nil, err
	}
	addr, err := servertest.FreeAddress()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "s3test")
	if err != nil {
		return nil, err
	}
	s := &Server{program: program, addr: addr, process: &servertest.Process{Dir: dir, Signal: "KILL"}}
	s.process.Ready = s.ask
	if err := errors.Join(os.Mkdir(s.buckets(), 0o700), os.Mkdir(s.facts(), 0o700)); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, s.run()
}

// find returns the path of the server, which make setup puts into the directory
// bin of the module, or which is in PATH.
func find() (string, error) {
	const name = "versitygw"
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if path, err := exec.LookPath(filepath.Join(dir, "bin", name)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("s3test: no S3 server here to test with: run make setup")
	}
	return path, nil
}

func (s *Server) buckets() string { return filepath.Join(s.process.Dir, "buckets") }

// facts is where the server keeps what it knows about objects: not every disk has
// extended attributes.
func (s *Server) facts() string { return filepath.Join(s.process.Dir, "facts") }

// run starts the server and waits until it can be used.
func (s *Server) run() error {
	err := s.process.Run(s.program, "--access", AccessKeyID, "--secret", SecretAccessKey, "--region", Region, "--port", s.addr,
		"--health", "/health", "--keep-alive", "--quiet", "posix", "--sidecar", s.facts(), s.buckets())
	if err != nil {
		return fmt.Errorf("s3test: %w", err)
	}
	return nil
}

// ask asks the server how it is.
func (s *Server) ask(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/health", nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// URL is where the server is: it does not change when it is restarted.
func (s *Server) URL() string { return "http://" + s.addr }

// Bucket makes an empty bucket and returns its name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.made.Add(1))
	if err := os.Mkdir(filepath.Join(s.buckets(), name), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

// Take takes a bucket out of the server and returns what puts it back.
func (s *Server) Take(t testing.TB, bucket string) (giveBack func()) {
	t.Helper()
	here, away := filepath.Join(s.buckets(), bucket), filepath.Join(s.process.Dir, bucket)
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	rename(here, away)
	return func() { rename(away, here) }
}

// Kill kills the server, and Restart starts it again with all that it has.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.process.Halt(); err != nil {
		t.Fatal(err)
	}
}

// Restart starts a server that was killed.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the server and removes its files.
func (s *Server) Stop() error { return s.process.Stop() }
