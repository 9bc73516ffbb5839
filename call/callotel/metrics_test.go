package callotel_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestFiguresOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := calltest.NewNetwork(t)
		d := newDesk(t, n, nil, receptionist, func(c *call.Config) {
			c.Policy = call.Destinations{AllowPrefixes: []string{"+1202555"}}
		}).watchNow()
		n.Phone(callee).Behave(sim.Behavior{Ring: 3 * second, Talk: func(t *sim.Talk) {
			t.Listen(4 * second)
			_ = t.Press("1")
		}})
		d.wait(d.place(callee).ID)
		n.Phone(callee).Behave(sim.Behavior{Outcome: sim.Busy})
		d.wait(d.place(callee).ID)
		if _, err := d.Place(t.Context(), call.Request{AgentID: "agent", To: "+13105550100", From: calltest.Number}); err == nil {
			t.Error("a call was not refused")
		}
		talk, err := n.Phone(caller).Call(t.Context(), calltest.Number)
		if err != nil {
			t.Fatal(err)
		}
		talk.Listen(second)

		got := d.figures()
		delete(got, "http.client.request.duration") // see TestRequestsAreCounted
		delete(got, "switchboard.call.audio_quality")
		want := map[string][]string{
			"switchboard.calls": {
				"1 cause=agent_done direction=outbound provider=sim state=completed",
				"1 cause=unreachable direction=outbound provider=sim state=busy",
			},
			"switchboard.call.duration":       {"1 of 7 direction=outbound provider=sim"},
			"switchboard.call.time_to_answer": {"1 of 3 direction=outbound provider=sim"},
			"switchboard.call.interruptions":  {"0 direction=outbound provider=sim"},
			"switchboard.calls.live":          {"1"},
			"switchboard.calls.refused":       {"1"},
			"switchboard.legs.refused":        {"1 reason=destination"},
			"switchboard.events.dropped":      {"0"},
			"switchboard.events.unsaved":      {"0"},
			"switchboard.records.pending":     {"0"},
			"switchboard.agents.left":         {"0"},
			"switchboard.plugs.held":          {"0"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		d.stop()
		synctest.Wait()
		if _, told := d.figures()["switchboard.calls.live"]; told {
			t.Error("a service is still looked at when Watch has returned")
		}
	})
}
