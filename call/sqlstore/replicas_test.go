package sqlstore

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
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

// startMachines starts replicas. Webhooks and sockets come to the last one.
func startMachines(t *testing.T, n *calltest.Network, address string, count int, lease time.Duration) []*machine {
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
				Address: "http://" + host, Secret: "a secret of replicas", Lease: lease, Transport: m.Transport(),
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

// number is the number of a person.
func number(group, i int) telephony.Number {
	return telephony.Number(fmt.Sprintf("+1202555%d%03d", group+1, i))
}

func (m *machine) placeAll(ctx context.Context, t *testing.T, group, calls int) (ids []string) {
	t.Helper()
	for i := range calls {
		req := call.Request{AgentID: "agent", To: number(group, i), From: calltest.Number}
		c, err := m.Place(ctx, req)
		for errors.Is(err, call.ErrNoLease) && ctx.Err() == nil { // a busy machine renews it late, and tells nobody
			time.Sleep(100 * time.Millisecond)
			c, err = m.Place(ctx, req)
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	return ids
}

// reaches waits until a call is in a state, or a later one, in the store: it asks
// again and again, since a service may tell of a state before the store has it.
func reaches(ctx context.Context, t *testing.T, m *machine, id string, state call.State) *call.Call {
	t.Helper()
	for {
		c, err := m.store.Get(ctx, id)
		if err == nil && c.State >= state {
			return c
		}
		if ctx.Err() != nil {
			t.Fatalf("%s is %+v, %v", id, c, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Of two replicas on PostgreSQL one dies with twenty live calls: the other settles
// them, and dials none again.
func TestReplicaThatDiesOnPostgreSQL(t *testing.T) {
	const (
		calls = 20
		lease = 8 * time.Second
	)
	n := calltest.NewNetwork(t)
	all := startMachines(t, n, databases["PostgreSQL"](t), 2, lease)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	ids := all[0].placeAll(ctx, t, 0, calls)
	live := int64(0)
	for _, id := range ids {
		if reaches(ctx, t, all[1], id, call.Active).State == call.Active {
			live++
		}
	}
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
	t.Logf("%d live calls settled %v after the death, with a lease of %v", live, time.Since(died).Round(time.Millisecond), lease)
	placed := make(map[telephony.Number]int)
	for _, k := range n.Carrier.Calls() {
		placed[k.To]++
		if !k.Status.Final() {
			t.Errorf("the carrier's call to %v is left %v", k.To, k.Status)
		}
	}
	for to, times := range placed {
		if times != 1 {
			t.Errorf("%v was dialed %d times", to, times)
		}
	}
	if over := all[1].Stats().TakenOver; live == 0 || over < live {
		t.Errorf("%d calls were taken over, want %d", over, live)
	}
}

// PostgreSQL restarts while calls begin and end on two replicas. Who asks for a call
// meanwhile gets it, or is told that the store is away, and then nothing is dialed;
// each call that was placed has its final record; none is taken from who has it.
func TestPostgreSQLRestartsUnderLoad(t *testing.T) {
	const calls = 50
	n := calltest.NewNetwork(t)
	all := startMachines(t, n, databases["PostgreSQL"](t), 2, time.Minute) // none is to be thought dead
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var live [2][]string
	for i, m := range all {
		live[i] = m.placeAll(ctx, t, i, calls/2)
		for _, id := range live[i] {
			reaches(ctx, t, m, id, call.Active)
		}
	}
	type answer struct {
		to telephony.Number
		id string
	}
	var (
		answers = make(chan answer, calls)
		refused atomic.Int64
		askers  sync.WaitGroup
		slowest longest
	)
	var mu sync.Mutex
	late := make(map[string]time.Time) // calls that were over when they were to be hung up
	pgtest.Start(t).Restart(t, func() {
		for i, m := range all { // half of them end by us, half by the person
			for j, id := range live[i] {
				if j%2 == 1 {
					for _, talk := range n.Phone(string(number(i, j))).Talks() {
						talk.Hangup()
					}
					continue
				}
				askers.Go(func() {
					asked := time.Now()
					if err := m.Hangup(ctx, id); errors.Is(err, call.ErrStore) {
						mu.Lock()
						late[id] = asked
						mu.Unlock()
					} else if err != nil {
						t.Errorf("hang-up while the store is away: %v", err)
					}
				})
			}
		}
		for i := range calls {
			m, to := all[i%2], number(2, i)
			askers.Go(func() {
				began := time.Now()
				c, err := m.Place(ctx, call.Request{AgentID: "agent", To: to, From: calltest.Number})
				switch took := int64(time.Since(began)); {
				case err == nil:
					answers <- answer{to, c.ID}
				case errors.Is(err, call.ErrStore), errors.Is(err, call.ErrNoLease):
					answers <- answer{to, ""}
					refused.Add(1)
				default:
					t.Errorf("refused after %v: %v", time.Duration(took), err)
				}
				slowest.add(time.Since(began))
			})
		}
	})
	up := time.Now()
	for _, m := range all {
		for _, err := m.store.Get(ctx, "nobody"); !errors.Is(err, call.ErrNotFound); _, err = m.store.Get(ctx, "nobody") {
			if ctx.Err() != nil {
				t.Fatalf("after the restart: %v", err)
			}
		}
	}
	healed := time.Since(up)
	askers.Wait()
	close(answers)
	placed := make(map[telephony.Number]string)
	for a := range answers {
		placed[a.to] = a.id
	}
	causes := make(map[call.Cause]int)
	for i, m := range all {
		for _, id := range live[i] {
			c := reaches(ctx, t, m, id, call.Completed)
			if asked, over := late[id]; over && c.EndedAt.After(asked) {
				t.Errorf("%s was live, and not hung up: it ended %v later, %v", id, c.EndedAt.Sub(asked), c.Cause)
			}
			causes[c.Cause]++
		}
	}
	stored := time.Since(up)
	for to, id := range placed {
		if id == "" {
			continue
		}
		reaches(ctx, t, all[0], id, call.Active)
		if err := all[1].Hangup(ctx, id); err != nil && !errors.Is(err, call.ErrEnded) {
			t.Errorf("hang-up of the call to %v: %v", to, err)
		}
		reaches(ctx, t, all[0], id, call.Completed)
	}
	dialed := make(map[telephony.Number]int)
	for _, k := range n.Carrier.Calls() {
		dialed[k.To]++
	}
	for to, times := range dialed {
		if times > 1 {
			t.Errorf("%v was dialed %d times", to, times)
		}
		if id, asked := placed[to]; asked && id == "" {
			t.Errorf("%v was dialed, and whoever asked for it was told that it was not", to)
		}
	}
	for i, m := range all {
		if st := m.Stats(); st.TakenOver != 0 || st.Fenced != 0 || st.PersistPending != 0 {
			t.Errorf("replica %d: %+v", i, st)
		}
	}
	t.Logf("of %d calls that ended while the store was away all final records are there %v after it was back: %v", calls, stored.Round(time.Millisecond), causes)
	t.Logf("of %d calls asked for meanwhile %d were placed and %d refused, in %v at most; pools healed in %v",
		calls, calls-int(refused.Load()), refused.Load(), slowest.get().Round(time.Millisecond), healed.Round(time.Millisecond))
}

var claims = flag.Int("claims", 50, "so often two replicas claim a call at the same moment")

// Of two who claim a call at the same moment one wins, each time.
func TestReplicasClaimOnce(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		stores := []*Store{mustOpen(t, address), mustOpen(t, address)}
		c := sample("claimed")
		if err := put(stores[0], c); err != nil {
			t.Fatal(err)
		}
		var won [2]int
		for range *claims {
			var errs [2]error
			var both sync.WaitGroup
			for i, s := range stores {
				both.Go(func() {
					mine := c.Clone()
					mine.Version++
					mine.Owner = fmt.Sprint("replica ", i)
					errs[i] = s.Update(t.Context(), mine, nil)
				})
			}
			both.Wait()
			winner := 0
			if errs[0] != nil {
				winner = 1
			}
			if errs[winner] != nil || !errors.Is(errs[1-winner], call.ErrConflict) {
				t.Fatalf("version %d: %v and %v", c.Version+1, errs[0], errs[1])
			}
			won[winner]++
			c.Version++
		}
		t.Logf("%d and %d claims were won", won[0], won[1])
	})
}

// Who watches while the server restarts is told of everything, once.
func TestWatchOutlivesARestart(t *testing.T) {
	address := databases["PostgreSQL"](t)
	writer, watcher := mustOpen(t, address), mustOpen(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	begun, done := make(chan struct{}), make(chan struct{})
	seen := make(map[int64]int) // the watch's until it is done
	first := true
	const writes = 200
	told := make(chan struct{}) // closed when all writes have been told
	go func() {
		defer close(done)
		_ = watcher.Watch(ctx, "me", func(events []call.Event) { // it ends with ctx
			if first {
				first = false
				close(begun)
			}
			for _, e := range events {
				if seen[e.Seq]++; seen[e.Seq] == 1 && len(seen) == writes {
					close(told)
				}
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
	for range writes / 2 {
		write()
	}
	pgtest.Start(t).Restart(t, func() {})
	for range writes / 2 {
		write()
	}
	select {
	case <-told:
	case <-time.After(5 * time.Minute):
		t.Error("not all was told")
	}
	cancel()
	<-done
	for seq, times := range seen {
		if times != 1 {
			t.Errorf("event %d was told %d times", seq, times)
		}
	}
}

// longest is the longest of some times.
type longest struct {
	mu sync.Mutex
	d  time.Duration
}

func (l *longest) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.d = max(l.d, d)
}

func (l *longest) get() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.d
}
