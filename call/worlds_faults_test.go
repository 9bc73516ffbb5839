package call_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// mood is what goes wrong in a world, and how often.
type mood struct {
	carrier sim.Faults
	store   float64       // chance of each write
	grace   time.Duration // Config.StreamGrace
	text    string
}

func (m mood) String() string { return m.text }

// blind reports whether the carrier may not have told us what became of a call.
func (m mood) blind() bool {
	f := &m.carrier
	return f.CallbackLost > 0 || f.CallbackLate > 0 || f.Request != nil || f.Create != nil
}

// deaf reports whether the carrier may not do what it is asked.
func (m mood) deaf() bool { return m.carrier.Request != nil || m.carrier.Create != nil }

// drawMood draws a world without faults, with all kinds of them, or with one.
func (w *world) drawMood() mood {
	m := mood{carrier: sim.Faults{Seed: w.seed}}
	if w.roll(3) == 0 {
		m.grace = 2 * time.Second
	}
	kind := w.roll(100)
	only := w.roll(8)
	has := func(n int) bool {
		switch {
		case kind < 20:
			return false
		case kind < 55:
			return n == only
		}
		return w.roll(2) == 0
	}
	some := func() float64 { return float64(w.roll(3)) * w.dice.Float64() / 3 }
	f := &m.carrier
	if has(0) {
		f.CallbackLost, f.CallbackDoubled, f.CallbackReordered, f.CallbackLate = some(), some(), some(), some()
		f.CallbackDelay = w.within(6 * time.Second)
		m.text += " callbacks"
	}
	if has(1) {
		f.Create = apiFaults(w.seed, 10)
		m.text += " dials"
	}
	if has(2) {
		chosen := apiFaults(w.seed, 11)
		f.Request = func(n int, _ *http.Request) sim.CreateFault { return chosen(n) }
		m.text += " requests"
	}
	if has(3) {
		f.MarkLost, f.MarkDoubled, f.MarkLate = some(), some(), some()
		f.MarkDelay = w.within(3 * time.Second)
		f.FirstMarkLost = w.roll(2) == 0
		m.text += " marks"
	}
	if has(4) {
		f.FrameLost, f.FrameDoubled, f.FrameSwapped = some()/5, some()/5, some()/5
		f.FrameHeld, f.FrameGap = some()/20, some()/50
		m.text += " frames"
	}
	if has(5) {
		m.store = 0.4 * w.dice.Float64()
		m.text += " store"
	}
	if m.text == "" {
		m.text = " quiet"
	}
	return m
}

// strike draws what happens to the streams of one part.
func (w *world) strike(f sim.Faults) sim.Faults {
	at := 100*time.Millisecond + w.within(4*time.Second)
	switch w.roll(7) {
	case 0:
		f.CutAfter = at
	case 1:
		f.StallAfter, f.StallTime = at, w.within(4*time.Second)
	case 2:
		f.HalfOpenAfter = at
	case 3:
		f.DeafAfter = at
	case 4:
		f.SecondStartAfter = at
	case 5:
		f.StopAfter = at
	case 6:
		f.ReconnectAfter = at
	}
	return f
}

// apiFaults returns what goes wrong with each request to a carrier's API.
func apiFaults(seed, part uint64) func(n int) sim.CreateFault {
	return func(n int) sim.CreateFault {
		dice := rand.New(rand.NewPCG(seed, part<<32|uint64(n)))
		switch dice.IntN(18) {
		case 0:
			return sim.LostReply()
		case 1:
			return sim.CreateFault{Cut: true}
		case 2:
			return sim.Broken(http.StatusBadGateway, dice.IntN(2) == 0)
		case 3:
			return sim.Throttled(time.Duration(dice.IntN(3)) * time.Second)
		case 4:
			return sim.CreateFault{Accept: true, Status: http.StatusCreated}
		case 5:
			return sim.CreateFault{Accept: dice.IntN(2) == 0, Delay: time.Duration(dice.IntN(12_000)) * time.Millisecond}
		case 6:
			return sim.Refused(http.StatusBadRequest, 21215)
		}
		return sim.CreateFault{}
	}
}

var (
	errShaky = errors.New("the store is out of order")
	errDead  = errors.New("the process is dead")
)

// shakyStore is the world's store as one process sees it while it lives: it
// fails, is slow, and loses its replies, until the world is healed.
type shakyStore struct {
	call.Store
	process *process
}

// shake reports whether a write is to be done, and what is to be said of it. What
// a process that dies has on its way is lost.
func (s *shakyStore) shake(create bool) (write bool, err error) {
	w := s.process.world
	w.mu.Lock()
	strikes, kind := w.storeDice.Float64() < w.mood.store, w.storeDice.IntN(4)
	slow := time.Duration(w.storeDice.IntN(4500)) * time.Millisecond
	w.mu.Unlock()
	switch {
	case s.process.dead.Load():
		return false, errDead
	case !strikes || w.healed.Load():
		return true, nil
	case kind == 0:
		w.fire("store's reply is lost")
		return true, errShaky
	case kind == 1:
		w.fire("store is slow")
		if time.Sleep(slow); s.process.dead.Load() {
			return false, errDead
		}
		return true, nil
	case create:
		w.fire("intent not stored")
	default:
		w.fire("store fails")
	}
	return false, errShaky
}

func (s *shakyStore) Create(ctx context.Context, c *call.Call, events []call.Event) (existing *call.Call, err error) {
	write, failed := s.shake(true)
	if write {
		existing, err = s.Store.Create(ctx, c, events)
	}
	return existing, errors.Join(err, failed)
}

func (s *shakyStore) Update(ctx context.Context, c *call.Call, events []call.Event) (err error) {
	if c.State.Terminal() {
		s.process.closes(c.ID, "record")
	}
	write, failed := s.shake(false)
	if write {
		err = s.process.world.bug.onUpdate(ctx, s.Store, c, events)
	}
	return errors.Join(err, failed)
}

func (s *shakyStore) List(ctx context.Context, f call.Filter) ([]*call.Call, error) {
	calls, err := s.Store.List(ctx, f)
	if s.process.world.bug == recoverForgets && len(calls) > 0 {
		calls = calls[1:]
	}
	return calls, err
}

// closes notes that something of a call was closed.
func (p *process) closes(id, what string) {
	if p.dead.Load() {
		return
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.world.ends[id] = append(p.world.ends[id], what)
}

// mortalDisk is the world's disk as one process sees it.
type mortalDisk struct {
	*recording.Memory
	process *process
}

func (m *mortalDisk) Create(ctx context.Context, key string) (recording.File, error) {
	if m.process.dead.Load() {
		return nil, errDead
	}
	f, err := m.Memory.Create(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	return &mortalFile{f, m.process}, nil
}

type mortalFile struct {
	recording.File
	process *process
}

func (f *mortalFile) Commit(ctx context.Context) error {
	if f.process.dead.Load() {
		return errDead
	}
	return f.File.Commit(ctx)
}
