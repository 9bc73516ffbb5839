package callotel

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/switchboard-voice/switchboard/call"
)

// instruments are what calls that are over are counted with.
type instruments struct {
	calls, interruptions                                       metric.Int64Counter
	duration, toAnswer, response, transcription, quality, sent metric.Float64Histogram
}

func newInstruments(m metric.Meter) instruments {
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		told(err)
		return c
	}
	histogram := func(name, unit, what string, bounds ...float64) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit(unit), metric.WithDescription(what),
			metric.WithExplicitBucketBoundaries(bounds...))
		told(err)
		return h
	}
	return instruments{
		calls:         counter("switchboard.calls", "{call}", "Calls that are over."),
		interruptions: counter("switchboard.call.interruptions", "{interruption}", "How often callers have cut agents off."),
		duration: histogram("switchboard.call.duration", "s", "From the answer to the end.",
			1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600),
		toAnswer: histogram("switchboard.call.time_to_answer", "s", "From the beginning of a call to the answer.",
			0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90),
		response: histogram("switchboard.call.response_latency", "s", "From the end of the caller's speech to the agent's reply: the median of each call.",
			0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10),
		transcription: histogram("switchboard.call.transcription_latency", "s", "From the end of words to their text: the median of each call.",
			0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10),
		quality: histogram("switchboard.call.audio_quality", "1", "How well callers were heard, by the E-model.",
			0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9),
		sent: histogram("http.client.request.duration", "s", "Duration of HTTP client requests.",
			0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
	}
}

// told gives an error to OpenTelemetry's handler. An instrument that comes with
// one does nothing.
func told(err error) {
	if err != nil {
		otel.Handle(err)
	}
}

// count counts a call that is over.
func (i *instruments) count(ctx context.Context, c *call.Call) {
	shared := []attribute.KeyValue{keyProvider.String(c.Provider), keyDirection.String(c.Direction.String())}
	with := metric.WithAttributeSet(attribute.NewSet(shared...))
	i.calls.Add(ctx, 1, with, metric.WithAttributes(keyState.String(c.State.String()), keyCause.String(string(c.Cause))))
	if c.AnsweredAt.IsZero() {
		return
	}
	i.toAnswer.Record(ctx, c.AnsweredAt.Sub(c.CreatedAt).Seconds(), with)
	i.duration.Record(ctx, c.Duration(c.EndedAt).Seconds(), with)
	m := c.Metrics
	i.interruptions.Add(ctx, int64(m.Interruptions), with)
	if m.ResponseLatency > 0 {
		i.response.Record(ctx, m.ResponseLatency.Seconds(), with)
	}
	if m.TranscriptionLatency > 0 {
		i.transcription.Record(ctx, m.TranscriptionLatency.Seconds(), with)
	}
	if m.FramesIn > 0 {
		i.quality.Record(ctx, m.AudioQuality, with)
	}
}

// observe has the figures of svc looked at whenever metrics are collected, until
// stop is called.
func (t *Telemetry) observe(svc *call.Service) (stop func()) {
	m := t.meter
	counter := func(name, unit, what string) metric.Int64ObservableCounter {
		c, err := m.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(what))
		told(err)
		return c
	}
	level := func(name, unit, what string) metric.Int64ObservableUpDownCounter {
		c, err := m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(what))
		told(err)
		return c
	}
	var (
		live     = level("switchboard.calls.live", "{call}", "Calls that are not over.")
		refused  = counter("switchboard.calls.refused", "{call}", "Calls refused for lack of room, by policy or while draining.")
		legs     = counter("switchboard.legs.refused", "{leg}", "Legs that the policy has refused.")
		dropped  = counter("switchboard.events.dropped", "{event}", "Events dropped by subscribers that were too slow.")
		unsaved  = counter("switchboard.events.unsaved", "{event}", "Events that could not be stored.")
		pending  = level("switchboard.records.pending", "{record}", "Calls that are over and not stored yet.")
		agents   = level("switchboard.agents.left", "{agent}", "Agents that have not returned from a call that is over.")
		hostHeld = level("switchboard.plugs.held", "{request}", "Requests to plugs that are not waited for any more.")
	)
	r, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		st := svc.Stats()
		o.ObserveInt64(live, int64(st.Live))
		o.ObserveInt64(refused, st.Refused)
		for reason, n := range st.RefusedBy {
			o.ObserveInt64(legs, n, metric.WithAttributes(keyReason.String(string(reason))))
		}
		o.ObserveInt64(dropped, st.EventsDropped)
		o.ObserveInt64(unsaved, st.EventsUnsaved)
		o.ObserveInt64(pending, st.PersistPending)
		o.ObserveInt64(agents, st.AgentsLeft)
		o.ObserveInt64(hostHeld, st.HostHeld)
		return nil
	}, live, refused, legs, dropped, unsaved, pending, agents, hostHeld)
	if err != nil {
		otel.Handle(err)
		return func() {}
	}
	return func() { told(r.Unregister()) }
}
