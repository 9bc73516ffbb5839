package telephony

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Direction tells who called.
type Direction uint8

const (
	// Outbound is a call that we placed.
	Outbound Direction = iota
	// Inbound is a call that somebody placed to us.
	Inbound
)

// String returns "outbound" or "inbound".
func (d Direction) String() string {
	if d == Inbound {
		return "inbound"
	}
	return "outbound"
}

// MarshalText returns the direction as String does.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Direction) UnmarshalText(b []byte) error {
	switch string(b) {
	case "outbound":
		*d = Outbound
	case "inbound":
		*d = Inbound
	default:
		return fmt.Errorf("telephony: unknown direction %q", b)
	}
	return nil
}

// Status is where a carrier says a call is. It is the carrier's word, mapped to
// one vocabulary; what it means for the life of a call is decided elsewhere.
type Status uint8

const (
	// StatusUnknown is the zero Status: the event says nothing about the state,
	// or says it in a word that is not known.
	StatusUnknown Status = iota
	StatusQueued
	StatusInitiated
	StatusRinging
	StatusInProgress // answered
	StatusCompleted
	StatusBusy
	StatusNoAnswer
	StatusCanceled
	StatusFailed
	// StatusTimeout is a call that the network gave up connecting.
	StatusTimeout
)

var statusNames = [...]string{
	"unknown", "queued", "initiated", "ringing", "in_progress",
	"completed", "busy", "no_answer", "canceled", "failed", "timeout",
}

// String returns the status in lower case with underscores.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// Final reports whether a call in this status is over.
func (s Status) Final() bool { return s >= StatusCompleted && s <= StatusTimeout }

// MarshalText returns the status as String does.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote; a word it does not know is
// StatusUnknown.
func (s *Status) UnmarshalText(b []byte) error {
	*s = StatusUnknown
	for i, name := range statusNames {
		if name == string(b) {
			*s = Status(i)
		}
	}
	return nil
}

// AnsweredBy is who or what picked up, as far as the carrier can tell.
type AnsweredBy string

// The parties a carrier tells apart.
const (
	AnsweredByUnknown AnsweredBy = ""
	AnsweredByHuman   AnsweredBy = "human"
	AnsweredByMachine AnsweredBy = "machine" // its greeting may still be playing
	AnsweredByBeep    AnsweredBy = "beep"    // a machine that is now recording
	AnsweredByFax     AnsweredBy = "fax"
)

// An Event is what a carrier reports about a call. Fields that a carrier did not
// fill are zero.
type Event struct {
	// ID is the same for each delivery of the same report, and different for
	// different reports about the same call.
	ID             string
	ProviderCallID string
	// RequestID is the carrier's id for the dial request, where that is not the
	// id of the call.
	RequestID string
	Direction Direction
	From, To  Number
	Status    Status
	// Sequence orders the events of one call as they happened; -1 if the
	// carrier does not number them.
	Sequence   int
	At         time.Time     // when it happened, by the carrier's clock
	Duration   time.Duration // of the call, once it has ended
	AnsweredBy AnsweredBy
	// Cause is the carrier's own word for why a call ended.
	Cause string
	// Dialed is set if the carrier tells what became of an Answer.Dial:
	// StatusCompleted if the two were connected.
	Dialed Status
	// Recording is set if the report is about a recording of the carrier's.
	Recording *RecordingReport
	// StreamStatus is set if the report is about the media stream: the
	// carrier's own word.
	StreamStatus string
	// Fields are all verified parameters of the webhook, by their own names.
	Fields map[string]string
}

// String describes e without saying whom it concerns.
func (e Event) String() string {
	return fmt.Sprintf("%s %s %s", e.Direction, e.ProviderCallID, e.Status)
}

// MarshalJSON leaves Fields out: they hold more of a person than a log needs.
func (e Event) MarshalJSON() ([]byte, error) {
	type bare Event
	b := bare(e)
	b.Fields = nil
	return json.Marshal(b)
}

// A Webhook is one HTTP request from a carrier with its body already read.
type Webhook struct {
	Method string
	// URL is the address as the carrier was given it: built from the configured
	// public URL, with the path and query as received. Nothing in it comes from
	// a header of the request.
	URL    string
	Header http.Header
	Body   []byte
}
