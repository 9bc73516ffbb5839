package call_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// Whatever comes back from the carrier, a call is dialed at most once unless the
// carrier certainly did not act, and it ends as the carrier knows it.
func TestDialedAtMostOnce(t *testing.T) {
	accepted := func(f sim.CreateFault) sim.CreateFault { f.Accept = true; return f }
	tests := []struct {
		name   string
		fault  []sim.CreateFault
		state  call.State
		cause  call.Cause
		placed int
	}{
		{"the reply is lost", []sim.CreateFault{sim.LostReply()}, call.Completed, call.AgentDone, 1},
		{"the connection is cut before the call is placed", []sim.CreateFault{{Cut: true}}, call.Failed, call.DialUnknown, 0},
		{"500, and the call was placed", []sim.CreateFault{sim.Broken(500, true)}, call.Completed, call.AgentDone, 1},
		{"503, and it was not", []sim.CreateFault{sim.Broken(503, false)}, call.Failed, call.DialUnknown, 0},
		{"502 with HTML, and it was", []sim.CreateFault{sim.Broken(502, true)}, call.Completed, call.AgentDone, 1},
		{"an empty 201, and it was", []sim.CreateFault{accepted(sim.CreateFault{Status: 201})}, call.Completed, call.AgentDone, 1},
		{"a 201 with {}, and it was not", []sim.CreateFault{{Status: 201, Body: "{}"}}, call.Failed, call.DialUnknown, 0},
		{"a redirect", []sim.CreateFault{{Status: 307, Header: map[string][]string{"Location": {"https://127.0.0.1:1/"}}}}, call.Failed, call.DialRejected, 0},
		{"a reply that comes too late, and it was placed", []sim.CreateFault{accepted(sim.CreateFault{Delay: 30 * time.Second})}, call.Completed, call.AgentDone, 1},
		{"refused", []sim.CreateFault{sim.Refused(400, 21215)}, call.Failed, call.DialRejected, 0},
		{"throttled twice", []sim.CreateFault{sim.Throttled(time.Second), sim.Throttled(0)}, call.Completed, call.AgentDone, 1},
		{"throttled for ever", []sim.CreateFault{sim.Throttled(0), sim.Throttled(0), sim.Throttled(0), sim.Throttled(0)}, call.Failed, call.DialFailed, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, hello(time.Second), nil, sim.Faults{Create: sim.FirstCreates(tt.fault...)})
				c := o.wait(o.place(call.Options{}).ID)
				if c.State != tt.state || c.Cause != tt.cause {
					t.Errorf("call ended %v, %q (%s); want %v, %q", c.State, c.Cause, c.Detail, tt.state, tt.cause)
				}
				if took := c.EndedAt.Sub(c.CreatedAt); c.Cause == call.DialUnknown && took > 30*time.Second {
					t.Errorf("it was looked for for %v", took)
				}
				time.Sleep(5 * time.Minute) // whatever is still to come
				if n := len(o.Carrier.Calls()); n != tt.placed {
					t.Errorf("%d calls were placed, want %d", n, tt.placed)
				}
				for _, k := range o.Carrier.Calls() {
					if !k.Status.Final() {
						t.Errorf("a call is left %v", k.Status)
					}
				}
				if n := o.Carrier.Fired()[sim.FaultCreate]; n == 0 {
					t.Error("the fault did not happen")
				}
			})
		})
	}
}

// A call that was given up while nobody knew whether it was placed does not ring
// on.
func TestUnknownCallThatWasGivenUpIsHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(time.Second), nil, sim.Faults{Create: sim.FirstCreates(sim.LostReply())})
		o.Phone(callee).Behave(sim.Behavior{Ring: 50 * time.Second})
		c := o.place(call.Options{})
		time.Sleep(500 * time.Millisecond)
		if err := o.Hangup(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if c = o.wait(c.ID); c.State != call.Canceled {
			t.Errorf("call ended %v, %q", c.State, c.Cause)
		}
		time.Sleep(10 * time.Second)
		for _, k := range o.Carrier.Calls() {
			if !k.Status.Final() {
				t.Errorf("the carrier's call is left %v", k.Status)
			}
		}
	})
}

// Callbacks that are lost, doubled, late or out of order change nothing about
// how a call ends.
func TestBadCallbacks(t *testing.T) {
	tests := map[string]sim.Faults{
		"lost":      {CallbackLost: 1},
		"doubled":   {CallbackDoubled: 1},
		"late":      {CallbackLate: 1, CallbackDelay: 8 * time.Second},
		"reordered": {CallbackReordered: 1},
		"all":       {CallbackLost: 0.3, CallbackDoubled: 0.3, CallbackLate: 0.3, CallbackReordered: 0.3, Seed: 5},
	}
	for name, faults := range tests {
		t.Run(name, func(t *testing.T) {
			t.Run("answered", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOffice(t, hello(time.Second), nil, faults)
					c := o.wait(o.place(call.Options{}).ID)
					if c.State != call.Completed || c.Cause != call.AgentDone {
						t.Errorf("%v, %q", c.State, c.Cause)
					}
					time.Sleep(time.Minute)
				})
			})
			t.Run("busy", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOffice(t, hello(time.Second), nil, faults)
					o.Phone(callee).Behave(sim.Behavior{Outcome: sim.Busy, Ring: 3 * time.Second})
					c := o.wait(o.place(call.Options{}).ID)
					want := call.Busy
					if *carrier == "plivo" && name == "lost" {
						want = call.Failed // its records do not name the request, which is all that is known
					}
					if c.State != want {
						t.Errorf("%v, %q; want %v", c.State, c.Cause, want)
					}
					if took := time.Since(c.CreatedAt); took > 2*time.Minute {
						t.Errorf("it took %v to learn", took)
					}
					time.Sleep(time.Minute)
				})
			})
		})
	}
}

// Sockets that break end the call, and the carrier's side with it.
func TestBadSockets(t *testing.T) {
	tests := []struct {
		name   string
		faults sim.Faults
		within time.Duration
	}{
		{"cut", sim.Faults{CutAfter: 2 * time.Second}, time.Second},
		{"half open", sim.Faults{HalfOpenAfter: 2 * time.Second}, 16 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, hello(time.Minute), nil, tt.faults)
				c := o.wait(o.place(call.Options{}).ID)
				// The carrier may be faster to tell that the call is over than the socket is.
				if c.State != call.Completed || c.Cause != call.StreamLost && c.Cause != call.HangupRemote {
					t.Errorf("%v, %q (%s)", c.State, c.Cause, c.Detail)
				}
				if d := c.Duration(time.Now()); d < 2*time.Second || d > 2*time.Second+tt.within {
					t.Errorf("it ended %v after the answer", d)
				}
				time.Sleep(time.Minute)
				for _, k := range o.Carrier.Calls() {
					if !k.Status.Final() {
						t.Errorf("the carrier's call is left %v", k.Status)
					}
				}
			})
		})
	}
}

// Many calls to a carrier that throttles in bursts go out at the
// configured pace, in the end all of them, and none twice.
func TestDialsKeepTheirPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 300
		throttles := func(n int) sim.CreateFault {
			if n%50 < 3 {
				return sim.Throttled(2 * time.Second)
			}
			return sim.CreateFault{}
		}
		o := newOffice(t, hello(100*time.Millisecond), func(c *call.Config) {
			quiet(c)
			c.DialsPerSecond = 20
		}, sim.Faults{Create: throttles})
		o.Carrier.Otherwise(sim.Behavior{})
		var ids []string
		for range calls {
			ids = append(ids, o.place(call.Options{}).ID)
		}
		for _, id := range ids {
			if c := o.wait(id); c.State != call.Completed {
				t.Errorf("a call ended %v, %q (%s)", c.State, c.Cause, c.Detail)
			}
		}
		placed := o.Carrier.Calls()
		if len(placed) != calls {
			t.Errorf("%d calls were placed, want %d", len(placed), calls)
		}
		most := 0
		for i, first := range placed {
			n := 0
			for _, k := range placed[i:] {
				if k.Created.Sub(first.Created) < time.Second {
					n++
				}
			}
			most = max(most, n)
		}
		if most > 20 {
			t.Errorf("%d calls were placed within a second, want at most 20", most)
		}
		t.Logf("%d calls, at most %d in a second, throttled %d times", calls, most, o.Carrier.Fired()[sim.FaultCreate])
	})
}
