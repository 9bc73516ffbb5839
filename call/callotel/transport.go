package callotel

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/switchboard-voice/switchboard/internal/guard"
)

// transport traces requests, by OpenTelemetry's semantic conventions for HTTP
// clients, but for url.full, which would have ids in it.
type transport struct {
	telemetry *Telemetry
	base      http.RoundTripper
}

func newTransport(t *Telemetry, base http.RoundTripper) *transport {
	if base == nil {
		base = guard.NewPublicTransport()
	}
	return &transport{t, base}
}

// RoundTrip sends the request. Its span ends when the header of the reply is
// there.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	attributes := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(method(req)),
		semconv.ServerAddress(req.URL.Hostname()),
		semconv.ServerPort(port(req)),
	}
	ctx, span := t.telemetry.tracer.Start(req.Context(), method(req),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	defer span.End()
	began := time.Now()
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	var came []attribute.KeyValue
	if err == nil {
		came = append(came, semconv.HTTPResponseStatusCode(resp.StatusCode))
	}
	if failed := failure(resp, err); failed != "" {
		came = append(came, semconv.ErrorTypeKey.String(failed))
		span.SetStatus(codes.Error, "") // what an error says may hold the address
	}
	span.SetAttributes(came...)
	t.telemetry.to.sent.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(append(attributes, came...)...))
	return resp, err
}

// CloseIdleConnections closes those of the transport below, if it can.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// method is one of few words.
func method(req *http.Request) string {
	switch req.Method {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return req.Method
	}
	return "_OTHER"
}

func port(req *http.Request) int {
	if p, err := strconv.Atoi(req.URL.Port()); err == nil {
		return p
	}
	if req.URL.Scheme == "http" {
		return 80
	}
	return 443
}

// failure is how a request failed, in one of few words; empty if it did not.
func failure(resp *http.Response, err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case err != nil:
		return "_OTHER"
	case resp.StatusCode >= http.StatusBadRequest:
		return strconv.Itoa(resp.StatusCode)
	}
	return ""
}
