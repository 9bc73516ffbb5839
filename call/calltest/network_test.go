package calltest_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

var networks = map[string]func(testing.TB, ...sim.Faults) *calltest.Network{
	"Twilio": calltest.NewNetwork,
	"Plivo":  calltest.NewPlivoNetwork,
}

// onEach runs a test of a service with one agent on each network.
func onEach(t *testing.T, agent call.AgentFunc, test func(t *testing.T, n *calltest.Network, svc *call.Service)) {
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := network(t)
				svc, err := call.New(call.Config{
					PublicURL: calltest.PublicURL,
					Providers: []call.Provider{n.Provider},
					Agents:    call.Agents{"agent": agent},
					Logger:    slog.New(slog.NewTextHandler(t.Output(), nil)),
				})
				if err != nil {
					t.Fatal(err)
				}
				n.Connect(svc)
				test(t, n, svc)
				if w := n.Carrier.Warnings(); len(w) > 0 {
					t.Errorf("the carrier warns of %v", w)
				}
			})
		})
	}
}

func TestPlacedCall(t *testing.T) {
	agent := func(ctx context.Context, s *call.Session) error {
		s.Speak(audio.NewSamples(audiotest.Tone(440, 2*time.Second, 8000), 8000))
		return nil
	}
	onEach(t, agent, func(t *testing.T, n *calltest.Network, svc *call.Service) {
		n.Phone("+12025550142").Behave(sim.Behavior{Ring: 3 * time.Second})
		c, err := svc.Place(t.Context(), call.Request{AgentID: "agent", To: "+12025550142", From: calltest.Number})
		if err != nil {
			t.Fatal(err)
		}
		talk, err := n.Phone("+12025550142").NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err = svc.Wait(t.Context(), c.ID)
		if err != nil || c.State != call.Completed || c.Cause != call.AgentDone {
			t.Errorf("call ended %v, %q (%s), %v", c.State, c.Cause, c.Detail, err)
		}
		<-talk.Done()
		audiotest.HasTone(t, talk.Heard(), 8000, 440)
		if d := heard(talk); d < 2*time.Second {
			t.Errorf("%v of 2 s were heard", d)
		}
		synctest.Wait()
		if i := n.Carrier.Calls()[0]; i.Status != telephony.StatusCompleted || c.Direction != telephony.Outbound {
			t.Errorf("at the carrier: %+v", i)
		}
	})
}

// heard is how much audio a phone was played.
func heard(talk *sim.Talk) (d time.Duration) {
	for _, p := range talk.Playback() {
		d += p.End() - p.At
	}
	return d
}

// The goodbye is heard to its last sample before the line goes dead.
func TestGoodbyeOfAnInboundCall(t *testing.T) {
	goodbye := audiotest.Sweep(300, 3000, 1700*time.Millisecond, 8000)
	agent := func(ctx context.Context, s *call.Session) error {
		for key := range s.Keys() {
			if key == '9' {
				s.Speak(audio.NewSamples(goodbye, 8000))
				return nil
			}
		}
		return nil
	}
	onEach(t, agent, func(t *testing.T, n *calltest.Network, svc *call.Service) {
		talk, err := n.Phone("+12025550199").Call(t.Context(), calltest.Number)
		if err != nil {
			t.Fatal(err)
		}
		talk.Listen(time.Second)
		if err := talk.Press("9"); err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		if d := heard(talk); d < 1700*time.Millisecond {
			t.Errorf("%v of 1.7 s were heard", d)
		}
		if by := talk.HungUpBy(); by != sim.ByCallee {
			t.Errorf("hung up by the %s", by)
		}
		for c := range svc.Calls(t.Context(), call.Filter{}) {
			if c, err = svc.Wait(t.Context(), c.ID); err != nil || c.State != call.Completed || c.From != "+12025550199" {
				t.Errorf("call %+v, %v", c, err)
			}
		}
	})
}

// Whoever speaks over the agent makes it stop.
func TestInterruption(t *testing.T) {
	agent := func(ctx context.Context, s *call.Session) error {
		s.Say(call.Utterance{Audio: audio.NewSamples(audiotest.Tone(440, 20*time.Second, 8000), 8000)})
		<-ctx.Done()
		return nil
	}
	onEach(t, agent, func(t *testing.T, n *calltest.Network, svc *call.Service) {
		talk, err := n.Phone("+12025550199").Call(t.Context(), calltest.Number)
		if err != nil {
			t.Fatal(err)
		}
		talk.Listen(2 * time.Second)
		if err := talk.Say(audio.NewSamples(audiotest.Tone(300, 2*time.Second, 8000), 8000)); err != nil {
			t.Fatal(err)
		}
		talk.Listen(time.Second)
		talk.Hangup()
		if d := heard(talk); d < 2*time.Second || d > 3500*time.Millisecond {
			t.Errorf("%v of 20 s were heard", d)
		}
		synctest.Wait()
	})
}

func TestNetworkCanWhatItsAdapterCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, keys := range map[string]bool{"Twilio": false, "Plivo": true} {
			n := networks[name](t)
			if _, ok := n.Provider.(stream.KeySender); ok != keys {
				t.Errorf("%s presses keys: %v", name, ok)
			}
			if err := n.Provider.(telephony.Validator).Validate(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got := n.Provider.Name(); got != "sim" {
				t.Errorf("%s is %q", name, got)
			}
		}
	})
}

// Another machine takes the place of one that was killed, while the carrier and
// its calls go on.
func TestMachineThatIsKilled(t *testing.T) {
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := network(t)
				store := call.NewMemoryStore()
				var services []*call.Service
				start := func(records call.Store) *calltest.Machine {
					m := n.Machine()
					svc, err := call.New(call.Config{
						PublicURL: calltest.PublicURL,
						Providers: []call.Provider{m.Provider},
						Agents:    call.Agents{"agent": call.Echo},
						Store:     records,
						Logger:    slog.New(slog.NewTextHandler(t.Output(), nil)),
					})
					if err != nil {
						t.Fatal(err)
					}
					m.Connect(svc)
					services = append(services, svc)
					return m
				}
				first := start(store)
				talk, err := n.Phone("+12025550142").Call(t.Context(), calltest.Number)
				if err != nil {
					t.Fatal(err)
				}
				if err := talk.WaitConnected(0); err != nil {
					t.Fatal(err)
				}
				first.Kill()
				start(call.NewMemoryStore())
				time.Sleep(time.Minute)
				if _, err := n.Phone("+12025550143").Call(t.Context(), calltest.Number); err != nil {
					t.Errorf("a call to the second machine: %v", err)
				}
				time.Sleep(time.Second)
				if got := services[1].Stats().Received; got != 1 {
					t.Errorf("the second machine has received %d calls, want 1", got)
				}
				if got := services[0].Stats().Received; got != 1 {
					t.Errorf("the first machine has received %d calls, want 1", got)
				}
			})
		})
	}
}
