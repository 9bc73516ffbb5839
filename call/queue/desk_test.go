package queue_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// house is a service with a queue, "sales", on a telephone network.
type house struct {
	*calltest.Network
	t      *testing.T
	svc    *call.Service
	desk   *queue.Desk
	events *call.Subscription

	mu     sync.Mutex
	served []string // callers, in the order in which agents had them
	busy   *busy
	ours   string // number
	talk   time.Duration
}

func tone(hz float64, d time.Duration) audio.Reader {
	return audio.NewSamples(audiotest.Tone(hz, d, 8000), 8000)
}

// busy counts the calls that agents have, on all houses that share it.
type busy struct {
	sync.Mutex
	now, most map[string]int
}

func (b *busy) add(name string, n int) {
	b.Lock()
	defer b.Unlock()
	b.now[name] += n
	b.most[name] = max(b.most[name], b.now[name])
}

// agent talks for so long with each caller.
func (h *house) agent(name string, long time.Duration) call.Agent {
	return call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		c := s.Call()
		who := c.From
		if c.Direction == telephony.Outbound {
			who = c.To
		}
		h.mu.Lock()
		h.served = append(h.served, name+" "+string(who[len(who)-2:]))
		h.mu.Unlock()
		h.busy.add(name, 1)
		defer h.busy.add(name, -1)
		_, err := s.Speak(tone(1000, long)).Wait(ctx)
		return err
	})
}

func (h *house) had() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.served, ", ")
}

// networks are those of both carriers.
var networks = map[string]func(testing.TB, ...sim.Faults) *calltest.Network{
	"twilio": calltest.NewNetwork,
	"plivo":  calltest.NewPlivoNetwork,
}

// onBoth runs a test in a bubble, on the network of each carrier.
func onBoth(t *testing.T, test func(t *testing.T, n *calltest.Network)) {
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, network(t)) })
		})
	}
}

// open makes a house in which ann talks for a minute with each caller. Its calls
// are cut off when the test ends.
func open(t *testing.T, n *calltest.Network, change func(*queue.Queue, *queue.Config)) *house {
	t.Helper()
	h := &house{Network: n, ours: calltest.Number, talk: time.Minute, busy: &busy{now: map[string]int{}, most: map[string]int{}}}
	h.open(t, n.Provider, calltest.PublicURL, change)
	n.Connect(h.svc)
	return h
}

// open makes its service.
func (h *house) open(t *testing.T, provider call.Provider, url string, change func(*queue.Queue, *queue.Config)) {
	t.Helper()
	h.t = t
	q := queue.Queue{
		Agents: []string{"ann"}, Backup: "mailbox", LeaveKey: "9", CallbackKey: "1",
		Music: func(rate int) audio.Reader { return audio.Signal{Hertz: []float64{700}}.Reader(rate) },
	}
	cfg := queue.Config{
		Agents: call.Agents{"ann": h.agent("ann", h.talk), "bob": h.agent("bob", h.talk), "mailbox": h.agent("mailbox", time.Second)},
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&q, &cfg)
	}
	cfg.Queues = map[string]queue.Queue{"sales": q}
	var err error
	if h.desk, err = queue.New(cfg); err != nil {
		t.Fatal(err)
	}
	h.svc, err = call.New(call.Config{
		PublicURL: url,
		Providers: []call.Provider{provider},
		Agents:    h.desk.Agents(),
		Router:    routing.First(h.desk.Router("sales"), routing.Always("mailbox")),
		Logger:    cfg.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- h.desk.Run(ctx, h.svc) }()
	h.events = h.svc.Subscribe(ctx, 10_000)
	t.Cleanup(func() {
		over, cut := context.WithCancel(context.Background())
		cut()
		_ = h.svc.Shutdown(over) // which says that calls were cut off
		cancel()
		<-ran
	})
}

// caller calls from a number that ends in two digits.
func (h *house) caller(digits int) *sim.Talk {
	h.t.Helper()
	talk, err := h.Phone(fmt.Sprintf("+120255502%02d", digits)).Call(h.t.Context(), h.ours)
	if err != nil {
		h.t.Fatal(err)
	}
	return talk
}

// happened are the events that the queue has noted so far, on all calls.
func (h *house) happened() string {
	var all []string
	for {
		select {
		case e := <-h.events.C:
			if e.Type == call.EventAgent {
				all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s%s%s", e.Name, e.Data["position"], e.Data["agent"], e.Data["why"])))
			}
		default:
			return strings.Join(all, ", ")
		}
	}
}

// Whoever comes while somebody is free waits for nobody; the others wait with
// music, are told their position, and are served as they came.
func TestCallersAreServedAsTheyCame(t *testing.T) {
	onBoth(t, func(t *testing.T, n *calltest.Network) {
		h := open(t, n, func(q *queue.Queue, _ *queue.Config) {
			q.Announce = func(_ context.Context, _ *call.Call, at queue.Standing) (call.Utterance, error) {
				return call.Utterance{Audio: tone(float64(1500+100*at.Position), time.Second), Text: fmt.Sprint("You are number ", at.Position)}, nil
			}
		})
		first := h.caller(1)
		audiotest.HasTone(t, first.Listen(3 * time.Second)[16000:], 8000, 1000)
		audiotest.NoTone(t, first.Heard(), 8000, 700)
		second := h.caller(2)
		time.Sleep(time.Second)
		third := h.caller(3)
		time.Sleep(15 * time.Second)
		audiotest.HasTone(t, second.Heard()[:2*8000], 8000, 1600)
		audiotest.HasTone(t, second.Heard()[2*8000:14*8000], 8000, 700)
		audiotest.HasTone(t, third.Heard()[:2*8000], 8000, 1700)
		st := h.desk.Stats()["sales"]
		if st.Waiting != 2 || st.Longest < 15*time.Second {
			t.Errorf("%+v", st)
		}
		<-first.Done()
		<-second.Done()
		audiotest.HasTone(t, second.Heard()[61*8000:], 8000, 1000)
		<-third.Done()
		synctest.Wait()
		if got, want := h.had(), "ann 01, ann 02, ann 03"; got != want {
			t.Errorf("served were %s, not %s", got, want)
		}
		if got, want := h.happened(), "queued, served ann, queued, position 1, queued, position 2, served ann, position 1, served ann"; got != want {
			t.Errorf("events were\n%s, not\n%s", got, want)
		}
		st = h.desk.Stats()["sales"]
		if st.Joined != 3 || st.Served != 3 || st.Waiting != 0 || st.MeanWait() < 50*time.Second || st.MeanWait() > 70*time.Second {
			t.Errorf("%+v, mean %v", st, st.MeanWait())
		}
	})
}
