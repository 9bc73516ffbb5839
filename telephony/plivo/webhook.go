package plivo

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// ParseEvent reads a webhook about a call: a request for instructions, the result
// of a Dial, a report of ringing or of the end, the result of machine detection,
// a stream or a recording callback, by POST or GET. Plivo may report an end at
// the address that is asked for instructions: look at the Status first. Words
// that are not known leave their field empty and stand in Fields.
//
// Beyond the signature it asks that the webhook concern this account and that
// its parameters be known and readable in one way only; otherwise the error
// wraps telephony.ErrUnverified. A signature has no date, so that a webhook can
// be sent again by whoever saw it: it has the same Event.ID then. The ID is made
// of everything that is signed but the host and the nonce; a nonce that came
// with another webhook lately is refused.
func (p *Provider) ParseEvent(w *telephony.Webhook) (telephony.Event, error) {
	s, err := p.verify(w)
	if err != nil {
		return telephony.Event{}, err
	}
	c, err := p.read(w, s)
	if err != nil {
		return telephony.Event{}, err
	}
	id := webhookID(w, s)
	if !p.nonces.admit(s.nonce, id) {
		return telephony.Event{}, unverified("its nonce came with another webhook")
	}
	f := c.fields
	e := telephony.Event{
		ID:             id,
		ProviderCallID: cmp.Or(f["CallUUID"], f["call_uuid"]),
		RequestID:      f["RequestUUID"],
		Direction:      directionOf(f["Direction"]),
		From:           number(f["From"]),
		To:             number(f["To"]),
		Status:         statuses[f["CallStatus"]],
		Sequence:       -1,
		Fields:         f,
	}
	switch {
	case f["Event"] == "Hangup":
		e.At = parseTime(f["EndTime"])
		e.Duration = secondsOf(f["Duration"])
		e.Cause = cmp.Or(f["HangupCause"], f["HangupCauseCode"])
		if e.Status == telephony.StatusTimeout && rangOut[f["HangupCauseCode"]] {
			e.Status = telephony.StatusNoAnswer
		}
		if f["HangupCauseCode"] == machineCode {
			e.AnsweredBy = telephony.AnsweredByMachine
		}
	case f["StreamID"] != "":
		e.StreamStatus = f["Event"]
		e.At = parseTime(f["Timestamp"])
	default:
		// What stands in Event when Plivo asks for instructions depends on why it
		// asks, and not all of its words are documented.
		e.AnsweredBy = answerers[strings.ToLower(f["Machine"])]
		e.Dialed = statuses[f["DialStatus"]]
		e.Recording, e.At = recordingOf(f)
	}
	p.dials.learn(e.RequestID, e.ProviderCallID)
	return e, nil
}

// recordingOf returns what is told of a recording, and when that was; nil if
// nothing is. XML and API write the same in other names. The first report about
// a session that is recorded comes at its beginning, with durations of -1.
func recordingOf(f map[string]string) (*telephony.RecordingReport, time.Time) {
	id := cmp.Or(f["RecordingID"], f["recording_id"])
	if id == "" {
		return nil, time.Time{}
	}
	r := &telephony.RecordingReport{
		ID:     id,
		Status: telephony.RecordingCompleted,
		URL:    cmp.Or(f["RecordUrl"], f["record_url"]),
	}
	seconds, secondsTold := decimalOf(cmp.Or(f["RecordingDuration"], f["recording_duration"]))
	millis, millisTold := decimalOf(cmp.Or(f["RecordingDurationMs"], f["recording_duration_ms"]))
	if secondsTold && seconds < 0 || millisTold && millis < 0 {
		r.Status = telephony.RecordingInProgress
		return r, millisTime(cmp.Or(f["RecordingStartMs"], f["recording_start_ms"]))
	}
	if r.Duration = time.Duration(millis) * time.Millisecond; !millisTold {
		r.Duration = time.Duration(seconds) * time.Second
	}
	return r, millisTime(cmp.Or(f["RecordingEndMs"], f["recording_end_ms"]))
}

// mostDecimal is more than any number of milliseconds that Plivo has to tell,
// also since 1970, and a time.Duration holds it.
const mostDecimal = 1 << 42

// decimalOf reads a number like "345100.00000", without its fraction.
func decimalOf(s string) (n int64, ok bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= -mostDecimal && f <= mostDecimal) {
		return 0, false
	}
	return int64(f), true
}

// millisTime is a time in milliseconds since 1970; the zero Time if it is none.
func millisTime(s string) time.Time {
	n, ok := decimalOf(s)
	if !ok || n <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// statuses leaves out what is not known, which makes it StatusUnknown.
var statuses = map[string]telephony.Status{
	"queued":      telephony.StatusQueued,
	"ringing":     telephony.StatusRinging,
	"in-progress": telephony.StatusInProgress,
	"completed":   telephony.StatusCompleted,
	"busy":        telephony.StatusBusy,
	"no-answer":   telephony.StatusNoAnswer,
	"cancel":      telephony.StatusCanceled,
	"canceled":    telephony.StatusCanceled,
	"cancelled":   telephony.StatusCanceled,
	"failed":      telephony.StatusFailed,
	"timeout":     telephony.StatusTimeout,
}

// rangOut are the causes of a hang-up that say that it rang and nobody picked up:
// no answer, timeout, ring timeout. Plivo's status of the last is "timeout".
var rangOut = map[string]bool{"3000": true, "3070": true, "6010": true}

var answerers = map[string]telephony.AnsweredBy{
	"true":  telephony.AnsweredByMachine,
	"false": telephony.AnsweredByHuman,
}

func directionOf(s string) telephony.Direction {
	if s == "inbound" {
		return telephony.Inbound
	}
	return telephony.Outbound
}

// number puts the plus before a number that Plivo has written without.
func number(s string) telephony.Number {
	s = strings.TrimSpace(s)
	if n := telephony.Number("+" + s); n.Valid() {
		return n
	}
	return telephony.Number(s)
}

func secondsOf(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// parseTime reads the forms of time that Plivo writes, which are UTC if they do
// not say; the zero Time if it is none of them.
func parseTime(s string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// webhookID covers everything that is signed but the host and the nonce. Now that
// the text can be read in one way only, it stands for its parameters.
func webhookID(w *telephony.Webhook, s *signed) string {
	address, _, _ := strings.Cut(w.URL, "#")
	address, _, _ = strings.Cut(address, "?")
	_, host, _ := strings.Cut(address, "://")
	_, path, _ := strings.Cut(host, "/")
	return digest("webhook", path, s.text)
}

// digest is the beginning of the SHA-256 of parts, each with its length.
func digest(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
