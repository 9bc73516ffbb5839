package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
	"github.com/switchboard-voice/switchboard/telephony"
)

// machine is a replica with a store of its own on one database.
type machine struct {
	*call.Service
	*calltest.Machine
	store *Store
}

const shortLease = 6 * time.Second

// startMachines starts replicas. Webhooks and sockets come to the last one.
func startMachines(t *testing.T, n *calltest.Network, address string, count int) []*machine {
	t.Helper()
	var all []*machine
	for i := range count {
		m := &machine{Machine: n.Machine(), store: mustOpen(t, address)}
		host := fmt.Sprintf("replica%d.test:80", i)
		var err error
		m.Service, err = call.New(call.Config{
			PublicURL: calltest.PublicURL,
			Providers: []call.Provider{m.Provider},
			Agents:    call.Agents{"agent": call.Echo},
			Store:     m.store,
			Cluster: call.Cluster{
				Address: "http://" + host, Secret: "a secret of replicas", Lease: shortLease, Transport: m.Transport(),
			},
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil)).With("replica", i),
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Serve(host, m.Handler())
		if i == count-1 {
			m.Serve("calls.test:443", m.Handler())
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = m.Shutdown(ctx) // which says that calls were cut off
		})
		if err := m.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func (m *machine) placeAll(t *testing.T, calls int) (ids []string) {
	t.Helper()
	for i := range calls {
		to := telephony.Number(fmt.Sprintf("+1202555%04d", 1000+i))
		c, err := m.Place(t.Context(), call.Request{AgentID: "agent", To: to, From: calltest.Number})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	return ids
}

// Of two replicas on PostgreSQL one dies with twenty live calls: the other settles
// them, and dials none again.
func TestReplicaThatDiesOnPostgreSQL(t *testing.T) {
	n := calltest.NewNetwork(t)
	all := startMachines(t, n, databases["PostgreSQL"](t), 2)
	const calls = 20
	ids := all[0].placeAll(t, calls)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, id := range ids {
		for {
			c, err := all[1].store.Get(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if c.State == call.Active {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	time.Sleep(shortLease) // the other one may judge
	all[0].Kill()
	if err := all[0].store.Close(); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	for _, id := range ids {
		c, err := all[1].Wait(ctx, id)
		if err != nil || !c.State.Terminal() {
			t.Errorf("%s: %+v, %v", id, c, err)
		}
	}
	t.Logf("%d calls settled %v after the death, with a lease of %v", calls, time.Since(died).Round(time.Millisecond), shortLease)
	placed := make(map[telephony.Number]int)
	for _, k := range n.Carrier.Calls() {
		placed[telephony.Number(k.To)]++
		if !k.Status.Final() {
			t.Errorf("the carrier's call to %v is left %v", k.To, k.Status)
		}
	}
	for to, times := range placed {
		if times != 1 {
			t.Errorf("%v was dialed %d times", to, times)
		}
	}
	if over := all[1].Stats().TakenOver; over != calls {
		t.Errorf("%d calls were taken over, want %d", over, calls)
	}
}

// PostgreSQL restarts while calls begin and end on two replicas: each call that was
// placed has its final record, and none is taken from who has it.
func TestPostgreSQLRestartsUnderLoad(t *testing.T) {
	n := calltest.NewNetwork(t)
	all := startMachines(t, n, databases["PostgreSQL"](t), 2)
	var (
		mu      sync.Mutex
		ids     []string
		refused int
		workers sync.WaitGroup
	)
	const calls = 50
	for i := range calls {
		workers.Go(func() {
			time.Sleep(time.Duration(i) * 40 * time.Millisecond) // some before, some while it is away
			m := all[i%2]
			to := telephony.Number(fmt.Sprintf("+1202555%04d", 2000+i))
			c, err := m.Place(t.Context(), call.Request{AgentID: "agent", To: to, From: calltest.Number})
			mu.Lock()
			if err != nil {
				refused++
			} else {
				ids = append(ids, c.ID)
			}
			mu.Unlock()
			if err != nil {
				return
			}
			time.Sleep(700 * time.Millisecond)
			if err := m.Hangup(t.Context(), c.ID); err != nil {
				t.Errorf("hang-up: %v", err)
			}
		})
	}
	time.Sleep(800 * time.Millisecond)
	var up time.Time
	pgtest.Start(t).Restart(t, func() { time.Sleep(500 * time.Millisecond) })
	up = time.Now()
	for _, m := range all {
		if _, err := m.store.Get(t.Context(), "nobody"); !errors.Is(err, call.ErrNotFound) {
			t.Errorf("after the restart: %v", err)
		}
	}
	healed := time.Since(up)
	workers.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, id := range ids {
		m := all[i%2]
		if c, err := m.Wait(ctx, id); err != nil || !c.State.Terminal() {
			t.Errorf("%s: %+v, %v", id, c, err)
		}
		for { // and it is stored
			c, err := m.store.Get(ctx, id)
			if err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			if c.State.Terminal() {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for i, m := range all {
		if st := m.Stats(); st.TakenOver != 0 || st.Fenced != 0 {
			t.Errorf("replica %d: %+v", i, st)
		}
	}
	t.Logf("%d calls placed, %d refused, all final records there; pools healed %v after the server was back", len(ids), refused, healed.Round(time.Millisecond))
}

// Of two who claim a call at the same moment one wins, a thousand times.
func TestReplicasClaimOnce(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		stores := []*Store{mustOpen(t, address), mustOpen(t, address)}
		c := sample("claimed")
		if err := put(stores[0], c); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			var errs [2]error
			var claims sync.WaitGroup
			for i, s := range stores {
				claims.Go(func() {
					mine := c.Clone()
					mine.Version++
					mine.Owner = fmt.Sprint("replica ", i)
					errs[i] = s.Update(t.Context(), mine, nil)
				})
			}
			claims.Wait()
			lost := errs[0]
			if lost == nil {
				lost = errs[1]
			}
			if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(lost, call.ErrConflict) {
				t.Fatalf("version %d: %v and %v", c.Version+1, errs[0], errs[1])
			}
			c.Version++
		}
	})
}

// Who watches while the server restarts is told of everything, once.
func TestWatchOutlivesARestart(t *testing.T) {
	address := databases["PostgreSQL"](t)
	writer, watcher := mustOpen(t, address), mustOpen(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	begun, done := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	seen := make(map[int64]int)
	first := true
	go func() {
		defer close(done)
		_ = watcher.Watch(ctx, "me", func(events []call.Event) { // it ends with ctx
			if first {
				first = false
				close(begun)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				seen[e.Seq]++
			}
		})
	}()
	<-begun
	c := sample("told")
	c.Owner = "other"
	write := func() {
		if err := put(writer, c); err != nil {
			t.Error(err)
		}
		c.Version++
	}
	for range 100 {
		write()
	}
	pgtest.Start(t).Restart(t, func() {})
	for range 100 {
		write()
	}
	for told := 0; told < 200; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		told = len(seen)
		mu.Unlock()
	}
	cancel()
	<-done
	for seq, times := range seen {
		if times != 1 {
			t.Errorf("event %d was told %d times", seq, times)
		}
	}
}
