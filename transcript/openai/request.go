package openai

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/transcript"
	"github.com/switchboard-voice/switchboard/transcript/internal/live"
)

const (
	maxReply = 4 << 20
	// tries is how often an utterance is sent at most.
	tries     = 4
	firstWait = 500 * time.Millisecond
)

// requester asks the service about utterances.
type requester struct {
	client                            *http.Client
	url, key, model, language, prompt string
	plain                             bool
	counters                          *live.Counters
}

// hear finds out what is said in an utterance. It tries again what may go well
// later.
func (r *requester) hear(ctx context.Context, u *utterance) {
	defer func() { u.pcm = nil }()
	for i := range tries {
		if i > 0 {
			wait(ctx, i, u.err)
		}
		if cause := context.Cause(ctx); cause != nil {
			u.err = errors.Join(cause, u.err)
			return
		}
		u.result, u.err = r.ask(ctx, u)
		if u.err == nil {
			return
		}
		r.counters.Failures.Add(1)
		if e, ok := errors.AsType[*transcript.Error](u.err); ok && e.Final() {
			return
		}
	}
}

// wait waits before the next try, longer each time, and as long as the service
// asks, or until ctx ends.
func wait(ctx context.Context, try int, err error) {
	d := firstWait << (try - 1)
	d = d/2 + rand.N(d/2)
	var e *transcript.Error
	if errors.As(err, &e) {
		d = max(d, e.RetryAfter)
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// ask sends an utterance once.
func (r *requester) ask(ctx context.Context, u *utterance) (result, error) {
	body, contentType, err := r.form(u)
	if err != nil {
		return result{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return result{}, err
	}
	req.Header.Set("Content-Type", contentType)
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	r.counters.Connections.Add(1)
	resp, err := r.client.Do(req)
	if err != nil {
		return result{}, unavailable(0, err)
	}
	defer func() { _ = resp.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if resp.StatusCode != http.StatusOK {
		return result{}, live.Refusal(service, resp.StatusCode, resp.Header, complaint(reply), r.key)
	}
	if err != nil {
		return result{}, unavailable(resp.StatusCode, err)
	}
	res, err := decode(reply, u.end()-u.start())
	if err != nil {
		r.counters.Ignored.Add(1)
		return result{}, unavailable(resp.StatusCode, err)
	}
	return res, nil
}

func unavailable(status int, err error) error {
	return &transcript.Error{Service: service, Reason: transcript.ErrUnavailable, Status: status, Err: err}
}

// form is the body of a request (RFC 7578).
func (r *requester) form(u *utterance) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	b.Grow(2*len(u.pcm) + 2048)
	w := multipart.NewWriter(&b)
	fields := [][2]string{{"model", r.model}, {"temperature", "0"}}
	if r.plain {
		fields = append(fields, [2]string{"response_format", "json"})
	} else {
		fields = append(fields, [2]string{"response_format", "verbose_json"},
			[2]string{"timestamp_granularities[]", "word"}, [2]string{"timestamp_granularities[]", "segment"})
	}
	if r.language != "" {
		fields = append(fields, [2]string{"language", r.language})
	}
	if r.prompt != "" {
		fields = append(fields, [2]string{"prompt", r.prompt})
	}
	for _, f := range fields {
		err = errors.Join(err, w.WriteField(f[0], f[1]))
	}
	sound, serr := wav(u.pcm, u.rate, 1)
	file, ferr := w.CreateFormFile("file", "call.wav")
	if err = errors.Join(err, serr, ferr); err != nil {
		return nil, "", err
	}
	_, werr := file.Write(sound)
	err = errors.Join(werr, w.Close())
	return b.Bytes(), w.FormDataContentType(), err
}

// wav is a WAV file.
func wav(pcm []int16, rate, channels int) ([]byte, error) {
	const header = 44
	file := make(memory, header+2*len(pcm))
	w, err := audio.NewWAVWriter(file, audio.Format{Encoding: audio.PCM16, Rate: rate}, channels)
	if err != nil {
		return nil, err
	}
	return file, errors.Join(w.Write(pcm), w.Close())
}

// memory is a file as long as it is going to be.
type memory []byte

func (m memory) WriteAt(p []byte, at int64) (int, error) { return copy(m[at:], p), nil }
