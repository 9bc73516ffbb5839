package sim

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Faults are what a Carrier does wrong. The zero Faults are none. A chance is a
// probability from 0, never, to 1, always; each call and each stream has dice of
// its own, so that one Seed gives one course of events however goroutines are
// scheduled.
type Faults struct {
	Seed uint64

	// Create decides about each request to create a call; n counts them from 1.
	// Nil means that all go well. It is called by many goroutines at once.
	Create func(n int) CreateFault
	// Request decides likewise about each other request to the REST API: n counts
	// them from 1. Accept carries the request out all the same.
	Request func(n int, r *http.Request) CreateFault

	// Chances of each callback about the status of a call, and about a recording.
	CallbackLost      float64 // never sent
	CallbackDoubled   float64 // sent twice, with the same idempotency token
	CallbackReordered float64 // sent after the one that follows it
	CallbackLate      float64 // sent CallbackDelay late, and not waited for
	// CallbackDelay is how late; zero means 2 seconds.
	CallbackDelay time.Duration
	// RecordingDelay is how late the file of a recording is there, and is told of.
	RecordingDelay time.Duration
	// MediaMissing is how long the file of a recording is answered with 404 after
	// it was told to be there.
	MediaMissing time.Duration
	// DetectionDelay is how late the result of machine detection is.
	DetectionDelay time.Duration

	// Chances of each mark that is due.
	MarkLost    float64
	MarkDoubled float64
	MarkLate    float64
	// MarkDelay is how late; zero means 500 ms.
	MarkDelay time.Duration
	// FirstMarkLost loses the first mark of each stream, as Plivo was seen to do.
	FirstMarkLost bool

	// Chances of each 20 ms of audio towards the application.
	FrameLost    float64 // numbered, but not sent
	FrameDoubled float64
	FrameSwapped float64 // sent after the one that follows it
	FrameHeld    float64 // it and what follows are held for HoldTime, then sent at once
	FrameGap     float64 // timestamps jump by GapTime from here on
	// HoldTime is how long; zero means 200 ms.
	HoldTime time.Duration
	// GapTime is how far; zero means 1 second.
	GapTime time.Duration

	// ClockDrift is how much faster than ours the clock is by which the carrier
	// takes, numbers and sends audio, in parts per million: 100 gains 360 ms an
	// hour. Negative is slower.
	ClockDrift float64

	// CutAfter closes the socket of a stream this long after its start, with
	// neither stop nor close message. Zero means never, here and below.
	CutAfter time.Duration
	// StopAfter sends the stop message this long after the start of a stream, and
	// closes its socket without a close message. The call goes on after the stream.
	StopAfter time.Duration
	// ReconnectAfter closes the socket as CutAfter does, and connects the call
	// anew: with the start message of a new stream on a new socket.
	ReconnectAfter time.Duration
	// StallAfter makes the carrier send nothing for StallTime, and then all that is
	// due at once. It reads on. A zero StallTime means 3 seconds.
	StallAfter time.Duration
	StallTime  time.Duration
	// HalfOpenAfter makes the carrier neither send nor read any more, with the
	// socket left open until the call is over.
	HalfOpenAfter time.Duration
	// DeafAfter makes the carrier send on but read no more.
	DeafAfter time.Duration
	// SecondStartAfter repeats the start message.
	SecondStartAfter time.Duration
}

// The names under which Carrier.Fired counts.
const (
	FaultCreate            = "create"
	FaultRequest           = "request"
	FaultMarkFirst         = "mark-first"
	FaultStop              = "stop"
	FaultReconnect         = "reconnect"
	FaultStall             = "stall"
	FaultCallbackLost      = "callback-lost"
	FaultCallbackDoubled   = "callback-doubled"
	FaultCallbackReordered = "callback-reordered"
	FaultCallbackLate      = "callback-late"
	FaultDetectionLate     = "detection-late"
	FaultRecordingLate     = "recording-late"
	FaultMediaMissing      = "media-missing"
	FaultMarkLost          = "mark-lost"
	FaultMarkDoubled       = "mark-doubled"
	FaultMarkLate          = "mark-late"
	FaultFrameLost         = "frame-lost"
	FaultFrameDoubled      = "frame-doubled"
	FaultFrameSwapped      = "frame-swapped"
	FaultFrameHeld         = "frame-held"
	FaultFrameGap          = "frame-gap"
	FaultCut               = "cut"
	FaultHalfOpen          = "half-open"
	FaultDeaf              = "deaf"
	FaultSecondStart       = "second-start"
)

// A CreateFault is what goes wrong with one request to the REST API. The zero
// CreateFault is nothing.
type CreateFault struct {
	// Accept places the call all the same, or does what else is asked for, if the
	// request is a good one.
	Accept bool
	// Delay is waited for before the reply, and before the request is carried out
	// unless Accept is set.
	Delay time.Duration
	// Cut closes the connection instead of a reply.
	Cut bool
	// Status is the HTTP status of the reply. Zero, with Cut not set, means the
	// usual reply.
	Status int
	// Code makes the reply an error of Twilio's catalogue. Plivo has no numbers:
	// any Code makes the reply an error with the text of Status.
	Code int
	// Header is added to the reply.
	Header http.Header
	// Body is the reply, if Code is 0; may be empty.
	Body string
}

func (f *CreateFault) replaces() bool { return f.Cut || f.Status != 0 }

// LostReply accepts the call and cuts the connection.
func LostReply() CreateFault { return CreateFault{Accept: true, Cut: true} }

// Refused is an error of Twilio's catalogue, such as 21215 with HTTP status 400;
// of Plivo only the status counts.
func Refused(status, code int) CreateFault { return CreateFault{Status: status, Code: code} }

// Broken is a reply in HTML, as servers in front of the API give. Whether the
// call was accepted cannot be seen from it.
func Broken(status int, accepted bool) CreateFault {
	return CreateFault{
		Accept: accepted,
		Status: status,
		Header: http.Header{"Content-Type": {"text/html"}},
		Body:   "<html><body><h1>" + strconv.Itoa(status) + " " + http.StatusText(status) + "</h1></body></html>",
	}
}

// Throttled asks the application to wait. After is the Retry-After header, left
// out if it is 0.
func Throttled(after time.Duration) CreateFault {
	f := Refused(http.StatusTooManyRequests, 20429)
	if after > 0 {
		f.Header = http.Header{"Retry-After": {strconv.Itoa(int(after / time.Second))}}
	}
	return f
}

// FirstCreates returns a Create function for the first requests: one fault for
// each; what follows goes well.
func FirstCreates(faults ...CreateFault) func(n int) CreateFault {
	return func(n int) CreateFault {
		if n <= len(faults) {
			return faults[n-1]
		}
		return CreateFault{}
	}
}

// Bursts returns a Create function under which the API has bad times, in which
// it answers each request with one of some faults, and good ones. Bad is the part
// of requests in bad times, from 0 to 1, and length how many requests one lasts. One
// seed gives one course of events.
func Bursts(seed uint64, bad float64, length int, faults ...CreateFault) func(n int) CreateFault {
	length = max(1, length)
	return func(n int) CreateFault {
		if len(faults) == 0 || rand.New(rand.NewPCG(seed, uint64(n/length))).Float64() >= bad {
			return CreateFault{}
		}
		return faults[rand.New(rand.NewPCG(^seed, uint64(n))).IntN(len(faults))]
	}
}

// A chance throws dice. It is used by one goroutine at a time.
type chance struct{ dice *rand.Rand }

// chance returns the dice for a part of a call.
func (f *Faults) chance(call, part uint64) chance {
	return chance{rand.New(rand.NewPCG(f.Seed, call<<8|part))}
}

// hits reports whether something of probability p happens. Each use throws the
// dice once, whatever p is, so that one fault does not move another.
func (c chance) hits(p float64) bool { return c.dice.Float64() < p }

func orElse(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
