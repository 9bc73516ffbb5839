package call_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	worlds     = flag.Int("worlds", 0, "make so many service worlds, instead of a few hundred")
	worldsSeed = flag.Uint64("worlds.seed", 0, "make only the service world with this seed, and tell its story")
	worldsFrom = flag.Uint64("worlds.first", 1, "the seed of the first service world")
)

// worldsWanted are the faults and ends that must have happened in a few hundred
// worlds, worldsRare those of a few thousand.
var (
	worldsWanted = []string{
		"create", "request", "callback-lost", "callback-doubled", "callback-reordered", "callback-late",
		"frame-lost", "frame-held", "store fails", "store is slow", "store's reply is lost", "intent not stored",
		"process dies", "drain", "hung up by the host", "batch cut short", "placed again",
		"agent panics", "agent fails", "agent stays", "transfer", "warm transfer", "hold", "keys", "browser",
		"ended completed", "ended failed", "ended busy", "ended no_answer", "ended canceled",
	}
	worldsRare = []string{
		"cut", "half-open", "stall", "deaf", "second-start", "stop", "reconnect",
		"mark-first", "mark-lost", "mark-late", "mark-doubled", "frame-gap",
	}
)

// Whole calls on the real service, between a carrier, people, agents, a store and
// a process that all fail: what is seen from outside keeps the rules of
// docs/faults.md. The simulation of lives is above it in numbers, and below it in
// what is real.
//
// A seed makes a world, not a schedule: goroutines that run at the same virtual
// time may take turns in another order when it is made again.
func TestServiceWorlds(t *testing.T) {
	if *worldsSeed > 0 {
		w := makeWorld(t, *worldsSeed, 0)
		t.Logf("seed %d:\n%s", w.seed, w.story())
		for _, b := range w.broken {
			t.Error(b)
		}
		return
	}
	n := 300
	if *worlds > 0 {
		n = *worlds
	}
	fired := make(map[string]int)
	begun, virtual := time.Now(), time.Duration(0)
	for seed := *worldsFrom; seed < *worldsFrom+uint64(n); seed++ {
		w := makeWorld(t, seed, 0)
		if len(w.broken) > 0 {
			t.Errorf("seed %d:\n%s\n%s", seed, w.story(), strings.Join(w.broken, "\n"))
		}
		virtual += w.lasted
		for what, n := range w.fired {
			fired[what] += n
		}
	}
	t.Logf("%d worlds, %d calls, %v of virtual time, in %v", n, fired["calls"],
		virtual.Round(time.Minute), time.Since(begun).Round(time.Millisecond))
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(fired)) {
		fmt.Fprintf(&b, "%9d  %s\n", fired[what], what)
	}
	t.Logf("what happened:\n%s", b.String())
	wanted := worldsWanted
	switch {
	case n < 300:
		return
	case n >= 5000:
		wanted = append(wanted, worldsRare...)
	}
	for _, what := range wanted {
		if fired[what] == 0 {
			t.Errorf("it never happened: %s", what)
		}
	}
}

// makeWorld makes the world of a seed and lives it to its end, with a bug planted
// in it if that is not 0.
func makeWorld(t *testing.T, seed uint64, bug bug) *world {
	w := newWorld(seed, bug)
	synctest.Test(t, func(t *testing.T) {
		w.begin(t)
		w.live()
		w.judge()
		w.close()
	})
	return w
}
