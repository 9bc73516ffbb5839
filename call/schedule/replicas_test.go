package schedule

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// distantDesk takes a while for each request, as a service does whose store is
// far away. It counts those for what was placed before, or is just being placed.
type distantDesk struct {
	*desk
	again *counter
}

func newDistantDesk() distantDesk {
	return distantDesk{new(desk), &counter{seen: make(map[string]bool)}}
}

type counter struct {
	mu   sync.Mutex
	seen map[string]bool
	n    int
}

func (c *counter) see(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[key] {
		c.n++
	}
	c.seen[key] = true
}

func (d distantDesk) Place(ctx context.Context, req call.Request) (*call.Call, error) {
	d.again.see(req.IdempotencyKey)
	time.Sleep(time.Second)
	return d.desk.Place(ctx, req)
}

// distantStore takes a while to write, so that several schedulers read the same
// before one of them writes.
type distantStore struct{ Store }

func (d distantStore) Update(ctx context.Context, s *Schedule, r *Result) error {
	time.Sleep(10 * time.Millisecond)
	return d.Store.Update(ctx, s, r)
}

// Three schedulers on one store: for each occurrence one of them asks for its
// call, and no other does, not even in vain.
func TestReplicasClaimEachOccurrenceOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const schedules = 200
		d := newDistantDesk()
		store := distantStore{new(MemoryStore)}
		var all []*Scheduler
		for range 3 {
			s, _ := start(t, d, store)
			all = append(all, s)
		}
		for n := range schedules {
			mustAdd(t, all[n%3], spec(func(s *Spec) {
				s.ID, s.Cron, s.Until = fmt.Sprint("s", n), "0 9 * * *", mustTime(t, "2000-01-04T00:00:00Z")
			}))
		}
		time.Sleep(4 * 24 * time.Hour)
		synctest.Wait()
		placed, left, busy := int64(0), int64(0), 0
		for _, s := range all {
			st := s.Stats()
			placed += st.Outcomes[Placed]
			left += st.Left
			if st.Outcomes[Placed] > 0 {
				busy++
			}
		}
		if len(d.calls) != 3*schedules || placed != 3*schedules || d.again.n > 0 {
			t.Errorf("%d calls, %d placed, %d asked for again; want %d", len(d.calls), placed, d.again.n, 3*schedules)
		}
		if busy != 3 || left == 0 {
			t.Errorf("%d of 3 schedulers had work, and met each other %d times", busy, left)
		}
		for _, c := range d.calls {
			if late := c.CreatedAt.Sub(c.CreatedAt.Truncate(24 * time.Hour).Add(9 * time.Hour)); late < 0 || late > time.Minute {
				t.Errorf("%s was placed %v late", c.IdempotencyKey, late)
			}
		}
		t.Logf("%d occurrences, %d calls, %d asked for twice; the schedulers met %d times", 3*schedules, len(d.calls), d.again.n, left)
	})
}

// Three schedulers on one store die at any moment, each at its own times, while
// the others go on: as in TestDeaths, each occurrence has one outcome and each
// that was placed one call; and with somebody always there, none is missed.
func TestReplicasDie(t *testing.T) {
	seeds := 60
	if *thorough {
		seeds = 2000
	}
	var deaths, occurrences int
	counts := map[Outcome]int{}
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(seeds) {
			random := rand.New(rand.NewPCG(seed, 3))
			d, store := new(desk), new(MemoryStore)
			d.lasts = time.Duration(random.IntN(20)) * time.Minute
			stated := addRules(t, random, d, store, 4*time.Hour)
			ctx, cancel := context.WithCancel(t.Context())
			s, stop := start(t, distantDesk{d, newDistantDesk().again}, distantStore{store}) // one that lives
			var replicas sync.WaitGroup
			var mu sync.Mutex // guards deaths
			for replica := range uint64(2) {
				replicas.Go(func() {
					random := rand.New(rand.NewPCG(seed, 4+replica))
					for ctx.Err() == nil {
						liveAndDie(ctx, t, random, d, store)
						mu.Lock()
						deaths++
						mu.Unlock()
						_ = pause(ctx, time.Duration(random.IntN(12))*time.Minute)
					}
				})
			}
			time.Sleep(5 * time.Hour)
			cancel()
			replicas.Wait()
			time.Sleep(time.Hour)
			synctest.Wait()
			stop()
			occurrences += len(stated)
			checkDeaths(t, s, d, stated, counts)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
	t.Logf("%d seeds, %d deaths: %d occurrences: %v", seeds, deaths, occurrences, counts)
	if counts[Missed] > 0 {
		t.Errorf("%d occurrences were missed", counts[Missed])
	}
}

// liveAndDie runs a scheduler until it dies, or ctx ends.
func liveAndDie(ctx context.Context, t *testing.T, random *rand.Rand, d *desk, store Store) {
	l := &life{deeds: 1 + random.IntN(40), after: random.IntN(2) == 0}
	s, err := New(Config{Service: mortalDesk{d, l}, Store: mortalStore{store, l}, Logger: quiet})
	if err != nil {
		t.Error(err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	for !l.dead() && ctx.Err() == nil {
		_ = pause(ctx, time.Second)
	}
	cancel()
	<-done
}

// Whoever cancels a schedule while another scheduler places its call waits, and
// is told of the call.
func TestCancelWaitsForAnotherReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(MemoryStore)
		d := newDistantDesk()
		other, err := New(Config{Service: d, Store: store, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		mustAdd(t, other, spec(func(s *Spec) { s.Cron = "0 * * * *" }))
		start(t, d, store)
		time.Sleep(time.Hour + 500*time.Millisecond) // the call is being placed
		begin := time.Now()
		got, err := other.Cancel(t.Context(), "s")
		if err != nil || got.State != Canceled || got.LastCallID != "call-0" || got.Last.Outcome != Placed {
			t.Errorf("%+v, %v", got, err)
		}
		if waited := time.Since(begin); waited < 500*time.Millisecond || waited > time.Second {
			t.Errorf("it took %v", waited)
		}
	})
}

// Who has claimed an occurrence and died keeps it from the others for a while,
// and no longer.
func TestClaimOfTheDeadIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(MemoryStore)
		d := newDistantDesk()
		dead, err := New(Config{Service: d, Store: store, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		sched := mustAdd(t, dead, spec(func(s *Spec) { s.At = mustLocal(t, "2000-01-01 01:00") }))
		start(t, d, store)
		time.Sleep(time.Hour - time.Second)
		if err := dead.claim(t.Context(), sched); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := dead.Cancel(ctx, "s"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Cancel of what is claimed: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := d.dialed(); got != "01T01:00:40=01T01:00:00" {
			t.Errorf("dialed %s", got)
		}
	})
}
