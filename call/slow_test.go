package call_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// A carrier whose caller waits is answered in time, whatever the router does.
func TestRouterThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, func(c *call.Config) {
			c.Router = routing.RouterFunc(func(ctx context.Context, _ *routing.Request) (routing.Decision, error) {
				<-ctx.Done()
				return routing.Decision{}, ctx.Err()
			})
		})
		began := time.Now()
		status, answer := b.post("webhook/twilio/incoming", incoming(), signed(base+"webhook/twilio/incoming", incoming()))
		if took := time.Since(began); status != 200 || took > 5*time.Second || !strings.Contains(answer, "<Reject") {
			t.Errorf("HTTP %d after %v: %s", status, took, answer)
		}
	})
}

// A ticket is good for as long as it says.
func TestTicketIsGoodForAsLongAsItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil)
		ticket, err := b.Invite(t.Context(), call.Invitation{AgentID: "agent"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(ticket.ExpiresAt) - time.Second)
		if c, err := b.Call(t.Context(), ticket.CallID); err != nil || c.State != call.Connecting {
			t.Errorf("call is %v, %v", c.State, err)
		}
	})
}

// brokenCarrier panics when it is asked to dial.
type brokenCarrier struct{ call.Provider }

func (brokenCarrier) Dial(context.Context, *telephony.DialRequest) (string, error) {
	panic("adapter")
}

// An adapter that panics leaves nobody knowing whether the call was dialed.
func TestCarrierThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.Echo, func(c *call.Config) {
			c.Providers = []call.Provider{brokenCarrier{c.Providers[0]}}
		})
		if c := o.wait(o.place(call.Options{}).ID); c.State != call.Failed || c.Cause != call.DialUnknown {
			t.Errorf("call ended %v, %q", c.State, c.Cause)
		}
	})
}
