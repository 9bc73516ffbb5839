package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// A server with the transcription API of OpenAI's is down while the call lives, and
// back afterwards: the words come from the recording, without the number, and in
// every form.
func TestTranscriptFromARecordingInEveryForm(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := r.FormFile("file"); r.URL.Path != "/v1/audio/transcriptions" || err != nil {
			t.Errorf("asked %s: %v", r.URL.Path, err)
		}
		if asked.Add(1) == 1 {
			http.Error(w, `{"error":{"message":"no such model"}}`, http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"text": "My card is 4111 1111 1111 1111 thanks.", "words": []any{}})
	}))
	t.Cleanup(service.Close)
	r := start(t, "TRANSCRIBER", "openai", "OPENAI_BASE_URL", service.URL+"/v1")
	r.carrier.Otherwise(hasty)
	news := r.ask("mine", "GET", "api/events", "")
	defer news.Body.Close()
	id := r.place(strings.Replace(seedCall, `"record_call": true`, `"record_call": true, "enable_transcription": true, "transcription_provider": "openai"`, 1))
	r.follow(id)

	var c struct {
		callView
		Source string `json:"transcript_source"`
		Detail string `json:"transcript_detail"`
	}
	for e := range eventsOf(t, news.Body) {
		if e.Type == "transcription" && e.CallID == id && e.Name == "recording" {
			break
		}
	}
	r.json(r.ask("mine", "GET", "api/calls/"+id, ""), 200, &c)
	if c.Source != "recording" || c.Detail == "" {
		t.Fatalf("transcript is %q (%s), after %d requests", c.Source, c.Detail, asked.Load())
	}
	for format, want := range map[string]string{
		"json": `"text":"My card is [card number] thanks."`,
		"text": "customer: My card is [card number] thanks.",
		"vtt":  "<v customer>My card is [card number] thanks.",
	} {
		body := string(r.answer(r.ask("mine", "GET", "api/calls/"+id+"/transcript?format="+format, ""), 200))
		if !strings.Contains(body, want) || strings.Contains(body, "1111") {
			t.Errorf("%s: %s", format, body)
		}
	}
}
