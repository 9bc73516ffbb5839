package sqlstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, address string }{
		{"an empty address", ""},
		{"a path alone", "calls.db"},
		{"no path", "sqlite:"},
		{"a host where a path should be", "sqlite://calls.db"},
		{"a database that it does not know, without telling the password", "mysql://user:hunter2@localhost/calls"},
		{"a server that is not there, without telling the password", "postgres://user:hunter2@127.0.0.1:1/calls"},
		{"a port that is none, without telling the password", "postgres://user:hunter2@localhost:port/calls"},
		{"a password that breaks the address, without telling it", "postgres://user:hun/ter2@hunter2:hunter2?hunter2=hunter2#hunter2"},
		{"a parameter that is wrong", "postgres:///calls?password=hunter2&sslmode=perhaps"},
		{"no connection at all", "postgres:///calls?password=hunter2&pool_max_conns=0"},
		{"a number of connections that is none", "postgres:///calls?pool_max_conns=many"},
		{"a certificate that cannot be read", "postgres://localhost/calls?sslmode=verify-full&sslrootcert=" + filepath.Join(dir, "none")},
		{"a file that is no database", "sqlite:" + text},
		{"a directory", "sqlite:" + dir},
		{"a directory below a file", "sqlite:" + filepath.Join(text, "calls.db")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(t.Context(), tt.address)
			if err == nil {
				t.Fatalf("it was opened; closing it: %v", s.Close())
			}
			if msg := err.Error(); !strings.HasPrefix(msg, "sqlstore: open: ") || strings.Contains(msg, "hunter2") ||
				strings.Count(msg, "sqlstore") != 1 {
				t.Error(msg)
			}
		})
	}
}

func TestOpenTakesPathAsItIs(t *testing.T) {
	for _, name := range []string{"calls.db", "two words.db", "100%25.db", "what?mode=memory", "a#b", "ö&=+.db", ":memory:x"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, "sqlite:"+filepath.Join(dir, name))
			if err := put(s, sample("one")); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			files, err := os.ReadDir(dir)
			if err != nil || len(files) != 1 || files[0].Name() != name {
				t.Errorf("the directory has %v, %v", files, err)
			}
		})
	}
}

func TestOpenTakesRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	s := mustOpen(t, "sqlite:data/calls.db")
	if err := put(s, sample("one")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("data/calls.db"); err != nil {
		t.Error(err)
	}
}

func TestOpenMakesFilesForOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "calls.db")
	s := mustOpen(t, "sqlite:"+path)
	if err := put(s, sample("one")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		filepath.Dir(dir): 0o700, dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has %o, not %o", filepath.Base(name), got, want)
		}
	}
}

func TestOpenAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		const opens = 8
		var results [opens]error
		var all sync.WaitGroup
		for i := range opens {
			all.Go(func() {
				s, err := Open(t.Context(), address)
				if err == nil {
					err = errors.Join(put(s, sample(string(rune('a'+i)))), s.Close())
				}
				results[i] = err
			})
		}
		all.Wait()
		if err := errors.Join(results[:]...); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := mustOpen(t, address)
		if _, err := s.db.Write.ExecContext(t.Context(), `INSERT INTO schema_version VALUES (1000)`); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), address); err == nil || !strings.Contains(err.Error(), "newer") {
			t.Errorf("Open returned %v", err)
		}
	})
}
