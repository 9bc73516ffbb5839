// Package deepgram transcribes calls while they last, with Deepgram's streaming
// API (https://developers.deepgram.com/reference/speech-to-text/listen-streaming).
//
// Both sides of a call travel as the two channels of one stream, the caller's
// first, so that their words are on one clock. A stream that breaks is replaced,
// and sent again what had no final result, up to ten seconds of it. Where more
// was lost, the transcript has a gap.
package deepgram

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
)

const (
	service        = "deepgram"
	defaultBaseURL = "wss://api.deepgram.com"
	defaultModel   = "nova-3"

	defaultEndpointing  = 300 * time.Millisecond
	defaultUtteranceEnd = time.Second // the least that is allowed
)

// Transcriber transcribes calls with Deepgram. It may be used by many goroutines
// at once; its fields must not change once it is used.
//
// A segment is what is said until the speaker comes to an end. Until then its
// versions grow, and their last words may still change.
type Transcriber struct {
	// Key is the API key. It is needed.
	Key telephony.Secret
	// BaseURL is where the service is. Empty means wss://api.deepgram.com.
	BaseURL string
	// Insecure lets BaseURL be without TLS on other machines than this. The key
	// and what is said are then open to all on the way.
	Insecure bool
	// Dial connects to the service. Nil means directly, or through the proxy that
	// the environment names.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Model is what recognises. Empty means nova-3.
	Model string
	// Language is spoken in calls that do not tell. Empty leaves it to the model.
	Language string
	// Terms are words that are likely to be said, such as names.
	Terms []string
	// CallerOnly leaves the agent's words out. It is for agents that say what
	// they say with its text: it would be in the transcript twice.
	CallerOnly bool
	// Endpointing is how long a speaker must pause to have come to an end. Zero
	// means 300 ms.
	Endpointing time.Duration
	// UtteranceEnd is how long there must be no word to have come to an end
	// where noise does not let the service hear a pause. Zero means a second,
	// which is the least.
	UtteranceEnd time.Duration
	// Query has more parameters of the API, such as mip_opt_out. They go before
	// those of the fields above.
	Query url.Values

	counters live.Counters
}

// Validate tells what is wrong with the settings.
func (t *Transcriber) Validate() error {
	if t.Key == "" {
		return errors.New("deepgram: no key")
	}
	if d := t.UtteranceEnd; d != 0 && d < defaultUtteranceEnd {
		return fmt.Errorf("deepgram: UtteranceEnd is %v, less than a second", d)
	}
	_, err := t.url(transcript.Info{Format: audio.Telephone})
	return err
}

// Stats is what was done for all calls.
func (t *Transcriber) Stats() transcript.Stats { return t.counters.Stats() }

// Transcribe begins to listen to one call. It does not wait for the service: what
// is said until that answers is sent later.
//
// The error is transcript.ErrFormat, or tells what is wrong with the settings.
// If the service refuses the key (transcript.ErrAuth) or what is asked of it
// (transcript.ErrRefused), Close tells.
func (t *Transcriber) Transcribe(_ context.Context, info transcript.Info) (transcript.Sink, error) {
	if t.Key == "" {
		return nil, errors.New("deepgram: no key")
	}
	u, err := t.url(info)
	if err != nil {
		return nil, err
	}
	return live.New(live.Config{
		Service: service, Info: info, Tracks: t.tracks(), Counters: &t.counters,
		Open: func(ctx context.Context) (live.Stream, error) { return t.open(ctx, u) },
	}), nil
}

func (t *Transcriber) tracks() int {
	if t.CallerOnly {
		return 1
	}
	return 2
}

// url is the address of a stream, with all that is asked of it.
func (t *Transcriber) url(info transcript.Info) (string, error) {
	u, err := url.Parse(cmp.Or(t.BaseURL, defaultBaseURL))
	if err != nil {
		return "", errors.New("deepgram: BaseURL is not a URL")
	}
	switch u.Scheme {
	case "https":
		u.Scheme = "wss"
	case "http":
		u.Scheme = "ws"
	case "ws", "wss":
	default:
		return "", errors.New("deepgram: BaseURL is not one of https or wss")
	}
	if u.Scheme == "ws" && !t.Insecure && !live.Local(u.Hostname()) {
		return "", errors.New("deepgram: BaseURL is without TLS")
	}
	encoding, err := encodingOf(info.Format)
	if err != nil {
		return "", err
	}
	u = u.JoinPath("v1", "listen")
	q := make(url.Values)
	for k, v := range t.Query {
		q[k] = v
	}
	q.Set("encoding", encoding)
	q.Set("sample_rate", strconv.Itoa(info.Format.Rate))
	q.Set("channels", strconv.Itoa(t.tracks()))
	q.Set("multichannel", strconv.FormatBool(!t.CallerOnly))
	q.Set("model", cmp.Or(t.Model, defaultModel))
	q.Set("interim_results", "true")
	q.Set("punctuate", "true")
	q.Set("endpointing", milliseconds(cmp.Or(t.Endpointing, defaultEndpointing)))
	q.Set("utterance_end_ms", milliseconds(cmp.Or(t.UtteranceEnd, defaultUtteranceEnd)))
	if language := cmp.Or(info.Language, t.Language); language != "" {
		q.Set("language", language)
	}
	for _, term := range t.Terms {
		q.Add("keyterm", term)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func encodingOf(f audio.Format) (string, error) {
	if f.Rate < 8000 || f.Rate > 48000 {
		return "", fmt.Errorf("deepgram: %w: %v", transcript.ErrFormat, f)
	}
	switch f.Encoding {
	case audio.MuLaw:
		return "mulaw", nil
	case audio.ALaw:
		return "alaw", nil
	case audio.PCM16:
		return "linear16", nil
	}
	return "", fmt.Errorf("deepgram: %w: %v", transcript.ErrFormat, f)
}

// open opens a stream.
func (t *Transcriber) open(ctx context.Context, u string) (live.Stream, error) {
	d := websocket.Dialer{NetDialContext: t.Dial, Proxy: http.ProxyFromEnvironment, ReadBufferSize: 4096, WriteBufferSize: 4096}
	if t.Dial != nil {
		d.Proxy = nil
	}
	ws, resp, err := d.DialContext(ctx, u, http.Header{"Authorization": {"Token " + string(t.Key)}})
	if err == nil {
		return newStream(ws, &t.counters), nil
	}
	if errors.Is(err, websocket.ErrBadHandshake) && resp != nil {
		_ = resp.Body.Close() // gorilla has read what it keeps of it
		return nil, live.Refusal(service, resp.StatusCode, resp.Header, resp.Header.Get("dg-error"), string(t.Key))
	}
	return nil, &transcript.Error{Service: service, Reason: transcript.ErrUnavailable, Err: err}
}
