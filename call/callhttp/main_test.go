package callhttp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// carrier is a call.Provider that takes every call and lets it ring, but for
// those to refused. None is ever answered.
type carrier struct {
	stream.Protocol // never used: no call gets that far
	requests        chan telephony.DialRequest
	refuseAll       bool
}

const refused = "+12025550199"

func (*carrier) Name() string { return "fake" }

func (c *carrier) Dial(_ context.Context, req *telephony.DialRequest) (string, error) {
	if req.To == refused || c.refuseAll {
		return "", &telephony.Error{Provider: "fake", Op: "dial", Outcome: telephony.Rejected, Reason: telephony.ErrRefused}
	}
	c.requests <- *req
	return "leg-" + req.StatusURL[strings.LastIndexByte(req.StatusURL, '/')+1:], nil
}

func (*carrier) Hangup(context.Context, string) error { return nil }

func (*carrier) Status(_ context.Context, id string) (telephony.Event, error) {
	return telephony.Event{ProviderCallID: id, Status: telephony.StatusCanceled}, nil
}

func (*carrier) ParseEvent(*telephony.Webhook) (telephony.Event, error) {
	return telephony.Event{}, telephony.ErrUnverified
}

func (*carrier) WriteAnswer(http.ResponseWriter, *telephony.Answer) error { return nil }

// bench is an API at work. Tokens are names of tenants.
type bench struct {
	*API
	t       testing.TB
	svc     *call.Service
	store   call.Store
	carrier *carrier
}

// setup makes an API over a service in memory. Both may be changed before they
// are made.
func setup(t testing.TB, change func(*call.Config, *Config)) *bench {
	t.Helper()
	b := &bench{t: t, store: call.NewMemoryStore(), carrier: &carrier{requests: make(chan telephony.DialRequest, 100)}}
	quiet := slog.New(slog.DiscardHandler)
	service := call.Config{
		PublicURL: "http://calls.test/phone/",
		Providers: []call.Provider{b.carrier},
		Agents:    call.Agents{"echo": call.Echo},
		Store:     b.store,
		Recorder:  &recording.WAV{Storage: archive{}},
		Logger:    quiet,
	}
	cfg := Config{
		Authorize: func(r *http.Request) (string, error) {
			tenant, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !found || tenant == "nobody" {
				return "", errors.New("no token")
			}
			return tenant, nil
		},
		Prefix:   "/phone",
		Storages: []recording.Storage{archive{}},
		Logger:   quiet,
	}
	if change != nil {
		change(&service, &cfg)
	}
	svc, err := call.New(service)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Service = svc
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.svc, b.API = svc, api
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = svc.Shutdown(ctx) // which says that calls were cut off
		api.Close()
	})
	return b
}

// archive is a Storage that has one file.
type archive struct{ recording.Storage }

func (archive) Name() string { return "local" }

func (archive) URL(_ context.Context, key string, ttl time.Duration) (string, error) {
	if key != "there.wav" {
		return "", recording.ErrNotFound
	}
	return "https://archive.test/" + key + "?ttl=" + ttl.String(), nil
}

// ask sends a request as a tenant; header holds names and values in turn.
func (b *bench) ask(tenant, method, path, body string, header ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+tenant)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

// wantProblem checks that an answer is a problem of that kind.
func wantProblem(t testing.TB, w *httptest.ResponseRecorder, status int, word string) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	if w.Code != status || p.Status != status || p.Type != TypePrefix+word {
		t.Errorf("status %d, problem %+v; want %d, %s", w.Code, p, status, word)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q", ct)
	}
	return p
}

// decode reads the body of an answer that is expected to have that status.
func decode[T any](t testing.TB, w *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var v T
	if w.Code != status {
		t.Fatalf("status %d, want %d; body %s", w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	return v
}

const ordinary = `{"agent_id":"echo","to_phone":"+12025550123","from_phone":"+12025550100"}`

// place places a call and waits until the carrier has it.
func (b *bench) place(tenant string) string {
	b.t.Helper()
	id := decode[placed](b.t, b.ask(tenant, "POST", "/api/calls", ordinary), http.StatusCreated).CallID
	<-b.carrier.requests
	return id
}

// keep stores a call, as if it were of before.
func (b *bench) keep(c call.Call, events ...call.Event) {
	b.t.Helper()
	c.Version = 1
	if _, err := b.store.Create(b.t.Context(), &c, events); err != nil {
		b.t.Fatal(err)
	}
}

// follow opens an event stream, and returns what comes and how to end it.
func (b *bench) follow(tenant, path string, header ...string) (*reader, func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := httptest.NewRequestWithContext(ctx, "GET", path, nil)
	r.Header.Set("Authorization", "Bearer "+tenant)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	in, out := io.Pipe()
	w := &pipeWriter{header: make(http.Header), body: out, status: make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		out.Close()
	}()
	status := <-w.status
	end := func() {
		cancel()
		in.Close()
		<-done
	}
	if status != http.StatusOK {
		end()
		b.t.Fatalf("status %d of %s", status, path)
	}
	return &reader{t: b.t, lines: bufio.NewScanner(in)}, end
}

// pipeWriter is a ResponseWriter whose body can be read as it is written.
type pipeWriter struct {
	header http.Header
	body   *io.PipeWriter
	status chan int
	sent   bool
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if !w.sent {
		w.sent = true
		w.status <- status
	}
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *pipeWriter) Flush() {}

// reader reads server-sent events.
type reader struct {
	t     testing.TB
	lines *bufio.Scanner
}

// next returns the next event, and false at the end of the stream.
func (r *reader) next() (event, bool) {
	r.t.Helper()
	var e event
	var id, kind string
	for r.lines.Scan() {
		name, value, _ := bytes.Cut(r.lines.Bytes(), []byte(": "))
		switch string(name) {
		case "id":
			id = string(value)
		case "event":
			kind = string(value)
		case "data":
			if err := json.Unmarshal(value, &e); err != nil {
				r.t.Fatalf("data %q: %v", value, err)
			}
			if e.ID != id || e.Type != kind {
				r.t.Errorf("event %+v has id %q and type %q around it", e, id, kind)
			}
			return e, true
		}
	}
	return e, false
}

// comment reads lines up to the next comment.
func (r *reader) comment() bool {
	for r.lines.Scan() {
		if strings.HasPrefix(r.lines.Text(), ":") {
			return true
		}
	}
	return false
}
