package callotel_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/switchboard-voice/switchboard/call/callotel"
)

// reply is a transport that answers with a status, or an error.
type reply struct {
	status int
	err    error
	header http.Header // of the last request
	closed int
}

func (r *reply) RoundTrip(req *http.Request) (*http.Response, error) {
	r.header = req.Header
	if r.err != nil {
		return nil, r.err
	}
	return &http.Response{StatusCode: r.status, Body: http.NoBody}, nil
}

func (r *reply) CloseIdleConnections() { r.closed++ }

func TestRequestsAreCounted(t *testing.T) {
	for name, tt := range map[string]struct {
		method, url string
		reply       reply
		want        string
	}{
		"accepted":    {"POST", "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json", reply{status: 201}, "POST http.request.method=POST http.response.status_code=201\n"},
		"refused":     {"GET", "https://api.twilio.com/", reply{status: 429}, "GET error.type=429 http.request.method=GET http.response.status_code=429 Error: \n"},
		"no answer":   {"DELETE", "http://127.0.0.1:99/", reply{err: context.DeadlineExceeded}, "DELETE error.type=timeout http.request.method=DELETE Error: \n"},
		"given up":    {"", "https://api.plivo.com/", reply{err: context.Canceled}, "GET error.type=canceled http.request.method=GET Error: \n"},
		"not reached": {"+12025550142", "https://api.plivo.com/", reply{err: errors.New("+12025550142")}, "_OTHER error.type=_OTHER http.request.method=_OTHER Error: \n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &desk{t: t, spans: tracetest.NewInMemoryExporter(), metrics: sdkmetric.NewManualReader()}
			telemetry := &callotel.Telemetry{
				Tracers: sdktrace.NewTracerProvider(sdktrace.WithSyncer(d.spans)),
				Meters:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(d.metrics)),
			}
			transport := telemetry.Transport(&tt.reply)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Method = tt.method
			resp, err := transport.RoundTrip(req)
			if !errors.Is(err, tt.reply.err) || err == nil && resp.StatusCode != tt.reply.status {
				t.Errorf("%v, %v", resp, err)
			}
			if err == nil {
				_ = resp.Body.Close()
			}
			if got := d.traces(); got != tt.want {
				t.Errorf("traced as\n%swant\n%s", got, tt.want)
			}
			if got := d.figures()["http.client.request.duration"]; len(got) != 1 {
				t.Errorf("counted as %q", got)
			}
			if len(tt.reply.header) != 0 {
				t.Errorf("the carrier is sent %v", tt.reply.header)
			}
			transport.(interface{ CloseIdleConnections() }).CloseIdleConnections()
			if tt.reply.closed != 1 {
				t.Error("connections are not closed")
			}
		})
	}
}
