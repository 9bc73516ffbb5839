package campaign

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// ContactState is where a contact stands.
type ContactState string

// The states of a contact.
const (
	Waiting ContactState = "waiting" // to be called, from Due on
	Live    ContactState = "live"    // claimed: about to be called, or on the phone
	Over    ContactState = "over"    // will not be called any more
)

// Outcome is what became of an attempt, or of a contact.
type Outcome string

// The outcomes of attempts. Where no machine detection was asked for, machines are
// taken for people.
const (
	Answered Outcome = "answered" // by a person, who had the agent on the line
	Machine  Outcome = "machine"  // an answering machine, or a fax
	Busy     Outcome = "busy"
	NoAnswer Outcome = "no_answer"
	Failed   Outcome = "failed" // it did not come about, or we gave up before the answer

	// Abandoned: a person picked up, and had no agent on the line within two seconds
	// or until we ended the call. It is what the United States limit to 3 % of the
	// calls that people answer in a campaign, over 30 days (47 CFR 64.1200(a)(7)),
	// and what Ofcom holds against whoever does not keep it below that over 24 hours
	// (its statement on persistent misuse, 2016). Who was abandoned is not called
	// again.
	//
	// Somebody who hung up within the two seconds was not abandoned.
	Abandoned Outcome = "abandoned"
)

// The outcomes of contacts that were not called, besides those of their last
// attempt.
const (
	Listed  Outcome = "do_not_call" // Config.DoNotCall has the number
	Refused Outcome = "refused"     // by the service, its policy, or the numbering plan
)

// Contact is somebody to call, and how far that has come. A host that adds one sets
// Number and Data.
type Contact struct {
	// Seq is the contact's place in its campaign, from 1; there may be gaps.
	Seq int64 `json:"seq"`
	// Number is called, with Data as the Context of the call: at most 32 entries and
	// 8 KiB.
	Number telephony.Number  `json:"number"`
	Data   map[string]string `json:"data,omitempty"`

	// Zones are the zones in which the number may ring, by name, with spaces
	// between.
	Zones string       `json:"zones,omitempty"`
	State ContactState `json:"state"`
	// Due is when the contact is called next, at the earliest, while it waits. Zero:
	// it has not been called, and nothing keeps it from being.
	Due time.Time `json:"due,omitzero"`
	// Outcome is that of the last attempt, or why the contact is over without one.
	// Detail says more, for people; it holds no number.
	Outcome  Outcome   `json:"outcome,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Attempts []Attempt `json:"attempts,omitempty"`

	// Version counts the writes of this record.
	Version int64 `json:"version"`
	// Claims counts how often the next attempt was claimed before, and not settled:
	// it may have been made.
	Claims int `json:"claims,omitempty"`
}

// Attempt is one call to a contact.
type Attempt struct {
	At      time.Time `json:"at"` // when it was placed
	EndedAt time.Time `json:"ended_at"`
	CallID  string    `json:"call_id,omitempty"`
	Outcome Outcome   `json:"outcome"`
	// Cause is why the call ended, in the words of call.Cause.
	Cause string `json:"cause,omitempty"`
	// Talk is how long it lasted from the answer.
	Talk time.Duration `json:"talk,omitempty"`
}

// Clone returns a copy that shares no memory with c.
func (c *Contact) Clone() *Contact {
	d := *c
	d.Data = maps.Clone(c.Data)
	d.Attempts = slices.Clone(c.Attempts)
	return &d
}

// UTC returns a copy with its times in UTC and without monotonic readings, as they
// come back from any store.
func (c *Contact) UTC() *Contact {
	d := c.Clone()
	d.Due = d.Due.Round(0).UTC()
	for i := range d.Attempts {
		a := &d.Attempts[i]
		a.At, a.EndedAt = a.At.Round(0).UTC(), a.EndedAt.Round(0).UTC()
	}
	return d
}

const (
	maxData      = 32
	maxDataBytes = 8 << 10
)

// check says what is wrong with a contact that a host adds.
func (c *Contact) check() error {
	if !c.Number.Valid() {
		return fmt.Errorf("%w: Number: %w", ErrInvalid, telephony.ErrInvalidNumber)
	}
	size := 0
	for k, v := range c.Data {
		size += len(k) + len(v)
	}
	if len(c.Data) > maxData || size > maxDataBytes {
		return fmt.Errorf("%w: Data has more than %d entries or %d bytes", ErrInvalid, maxData, maxDataBytes)
	}
	return nil
}

// ContactError tells which contact of a list cannot be. None of them was added.
type ContactError struct {
	Index int // in the list
	Err   error
}

func (e *ContactError) Error() string { return fmt.Sprintf("contact %d: %v", e.Index, e.Err) }

// Unwrap returns what is wrong.
func (e *ContactError) Unwrap() error { return e.Err }
