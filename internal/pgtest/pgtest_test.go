//go:build unix

package pgtest

import (
	"database/sql"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func open(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestSchemaSortsAsEnglishDoes(t *testing.T) {
	db := open(t, Start(t).Schema(t))
	var less bool
	if err := db.QueryRowContext(t.Context(), `SELECT 'a' < 'B'`).Scan(&less); err != nil || !less {
		t.Errorf("'a' < 'B' is %t, %v", less, err)
	}
}

func TestSchemasAreApart(t *testing.T) {
	s := Start(t)
	one, two := open(t, s.Schema(t)), open(t, s.Schema(t))
	if _, err := one.ExecContext(t.Context(), `CREATE TABLE t ()`); err != nil {
		t.Fatal(err)
	}
	if _, err := two.ExecContext(t.Context(), `SELECT FROM t`); err == nil {
		t.Error("the table of one is in the other")
	}
}

func TestRestartKeepsWhatWasWritten(t *testing.T) {
	s := Start(t)
	for name, restart := range map[string]func(testing.TB, func()){"orderly": s.Restart, "crash": s.Crash} {
		t.Run(name, func(t *testing.T) {
			db := open(t, s.Schema(t))
			if _, err := db.ExecContext(t.Context(), `CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1)`); err != nil {
				t.Fatal(err)
			}
			restart(t, func() {
				if err := db.PingContext(t.Context()); err == nil {
					t.Error("it is not down")
				}
			})
			var n int
			if err := db.QueryRowContext(t.Context(), `SELECT n FROM t`).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
}

func TestStartTellsWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := findProgramsIn(t.TempDir()); err == nil || !strings.Contains(err.Error(), "make setup") {
		t.Error(err)
	}
}

func TestNewestServerIsTaken(t *testing.T) {
	if a, b := version("/usr/lib/postgresql/9/bin/postgres"), version("/usr/lib/postgresql/15/bin/postgres"); a != 9 || b != 15 {
		t.Error(a, b)
	}
}

func TestSetOverrulesWhatTestsRunWith(t *testing.T) {
	s := Start(t)
	db := open(t, s.Schema(t))
	for _, want := range []string{"on", "off"} {
		s.Set(t, "fsync", want)
		var got string
		for got != want { // the server reads its settings again in its own time
			if err := db.QueryRowContext(t.Context(), `SHOW fsync`).Scan(&got); err != nil {
				t.Fatal(err)
			}
		}
	}
}
