//go:build unix

// Package s3test starts an S3 server for tests: versitygw, over a directory of its
// own, on loopback. Each test process has one, from the first test that asks for
// it until Main returns.
//
// The server ends with the process that started it, however that ends.
package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The credentials that the server accepts, and where it says that it is.
const (
	AccessKeyID     = "switchboard"
	SecretAccessKey = "a-secret-for-tests"
	Region          = "us-east-1"
)

// Main runs the tests of a package, looks for goroutines that they have left, and
// stops the server. It does not return.
func Main(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if started.server != nil {
			if err := started.server.stop(); err != nil {
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
// started, the test fails and says what to install: a test that is left out would
// look like one that has passed.
func Start(t testing.TB) *Server {
	t.Helper()
	started.Do(func() { started.server, started.err = start() })
	if started.err != nil {
		t.Fatal(started.err)
	}
	return started.server
}

// Server is an S3 server.
type Server struct {
	program string
	dir     string // what it owns: buckets and the log
	addr    string

	cmd  *exec.Cmd
	life io.WriteCloser // ends the server when it is closed, if only by the end of this process

	made atomic.Int64 // buckets
}

// startTimeout is how long a server may take to start.
const startTimeout = 30 * time.Second

func start() (*Server, error) {
	program, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "s3test")
	if err != nil {
		return nil, err
	}
	s := &Server{program: program, dir: dir}
	if err := errors.Join(os.Mkdir(s.buckets(), 0o700), os.Mkdir(s.facts(), 0o700)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if s.addr, err = freeAddr(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.run(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
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

// freeAddr returns an address on loopback on which nobody listens.
func freeAddr() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *Server) buckets() string { return filepath.Join(s.dir, "buckets") }

// facts is where the server keeps what it knows about objects: not every disk has
// extended attributes.
func (s *Server) facts() string { return filepath.Join(s.dir, "facts") }

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// guard runs a program until its own standard input ends, as it does when the
// process that holds the other end is gone, and then kills it. It removes the
// directory that it is given, unless it has read a word.
const guard = `dir=$1; shift; "$@" </dev/null & read word; kill -KILL $! 2>/dev/null; wait $! 2>/dev/null; [ "$word" ] || rm -rf "$dir"`

// run starts the server and waits until it can be used.
func (s *Server) run() (err error) {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	s.cmd = exec.CommandContext(context.Background(), "/bin/sh", "-c", guard, "sh", s.dir, s.program,
		"--access", AccessKeyID, "--secret", SecretAccessKey, "--region", Region, "--port", s.addr,
		"--health", "/health", "--keep-alive", "--quiet", "posix", "--sidecar", s.facts(), s.buckets())
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// A group of its own, so that an interrupt from the terminal ends the tests
	// first.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.life, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if err := s.wait(); err != nil {
		said, _ := os.ReadFile(s.log()) // it may have said nothing
		return fmt.Errorf("s3test: the server does not start: %w\n%s", err, bytes.TrimSpace(said))
	}
	return nil
}

// wait waits until the server answers.
func (s *Server) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/health", nil)
		if err != nil {
			return err
		}
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
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
	here, away := filepath.Join(s.buckets(), bucket), filepath.Join(s.dir, bucket)
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
	if _, err := io.WriteString(s.life, "stay\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
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

// stop ends the server and, unless it is to stay, removes its files.
func (s *Server) stop() error {
	if s.life == nil {
		return os.RemoveAll(s.dir)
	}
	err := s.life.Close()
	if waited := s.cmd.Wait(); waited != nil && !errors.As(waited, new(*exec.ExitError)) {
		err = errors.Join(err, waited)
	}
	return err
}
