package sqldb

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestPostgresConfig(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for _, tt := range []struct {
		name, address string
		mode          string // of protection
		conns         int
	}{
		{"another machine has to prove who it is", "postgres://u:p@db.example.com/calls", "verified", 16},
		{"one of several, too", "postgres://u:p@localhost,db.example.com/calls", "verified", 16},
		{"an address of it, too", "postgresql://u:p@192.0.2.1:5433/calls?connect_timeout=1", "verified", 16},
		{"unless it is said otherwise", "postgres://u:p@db.example.com/calls?sslmode=disable", "clear", 16},
		{"or it is said in another way", "postgres://u:p@db.example.com/calls?sslmode=require", "encrypted", 16},
		{"this machine need not", "postgres://u:p@localhost/calls", "encrypted or clear", 16},
		{"by its number", "postgres://u:p@127.0.0.1/calls", "encrypted or clear", 16},
		{"by its long number", "postgres://u:p@[::1]:5432/calls", "encrypted or clear", 16},
		{"by a socket", "postgres:///calls?host=/run/postgresql", "clear", 16},
		{"more connections", "postgres:///calls?host=/run/postgresql&pool_max_conns=40", "clear", 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, conns, err := postgresConfig(tt.address)
			if err != nil {
				t.Fatal(err)
			}
			mode := "clear"
			unprotected := cfg.TLSConfig == nil
			for _, f := range cfg.Fallbacks {
				unprotected = unprotected || f.TLSConfig == nil
			}
			switch {
			case cfg.TLSConfig == nil:
			case unprotected:
				mode = "encrypted or clear"
			case cfg.TLSConfig.InsecureSkipVerify:
				mode = "encrypted"
			case cfg.TLSConfig.ServerName != "":
				mode = "verified"
			}
			if mode != tt.mode || conns != tt.conns {
				t.Errorf("%s with %d connections", mode, conns)
			}
			if cfg.ConnectTimeout <= 0 || cfg.RuntimeParams["application_name"] == "" || cfg.RuntimeParams[maxConns] != "" {
				t.Errorf("timeout %v, parameters %v", cfg.ConnectTimeout, cfg.RuntimeParams)
			}
		})
	}
}

func TestPostgresConfigHeedsEnvironment(t *testing.T) {
	t.Setenv("PGSSLMODE", "disable")
	cfg, _, err := postgresConfig("postgres://u:p@db.example.com/calls")
	if err != nil || cfg.TLSConfig != nil {
		t.Errorf("%v, %v", cfg, err)
	}
}

func TestPostgresOutcome(t *testing.T) {
	state := func(code string) error { return fmt.Errorf("write: %w", &pgconn.PgError{Code: code}) }
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	for _, tt := range []struct {
		name string
		err  error
		want outcome
	}{
		{"a unique value", state("23505"), failed},
		{"a wrong password", state("28P01"), failed},
		{"no such table", state("42P01"), failed},
		{"a statement that took too long", state("57014"), failed},
		{"two that wrote the same", state("40001"), undone},
		{"two that waited for each other", state("40P01"), undone},
		{"a server that starts", state("57P03"), undone},
		{"too many connections", state("53300"), undone},
		{"a server that only reads", state("25006"), undone},
		{"a server that stops", state("57P01"), unknown},
		{"a server that crashed", state("57P02"), unknown},
		{"a connection that failed", state("08006"), unknown},
		{"nobody there", refused, unknown},
		{"the end of the connection", io.ErrUnexpectedEOF, unknown},
		{"what is no failure of the database", errors.New("no such call"), failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := postgresOutcome(tt.err); got != tt.want {
				t.Errorf("%d, not %d", got, tt.want)
			}
		})
	}
}
