package calltest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// A test of an agent whose callee is not there at first. The minutes of it pass
// in milliseconds.
func ExampleNetwork() {
	_ = func(t *testing.T) { // func TestNobodyIsThere
		synctest.Test(t, func(t *testing.T) {
			network := calltest.NewNetwork(t)
			svc, err := call.New(call.Config{
				PublicURL: calltest.PublicURL,
				Providers: []call.Provider{network.Provider},
				Agents:    call.Agents{"agent": call.Echo}, // yours
			})
			if err != nil {
				t.Fatal(err)
			}
			network.Connect(svc)
			network.Phone("+12025550142").Behave(sim.Behavior{Outcome: sim.NoAnswer, Ring: 2 * time.Minute})

			c, err := svc.Place(t.Context(), call.Request{AgentID: "agent", To: "+12025550142", From: calltest.Number})
			if err != nil {
				t.Fatal(err)
			}
			if c, err = svc.Wait(t.Context(), c.ID); err != nil || c.State != call.NoAnswer {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
}
