package call

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

var (
	seeds = flag.Int("seeds", 0, "simulate so many worlds, instead of a few thousand")
	first = flag.Uint64("first", 0, "the seed of the first simulated world")
)

// experiment is a world to be made, and how it is to be watched.
type experiment struct {
	seed  uint64
	apply reducer
	flaws flaws
	tally *tally

	tapes  [][]uint16 // the choices to make, instead of those of the seed
	record bool       // the choices
	trace  bool
	alone  bool // without a neighbour
	meek   bool // with one that leaves the processes and the numbers of the first call alone
	keep   bool // what a call was told, to tell it again
}

// run lives the world to its end, or to the first rule that is broken.
func (e experiment) run() (w *world, broken *violation) {
	w = &world{apply: e.apply, flaws: e.flaws, tally: e.tally, meek: e.meek, keep: e.keep}
	if e.trace {
		w.trace = &trace{}
	}
	if w.tally == nil {
		w.tally = newTally()
	}
	w.dice = e.dice(0)
	moods := rand.NewPCG(e.seed, 9)
	w.mood = moodOf(moods)
	w.set()
	n := 1
	if w.dice.roll(2) == 1 && !e.alone || e.meek {
		n = 2
	}
	for i := range n {
		c := &simCall{w: w, name: string(rune('A' + i)), dice: e.dice(i + 1)}
		c.inbound = c.dice.roll(4) == 3
		w.calls = append(w.calls, c)
	}
	if e.meek || e.alone {
		w.sameEnds = false
		w.mood[createReplyLost] = 0 // such a call waits for a restart, which the other one would delay
	}
	defer func() {
		if r := recover(); r != nil {
			v, ok := r.(*violation)
			if !ok {
				panic(fmt.Sprintf("seed %d: %v", e.seed, r))
			}
			broken = v
		}
	}()
	w.run()
	w.tally.worlds++
	return w, nil
}

// set chooses what kind of world it is.
func (w *world) set() {
	d := &w.dice
	w.lim = limits{ring: time.Minute, duration: 10 * time.Minute, media: 15 * time.Second}
	if d.roll(2) == 1 {
		w.lim.silence, w.lim.callerSilence, w.lim.agentStall = time.Minute, 90*time.Second, 40*time.Second
	}
	if d.roll(2) == 1 {
		w.lim.grace = 5 * time.Second
	}
	w.twoIDs = d.roll(2) == 1
	w.backup = d.roll(4) == 3
	w.sameEnds = d.roll(4) == 3
	w.calm = d.within([]time.Duration{2 * time.Minute, 10 * time.Minute}[d.roll(2)])
}

func (e experiment) dice(part int) dice {
	if e.tapes != nil {
		d := dice{replay: true}
		if part < len(e.tapes) {
			d.tape = e.tapes[part]
		}
		return d
	}
	d := newDice(e.seed, uint64(part))
	d.record = e.record
	return d
}

// tally counts what has happened in many worlds.
type tally struct {
	worlds, happenings int
	refusals, drains   int
	fired              [faults]int
	seen               [states][inputKinds]int
	ended              [states]int
	causes             map[Cause]int
}

// wantPairs is how many pairs of a state and an input are to be seen at least.
const wantPairs = 110

// inputKinds is how many there are.
const inputKinds = int(inRecovered) + 1

func newTally() *tally { return &tally{causes: map[Cause]int{}} }

func (t *tally) add(u *tally) {
	t.worlds += u.worlds
	t.happenings += u.happenings
	t.refusals += u.refusals
	t.drains += u.drains
	for i := range t.fired {
		t.fired[i] += u.fired[i]
	}
	for s := range t.seen {
		t.ended[s] += u.ended[s]
		for k := range t.seen[s] {
			t.seen[s][k] += u.seen[s][k]
		}
	}
	for c, n := range u.causes {
		t.causes[c] += n
	}
}

// Whatever happens to a call, and to the process that has it, no rule is broken.
func TestSimulation(t *testing.T) {
	n := 3_000
	if *seeds > 0 {
		n = *seeds
	}
	const workers = 2
	var wait sync.WaitGroup
	var mu sync.Mutex
	total := newTally()
	begun := time.Now()
	for worker := range workers {
		wait.Go(func() {
			own := newTally()
			for seed := *first + uint64(worker); seed < *first+uint64(n); seed += workers {
				e := experiment{seed: seed, apply: apply, tally: own, keep: seed%16 < 2}
				if _, broken := e.run(); broken != nil {
					t.Errorf("seed %d: %v\n%s", seed, broken, e.explain(broken.rule))
					return
				}
			}
			mu.Lock()
			total.add(own)
			mu.Unlock()
		})
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d worlds, %d happenings, in %v", total.worlds, total.happenings, time.Since(begun).Round(time.Millisecond))
	total.judge(t)
}

// judge reports what was counted, and fails if something has not happened at
// all.
func (t *tally) judge(tb testing.TB) {
	var b strings.Builder
	for f, n := range t.fired {
		fmt.Fprintf(&b, "%9d  %v\n", n, fault(f))
		if n == 0 {
			tb.Errorf("it never happened that %v", fault(f))
		}
	}
	tb.Logf("faults that fired:\n%s", b.String())
	b.Reset()
	for s := Completed; s < states; s++ {
		fmt.Fprintf(&b, "%9d  %v\n", t.ended[s], s)
		if t.ended[s] == 0 {
			tb.Errorf("no call has ended %v", s)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(t.causes)) {
		fmt.Fprintf(&b, "%9d  %s\n", t.causes[c], c)
	}
	tb.Logf("ends:\n%s", b.String())
	if t.drains == 0 || t.refusals == 0 {
		tb.Errorf("%d drains, %d streams refused", t.drains, t.refusals)
	}
	pairs := 0
	b.Reset()
	w := tabwriter.NewWriter(&b, 0, 8, 1, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\t")
	for s := range states {
		fmt.Fprintf(w, "%v\t", s)
	}
	fmt.Fprintln(w)
	for k := range inputKinds {
		fmt.Fprintf(w, "%v\t", inputKind(k))
		for s := range states {
			fmt.Fprintf(w, "%d\t", t.seen[s][k])
			if t.seen[s][k] > 0 {
				pairs++
			}
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	tb.Logf("%d pairs of state and input:\n%s", pairs, b.String())
	if pairs < wantPairs {
		tb.Errorf("%d pairs of state and input were seen, want %d", pairs, wantPairs)
	}
}

// The same seed is the same world.
func TestSimulationIsDeterministic(t *testing.T) {
	for seed := range uint64(100) {
		e := experiment{seed: seed, apply: apply}
		a, _ := e.run()
		b, _ := e.run()
		for i := range a.calls {
			if a.calls[i].log != b.calls[i].log {
				t.Fatalf("seed %d: call %s went another way", seed, a.calls[i].name)
			}
		}
	}
}

// What happens to one call changes nothing about another one.
func TestSimulationNeighbours(t *testing.T) {
	for seed := range uint64(300) {
		if why := neighbours(seed, apply, flaws{}); why != nil {
			t.Fatalf("seed %d: %v", seed, why)
		}
	}
}

// neighbours lives a call without and with a neighbour.
func neighbours(seed uint64, apply reducer, flaws flaws) *violation {
	e := experiment{seed: seed, apply: apply, flaws: flaws, alone: true}
	alone, broken := e.run()
	if broken != nil {
		return broken
	}
	e.alone, e.meek = false, true
	both, broken := e.run()
	if broken != nil {
		return broken
	}
	if alone.calls[0].log != both.calls[0].log {
		return &violation{rule: ruleS23, what: "with a neighbour the call goes another way", at: both.now}
	}
	return nil
}

// The order of a carrier's reports does not matter to how a call ends, if they
// come while it can still be told.
func TestSimulationOrder(t *testing.T) {
	for seed := range uint64(4_000) {
		if why := orders(seed, apply); why != nil {
			t.Fatalf("seed %d: %v", seed, why)
		}
	}
}

// orders tells a call the same reports in two orders, between the same other
// events.
func orders(seed uint64, apply reducer) *violation {
	d := newDice(seed, 0)
	var reports []telephony.Status
	for range 1 + d.roll(4) {
		reports = append(reports, telephony.StatusQueued+telephony.Status(d.roll(int(telephony.StatusTimeout))))
	}
	causes := []Cause{CauseNone, HangupLocal, RingTimeout}
	cause := causes[d.roll(len(causes))]
	var ends [2]State
	for i := range ends {
		if i == 1 {
			reports = slices.Clone(reports)
			for j := len(reports) - 1; j > 0; j-- {
				k := d.roll(j + 1)
				reports[j], reports[k] = reports[k], reports[j]
			}
		}
		l, _ := apply(life{}, beginning, testLimits)
		l, _ = apply(l, dialed, testLimits)
		if cause != CauseNone {
			l, _ = apply(l, endedBy(cause), testLimits)
		}
		for _, s := range reports {
			l, _ = apply(l, report(s), testLimits)
		}
		l, _ = apply(l, endedBy(MaxDuration), testLimits)
		for s := stepSockets; s <= stepMetrics; s++ {
			l, _ = apply(l, input{kind: inStepDone, step: s}, testLimits)
		}
		l, _ = apply(l, fired(timerSettle), testLimits)
		l, _ = apply(l, fired(timerSettle), testLimits)
		l, _ = apply(l, input{kind: inStepDone, step: stepRecord}, testLimits)
		ends[i] = l.State
	}
	if ends[0] != ends[1] || !ends[0].Terminal() {
		return &violation{rule: ruleS11, what: fmt.Sprintf("%v in another order: %v and %v", reports, ends[0], ends[1])}
	}
	return nil
}
