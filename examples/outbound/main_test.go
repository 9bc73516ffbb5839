package main

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestItTellsWhatBecameOfTheCall(t *testing.T) {
	const they = "+12025550142"
	tests := []struct {
		name string
		they sim.Behavior
		want string
	}{
		{"they listen", sim.Behavior{Ring: 3 * time.Second}, "they heard all of it, in 5s"},
		{"they hang up", sim.Behavior{Talk: func(t *sim.Talk) { t.Listen(2 * time.Second); t.Hangup() }}, "they hung up before the end"},
		{"they are on the phone", sim.Behavior{Outcome: sim.Busy}, "their line is busy"},
		{"they are out", sim.Behavior{Outcome: sim.NoAnswer}, "nobody picked up"},
		{"a machine", sim.Behavior{Voicemail: &sim.Voicemail{}}, "a machine has the message"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := calltest.NewNetwork(t)
				svc, err := newService(calltest.PublicURL, network.Provider, func() audio.Reader {
					return audio.NewSamples(audiotest.Tone(440, 5*time.Second, 8000), 8000)
				})
				if err != nil {
					t.Fatal(err)
				}
				network.Connect(svc)
				network.Phone(they).Behave(tt.they)
				got, err := tell(t.Context(), svc, calltest.Number, they)
				if err != nil || got != tt.want {
					t.Errorf("%q, %v; want %q", got, err, tt.want)
				}
			})
		})
	}
}

func TestMessageIsReadOnceAndPlayedAgainAndAgain(t *testing.T) {
	message, err := readMessage("../../audio/testdata/speech/en-f.wav")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := message().ReadPCM(make([]int16, 160)); n != 160 || err != nil {
			t.Errorf("%d samples, %v", n, err)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.wav")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, empty + ".none"} {
		if _, err := readMessage(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}
