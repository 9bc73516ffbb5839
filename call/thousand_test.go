package call_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// A thousand calls are dialed at the rate that was set, in order, each once,
// while the carrier asks for a pause now and then.
func TestThousandDials(t *testing.T) {
	const (
		calls = 1000
		rate  = 20
	)
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Time // guarded by the carrier, which asks about one create at a time
		o := newOffice(t, hello(time.Second), func(c *call.Config) { c.DialsPerSecond = rate },
			sim.Faults{Create: func(n int) sim.CreateFault {
				asked = append(asked, time.Now())
				switch {
				case n%150 < 4: // a burst, with and without a time to wait
					return sim.Throttled(time.Duration(n%150%2) * 3 * time.Second)
				}
				return sim.CreateFault{}
			}})
		o.Carrier.Otherwise(sim.Behavior{Outcome: sim.Busy, Ring: time.Second})
		begin := time.Now()
		ids := make([]string, calls)
		for i := range ids {
			ids[i] = o.place(call.Options{}).ID
		}
		var last time.Duration
		dialed := make(map[string]bool)
		for i, id := range ids {
			c := o.wait(id)
			if c.State != call.Busy {
				t.Fatalf("call %d ended %v, %q (%s)", i, c.State, c.Cause, c.Detail)
			}
			if dialed[c.ProviderCallID] {
				t.Errorf("call %d has the leg of another", i)
			}
			dialed[c.ProviderCallID] = true
			last = max(last, c.EndedAt.Sub(begin))
		}
		if n := len(o.Carrier.Calls()); n != calls {
			t.Errorf("the carrier has %d calls, want %d", n, calls)
		}
		most := 0
		for i, from := 0, 0; i < len(asked); i++ {
			for asked[i].Sub(asked[from]) >= time.Second {
				from++
			}
			most = max(most, i-from+1)
		}
		if most > rate {
			t.Errorf("the carrier was asked %d times in a second, want at most %d", most, rate)
		}
		// Each refusal holds up all, for the time that the carrier asks for, or 2 s.
		if limit := calls*time.Second/rate + time.Duration(len(asked)-calls)*3*time.Second; last > limit {
			t.Errorf("the last call was through after %v, want at most %v", last, limit)
		}
		if n := o.Connections(); n > 64 {
			t.Errorf("%d connections were opened", n)
		}
		t.Logf("%d requests for %d calls, at most %d in a second; the last through after %v; %d connections opened",
			len(asked), calls, most, last, o.Connections())
	})
}
