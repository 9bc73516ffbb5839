package call_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony/plivo"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// world is one service, or one after the other, with all that is around it.
type world struct {
	seed uint64
	bug  bug
	dice *rand.Rand // of whoever makes the world; parts have their own

	t       *testing.T
	begun   time.Time
	lasted  time.Duration
	network *calltest.Network
	records *call.MemoryStore
	disk    *recording.Memory
	mood    mood
	parts   []*part
	around  sync.WaitGroup // people, hosts, and processes that were killed
	over    chan struct{}  // closed when nothing more begins

	limits struct{ ring, duration time.Duration }

	healed  atomic.Bool // the store fails no more
	unsaved atomic.Bool // a shutdown has said that ends were lost

	mu        sync.Mutex // guards what follows
	storeDice *rand.Rand
	process   *process // the one that runs
	processes []*process
	lines     []line
	broken    []string
	fired     map[string]int
	words     map[string][]string // by call: what the recogniser has heard
	legs      map[string]int      // by number: how often the policy has allowed it
	ends      map[string][]string // by call: what has been closed, in order
}

// line is one of a world's story.
type line struct {
	at   time.Duration
	text string
	args []any
}

// process is a process that runs the service.
type process struct {
	*call.Service
	world   *world
	machine *calltest.Machine
	dead    atomic.Bool

	placed   int // calls that it took; guarded by world.mu
	left     int // by another process, and taken up; likewise
	drained  time.Time
	stopTap  context.CancelFunc
	tap      chan struct{} // closed when heard is complete
	heard    map[string][]call.Event
	shutdown sync.Once
}

func newWorld(seed uint64, b bug) *world {
	return &world{
		seed: seed, bug: b, dice: rand.New(rand.NewPCG(seed, 1)), storeDice: rand.New(rand.NewPCG(seed, 2)),
		fired: make(map[string]int), words: make(map[string][]string),
		legs: make(map[string]int), ends: make(map[string][]string),
	}
}

func (w *world) roll(n int) int { return w.dice.IntN(n) }

// within is a duration up to most, in steps of 10 ms.
func (w *world) within(most time.Duration) time.Duration {
	return time.Duration(w.dice.Int64N(int64(most/(10*time.Millisecond))+1)) * 10 * time.Millisecond
}

func (w *world) note(text string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, line{time.Since(w.begun), text, args})
}

// fire counts something that has happened.
func (w *world) fire(what string) {
	w.mu.Lock()
	w.fired[what]++
	w.mu.Unlock()
	w.note("%s", what)
}

// breaks notes that a rule is broken.
func (w *world) breaks(rule, text string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, rule+": "+fmt.Sprintf(text, args...))
}

func (w *world) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, l := range w.lines {
		fmt.Fprintf(&b, "%9.3fs  %s\n", l.at.Seconds(), fmt.Sprintf(l.text, l.args...))
	}
	return b.String()
}

// begin makes the world. T is that of its bubble.
func (w *world) begin(t *testing.T) {
	w.t, w.begun, w.over = t, time.Now(), make(chan struct{})
	w.mood = w.drawMood()
	dialect := calltest.NewNetwork
	if w.roll(2) == 1 {
		dialect = calltest.NewPlivoNetwork
	}
	w.network = dialect(t, w.mood.carrier)
	w.records = call.NewMemoryStore()
	w.disk = recording.NewMemory("memory")
	w.limits.ring = time.Duration(4+w.roll(6)) * time.Second
	w.limits.duration = time.Duration(6+w.roll(8)) * time.Second
	w.note("%s, %v", w.network.Carrier.AccountSID()[:2], w.mood)
	w.start()
	for n := range 1 + w.roll(4) {
		w.parts = append(w.parts, w.drawPart(n))
	}
}

// start begins a process with the world's store.
func (w *world) start() {
	p := &process{world: w, machine: w.network.Machine(), heard: make(map[string][]call.Event), tap: make(chan struct{})}
	switch provider := p.machine.Provider.(type) {
	case *twilio.Provider:
		provider.Transport = w.bug.onTheWire(w, provider.Transport)
	case *plivo.Provider:
		provider.Transport = w.bug.onTheWire(w, provider.Transport)
	}
	store := &shakyStore{Store: w.records, process: p}
	svc, err := call.New(call.Config{
		PublicURL:         calltest.PublicURL,
		Providers:         []call.Provider{p.machine.Provider},
		Agents:            call.Agents{"agent": call.AgentFunc(w.serve), "other": call.AgentFunc(w.takeOver)},
		Recorder:          &watchedRecorder{recording.WAV{Storage: &mortalDisk{w.disk, p}}, p},
		RecordInbound:     true,
		Transcriber:       &listener{p},
		TranscribeInbound: true,
		Store:             store,
		Policy:            call.PolicyFunc(w.allow),
		RingTimeout:       w.limits.ring,
		MaxDuration:       w.limits.duration,
		NoMedia:           3 * time.Second,
		Silence:           20 * time.Second,
		StreamGrace:       w.mood.grace,
		AgentGrace:        2 * time.Second,
		HoldSound: func(rate int) audio.Reader {
			return mark(holdMark, 10*time.Second)
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p.Service = svc
	ctx, stop := context.WithCancel(context.Background())
	p.stopTap = stop
	go p.listen(svc.Subscribe(ctx, 10_000))
	if len(w.processes) > 0 {
		p.recover()
	}
	p.machine.Connect(svc)
	w.mu.Lock()
	w.process = p
	w.processes = append(w.processes, p)
	w.mu.Unlock()
}

// recover takes up what another process has left.
func (p *process) recover() {
	live := call.Filter{States: []call.State{call.Initiated, call.Connecting, call.Connected, call.Active, call.Ending}, Limit: 1000}
	left, err := p.world.records.List(context.Background(), live)
	if err != nil {
		p.world.t.Fatal(err)
	}
	p.left = len(left)
	for p.Recover(context.Background()) != nil { // whose store may fail
		time.Sleep(100 * time.Millisecond)
	}
}

// listen keeps the events that a subscriber hears, until the process is dead.
func (p *process) listen(s *call.Subscription) {
	defer close(p.tap)
	for e := range s.C {
		if p.dead.Load() {
			continue
		}
		p.heard[e.CallID] = append(p.heard[e.CallID], e)
		p.world.note("%s %d: %s %v %s %s %s", e.CallID[:9], e.Seq, e.Type, e.State, e.Cause, e.Name, e.Detail)
	}
	if n := s.Dropped(); n > 0 {
		p.world.breaks("S18", "a subscriber lost %d events", n)
	}
}

// kill ends a process as kill -9 does: nothing it does from now on is seen by
// anybody, on the network, in the store or on disk.
func (p *process) kill() {
	p.world.fire("process dies")
	p.dead.Store(true)
	p.machine.Kill()
	p.stopTap()
	<-p.tap
	p.world.around.Go(func() { p.stop(0) }) // lets go of its goroutines
}

// stop shuts the process down and returns how long that took.
func (p *process) stop(patience time.Duration) (took time.Duration) {
	p.shutdown.Do(func() {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err := p.Shutdown(ctx) // which says that calls were cut off
		if errors.Is(err, call.ErrUnsaved) && !p.dead.Load() {
			p.world.fire("shutdown without the store")
			p.world.unsaved.Store(true)
		}
		took = time.Since(begun)
	})
	return took
}

// current is the process that runs.
func (w *world) current() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process
}

// worldEnds is when whatever was begun has come to its end.
const worldEnds = 4 * time.Minute

// live lets everything happen.
func (w *world) live() {
	for _, p := range w.parts {
		w.around.Go(p.happen)
	}
	fate := w.roll(3)
	switch at := w.within(12 * time.Second); fate {
	case 1:
		w.around.Go(func() { w.crash(at) })
	case 2:
		w.around.Go(func() { w.drain(at) })
	}
	time.Sleep(worldEnds / 2)
	w.healed.Store(true)
	time.Sleep(worldEnds / 2)
	close(w.over)
	if p := w.current(); p.drained.IsZero() {
		p.checkDrain(0, p.stop(time.Minute))
	}
	w.around.Wait()
	for _, p := range w.processes {
		p.stopTap()
		<-p.tap
	}
	w.lasted = time.Since(w.begun)
}

// crash kills the process and starts another one.
func (w *world) crash(at time.Duration) {
	dice := rand.New(rand.NewPCG(w.seed, 3))
	time.Sleep(at)
	w.current().kill()
	time.Sleep(time.Duration(dice.IntN(5000)) * time.Millisecond)
	w.start()
	w.note("started again")
}

// drain shuts the process down while calls live.
func (w *world) drain(at time.Duration) {
	dice := rand.New(rand.NewPCG(w.seed, 4))
	time.Sleep(at)
	w.fire("drain")
	p := w.current()
	p.drained = time.Now()
	patience := time.Duration(dice.IntN(8)) * time.Second
	w.around.Go(func() { // too late
		time.Sleep(time.Millisecond)
		if c, err := p.Place(context.Background(), call.Request{AgentID: "agent", To: "+12025559999", From: ours}); err == nil {
			w.breaks("S21", "%s was placed while the service drains", c.ID)
		}
	})
	p.checkDrain(patience, p.stop(patience))
	w.note("drained")
}

// checkDrain judges how long a shutdown took.
func (p *process) checkDrain(patience, took time.Duration) {
	if limit := patience + time.Minute; took > limit {
		p.world.breaks("L2", "shutdown took %v, want at most %v", took, limit)
	}
}

func (w *world) allow(_ context.Context, leg call.Leg) error {
	if w.bug == policyNotAsked {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.legs[string(leg.To)]++
	return nil
}

// close lets go of what the network does not.
func (w *world) close() {
	for _, p := range w.processes {
		p.machine.Kill()
	}
	for what, n := range w.network.Carrier.Fired() {
		w.fired[what] += n
	}
}

// roundTripper is an http.RoundTripper that is a function.
type roundTripper func(r *http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
