package call_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// Those who have been connected are not cut off by another transfer, which could
// not be made.
func TestTransferAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			transferred := make(chan error, 1)
			go func() { transferred <- s.Transfer(ctx, call.Transfer{To: desk}) }()
			time.Sleep(10 * time.Second)
			if err := s.Transfer(ctx, call.Transfer{To: callee}); !errors.Is(err, telephony.ErrCallState) {
				t.Errorf("again: %v", err)
			}
			if err := <-transferred; err != nil {
				t.Errorf("transfer: %v", err)
			}
			return nil
		}), nil)
		var talked time.Duration
		o.Phone(desk).Behave(sim.Behavior{Talk: func(talk *sim.Talk) {
			talk.Listen(30 * time.Second)
			talked = talk.Duration()
			talk.Hangup()
		}})
		if c := o.wait(o.place(call.Options{}).ID); c.State != call.Completed || c.Cause != call.Transferred {
			t.Errorf("call ended %v, %q", c.State, c.Cause)
		}
		if talked < 30*time.Second {
			t.Errorf("they talked for %v", talked)
		}
	})
}
