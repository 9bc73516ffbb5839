package openai

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/memnet"
	"github.com/switchboard-voice/switchboard/transcript/internal/livetest"
)

const key = "sk-that-nobody-may-see"

// server answers as the API is documented, and misbehaves as a test wants.
type server struct {
	faults func(nth int) faults

	mu        sync.Mutex
	requests  int
	now, most int // at once
	form      map[string][]string
}

type faults struct {
	status int
	retry  string
	slow   time.Duration
	body   string // instead of what was heard
	cut    bool   // in the middle of the answer
	plain  bool   // the answer is text alone
}

// start serves on a network of its own and returns a transcriber for it.
func start(t *testing.T, s *server) *Transcriber {
	n := memnet.New()
	l, err := n.Listen("127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: s}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	transport := &http.Transport{DialContext: n.DialContext}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = srv.Close()
		_ = n.Close()
		wg.Wait()
	})
	return &Transcriber{Key: key, BaseURL: "http://127.0.0.1/v1", Transport: transport}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	nth := s.requests
	s.requests++
	s.now++
	s.most = max(s.most, s.now)
	var f faults
	if s.faults != nil {
		f = s.faults(nth)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
	}()
	body, status := s.hear(r, f)
	select {
	case <-time.After(f.slow):
	case <-r.Context().Done():
		return
	}
	switch {
	case r.URL.Path != "/v1/audio/transcriptions" || r.Method != http.MethodPost:
		status = http.StatusNotFound
	case r.Header.Get("Authorization") != "Bearer "+key:
		status = http.StatusUnauthorized
	case f.status != 0:
		status = f.status
	}
	if f.retry != "" {
		w.Header().Set("Retry-After", f.retry)
	}
	if status != http.StatusOK {
		body = []byte(`{"error":{"message":"no good: ` + key + `","type":"invalid_request_error","param":null,"code":null}}`)
	} else if f.body != "" {
		body = []byte(f.body)
	}
	if f.cut {
		w.Header().Set("Content-Length", "100000")
		w.WriteHeader(status)
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// hear answers what a file says.
func (s *server) hear(r *http.Request, f faults) ([]byte, int) {
	if err := r.ParseMultipartForm(30 << 20); err != nil {
		return nil, http.StatusBadRequest
	}
	s.mu.Lock()
	s.form = r.MultipartForm.Value
	s.mu.Unlock()
	file, _, err := r.FormFile("file")
	if err != nil {
		return nil, http.StatusBadRequest
	}
	defer func() { _ = file.Close() }()
	samples, rate, err := audio.ReadWAV(file)
	if err != nil || rate != 8000 || len(samples) != 1 {
		return nil, http.StatusUnprocessableEntity
	}
	var l livetest.Listener
	results := append(l.Hear(audio.AppendEncode(nil, audio.MuLaw, samples[0])), l.Flush()...)
	var texts []string
	words, parts := []map[string]any{}, []map[string]any{}
	for _, r := range results {
		if !r.Final {
			continue
		}
		if r.Text == "" {
			// A recogniser that makes words of silence, and knows.
			parts = append(parts, map[string]any{"text": " Thank you.", "start": r.Start.Seconds(), "end": r.End.Seconds(), "avg_logprob": -1.5, "no_speech_prob": 0.9})
			texts = append(texts, "Thank you.")
			continue
		}
		texts = append(texts, r.Text)
		parts = append(parts, map[string]any{"text": " " + r.Text, "start": r.Start.Seconds(), "end": r.End.Seconds(), "avg_logprob": -0.105, "no_speech_prob": 0.01})
		for _, w := range r.Words {
			words = append(words, map[string]any{"word": w.Text, "start": w.At.Seconds(), "end": w.End.Seconds()})
		}
	}
	answer := map[string]any{"text": strings.Join(texts, " ")}
	if !f.plain {
		answer["task"], answer["language"], answer["duration"] = "transcribe", "english", 1.0
		answer["words"], answer["segments"] = words, parts
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(answer); err != nil {
		return nil, http.StatusInternalServerError
	}
	return b.Bytes(), http.StatusOK
}
