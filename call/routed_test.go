package call_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// A call counts as its agent's load while it lives, moves with it to another
// agent, and is given back when it is over, or does not come about.
func TestLoadOfRoutedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		staff := &routing.Staff{}
		waiting := make(chan struct{})
		wait := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			select {
			case <-waiting:
			case <-ctx.Done():
			}
			return nil
		})
		o := newOffice(t, wait, func(c *call.Config) {
			c.Agents["first"], c.Agents["second"] = wait, wait
			c.Router = routing.First(routing.LeastBusy{Staff: staff, Agents: []string{"first", "second"}})
			c.MaxCalls = 3
		})
		var talks []*sim.Talk
		for _, from := range []string{"+12025550150", "+12025550151", "+12025550152"} {
			talk, err := o.Phone(from).Call(t.Context(), ours)
			if err != nil {
				t.Fatal(err)
			}
			talks = append(talks, talk)
		}
		time.Sleep(time.Second)
		load := func() (first, second int) { return staff.Load("first"), staff.Load("second") }
		if first, second := load(); first+second != 3 || first == 0 || second == 0 {
			t.Errorf("loads are %d and %d", first, second)
		}
		if talk, err := o.Phone("+12025550153").Call(t.Context(), ours); err == nil { // there is no room: an apology
			<-talk.Done()
		}
		if first, second := load(); first+second != 3 {
			t.Errorf("with a call that was turned away loads are %d and %d", first, second)
		}
		var moved string
		for c, err := range o.Calls(t.Context(), call.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Routing) == 0 {
				t.Errorf("the record of %s does not tell how it was routed", c.ID)
			}
			if c.AgentID == "first" {
				moved = c.ID
			}
		}
		before, _ := load()
		if err := o.HandOver(t.Context(), moved, "second"); err != nil {
			t.Fatal(err)
		}
		if first, second := load(); first != before-1 || first+second != 3 {
			t.Errorf("after one was handed over loads are %d and %d", first, second)
		}
		talks[0].Hangup()
		close(waiting)
		for _, talk := range talks {
			<-talk.Done()
		}
		time.Sleep(time.Minute)
		if first, second := load(); first != 0 || second != 0 {
			t.Errorf("after all loads are %d and %d", first, second)
		}
	})
}

// A router may turn callers away, with the busy tone or as if the number were not
// in service.
func TestCallersWhoAreRejected(t *testing.T) {
	for reason, want := range map[telephony.RejectReason]error{
		telephony.RejectBusy:    sim.ErrBusy,
		telephony.RejectRefused: sim.ErrRejected,
	} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, hello(time.Second), func(c *call.Config) {
				c.Router = routing.First(routing.ByNumber{"+12025550199": "agent"}, routing.Reject(reason))
			})
			if _, err := o.Phone("+12025550150").Call(t.Context(), ours); !errors.Is(err, want) {
				t.Errorf("the caller got %v, want %v", err, want)
			}
			for c := range o.Calls(t.Context(), call.Filter{}) {
				t.Errorf("there is a call: %v", c)
			}
		})
	}
}
