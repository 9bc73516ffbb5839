package queue_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/switchboard-voice/switchboard/call/queue"
)

// Over many calls of uneven length, the agents of a queue get equally many, and
// nobody is served before who has come earlier.
func TestQueueIsFair(t *testing.T) {
	const calls = 10_000
	var agents []string
	for i := range 7 {
		agents = append(agents, fmt.Sprint("agent-", i))
	}
	for _, waiting := range []int{1, 10} {
		s, got := new(queue.MemoryStore), map[string]int{}
		random := rand.New(rand.NewPCG(1, uint64(waiting)))
		join := func(n int) {
			if err := s.Join(t.Context(), &queue.Place{ID: fmt.Sprint(n), Queue: "q", Owner: "me"}, 0); err != nil {
				t.Fatal(err)
			}
		}
		for n := range waiting {
			join(n)
		}
		var going []string
		for n := range calls {
			p, err := s.Claim(t.Context(), queue.Claim{ID: fmt.Sprint("claim", n), Owner: "me", Queue: "q", Agents: agents, Capacity: 2})
			if err != nil || p == nil || p.ID != fmt.Sprint(n) {
				t.Fatalf("call %d: %+v, %v", n, p, err)
			}
			got[p.Agent]++
			join(n + waiting)
			if going = append(going, p.ID); len(going) == 2*len(agents) { // all are busy
				i := random.IntN(len(going))
				if _, err := s.Leave(t.Context(), going[i]); err != nil {
					t.Fatal(err)
				}
				going = append(going[:i], going[i+1:]...)
			}
		}
		low, high := calls, 0
		for _, a := range agents {
			low, high = min(low, got[a]), max(high, got[a])
		}
		t.Logf("%d wait: agents got %d to %d of %d calls", waiting, low, high, calls)
		if mean := calls / len(agents); high-low > mean/10 {
			t.Errorf("%d wait: agents got %v", waiting, got)
		}
	}
}
