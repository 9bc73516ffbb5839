package plivo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/internal/guard"
	"github.com/switchboard-voice/switchboard/telephony"
)

const wav = "RIFF\x24\x00\x00\x00WAVEfmt "

const testRecording = "c2186400-1c8c-11e4-a664-0026b945b52b"

func TestRecordingIsOpenedWhereTheMediaAre(t *testing.T) {
	media, _ := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		if got, want := r.URL.RequestURI(), "/prefix/v1/Account/"+testAccount+"/Recording/"+testRecording+".wav"; got != want {
			t.Errorf("request is %s, want %s", got, want)
		}
		if user, password, _ := r.BasicAuth(); user != testAccount || password != testToken {
			t.Errorf("credentials are %q, %q", user, password)
		}
		w.Header().Set("Content-Type", "audio/x-wav")
		io.WriteString(w, wav)
	})
	c, p := newCarrier(t, reply(404, ``))
	p.MediaURL = media.URL + "/prefix/"
	f, err := p.OpenRecording(t.Context(), testRecording)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != wav || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	if n := c.requests.Load(); n != 0 {
		t.Errorf("%d requests to the REST API, want none", n)
	}
}

func TestMediaAreWhereTheRESTAPIIs(t *testing.T) {
	for _, tt := range []struct{ base, media, want string }{
		{"", "", DefaultMediaURL},
		{"https://proxy.example.com", "", "https://proxy.example.com"},
		{"https://proxy.example.com", "https://media.example.com", "https://media.example.com"},
		{"", "https://media.example.com", "https://media.example.com"},
	} {
		if got := (&Provider{BaseURL: tt.base, MediaURL: tt.media}).mediaURL(); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// A recording is longer than what other replies may be, and arrives slowly.
func TestLongRecordingIsReadAsItArrives(t *testing.T) {
	const chunks = 40
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	turn := make(chan struct{}, 1)
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "audio/wav")
		for range chunks {
			<-turn
			w.Write(chunk)
			w.(http.Flusher).Flush()
		}
	})
	turn <- struct{}{}
	f, err := p.OpenRecording(t.Context(), testRecording)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := range chunks {
		if _, err := io.ReadFull(f, make([]byte, len(chunk))); err != nil {
			t.Fatalf("chunk %d: %v", n, err)
		}
		if n < chunks-1 {
			turn <- struct{}{}
		}
	}
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d more bytes, error %v", n, err)
	}
}

func TestRecordingThatCannotBeOpened(t *testing.T) {
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html>")
	}
	tooLong := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4294967297")
		io.WriteString(w, wav)
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		reason error
	}{
		{"not there yet", reply(404, `{}`), telephony.ErrCallGone},
		{"removed", reply(410, ``), telephony.ErrCallGone},
		{"not ours", reply(401, ``), telephony.ErrAuth},
		{"too many", reply(429, ``), telephony.ErrThrottled},
		{"broken", reply(500, `<html>`), telephony.ErrUnavailable},
		{"a page", html, telephony.ErrBadReply},
		{"longer than any", tooLong, telephony.ErrBadReply},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, p := newCarrier(t, tt.answer)
			f, err := p.OpenRecording(t.Context(), testRecording)
			if f != nil || !errors.Is(err, tt.reason) {
				t.Errorf("file %v, error %v; want %v", f, err, tt.reason)
			}
			if tt.name == "longer than any" && !errors.Is(err, guard.ErrTooLarge) {
				t.Errorf("error is %v, want ErrTooLarge", err)
			}
		})
	}
}

// A redirect leads nowhere, least of all with the credentials.
func TestRedirectedRecordingIsNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var elsewhere atomic.Int32
		other, _ := newCarrier(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
		_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL+"/storage.wav")
			w.WriteHeader(status)
		})
		if _, err := p.OpenRecording(t.Context(), testRecording); !errors.Is(err, telephony.ErrRefused) {
			t.Errorf("%d: error is %v, want ErrRefused", status, err)
		}
		if n := elsewhere.Load(); n != 0 {
			t.Errorf("%d: %d requests elsewhere", status, n)
		}
	}
}

func TestEndOfContextEndsARecording(t *testing.T) {
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, wav)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	f, err := p.OpenRecording(ctx, testRecording)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadFull(f, make([]byte, len(wav))); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want canceled", err)
	}
}

func TestRecordingWithoutLimitIsAskedForWithTheLongest(t *testing.T) {
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got, want := strings.TrimSpace(string(body)), `{"time_limit":86400,"file_format":"wav","record_channel_type":"mono"}`; got != want {
			t.Errorf("body is %s, want %s", got, want)
		}
		reply(202, `{"recording_id":"`+testRecording+`"}`)(w, r)
	})
	if id, err := p.StartRecording(t.Context(), testCall, &telephony.RecordRequest{Mono: true}); id != testRecording || err != nil {
		t.Errorf("id %q, error %v", id, err)
	}
}

func TestRecordingWithoutAnIDIsABadReply(t *testing.T) {
	for _, body := range []string{``, `{}`, `null`, `<html>`, `{"recording_id":"../x"}`, `{"recording_id":7}`} {
		c, p := newCarrier(t, reply(202, body))
		id, err := p.StartRecording(t.Context(), testCall, &telephony.RecordRequest{})
		if id != "" || !errors.Is(err, telephony.ErrBadReply) || telephony.OutcomeOf(err) != telephony.Ambiguous {
			t.Errorf("%s: id %q, error %v", body, id, err)
		}
		if n := c.requests.Load(); n != 1 {
			t.Errorf("%s: %d requests, want 1", body, n)
		}
	}
}

// What is downloaded does not stand in the way of what is dialed.
func TestDialsPassDownloads(t *testing.T) {
	release := make(chan struct{})
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".wav") {
			io.WriteString(w, wav)
			w.(http.Flusher).Flush()
			<-release
			return
		}
		reply(201, dialed1)(w, r)
	})
	defer close(release)
	p.Timeout = 10 * time.Second
	for range 64 { // as many as a pool holds
		f, err := p.OpenRecording(t.Context(), testRecording)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if _, err := p.Dial(t.Context(), dialRequest); err != nil {
		t.Error(err)
	}
}
