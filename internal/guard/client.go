// Package guard sends requests to the REST API of a carrier, where a request
// sent twice is a telephone that rings twice.
//
// It stands below the carriers' own packages, because those were found to leave
// bodies open, to read them without a limit, to follow redirects with a POST
// and to take some failures for success.
package guard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	// DefaultTimeout bounds a request from its first to its last byte.
	DefaultTimeout = 10 * time.Second
	// MaxBody is the most that is read of a reply.
	MaxBody = 1 << 20

	poolSize = 64
)

// ErrTooLarge tells that a reply was longer than MaxBody.
var ErrTooLarge = errors.New("guard: reply is too large")

// A Client sends requests, each at most once. It may be used by many
// goroutines at once.
type Client struct {
	transport http.RoundTripper
	timeout   time.Duration
}

// New returns a Client that sends through transport; nil means one made by
// [NewTransport]. A timeout that is not positive means DefaultTimeout.
func New(transport http.RoundTripper, timeout time.Duration) *Client {
	if transport == nil {
		transport = NewTransport()
	}
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &Client{transport: transport, timeout: timeout}
}

// NewTransport returns a transport that keeps up to 64 connections to a
// carrier and never has more.
//
// It speaks HTTP/1.1 only, where a connection carries one request at a time and
// "nothing was written" is a fact. It gives up an idle connection well before
// the 60 seconds after which load balancers commonly do: a request written to a
// connection that is just being closed has an unknown fate.
func NewTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		Protocols:              protocols,
		MaxConnsPerHost:        poolSize,
		MaxIdleConnsPerHost:    poolSize,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Reply is a reply with a status of 200 to 299, read to its end.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends req and reads the whole reply. Everything but a complete reply with
// a status of 200 to 299 is an [*Error], redirects included: they are never
// followed. It returns soon after the context of req ends.
//
// A request with a body leaves at most once. net/http would repeat it by itself
// on another connection only if it could rewind the body, and Do takes that
// away. (A GET may be repeated by net/http when a kept connection turns out to
// be dead.)
func (c *Client) Do(req *http.Request) (*Reply, error) {
	ctx, cancel := context.WithTimeout(req.Context(), c.timeout)
	defer cancel()
	resp, err := c.send(ctx, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if !succeeded(resp) {
		return nil, refusal(resp)
	}
	body, err := readAll(resp.Body)
	if err != nil {
		return nil, &Error{Status: resp.StatusCode, Err: err}
	}
	return &Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// send sends req and returns the reply, whatever its status.
func (c *Client) send(ctx context.Context, req *http.Request) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, &Error{NotSent: true, Err: err}
	}

	// Headers are traced as they enter the write buffer, before any of it is
	// flushed. A round tripper that traces nothing proves nothing, and its
	// failures stay ambiguous.
	var tried, written atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:          func(string) { tried.Store(true) },
		WroteHeaderField: func(string, []string) { written.Store(true) },
	}))
	req.GetBody = nil

	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, &Error{NotSent: tried.Load() && !written.Load(), Err: err}
	}
	return resp, nil
}

func succeeded(resp *http.Response) bool { return resp.StatusCode >= 200 && resp.StatusCode <= 299 }

// refusal reads what a reply without success says. The status is the answer,
// however much of the explanation arrives.
func refusal(resp *http.Response) *Error {
	body, err := readAll(resp.Body)
	return &Error{
		Status:     resp.StatusCode,
		Body:       body,
		RetryAfter: retryAfter(resp.Header, time.Now()),
		Err:        err,
	}
}

// CloseIdleConnections closes the connections that are kept for later.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// readAll returns at most MaxBody bytes of r, also with an error.
func readAll(r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, MaxBody+1))
	if n > MaxBody {
		b.Truncate(MaxBody)
		err = ErrTooLarge
	}
	return b.Bytes(), err
}
