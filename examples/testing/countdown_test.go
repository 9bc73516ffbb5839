package countdown

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// beep is 500 Hz for 1 left, 600 Hz for 2, and so on.
func beep(left int) audio.Reader {
	return audio.NewSamples(audiotest.Tone(float64(400+100*left), 300*time.Millisecond, 8000), 8000)
}

// connect puts the agent on a telephone network.
func connect(t *testing.T) (*calltest.Network, *call.Service) {
	t.Helper()
	network := calltest.NewNetwork(t)
	svc, err := call.New(call.Config{
		PublicURL: calltest.PublicURL,
		Providers: []call.Provider{network.Provider},
		Agents:    call.Agents{"countdown": Agent{From: 10, Beep: beep}},
	})
	if err != nil {
		t.Fatal(err)
	}
	network.Connect(svc)
	return network, svc
}

func TestCallerHearsEveryBeepAndThenTheAgentHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // ten seconds pass in a moment
		network, _ := connect(t)
		caller, err := network.Phone("+12025550199").Call(t.Context(), calltest.Number)
		if err != nil {
			t.Fatal(err)
		}
		<-caller.Done()

		if by := caller.HungUpBy(); by != sim.ByCallee {
			t.Errorf("hung up by %v, want the agent", by)
		}
		heard := caller.Heard()
		for left := 10; left > 0; left-- {
			audiotest.HasTone(t, heard[:min(len(heard), 3*8000)], 8000, float64(400+100*left))
			heard = heard[min(len(heard), 8000):]
		}
	})
}

func TestKeyEndsTheCountdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, svc := connect(t)
		network.Phone("+12025550142").Behave(sim.Behavior{Ring: 2 * time.Second, Talk: func(callee *sim.Talk) {
			callee.Listen(5 * time.Second)
			_ = callee.Press("#")
		}})
		c, err := svc.Place(t.Context(), call.Request{AgentID: "countdown", To: "+12025550142", From: calltest.Number})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err = svc.Wait(ctx, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if c.State != call.Completed || c.Cause != call.AgentDone {
			t.Errorf("ended %v because of %q, want completed because of agent_done", c.State, c.Cause)
		}
		if d := c.Duration(time.Now()); d < 5*time.Second || d > 7*time.Second {
			t.Errorf("lasted %v, want some 5 s", d)
		}
	})
}
