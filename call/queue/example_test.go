package queue_test

import (
	"context"
	"log"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// Callers wait until one of two agents is free. A queue is an agent itself.
func ExampleDesk() {
	desk, err := queue.New(queue.Config{
		Agents: call.Agents{"anna": call.Echo, "ben": call.Echo}, // yours
		Queues: map[string]queue.Queue{
			"support": {Agents: []string{"anna", "ben"}, Max: 20, MaxWait: 5 * time.Minute},
		},
	})
	if err != nil {
		log.Print(err)
		return
	}
	svc, err := call.New(call.Config{
		PublicURL: "https://voice.example.com/phone/",
		Providers: []call.Provider{twilio.FromEnv()},
		Agents:    desk.Agents(),
		Router:    desk.Router("support"),
	})
	if err != nil {
		log.Print(err)
		return
	}
	go func() { _ = desk.Run(context.Background(), svc) }()
}
