package guard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/internal/guard/guardtest"
	"github.com/switchboard-voice/switchboard/telephony"
)

func get(t testing.TB, ctx context.Context, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestDownloadIsReadAsItArrives(t *testing.T) {
	more := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "audio/wav")
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-more
		io.WriteString(w, "second")
	})
	d, err := newClient(t, 0).Open(get(t, t.Context(), srv.URL), 100)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := d.Header.Get("Content-Type"); got != "audio/wav" {
		t.Errorf("content type is %q", got)
	}
	first := make([]byte, 100)
	n, err := d.Read(first)
	if string(first[:n]) != "first" || err != nil {
		t.Fatalf("read %q, %v", first[:n], err)
	}
	close(more)
	rest, err := io.ReadAll(d)
	if string(rest) != "second" || err != nil {
		t.Errorf("read %q, %v", rest, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestDownloadIsBoundInBytes(t *testing.T) {
	for _, tt := range []struct {
		name           string
		size, limit    int
		told           bool
		opened, passes bool
	}{
		{"as long as the limit", 5000, 5000, false, true, true},
		{"as long as the limit, and told", 5000, 5000, true, true, true},
		{"one byte too long", 5001, 5000, false, true, false},
		{"one byte too long, and told", 5001, 5000, true, false, false},
		{"empty", 0, 0, false, true, true},
		{"more than nothing", 1, 0, false, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.told {
					w.Header().Set("Content-Length", fmt.Sprint(tt.size))
				} else {
					w.(http.Flusher).Flush()
				}
				io.WriteString(w, strings.Repeat("x", tt.size))
			})
			d, err := newClient(t, 0).Open(get(t, t.Context(), srv.URL), int64(tt.limit))
			if !tt.opened {
				if !errors.Is(err, ErrTooLarge) || wantError(t, err).Status != 200 {
					t.Errorf("error is %v, want ErrTooLarge", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			b, err := io.ReadAll(d)
			if tt.passes != (err == nil) || err != nil && !errors.Is(err, ErrTooLarge) || len(b) != min(tt.size, tt.limit) {
				t.Errorf("%d bytes, error %v", len(b), err)
			}
			if n, again := d.Read(make([]byte, 10)); n != 0 || err != nil && again != err {
				t.Errorf("read %d more bytes, error %v, was %v", n, again, err)
			}
		})
	}
}

func TestDownloadThatIsRefused(t *testing.T) {
	for _, status := range []int{301, 302, 307, 401, 404, 429, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var requests atomic.Int32
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("Location", "/elsewhere")
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(status)
				io.WriteString(w, "<html>")
			})
			_, err := newClient(t, 0).Open(get(t, t.Context(), srv.URL), 100)
			if e := wantError(t, err); e.Status != status || string(e.Body) != "<html>" || e.RetryAfter != 3*time.Second {
				t.Errorf("error is %+v", e)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

func TestBodyOfADownloadIsClosed(t *testing.T) {
	for _, tt := range []struct {
		name           string
		status, length int
	}{
		{"read and closed", 200, 2}, {"refused", 500, 2}, {"redirected", 307, 2}, {"too long", 200, 1000},
	} {
		body := &closeCounter{Reader: strings.NewReader("{}")}
		d, err := New(roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: tt.status, Body: body, ContentLength: int64(tt.length)}, nil
		}), 0).Open(get(t, t.Context(), "http://127.0.0.1/"), 100)
		if err == nil {
			d.Close()
		}
		if body.closed != 1 {
			t.Errorf("%s: closed %d times, want once", tt.name, body.closed)
		}
	}
}

func TestTextIsToldFromRecordings(t *testing.T) {
	for kind, want := range map[string]bool{
		"text/html; charset=utf-8": true, "text/plain": true, "application/json": true, "application/xml": true,
		"audio/x-wav": false, "audio/wave": false, "application/octet-stream": false, "": false, ";;": false,
	} {
		d := &Download{Header: http.Header{"Content-Type": {kind}}}
		if got := d.IsText(); got != want {
			t.Errorf("%q is text: %t, want %t", kind, got, want)
		}
	}
}

func TestDownloadThatEndsEarlyIsAnError(t *testing.T) {
	srv := newRawServer(t, func(c net.Conn, _ int) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
		c.Close()
	})
	d, err := newClient(t, 0).Open(get(t, t.Context(), srv.url), 100)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if b, err := io.ReadAll(d); string(b) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestCloseEndsADownloadThatIsBeingRead(t *testing.T) {
	gone := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(gone)
	})
	d, err := newClient(t, time.Minute).Open(get(t, t.Context(), srv.URL), 100)
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := d.Read(make([]byte, 10))
		result <- err
	}()
	d.Close()
	d.Close()
	if err := <-result; err == nil {
		t.Error("a read of what is closed succeeds")
	}
	<-gone
}

// The whole may take as long as it likes; no pause may.
func TestDownloadMayBeSlowButNotStall(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(c net.Conn)
		ends   time.Duration // after how long; 0 for never
		want   error
	}{
		{"a byte every nine seconds", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
			for range 10 {
				time.Sleep(9 * time.Second)
				io.WriteString(c, "x")
			}
		}, 90 * time.Second, nil},
		{"a pause", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
		}, DefaultTimeout, context.DeadlineExceeded},
		{"no beginning", func(net.Conn) {}, DefaultTimeout, context.DeadlineExceeded},
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
				d, err := New(transport, 0).Open(get(t, t.Context(), "http://carrier.test/"), 100)
				if err == nil {
					_, err = io.Copy(io.Discard, d)
					d.Close()
				} else if outcome := wantError(t, err).Outcome(); outcome != telephony.Ambiguous {
					t.Errorf("outcome is %v", outcome)
				}
				if took := time.Since(start); !errors.Is(err, tt.want) || took != tt.ends {
					t.Errorf("error %v after %v; want %v after %v", err, took, tt.want, tt.ends)
				}
				transport.CloseIdleConnections()
				server.Wait()
			})
		})
	}
}

func TestEndOfContextEndsADownload(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	d, err := newClient(t, time.Minute).Open(get(t, ctx, srv.URL), 100)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if n, err := d.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	cancel()
	if _, err := d.Read(make([]byte, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want canceled", err)
	}
}

func TestStormOfFailuresLeavesNothingBehind(t *testing.T) {
	guardtest.Storm(t, 2000, func(url string) (func(int) error, func()) {
		client := New(nil, 50*time.Millisecond)
		return func(n int) error {
			if n%2 == 0 {
				_, err := client.Do(post(t, t.Context(), url))
				return err
			}
			d, err := client.Open(get(t, t.Context(), url), 1<<20)
			if err != nil {
				return err
			}
			defer d.Close()
			_, err = io.Copy(io.Discard, d)
			return err
		}, client.CloseIdleConnections
	})
}
