// Package guardtest judges what talks to a carrier's REST API.
package guardtest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stormWorkers is how many calls fail at once.
const stormWorkers = 8

// Storm makes so many calls, several at once, to a server that fails each in
// another way: refusals, throttling, HTML, nothing, half a reply, a reset, a
// redirect to itself, silence. Then it demands that all have failed, and that
// goroutines and connections are back where they began.
//
// begin makes what is judged, with a timeout of some tens of milliseconds, for
// the server at url. It returns what makes the nth call, by many goroutines at
// once, and what closes the connections that are kept.
func Storm(t *testing.T, calls int, begin func(url string) (call func(n int) error, closeIdle func())) {
	t.Helper()
	var opened, open atomic.Int64
	var mu sync.Mutex
	most := int64(0) // guarded by mu
	srv := httptest.NewUnstartedServer(failures())
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			opened.Add(1)
			mu.Lock()
			most = max(most, open.Add(1))
			mu.Unlock()
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	srv.Start()
	defer srv.Close()

	before := runtime.NumGoroutine()
	call, closeIdle := begin(srv.URL)
	var next, failed atomic.Int64
	var all sync.WaitGroup
	for range stormWorkers {
		all.Go(func() {
			for n := next.Add(1); n <= int64(calls); n = next.Add(1) {
				if call(int(n)) != nil {
					failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	during := runtime.NumGoroutine()
	closeIdle()
	// What is left ends by itself, as soon as it is scheduled.
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if runtime.NumGoroutine() <= before && open.Load() == 0 {
			break
		}
	}
	after := runtime.NumGoroutine()
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d calls, %d failed; goroutines: %d before, %d at the end, %d after; connections: %d opened, %d at once, %d after",
		calls, failed.Load(), before, during, after, opened.Load(), most, open.Load())
	if n := failed.Load(); n != int64(calls) {
		t.Errorf("%d of %d calls failed", n, calls)
	}
	if after > before || open.Load() != 0 {
		t.Errorf("%d goroutines and %d connections are left; there were %d and none", after, open.Load(), before)
	}
}

// failures answers in every bad way there is, in turn.
func failures() http.HandlerFunc {
	var turn atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n := turn.Add(1)
		if n%250 == 0 { // no answer in time
			<-r.Context().Done()
			return
		}
		switch n % 10 {
		case 0:
			page(w, http.StatusInternalServerError)
		case 1:
			page(w, http.StatusUnauthorized)
		case 2:
			w.Header().Set("Location", r.URL.Path)
			page(w, http.StatusTemporaryRedirect)
		case 3:
			w.Header().Set("Retry-After", "1")
			page(w, http.StatusTooManyRequests)
		case 4:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 5:
			hijack(w, "HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{", false)
		case 6:
			hijack(w, "", true)
		case 7:
			hijack(w, "HTTP/1.1 20", false)
		case 8:
			page(w, http.StatusBadGateway)
		case 9:
			page(w, http.StatusNotFound)
		}
	}
}

func page(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.Repeat("<p>Sorry</p>", 500))
}

// hijack writes what is no reply and closes the connection, or resets it.
func hijack(w http.ResponseWriter, text string, reset bool) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_, _ = io.WriteString(c, text)
	_ = c.Close()
}
