package guard

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// newClient returns a client whose connections end with the test.
func newClient(t testing.TB, timeout time.Duration) *Client {
	t.Helper()
	c := New(nil, timeout)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func post(t testing.TB, ctx context.Context, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("To=1&From=2"))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func wantError(t testing.TB, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %T %v, want *Error", err, err)
	}
	return e
}

func TestReplyOfSuccessIsReadToItsEnd(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Echo", string(body))
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"sid":"1"}`)
	})
	reply, err := newClient(t, 0).Do(post(t, t.Context(), srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Status != 201 || string(reply.Body) != `{"sid":"1"}` || reply.Header.Get("X-Echo") != "To=1&From=2" {
		t.Errorf("reply is %+v", reply)
	}
}

func TestStatusDecidesOutcomeAndReason(t *testing.T) {
	for _, tt := range []struct {
		status  int
		outcome telephony.Outcome
		reason  error
	}{
		{301, telephony.Rejected, telephony.ErrRefused},
		{302, telephony.Rejected, telephony.ErrRefused},
		{303, telephony.Ambiguous, telephony.ErrRefused},
		{304, telephony.Ambiguous, telephony.ErrRefused},
		{307, telephony.Rejected, telephony.ErrRefused},
		{308, telephony.Rejected, telephony.ErrRefused},
		{400, telephony.Rejected, telephony.ErrRefused},
		{401, telephony.Rejected, telephony.ErrAuth},
		{403, telephony.Rejected, telephony.ErrAuth},
		{404, telephony.Rejected, telephony.ErrCallGone},
		{408, telephony.Ambiguous, telephony.ErrUnavailable},
		{425, telephony.Ambiguous, telephony.ErrRefused},
		{429, telephony.Throttled, telephony.ErrThrottled},
		{500, telephony.Ambiguous, telephony.ErrUnavailable},
		{502, telephony.Ambiguous, telephony.ErrUnavailable},
		{503, telephony.Ambiguous, telephony.ErrUnavailable},
	} {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			var requests atomic.Int32
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("Location", "/elsewhere")
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(tt.status)
				if tt.status != http.StatusNotModified {
					io.WriteString(w, "<html>")
				}
			})
			_, err := newClient(t, 0).Do(post(t, t.Context(), srv.URL))
			e := wantError(t, err)
			if e.Status != tt.status || e.Outcome() != tt.outcome || e.Reason() != tt.reason {
				t.Errorf("status %d, outcome %v, reason %v; want %d, %v, %v",
					e.Status, e.Outcome(), e.Reason(), tt.status, tt.outcome, tt.reason)
			}
			if e.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter is %v, want 7s", e.RetryAfter)
			}
			if tt.status != http.StatusNotModified && string(e.Body) != "<html>" {
				t.Errorf("body is %q", e.Body)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests arrived, want 1", n)
			}
		})
	}
}

func TestNothingWrittenIsNotSent(t *testing.T) {
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = nil
	t.Cleanup(untrusted.Close)
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	for _, tt := range []struct {
		name string
		ctx  context.Context
		url  string
	}{
		{"nobody listens", t.Context(), closed.URL},
		{"the name does not resolve", t.Context(), "http://carrier.invalid/"},
		{"the other end speaks no TLS", t.Context(), strings.Replace(plain.URL, "http", "https", 1)},
		{"the certificate is not trusted", t.Context(), untrusted.URL},
		{"the context has already ended", ended, plain.URL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, 0).Do(post(t, tt.ctx, tt.url))
			if e := wantError(t, err); e.Outcome() != telephony.NotSent {
				t.Errorf("outcome of %v is %v, want not sent", err, e.Outcome())
			}
		})
	}
}

func TestTimeSpentWaitingForAConnectionIsNotSent(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(held)
		<-release
	})
	transport := NewTransport()
	transport.MaxConnsPerHost = 1
	t.Cleanup(transport.CloseIdleConnections)

	var holder sync.WaitGroup
	holder.Go(func() { New(transport, 0).Do(post(t, t.Context(), srv.URL)) })
	<-held
	_, err := New(transport, 20*time.Millisecond).Do(post(t, t.Context(), srv.URL))
	close(release)
	holder.Wait()
	if e := wantError(t, err); e.Outcome() != telephony.NotSent || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v, outcome %v; want a deadline, not sent", err, e.Outcome())
	}
}

func TestRoundTripperThatTracesNothingIsAmbiguous(t *testing.T) {
	fail := roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	_, err := New(fail, 0).Do(post(t, t.Context(), "http://127.0.0.1/"))
	if e := wantError(t, err); e.Outcome() != telephony.Ambiguous {
		t.Errorf("outcome is %v, want ambiguous", e.Outcome())
	}
}

func TestBodyIsClosed(t *testing.T) {
	for _, status := range []int{200, 500} {
		body := &closeCounter{Reader: strings.NewReader("{}")}
		New(roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: body}, nil
		}), 0).Do(post(t, t.Context(), "http://127.0.0.1/"))
		if body.closed != 1 {
			t.Errorf("body of a %d was closed %d times, want once", status, body.closed)
		}
	}
}

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRequestWithoutReplyIsAmbiguousAndSentOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(net.Conn)
	}{
		{"connection closed", func(c net.Conn) { c.Close() }},
		{"connection reset", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }},
		{"half a header", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 201 Cre"); c.Close() }},
		{"no HTTP", func(c net.Conn) { io.WriteString(c, "hello\r\n\r\n"); c.Close() }},
		{"half a body", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{")
			c.Close()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newRawServer(t, func(c net.Conn, _ int) { tt.end(c) })
			_, err := newClient(t, 0).Do(post(t, t.Context(), srv.url))
			if e := wantError(t, err); e.Outcome() != telephony.Ambiguous {
				t.Errorf("outcome of %v is %v, want ambiguous", err, e.Outcome())
			}
			if n := srv.requests.Load(); n != 1 {
				t.Errorf("%d requests arrived, want 1", n)
			}
		})
	}
}

// A kept connection that the server closes just as a request is written to it
// is where net/http repeats requests by itself.
func TestRequestOnAConnectionThatDiesIsNotRepeated(t *testing.T) {
	for _, key := range []string{"", "Idempotency-Key", "X-Idempotency-Key"} {
		t.Run("header "+key, func(t *testing.T) {
			srv := newRawServer(t, func(c net.Conn, nth int) {
				if nth == 1 {
					io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")
					return
				}
				c.Close()
			})
			client := newClient(t, 0)
			for nth := 1; nth <= 2; nth++ {
				req := post(t, t.Context(), srv.url)
				if key != "" {
					req.Header.Set(key, "1")
				}
				_, err := client.Do(req)
				if nth == 1 && err != nil {
					t.Fatal(err)
				}
				if nth == 2 && wantError(t, err).Outcome() != telephony.Ambiguous {
					t.Errorf("outcome of %v is not ambiguous", err)
				}
			}
			if n, conns := srv.requests.Load(), srv.conns.Load(); n != 2 || conns != 1 {
				t.Errorf("%d requests on %d connections, want 2 on 1", n, conns)
			}
		})
	}
}

// Whatever the server does to idle connections, each call is at most one
// request, and one that says "not sent" is none.
func TestServerThatClosesIdleConnectionsSeesNoRequestTwice(t *testing.T) {
	seen := make(map[string]int)
	var mu sync.Mutex
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.Header.Get("X-Call")]++
		mu.Unlock()
	}))
	srv.Config.IdleTimeout = time.Microsecond
	srv.Start()
	t.Cleanup(srv.Close)

	client := newClient(t, 0)
	outcomes := make(map[string]telephony.Outcome)
	ok := 0
	for i := range 500 {
		id := fmt.Sprint(i)
		req := post(t, t.Context(), srv.URL)
		req.Header.Set("X-Call", id)
		req.Header.Set("Idempotency-Key", id)
		if _, err := client.Do(req); err != nil {
			outcomes[id] = wantError(t, err).Outcome()
		} else {
			ok++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for id, n := range seen {
		if n > 1 {
			t.Errorf("request %s arrived %d times", id, n)
		}
		if outcome, failed := outcomes[id]; failed && outcome == telephony.NotSent {
			t.Errorf("request %s arrived and was reported as not sent", id)
		}
	}
	t.Logf("%d of 500 succeeded, %d failed", ok, len(outcomes))
}

func TestBodyWithoutEndIsCut(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		outcome telephony.Outcome
	}{
		{"a success becomes ambiguous", 201, telephony.Ambiguous},
		{"a refusal stays one", 400, telephony.Rejected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var written atomic.Int64
			gone := make(chan struct{})
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(gone)
				w.WriteHeader(tt.status)
				chunk := make([]byte, 1<<20)
				for range 1024 {
					n, err := w.Write(chunk)
					if written.Add(int64(n)); err != nil {
						return
					}
				}
			})
			_, err := newClient(t, 0).Do(post(t, t.Context(), srv.URL))
			e := wantError(t, err)
			if !errors.Is(err, ErrTooLarge) || e.Outcome() != tt.outcome || len(e.Body) > MaxBody {
				t.Errorf("error is %v, outcome %v, body %d bytes", err, e.Outcome(), len(e.Body))
			}
			<-gone
			if n := written.Load(); n > 64<<20 {
				t.Errorf("server could write %d bytes", n)
			}
		})
	}
}

func TestDeadlineBoundsEverything(t *testing.T) {
	drip := func(status int) func(net.Conn) {
		return func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 %d X\r\nContent-Length: 100000\r\n\r\n", status)
			for {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}
	}
	for _, tt := range []struct {
		name    string
		answer  func(net.Conn)
		outcome telephony.Outcome
	}{
		{"no answer", func(net.Conn) {}, telephony.Ambiguous},
		{"one byte a second of a success", drip(201), telephony.Ambiguous},
		{"one byte a second of a refusal", drip(400), telephony.Rejected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var server sync.WaitGroup
				transport := NewTransport()
				transport.Proxy = nil
				transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
					near, far := net.Pipe()
					server.Go(func() {
						if _, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
							tt.answer(far)
						}
						io.Copy(io.Discard, far)
						far.Close()
					})
					return near, nil
				}
				start := time.Now()
				_, err := New(transport, 0).Do(post(t, t.Context(), "http://carrier.test/"))
				if took := time.Since(start); took != DefaultTimeout {
					t.Errorf("took %v, want %v", took, DefaultTimeout)
				}
				if e := wantError(t, err); e.Outcome() != tt.outcome || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error is %v, outcome %v; want a deadline, %v", err, e.Outcome(), tt.outcome)
				}
				server.Wait()
			})
		})
	}
}

func TestEndOfContextEndsTheRequest(t *testing.T) {
	arrived := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := newClient(t, time.Minute).Do(post(t, ctx, srv.URL))
		result <- err
	}()
	<-arrived
	cancel()
	err := <-result
	if e := wantError(t, err); e.Outcome() != telephony.Ambiguous || !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, outcome %v; want canceled, ambiguous", err, e.Outcome())
	}
}

func TestFailuresLeaveNothingBehind(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, strings.Repeat("<p>Bad Gateway</p>", 2000))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)

	client := newClient(t, 0)
	call := func() {
		if _, err := client.Do(post(t, t.Context(), srv.URL)); wantError(t, err).Status != 502 {
			t.Fatal(err)
		}
	}
	call()
	before := runtime.NumGoroutine()
	for range 2000 {
		call()
	}
	if grown := runtime.NumGoroutine() - before; grown > 4 {
		t.Errorf("2,000 failures left %d goroutines", grown)
	}
	if n := conns.Load(); n > 4 {
		t.Errorf("2,000 failures opened %d connections", n)
	}
}

func TestParallelCallsShareConnections(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)

	client := newClient(t, 0)
	for range 10 {
		var round sync.WaitGroup
		for range 32 {
			round.Go(func() {
				if _, err := client.Do(post(t, t.Context(), srv.URL)); err != nil {
					t.Error(err)
				}
			})
		}
		round.Wait()
	}
	if n := conns.Load(); n > poolSize {
		t.Errorf("%d connections, want at most %d", n, poolSize)
	}
}

func TestErrorTextDoesNotHoldTheAddress(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	_, err := newClient(t, 0).Do(post(t, t.Context(), closed.URL+"/Accounts/AC0123456789abcdef"))
	if strings.Contains(err.Error(), "AC0123456789abcdef") {
		t.Errorf("error text is %q", err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, err := newClient(t, 0).Do(post(t, t.Context(), srv.URL))
	if e := wantError(t, err); e.Outcome() != telephony.NotSent {
		t.Errorf("outcome of %v is %v, want not sent", err, e.Outcome())
	}
}

// rawServer reads requests from sockets and leaves the answer to a function
// that gets the connection and the number of the request on it.
type rawServer struct {
	url             string
	requests, conns atomic.Int32
}

func newRawServer(t *testing.T, answer func(c net.Conn, nth int)) *rawServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{url: "http://" + l.Addr().String()}
	var running sync.WaitGroup
	t.Cleanup(func() { l.Close(); running.Wait() })
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			running.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for nth := 1; ; nth++ {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					s.requests.Add(1)
					answer(c, nth)
				}
			})
		}
	})
	return s
}
