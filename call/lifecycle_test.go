package call

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/telephony"
)

var testLimits = limits{ring: time.Minute, duration: time.Hour, media: 15 * time.Second}

// play applies inputs one after the other, answering each cleanup step at once,
// and returns the states that were passed and all effects but timers.
func play(l life, inputs ...input) (life, []State, []effectKind) {
	return playWith(testLimits, l, inputs...)
}

func playWith(lim limits, l life, inputs ...input) (life, []State, []effectKind) {
	passed := []State{l.State}
	var did []effectKind
	queue := slices.Clone(inputs)
	for len(queue) > 0 {
		in := queue[0]
		queue = queue[1:]
		var todo []effect
		l, todo = apply(l, in, lim)
		if l.State != passed[len(passed)-1] {
			passed = append(passed, l.State)
		}
		var steps []input
		for _, e := range todo {
			switch e.kind {
			case doTimer, doStop:
				continue
			case doStep:
				steps = append(steps, input{kind: inStepDone, step: e.step})
			}
			did = append(did, e.kind)
		}
		queue = append(steps, queue...)
	}
	return l, passed, did
}

func report(s telephony.Status) input { return input{kind: inReport, leg: "CA1", status: s} }

var (
	beginning = input{kind: inBegin}
	dialed    = input{kind: inDialed, leg: "CA1"}
	asked     = input{kind: inAsked, leg: "CA1", status: telephony.StatusInProgress}
	started   = input{kind: inStreamStarted, leg: "CA1"}
	sound     = input{kind: inMedia}
	stopped   = input{kind: inStreamEnded, orderly: true}
	hungUp    = input{kind: inHungUp}
	notFound  = input{kind: inNotFound}
	forgotten = input{kind: inForgotten}
)

func leavingTo(a away) input { return input{kind: inLeaving, away: a, after: time.Minute} }
func endedBy(c Cause) input  { return input{kind: inEnd, cause: c} }
func fired(t timer) input    { return input{kind: inTimer, timer: t} }

func TestLife(t *testing.T) {
	inbound := life{Direction: telephony.Inbound, Dial: dialAccepted, Leg: "CA1"}
	tests := []struct {
		name   string
		first  life
		inputs []input
		states []State
		cause  Cause
	}{{
		name:   "answered, talked, the callee hangs up",
		inputs: []input{beginning, dialed, report(telephony.StatusRinging), asked, started, sound, stopped, report(telephony.StatusCompleted)},
		states: []State{Initiated, Connecting, Connected, Active, Ending, Completed},
		cause:  HangupRemote,
	}, {
		name:   "inbound, the agent returns and is played out",
		first:  inbound,
		inputs: []input{{kind: inAdmitted, leg: "CA1"}, started, sound, {kind: inAgentReturned}, {kind: inPlayedOut}, stopped, hungUp},
		states: []State{Initiated, Connecting, Connected, Active, Ending, Completed},
		cause:  AgentDone,
	}, {
		name:   "a webhook overtakes the reply to the dial",
		inputs: []input{beginning, asked, dialed, started, sound, stopped, hungUp},
		states: []State{Initiated, Connected, Active, Ending, Completed},
		cause:  HangupRemote,
	}, {
		name:   "the carrier's id for the call is not that of the dial",
		inputs: []input{beginning, {kind: inDialed, leg: "request"}, {kind: inAsked, leg: "CA1", request: "request"}, started, sound, stopped, hungUp},
		states: []State{Initiated, Connecting, Connected, Active, Ending, Completed},
		cause:  HangupRemote,
	}, {
		name:   "busy",
		inputs: []input{beginning, dialed, report(telephony.StatusBusy)},
		states: []State{Initiated, Connecting, Ending, Busy},
		cause:  Unreachable,
	}, {
		name:   "nobody answers, says the carrier",
		inputs: []input{beginning, dialed, report(telephony.StatusRinging), report(telephony.StatusNoAnswer)},
		states: []State{Initiated, Connecting, Ending, NoAnswer},
		cause:  Unreachable,
	}, {
		name:   "nobody answers, says our clock, and the carrier calls it canceled",
		inputs: []input{beginning, dialed, report(telephony.StatusRinging), fired(timerRing), report(telephony.StatusCanceled)},
		states: []State{Initiated, Connecting, Ending, NoAnswer},
		cause:  RingTimeout,
	}, {
		name:   "hung up while it rings, and the carrier calls it completed",
		inputs: []input{beginning, dialed, report(telephony.StatusRinging), endedBy(HangupLocal), hungUp, report(telephony.StatusCompleted)},
		states: []State{Initiated, Connecting, Ending, Canceled},
		cause:  HangupLocal,
	}, {
		name:   "hung up while the dial is on its way",
		inputs: []input{beginning, endedBy(HangupLocal), dialed, hungUp, report(telephony.StatusCanceled)},
		states: []State{Initiated, Ending, Canceled},
		cause:  HangupLocal,
	}, {
		name:   "given up, yet answered meanwhile",
		inputs: []input{beginning, dialed, endedBy(HangupLocal), report(telephony.StatusInProgress), hungUp},
		states: []State{Initiated, Connecting, Ending, Completed},
		cause:  HangupLocal,
	}, {
		name:   "the carrier refuses to dial",
		inputs: []input{beginning, {kind: inDialFailed, outcome: telephony.Rejected, cause: DialRejected}},
		states: []State{Initiated, Ending, Failed},
		cause:  DialRejected,
	}, {
		name:   "the reply is lost and the call was placed",
		inputs: []input{beginning, {kind: inDialFailed, outcome: telephony.Ambiguous}, asked, started, sound, stopped, hungUp},
		states: []State{Initiated, Connected, Active, Ending, Completed},
		cause:  HangupRemote,
	}, {
		name: "the reply is lost and the call was not placed",
		inputs: []input{
			beginning, {kind: inDialFailed, outcome: telephony.Ambiguous},
			fired(timerCheck), notFound, fired(timerCheck), notFound, fired(timerCheck), notFound, fired(timerCheck), notFound,
		},
		states: []State{Initiated, Ending, Failed},
		cause:  DialUnknown,
	}, {
		name:   "answered, and the stream does not come",
		inputs: []input{beginning, dialed, report(telephony.StatusInProgress), fired(timerMedia), hungUp},
		states: []State{Initiated, Connecting, Connected, Ending, Completed},
		cause:  NoMedia,
	}, {
		name:   "the socket breaks",
		inputs: []input{beginning, dialed, asked, started, sound, {kind: inStreamEnded, detail: "reset"}, hungUp},
		states: []State{Initiated, Connecting, Connected, Active, Ending, Completed},
		cause:  StreamLost,
	}, {
		name:   "transferred: the stream ends and the call does not",
		inputs: []input{beginning, dialed, asked, started, sound, leavingTo(awayTrying), stopped, {kind: inAgentReturned}, report(telephony.StatusCompleted)},
		states: []State{Initiated, Connecting, Connected, Active, Ending, Completed},
		cause:  Transferred,
	}, {
		name:   "the carrier never confirms the end",
		inputs: []input{beginning, dialed, endedBy(HangupLocal), fired(timerSettle), fired(timerSettle)},
		states: []State{Initiated, Connecting, Ending, Canceled},
		cause:  HangupLocal,
	}, {
		name:   "taken up after a crash in the middle of the talk",
		first:  life{State: Active, Dial: dialAccepted, Leg: "CA1", Answered: true, Stream: streamFlowing},
		inputs: []input{{kind: inRecovered}, hungUp},
		states: []State{Active, Ending, Completed},
		cause:  Interrupted,
	}, {
		name:  "taken up after a crash during the dial, of which the carrier knows nothing",
		first: life{},
		inputs: []input{
			{kind: inRecovered},
			fired(timerCheck), notFound, fired(timerCheck), notFound, fired(timerCheck), notFound, fired(timerCheck), notFound,
		},
		states: []State{Initiated, Ending, Failed},
		cause:  DialUnknown,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, states, did := play(tt.first, tt.inputs...)
			if diff := cmp.Diff(tt.states, states); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			if l.Cause != tt.cause {
				t.Errorf("cause %q, want %q", l.Cause, tt.cause)
			}
			if l.Leg != "" && l.Leg != "CA1" {
				t.Errorf("the carrier's id is %q", l.Leg)
			}
			if n := count(did, doStep); n != int(stepDone)-1 {
				t.Errorf("%d cleanup steps, want %d", n, stepDone-1)
			}
			if n := count(did, doDial); n > 1 {
				t.Errorf("dialed %d times", n)
			}
		})
	}
}

func count(did []effectKind, kind effectKind) int {
	n := 0
	for _, d := range did {
		if d == kind {
			n++
		}
	}
	return n
}

// Whatever happens, in whatever order, a life keeps what it promises.
func TestLifeInvariants(t *testing.T) {
	seeds := 20_000
	if testing.Short() {
		seeds = 2_000
	}
	for seed := range seeds {
		checkLife(t, uint64(seed))
	}
}

func FuzzLife(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(checkLife)
}

func checkLife(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var l life
	if rnd.IntN(3) == 0 {
		l = life{Direction: telephony.Inbound, Dial: dialAccepted, Leg: "CA1"}
	}
	lim := testLimits
	if rnd.IntN(2) == 0 {
		lim.grace = 5 * time.Second
	}
	var (
		dials, agents int
		begun         = map[step]int{}
		waiting       []step
		lastStep      step
	)
	next := input{kind: inBegin}
	if l.Direction == telephony.Inbound {
		next = input{kind: inAdmitted, leg: "CA1"}
	}
	for turn := 0; turn < 200; turn++ {
		before := l
		var todo []effect
		l, todo = apply(l, next, lim)
		if l.State < before.State || before.State.Terminal() && l != before {
			t.Fatalf("seed %d: %v went to %v on %+v", seed, before.State, l.State, next)
		}
		if before.State.Terminal() && len(todo) > 0 {
			t.Fatalf("seed %d: %d effects after the end", seed, len(todo))
		}
		if l.State == Completed && !l.Answered || l.State.Terminal() && l.Answered && l.State != Completed {
			t.Fatalf("seed %d: %v, answered %v", seed, l.State, l.Answered)
		}
		if before.Cause != CauseNone && l.Cause != before.Cause {
			t.Fatalf("seed %d: cause %q became %q", seed, before.Cause, l.Cause)
		}
		for _, e := range todo {
			switch e.kind {
			case doDial:
				dials++
			case doAgent:
				agents++
			case doHangup, doCheck:
				if l.Leg == "" {
					t.Fatalf("seed %d: carrier told about a call without id", seed)
				}
			case doStep:
				if begun[e.step]++; begun[e.step] > 1 || e.step != lastStep+1 {
					t.Fatalf("seed %d: step %v after %v, %d times", seed, e.step, lastStep, begun[e.step])
				}
				lastStep = e.step
				waiting = append(waiting, e.step)
			}
		}
		if l.State.Terminal() && lastStep != stepRecord {
			t.Fatalf("seed %d: terminal after step %v", seed, lastStep)
		}
		next = randomInput(rnd, &waiting)
	}
	if dials > 1 || agents > 1 {
		t.Fatalf("seed %d: %d dials, %d agents", seed, dials, agents)
	}
	// From here on nothing goes wrong: the call must come to its end.
	for range 40 {
		if len(waiting) > 0 {
			l, _ = applyAll(l, &waiting, input{kind: inStepDone, step: waiting[0]})
			continue
		}
		l, _ = applyAll(l, &waiting, endedBy(HangupLocal))
		l, _ = applyAll(l, &waiting, fired(timerSettle))
	}
	if !l.State.Terminal() {
		t.Fatalf("seed %d: stuck: %+v", seed, l)
	}
}

func applyAll(l life, waiting *[]step, in input) (life, []effect) {
	if in.kind == inStepDone {
		*waiting = (*waiting)[1:]
	}
	l, todo := apply(l, in, testLimits)
	for _, e := range todo {
		if e.kind == doStep {
			*waiting = append(*waiting, e.step)
		}
	}
	return l, todo
}

func randomInput(rnd *rand.Rand, waiting *[]step) input {
	if len(*waiting) > 0 && rnd.IntN(3) == 0 {
		s := (*waiting)[0]
		*waiting = (*waiting)[1:]
		return input{kind: inStepDone, step: s}
	}
	kinds := []inputKind{
		inDialed, inDialFailed, inReport, inReport, inReport, inAsked, inStreamStarted, inMedia, inStreamEnded,
		inAgentReturned, inPlayedOut, inEnd, inLeaving, inLeaveFailed, inReturning, inStreamLost, inTimer, inTimer, inChecked, inHungUp, inNotFound, inForgotten, inStepDone,
	}
	causes := []Cause{HangupLocal, Drain, Silence, MaxDuration}
	in := input{
		kind:    kinds[rnd.IntN(len(kinds))],
		status:  telephony.Status(rnd.IntN(int(telephony.StatusTimeout) + 1)),
		outcome: telephony.Outcome(rnd.IntN(4)),
		timer:   timer(rnd.IntN(int(timers))),
		orderly: rnd.IntN(2) == 0,
		talked:  rnd.IntN(10) == 0,
	}
	switch in.kind {
	case inDialed, inReport, inAsked, inStreamStarted:
		in.leg = "CA1"
	case inEnd:
		in.cause = causes[rnd.IntN(len(causes))]
	case inLeaving:
		in.away = awayBriefly + away(rnd.IntN(4))
		if in.away == awayBack {
			in.away = awayForGood
		}
	case inDialFailed:
		in.cause = DialFailed
	case inAgentReturned:
		if rnd.IntN(2) == 0 {
			in.cause = AgentError
		}
	case inStepDone:
		in.step = step(rnd.IntN(int(stepDone))) // an echo: of no step that is being done
		if len(*waiting) > 0 && (*waiting)[0] == in.step {
			in.kind = inHungUp
		}
	}
	return in
}

// The same reports in any order lead to the same end.
func TestLifeOrderDoesNotMatter(t *testing.T) {
	reports := []telephony.Status{
		telephony.StatusInitiated, telephony.StatusRinging, telephony.StatusInProgress, telephony.StatusCompleted,
	}
	want := State(0)
	permute(reports, func(order []telephony.Status) {
		inputs := []input{beginning, dialed}
		for _, s := range order {
			inputs = append(inputs, report(s))
		}
		l, _, _ := play(life{}, inputs...)
		if want == 0 {
			want = l.State
		}
		if l.State != want || l.State != Completed || l.Cause != HangupRemote {
			t.Errorf("%v: %v, %q", order, l.State, l.Cause)
		}
	})
}

func permute[T any](s []T, f func([]T)) {
	var rec func(int)
	rec = func(i int) {
		if i == len(s) {
			f(s)
			return
		}
		for j := i; j < len(s); j++ {
			s[i], s[j] = s[j], s[i]
			rec(i + 1)
			s[i], s[j] = s[j], s[i]
		}
	}
	rec(0)
}

// The life asks no clock, starts nothing and does no I/O.
func TestLifeIsPure(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "lifecycle.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{`"time"`, `"github.com/switchboard-voice/switchboard/telephony"`}
	for _, i := range file.Imports {
		if !slices.Contains(allowed, i.Path.Value) {
			t.Errorf("lifecycle.go imports %s", i.Path.Value)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && !slices.Contains([]string{"Duration", "Millisecond", "Second", "Minute"}, n.Sel.Name) {
				t.Errorf("lifecycle.go uses time.%s", n.Sel.Name)
			}
		case *ast.GoStmt, *ast.SendStmt, *ast.SelectStmt:
			t.Errorf("lifecycle.go has a %T", n)
		}
		return true
	})
}
