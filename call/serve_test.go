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

// The caller hears the first agent to the end of its words, and then the other,
// on the same stream.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			s.Speak(tone(440, 2*time.Second))
			if err := s.HandOver("nobody"); !errors.Is(err, call.ErrUnknownAgent) {
				t.Errorf("to nobody: %v", err)
			}
			if err := s.HandOver("billing"); err != nil {
				t.Error(err)
			}
			if err := s.HandOver("billing"); err != nil { // by whom the call is not any more
				t.Error(err)
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			return ctx.Err()
		}), func(c *call.Config) {
			served := 0
			c.Agents["billing"] = call.AgentFunc(func(ctx context.Context, s *call.Session) error {
				if served++; served == 1 {
					<-ctx.Done() // handed over again
					return nil
				}
				if s.Call().AgentID != "billing" {
					t.Errorf("the record names %q", s.Call().AgentID)
				}
				s.Speak(tone(880, time.Second))
				return nil
			})
		})
		var talk *sim.Talk
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) { talk = k; <-k.Done() }})
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		synctest.Wait()
		audiotest.HasTone(t, talk.Heard()[:2*8000], 8000, 440)
		audiotest.HasTone(t, talk.Heard()[2*8000:], 8000, 880)
		if !errors.Is(cause, call.ErrHandedOver) {
			t.Errorf("the first agent's context ended with %v", cause)
		}
		if err := o.HandOver(t.Context(), c.ID, "billing"); !errors.Is(err, call.ErrEnded) {
			t.Errorf("of a call that is over: %v", err)
		}
	})
}

// An agent that does not let go does not keep the caller waiting for long, and
// what it does later changes nothing.
func TestHandOverFromAnAgentThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := make(chan struct{})
		o := newOffice(t, call.AgentFunc(func(_ context.Context, s *call.Session) error {
			if err := s.HandOver("other"); err != nil {
				t.Error(err)
			}
			<-late
			return errors.New("too late")
		}), func(c *call.Config) {
			c.Agents["other"] = call.AgentFunc(func(ctx context.Context, s *call.Session) error {
				close(late)
				_, err := s.Speak(tone(880, 2*time.Second)).Wait(ctx)
				return err
			})
		})
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second})
		begin := time.Now()
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("the call took %v", took)
		}
	})
}

// An agent that has returned has no call to hand over.
func TestHandOverTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(3*time.Second), nil)
		c := o.place(call.Options{})
		time.Sleep(1500 * time.Millisecond)
		if err := o.HandOver(t.Context(), c.ID, "agent"); !errors.Is(err, telephony.ErrCallState) {
			t.Errorf("%v, want ErrCallState", err)
		}
		o.wait(c.ID)
	})
}
