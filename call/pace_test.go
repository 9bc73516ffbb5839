package call

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceKeepsOrderAndRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(20)
		begin := time.Now()
		var mu sync.Mutex
		var order []int
		var at []time.Duration
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				if err := p.wait(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
				at = append(at, time.Since(begin))
			})
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		p.hold(3 * time.Second) // from 2 s to 5 s
		all.Wait()
		for i := range order {
			if order[i] != i {
				t.Fatalf("place %d went to %d", i, order[i])
			}
		}
		most := 0
		for i := range at {
			n := 0
			for _, later := range at[i:] {
				if later-at[i] < time.Second {
					n++
				}
			}
			most = max(most, n)
			if at[i] > 2*time.Second && at[i] < 5*time.Second {
				t.Errorf("dialed at %v, while the carrier asked to wait", at[i])
			}
		}
		if most > 20 {
			t.Errorf("%d dials in a second, want at most 20", most)
		}
	})
}

func TestPaceLetsGoOfWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(0.1)
		if err := p.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if err := p.wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if err := p.wait(t.Context()); err != nil || time.Since(begin) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestPaceIsBounded(t *testing.T) {
	p := newPace(1)
	p.waiting.Store(maxPaced)
	if err := p.wait(t.Context()); !errors.Is(err, errPaced) {
		t.Errorf("%v", err)
	}
}
