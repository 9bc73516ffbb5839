package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/switchboard-voice/switchboard/telephony"
)

const (
	maxForm  = 64 << 10 // bytes of a request
	jsonType = "application/json; charset=utf-8"
	errCrowd = 20429
)

// An apiError is a reply of the REST API that refuses something.
type apiError struct {
	status, code int
	message      string
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client has gone
}

// create places a call, as far as no fault is in the way. The reply is what
// place returns.
func (c *Carrier) create(w http.ResponseWriter, r *http.Request, place func() (map[string]any, *apiError)) *apiError {
	c.mu.Lock()
	c.creates++
	n, choose := c.creates, c.faults.Create
	c.mu.Unlock()
	var fault CreateFault
	if choose != nil {
		fault = choose(n)
	}
	if fault.replaces() || fault.Delay > 0 {
		c.fire(FaultCreate)
	}
	var placed map[string]any
	var problem *apiError
	if !fault.replaces() && fault.Delay == 0 || fault.Accept {
		placed, problem = place()
	}
	if fault.Delay > 0 {
		// The request's context ends when the client gives up, or this carrier.
		ctx := r.Context()
		sleep(ctx, fault.Delay)
		if ctx.Err() == nil && placed == nil && problem == nil && !fault.replaces() {
			placed, problem = place()
		}
	}
	switch {
	case fault.replaces():
		return fault.reply(w)
	case problem != nil:
		return problem
	case placed == nil:
		return &apiError{http.StatusServiceUnavailable, 20503, "Service unavailable"}
	}
	writeJSON(w, http.StatusCreated, placed)
	return nil
}

// requestFault is what goes wrong with a request, as far as it does not create a
// call.
func (c *Carrier) requestFault(r *http.Request) CreateFault {
	c.mu.Lock()
	choose := c.faults.Request
	if choose == nil || c.dialect.creates(r) {
		c.mu.Unlock()
		return CreateFault{}
	}
	c.requests++
	n := c.requests
	c.mu.Unlock()
	return choose(n, r)
}

// serve answers a request as the fault says.
func (f *CreateFault) serve(w http.ResponseWriter, r *http.Request, api http.Handler) *apiError {
	var usual heldReply
	if f.Accept {
		api.ServeHTTP(&usual, r)
	}
	// The request's context ends when the client gives up, or this carrier.
	if !sleep(r.Context(), f.Delay) {
		panic(http.ErrAbortHandler) // which closes the connection
	}
	switch {
	case f.replaces():
		return f.reply(w)
	case f.Accept:
		usual.send(w)
	default:
		api.ServeHTTP(w, r)
	}
	return nil
}

// A heldReply is an answer that is not sent yet.
type heldReply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldReply) Header() http.Header {
	if h.header == nil {
		h.header = make(http.Header)
	}
	return h.header
}

func (h *heldReply) WriteHeader(status int) { h.status = status }

func (h *heldReply) Write(b []byte) (int, error) { return h.body.Write(b) }

func (h *heldReply) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), h.header)
	if h.status != 0 {
		w.WriteHeader(h.status)
	}
	_, _ = w.Write(h.body.Bytes()) // the client has gone
}

// reply answers as the fault says.
func (f *CreateFault) reply(w http.ResponseWriter) *apiError {
	if f.Cut {
		panic(http.ErrAbortHandler) // which closes the connection
	}
	maps.Copy(w.Header(), f.Header)
	if f.Code != 0 {
		return &apiError{f.Status, f.Code, http.StatusText(f.Status)}
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
	return nil
}

// launch begins the life of a call that add has taken.
func (c *Carrier) launch(l *call) error {
	l.slot = c.reserve()
	err := c.start(l.place)
	if err != nil {
		l.end(ending{by: ByCarrier, status: telephony.StatusFailed, err: err})
		l.finish()
	}
	return err
}

// originOf is the scheme and the host at which the API was asked.
func originOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// writeMedia sends the file of a recording.
func writeMedia(w http.ResponseWriter, r *http.Request, file []byte) {
	w.Header().Set("Content-Type", "audio/x-wav")
	w.Header().Set("Content-Length", strconv.Itoa(len(file)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(file) // the client has gone
	}
}

func crowded(err error) *apiError {
	if errors.Is(err, errCrowded) {
		return &apiError{http.StatusTooManyRequests, errCrowd, "Too Many Requests"}
	}
	return &apiError{http.StatusServiceUnavailable, 20503, err.Error()}
}

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}
