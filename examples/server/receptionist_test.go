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
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network, svc := reception(t, receptionist{})
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

// reception is an agent on a telephone network in memory.
func reception(t *testing.T, agent call.Agent) (*calltest.Network, *call.Service) {
	t.Helper()
	network := calltest.NewNetwork(t)
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

func TestReceptionistConnectsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, svc := reception(t, receptionist{transferTo: "+12025550142"})
		network.Phone("+12025550142").Behave(sim.Behavior{Ring: time.Second, Talk: func(p *sim.Talk) {
			p.Listen(3 * time.Second)
			p.Hangup()
		}})
		talk, err := network.Phone("+12025550199").Call(t.Context(), calltest.Number)
		if err != nil {
			t.Fatal(err)
		}
		_ = talk.WaitSpeech(5 * time.Second)
		_ = talk.Press("0")
		if colleague, err := network.Phone("+12025550142").NextTalk(t.Context()); err != nil {
			t.Fatal(err)
		} else {
			<-colleague.Done()
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
		wantHeard(t, talk.Heard(), []string{"connect"})
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
