package main

import (
	"testing"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// A call is gone from the API once its time has come.
func TestOldCallsAreErased(t *testing.T) {
	t.Parallel()
	r := start(t, "RETENTION", "1s")
	r.carrier.Otherwise(sim.Behavior{Outcome: sim.Busy})
	news := r.svc.Subscribe(t.Context(), 100)
	id := r.place(seedCall)
	for e := range news.C {
		if e.Type == call.EventErased && e.CallID == id {
			break
		}
	}
	r.answer(r.ask("mine", "GET", "api/calls/"+id, ""), 404)
}
