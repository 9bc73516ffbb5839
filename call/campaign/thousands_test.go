package campaign_test

import (
	"flag"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// many is how many contacts TestThousands has.
var many = flag.Int("contacts", 250, "contacts of the large campaign")

// A large campaign on a real service and a simulated carrier, in the middle of
// which the process is killed: by the carrier's own books no second has more dials
// than the pace allows, nobody is dialed outside the hours of the place, nobody is
// dialed twice for one attempt or more often than the campaign allows, and the one
// who goes on begins with those whom the dead one has left.
func TestThousands(t *testing.T) {
	const pace = 20
	began := time.Now()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, new(campaign.MemoryStore))
		list := contacts(*many)
		w.populate(list)
		p := w.process(false)
		spec := campaign.Spec{
			ID: "spring", CallsPerSecond: pace, Concurrency: 400, MaxAttempts: 3, PerDay: 2,
			Failures: campaign.Limit{Share: 1, Of: 1},
		}
		w.add(p, spec, list)
		start := time.Now()
		if _, err := p.Start(t.Context(), "spring"); err != nil {
			t.Fatal(err)
		}
		for len(w.dials()) < *many/3 {
			time.Sleep(7 * time.Second)
		}
		killed := time.Now()
		p.kill()
		early := len(w.dials())
		time.Sleep(2 * time.Minute) // its claims end
		q := w.process(true)
		if c := w.until(q, "spring", 10*24*time.Hour); c.State != campaign.Done {
			progress, err := q.Progress(t.Context(), "spring")
			t.Fatalf("campaign is %s %q: %+v, %v", c.State, c.Reason, progress, err)
		}
		took := time.Since(start)
		all := w.all(q, "spring")
		dials := w.dials()

		most := checkPace(t, dials, pace)
		checkHours(t, dials, all)
		counts := checkAttempts(t, dials, all, 3, 2)
		checkOrder(t, dials[early:], all, killed)
		progress, err := q.Progress(t.Context(), "spring")
		if err != nil || progress.Over != *many || progress.Waiting+progress.Live != 0 {
			t.Errorf("progress is %+v, %v", progress, err)
		}
		if s := q.Stats(); s.Taken == 0 {
			t.Error("the process that was killed has left nobody")
		} else {
			t.Logf("%d were left by the process that was killed", s.Taken)
		}
		runtime.ReadMemStats(&after)
		t.Logf("%d contacts, %d dials, at most %d in a second; it took %v of the town's time: %v", len(all), len(dials), most, took.Round(time.Second), counts)
	})
	t.Logf("computed in %v; %d MB of heap at the end, %d MB allocated", time.Since(began).Round(time.Millisecond), after.HeapAlloc>>20, (after.TotalAlloc-before.TotalAlloc)>>20)
}

// checkPace returns the most dials that any second had.
func checkPace(t *testing.T, dials []sim.CallInfo, pace float64) int {
	t.Helper()
	most := 0
	for i, from := 0, 0; i < len(dials); i++ {
		for dials[i].Created.Sub(dials[from].Created) >= time.Second {
			from++
		}
		most = max(most, i-from+1)
	}
	if most > int(math.Ceil(pace)) {
		t.Errorf("a second had %d dials, at a pace of %v", most, pace)
	}
	return most
}

// checkHours looks at the clocks of everybody who was dialed, while it rang.
func checkHours(t *testing.T, dials []sim.CallInfo, all []*campaign.Contact) {
	t.Helper()
	zones := make(map[telephony.Number][]string)
	for i, c := range all {
		zones[c.Number] = areas[i%len(areas)].zones
	}
	for _, d := range dials {
		for _, name := range zones[d.To] {
			zone, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []time.Time{d.Created, d.Started} {
				if h := at.In(zone).Hour(); !at.IsZero() && (h < 8 || h >= 21) {
					t.Errorf("%s was dialed at %v", name, at.In(zone))
				}
			}
		}
	}
}

// checkAttempts compares the contacts with the carrier's books, and returns how
// many attempts had each outcome.
func checkAttempts(t *testing.T, dials []sim.CallInfo, all []*campaign.Contact, most, perDay int) map[campaign.Outcome]int {
	t.Helper()
	dialed := make(map[telephony.Number][]time.Time)
	for _, d := range dials {
		dialed[d.To] = append(dialed[d.To], d.Created)
	}
	counts := make(map[campaign.Outcome]int)
	lost := 0
	for _, c := range all {
		got := dialed[c.Number]
		if len(got) > most || len(got) > len(c.Attempts) {
			t.Errorf("contact %d was dialed %d times in %d attempts", c.Seq, len(got), len(c.Attempts))
		}
		lost += len(c.Attempts) - len(got) // placed, and not dialed before the process was killed
		for i := perDay; i < len(got); i++ {
			if d := got[i].Sub(got[i-perDay]); d < 24*time.Hour {
				t.Errorf("contact %d was dialed %d times in %v", c.Seq, perDay+1, d)
			}
		}
		for _, a := range c.Attempts {
			counts[a.Outcome]++
		}
		if c.State != campaign.Over || len(c.Attempts) == 0 {
			t.Errorf("contact %d is %s after %d attempts", c.Seq, c.State, len(c.Attempts))
		}
	}
	if lost > 100 {
		t.Errorf("%d attempts were never dialed", lost)
	}
	return counts
}

// checkOrder looks at who was dialed for the first time after a process was killed:
// within each place they go on in order.
func checkOrder(t *testing.T, dials []sim.CallInfo, all []*campaign.Contact, killed time.Time) {
	t.Helper()
	first := make(map[telephony.Number]bool)
	seq := make(map[telephony.Number]int)
	for i, c := range all {
		first[c.Number] = len(c.Attempts) > 0 && c.Attempts[0].At.After(killed)
		seq[c.Number] = i
	}
	last := make(map[int]int) // by area
	for _, d := range dials {
		i := seq[d.To]
		if !first[d.To] {
			continue
		}
		first[d.To] = false
		if i < last[i%len(areas)] {
			t.Errorf("contact %d was called after %d", i, last[i%len(areas)])
		}
		last[i%len(areas)] = i
	}
}
