// Outbound places a call, plays a message to whoever picks up, or leaves it on
// their answering machine, and tells what became of it:
//
//	go run ./examples/outbound https://voice.example.com/ +12025550100 +12025550142 reminder.wav
//
// It takes TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN from the environment, and
// listens on port 8010 for what Twilio tells and asks at the address given first.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: outbound PUBLIC-URL FROM TO MESSAGE.WAV")
	}
	message, err := readMessage(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	svc, err := newService(os.Args[1], twilio.FromEnv(), message)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.ListenAndServe(":8010", svc.Handler())) }()
	outcome, err := tell(context.Background(), svc, telephony.Number(os.Args[2]), telephony.Number(os.Args[3]))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome)
}

func readMessage(path string) (func() audio.Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	channels, rate, err := audio.ReadWAV(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return func() audio.Reader { return audio.NewSamples(channels[0], rate) }, nil
}

// newService has one agent, which plays the message to people and to machines. A
// person's hello does not cut it off.
func newService(url string, provider call.Provider, message func() audio.Reader) (*call.Service, error) {
	return call.New(call.Config{
		PublicURL: url,
		Providers: []call.Provider{provider},
		Agents: call.Agents{"reminder": call.Voicemail{
			Agent: call.AgentFunc(func(ctx context.Context, s *call.Session) error {
				_, err := s.Say(call.Utterance{Audio: message(), Protected: true}).Wait(ctx)
				return err
			}),
			Message: func(context.Context, *call.Call) (call.Utterance, error) {
				return call.Utterance{Audio: message()}, nil
			},
		}},
	})
}

// tell calls somebody and says in a sentence what became of it.
func tell(ctx context.Context, svc *call.Service, from, to telephony.Number) (string, error) {
	c, err := svc.Place(ctx, call.Request{
		AgentID: "reminder", From: from, To: to,
		Options: call.Options{MachineDetection: true},
	})
	if err != nil {
		return "", err // nothing was dialed
	}
	if c, err = svc.Wait(ctx, c.ID); err != nil {
		return "", err
	}
	switch {
	case c.Machine == call.MessageLeft:
		return "a machine has the message", nil
	case c.Machine != "":
		return fmt.Sprintf("a machine picked up: %s", c.Machine), nil
	case c.State == call.Completed && c.Cause == call.AgentDone:
		return fmt.Sprintf("they heard all of it, in %v", c.Duration(time.Now()).Round(time.Second)), nil
	case c.State == call.Completed:
		return "they hung up before the end", nil
	case c.State == call.Busy:
		return "their line is busy", nil
	case c.State == call.NoAnswer:
		return "nobody picked up", nil
	}
	return fmt.Sprintf("the call %v: %s %s", c.State, c.Cause, c.Detail), nil
}
