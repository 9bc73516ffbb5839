package call

import (
	"time"

	"github.com/switchboard-voice/switchboard/transcript"
)

// EventType is what an event is about.
type EventType string

// The types of events.
const (
	// EventState: the call has entered State. Each state is announced once.
	EventState EventType = "state"
	// EventTranscript: Segment became known.
	EventTranscript EventType = "transcript"
	// EventTranscription: the call's TranscriptSource is Name, which is not "live".
	// Detail says what went wrong.
	EventTranscription EventType = "transcription"
	// EventKey: the caller pressed Key, which is not told if there is a Redactor
	// (see Config.ShowKeys), or if that was in a pause of the recording.
	EventKey EventType = "key"
	// EventInterruption: the caller cut the agent off, by Name: "speech" or
	// "key".
	EventInterruption EventType = "interruption"
	// EventAgent: the agent reported Name and Data with Session.Log.
	EventAgent EventType = "agent"
	// EventFailover: the provider Name places the call, because another one could
	// not, as Detail says.
	EventFailover EventType = "failover"
	// EventHold: the caller was put on hold, or is no more, by Name: "on" or
	// "off".
	EventHold EventType = "hold"
	// EventConsent: the caller agrees to be recorded, or does not, by Name: "given" or
	// "refused".
	EventConsent EventType = "consent"
	// EventPause: the recording was paused, or is no more, by Name: "on" or "off".
	EventPause EventType = "recording_pause"
	// EventListen: somebody began to listen to the call, or ended it before the call
	// did, by Name: "on" or "off"; what did not fit into the listener's buffer is in
	// Detail.
	EventListen EventType = "listen"
	// EventMove: the caller leaves the stream, or comes back, by Name: "transfer",
	// "conference", "redirect", "keys"; "back", with the state of the attempt as
	// Detail if somebody was not reached. "declined", likewise with a Detail: a warm
	// transfer did not come about, and the caller has not left.
	EventMove EventType = "move"
	// EventAgentChange: the agent Name has the call now.
	EventAgentChange EventType = "agent_change"
	// EventAnsweredBy: it is known who picked up, by Name: see
	// telephony.AnsweredBy.
	EventAnsweredBy EventType = "answered_by"
	// EventMachine: what became of a call that a machine had picked up, by Name: see
	// MachineOutcome.
	EventMachine EventType = "machine"
	// EventCarrierRecording: a recording of the carrier's, whose id is Name; how it
	// stands in Detail.
	EventCarrierRecording EventType = "carrier_recording"
	// EventRecording: the recording is there, or why not in Detail.
	EventRecording EventType = "recording"
	// EventMetrics: the agent reported Figures with Session.LogMetrics.
	EventMetrics EventType = "metrics"
	// EventAnalysis: the Analyzer found Figures and, as Data, labels, or failed, as
	// Detail says. It comes after the call's last state.
	EventAnalysis EventType = "analysis"
	// EventErased: what was said on the call was erased, and all events before this
	// one.
	EventErased EventType = "erased"
	// EventCleanup: the step Name of the cleanup failed; Detail says why.
	EventCleanup EventType = "cleanup"
)

// An Event is something that happened on a call. The events of one call are
// numbered from 1 without gaps, in the order in which they happened.
type Event struct {
	CallID string    `json:"call_id"`
	Tenant string    `json:"tenant,omitempty"`
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`
	Type   EventType `json:"type"`

	State   State               `json:"state"` // the call's state after the event
	Cause   Cause               `json:"cause,omitempty"`
	Detail  string              `json:"detail,omitempty"`
	Segment *transcript.Segment `json:"segment,omitempty"`
	Key     string              `json:"key,omitempty"`
	Name    string              `json:"name,omitempty"`
	Data    map[string]string   `json:"data,omitempty"`
	Figures map[string]float64  `json:"figures,omitempty"`
}
