package main

import (
	"time"

	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// ownNumber is the number of this server in the simulated network.
const ownNumber = "+12025550100"

// people are how the phones of the simulated network behave: somebody picks up
// after a second, hears the menu out, asks for the opening hours, and says
// goodbye.
var people = sim.Behavior{Ring: time.Second, Talk: func(t *sim.Talk) {
	listen(t)
	_ = t.Say(prompts["hello"].sound())
	_ = t.Press("1")
	listen(t)
	_ = t.Say(prompts["thanks"].sound())
	_ = t.Press("9")
	listen(t) // until the other side hangs up
}}

// office is how the phone at TRANSFER_TO behaves: somebody picks up, says who it
// is, and listens until the caller has no more to say.
var office = sim.Behavior{Ring: 2 * time.Second, Talk: func(t *sim.Talk) {
	_ = t.Say(prompts["office"].sound())
	_ = t.WaitSilence(10*time.Second, time.Minute)
	t.Hangup()
}}

// listen waits until the other side has said something. What a person does on a
// call that is over fails, and does nothing.
func listen(t *sim.Talk) {
	_ = t.WaitSpeech(10 * time.Second)
	_ = t.WaitSilence(time.Second, 30*time.Second)
}
