// Package openai transcribes calls with any server that takes files at
// POST /v1/audio/transcriptions as OpenAI's does
// (https://platform.openai.com/docs/api-reference/audio/createTranscription):
// while they last, cut into utterances by our own detector, or afterwards from
// their recordings.
//
// Such a server hears nothing before an utterance has ended, so there are no
// interim results.
package openai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
)

const (
	service         = "openai"
	defaultBaseURL  = "https://api.openai.com/v1"
	defaultModel    = "whisper-1"
	defaultParallel = 2
	defaultTimeout  = 30 * time.Second
)

// Transcriber transcribes calls. It may be used by many goroutines at once; its
// fields must not change once it is used.
type Transcriber struct {
	// Key is the API key. Servers of one's own may need none.
	Key telephony.Secret
	// BaseURL is where the service is, to be followed by /audio/transcriptions.
	// Empty means https://api.openai.com/v1.
	BaseURL string
	// Insecure lets BaseURL be without TLS on other machines than this. The key
	// and what is said are then open to all on the way.
	Insecure bool
	// Transport sends the requests. Nil means http.DefaultTransport.
	Transport http.RoundTripper

	// Model is what recognises. Empty means whisper-1.
	Model string
	// Language is spoken in calls that do not tell. Empty lets the service find
	// out.
	Language string
	// Prompt shows the service how to write: names and terms that are likely.
	Prompt string
	// Plain asks for text without the times of words, which is all that some
	// models know. It goes without saying for those called gpt-4o.
	Plain bool
	// CallerOnly leaves the agent's words out. It is for agents that say what
	// they say with its text: it would be in the transcript twice.
	CallerOnly bool
	// Parallel is how many requests a call may have under way. Zero means 2.
	Parallel int
	// Timeout bounds a request. Zero means 30 seconds.
	Timeout time.Duration

	counters live.Counters
}

// Validate tells what is wrong with the settings.
func (t *Transcriber) Validate() error {
	if t.Parallel < 0 {
		return errors.New("openai: Parallel is negative")
	}
	_, err := t.url()
	return err
}

// Stats is what was done for all calls.
func (t *Transcriber) Stats() transcript.Stats { return t.counters.Stats() }

func (t *Transcriber) url() (string, error) {
	u, err := url.Parse(cmp.Or(t.BaseURL, defaultBaseURL))
	switch {
	case err != nil:
		return "", errors.New("openai: BaseURL is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("openai: BaseURL is not one of https")
	case u.Scheme == "http" && !t.Insecure && !live.Local(u.Hostname()):
		return "", errors.New("openai: BaseURL is without TLS")
	}
	return u.JoinPath("audio", "transcriptions").String(), nil
}

// Transcribe begins to listen to one call. Segments are whole utterances, in
// their order for each side. What cannot be transcribed, since the service does
// not answer in time or is too slow, is a gap.
//
// The error is transcript.ErrFormat, or tells what is wrong with the settings.
// Close tells the first reason for a gap.
func (t *Transcriber) Transcribe(_ context.Context, info transcript.Info) (transcript.Sink, error) {
	r, err := t.requester(info)
	if err != nil {
		return nil, err
	}
	tracks := 2
	if t.CallerOnly {
		tracks = 1
	}
	if !audio.SupportedRate(info.Format.Rate) || info.Format.Encoding > audio.ALaw {
		return nil, fmt.Errorf("openai: %w: %v", transcript.ErrFormat, info.Format)
	}
	return newSink(r, info, tracks, cmp.Or(t.Parallel, defaultParallel)), nil
}

// Retranscribe does what transcript.Retranscriber says. It fails with the first
// error of the service, or with audio.ErrWAV.
func (t *Transcriber) Retranscribe(ctx context.Context, info transcript.Info, wav io.Reader) ([]transcript.Segment, error) {
	r, err := t.requester(info)
	if err != nil {
		return nil, err
	}
	return r.recording(ctx, wav, cmp.Or(t.Parallel, defaultParallel), t.CallerOnly)
}

func (t *Transcriber) requester(info transcript.Info) (*requester, error) {
	u, err := t.url()
	if err != nil {
		return nil, err
	}
	language, _, _ := strings.Cut(cmp.Or(info.Language, t.Language), "-") // ISO 639-1 is wanted
	return &requester{
		client: &http.Client{
			Transport:     t.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       cmp.Or(t.Timeout, defaultTimeout),
		},
		url: u, key: string(t.Key), model: cmp.Or(t.Model, defaultModel), language: strings.ToLower(language), prompt: t.Prompt,
		plain: t.Plain || strings.HasPrefix(t.Model, "gpt-4o"), counters: &t.counters,
	}, nil
}
