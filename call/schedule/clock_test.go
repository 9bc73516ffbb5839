package schedule

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
)

// A wall is a clock that somebody sets.
type wall struct {
	mu   sync.Mutex
	skew time.Duration
}

func (w *wall) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.skew).Round(0)
}

func (w *wall) set(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew += by
}

// clockedDesk notes what the clock on the wall shows as each call is placed.
type clockedDesk struct {
	desk
	wall *wall

	noted map[string]time.Time // by key
	twice []string
}

func (d *clockedDesk) Place(ctx context.Context, req call.Request) (*call.Call, error) {
	d.mu.Lock()
	if _, ok := d.noted[req.IdempotencyKey]; ok {
		d.twice = append(d.twice, req.IdempotencyKey)
	}
	d.noted[req.IdempotencyKey] = d.wall.now()
	d.mu.Unlock()
	return d.desk.Place(ctx, req)
}

// startByWall is start, by a clock that can be set.
func startByWall(t *testing.T, store Store) (*Scheduler, *clockedDesk) {
	t.Helper()
	w := new(wall)
	d := &clockedDesk{wall: w, noted: make(map[string]time.Time)}
	s, err := New(Config{Service: d, Store: store, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	s.clock = w.now
	run(t, s)
	return s, d
}

// However the clock is set: nothing is dialed twice, nothing before the clock
// shows its time, and nothing is forgotten.
func TestClockThatIsSet(t *testing.T) {
	const half = 30 * time.Second // minutes are when it is looked at
	tests := []struct {
		name     string
		after    time.Duration // until it is set
		by       time.Duration
		then     time.Duration // until all is looked at
		dialed   string        // what the clock shows, and the name of each call
		outcomes string
	}{
		{"forward over a time, by less than grace", 57*time.Minute + half, 4*time.Minute + half, 10 * time.Minute,
			"01:02:30=01T01:00:00", "placed"},
		{"forward over a time, by more than grace", 57*time.Minute + half, 10 * time.Minute, 10 * time.Minute,
			"", "missed (8m0s late)"},
		{"forward by a day", 57*time.Minute + half, 24 * time.Hour, 70 * time.Minute,
			"01:00:00=02T01:00:00 02:00:00=02T02:00:00", "placed, placed, missed+23 (23h58m0s late)"},
		{"back over a time that has been", 62 * time.Minute, -10 * time.Minute, 69 * time.Minute,
			"01:00:00=01T01:00:00 02:00:00=01T02:00:00", "placed, placed"},
		{"back by a day", 62 * time.Minute, -24 * time.Hour, 24 * time.Hour,
			"01:00:00=01T01:00:00", "placed"},
		{"back before a time", 57*time.Minute + half, -time.Hour, 63 * time.Minute,
			"01:00:00=01T01:00:00", "placed"},
		{"back in the last second", time.Hour - time.Millisecond, -10 * time.Second, 11 * time.Second,
			"01:00:00=01T01:00:00", "placed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := startByWall(t, nil)
				mustAdd(t, s, spec(func(s *Spec) { s.Cron = "0 * * * *" }))
				time.Sleep(tt.after)
				d.wall.set(tt.by)
				time.Sleep(tt.then)
				synctest.Wait()
				dialed := ""
				for _, c := range d.calls {
					if dialed != "" {
						dialed += " "
					}
					_, at, _ := strings.Cut(c.IdempotencyKey, "@")
					dialed += d.noted[c.IdempotencyKey].Format(time.TimeOnly) + "=" + at[8:]
				}
				if dialed != tt.dialed || d.twice != nil {
					t.Errorf("dialed %s, want %s; twice: %v", dialed, tt.dialed, d.twice)
				}
				if got := outcomesOf(t, s, "s"); got != tt.outcomes {
					t.Errorf("outcomes: %s; want %s", got, tt.outcomes)
				}
			})
		})
	}
}

// A clock that is set at random, forward and back, by seconds and by hours.
func TestClockThatIsSetAtRandom(t *testing.T) {
	seeds := 50
	if *thorough {
		seeds = 2000
	}
	sets, dials, missed := 0, 0, 0
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			store := new(MemoryStore)
			s, d := startByWall(t, store)
			begin := d.wall.now()
			sp := spec(func(s *Spec) { s.Cron, s.Overlap = "*/30 * * * *", OverlapAllow })
			mustAdd(t, s, sp)
			for range 20 {
				time.Sleep(time.Duration(random.Int64N(int64(time.Hour))))
				by := time.Duration(random.Int64N(int64(4 * time.Second)))
				if random.IntN(2) == 0 {
					by = time.Duration(random.Int64N(int64(2 * time.Hour)))
				}
				if random.IntN(2) == 0 {
					by = -by
				}
				d.wall.set(by)
				sets++
			}
			time.Sleep(2 * time.Minute) // the clock is looked at each minute
			synctest.Wait()

			stated, err := sp.Occurrences(begin, 1000)
			if err != nil {
				t.Fatal(err)
			}
			times := make(map[string]time.Time)
			for _, o := range stated {
				times["s@"+o.Local.String()] = o.At
			}
			for key, at := range d.noted {
				if late := at.Sub(times[key]); late < 0 || late > defaultGrace {
					t.Errorf("seed %d: %s was dialed at %v, %v late", seed, key, at, late)
				}
			}
			results, err := s.Results(t.Context(), "s")
			if err != nil {
				t.Fatal(err)
			}
			decided := 0
			for _, r := range results {
				decided += 1 + r.More
				if r.Outcome == Missed {
					missed += 1 + r.More
				}
			}
			now, err := s.Get(t.Context(), "s")
			if err != nil {
				t.Fatal(err)
			}
			if passed := countBefore(stated, now.Next.At); decided != passed || d.twice != nil {
				t.Errorf("seed %d: %d outcomes of %d occurrences; twice: %v", seed, decided, passed, d.twice)
			}
			if !now.Next.At.After(d.wall.now()) {
				t.Errorf("seed %d: at %v it still waits for %v", seed, d.wall.now(), now.Next.At)
			}
			dials += len(d.calls)
		})
	}
	t.Logf("%d clocks, set %d times: %d dials, 0 twice, 0 early, %d occurrences missed because the clock jumped over them", seeds, sets, dials, missed)
}

func countBefore(all []Occurrence, t time.Time) int {
	for i, o := range all {
		if !o.At.Before(t) {
			return i
		}
	}
	return len(all)
}
