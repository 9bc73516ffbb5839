package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/queue"
)

// metrics serves the figures of a service in the text format of Prometheus. No
// number and no id of a call is in them.
func metrics(svc *call.Service, r *recordings, desk *queue.Desk) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		st := svc.Stats()
		var b bytes.Buffer
		gauge := func(name, help string, value int64) {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s %d\n", name, help, name, name, value)
		}
		counter := func(name, help string, value int64) {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s counter\n%s %d\n", name, help, name, name, value)
		}
		gauge("switchboard_calls_live", "Calls that are not over.", int64(st.Live))
		counter("switchboard_calls_placed_total", "Outbound calls.", st.Placed)
		counter("switchboard_calls_received_total", "Inbound calls that were taken.", st.Received)
		counter("switchboard_calls_refused_total", "Calls refused for lack of room, by policy or while draining.", st.Refused)
		fmt.Fprint(&b, "# HELP switchboard_calls_ended_total Calls that are over.\n# TYPE switchboard_calls_ended_total counter\n")
		for state := call.Completed; state.Terminal(); state++ {
			fmt.Fprintf(&b, "switchboard_calls_ended_total{status=%q} %d\n", state.String(), st.Ended[state])
		}
		counter("switchboard_webhooks_unverified_total", "Webhooks refused because they were not signed.", st.WebhooksUnverified)
		counter("switchboard_streams_refused_total", "Media sockets without a valid token.", st.StreamsRefused)
		counter("switchboard_events_dropped_total", "Events dropped by slow subscribers.", st.EventsDropped)
		counter("switchboard_events_unsaved_total", "Events that could not be stored.", st.EventsUnsaved)
		counter("switchboard_calls_taken_over_total", "Calls of other servers, or of before a restart.", st.TakenOver)
		counter("switchboard_calls_fenced_total", "Calls given up because another server has them.", st.Fenced)
		gauge("switchboard_persist_pending", "Calls that are over and not stored yet.", st.PersistPending)
		gauge("switchboard_agents_left", "Agents that have not returned from a call that is over.", st.AgentsLeft)
		gauge("switchboard_host_held", "Requests to a carrier, store or other plug that are not waited for any more.", st.HostHeld)
		r.metrics(gauge, counter)
		counter("switchboard_words_withheld_total", "Segments without their words, because the redactor failed.", st.WordsWithheld)
		gauge("switchboard_afterwards", "Calls that are over and wait to be retranscribed or analyzed.", st.Afterwards)
		counter("switchboard_afterwards_failed_total", "Transcripts not made up for, and analyses not made.", st.AfterwardsFailed)
		if desk != nil {
			queueMetrics(&b, desk.Stats())
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(b.Bytes())
	})
}

// queueMetrics writes the figures of queues, each with its name.
func queueMetrics(b *bytes.Buffer, all map[string]queue.Stats) {
	for _, m := range []struct {
		name, kind, help string
		value            func(queue.Stats) float64
	}{
		{"waiting", "gauge", "Callers who wait, callbacks included.", func(st queue.Stats) float64 { return float64(st.Waiting) }},
		{"longest_wait_seconds", "gauge", "For how long anybody waits by now.", func(st queue.Stats) float64 { return st.Longest.Seconds() }},
		{"joined_total", "counter", "Callers who got a place.", func(st queue.Stats) float64 { return float64(st.Joined) }},
		{"full_total", "counter", "Callers for whom there was no place.", func(st queue.Stats) float64 { return float64(st.Full) }},
		{"served_total", "counter", "Callers who were given to an agent.", func(st queue.Stats) float64 { return float64(st.Served) }},
		{"waited_seconds_total", "counter", "How long these have waited, together.", func(st queue.Stats) float64 { return st.Waited.Seconds() }},
		{"abandoned_total", "counter", "Callers who hung up while they waited.", func(st queue.Stats) float64 { return float64(st.Abandoned) }},
		{"timed_out_total", "counter", "Callers who waited for too long.", func(st queue.Stats) float64 { return float64(st.TimedOut) }},
	} {
		fmt.Fprintf(b, "# HELP switchboard_queue_%s %s\n# TYPE switchboard_queue_%s %s\n", m.name, m.help, m.name, m.kind)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			fmt.Fprintf(b, "switchboard_queue_%s{queue=%q} %g\n", m.name, name, m.value(all[name]))
		}
	}
}
