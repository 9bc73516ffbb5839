package call

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
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

var (
	downErr = &telephony.Error{Outcome: telephony.Ambiguous, Reason: telephony.ErrUnavailable}
	authErr = &telephony.Error{Outcome: telephony.Rejected, Reason: telephony.ErrAuth}
	fullErr = &telephony.Error{Outcome: telephony.Throttled, Reason: telephony.ErrThrottled}
)

// A carrier that is down is left alone, and then tried by one dial at a time.
func TestPaceOfACarrierThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(0)
		for range breakAfter {
			if err := p.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.told(downErr)
		}
		if err := p.wait(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("after %d failures: %v", breakAfter, err)
		}
		time.Sleep(breakTime)
		if err := p.wait(t.Context()); err != nil {
			t.Errorf("the one that tries: %v", err)
		}
		if err := p.wait(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("beside the one that tries: %v", err)
		}
		p.told(downErr)
		if err := p.wait(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("after a try that failed: %v", err)
		}
		time.Sleep(breakTime)
		if err := p.wait(t.Context()); err != nil {
			t.Errorf("the second that tries: %v", err)
		}
		p.told(nil)
		for range 3 {
			if err := p.wait(t.Context()); err != nil {
				t.Errorf("after a try that went well: %v", err)
			}
		}
	})
}

// What counts towards a carrier's being down.
func TestPaceTellsFailuresApart(t *testing.T) {
	tests := []struct {
		name string
		told []error
		down bool
	}{
		{"credentials refused once", []error{authErr}, true},
		{"a reply in between", []error{downErr, downErr, downErr, downErr, nil, downErr, downErr}, false},
		{"throttled for long", []error{fullErr, fullErr, fullErr, fullErr, fullErr, fullErr}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPace(0)
			for _, err := range tt.told {
				p.told(err)
			}
			if p.isDown() != tt.down {
				t.Errorf("down: %t, want %t", p.isDown(), tt.down)
			}
		})
	}
}

// Those who have waited their turn while the carrier went down are told so.
func TestPaceLetsNobodyOutToACarrierThatWentDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1)
		if err := p.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() { waited <- p.wait(t.Context()) }()
		synctest.Wait()
		p.told(authErr)
		if err := <-waited; !errors.Is(err, errBroken) {
			t.Errorf("%v, want errBroken", err)
		}
	})
}
