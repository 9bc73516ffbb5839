package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// contract holds a server to what /openapi.json says of it: whatever a test, or the
// page in its browser, asks of the API and is answered must be as it says. What is
// answered as a mistake of the client's may be one.
type contract struct {
	t      *testing.T
	server http.Handler
	router routers.Router
}

func init() { // forms of what is no JSON
	for _, text := range []string{"text/vtt", "application/jsonl"} {
		openapi3filter.RegisterBodyDecoder(text, openapi3filter.FileBodyDecoder)
	}
}

func newContract(t *testing.T, server http.Handler) *contract {
	t.Helper()
	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("openapi.json: %v", err)
	}
	doc.Servers = nil // paths are compared without what stands before them
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &contract{t, server, router}
}

func (c *contract) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, path, api := strings.Cut(r.URL.Path, "/api/")
	if !api {
		c.server.ServeHTTP(w, r)
		return
	}
	sent, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(sent), r.Body))
	told := &witness{ResponseWriter: w, status: http.StatusOK}
	c.server.ServeHTTP(told, r)
	if err != nil || r.Context().Err() != nil {
		return // the client has not said, or heard, all of it
	}
	c.check(r.Context(), r, "/api/"+path, sent, told)
}

// check compares what was asked and answered with the document.
func (c *contract) check(ctx context.Context, r *http.Request, path string, sent []byte, told *witness) {
	asked := r.Clone(ctx)
	asked.URL = &url.URL{Path: path, RawQuery: r.URL.RawQuery}
	asked.Body = io.NopCloser(bytes.NewReader(sent))
	what := r.Method + " " + path
	route, parameters, err := c.router.FindRoute(asked)
	if err != nil {
		if told.status != http.StatusNotFound && told.status != http.StatusMethodNotAllowed && told.status != http.StatusUnauthorized {
			c.t.Errorf("%s is answered %d, and not described: %v", what, told.status, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true,
			ExcludeResponseBody:   told.streams(),
		},
	}
	if err := openapi3filter.ValidateRequest(ctx, in); err != nil && told.status < 400 {
		c.t.Errorf("%s is not as described, and taken: %v", what, err)
	}
	if err := openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in,
		Status:                 told.status,
		Header:                 told.Header(),
		Body:                   io.NopCloser(&told.body),
		Options:                in.Options,
	}); err != nil {
		c.t.Errorf("%s is answered %d, not as described: %v", what, told.status, err)
	}
}

// witness keeps what a client is told, but for streams of events.
type witness struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *witness) streams() bool {
	return strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream")
}

func (w *witness) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *witness) Write(p []byte) (int, error) {
	if !w.streams() {
		w.body.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets a ResponseController find what is inside.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush is for those who do not use one.
func (w *witness) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
