package main

import (
	"context"
	"log"
	"net/http"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

func main() {
	svc, err := call.New(call.Config{
		PublicURL: "https://voice.example.com/phone/",
		Providers: []call.Provider{twilio.FromEnv()},
		Agents:    call.Agents{"echo": call.AgentFunc(echo)},
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/phone/", svc.Handler())
	log.Fatal(http.ListenAndServe(":8010", nil))
}

func echo(ctx context.Context, s *call.Session) error {
	_, err := audio.Copy(s.Line(8000), s.Line(8000))
	return err
}
