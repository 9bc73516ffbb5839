package call_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// A caller who could not be connected is back with the agent, who knows why, and
// the recording has it all on one clock.
func TestTransferThatComesBack(t *testing.T) {
	tests := []struct {
		name string
		desk sim.Behavior
		want call.State
	}{
		{"busy", sim.Behavior{Outcome: sim.Busy, Ring: 2 * time.Second}, call.Busy},
		{"no answer", sim.Behavior{Outcome: sim.NoAnswer}, call.NoAnswer},
		{"no such number", sim.Behavior{Outcome: sim.Failed, Ring: time.Second}, call.Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
					if _, err := s.Speak(tone(440, time.Second)).Wait(ctx); err != nil {
						t.Error(err)
					}
					err := s.Transfer(ctx, call.Transfer{To: desk, Timeout: 10 * time.Second})
					var failed *call.TransferError
					if !errors.As(err, &failed) || failed.State != tt.want {
						t.Errorf("transfer: %v, want %v", err, tt.want)
					}
					h, err := s.Speak(tone(880, time.Second)).Wait(ctx)
					if h.Status != call.HeardAll || h.Duration != time.Second {
						t.Errorf("the apology was heard %v, %v", h, err)
					}
					return err
				}), nil)
				o.Phone(desk).Behave(tt.desk)
				var talk *sim.Talk
				o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) { talk = k; <-k.Done() }})
				c := o.wait(o.place(call.Options{Record: true}).ID)
				o.check(c, call.Completed, call.AgentDone, allStates...)
				synctest.Wait()
				heard := talk.Heard()
				audiotest.HasTone(t, heard[:2*8000], 8000, 440)
				audiotest.HasTone(t, heard[2*8000:], 8000, 880)
				if c.Recording == nil || c.Recording.Duration < c.Duration(c.EndedAt)-time.Second {
					t.Errorf("the recording is %+v of a call of %v", c.Recording, c.Duration(c.EndedAt))
				}
				events, err := o.Events(t.Context(), c.ID, 0)
				if err != nil {
					t.Fatal(err)
				}
				var moves []string
				for _, e := range events {
					if e.Type == call.EventMove {
						moves = append(moves, strings.TrimSpace(e.Name+" "+e.Detail))
					}
				}
				if want := []string{"transfer", "back " + tt.want.String()}; !slices.Equal(moves, want) {
					t.Errorf("moves were %q, want %q", moves, want)
				}
				if c.Metrics.FramesOut < 100 {
					t.Errorf("%d frames out on both streams", c.Metrics.FramesOut)
				}
			})
		})
	}
}

// The host gives the caller away to an address of its own.
func TestTransferToAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			if err := s.Transfer(ctx, call.Transfer{To: desk, URL: "https://calls.test/elsewhere"}); !errors.Is(err, call.ErrInvalidRequest) {
				t.Errorf("to a number and an address: %v", err)
			}
			err := s.Transfer(ctx, call.Transfer{URL: "https://calls.test/elsewhere"})
			if context.Cause(ctx) == nil {
				t.Error("the agent still has the call")
			}
			return err
		}), nil)
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second})
		c := o.wait(o.place(call.Options{}).ID)
		if c.State != call.Completed || c.Cause != call.Transferred {
			t.Errorf("call ended %v, %q (%s)", c.State, c.Cause, c.Detail)
		}
	})
}

// Keys reach the person on the line, whatever the carrier has to do for it, and
// the conversation goes on.
func TestSendKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			if _, err := s.Speak(tone(440, time.Second)).Wait(ctx); err != nil {
				t.Error(err)
			}
			for _, bad := range []string{"", "12x", "hello"} {
				if err := s.SendKeys(ctx, bad); !errors.Is(err, stream.ErrKeys) {
					t.Errorf("keys %q: %v", bad, err)
				}
			}
			if err := s.SendKeys(ctx, "42#"); err != nil {
				t.Errorf("keys: %v", err)
			}
			if err := s.SendKeys(ctx, "7"); err != nil {
				t.Errorf("more keys: %v", err)
			}
			time.Sleep(3 * time.Second) // they may take their time
			h, err := s.Speak(tone(880, time.Second)).Wait(ctx)
			if h.Status != call.HeardAll {
				t.Errorf("what was said afterwards was heard %v, %v", h, err)
			}
			return err
		}), nil)
		var talk *sim.Talk
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) { talk = k; <-k.Done() }})
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		synctest.Wait()
		if talk.Keys() != "42#7" {
			t.Errorf("the callee heard the keys %q", talk.Keys())
		}
		audiotest.HasTone(t, talk.Heard()[:2*8000], 8000, 440)
		audiotest.HasTone(t, talk.Heard()[3*8000:], 8000, 880)
		if n := len(o.Carrier.Calls()); n != 1 {
			t.Errorf("there are %d calls", n)
		}
	})
}

// The caller hangs up while the keys are sent.
func TestHangupDuringKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			time.Sleep(time.Second)
			_ = s.SendKeys(ctx, "11111111111111111111111111111111")
			<-ctx.Done()
			return nil
		}), nil)
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) {
			k.Listen(4 * time.Second)
			k.Hangup()
		}})
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.HangupRemote, allStates...)
	})
}

// Somebody is called, told what it is about, and connected to the caller, who
// hears music until then.
func TestWarmTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var talk *sim.Talk
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			if err := s.Hold(tone(700, time.Minute)); err != nil {
				t.Error(err)
			}
			err := s.WarmTransfer(ctx, call.WarmTransfer{To: desk, From: ours, Brief: call.AgentFunc(func(ctx context.Context, desk *call.Session) error {
				if got := desk.Call(); got.ParentID != s.Call().ID || got.Direction != telephony.Outbound {
					t.Errorf("the other call is %+v", got)
				}
				_, err := desk.Speak(tone(1000, time.Second)).Wait(ctx)
				return err
			})})
			if err != nil {
				t.Errorf("warm transfer: %v", err)
			}
			<-ctx.Done()
			var end *call.EndError
			if !errors.As(context.Cause(ctx), &end) || end.Cause != call.Transferred {
				t.Errorf("the agent's context ended with %v", context.Cause(ctx))
			}
			return nil
		}), nil)
		var colleague *sim.Talk
		o.Phone(desk).Behave(sim.Behavior{Ring: 3 * time.Second, Talk: func(k *sim.Talk) {
			colleague = k
			k.Listen(4 * time.Second)
			if err := k.Say(tone(880, 2*time.Second)); err != nil {
				t.Errorf("the desk could not speak: %v", err)
			}
			k.Listen(2 * time.Second)
			k.Hangup()
		}})
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) {
			talk = k
			k.Listen(12 * time.Second)
			_ = k.Say(tone(600, time.Second)) // the desk may have hung up
			<-k.Done()
		}})
		c := o.wait(o.place(call.Options{}).ID)
		if c.State != call.Completed || c.Cause != call.Transferred {
			t.Errorf("call ended %v, %q (%s)", c.State, c.Cause, c.Detail)
		}
		for other, err := range o.Calls(t.Context(), call.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if other = o.wait(other.ID); other.State != call.Completed || other.Cause != call.Transferred {
				t.Errorf("call of %v ended %v, %q (%s)", other.To, other.State, other.Cause, other.Detail)
			}
		}
		synctest.Wait()
		audiotest.HasTone(t, talk.Heard()[:4*8000], 8000, 700)
		audiotest.HasTone(t, talk.Heard()[5*8000:], 8000, 880)
		audiotest.HasTone(t, colleague.Heard()[:2*8000], 8000, 1000)
		audiotest.NoTone(t, talk.Heard(), 8000, 1000)
	})
}

// A warm transfer that does not come about leaves the caller with the agent, and
// nobody's telephone ringing.
func TestWarmTransferThatFails(t *testing.T) {
	answering := sim.Behavior{Ring: time.Second}
	tests := []struct {
		name  string
		desk  sim.Behavior
		brief error
		state call.State
		err   error
	}{
		{"busy", sim.Behavior{Outcome: sim.Busy, Ring: time.Second}, nil, call.Busy, nil},
		{"no answer", sim.Behavior{Outcome: sim.NoAnswer}, nil, call.NoAnswer, nil},
		{"declined", answering, call.ErrDeclined, call.Canceled, call.ErrDeclined},
		{"hangs up", sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) {
			k.Listen(time.Second)
			k.Hangup()
		}}, errors.ErrUnsupported, call.Canceled, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
					err := s.WarmTransfer(ctx, call.WarmTransfer{To: desk, From: ours, RingTimeout: 10 * time.Second,
						Brief: call.AgentFunc(func(ctx context.Context, _ *call.Session) error {
							if tt.brief == errors.ErrUnsupported {
								<-ctx.Done()
								return ctx.Err()
							}
							return tt.brief
						})})
					var failed *call.TransferError
					if !errors.As(err, &failed) || failed.State != tt.state || tt.err != nil && !errors.Is(err, tt.err) {
						t.Errorf("warm transfer: %v, want %v", err, tt.state)
					}
					_, err = s.Speak(tone(440, time.Second)).Wait(ctx)
					return err
				}), nil)
				o.Phone(desk).Behave(tt.desk)
				o.Phone(callee).Behave(sim.Behavior{Ring: time.Second})
				c := o.wait(o.place(call.Options{}).ID)
				o.check(c, call.Completed, call.AgentDone, allStates...)
				time.Sleep(time.Minute)
				for _, k := range o.Carrier.Calls() {
					if !k.Status.Final() {
						t.Errorf("the carrier's call to %v is left %v", k.To, k.Status)
					}
				}
			})
		})
	}
}

// When the caller leaves, the other telephone stops ringing.
func TestCallerLeavesDuringAWarmTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			err = s.WarmTransfer(ctx, call.WarmTransfer{To: desk, From: ours, RingTimeout: time.Minute})
			return nil
		}), nil)
		o.Phone(desk).Behave(sim.Behavior{Ring: 50 * time.Second})
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) {
			k.Listen(5 * time.Second)
			k.Hangup()
		}})
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.HangupRemote, allStates...)
		if !errors.Is(err, call.ErrEnded) {
			t.Errorf("warm transfer: %v, want ErrEnded", err)
		}
		for other, err := range o.Calls(t.Context(), call.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if other = o.wait(other.ID); other.ParentID != "" && other.State != call.Canceled {
				t.Errorf("the other call ended %v", other.State)
			}
		}
		for _, k := range o.Carrier.Calls() {
			if rang := k.Ended.Sub(k.Started); !k.Status.Final() || k.To == desk && rang > 10*time.Second {
				t.Errorf("the carrier's call to %v is %v after %v", k.To, k.Status, rang)
			}
		}
	})
}

// A stream that breaks is replaced, and the conversation goes on.
func TestStreamThatBreaksIsReplaced(t *testing.T) {
	for name, faults := range map[string]sim.Faults{
		"the carrier asks what to do": {CutAfter: 2 * time.Second},
		"the carrier connects again":  {ReconnectAfter: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) { testStreamThatBreaks(t, faults) })
	}
}

func testStreamThatBreaks(t *testing.T, faults sim.Faults) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			if h, _ := s.Speak(tone(440, 4*time.Second)).Wait(ctx); h.Status != call.HeardCut || h.Duration < time.Second {
				t.Errorf("what was being said was heard %v", h)
			}
			h, err := s.Speak(tone(880, time.Second)).Wait(ctx)
			if h.Status != call.HeardAll {
				t.Errorf("what was said then was heard %v, %v", h, err)
			}
			return err
		}), func(c *call.Config) { c.StreamGrace = 5 * time.Second }, faults)
		var talk *sim.Talk
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) { talk = k; <-k.Done() }})
		c := o.wait(o.place(call.Options{Record: true}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		synctest.Wait()
		audiotest.HasTone(t, talk.Heard()[:2*8000], 8000, 440)
		audiotest.HasTone(t, talk.Heard()[2*8000:], 8000, 880)
		if n := len(o.Carrier.Calls()); n != 1 {
			t.Errorf("there are %d calls", n)
		}
	})
}
