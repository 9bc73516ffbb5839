package main

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// from is an environment of these variables: names and values in turn.
func from(variables ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(variables); i += 2 {
			if variables[i] == name {
				return variables[i+1]
			}
		}
		return ""
	}
}

func TestSettings(t *testing.T) {
	standard := func() *settings {
		return &settings{
			listenAddr: "127.0.0.1:8010", providers: []string{"sim"}, database: "sqlite:data/switchboard.db", recordings: "data/recordings",
			defaultAgent: "receptionist", maxCalls: 1000, callsPerSecond: 1, maxDuration: time.Hour, ringTimeout: time.Minute, drainTimeout: 30 * time.Second,
			logFormat: "text",
		}
	}
	tests := []struct {
		name   string
		args   []string
		env    []string
		change func(*settings)
	}{
		{"nothing is set", nil, nil, func(*settings) {}},
		{"the environment", nil, []string{"MAX_CALLS", "7", "LOG_LEVEL", "debug", "DIAL_ALLOW", "+1, +44"}, func(s *settings) {
			s.maxCalls, s.logLevel, s.dialAllow = 7, slog.LevelDebug, []string{"+1", "+44"}
		}},
		{"a flag wins", []string{"-max-calls=8", "--log-format", "json"}, []string{"MAX_CALLS", "7"}, func(s *settings) {
			s.maxCalls, s.logFormat = 8, "json"
		}},
		{"memory", []string{"-database-url=memory:"}, nil, func(s *settings) { s.database = "" }},
		{"silence", nil, []string{"SILENCE_TIMEOUT", "45s", "TRANSFER_TO", "+1 202 555 0142"}, func(s *settings) {
			s.silence, s.transferTo = 45*time.Second, "+12025550142"
		}},
		{"insecure streams on loopback", nil, []string{"ALLOW_INSECURE_STREAMS", "true"}, func(s *settings) { s.insecureStream = true }},
		{"keys of other programs do not matter", nil, []string{"HOME", "/root", "AWS_REGION", "nowhere"}, func(*settings) {}},
		{"Twilio with a token before", nil, []string{"PROVIDERS", "twilio,sim", "TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", "new, old"}, func(s *settings) {
			s.providers = []string{"twilio", "sim"}
			s.twilio.AccountSID, s.twilio.AuthToken = account, "new"
			s.twilio.PreviousTokens = []telephony.Secret{"old"}
		}},
		{"Plivo with a token before, and a simulated carrier that speaks as it does",
			nil, []string{"PROVIDERS", "sim,plivo", "SIM_DIALECT", "plivo", "PLIVO_AUTH_ID", authID, "PLIVO_AUTH_TOKEN", "new,old"}, func(s *settings) {
				s.providers, s.simDialect = []string{"sim", "plivo"}, sim.Plivo
				s.plivo.AuthID, s.plivo.AuthToken = authID, "new"
				s.plivo.PreviousTokens = []telephony.Secret{"old"}
			}},
		{"Plivo elsewhere", nil, []string{"PLIVO_API_URL", "http://127.0.0.1:9"}, func(s *settings) { s.plivo.BaseURL = "http://127.0.0.1:9" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSettings(tt.args, from(tt.env...))
			if err != nil {
				t.Fatal(err)
			}
			want := standard()
			tt.change(want)
			want.twilio.BaseURL = "https://api.twilio.com"
			want.transcription.deepgram.BaseURL, want.transcription.openai.BaseURL = "wss://api.deepgram.com", "https://api.openai.com/v1"
			if !reflect.DeepEqual(got, want) {
				t.Errorf("settings %+v, want %+v", got, want)
			}
		})
	}
}

const (
	account = "AC00000000000000000000000000000001"
	authID  = "MA000000000000000001"
)

func TestWrongSettingsAreRefusedInOneLine(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  []string
		says string
	}{
		{"address without port", nil, []string{"LISTEN_ADDR", "localhost"}, "LISTEN_ADDR"},
		{"address with a port that is none", nil, []string{"LISTEN_ADDR", "localhost:99999"}, "LISTEN_ADDR"},
		{"public URL without scheme", nil, []string{"PUBLIC_URL", "voice.example.com"}, "PublicURL"},
		{"public URL in the clear", nil, []string{"PUBLIC_URL", "http://voice.example.com"}, "https"},
		{"empty token", nil, []string{"API_TOKENS", "one-secret,"}, "API_TOKENS: a token or its tenant is empty"},
		{"tenant without token", nil, []string{"API_TOKENS", "acme="}, "API_TOKENS"},
		{"token twice", nil, []string{"API_TOKENS", "one-secret,acme=one-secret"}, "API_TOKENS: a token is there twice"},
		{"token with a space", nil, []string{"API_TOKENS", "one secret"}, "API_TOKENS"},
		{"provider that is none", nil, []string{"PROVIDERS", "carrier-pigeon"}, `PROVIDERS: "carrier-pigeon"`},
		{"provider twice", nil, []string{"PROVIDERS", "sim,sim"}, "PROVIDERS"},
		{"no provider", nil, []string{"PROVIDERS", ","}, "PROVIDERS"},
		{"Plivo without account", nil, []string{"PROVIDERS", "sim,plivo"}, "PLIVO_AUTH_ID"},
		{"Plivo without token", nil, []string{"PROVIDERS", "plivo", "PLIVO_AUTH_ID", authID}, "PLIVO_AUTH_TOKEN"},
		{"Plivo with an empty token before", nil, []string{"PROVIDERS", "plivo", "PLIVO_AUTH_ID", authID, "PLIVO_AUTH_TOKEN", "one-secret,"}, "PreviousTokens"},
		{"Plivo's API in the clear", nil, []string{"PROVIDERS", "plivo", "PLIVO_AUTH_ID", authID, "PLIVO_AUTH_TOKEN", "one-secret", "PLIVO_API_URL", "http://example.com"}, "PLIVO_API_URL"},
		{"dialect that is none", nil, []string{"SIM_DIALECT", "latin"}, `SIM_DIALECT: "latin"`},
		{"Twilio without account", nil, []string{"PROVIDERS", "twilio"}, "TWILIO_ACCOUNT_SID"},
		{"Twilio without token", nil, []string{"PROVIDERS", "twilio", "TWILIO_ACCOUNT_SID", account}, "TWILIO_AUTH_TOKEN"},
		{"Twilio's API in the clear", nil, []string{"PROVIDERS", "twilio", "TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", "one-secret", "TWILIO_API_URL", "http://example.com"}, "TWILIO_API_URL"},
		{"database that is none", nil, []string{"DATABASE_URL", "mysql:one-secret"}, "DATABASE_URL"},
		{"cluster without a secret", nil, []string{"CLUSTER_ADDRESS", "http://127.0.0.1:8010"}, "CLUSTER_ADDRESS, CLUSTER_SECRET"},
		{"cluster in memory", nil, []string{"CLUSTER_ADDRESS", "http://127.0.0.1:8010", "CLUSTER_SECRET", "one-secret-of-all"}, "CLUSTER_ADDRESS: DATABASE_URL"},
		{"recordings nowhere", nil, []string{"RECORDING_URL", "ftp://one-secret"}, "RECORDING_URL"},
		{"unknown transcriber", nil, []string{"TRANSCRIBER", "whisper"}, `TRANSCRIBER: "whisper" is not deepgram, google or openai`},
		{"transcriber without its key", nil, []string{"TRANSCRIBER", "deepgram"}, `TRANSCRIBER: deepgram: `},
		{"transcriber of OpenAI without its key", nil, []string{"TRANSCRIBER", "openai"}, `TRANSCRIBER: OPENAI_API_KEY is not set`},
		{"routes that are not there", []string{"-routes=none.json"}, nil, "ROUTES: open none.json"},
		{"agent that is none", nil, []string{"DEFAULT_AGENT", "parrot"}, `DEFAULT_AGENT: "parrot"`},
		{"model without its key", nil, []string{"DEFAULT_AGENT", "realtime"}, `OPENAI_API_KEY is not set, which the agent realtime needs`},
		{"model in the clear", nil, []string{"DEFAULT_AGENT", "realtime", "OPENAI_BASE_URL", "http://example.com/v1"}, `BaseURL is without TLS`},
		{"no calls", nil, []string{"MAX_CALLS", "0"}, "MAX_CALLS"},
		{"no pace", nil, []string{"CALLS_PER_SECOND", "0"}, "CALLS_PER_SECOND"},
		{"prefix without plus", nil, []string{"DIAL_ALLOW", "1"}, "DIAL_ALLOW"},
		{"duration without unit", nil, []string{"MAX_DURATION", "60"}, "MAX_DURATION"},
		{"duration of nothing", nil, []string{"RING_TIMEOUT", "0s"}, "RING_TIMEOUT"},
		{"silence below zero", nil, []string{"SILENCE_TIMEOUT", "-1s"}, "SILENCE_TIMEOUT"},
		{"log level that is none", nil, []string{"LOG_LEVEL", "loud"}, "LOG_LEVEL"},
		{"log format that is none", nil, []string{"LOG_FORMAT", "xml"}, "LOG_FORMAT"},
		{"number that is none", nil, []string{"TRANSFER_TO", "+0123"}, "TRANSFER_TO"},
		{"insecure streams to the world", nil, []string{"ALLOW_INSECURE_STREAMS", "true", "LISTEN_ADDR", "0.0.0.0:0"}, "ALLOW_INSECURE_STREAMS"},
		{"an origin with a path", nil, []string{"BROWSER_ORIGINS", "https://shop.example.com,https://shop.example.com/calls"}, "BROWSER_ORIGINS"},
		{"an origin that is a host", nil, []string{"BROWSER_ORIGINS", "shop.example.com"}, "BROWSER_ORIGINS"},
		{"insecure streams perhaps", nil, []string{"ALLOW_INSECURE_STREAMS", "perhaps"}, "ALLOW_INSECURE_STREAMS"},
		{"flag that is none", []string{"-colour=red"}, nil, "colour"},
		{"word that is no flag", []string{"start"}, nil, `"start"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := from(append(tt.env, "DATABASE_URL", "memory:", "RECORDING_URL", "file:"+t.TempDir(), "LISTEN_ADDR", "127.0.0.1:0")...)
			var stdout, stderr bytes.Buffer
			if status := run(tt.args, env, &stdout, &stderr, nil); status != 2 {
				t.Errorf("status %d, want 2", status)
			}
			line, rest, _ := strings.Cut(stderr.String(), "\n")
			if rest != "" || !strings.Contains(line, tt.says) {
				t.Errorf("it says %q, want one line with %q", stderr.String(), tt.says)
			}
			if strings.Contains(stderr.String(), "one-secret") || stdout.Len() > 0 {
				t.Errorf("it says too much: %q, %q", stderr.String(), stdout.String())
			}
		})
	}
}

func TestHelpListsWhatCanBeSet(t *testing.T) {
	if _, err := parseSettings([]string{"-h"}, from()); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v, want that help is asked for", err)
	}
	var stdout, stderr bytes.Buffer
	if status := run([]string{"-h"}, from(), &stdout, &stderr, nil); status != 0 || stderr.Len() > 0 {
		t.Errorf("status %d, errors %q", status, stderr.String())
	}
	for _, s := range table {
		if !strings.Contains(stdout.String(), "  "+s.name) {
			t.Errorf("no word of %s", s.name)
		}
	}
}
