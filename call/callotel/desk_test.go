package callotel_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/callotel"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// desk is a service on a network, whose telemetry is kept in memory.
type desk struct {
	*call.Service
	*calltest.Network
	*callotel.Telemetry
	t        *testing.T
	spans    *tracetest.InMemoryExporter
	tracers  *sdktrace.TracerProvider
	metrics  *sdkmetric.ManualReader
	watching context.Context
	stop     context.CancelFunc
	watch    sync.WaitGroup
}

// newDesk returns a desk that nobody watches yet.
func newDesk(t *testing.T, n *calltest.Network, m *calltest.Machine, agent call.AgentFunc, change func(*call.Config), more ...sdktrace.TracerProviderOption) *desk {
	t.Helper()
	d := &desk{Network: n, t: t, spans: tracetest.NewInMemoryExporter(), metrics: sdkmetric.NewManualReader()}
	d.tracers = sdktrace.NewTracerProvider(append(more, sdktrace.WithSyncer(d.spans))...)
	d.Telemetry = &callotel.Telemetry{
		Tracers: d.tracers,
		Meters:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(d.metrics)),
	}
	carrier := n.Provider
	if m != nil {
		carrier = m.Provider
	}
	adapter := carrier.(*twilio.Provider)
	adapter.Transport = d.Transport(adapter.Transport)
	cfg := call.Config{
		PublicURL:   calltest.PublicURL,
		Providers:   []call.Provider{adapter},
		Agents:      call.Agents{"agent": agent},
		CallContext: d.CallContext,
		Logger:      slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if d.Service, err = call.New(cfg); err != nil {
		t.Fatal(err)
	}
	if m == nil {
		n.Connect(d.Service)
	} else {
		m.Connect(d.Service)
	}
	d.watching, d.stop = context.WithCancel(context.Background())
	t.Cleanup(func() {
		d.stop()
		d.watch.Wait()
	})
	return d
}

func (d *desk) watchNow() *desk {
	d.watch.Go(func() { d.Watch(d.watching, d.Service) })
	synctest.Wait()
	return d
}

const (
	callee = "+12025550142"
	caller = "+12025550199"
)

func (d *desk) place(to string) *call.Call {
	d.t.Helper()
	c, err := d.Place(d.t.Context(), call.Request{AgentID: "agent", To: telephony.Number(to), From: calltest.Number})
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *desk) wait(id string) *call.Call {
	d.t.Helper()
	c, err := d.Wait(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	synctest.Wait()
	return c
}

// traces are all ended spans as text, one a line, each below its parent.
func (d *desk) traces() string {
	all := d.spans.GetSpans()
	slices.SortFunc(all, func(a, b tracetest.SpanStub) int { // at one time the shorter one first, and requests last
		return cmp.Or(a.StartTime.Compare(b.StartTime), cmp.Compare(a.SpanKind, b.SpanKind),
			a.EndTime.Compare(b.EndTime), cmp.Compare(a.Name, b.Name))
	})
	children := make(map[string][]tracetest.SpanStub)
	for _, s := range all {
		parent := ""
		if s.Parent.IsValid() {
			parent = s.Parent.SpanID().String()
		}
		children[parent] = append(children[parent], s)
	}
	var b strings.Builder
	var write func(parent, indent string)
	write = func(parent, indent string) {
		for _, s := range children[parent] {
			fmt.Fprintf(&b, "%s%s%s", indent, s.Name, text(s.Attributes))
			if s.Status.Code != 0 {
				fmt.Fprintf(&b, " %v: %s", s.Status.Code, s.Status.Description)
			}
			b.WriteByte('\n')
			for _, e := range s.Events {
				fmt.Fprintf(&b, "%s  ! %s%s\n", indent, e.Name, text(e.Attributes))
			}
			write(s.SpanContext.SpanID().String(), indent+"  ")
		}
	}
	write("", "")
	return b.String()
}

// text leaves out what differs from run to run.
func text(attributes []attribute.KeyValue) string {
	var words []string
	for _, a := range attributes {
		switch a.Key {
		case "switchboard.call.id", "server.address", "server.port":
		default:
			words = append(words, fmt.Sprintf("%s=%s", strings.TrimPrefix(string(a.Key), "switchboard."), a.Value.String()))
		}
	}
	slices.Sort(words)
	if len(words) == 0 {
		return ""
	}
	return " " + strings.Join(words, " ")
}

// figures are the metrics of now as text, by name: sums and counts with their
// attributes.
func (d *desk) figures() map[string][]string {
	d.t.Helper()
	var all metricdata.ResourceMetrics
	if err := d.metrics.Collect(context.Background(), &all); err != nil {
		d.t.Fatal(err)
	}
	figures := make(map[string][]string)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			var points []string
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					points = append(points, fmt.Sprintf("%d%s", p.Value, text(p.Attributes.ToSlice())))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					points = append(points, fmt.Sprintf("%d of %.0f%s", p.Count, p.Sum, text(p.Attributes.ToSlice())))
				}
			default:
				d.t.Fatalf("%s is a %T", m.Name, data)
			}
			slices.Sort(points)
			figures[m.Name] = points
		}
	}
	return figures
}

// spanOf is the span of a call, which has ended.
func (d *desk) spanOf(id string) tracetest.SpanStub {
	d.t.Helper()
	for _, s := range d.spans.GetSpans() {
		for _, a := range s.Attributes {
			if a.Key == "switchboard.call.id" && a.Value.AsString() == id {
				return s
			}
		}
	}
	d.t.Fatalf("the span of %s has not ended:\n%s", id, d.traces())
	return tracetest.SpanStub{}
}

const second = time.Second
