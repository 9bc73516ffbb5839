package call_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

const desk = "+12025550177"

// The caller is connected to somebody; the agent's session ends, and the call
// ends when the two have hung up.
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transferred := make(chan error, 1)
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			if h, err := s.Speak(tone(440, time.Second)).Wait(ctx); err != nil || h.Status != call.HeardAll {
				t.Errorf("heard %v, %v", h, err)
			}
			transferred <- s.Transfer(ctx, call.Transfer{To: desk})
			<-ctx.Done()
			return nil
		}), nil)
		o.Phone(desk).Behave(sim.Behavior{Ring: 2 * time.Second, Talk: func(talk *sim.Talk) {
			if err := talk.Say(tone(880, 2*time.Second)); err != nil {
				t.Errorf("the desk could not speak: %v", err)
			}
			talk.Listen(time.Second)
			talk.Hangup()
		}})
		talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-transferred; err != nil {
			t.Fatalf("transfer: %v", err)
		}
		<-talk.Done()
		heard := talk.Heard()
		audiotest.HasTone(t, heard[:2*8000], 8000, 440)
		audiotest.HasTone(t, heard[2*8000:], 8000, 880)
		for c, err := range o.Calls(t.Context(), call.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if c = o.wait(c.ID); c.State != call.Completed || c.Cause != call.Transferred {
				t.Errorf("call ended %v, %q", c.State, c.Cause)
			}
		}
	})
}

// A transfer that the policy refuses, or that cannot be, leaves the call as it
// was.
func TestTransferThatFails(t *testing.T) {
	tests := []struct {
		name string
		to   telephony.Number
		want error
	}{
		{"to a satellite", "+881612345678", call.ErrNotAllowed},
		{"to no number", "1234", telephony.ErrInvalidNumber},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
					if err := s.Transfer(ctx, call.Transfer{To: tt.to}); !errors.Is(err, tt.want) {
						t.Errorf("transfer: %v, want %v", err, tt.want)
					}
					_, err := s.Speak(tone(440, time.Second)).Wait(ctx)
					return err
				}), nil)
				c := o.wait(o.place(call.Options{}).ID)
				o.check(c, call.Completed, call.AgentDone, allStates...)
				if n := len(o.Carrier.Calls()); n != 1 {
					t.Errorf("%d calls were placed", n)
				}
			})
		})
	}
}
