package deepgram_test

import (
	"os"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/deepgram"
	"github.com/switchboard-voice/switchboard/transcript/openai"
)

// Words come from one service while calls last, and from another, out of the
// recording, where that one has failed.
func ExampleTranscriber() {
	cfg := call.Config{
		Transcriber: &deepgram.Transcriber{
			Key:        telephony.Secret(os.Getenv("DEEPGRAM_API_KEY")),
			Terms:      []string{"Switchboard"},
			CallerOnly: true, // the agent's words are known
		},
		Retranscriber:     &openai.Transcriber{Key: telephony.Secret(os.Getenv("OPENAI_API_KEY"))},
		TranscribeInbound: true,
		Redactor:          transcript.Personal{},
	}
	_ = cfg // with all else that call.New needs
}
