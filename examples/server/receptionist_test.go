package main

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestReceptionist(t *testing.T) {
	tests := []struct {
		name string
		// caller acts after the welcome has begun, and hangs up or not.
		caller func(*sim.Talk)
		says   []string // prompts that are heard to their ends, in order
		cause  call.Cause
	}{
		{"a caller who hears it out and presses 9", func(p *sim.Talk) {
			listen(p)
			_ = p.Press("9")
		}, []string{"welcome", "menu", "goodbye"}, call.AgentDone},
		{"a key cuts the greeting off", func(p *sim.Talk) {
			_ = p.Press("9")
		}, []string{"goodbye"}, call.AgentDone},
		{"words cut the greeting off", func(p *sim.Talk) {
			p.Listen(time.Second)
			_ = p.Say(prompts["hello"].sound())
			_ = p.Press("9")
		}, []string{"goodbye"}, call.AgentDone},
		{"opening hours", func(p *sim.Talk) {
			_ = p.Press("1")
			listen(p)
			_ = p.Press("9")
		}, []string{"hours", "goodbye"}, call.AgentDone},
		{"a message", func(p *sim.Talk) {
			_ = p.Press("2")
			listen(p)
			_ = p.Say(prompts["thanks"].sound())
			_ = p.Press("#")
			listen(p)
			_ = p.Press("9")
		}, []string{"message", "saved", "goodbye"}, call.AgentDone},
		{"a message that is only silence", func(p *sim.Talk) {
			_ = p.Press("2")
			listen(p)
			p.Listen(patience)
			listen(p)
			p.Hangup()
		}, []string{"message", "saved"}, call.HangupRemote},
		{"nobody to connect to", func(p *sim.Talk) {
			_ = p.Press("0")
			listen(p)
			p.Hangup()
		}, []string{"nobody"}, call.HangupRemote},
		{"a key that means nothing", func(p *sim.Talk) {
			_ = p.Press("7")
			listen(p)
			p.Hangup()
		}, []string{"menu"}, call.HangupRemote},
		{"silence", func(p *sim.Talk) {
			<-p.Done()
		}, []string{"welcome", "menu", "still", "goodbye"}, call.AgentDone},
		{"a caller who hangs up at once", func(p *sim.Talk) {
			p.Hangup()
		}, nil, call.HangupRemote},
	}
	for _, tt := range tests {
		onEach(t, tt.name, func(t *testing.T, carrier func(testing.TB, ...sim.Faults) *calltest.Network) {
			synctest.Test(t, func(t *testing.T) {
				network, svc := reception(t, carrier, receptionist{})
				talk, err := network.Phone("+12025550199").Call(t.Context(), calltest.Number)
				if err != nil {
					t.Fatal(err)
				}
				if err := talk.WaitSpeech(5 * time.Second); err != nil {
					t.Fatal(err)
				}
				tt.caller(talk)
				<-talk.Done()
				synctest.Wait()

				c := only(t, svc)
				if c, err = svc.Wait(t.Context(), c.ID); err != nil {
					t.Fatal(err)
				}
				if c.State != call.Completed || c.Cause != tt.cause {
					t.Errorf("ended %v because of %s, want completed because of %s", c.State, c.Cause, tt.cause)
				}
				wantHeard(t, talk.Heard(), tt.says)
				var words []string
				for _, segment := range c.Transcript {
					words = append(words, segment.Text)
				}
				for _, name := range tt.says {
					if !slices.Contains(words, prompts[name].words) {
						t.Errorf("the transcript %q is without %q", words, prompts[name].words)
					}
				}
			})
		})
	}
}

// onEach runs a test with each carrier.
func onEach(t *testing.T, name string, test func(t *testing.T, carrier func(testing.TB, ...sim.Faults) *calltest.Network)) {
	t.Run(name+"/Twilio", func(t *testing.T) { test(t, calltest.NewNetwork) })
	t.Run(name+"/Plivo", func(t *testing.T) { test(t, calltest.NewPlivoNetwork) })
}

// reception is an agent on a telephone network in memory.
func reception(t *testing.T, carrier func(testing.TB, ...sim.Faults) *calltest.Network, agent call.Agent) (*calltest.Network, *call.Service) {
	t.Helper()
	network := carrier(t)
	svc, err := call.New(call.Config{
		PublicURL: calltest.PublicURL,
		Providers: []call.Provider{network.Provider},
		Agents:    call.Agents{"receptionist": agent},
	})
	if err != nil {
		t.Fatal(err)
	}
	network.Connect(svc)
	return network, svc
}

// only is the one call that there is.
func only(t *testing.T, svc *call.Service) *call.Call {
	t.Helper()
	var all []*call.Call
	for c, err := range svc.Calls(t.Context(), call.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if len(all) != 1 {
		t.Fatalf("%d calls, want one", len(all))
	}
	return all[0]
}

// wantHeard checks that prompts were heard whole and in order.
func wantHeard(t *testing.T, heard []int16, names []string) {
	t.Helper()
	for _, name := range names {
		pcm := prompts[name].pcm
		at, likeness := audiotest.Align(pcm, heard)
		if likeness < 0.95 || at < 0 || at+len(pcm) > len(heard) {
			t.Errorf("prompt %q was not heard whole after the one before: place %d of %d, likeness %.2f", name, at, len(heard), likeness)
			return
		}
		heard = heard[at+len(pcm):]
	}
}

const colleague = "+12025550142"

func TestReceptionistConnectsCallers(t *testing.T) {
	onEach(t, "to a colleague", func(t *testing.T, carrier func(testing.TB, ...sim.Faults) *calltest.Network) {
		synctest.Test(t, func(t *testing.T) {
			network, svc := reception(t, carrier, receptionist{transferTo: colleague})
			network.Phone(colleague).Behave(office)
			talk, err := network.Phone("+12025550199").Call(t.Context(), calltest.Number)
			if err != nil {
				t.Fatal(err)
			}
			_ = talk.WaitSpeech(5 * time.Second)
			_ = talk.Press("0")
			if colleague, err := network.Phone(colleague).NextTalk(t.Context()); err != nil {
				t.Fatal(err)
			} else {
				listen(talk)
				_ = talk.Say(prompts["hello"].sound())
				<-colleague.Done()
				wantHeard(t, colleague.Heard(), []string{"hello"})
			}
			<-talk.Done()
			synctest.Wait()
			c, err := svc.Wait(t.Context(), only(t, svc).ID)
			if err != nil {
				t.Fatal(err)
			}
			if c.State != call.Completed || c.Cause != call.Transferred {
				t.Errorf("ended %v because of %s, want completed because of transferred", c.State, c.Cause)
			}
			wantHeard(t, talk.Heard(), []string{"connect", "office"})
		})
	})
}

// A caller whom nobody takes is back with the receptionist, is told so, and can
// do what every caller can.
func TestReceptionistTakesCallersBack(t *testing.T) {
	tests := []struct {
		name      string
		colleague sim.Behavior
		says      string
		why       string
	}{
		{"busy", sim.Behavior{Outcome: sim.Busy, Ring: time.Second}, "busy", "busy"},
		{"no answer", sim.Behavior{Outcome: sim.NoAnswer}, "noanswer", "no_answer"},
		{"out of order", sim.Behavior{Outcome: sim.Failed, Ring: time.Second}, "nobody", "failed"},
	}
	for _, tt := range tests {
		onEach(t, tt.name, func(t *testing.T, carrier func(testing.TB, ...sim.Faults) *calltest.Network) {
			synctest.Test(t, func(t *testing.T) {
				network, svc := reception(t, carrier, receptionist{transferTo: colleague})
				network.Phone(colleague).Behave(tt.colleague)
				talk, err := network.Phone("+12025550199").Call(t.Context(), calltest.Number)
				if err != nil {
					t.Fatal(err)
				}
				_ = talk.WaitSpeech(5 * time.Second)
				_ = talk.Press("0")
				listen(talk)                     // somebody is being called
				_ = talk.WaitSpeech(time.Minute) // and does not come
				_ = talk.WaitSilence(time.Second, time.Minute)
				_ = talk.Press("1")
				listen(talk)
				_ = talk.Press("9")
				<-talk.Done()
				synctest.Wait()
				c, err := svc.Wait(t.Context(), only(t, svc).ID)
				if err != nil {
					t.Fatal(err)
				}
				if c.State != call.Completed || c.Cause != call.AgentDone {
					t.Errorf("ended %v because of %s, want completed because of agent_done", c.State, c.Cause)
				}
				wantHeard(t, talk.Heard(), []string{"connect", tt.says, "hours", "goodbye"})
				events, err := svc.Events(t.Context(), c.ID, 0)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(events, func(e call.Event) bool {
					return e.Type == call.EventAgent && e.Name == "transfer failed" && e.Data["why"] == tt.why
				}) {
					t.Errorf("no event says that it failed because of %s", tt.why)
				}
			})
		})
	}
}

// A number that may not be dialed is no reason to lose the caller.
func TestReceptionistMayNotDialEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, svc := reception(t, calltest.NewNetwork, receptionist{transferTo: "+19005550142"})
		talk, err := network.Phone("+12025550199").Call(t.Context(), calltest.Number)
		if err != nil {
			t.Fatal(err)
		}
		_ = talk.WaitSpeech(5 * time.Second)
		_ = talk.Press("0")
		listen(talk)
		_ = talk.Press("9")
		<-talk.Done()
		wantHeard(t, talk.Heard(), []string{"connect", "nobody", "goodbye"})
		if _, err := svc.Wait(t.Context(), only(t, svc).ID); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPromptsAreThereAndSmall(t *testing.T) {
	files, err := promptFiles.ReadDir("prompts")
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 400_000 {
		t.Errorf("prompts take %d bytes, want at most 400,000", size)
	}
	for name, p := range prompts {
		if p.rate != 8000 || audio.Duration(len(p.pcm), p.rate) < 200*time.Millisecond {
			t.Errorf("prompt %q has %d samples at %d Hz", name, len(p.pcm), p.rate)
		}
		if p.words == "" && name != "tone" {
			t.Errorf("prompt %q has no words", name)
		}
	}
}
