package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

var postgresDialect = dialect{
	name: "postgres",
	// Any number will do that nobody else locks: "switchbd" in ASCII.
	lock:  `SELECT pg_advisory_xact_lock(x'7377697463686264'::bigint)`,
	now:   `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`,
	taken: func(err error) bool { return sqlState(err) == "23505" }, // unique_violation
	foreign: func(err error) bool {
		return sqlState(err) == "22021" // character_not_in_repertoire
	},
	outcome: postgresOutcome,
}

const (
	// postgresConns is how many connections a DB keeps, if the address does
	// not say.
	postgresConns = 16

	postgresIdle    = 5 * time.Minute
	postgresLife    = time.Hour // so that a server behind a balancer gets its share again
	postgresConnect = 5 * time.Second
)

func openPostgres(ctx context.Context, address string, schema Schema) (*DB, error) {
	cfg, conns, err := postgresConfig(address)
	if err != nil {
		return nil, err
	}
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(postgresIdle)
	pool.SetConnMaxLifetime(postgresLife)
	db := &DB{Write: pool, Read: pool, Patience: retryFor, dialect: postgresDialect, postgres: cfg}
	if err := db.preparePostgres(ctx, schema); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}

func (db *DB) preparePostgres(ctx context.Context, schema Schema) error {
	var encoding string
	if err := db.Read.QueryRowContext(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database keeps text as %s, not as UTF8", encoding)
	}
	return db.migrate(ctx, schema)
}

// postgresConfig returns what an address says, and how many connections to keep.
func postgresConfig(address string) (cfg *pgx.ConnConfig, conns int, err error) {
	if cfg, err = parsePostgres(address); err != nil {
		return nil, 0, err
	}
	if !saysMode(address) && !local(cfg) {
		if cfg, err = parsePostgres(withMode(address, "verify-full")); err != nil {
			return nil, 0, err
		}
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = postgresConnect
	}
	if _, ok := cfg.RuntimeParams["application_name"]; !ok {
		cfg.RuntimeParams["application_name"] = "switchboard"
	}
	conns = postgresConns
	if n, ok := cfg.RuntimeParams[maxConns]; ok {
		delete(cfg.RuntimeParams, maxConns)
		if conns, err = strconv.Atoi(n); err != nil || conns < 1 {
			return nil, 0, fmt.Errorf("%s is not a number above 0", maxConns)
		}
	}
	return cfg, conns, nil
}

// maxConns is the parameter of an address that pgx's own pool has for this.
const maxConns = "pool_max_conns"

// parsePostgres reads an address. Its errors do not repeat it, since it may hold
// a password: pgx masks those on a best-effort basis only.
func parsePostgres(address string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(address)
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return nil, file // a certificate that cannot be read
	}
	if err != nil {
		return nil, errors.New("the address is no URL of PostgreSQL, or one of its parameters is wrong")
	}
	return cfg, nil
}

// saysMode reports whether it was said how the connection is to be protected.
func saysMode(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Query().Has("sslmode") || os.Getenv("PGSSLMODE") != ""
}

// withMode returns address with a mode of protection.
func withMode(address, mode string) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + "sslmode=" + mode
}

// local reports whether the server is on this machine, whichever of its names is
// taken.
func local(cfg *pgx.ConnConfig) bool {
	hosts := []string{cfg.Host}
	for _, f := range cfg.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, host := range hosts {
		ip, err := netip.ParseAddr(host)
		if host != "localhost" && !filepath.IsAbs(host) && (err != nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// postgresOutcome tells by SQLSTATE (PostgreSQL's appendix A), or by the end of
// the connection if the server did not come to say anything.
func postgresOutcome(err error) outcome {
	switch state := sqlState(err); {
	case state == "40001", state == "40P01": // serialization_failure, deadlock_detected
		return undone
	case state == "57P03", state == "53300": // cannot_connect_now, too_many_connections
		return undone
	case state == "57P01", state == "57P02", strings.HasPrefix(state, "08"): // admin_shutdown, crash_shutdown, lost connections
		return unknown
	case state == "25006": // read_only_sql_transaction: another server has taken over
		return undone
	case state != "":
		return failed
	}
	var (
		connect *pgconn.ConnectError
		network net.Error
	)
	switch {
	case errors.As(err, &connect), pgconn.SafeToRetry(err), errors.Is(err, driver.ErrBadConn):
		return undone
	case errors.As(err, &network), errors.Is(err, net.ErrClosed), errors.Is(err, pgconn.ErrConnClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return unknown
	}
	return failed
}
