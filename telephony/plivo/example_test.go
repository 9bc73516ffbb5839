package plivo_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/plivo"
)

// A host asks at its start what the carrier can do. What it cannot, answers with
// errors.ErrUnsupported, and nothing is sent.
func ExampleProvider_Powers() {
	carrier := plivo.FromEnv()
	if !telephony.PowersOf(carrier).Has(telephony.CanPauseRecording) {
		err := carrier.PauseRecording(context.Background(), "", "")
		fmt.Println("no pauses:", errors.Is(err, errors.ErrUnsupported), telephony.OutcomeOf(err))
	}
	// Output: no pauses: true not sent
}
