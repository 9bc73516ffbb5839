package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
)

func TestOpenRefusesOtherEncodings(t *testing.T) {
	s, err := Open(t.Context(), pgtest.Start(t).Database(t, "ENCODING 'SQL_ASCII' LOCALE 'C'"))
	if err == nil || !strings.Contains(err.Error(), "SQL_ASCII") {
		t.Fatalf("%v, %v", s, err)
	}
}

func TestStoreKeepsToItsConnections(t *testing.T) {
	s := mustOpen(t, databases["PostgreSQL"](t)+"&pool_max_conns=3")
	var writers sync.WaitGroup
	failures := make([]error, 30)
	for i := range failures {
		writers.Go(func() { failures[i] = put(s, sample(fmt.Sprint("call-", i))) })
	}
	writers.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	if stats := s.db.Write.Stats(); stats.MaxOpenConnections != 3 || stats.OpenConnections > 3 {
		t.Errorf("%+v", stats)
	}
}

// PostgreSQL cannot hold such names, so nothing can be there under one.
func TestStoreHasNothingUnderWhatIsNoText(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		s := mustOpen(t, address)
		for _, name := range []string{"\xff", "a\x00b"} {
			if _, err := s.Get(t.Context(), name); !errors.Is(err, call.ErrNotFound) {
				t.Errorf("Get returned %v", err)
			}
			if _, err := s.ByProvider(t.Context(), "sim", name); !errors.Is(err, call.ErrNotFound) {
				t.Errorf("ByProvider returned %v", err)
			}
			if err := s.Update(t.Context(), &call.Call{ID: "none", Tenant: "t", Version: 2, CreatedAt: sample("").CreatedAt}, nil); !errors.Is(err, call.ErrNotFound) {
				t.Errorf("Update returned %v", err)
			}
			if list, err := s.List(t.Context(), call.Filter{Tenant: &name}); err != nil || len(list) != 0 {
				t.Errorf("List returned %d calls, %v", len(list), err)
			}
			if events, err := s.Events(t.Context(), name, 0); err != nil || len(events) != 0 {
				t.Errorf("Events returned %d, %v", len(events), err)
			}
			if err := s.Delete(t.Context(), name); err != nil {
				t.Errorf("Delete returned %v", err)
			}
		}
	})
}

func TestStoreRefusesNamesThatPostgreSQLCannotHold(t *testing.T) {
	s := mustOpen(t, databases["PostgreSQL"](t))
	for name, change := range map[string]func(c *call.Call){
		"an id":              func(c *call.Call) { c.ID = "\xff" },
		"a tenant":           func(c *call.Call) { c.Tenant = "a\x00b" },
		"an idempotency key": func(c *call.Call) { c.IdempotencyKey = "\xc3" },
	} {
		c := sample("one")
		change(c)
		if _, err := s.Create(t.Context(), c, nil); err == nil || errors.Is(err, call.ErrConflict) {
			t.Errorf("Create with %s that is no text returned %v", name, err)
		}
	}
	c := sample("one")
	c.Detail = "a\x00b" // in the record only
	if err := put(s, c); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "one"); err != nil || got.Detail != c.Detail {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPostgresListsByIndexOnly(t *testing.T) {
	s := mustOpen(t, databases["PostgreSQL"](t)+"&enable_seqscan=off&enable_bitmapscan=off")
	tenant := "t"
	before := &call.Position{CreatedAt: time.Unix(1e9, 0), ID: "x"}
	for _, tt := range []struct {
		name  string
		f     call.Filter
		index string
	}{
		{"everything", call.Filter{}, "calls_in_order"},
		{"the next page", call.Filter{Before: before}, "calls_in_order"},
		{"a day", call.Filter{Since: time.Unix(1e9, 0), Until: time.Unix(1e9+86400, 0)}, "calls_in_order"},
		{"a tenant", call.Filter{Tenant: &tenant}, "calls_of_tenant"},
		{"a tenant's next page", call.Filter{Tenant: &tenant, Before: before}, "calls_of_tenant"},
		{"one state", call.Filter{States: []call.State{call.Active}}, "calls_in_state"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			query, args := listQuery(tt.f)
			rows, err := s.db.Read.QueryContext(t.Context(), "EXPLAIN "+query, args...)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := rows.Close(); err != nil {
					t.Error(err)
				}
			}()
			var plan strings.Builder
			for rows.Next() {
				var step string
				if err := rows.Scan(&step); err != nil {
					t.Fatal(err)
				}
				plan.WriteString(step + "\n")
			}
			if p := plan.String(); !strings.Contains(p, "Index Scan Backward using "+tt.index) || strings.Contains(p, "Sort") {
				t.Errorf("not by %s:\n%s", tt.index, p)
			}
		})
	}
}

// F77: PostgreSQL is restarted under load. Nothing that was acknowledged is lost,
// nothing is written twice, and writing goes on by itself.
func TestStoreOutlivesRestart(t *testing.T) {
	server := pgtest.Start(t)
	for _, tt := range []struct {
		name    string
		restart func(testing.TB, func())
	}{{"orderly", server.Restart}, {"crash", server.Crash}} {
		t.Run(tt.name, func(t *testing.T) {
			address := server.Schema(t)
			stores := []*Store{mustOpen(t, address), mustOpen(t, address)}
			for _, s := range stores {
				s.db.Patience = time.Minute // a busy machine starts a server slowly
			}
			const writers = 50 // live calls
			var (
				all      sync.WaitGroup
				failures [writers]error
				versions [writers]int64
				slowest  [writers]time.Duration
				progress = make(chan struct{}, 1<<16) // writes; who writes more waits
				stop     = make(chan struct{})
			)
			for i := range writers {
				all.Go(func() {
					c := sample(fmt.Sprintf("call-%d", i))
					for c.Version = 1; ; c.Version++ {
						began := time.Now()
						if err := put(stores[i%len(stores)], c); err != nil {
							failures[i] = fmt.Errorf("version %d: %w", c.Version, err)
							return
						}
						versions[i] = c.Version
						slowest[i] = max(slowest[i], time.Since(began))
						select {
						case progress <- struct{}{}:
						case <-stop:
							return
						}
					}
				})
			}
			writes := 0
			load := func() {
				for range 5 * writers {
					select {
					case <-progress:
						writes++
					case <-time.After(time.Minute):
						t.Error("nobody writes")
						return
					}
				}
			}
			load()
			tt.restart(t, func() {})
			for len(progress) > 0 {
				<-progress
			}
			load()
			close(stop)
			all.Wait()
			if err := errors.Join(failures[:]...); err != nil {
				t.Fatal(err)
			}
			for i, want := range versions {
				id := fmt.Sprintf("call-%d", i)
				c, err := stores[0].Get(t.Context(), id)
				if err != nil || c.Version != want {
					t.Errorf("%s was acknowledged in version %d: %v, %v", id, want, c, err)
				}
				events, err := stores[0].Events(t.Context(), id, 0)
				if err != nil || int64(len(events)) != want {
					t.Errorf("%s in version %d has %d events, %v", id, want, len(events), err)
				}
			}
			t.Logf("%d writes, the slowest %v", writes, slices.Max(slowest[:]).Round(time.Millisecond))
		})
	}
}

// A write is done once, whether the request or its reply is lost on the way.
func TestStoreFindsLostWrites(t *testing.T) {
	keyed := func(id string) *call.Call {
		c := sample(id)
		c.IdempotencyKey = "key"
		return c
	}
	second := func(c *call.Call) *call.Call {
		c.Version = 2
		c.State = call.Completed
		return c
	}
	for _, tt := range []struct {
		name    string
		write   func(s *Store) error
		want    error
		version int64 // of the call "one"; 0: not there
	}{
		{"a call", func(s *Store) error { return put(s, sample("one")) }, nil, 1},
		{"a call with a key", func(s *Store) error { return put(s, keyed("one")) }, nil, 1},
		{"an update", func(s *Store) error {
			return errors.Join(put(s, second(sample("there"))), put(s, sample("one")))
		}, nil, 1},
		{"a deletion", func(s *Store) error { return s.Delete(context.Background(), "there") }, nil, 0},
		{"an update that is too late", func(s *Store) error {
			c := second(sample("there"))
			c.Version = 5
			return put(s, c)
		}, call.ErrConflict, 0},
		{"a call that is there", func(s *Store) error {
			c := sample("there")
			c.Detail = "another"
			return put(s, c)
		}, call.ErrConflict, 0},
	} {
		for name, fault := range map[string]fault{"request": loseRequest, "reply": loseReply} {
			t.Run(tt.name+", the "+name, func(t *testing.T) {
				server := pgtest.Start(t)
				address := server.Schema(t)
				direct := mustOpen(t, address)
				p := newProxy(t, server.Socket())
				s := mustOpen(t, p.address(t, address)+"&pool_max_conns=1")
				// Whatever is to be lost has been prepared, so that it goes in one piece.
				if err := errors.Join(put(s, sample("warm")), put(s, second(sample("warm"))), put(s, sample("there")), s.Delete(t.Context(), "warm")); err != nil {
					t.Fatal(err)
				}
				p.next.Store(int32(fault))
				if err := tt.write(s); !errors.Is(err, tt.want) {
					t.Errorf("the write returned %v", err)
				}
				if p.next.Load() != int32(none) {
					t.Fatal("nothing was lost")
				}
				c, err := direct.Get(t.Context(), "one")
				switch {
				case tt.version == 0 && !errors.Is(err, call.ErrNotFound), tt.version > 0 && (err != nil || c.Version != tt.version):
					t.Errorf("it is there as %v, %v", c, err)
				}
				if tt.version > 0 {
					if events, err := direct.Events(t.Context(), "one", 0); err != nil || int64(len(events)) != tt.version {
						t.Errorf("%d events, %v", len(events), err)
					}
				}
			})
		}
	}
}

// What another has written after the reply was lost is not taken for one's own.
func TestStoreDoesNotTakeAnothersWriteForItsOwn(t *testing.T) {
	server := pgtest.Start(t)
	address := server.Schema(t)
	direct := mustOpen(t, address)
	p := newProxy(t, server.Socket())
	s := mustOpen(t, p.address(t, address)+"&pool_max_conns=1")
	c := sample("one")
	if err := put(s, c); err != nil {
		t.Fatal(err)
	}
	c.Version = 2
	if err := put(s, c); err != nil {
		t.Fatal(err)
	}
	c.Version = 3
	other := c.Clone()
	other.Detail = "other"
	p.meanwhile = func() {
		if err := put(direct, other); err != nil {
			t.Error(err)
		}
	}
	p.next.Store(int32(loseRequest))
	if err := put(s, c); !errors.Is(err, call.ErrConflict) {
		t.Errorf("Update returned %v", err)
	}
	if got, err := direct.Get(t.Context(), "one"); err != nil || got.Detail != "other" {
		t.Errorf("%v, %v", got, err)
	}
}

// fault is what a proxy does to the next message of the client.
type fault int32

const (
	none fault = iota
	loseRequest
	loseReply
)

// proxy stands between a store and the server's socket.
type proxy struct {
	listener  net.Listener
	socket    string
	next      atomic.Int32 // a fault; none once it has happened
	meanwhile func()       // runs after it, before the connection breaks
	all       sync.WaitGroup
}

// newProxy returns a proxy that ends with the test, after the stores that were
// opened later.
func newProxy(t *testing.T, socket string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, socket: socket}
	p.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.all.Wait()
	})
	return p
}

// address returns the address of a database through p.
func (p *proxy) address(t *testing.T, direct string) string {
	cfg, err := pgx.ParseConfig(direct)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable&search_path=%s",
		cfg.User, p.listener.Addr(), cfg.Database, cfg.RuntimeParams["search_path"])
}

// serve passes messages on, request by request, as a store sends them.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		return
	}
	defer server.Close()
	var losing atomic.Bool
	p.all.Go(func() {
		defer client.Close()
		var reply []byte
		b := make([]byte, 1<<16)
		for {
			n, err := server.Read(b)
			if err != nil {
				return
			}
			if !losing.Load() {
				if _, err := client.Write(b[:n]); err != nil {
					return
				}
				continue
			}
			// All of it, up to ReadyForQuery: the server is done.
			reply = append(reply, b[:n]...)
			if bytes.HasSuffix(reply, []byte("Z\x00\x00\x00\x05I")) {
				return
			}
		}
	})
	b := make([]byte, 1<<16)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		switch fault(p.next.Swap(int32(none))) {
		case loseRequest:
			if p.meanwhile != nil {
				p.meanwhile()
			}
			return
		case loseReply:
			losing.Store(true)
		}
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
	}
}
