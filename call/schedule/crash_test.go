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

var errDead = errors.New("the process is dead")

// A life is that of a process: after so many deeds it dies, in the middle of one,
// before or after that has had its effect. The dead do nothing.
type life struct {
	mu    sync.Mutex
	deeds int  // left
	after bool // dies after the last one
}

func (l *life) do(deed func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deeds--
	switch {
	case l.deeds > 0:
		return deed()
	case l.deeds == 0 && l.after:
		_ = deed() // nobody hears of it
	}
	return errDead
}

type mortalStore struct {
	Store
	*life
}

func (m mortalStore) Update(ctx context.Context, s *Schedule, r *Result) error {
	return m.do(func() error { return m.Store.Update(ctx, s, r) })
}

func (m mortalStore) Due(ctx context.Context, limit int) (list []*Schedule, err error) {
	err = m.do(func() error { list, err = m.Store.Due(ctx, limit); return err })
	return list, err
}

type mortalDesk struct {
	*desk
	*life
}

func (m mortalDesk) Place(ctx context.Context, req call.Request) (c *call.Call, err error) {
	err = m.do(func() error { c, err = m.desk.Place(ctx, req); return err })
	return c, err
}

// dead reports whether it has died.
func (l *life) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deeds <= 0
}

// Processes that die at any moment: each occurrence has one outcome, each that
// was placed one call, and no call is placed twice, too early or too late.
func TestDeaths(t *testing.T) {
	seeds := 200
	if *thorough {
		seeds = 5000
	}
	var deaths, occurrences int
	counts := map[Outcome]int{}
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(seeds) {
			random := rand.New(rand.NewPCG(seed, 1))
			d, store := new(desk), new(MemoryStore)
			d.lasts = time.Duration(random.IntN(20)) * time.Minute
			stated := addRules(t, random, d, store, 4*time.Hour)
			for begin := time.Now(); time.Since(begin) < 4*time.Hour; {
				l := &life{deeds: 1 + random.IntN(40), after: random.IntN(2) == 0}
				s, err := New(Config{Service: mortalDesk{d, l}, Store: mortalStore{store, l}, Logger: quiet})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = s.Run(ctx)
				}()
				for !l.dead() {
					time.Sleep(time.Second)
				}
				deaths++
				cancel()
				<-done
				time.Sleep(time.Duration(random.IntN(12)) * time.Minute) // until the next one
			}
			s, stop := start(t, d, store) // one that lives
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
}

// addRules adds two schedules, and returns the occurrences that they state, by
// key.
func addRules(t *testing.T, random *rand.Rand, d *desk, store Store, during time.Duration) map[string]Occurrence {
	t.Helper()
	s, err := New(Config{Service: d, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	stated := make(map[string]Occurrence)
	begin := time.Now()
	for i, expr := range []string{"*/15 * * * *", "*/10 * * * *"} {
		sp := spec(func(s *Spec) {
			s.ID, s.Cron, s.Until = fmt.Sprint("s", i), expr, begin.Add(during)
			if random.IntN(2) == 0 {
				s.Overlap = OverlapAllow
			}
		})
		mustAdd(t, s, sp)
		list, err := sp.Occurrences(begin, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			stated[sp.ID+"@"+o.Local.String()] = o
		}
	}
	return stated
}

func checkDeaths(t *testing.T, s *Scheduler, d *desk, stated map[string]Occurrence, counts map[Outcome]int) {
	t.Helper()
	placed := make(map[string]string) // id of the call, by key
	total := 0
	for _, id := range []string{"s0", "s1"} {
		results, err := s.Results(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			total += 1 + r.More
			counts[r.Outcome] += 1 + r.More
			if r.Outcome == Placed {
				placed[id+"@"+r.Local.String()] = r.CallID
			}
		}
		if got, err := s.Get(t.Context(), id); err != nil || got.State != Done {
			t.Errorf("%s is %+v, %v", id, got, err)
		}
	}
	if total != len(stated) {
		t.Errorf("%d outcomes of %d occurrences", total, len(stated))
	}
	if len(placed) != len(d.calls) {
		t.Errorf("%d were placed, with %d calls", len(placed), len(d.calls))
	}
	for _, c := range d.calls {
		o, ok := stated[c.IdempotencyKey]
		late := c.CreatedAt.Sub(o.At)
		if !ok || placed[c.IdempotencyKey] != c.ID || late < 0 || late > defaultGrace {
			t.Errorf("call %s of %s is %v late; the outcome tells of %q", c.ID, c.IdempotencyKey, late, placed[c.IdempotencyKey])
		}
	}
}
