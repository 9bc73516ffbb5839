package main

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/switchboard-voice/switchboard/call"
)

// metrics serves the figures of a service in the text format of Prometheus. No
// number and no id of a call is in them.
func metrics(svc *call.Service, r *recordings) http.Handler {
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
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(b.Bytes())
	})
}
