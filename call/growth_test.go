package call_test

import (
	"flag"
	"log/slog"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

var manyCalls = flag.Int("calls", 1000, "make so many calls on one service, and see what they leave")

// footprint is what a process holds.
type footprint struct {
	goroutines, descriptors int
	heap                    uint64
}

func takeFootprint(t *testing.T) footprint {
	t.Helper()
	runtime.GC()
	runtime.GC() // what finalizers and pools have let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f := footprint{goroutines: runtime.NumGoroutine(), heap: m.HeapAlloc}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil { // Linux
		f.descriptors = len(open)
	}
	return f
}

// Many calls, two of five of which are busy, unanswered or out of order, leave
// nothing behind on the service that has made them: no goroutine, no descriptor,
// and no memory that grows from call to call.
func TestManyCallsLeaveNothing(t *testing.T) {
	const (
		atOnce  = 50
		samples = 20
		// mostGrowth is how many bytes a call may leave. A record with its events is
		// several times as large; in a few calls the runtime itself moves some hundred.
		mostGrowth = 1024
	)
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(200*time.Millisecond), func(c *call.Config) {
			c.Store = &call.MemoryStore{MaxEnded: 100}
			c.Logger = slog.New(slog.DiscardHandler)
			c.Recorder = nil
		})
		go func() { // nobody looks at the events
			for range o.events.C {
			}
		}()
		numbers := []telephony.Number{"+12025550150", "+12025550151", "+12025550152", "+12025550153", "+12025550154"}
		outcomes := []sim.Outcome{sim.Answer, sim.Answer, sim.Answer, sim.Busy, sim.NoAnswer}
		for i, n := range numbers {
			o.Phone(string(n)).Behave(sim.Behavior{Outcome: outcomes[i], Ring: time.Second})
		}
		ended := make(map[call.State]int)
		makeCalls := func(n int) {
			for done := 0; done < n; done += atOnce {
				if done/atOnce%2 == 1 {
					o.Phone(string(numbers[3])).Behave(sim.Behavior{Outcome: sim.Failed})
				} else {
					o.Phone(string(numbers[3])).Behave(sim.Behavior{Outcome: sim.Busy, Ring: time.Second})
				}
				var reqs []call.Request
				for i := range atOnce {
					reqs = append(reqs, call.Request{AgentID: "agent", To: numbers[i%len(numbers)], From: ours})
				}
				for _, p := range o.PlaceAll(t.Context(), reqs) {
					if p.Err != nil {
						t.Fatal(p.Err)
					}
					ended[o.wait(p.Call.ID).State]++
				}
			}
			time.Sleep(10 * time.Minute) // what the carrier keeps open ends
			o.Carrier.Forget()
			synctest.Wait()
		}
		makeCalls(max(500, *manyCalls/samples)) // pools and maps have their size then
		first := takeFootprint(t)
		var xs, heaps []float64
		last := first
		for i := range samples {
			makeCalls(*manyCalls / samples)
			last = takeFootprint(t)
			xs, heaps = append(xs, float64((i+1)*(*manyCalls/samples))), append(heaps, float64(last.heap))
		}
		growth := slope(xs, heaps)
		t.Logf("%d calls after some to warm up: %v in all", *manyCalls, ended)
		t.Logf("goroutines %d, then %d; descriptors %d, then %d; heap %d KiB, then %d KiB: %.1f bytes a call",
			first.goroutines, last.goroutines, first.descriptors, last.descriptors, first.heap>>10, last.heap>>10, growth)
		if last.goroutines > first.goroutines || last.descriptors > first.descriptors {
			t.Errorf("%+v at first, %+v at last", first, last)
		}
		most := float64(mostGrowth)
		if *carrier == "plivo" {
			most *= 4 // its adapter fills its memory of nonces, which has a bound, with the first thousands of calls
		}
		if growth > most {
			t.Errorf("the heap grows by %.0f bytes a call, want at most %.0f", growth, most)
		}
		if s := o.Stats(); s.Live != 0 || s.PersistPending != 0 || s.AgentsLeft != 0 {
			t.Errorf("left: %+v", s)
		}
	})
}

// slope is that of the straight line that fits best (least squares).
func slope(xs, ys []float64) float64 {
	var sx, sy, sxx, sxy float64
	n := float64(len(xs))
	for i, x := range xs {
		sx, sy, sxx, sxy = sx+x, sy+ys[i], sxx+x*x, sxy+x*ys[i]
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}
