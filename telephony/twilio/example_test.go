package twilio_test

import (
	"fmt"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// A host that moves calls and records them asks at its start whether the carrier
// can, and not when the first caller has to wait.
func ExampleProvider_Powers() {
	carrier := twilio.FromEnv()
	needed := telephony.CanRedirect | telephony.CanConference | telephony.CanRecord
	if can := telephony.PowersOf(carrier); !can.Has(needed) {
		fmt.Println("missing:", needed&^can)
		return
	}
	fmt.Println("not needed here:", telephony.PowersOf(carrier)&^needed)
	// Output: not needed here: answer keys, find, pause recording, detect machines, detect beep
}
