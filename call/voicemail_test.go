package call_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// onEachCarrier tests whole calls over the protocol of each carrier.
func onEachCarrier(t *testing.T, test func(t *testing.T)) {
	before := *carrier
	t.Cleanup(func() { *carrier = before })
	for _, *carrier = range []string{"twilio", "plivo"} {
		t.Run(*carrier, test)
	}
}

// theMessage is what is left on machines: no part of it is like another.
func theMessage() []int16 { return audiotest.Sweep(300, 3000, 4*time.Second, 8000) }

// reminder greets people with a tone of 440 Hz, listens to them, and leaves
// theMessage on machines.
func reminder(greeting time.Duration) call.Voicemail {
	greet := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
		s.Speak(tone(440, greeting))
		<-ctx.Done()
		return nil
	})
	return call.Voicemail{Agent: greet, Message: func(context.Context, *call.Call) (call.Utterance, error) {
		return call.Utterance{Audio: audio.NewSamples(theMessage(), 8000), Text: "Please call us back."}, nil
	}}
}

const ms = time.Millisecond

// What machines do, and people who are taken for one; and when the message begins.
func TestVoicemail(t *testing.T) {
	words := voice(t)
	wordsTake := audio.Duration(len(words), 8000)
	beep := audiotest.Tone(1000, 300*ms, 8000)
	says := func(t *testing.T, k *sim.Talk, parts ...[]int16) {
		if err := k.WaitConnected(time.Second); err != nil && !errors.Is(err, sim.ErrOver) {
			t.Error(err)
		}
		for _, pcm := range parts {
			if err := k.Say(audio.NewSamples(pcm, 8000)); err != nil && !errors.Is(err, sim.ErrOver) {
				t.Error(err)
			}
		}
	}
	long := strings.Repeat("call again or leave a message ", 4) // 7.2 s
	const sounds = 120*60*ms + 200*ms                           // with its beep
	tests := []struct {
		name     string
		agent    call.Voicemail
		detect   bool // the carrier is asked
		delay    time.Duration
		phone    sim.Behavior
		talk     func(t *testing.T, k *sim.Talk)
		begins   time.Duration // of the message, after the answer; 0: there is none
		within   time.Duration
		outcome  call.MachineOutcome
		answered telephony.AnsweredBy
	}{
		{name: "a machine, by the carrier's word", agent: reminder(time.Second), detect: true,
			phone:  sim.Behavior{Voicemail: &sim.Voicemail{Greeting: long}},
			begins: sounds, within: 150 * ms, outcome: call.MessageLeft, answered: telephony.AnsweredByMachine},
		{name: "a machine whose beep comes before the carrier's word", agent: reminder(20 * time.Second), detect: true, delay: 20 * time.Second,
			phone:  sim.Behavior{Voicemail: &sim.Voicemail{Greeting: long}},
			begins: sounds, within: 150 * ms, outcome: call.MessageLeft, answered: telephony.AnsweredByBeep},
		{name: "a machine, and nobody was asked", agent: reminder(20 * time.Second),
			phone:  sim.Behavior{Voicemail: &sim.Voicemail{Greeting: long}},
			begins: sounds, within: 150 * ms, outcome: call.MessageLeft, answered: telephony.AnsweredByBeep},
		{name: "a machine of few words, whose beep is over before the carrier's word", agent: reminder(time.Second), detect: true,
			phone:  sim.Behavior{AnsweredBy: "machine_start"},
			talk:   func(t *testing.T, k *sim.Talk) { says(t, k, words[:8000], beep) },
			begins: time.Second + 300*ms, within: 150 * ms, outcome: call.MessageLeft, answered: telephony.AnsweredByBeep},
		{name: "a machine that does not beep", agent: reminder(time.Second), detect: true,
			phone:  sim.Behavior{AnsweredBy: "machine_start"},
			talk:   func(t *testing.T, k *sim.Talk) { says(t, k, words, words) },
			begins: 2*wordsTake + 3*time.Second, within: 300 * ms, outcome: call.MessageUncertain, answered: telephony.AnsweredByMachine},
		{name: "a machine that beeps late: the message begins anew", agent: reminder(time.Second), detect: true,
			phone: sim.Behavior{AnsweredBy: "machine_start"},
			talk: func(t *testing.T, k *sim.Talk) {
				says(t, k, words, words, audiotest.Silence(4*time.Second, 8000), beep)
			},
			begins: 2*wordsTake + 4*time.Second + 300*ms, within: 150 * ms, outcome: call.MessageLeft, answered: telephony.AnsweredByMachine},
		{name: "a machine that says nothing", agent: reminder(time.Second), detect: true,
			phone:  sim.Behavior{AnsweredBy: "machine_start"},
			begins: 4100*ms + 3*time.Second, within: 200 * ms, outcome: call.MessageUncertain, answered: telephony.AnsweredByMachine},
		{name: "a machine that talks without end", agent: reminder(time.Second), detect: true,
			phone: sim.Behavior{AnsweredBy: "machine_start"},
			talk: func(t *testing.T, k *sim.Talk) {
				for range 60 {
					says(t, k, words)
				}
			},
			begins: 4100*ms + 45*time.Second, within: 200 * ms, outcome: call.MessageUncertain, answered: telephony.AnsweredByMachine},
		{name: "a machine that is hung up on", agent: call.Voicemail{Agent: hello(20 * time.Second)}, detect: true,
			phone: sim.Behavior{Voicemail: &sim.Voicemail{Greeting: long}}, outcome: call.MachineHungUp, answered: telephony.AnsweredByMachine},
		{name: "a machine that has no room for all of it", agent: reminder(time.Second), detect: true,
			phone:   sim.Behavior{Voicemail: &sim.Voicemail{Greeting: long, Limit: 2 * time.Second}},
			outcome: call.MessageCut, answered: telephony.AnsweredByMachine},
		{name: "a person who is taken for a machine hears the greeting", agent: reminder(8 * time.Second), detect: true,
			phone: sim.Behavior{AnsweredBy: "machine_start"},
			talk: func(t *testing.T, k *sim.Talk) {
				k.Listen(7 * time.Second)
				audiotest.HasTone(t, k.Heard()[800:56000], 8000, 440)
			},
			begins: 4100*ms + 3*time.Second, within: 200 * ms, outcome: call.MessageUncertain, answered: telephony.AnsweredByMachine},
		{name: "a person", agent: reminder(20 * time.Second), detect: true,
			phone: sim.Behavior{AnsweredBy: "human"},
			talk: func(t *testing.T, k *sim.Talk) {
				says(t, k, words)
				k.Listen(20 * time.Second)
				k.Hangup()
			}},
	}
	onEachCarrier(t, func(t *testing.T) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOffice(t, tt.agent, func(c *call.Config) { c.Interruption.Mode = call.Never }, sim.Faults{DetectionDelay: tt.delay})
					if tt.talk != nil {
						tt.phone.Talk = func(k *sim.Talk) { tt.talk(t, k) }
					}
					o.Phone(callee).Behave(tt.phone)
					c := o.wait(o.place(call.Options{MachineDetection: tt.detect}).ID)
					k := o.Phone(callee).Talks()[0]
					begin, similarity := audiotest.Align(theMessage(), k.Heard())
					at := audio.Duration(begin, 8000)
					switch late := at - tt.begins; {
					case tt.begins == 0:
						if tt.outcome != call.MessageCut && similarity > 0.3 {
							t.Errorf("a message was left %v after the answer", at)
						}
					case similarity < 0.95 || late < 0 || late > tt.within:
						t.Errorf("the message (%.2f) begins %v after the answer, want %v", similarity, at, tt.begins)
					default:
						t.Logf("the message begins %v after its time", late)
					}
					if c.Machine != tt.outcome {
						t.Errorf("what became of it: %q, want %q; %v, %q (%s)", c.Machine, tt.outcome, c.State, c.Cause, c.Detail)
					}
					if c.AnsweredBy != tt.answered && (tt.answered != "" || c.AnsweredBy != telephony.AnsweredByHuman) {
						t.Errorf("answered by %q, want %q", c.AnsweredBy, tt.answered)
					}
					synctest.Wait()
				})
			})
		}
	})
}

// Where the carrier finds a person, a beep means nothing.
func TestBeepOfAPerson(t *testing.T) {
	onTwilio(t)
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, reminder(time.Second), nil)
		o.Phone(callee).Behave(sim.Behavior{AnsweredBy: "human", Talk: func(k *sim.Talk) {
			k.Listen(3 * time.Second)
			if err := k.Say(audio.NewSamples(audiotest.Tone(1000, 300*ms, 8000), 8000)); err != nil {
				t.Error(err)
			}
			k.Listen(10 * time.Second)
			k.Hangup()
		}})
		c := o.wait(o.place(call.Options{MachineDetection: true}).ID)
		if c.Cause != call.HangupRemote || c.Machine != "" || c.AnsweredBy != telephony.AnsweredByHuman {
			t.Errorf("%q, %q, %q", c.Cause, c.Machine, c.AnsweredBy)
		}
		synctest.Wait()
	})
}

func TestFaxIsHungUpOn(t *testing.T) {
	onTwilio(t)
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, reminder(time.Second), nil)
		o.Phone(callee).Behave(sim.Behavior{AnsweredBy: "fax"})
		c := o.wait(o.place(call.Options{MachineDetection: true}).ID)
		if c.Cause != call.AgentDone || c.Machine != call.MachineHungUp || c.Duration(time.Now()) > 5*time.Second {
			t.Errorf("%q, %q after %v", c.Cause, c.Machine, c.Duration(time.Now()))
		}
		synctest.Wait()
	})
}

// What the host's code does wrong ends its own call, or does not matter.
func TestVoicemailInHostCode(t *testing.T) {
	deaf := reminder(time.Second)
	deaf.Agent = call.AgentFunc(func(_ context.Context, s *call.Session) error {
		for range s.Keys() { // until the end of the call, whatever its context says
		}
		return nil
	})
	failing, panicking, none := reminder(time.Second), reminder(time.Second), call.Voicemail{}
	failing.Message = func(context.Context, *call.Call) (call.Utterance, error) {
		return call.Utterance{}, errors.New("no words")
	}
	panicking.Agent = call.AgentFunc(func(context.Context, *call.Session) error { panic("host") })
	for name, tt := range map[string]struct {
		agent   call.Voicemail
		cause   call.Cause
		outcome call.MachineOutcome
	}{
		"an agent that does not return": {deaf, call.AgentDone, call.MessageLeft},
		"a message that fails":          {failing, call.AgentError, ""},
		"an agent that panics":          {panicking, call.AgentPanic, ""},
		"no agent":                      {none, call.AgentError, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, tt.agent, nil)
				o.Phone(callee).Behave(sim.Behavior{Voicemail: &sim.Voicemail{Silence: 20 * time.Second}})
				c := o.wait(o.place(call.Options{}).ID)
				if c.Cause != tt.cause || c.Machine != tt.outcome {
					t.Errorf("%q (%s), %q; want %q, %q", c.Cause, c.Detail, c.Machine, tt.cause, tt.outcome)
				}
				synctest.Wait()
			})
		})
	}
}

// An agent may ask for itself who picked up, and wait for the beep; the end of
// the call, or of its context, ends that.
func TestSessionTellsOfMachines(t *testing.T) {
	onEachCarrier(t, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
				short, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				if _, err := s.AnsweredBy(short); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("AnsweredBy too soon: %v", err)
				}
				if _, err := s.AwaitBeep(short); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("AwaitBeep too soon: %v", err)
				}
				if who, err := s.AnsweredBy(ctx); who != telephony.AnsweredByMachine || err != nil {
					t.Errorf("answered by %q, %v", who, err)
				}
				for range 2 {
					at, err := s.AwaitBeep(ctx)
					if late := s.Now() - at; err != nil || at < 6*time.Second || late.Abs() > 100*ms {
						t.Errorf("a beep ended at %v, at %v: %v", at, s.Now(), err)
					}
				}
				<-ctx.Done()
				if _, err := s.AwaitBeep(context.Background()); err != nil {
					t.Errorf("AwaitBeep after the call: %v", err)
				}
				return nil
			}), nil)
			o.Phone(callee).Behave(sim.Behavior{Voicemail: &sim.Voicemail{Greeting: strings.Repeat("call again ", 10)}})
			c := o.wait(o.place(call.Options{MachineDetection: true}).ID)
			o.check(c, call.Completed, call.HangupRemote, allStates...)
			synctest.Wait()
		})
	})
}

// onTwilio makes the offices of a test Twilio's: Plivo tells of machines alone, and
// of no person and no fax.
func onTwilio(t *testing.T) {
	t.Helper()
	chosen := *carrier
	*carrier = "twilio"
	t.Cleanup(func() { *carrier = chosen })
}
