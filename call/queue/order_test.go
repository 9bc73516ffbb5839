package queue_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// Whoever hangs up, leaves or asks to be called back, at whatever moment: those who
// stay are served in the order in which they came, everybody gets what they asked
// for once, and no agent has two calls.
func TestOrderIsKeptWhateverOthersDo(t *testing.T) {
	seeds := 2
	total := make(map[string]int)
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testOrder(t, rand.New(rand.NewPCG(uint64(seed), 7)), total) })
		})
	}
	t.Logf("%d seeds: %v", seeds, total)
	for _, what := range []string{"served", "key", "hung up", "callback", "called back"} {
		if total[what] == 0 {
			t.Errorf("nobody in any seed: %s", what)
		}
	}
}

func testOrder(t *testing.T, random *rand.Rand, total map[string]int) {
	network := calltest.NewNetwork
	if random.IntN(2) == 0 {
		network = calltest.NewPlivoNetwork
	}
	h := open(t, network(t), func(q *queue.Queue, _ *queue.Config) {
		q.Agents = []string{"ann", "bob"}
		q.MaxWait = time.Hour
	})
	const callers = 12
	for i := range callers {
		n := fmt.Sprintf("+120255502%02d", i)
		h.Phone(n).Behave(sim.Behavior{Ring: 2 * time.Second, Talk: func(k *sim.Talk) { <-k.Done() }})
		talk := h.caller(i)
		switch random.IntN(5) {
		case 0:
			time.AfterFunc(time.Duration(random.IntN(40_000))*time.Millisecond, talk.Hangup)
		case 1:
			time.AfterFunc(time.Duration(random.IntN(40_000))*time.Millisecond, func() { _ = talk.Press("9") }) // the call may be over
		case 2:
			time.AfterFunc(time.Duration(random.IntN(40_000))*time.Millisecond, func() { _ = talk.Press("1") })
		}
		time.Sleep(time.Duration(random.IntN(4000)) * time.Millisecond)
	}
	time.Sleep(5 * time.Minute)
	synctest.Wait()

	var joined, ended []string // in order, by call
	how := make(map[string]string)
	for len(h.events.C) > 0 {
		switch e := <-h.events.C; {
		case e.Type != call.EventAgent:
		case e.Name == "queued":
			joined = append(joined, e.CallID)
		case e.Name == "served" || e.Name == "left":
			if how[e.CallID] != "" {
				t.Errorf("%s: %s after %s", e.CallID, e.Name, how[e.CallID])
			}
			how[e.CallID] = e.Name + e.Data["why"]
			if e.Name == "served" {
				ended = append(ended, e.CallID)
			}
			total[strings.TrimPrefix(how[e.CallID], "left")]++
		}
	}
	var want []string
	for _, id := range joined {
		switch how[id] {
		case "served":
			want = append(want, id)
		case "":
			t.Errorf("%s: nothing has become of it", id)
		}
	}
	if !slices.Equal(ended, want) {
		t.Errorf("served in the order %v, not %v", ended, want)
	}
	back := make(map[string]int)
	for c, err := range h.svc.Calls(t.Context(), call.Filter{}) {
		switch {
		case err != nil:
			t.Fatal(err)
		case !c.State.Terminal():
			t.Errorf("%s is %v", c.ID, c.State)
		case c.IdempotencyKey != "":
			back[string(c.To)]++
			total["called back"]++
			if c.AgentID == "sales" || c.AnsweredAt.IsZero() {
				t.Errorf("called back was %+v", c)
			}
		}
	}
	for c, err := range h.svc.Calls(t.Context(), call.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if wanted := how[c.ID] == "leftcallback"; c.IdempotencyKey == "" && (back[string(c.From)] == 1) != wanted {
			t.Errorf("%s (%s) was called back %d times", c.From, how[c.ID], back[string(c.From)])
		}
	}
	if h.busy.most["ann"] > 1 || h.busy.most["bob"] > 1 {
		t.Errorf("agents had %v calls at once", h.busy.most)
	}
	if st := h.desk.Stats()["sales"]; st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}
