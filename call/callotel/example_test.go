package callotel_test

import (
	"context"
	"log"
	"os"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/callotel"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// The zero Telemetry uses the providers that the host's SDK has made global.
func ExampleTelemetry() {
	telemetry := &callotel.Telemetry{}
	svc, err := call.New(call.Config{
		PublicURL: "https://voice.example.com/phone/",
		Providers: []call.Provider{&twilio.Provider{
			AccountSID: os.Getenv("TWILIO_ACCOUNT_SID"),
			AuthToken:  telephony.Secret(os.Getenv("TWILIO_AUTH_TOKEN")),
			Transport:  telemetry.Transport(nil),
		}},
		Agents:      call.Agents{"echo": call.Echo},
		CallContext: telemetry.CallContext,
	})
	if err != nil {
		log.Print(err)
		return
	}
	go telemetry.Watch(context.Background(), svc) // until svc has shut down
}
