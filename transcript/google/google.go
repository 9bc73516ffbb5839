// Package google transcribes calls while they last, with the streaming
// recognition of Google Cloud Speech-to-Text, version 1
// (https://cloud.google.com/speech-to-text/docs/reference/rpc/google.cloud.speech.v1).
//
// Both sides of a call travel as the two channels of one stream, so that their
// words are on one clock. The service ends a stream after five minutes; before
// that another one takes its place, between words. A stream that breaks is
// replaced too, and sent again what had no final result, up to ten seconds of
// it. Where more was lost, the transcript has a gap.
package google

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"cloud.google.com/go/speech/apiv1/speechpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/oauth"
	"google.golang.org/grpc/keepalive"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
)

const (
	service         = "google"
	defaultEndpoint = "speech.googleapis.com:443"
	scope           = "https://www.googleapis.com/auth/cloud-platform"
	defaultModel    = "telephony"
	defaultLanguage = "en-US"

	// life is how long a stream lasts at most. The service allows 305 seconds
	// (https://cloud.google.com/speech-to-text/quotas).
	life = 285 * time.Second
)

// Dial returns a connection to the service for a Transcriber, with the
// credentials that the environment has for applications
// (https://cloud.google.com/docs/authentication/application-default-credentials).
// An empty endpoint means speech.googleapis.com:443. One on this machine is
// taken for a server of one's own, without TLS or credentials.
//
// It does not wait until there is a connection. Close it when all calls that use
// it have ended.
func Dial(ctx context.Context, endpoint string) (*grpc.ClientConn, error) {
	endpoint = cmp.Or(endpoint, defaultEndpoint)
	options := []grpc.DialOption{grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second})}
	if host, _, err := net.SplitHostPort(endpoint); err == nil && live.Local(host) {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	} else {
		c, err := oauth.NewApplicationDefault(ctx, scope)
		if err != nil {
			return nil, fmt.Errorf("google: %w: %w", transcript.ErrAuth, err)
		}
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(nil)), grpc.WithPerRPCCredentials(c))
	}
	conn, err := grpc.NewClient(endpoint, options...)
	if err != nil {
		return nil, fmt.Errorf("google: %w", err)
	}
	return conn, nil
}

// Transcriber transcribes calls with Google. It may be used by many goroutines at
// once; its fields must not change once it is used.
//
// The service shows in final results only where words are and how sure it is;
// the confidence of interim results is how stable it says they are.
type Transcriber struct {
	// Conn is the connection to the service, as Dial returns it. It is needed,
	// and stays the host's.
	Conn grpc.ClientConnInterface
	// Model is what recognises. Empty means telephony.
	Model string
	// Language is spoken in calls that do not tell. Empty means en-US.
	Language string
	// Terms are words that are likely to be said, such as names.
	Terms []string
	// CallerOnly leaves the agent's words out. It is for agents that say what
	// they say with its text: it would be in the transcript twice.
	CallerOnly bool

	counters live.Counters
}

// Validate tells what is wrong with the settings.
func (t *Transcriber) Validate() error {
	if t.Conn == nil {
		return errors.New("google: no connection")
	}
	return nil
}

// Stats is what was done for all calls.
func (t *Transcriber) Stats() transcript.Stats { return t.counters.Stats() }

// Transcribe begins to listen to one call. It does not wait for the service: what
// is said until that answers is sent later.
//
// The error is transcript.ErrFormat, or tells what is wrong with the settings.
// If the service refuses the credentials (transcript.ErrAuth) or what is asked of
// it (transcript.ErrRefused), Close tells.
func (t *Transcriber) Transcribe(_ context.Context, info transcript.Info) (transcript.Sink, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	f := info.Format
	if !audio.SupportedRate(f.Rate) || f.Encoding > audio.ALaw {
		return nil, fmt.Errorf("google: %w: %v", transcript.ErrFormat, f)
	}
	tracks := 2
	if t.CallerOnly {
		tracks = 1
	}
	request := t.request(info, tracks)
	return live.New(live.Config{
		Service: service, Info: info, Tracks: tracks, Counters: &t.counters, Life: life, Silent: true,
		Open: func(ctx context.Context) (live.Stream, error) {
			return open(ctx, t.Conn, request, f.Encoding, &t.counters)
		},
	}), nil
}

// request is the first one of a stream. Sound is linear, since the service knows
// several channels of no other.
func (t *Transcriber) request(info transcript.Info, tracks int) *speechpb.StreamingRecognizeRequest {
	config := &speechpb.RecognitionConfig{
		Encoding:                            speechpb.RecognitionConfig_LINEAR16,
		SampleRateHertz:                     int32(info.Format.Rate),
		AudioChannelCount:                   int32(tracks),
		EnableSeparateRecognitionPerChannel: tracks > 1,
		LanguageCode:                        cmp.Or(info.Language, t.Language, defaultLanguage),
		Model:                               cmp.Or(t.Model, defaultModel),
		EnableWordTimeOffsets:               true,
		EnableWordConfidence:                true,
		EnableAutomaticPunctuation:          true,
	}
	if len(t.Terms) > 0 {
		config.SpeechContexts = []*speechpb.SpeechContext{{Phrases: t.Terms}}
	}
	return &speechpb.StreamingRecognizeRequest{StreamingRequest: &speechpb.StreamingRecognizeRequest_StreamingConfig{
		StreamingConfig: &speechpb.StreamingRecognitionConfig{Config: config, InterimResults: true},
	}}
}
