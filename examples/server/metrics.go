package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/callotel"
	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/recording"
)

// metrics are what Prometheus is told. No number and no id of a call is in them.
// What exists is set before the first request.
type metrics struct {
	telemetry *callotel.Telemetry
	registry  *prometheus.Registry

	svc       *call.Service
	spool     *recording.Spool // nil without a bucket
	desk      *queue.Desk      // nil without queues
	campaigns *campaign.Runner
}

func newMetrics() (*metrics, error) {
	m := &metrics{registry: prometheus.NewRegistry()}
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(m.registry),
		otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	var views []sdkmetric.View // of what is collected here, and goes on when nobody watches
	for _, kind := range []sdkmetric.InstrumentKind{sdkmetric.InstrumentKindObservableCounter, sdkmetric.InstrumentKindObservableUpDownCounter} {
		views = append(views, sdkmetric.NewView(sdkmetric.Instrument{Kind: kind}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}))
	}
	m.telemetry = &callotel.Telemetry{
		Meters: sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithView(views...)),
	}
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m, nil
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Describe leaves open what there is, as a collector may.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect tells the figures of now.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	to := figures{ch}
	m.calls(to, m.svc.Stats())
	if m.spool != nil {
		spooled(to, m.spool.Stats())
	}
	if m.desk != nil {
		queued(to, m.desk.Stats())
	}
	if m.campaigns != nil {
		st := m.campaigns.Stats()
		to.counter("switchboard_campaign_attempts_total", "Calls placed by campaigns.", st.Placed)
		to.counter("switchboard_campaign_postponed_total", "Contacts that could not be called for lack of room.", st.Postponed)
		to.counter("switchboard_campaign_taken_total", "Contacts that another server had left behind.", st.Taken)
		to.counter("switchboard_campaign_store_errors_total", "Requests to the store of campaigns that failed.", st.StoreErrors)
	}
}

func (m *metrics) calls(to figures, st call.Stats) {
	to.gauge("switchboard_calls_live", "Calls that are not over.", int64(st.Live))
	to.counter("switchboard_calls_placed_total", "Outbound calls.", st.Placed)
	to.counter("switchboard_calls_received_total", "Inbound calls that were taken.", st.Received)
	to.counter("switchboard_calls_refused_total", "Calls refused for lack of room, by policy or while draining.", st.Refused)
	for state, n := range st.Ended {
		to.labeled("switchboard_calls_ended_total", "Calls that are over.", "status", state.String(), prometheus.CounterValue, float64(n))
	}
	for reason, n := range st.RefusedBy {
		to.labeled("switchboard_legs_refused_total", "Legs that the policy has refused.", "reason", string(reason), prometheus.CounterValue, float64(n))
	}
	to.counter("switchboard_webhooks_unverified_total", "Webhooks refused because they were not signed.", st.WebhooksUnverified)
	to.counter("switchboard_streams_refused_total", "Media sockets without a valid token.", st.StreamsRefused)
	to.counter("switchboard_events_dropped_total", "Events dropped by slow subscribers.", st.EventsDropped)
	to.counter("switchboard_events_unsaved_total", "Events that could not be stored.", st.EventsUnsaved)
	to.counter("switchboard_calls_taken_over_total", "Calls of other servers, or of before a restart.", st.TakenOver)
	to.counter("switchboard_calls_fenced_total", "Calls given up because another server has them.", st.Fenced)
	to.gauge("switchboard_persist_pending", "Calls that are over and not stored yet.", st.PersistPending)
	to.gauge("switchboard_agents_left", "Agents that have not returned from a call that is over.", st.AgentsLeft)
	to.gauge("switchboard_host_held", "Requests to a carrier, store or other plug that are not waited for any more.", st.HostHeld)
	to.counter("switchboard_unsettled_total", "Reservations of the policy that were not released.", st.Unsettled)
	to.counter("switchboard_words_withheld_total", "Segments without their words, because the redactor failed.", st.WordsWithheld)
	to.gauge("switchboard_afterwards", "Calls that are over and wait to be retranscribed or analyzed.", st.Afterwards)
	to.counter("switchboard_afterwards_failed_total", "Transcripts not made up for, and analyses not made.", st.AfterwardsFailed)
	to.counter("switchboard_fetches_failed_total", "Recordings of carriers that were not fetched.", st.FetchesFailed)
}

func spooled(to figures, st recording.SpoolStats) {
	since := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return int64(time.Since(t).Seconds())
	}
	to.gauge("switchboard_recordings_pending", "Recordings that are not in the bucket yet.", int64(st.Pending))
	to.gauge("switchboard_recordings_pending_bytes", "Their size.", st.PendingBytes)
	to.gauge("switchboard_recordings_pending_oldest_seconds", "How long the first of them has waited.", since(st.Oldest))
	to.gauge("switchboard_recordings_conflicts", "Those whose key is taken in the bucket.", int64(st.Conflicts))
	to.gauge("switchboard_recordings_removing", "Recordings that were erased and may be left in the bucket.", int64(st.Removing))
	to.gauge("switchboard_recordings_down_seconds", "How long the bucket has not been reached; 0 if it is.", since(st.DownSince))
	to.counter("switchboard_recordings_uploaded_total", "Recordings brought to the bucket.", st.Uploaded)
	to.counter("switchboard_recordings_uploaded_bytes_total", "Their size.", st.UploadedBytes)
	to.counter("switchboard_recordings_upload_failures_total", "Attempts that failed.", st.Failed)
	to.counter("switchboard_recordings_refused_total", "Calls not recorded because the disk was nearly full.", st.Refused)
}

func queued(to figures, all map[string]queue.Stats) {
	for name, st := range all {
		gauge := func(figure, help string, value float64) {
			to.labeled("switchboard_queue_"+figure, help, "queue", name, prometheus.GaugeValue, value)
		}
		counter := func(figure, help string, value float64) {
			to.labeled("switchboard_queue_"+figure, help, "queue", name, prometheus.CounterValue, value)
		}
		gauge("waiting", "Callers who wait, callbacks included.", float64(st.Waiting))
		gauge("longest_wait_seconds", "For how long anybody waits by now.", st.Longest.Seconds())
		counter("joined_total", "Callers who got a place.", float64(st.Joined))
		counter("full_total", "Callers for whom there was no place.", float64(st.Full))
		counter("served_total", "Callers who were given to an agent.", float64(st.Served))
		counter("waited_seconds_total", "How long these have waited, together.", st.Waited.Seconds())
		counter("abandoned_total", "Callers who hung up while they waited.", float64(st.Abandoned))
		counter("timed_out_total", "Callers who waited for too long.", float64(st.TimedOut))
	}
}

// figures go to whoever collects them.
type figures struct{ ch chan<- prometheus.Metric }

func (f figures) gauge(name, help string, value int64) {
	f.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, float64(value))
}

func (f figures) counter(name, help string, value int64) {
	f.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, float64(value))
}

func (f figures) labeled(name, help, label, of string, kind prometheus.ValueType, value float64) {
	f.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, []string{label}, nil), kind, value, of)
}
