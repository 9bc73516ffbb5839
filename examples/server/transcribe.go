package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/deepgram"
	"github.com/switchboard-voice/switchboard/transcript/google"
	"github.com/switchboard-voice/switchboard/transcript/openai"
)

// transcription are the settings of those who make text of speech.
type transcription struct {
	names    []string // the first is the default
	deepgram deepgram.Transcriber
	google   google.Transcriber
	endpoint string // of google
	openai   openai.Transcriber
}

var transcriptionTable = []setting{
	{"TRANSCRIBER", "", "who makes text of speech: deepgram, google, openai (any server with that API), with commas between; the first does it where a call names none", func(s *settings, v string) error {
		s.transcription.names = splitList(v)
		for i, name := range s.transcription.names {
			switch {
			case slices.Contains(s.transcription.names[:i], name):
				return fmt.Errorf("%q is there twice", name)
			case name != "deepgram" && name != "google" && name != "openai":
				return fmt.Errorf("%q is not deepgram, google or openai", name)
			}
		}
		return nil
	}},
	{"DEEPGRAM_API_KEY", "", "the key", func(s *settings, v string) error {
		s.transcription.deepgram.Key = telephony.Secret(v)
		return nil
	}},
	{"DEEPGRAM_URL", "wss://api.deepgram.com", "the API", func(s *settings, v string) error {
		s.transcription.deepgram.BaseURL = v
		return nil
	}},
	{"GOOGLE_SPEECH_ENDPOINT", "", "host:port of Google Cloud Speech-to-Text, or of a server with its API on this machine; credentials as GOOGLE_APPLICATION_CREDENTIALS says", func(s *settings, v string) error {
		s.transcription.endpoint = v
		return nil
	}},
	{"OPENAI_API_KEY", "", "the key", func(s *settings, v string) error {
		s.transcription.openai.Key = telephony.Secret(v)
		return nil
	}},
	{"OPENAI_BASE_URL", "https://api.openai.com/v1", "the API", func(s *settings, v string) error {
		s.transcription.openai.BaseURL = v
		return nil
	}},
}

// check looks at the settings of those who are to be used.
func (t *transcription) check() error {
	for _, name := range t.names {
		switch {
		case name == "deepgram":
			if err := t.deepgram.Validate(); err != nil {
				return err
			}
		case name == "openai":
			if err := t.openai.Validate(); err != nil {
				return err
			}
			if err := t.openaiSet(); err != nil {
				return err
			}
		}
	}
	return nil
}

// openaiSet tells whether what needs OpenAI's API, or one like it, can have it.
func (t *transcription) openaiSet() error {
	if t.openai.Key == "" && t.openai.BaseURL == "https://api.openai.com/v1" {
		return errors.New("OPENAI_API_KEY is not set")
	}
	return nil
}

// transcribers makes those that the settings name, by their names. Agents say
// with their words what they say, so only callers are listened to.
func (s *server) transcribers() (live transcript.Transcriber, afterwards transcript.Retranscriber, err error) {
	t := &s.cfg.transcription
	if len(t.names) == 0 {
		return nil, nil, nil
	}
	t.deepgram.CallerOnly, t.google.CallerOnly, t.openai.CallerOnly = true, true, true
	byName := make(transcript.ByName)
	for i, name := range t.names {
		var one transcript.Transcriber
		switch name {
		case "deepgram":
			one = &t.deepgram
		case "google":
			conn, err := google.Dial(context.Background(), t.endpoint)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: TRANSCRIBER: %w", errSettings, err)
			}
			s.closer = append(s.closer, conn.Close)
			t.google.Conn = conn
			one = &t.google
		case "openai":
			one, afterwards = &t.openai, &t.openai
		}
		byName[name] = one
		if i == 0 {
			byName[""] = one
		}
	}
	return byName, afterwards, nil
}
