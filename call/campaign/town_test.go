package campaign_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// town is a telephone network with people on it, and the stores of those who call
// them.
type town struct {
	*calltest.Network
	t         testing.TB
	calls     call.Store
	campaigns campaign.Store
	doNotCall call.DoNotCall
	policy    call.Policy
	abandoned func(context.Context, *call.Call) (bool, error)
	machine   int

	mu    sync.Mutex
	books map[string]sim.CallInfo // of the carrier, by its id
}

func newTown(t testing.TB, campaigns campaign.Store) *town {
	return &town{
		Network: calltest.NewNetwork(t), t: t, campaigns: campaigns,
		calls: &call.MemoryStore{MaxEnded: 1 << 20}, books: make(map[string]sim.CallInfo),
	}
}

// process is a service and a runner on a machine of their own.
type process struct {
	*campaign.Runner
	svc     *call.Service
	machine *calltest.Machine
	dead    *atomic.Bool
	cancel  context.CancelFunc
	ran     chan error
}

// process starts one. The service of an earlier one that was killed is recovered,
// if recover says so.
func (w *town) process(again bool) *process {
	w.t.Helper()
	p := &process{machine: w.Machine(), dead: new(atomic.Bool), ran: make(chan error, 1)}
	w.machine++
	svc, err := call.New(call.Config{
		PublicURL: fmt.Sprintf("https://m%d.test/phone/", w.machine),
		Providers: []call.Provider{p.machine.Provider},
		Agents: call.Agents{"reminders": call.AgentFunc(func(_ context.Context, s *call.Session) error {
			s.Speak(audio.NewSamples(audiotest.Tone(440, 4500*time.Millisecond, 8000), 8000))
			return nil
		})},
		Store:    mortalCalls{w.calls, p.dead},
		Policy:   w.policy,
		MaxCalls: 1000,
		Logger:   quiet,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p.machine.Connect(svc)
	if again {
		if err := svc.Recover(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	p.svc = svc
	p.Runner, err = campaign.New(campaign.Config{
		Service: svc, Store: mortalCampaigns{w.campaigns, p.dead}, DoNotCall: w.doNotCall, Abandoned: w.abandoned, Logger: quiet,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() { p.ran <- p.Run(ctx) }()
	w.t.Cleanup(p.stop)
	return p
}

// stop ends the runner as an operator does.
func (p *process) stop() {
	p.cancel()
	if err, ok := <-p.ran; ok {
		close(p.ran)
		if !errors.Is(err, context.Canceled) {
			panic(err)
		}
	}
}

// kill ends the process as a power cut does: nothing that it does has an effect any
// more.
func (p *process) kill() {
	p.dead.Store(true)
	p.machine.Kill()
	p.stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.svc.Shutdown(ctx) // so that it does not try for ever to be heard
}

var errDead = errors.New("the process is dead")

// mortalCalls is the store of calls of a process.
type mortalCalls struct {
	call.Store
	dead *atomic.Bool
}

func (m mortalCalls) Create(ctx context.Context, c *call.Call, events []call.Event) (*call.Call, error) {
	if m.dead.Load() {
		return nil, errDead
	}
	return m.Store.Create(ctx, c, events)
}

func (m mortalCalls) Update(ctx context.Context, c *call.Call, events []call.Event) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Store.Update(ctx, c, events)
}

// mortalCampaigns is the store of campaigns of a process.
type mortalCampaigns struct {
	campaign.Store
	dead *atomic.Bool
}

func (m mortalCampaigns) Claim(ctx context.Context, id string, want campaign.Claim) (campaign.Claimed, error) {
	if m.dead.Load() {
		return campaign.Claimed{}, errDead
	}
	return m.Store.Claim(ctx, id, want)
}

func (m mortalCampaigns) Renew(ctx context.Context, id, owner string, until time.Time) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Store.Renew(ctx, id, owner, until)
}

func (m mortalCampaigns) Settle(ctx context.Context, id string, c *campaign.Contact, made *campaign.Attempt) (*campaign.Campaign, error) {
	if m.dead.Load() {
		return nil, errDead
	}
	return m.Store.Settle(ctx, id, c, made)
}

// write copies the carrier's books, which are bounded.
func (w *town) write() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.Carrier.Calls() {
		w.books[c.SID] = c
	}
}

// dials returns all that the carrier has dialed, in order.
func (w *town) dials() []sim.CallInfo {
	w.write()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []sim.CallInfo
	for _, c := range w.books {
		if c.Direction == telephony.Outbound {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b sim.CallInfo) int { return a.Created.Compare(b.Created) })
	return all
}

// until waits until a campaign is over, or for a limit, writing the carrier's books.
func (w *town) until(p *process, id string, limit time.Duration) *campaign.Campaign {
	w.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Minute) {
		w.write()
		c, err := p.Get(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		if c.State.Over() || time.Now().After(end) {
			return c
		}
	}
}

// areas are numbers of several places, and the zones in which they ring.
var areas = []struct {
	prefix string
	zones  []string
}{
	{"+1212", []string{"America/New_York"}},
	{"+1213", []string{"America/Los_Angeles"}},
	{"+1312", []string{"America/Chicago"}},
	{"+4420", []string{"Europe/London"}},
	{"+4930", []string{"Europe/Berlin"}},
	{"+9122", []string{"Asia/Kolkata"}},
}

// number is the ith number of an area.
func number(area, i int) telephony.Number {
	switch a := areas[area].prefix; a {
	case "+4420":
		return telephony.Number(fmt.Sprintf("%s7%07d", a, 9000000+i))
	case "+4930":
		return telephony.Number(fmt.Sprintf("%s9%07d", a, 1000000+i))
	case "+9122":
		return telephony.Number(fmt.Sprintf("%s26%06d", a, 100000+i))
	default:
		return telephony.Number(fmt.Sprintf("%s%03d%04d", a, 700+i/10000, i%10000))
	}
}

// contacts makes n contacts, place by place in turn.
func contacts(n int) []campaign.Contact {
	list := make([]campaign.Contact, n)
	for i := range list {
		list[i] = campaign.Contact{Number: number(i%len(areas), i/len(areas)), Data: map[string]string{"n": fmt.Sprint(i)}}
	}
	return list
}

// behaviours are what phones do, in turn.
var behaviours = []sim.Behavior{
	{Ring: 2 * time.Second}, {Ring: 5 * time.Second}, {Ring: 3 * time.Second}, {Ring: time.Second},
	{Ring: 2 * time.Second, AnsweredBy: "machine_start"},
	{Outcome: sim.Busy, Ring: time.Second}, {Outcome: sim.Busy, Ring: time.Second},
	{Outcome: sim.NoAnswer}, {Outcome: sim.NoAnswer},
	{Outcome: sim.Failed},
}

func (w *town) populate(list []campaign.Contact) {
	for i, c := range list {
		w.Phone(string(c.Number)).Behave(behaviours[i%len(behaviours)])
	}
}

func (w *town) add(p *process, spec campaign.Spec, list []campaign.Contact) {
	w.t.Helper()
	if spec.Request.AgentID == "" {
		spec.Request = call.Request{AgentID: "reminders", From: calltest.Number, Options: call.Options{MachineDetection: true}}
	}
	if _, err := p.Create(w.t.Context(), spec); err != nil {
		w.t.Fatal(err)
	}
	for chunk := range slices.Chunk(list, campaign.MaxAdd) {
		if n, err := p.Add(w.t.Context(), spec.ID, chunk); err != nil || n != len(chunk) {
			w.t.Fatalf("%d of %d added, %v", n, len(chunk), err)
		}
	}
}

// all returns the contacts of a campaign.
func (w *town) all(p *process, id string) []*campaign.Contact {
	w.t.Helper()
	var list []*campaign.Contact
	for c, err := range p.Contacts(w.t.Context(), id, 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}
