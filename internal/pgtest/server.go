//go:build unix

package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/switchboard-voice/switchboard/internal/servertest"
)

// Server is a PostgreSQL server. Schemas and databases may be made by many
// goroutines at once; the other methods are for one test at a time.
type Server struct {
	bin     string              // where its programs are
	process *servertest.Process // whose directory has the data, the socket and the log

	made atomic.Int64 // schemas and databases
}

// english is the database in which schemas are made.
const english = "english"

func start() (*Server, error) {
	bin, err := findProgramsIn("/usr/lib/postgresql") // Debian keeps them out of PATH
	if err != nil {
		return nil, err
	}
	cred, err := credential()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, process: &servertest.Process{Dir: dir, Signal: "INT", Credential: cred}}
	s.process.Ready = func(ctx context.Context) error { return s.execute(ctx, "postgres", "SELECT 1") }
	if err := s.create(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.run(); err != nil {
		return nil, err
	}
	err = s.execute(context.Background(), "postgres", "CREATE DATABASE "+english+
		" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en'")
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// findProgramsIn returns the directory of the newest server's programs, which have
// one below root for each version, or else are in PATH.
func findProgramsIn(root string) (string, error) {
	const name = "postgres"
	dirs, err := filepath.Glob(filepath.Join(root, "*", "bin", name))
	if err != nil {
		return "", err
	}
	if len(dirs) > 0 {
		slices.SortFunc(dirs, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(dirs[len(dirs)-1]), nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("pgtest: no PostgreSQL server here to test with: run make setup, or install the package postgresql")
	}
	return filepath.Dir(path), nil
}

// version returns the number in the path of one of Debian's programs.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 if it is something else
	return n
}

// credential returns whom the server runs as: PostgreSQL refuses to be root.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("pgtest: PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// create makes the server's files.
func (s *Server) create() error {
	if c := s.process.Credential; c != nil {
		if err := os.Chown(s.process.Dir, int(c.Uid), int(c.Gid)); err != nil {
			return err
		}
	}
	cmd := s.process.Command(filepath.Join(s.bin, "initdb"), "--pgdata", s.data(), "--username", "postgres",
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w\n%s", err, bytes.TrimSpace(out))
	}
	return s.appendTo("postgresql.conf", "fsync = off\nfull_page_writes = off\n") // where Set can overrule it
}

// appendTo appends to one of the server's files.
func (s *Server) appendTo(name, text string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (s *Server) data() string { return filepath.Join(s.process.Dir, "data") }

// run starts the server and waits until it can be used.
func (s *Server) run() error {
	err := s.process.Run(filepath.Join(s.bin, "postgres"), "-D", s.data(),
		"-k", s.process.Dir, "-c", "listen_addresses=", "-c", "max_connections=200")
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return nil
}

// execute executes a statement in a database as the server's administrator.
func (s *Server) execute(ctx context.Context, database, statement string) error {
	db, err := sql.Open("pgx", s.address(database, nil))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

func (s *Server) address(database string, more url.Values) string {
	parameters := url.Values{"host": {s.process.Dir}, "user": {"postgres"}, "sslmode": {"disable"}}
	maps.Copy(parameters, more)
	return "postgres:///" + database + "?" + parameters.Encode()
}

// Socket is the path of the Unix socket on which the server listens.
func (s *Server) Socket() string { return filepath.Join(s.process.Dir, ".s.PGSQL.5432") }

// Schema makes an empty schema and returns the URL of a database in which it is
// the only one that is looked at. It is dropped after the test. The database sorts
// text as English is sorted: whoever needs another order has to say so.
func (s *Server) Schema(t testing.TB) string {
	t.Helper()
	name := s.name()
	s.make(t, english, "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE")
	return s.address(english, url.Values{"search_path": {name}})
}

// Database makes an empty database with these parameters of CREATE DATABASE, and
// returns its URL. It is dropped after the test.
func (s *Server) Database(t testing.TB, parameters string) string {
	t.Helper()
	name := s.name()
	s.make(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE template0 "+parameters, "DROP DATABASE "+name+" WITH (FORCE)")
	return s.address(name, nil)
}

// name returns a name that nothing has yet.
func (s *Server) name() string { return fmt.Sprintf("test%d", s.made.Add(1)) }

// make makes something and drops it after the test.
func (s *Server) make(t testing.TB, database, create, drop string) {
	t.Helper()
	if err := s.execute(t.Context(), database, create); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.execute(context.Background(), database, drop); err != nil {
			t.Error(err)
		}
	})
}

// Set changes a setting of the server that needs no restart. It may be called in
// a cleanup.
func (s *Server) Set(t testing.TB, name, value string) {
	t.Helper()
	for _, statement := range []string{"ALTER SYSTEM SET " + name + " = " + value, "SELECT pg_reload_conf()"} {
		if err := s.execute(context.Background(), "postgres", statement); err != nil {
			t.Fatal(err)
		}
	}
}

// Restart stops the server, as in an upgrade, and starts it again once down has
// returned. Clients lose their connections.
func (s *Server) Restart(t testing.TB, down func()) {
	t.Helper()
	s.again(t, down)
}

// Crash is Restart of a server that stops at once and finishes nothing.
func (s *Server) Crash(t testing.TB, down func()) {
	t.Helper()
	s.again(t, down, syscall.SIGQUIT)
}

func (s *Server) again(t testing.TB, down func(), how ...syscall.Signal) {
	t.Helper()
	for _, sig := range how {
		if err := s.signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.process.Halt(); err != nil {
		t.Fatal(err)
	}
	down()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// signal sends the server a signal.
func (s *Server) signal(sig syscall.Signal) error {
	b, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	return syscall.Kill(pid, sig)
}

// Stop ends the server and removes its files.
func (s *Server) Stop() error { return s.process.Stop() }
