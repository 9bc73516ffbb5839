package call

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
)

// Call is the record of one call: what it was meant to be, where it is, and what
// became of it. A Call that the service hands out is a copy and belongs to the
// receiver.
type Call struct {
	// ID is ours: opaque, and unique across services.
	ID string `json:"call_id"`
	// Tenant is whose call it is, for hosts that serve several; may be empty.
	Tenant string `json:"tenant,omitempty"`
	// AgentID names the agent in Config.Agents that has the call.
	AgentID   string              `json:"agent_id"`
	Direction telephony.Direction `json:"direction"`
	// Provider is the name of the carrier, ProviderCallID its id for the call:
	// empty until it is known.
	Provider       string           `json:"provider"`
	ProviderCallID string           `json:"provider_call_id,omitempty"`
	From           telephony.Number `json:"from"`
	To             telephony.Number `json:"to"`

	State State `json:"state"`
	// Cause is why the call ended, or is ending. Detail says more, for people;
	// it holds no number and no secret.
	Cause  Cause  `json:"cause,omitempty"`
	Detail string `json:"detail,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	// AnsweredAt is when somebody picked up; zero if nobody did.
	AnsweredAt time.Time `json:"answered_at,omitzero"`
	// EndedAt is when the end became certain; zero while the call lives.
	EndedAt time.Time `json:"ended_at,omitzero"`
	// ErasedAt is when what was said was erased, and the rest of the record but an
	// outline; zero if it was not. See Service.Erase.
	ErasedAt time.Time `json:"erased_at,omitzero"`

	// Context is for the agent, Metadata for the host's own books. Both are kept
	// as they are.
	Context  map[string]string `json:"context,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`

	Options Options `json:"options"`
	// Route is why this agent has the call, on an inbound call.
	Route string `json:"route,omitempty"`
	// Routing is what each policy that was asked has said, in order.
	Routing []routing.Step `json:"routing,omitempty"`
	// AnsweredBy is who picked up, where machine detection was asked for or a beep
	// was heard.
	AnsweredBy telephony.AnsweredBy `json:"answered_by,omitempty"`
	// Machine is what became of a call that a machine had picked up: see Voicemail.
	Machine MachineOutcome `json:"machine,omitempty"`
	// OnHold tells that the caller is on hold.
	OnHold bool `json:"on_hold,omitempty"`
	// RecordingPaused tells that what is said is not kept at present; see
	// Session.PauseRecording.
	RecordingPaused bool `json:"recording_paused,omitempty"`
	// Consent is what the caller has said to being recorded, if that was asked:
	// "given" or "refused".
	Consent string `json:"consent,omitempty"`
	// ParentID is the call for whose caller this one was placed, in a warm
	// transfer.
	ParentID string `json:"parent_id,omitempty"`

	Recording *recording.Recording `json:"recording,omitempty"`
	// CarrierRecordings are those that the carrier was told to make, in order.
	CarrierRecordings []telephony.RecordingReport `json:"carrier_recordings,omitempty"`
	// Fetched are copies of them; see Config.FetchCarrierRecordings.
	Fetched    []recording.Recording `json:"fetched,omitempty"`
	Transcript []transcript.Segment  `json:"transcript,omitempty"`
	// TranscriptSource is where the recognised words of Transcript come from, on a
	// call that asked for it; TranscriptDetail says what went wrong, if anything.
	TranscriptSource TranscriptSource `json:"transcript_source,omitempty"`
	TranscriptDetail string           `json:"transcript_detail,omitempty"`
	Metrics          Metrics          `json:"metrics"`
	// Analysis is what the Analyzer found after the call; nil without one, or until
	// then.
	Analysis *Analysis `json:"analysis,omitempty"`

	// IdempotencyKey is the host's key for this intent, Fingerprint what was
	// asked for under it.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
	Fingerprint    string `json:"fingerprint,omitempty"`

	// Owner names the replica that has the call, or had it last; empty where a
	// service is alone. See Cluster.
	Owner string `json:"owner,omitempty"`
	// Life is the state machine's own memory, for recovery and replay.
	Life []byte `json:"life,omitempty"`
	// Events is the Seq of the call's last event.
	Events int64 `json:"events,omitempty"`
	// Version counts the writes of this record; a Store refuses a write that
	// does not follow the last one.
	Version int64 `json:"version"`
}

// TranscriptSource is where the words of a transcript come from.
type TranscriptSource string

// The sources of transcripts.
const (
	// Live: they were recognised while they were said, and none is known to be
	// missing.
	Live TranscriptSource = "live"
	// FromRecording: live recognition had failed or left gaps, and they were made
	// out from the recording after the call.
	FromRecording TranscriptSource = "recording"
	// Degraded: words are missing, or may be: live recognition failed or left gaps,
	// and no recording has made up for it, or not yet.
	Degraded TranscriptSource = "degraded"
)

// Options are how a call is to be treated. A span that is zero is that of Config;
// another one must not be longer, if Config has one.
type Options struct {
	Record        bool   `json:"record,omitempty"`
	RecordStorage string `json:"record_storage,omitempty"`
	// RequireRecording ends a call that is to be recorded, and cannot be, before its
	// agent is let talk, or at the latest when the notice should have been heard:
	// with the cause NotRecorded. Otherwise it goes on, and its events tell. A
	// caller who refuses consent ends nothing.
	RequireRecording bool `json:"require_recording,omitempty"`
	// AwaitConsent has recording and transcription wait until the caller agrees: see
	// Session.Consent.
	AwaitConsent bool `json:"await_consent,omitempty"`
	// Transcribe sends the audio to the service's Transcriber. What agents say
	// of their own words is kept without it.
	Transcribe         bool          `json:"transcribe,omitempty"`
	TranscribeProvider string        `json:"transcribe_provider,omitempty"`
	Language           string        `json:"language,omitempty"` // BCP 47
	RingTimeout        time.Duration `json:"ring_timeout,omitempty"`
	MaxDuration        time.Duration `json:"max_duration,omitempty"`
	Silence            time.Duration `json:"silence,omitempty"`
	CallerSilence      time.Duration `json:"caller_silence,omitempty"`
	AgentStall         time.Duration `json:"agent_stall,omitempty"`
	MachineDetection   bool          `json:"machine_detection,omitempty"`
	SendDigits         string        `json:"send_digits,omitempty"`
}

// Metrics are figures about one call. They are there once the call is over; of a
// live one, only CallerTalk and AgentTalk so far.
type Metrics struct {
	// ResponseLatency is the time from the end of the caller's speech to the first
	// sound of the agent's reply leaving for the carrier: the median of the newest 64
	// replies; only one in twenty took longer than P95. Silence that an agent sends,
	// and its background, are no reply.
	ResponseLatency    time.Duration `json:"response_latency,omitempty"`
	ResponseLatencyP95 time.Duration `json:"response_latency_p95,omitempty"`
	// ResponseHeard is the same to when the reply was heard, as far as the carrier
	// tells: with the mean time after which it acknowledges what was played, the way
	// back included. Zero if it has acknowledged nothing.
	ResponseHeard    time.Duration `json:"response_heard,omitempty"`
	ResponseHeardP95 time.Duration `json:"response_heard_p95,omitempty"`
	// TranscriptionLatency is the time from the end of words to their final text: the
	// median and P95, likewise.
	TranscriptionLatency    time.Duration `json:"transcription_latency,omitempty"`
	TranscriptionLatencyP95 time.Duration `json:"transcription_latency_p95,omitempty"`
	// AudioQuality is how well the caller was heard, from 0 to 1, on a scale of mean
	// opinion scores by the E-model (ITU-T G.107) with what was measured of loss,
	// jitter, clipping, level and noise. docs/design.md says how.
	AudioQuality float64 `json:"audio_quality"`
	// SpeechLevel and NoiseLevel are how loud the caller's speech and pauses are, in
	// dBov (below the loudest square wave), 0 if there was too little of them. Clipped
	// is how much of the speech was at the limit, from 0 to 1.
	SpeechLevel float64 `json:"speech_level,omitempty"`
	NoiseLevel  float64 `json:"noise_level,omitempty"`
	Clipped     float64 `json:"clipped,omitempty"`
	// SpeakerChanges counts how often the other party began to speak.
	SpeakerChanges int `json:"speaker_changes"`
	// Interruptions counts how often the caller cut the agent off, FalseAlarms
	// how often it was silenced and resumed. ReactionLatency is the time from
	// the caller's first sound until it was silenced: the median.
	Interruptions   int           `json:"interruptions"`
	FalseAlarms     int           `json:"false_alarms"`
	ReactionLatency time.Duration `json:"reaction_latency,omitempty"`
	CallerTalk      time.Duration `json:"caller_talk"`
	AgentTalk       time.Duration `json:"agent_talk"`
	// Silence is for how long neither spoke, Crosstalk for how long both did, holds
	// left out. They are right to a packet or two at each change.
	Silence    time.Duration `json:"silence"`
	Crosstalk  time.Duration `json:"crosstalk"`
	FramesIn   int64         `json:"frames_in"`
	FramesOut  int64         `json:"frames_out"`
	FramesLost int64         `json:"frames_lost"` // inbound, filled with silence
	Jitter     time.Duration `json:"jitter"`      // inbound, RFC 3550
	Keys       int           `json:"keys"`
	// Unread is how much of the caller's sound an agent with a Line lost because
	// it did not keep up.
	Unread time.Duration `json:"unread,omitempty"`
	// Figures are those that the agent reported with Session.LogMetrics.
	Figures map[string]float64 `json:"figures,omitempty"`
	// Leftover are steps of the cleanup that failed, by name.
	Leftover []string `json:"leftover,omitempty"`
}

// Duration is how long the call lasted from the answer: 0 if nobody answered,
// the time until now if it lives.
func (c *Call) Duration(now time.Time) time.Duration {
	switch {
	case c.AnsweredAt.IsZero():
		return 0
	case c.EndedAt.IsZero():
		return now.Sub(c.AnsweredAt)
	}
	return max(0, c.EndedAt.Sub(c.AnsweredAt))
}

// Sound returns the recording of the call: ours, or else the first that was
// fetched from the carrier; nil if there is none.
func (c *Call) Sound() *recording.Recording {
	if c.Recording != nil && c.Recording.Key != "" {
		return c.Recording
	}
	if len(c.Fetched) > 0 {
		return &c.Fetched[0]
	}
	return nil
}

// Clone returns a copy that shares no memory with c.
func (c *Call) Clone() *Call {
	d := *c
	d.Context = maps.Clone(c.Context)
	d.Metadata = maps.Clone(c.Metadata)
	d.Transcript = slices.Clone(c.Transcript)
	d.Routing = slices.Clone(c.Routing)
	d.CarrierRecordings = slices.Clone(c.CarrierRecordings)
	d.Fetched = slices.Clone(c.Fetched)
	d.Metrics.Leftover = slices.Clone(c.Metrics.Leftover)
	d.Metrics.Figures = maps.Clone(c.Metrics.Figures)
	d.Analysis = c.Analysis.clone()
	d.Life = slices.Clone(c.Life)
	if c.Recording != nil {
		r := *c.Recording
		d.Recording = &r
	}
	return &d
}

// LogValue shows what tells calls apart and nothing of whom they concern.
func (c *Call) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("id", c.ID),
		slog.String("agent", c.AgentID),
		slog.String("direction", c.Direction.String()),
		slog.String("provider", c.Provider),
		slog.Any("from", c.From),
		slog.Any("to", c.To),
		slog.String("state", c.State.String()),
		slog.String("cause", string(c.Cause)),
	)
}
