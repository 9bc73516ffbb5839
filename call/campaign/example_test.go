package campaign_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/routing"
)

// Appointments are confirmed on weekdays, two calls a second, by an agent that
// knows the contact's data as the Context of its call.
func Example() {
	var svc *call.Service // made with call.New
	runner, err := campaign.New(campaign.Config{Service: svc})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	weekdays, err := routing.ParseWeek("Mon-Fri 09:00-12:30 14:00-18:00")
	if err != nil {
		log.Fatal(err)
	}
	c, err := runner.Create(ctx, campaign.Spec{
		ID: "appointments-may",
		Request: call.Request{
			AgentID: "confirm", From: "+12025550100",
			Options: call.Options{MachineDetection: true},
		},
		Hours:          weekdays,
		CallsPerSecond: 2,
		Concurrency:    20,
		MaxAttempts:    3,
		Retry:          campaign.Retry{Busy: 20 * time.Minute, Machine: -1}, // no second call after a machine
	})
	if err != nil {
		log.Fatal(err)
	}
	added, err := runner.Add(ctx, c.ID, []campaign.Contact{
		{Number: "+12127550100", Data: map[string]string{"name": "Ann", "at": "Tuesday at ten"}},
		{Number: "+442079460958", Data: map[string]string{"name": "Bob", "at": "Tuesday at noon"}},
		{Number: "+12127550100"}, // the same number again
	})
	if err != nil {
		log.Fatal(err)
	}
	// runner.Start(ctx, c.ID), while runner.Run runs; then:
	progress, err := runner.Progress(ctx, c.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(added, "contacts,", progress.Waiting, "waiting, campaign is", c.State)
	if err := campaign.WriteCSV(os.Stdout, runner.Contacts(ctx, c.ID, 0)); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 2 contacts, 2 waiting, campaign is paused
	// seq,number,state,outcome,attempts,last_at,last_call_id,last_cause,talk_seconds,due,detail,data
	// 1,+12127550100,waiting,,0,,,,0.0,,,"{""at"":""Tuesday at ten"",""name"":""Ann""}"
	// 2,+442079460958,waiting,,0,,,,0.0,,,"{""at"":""Tuesday at noon"",""name"":""Bob""}"
}
