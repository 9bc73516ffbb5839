package callhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/transcript"
)

// Summary is a call as it stands in a list.
type Summary struct {
	CallID         string     `json:"call_id"`
	AgentID        string     `json:"agent_id"`
	Direction      string     `json:"direction" enum:"outbound,inbound"`
	Provider       string     `json:"provider"`
	ProviderCallID *string    `json:"provider_call_id" doc:"The carrier's id; null until it is known."`
	FromPhone      string     `json:"from_phone"`
	ToPhone        string     `json:"to_phone"`
	Status         string     `json:"status" enum:"initiated,connecting,connected,active,ending,completed,failed,busy,no_answer,canceled"`
	EndReason      *string    `json:"end_reason" doc:"Why it ended, in one stable word; null while it lives."`
	Detail         string     `json:"detail,omitempty" doc:"More about the end, for people."`
	CreatedAt      time.Time  `json:"created_at"`
	StartedAt      *time.Time `json:"started_at" doc:"When somebody picked up; null if nobody did."`
	EndedAt        *time.Time `json:"ended_at"`
	ErasedAt       *time.Time `json:"erased_at,omitempty" doc:"What was said was erased, and all but this outline. The call's own address answers 404."`
	Duration       int64      `json:"duration" doc:"Whole seconds since it was answered."`
	OnHold         bool       `json:"on_hold"`

	CallerTalk float64 `json:"caller_talk_seconds" doc:"So far, on a live call; one that another server has shows 0 in lists."`
	AgentTalk  float64 `json:"agent_talk_seconds"`

	Recorded        bool   `json:"recorded" doc:"There is a recording of it."`
	RecordingPaused bool   `json:"recording_paused" doc:"What is said is not kept at present."`
	Consent         string `json:"consent,omitempty" enum:"given,refused" doc:"What the caller has said to being recorded, if that was asked."`

	ParentCallID string            `json:"parent_call_id,omitempty" doc:"The call for whose caller this one was placed, in a warm transfer."`
	CustomerData map[string]string `json:"customer_data"`
	Metadata     map[string]string `json:"metadata"`
}

func summarize(c *call.Call) Summary {
	return Summary{
		CallID:         c.ID,
		AgentID:        c.AgentID,
		Direction:      c.Direction.String(),
		Provider:       c.Provider,
		ProviderCallID: orNull(c.ProviderCallID),
		FromPhone:      string(c.From),
		ToPhone:        string(c.To),
		Status:         c.State.String(),
		EndReason:      orNull(string(c.Cause)),
		Detail:         c.Detail,
		CreatedAt:      c.CreatedAt.UTC(),
		StartedAt:      timeOrNull(c.AnsweredAt),
		EndedAt:        timeOrNull(c.EndedAt),
		ErasedAt:       timeOrNull(c.ErasedAt),
		Duration:       wholeSeconds(c.Duration(time.Now())),
		OnHold:         c.OnHold,

		CallerTalk: c.Metrics.CallerTalk.Seconds(),
		AgentTalk:  c.Metrics.AgentTalk.Seconds(),

		Recorded:        c.Sound() != nil,
		RecordingPaused: c.RecordingPaused,
		Consent:         c.Consent,

		ParentCallID: c.ParentID,
		CustomerData: orEmpty(c.Context),
		Metadata:     orEmpty(c.Metadata),
	}
}

// detail is all that is known of a call.
type detail struct {
	Summary
	Transcript       []segment `json:"transcript"`
	TranscriptSource string    `json:"transcript_source,omitempty" enum:"live,recording,degraded" doc:"Where the recognised words come from; degraded: some are missing, or may be."`
	TranscriptDetail string    `json:"transcript_detail,omitempty" doc:"What went wrong with the transcription."`
	RecordingURL     *string   `json:"recording_url" doc:"Plays without a token, for a short while; null if there is none."`
	AnsweredBy       string    `json:"answered_by,omitempty" doc:"Who picked up, where machine detection was asked for or a beep was heard."`
	Machine          string    `json:"machine,omitempty" doc:"What became of a call that a machine had picked up: message_left, message_uncertain (there was no beep), message_cut or hung_up."`
	Route            string    `json:"route,omitempty" doc:"Why this agent has an inbound call."`
	Metrics          metrics   `json:"metrics"`
	Analysis         *analysis `json:"analysis,omitempty" doc:"What was found out about the call after its end."`

	CarrierRecordings []carrierRecording `json:"carrier_recordings,omitempty" doc:"Those that the carrier was told to make."`
}

func (a *API) detail(ctx context.Context, c *call.Call) *detail {
	url, err := a.recordingURL(ctx, c)
	if err != nil { // the rest is worth having
		a.log.Warn("address of a recording not known", "call", c.ID, "err", err)
	}
	return &detail{
		Summary:          summarize(c),
		Transcript:       segments(c.Transcript),
		TranscriptSource: string(c.TranscriptSource),
		TranscriptDetail: c.TranscriptDetail,
		RecordingURL:     orNull(url),
		AnsweredBy:       string(c.AnsweredBy),
		Machine:          string(c.Machine),
		Route:            c.Route,
		Metrics:          measure(&c.Metrics),
		Analysis:         newAnalysis(c.Analysis),

		CarrierRecordings: carrierRecordings(c.CarrierRecordings),
	}
}

// urlTime is how long a storage may take to tell an address.
const urlTime = 3 * time.Second

// recordingURL returns the address of a call's recording, "" if it has none that
// can be fetched.
func (a *API) recordingURL(ctx context.Context, c *call.Call) (string, error) {
	sound := c.Sound()
	if sound == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, urlTime)
	defer cancel()
	for _, storage := range a.cfg.Storages {
		if storage.Name() != sound.Storage {
			continue
		}
		url, err := storage.URL(ctx, sound.Key, a.cfg.RecordingTTL)
		if errors.Is(err, recording.ErrNotFound) || errors.Is(err, errors.ErrUnsupported) {
			return "", nil
		}
		return url, err
	}
	return "", nil
}

// analysis is call.Analysis.
type analysis struct {
	Figures map[string]float64 `json:"figures,omitempty"`
	Labels  map[string]string  `json:"labels,omitempty"`
}

func newAnalysis(a *call.Analysis) *analysis {
	if a == nil {
		return nil
	}
	return &analysis{Figures: a.Figures, Labels: a.Labels}
}

type metrics struct {
	TranscriptionLatency    float64            `json:"transcription_latency_ms" doc:"From the end of words to their final text: the median."`
	TranscriptionLatencyP95 float64            `json:"transcription_latency_p95_ms"`
	ResponseLatency         float64            `json:"response_latency_ms" doc:"From the end of the caller's speech to the agent's first sound leaving: the median."`
	ResponseLatencyP95      float64            `json:"response_latency_p95_ms"`
	ResponseHeard           float64            `json:"response_heard_ms" doc:"The same until it was heard, as far as the carrier tells; 0 if it does not."`
	ResponseHeardP95        float64            `json:"response_heard_p95_ms"`
	AudioQuality            float64            `json:"audio_quality" doc:"From 0 to 1, by the E-model of ITU-T G.107."`
	SpeechLevel             float64            `json:"speech_level_dbov" doc:"Of the caller; 0 if it is not known."`
	NoiseLevel              float64            `json:"noise_level_dbov" doc:"Likewise, in pauses."`
	Clipped                 float64            `json:"clipped" doc:"Share of the caller's speech at the limit, from 0 to 1."`
	Silence                 float64            `json:"silence_seconds" doc:"Neither spoke."`
	Crosstalk               float64            `json:"crosstalk_seconds" doc:"Both spoke."`
	Figures                 map[string]float64 `json:"figures,omitempty" doc:"What the agent reported."`
	SpeakerChanges          int                `json:"speaker_changes"`
	Interruptions           int                `json:"interruptions"`
	CallerTalk              float64            `json:"caller_talk_seconds"`
	AgentTalk               float64            `json:"agent_talk_seconds"`
	FramesIn                int64              `json:"frames_in"`
	FramesOut               int64              `json:"frames_out"`
	FramesLost              int64              `json:"frames_lost"`
	Jitter                  float64            `json:"jitter_ms"`
	Keys                    int                `json:"keys"`
	Leftover                []string           `json:"leftover,omitempty" doc:"Steps of the cleanup that failed."`
}

func measure(m *call.Metrics) metrics {
	return metrics{
		TranscriptionLatency:    milliseconds(m.TranscriptionLatency),
		TranscriptionLatencyP95: milliseconds(m.TranscriptionLatencyP95),
		ResponseLatency:         milliseconds(m.ResponseLatency),
		ResponseLatencyP95:      milliseconds(m.ResponseLatencyP95),
		ResponseHeard:           milliseconds(m.ResponseHeard),
		ResponseHeardP95:        milliseconds(m.ResponseHeardP95),
		SpeechLevel:             m.SpeechLevel,
		NoiseLevel:              m.NoiseLevel,
		Clipped:                 m.Clipped,
		Silence:                 m.Silence.Seconds(),
		Crosstalk:               m.Crosstalk.Seconds(),
		Figures:                 m.Figures,
		AudioQuality:            m.AudioQuality,
		SpeakerChanges:          m.SpeakerChanges,
		Interruptions:           m.Interruptions,
		CallerTalk:              m.CallerTalk.Seconds(),
		AgentTalk:               m.AgentTalk.Seconds(),
		FramesIn:                m.FramesIn,
		FramesOut:               m.FramesOut,
		FramesLost:              m.FramesLost,
		Jitter:                  milliseconds(m.Jitter),
		Keys:                    m.Keys,
		Leftover:                m.Leftover,
	}
}

type segment struct {
	Speaker    string  `json:"speaker" enum:"agent,customer"`
	Text       string  `json:"text"`
	Timestamp  string  `json:"timestamp" doc:"Since the start of the audio." example:"0:00:03"`
	Confidence float64 `json:"confidence" doc:"From 0 to 1."`
}

// segments are the words of a transcript. Stretches without any are left out.
func segments(all []transcript.Segment) []segment {
	words := make([]segment, 0, len(all))
	for _, s := range all {
		if !s.Gap && s.Text != "" {
			words = append(words, newSegment(s))
		}
	}
	return words
}

func newSegment(s transcript.Segment) segment {
	return segment{
		Speaker:    string(s.Speaker),
		Text:       s.Text,
		Timestamp:  timestamp(s.At),
		Confidence: s.Confidence,
	}
}

// timestamp is d in hours, minutes and seconds: "0:00:03".
func timestamp(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// asText makes values of any JSON type text, as a call keeps them: text stays as
// it is, anything else is its JSON.
func asText(values map[string]any) map[string]string {
	if len(values) == 0 {
		return nil
	}
	text := make(map[string]string, len(values))
	for name, v := range values {
		s, ok := v.(string)
		if !ok {
			b, _ := json.Marshal(v) // it came from JSON
			s = string(b)
		}
		text[name] = s
	}
	return text
}

func wholeSeconds(d time.Duration) int64 { return int64(d.Round(time.Second) / time.Second) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
