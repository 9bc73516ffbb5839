package recording_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/internal/browsertest"
	"github.com/switchboard-voice/switchboard/recording"
)

// A browser plays a recording from its address, and goes to a place in it without
// fetching what lies before.
func TestBrowserPlaysAndSeeks(t *testing.T) {
	const length = 10 * time.Minute // 19 MB, more than a browser fetches ahead
	for _, encoding := range []audio.Encoding{audio.PCM16, audio.MuLaw} {
		t.Run(encoding.String(), func(t *testing.T) {
			var parts atomic.Int64
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			dir := &recording.Dir{Path: t.TempDir(), BaseURL: server.URL + "/recordings/", SigningKey: []byte("sixteen bytes or more")}
			mux.HandleFunc("/recordings/", func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") != "" && r.Header.Get("Range") != "bytes=0-" {
					parts.Add(1)
				}
				http.StripPrefix("/recordings", dir).ServeHTTP(w, r)
			})
			kept := longCall(t, &recording.WAV{Storage: dir, Encoding: encoding, Buffer: length}, length)
			address, err := dir.URL(t.Context(), kept.Key, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
			mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, "<!doctype html><title>Recording</title><audio preload=metadata></audio>")
			})

			page := browsertest.Open(t, server.URL)
			until := func(event string) string {
				return fmt.Sprintf(`new Promise((done, fail) => { a.addEventListener(%q, done, {once: true}); a.onerror = () => fail(new Error(a.error.code + " " + a.error.message)) })`, event)
			}
			page.Eval("globalThis.a = document.querySelector('audio'); a.src = " + fmt.Sprintf("%q", address) + "; " + until("loadedmetadata") + ".then(() => 0)")
			if got := string(page.Eval("a.duration")); got != "600" {
				t.Errorf("it lasts %s s", got)
			}
			page.Eval("a.currentTime = 300; " + until("seeked") + ".then(() => 0)")
			page.Eval("a.play().then(() => " + until("timeupdate") + ").then(() => 0)")
			page.Eval("new Promise(done => { a.ontimeupdate = () => a.currentTime > 300.5 && done() })")
			if encoding == audio.PCM16 && parts.Load() == 0 { // the other file may be fetched whole
				t.Error("nothing was asked for but the whole file")
			}
			if errs := page.Errors(); len(errs) > 0 {
				t.Errorf("errors on the page: %q", errs)
			}
			t.Logf("%d requests for a part", parts.Load())
		})
	}
}

// longCall records a call on which the caller hums.
func longCall(t *testing.T, w *recording.WAV, length time.Duration) recording.Recording {
	t.Helper()
	sink, err := w.Record(t.Context(), recording.Info{CallID: path.Base(t.Name()), Format: audio.Telephone})
	if err != nil {
		t.Fatal(err)
	}
	pcm := audiotest.Tone(400, 20*time.Millisecond, audio.Telephone.Rate)
	for at := time.Duration(0); at < length; at += 20 * time.Millisecond {
		sink.WriteFrame(&audio.Frame{Format: audio.Telephone, PCM: pcm, At: at})
		sink.WriteFrame(&audio.Frame{Track: audio.Outbound, Format: audio.Telephone, PCM: pcm, At: at})
	}
	kept, err := sink.Close(t.Context(), length)
	if err != nil || kept.Duration != length {
		t.Fatalf("recorded %v: %v", kept.Duration, err)
	}
	return kept
}
