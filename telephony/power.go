package telephony

import (
	"context"
	"io"
	"math/bits"
	"strings"
	"time"
)

// Powers are what a carrier can do beyond the contract of [Provider], as a set.
// A host that needs some of them asks for them when it starts, and not when the
// first caller does.
type Powers uint32

// The powers.
const (
	// CanRedirect: it implements [Redirector], which transfers and conferences
	// need.
	CanRedirect Powers = 1 << iota
	// CanConference: it carries out Answer.Conference.
	CanConference
	// CanAnswerKeys: it carries out Answer.Keys.
	CanAnswerKeys
	// CanStreamKeys: its media stream sends keys without being left.
	CanStreamKeys
	// CanFind: it implements [Finder].
	CanFind
	// CanRecord: it implements [CallRecorder].
	CanRecord
	// CanPauseRecording: PauseRecording and ResumeRecording work.
	CanPauseRecording
	// CanDetectMachines: it tells a person from a machine without holding up the
	// call.
	CanDetectMachines
	// CanDetectBeep: it tells when a machine has begun to record.
	CanDetectBeep
	// CanSIPHeaders: it carries out DialRequest.SIPHeaders.
	CanSIPHeaders
	// CanCallerName: it carries out DialRequest.CallerName.
	CanCallerName

	powers = iota
)

var powerNames = [powers]string{
	"redirect", "conference", "answer keys", "stream keys", "find", "record",
	"pause recording", "detect machines", "detect beep", "SIP headers", "caller name",
}

// String returns the names of the powers in p, with commas between.
func (p Powers) String() string {
	names := make([]string, 0, bits.OnesCount32(uint32(p)))
	for i, name := range powerNames {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Has reports whether all of some are in p.
func (p Powers) Has(some Powers) bool { return p&some == some }

// Empowered is implemented by a provider that can do more than [Provider] asks.
type Empowered interface {
	// Powers never changes. It agrees with the interfaces that are implemented.
	Powers() Powers
}

// PowersOf returns what p can do: nothing more, unless it is [Empowered].
func PowersOf(p Provider) Powers {
	if e, ok := p.(Empowered); ok {
		return e.Powers()
	}
	return 0
}

// Redirector is implemented by a provider that can be told to leave what it is
// doing with a live call. Errors are [*Error] values.
type Redirector interface {
	// Redirect has the carrier ask url, with POST, what to do with an answered
	// call from now on. The media stream of the call ends with it, if there is
	// one: before the answer is carried out, but not before url is asked. For a
	// call that has not been answered the error wraps ErrCallState, for one that
	// is over ErrCallGone.
	Redirect(ctx context.Context, providerCallID, url string) error
}

// CallRecorder is implemented by a provider that can record a call itself, on its
// own premises. Errors are [*Error] values; a method that a carrier has not got
// returns one that wraps errors.ErrUnsupported.
type CallRecorder interface {
	// StartRecording records a call that has been answered, from now on, and
	// returns the carrier's id for the recording.
	StartRecording(ctx context.Context, providerCallID string, r *RecordRequest) (recordingID string, err error)
	// PauseRecording leaves out what follows, with silence in its place.
	PauseRecording(ctx context.Context, providerCallID, recordingID string) error
	// ResumeRecording ends a pause.
	ResumeRecording(ctx context.Context, providerCallID, recordingID string) error
	// StopRecording ends a recording. One that has ended is no error.
	StopRecording(ctx context.Context, providerCallID, recordingID string) error

	// OpenRecording returns a recording as a WAV file, which the caller closes.
	// For one that is not there, or not there yet, the error wraps ErrCallGone.
	OpenRecording(ctx context.Context, recordingID string) (io.ReadCloser, error)
	// DeleteRecording removes a recording. One that is not there is no error.
	DeleteRecording(ctx context.Context, recordingID string) error
}

// RecordRequest is how a carrier shall record a call.
type RecordRequest struct {
	// Mono mixes both sides into one channel; otherwise each has its own.
	Mono bool
	// MaxDuration ends it, in whole seconds. Zero: as long as the carrier can.
	MaxDuration time.Duration
	// StatusURL is told when the recording is there; may be empty.
	StatusURL string
}

// RecordingStatus is how a carrier's recording stands.
type RecordingStatus string

// How a recording stands.
const (
	RecordingUnknown    RecordingStatus = "" // a word that is not known
	RecordingInProgress RecordingStatus = "in_progress"
	RecordingCompleted  RecordingStatus = "completed"
	RecordingAbsent     RecordingStatus = "absent" // there was nothing to record, or it failed
)

// RecordingReport is what a carrier tells of a recording of its own.
type RecordingReport struct {
	ID       string          `json:"id"`
	Status   RecordingStatus `json:"status"`
	Duration time.Duration   `json:"duration,omitempty"`
	Channels int             `json:"channels,omitempty"` // 0 if it did not say
	// URL is where the carrier keeps it. CallRecorder.OpenRecording fetches it
	// without being told: an address in a webhook is not to be trusted.
	URL string `json:"url,omitempty"`
}
