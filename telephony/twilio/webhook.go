package twilio

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// ParseEvent reads a webhook about a call: a request for instructions, the result
// of a Dial, a status callback, the result of machine detection, a stream or a
// recording callback, by POST or GET. Words that are not known leave their field
// empty and stand in Fields, as do parameters that are not.
//
// Beyond the signature it asks that the webhook concern this account and that
// its parameters be readable in one way only; otherwise the error wraps
// telephony.ErrUnverified. A signature has no date, so that a webhook can be
// sent again by whoever saw it: it has the same Event.ID then. The ID is made of
// everything that is signed, and of no header.
func (p *Provider) ParseEvent(w *telephony.Webhook) (telephony.Event, error) {
	form, err := p.verify(w)
	if err != nil {
		return telephony.Event{}, err
	}
	u, err := url.Parse(w.URL)
	if err != nil {
		return telephony.Event{}, unverified("bad URL")
	}
	var fields map[string]string
	switch {
	case w.Method == http.MethodGet:
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			return telephony.Event{}, unverified("the query is not a form")
		}
		fields, err = p.checkFields(query)
		if err != nil {
			return telephony.Event{}, err
		}
	case form == nil:
		return telephony.Event{}, fmt.Errorf("twilio: %w: a JSON body", telephony.ErrUnknownEvent)
	default:
		fields, err = p.readFields(form)
		if err != nil {
			return telephony.Event{}, err
		}
	}

	status := statuses[fields["CallStatus"]]
	at := fields["Timestamp"]
	if fields["RecordingStatus"] == "in-progress" {
		at = cmp.Or(at, fields["RecordingStartTime"])
	}
	return telephony.Event{
		ID:             webhookID(u, fields),
		ProviderCallID: fields["CallSid"],
		Direction:      directionOf(fields["Direction"]),
		From:           telephony.Number(fields["From"]),
		To:             telephony.Number(fields["To"]),
		Status:         status,
		Sequence:       int(integer(fields["SequenceNumber"], -1)),
		At:             parseTime(at),
		Duration:       time.Duration(integer(fields["CallDuration"], 0)) * time.Second,
		AnsweredBy:     answerers[fields["AnsweredBy"]],
		Cause:          causeOf(status, fields),
		Dialed:         dialed[fields["DialCallStatus"]],
		Recording:      recordingOf(fields),
		StreamStatus:   fields["StreamEvent"],
		Fields:         fields,
	}, nil
}

// statuses leaves out what is not known, which makes it StatusUnknown.
var statuses = map[string]telephony.Status{
	"queued":      telephony.StatusQueued,
	"initiated":   telephony.StatusInitiated,
	"ringing":     telephony.StatusRinging,
	"in-progress": telephony.StatusInProgress,
	"completed":   telephony.StatusCompleted,
	"busy":        telephony.StatusBusy,
	"no-answer":   telephony.StatusNoAnswer,
	"canceled":    telephony.StatusCanceled,
	"failed":      telephony.StatusFailed,
}

// dialed are the words of DialCallStatus. A conference that was joined is
// "answered" there.
var dialed = map[string]telephony.Status{
	"completed": telephony.StatusCompleted,
	"answered":  telephony.StatusCompleted,
	"busy":      telephony.StatusBusy,
	"no-answer": telephony.StatusNoAnswer,
	"canceled":  telephony.StatusCanceled,
	"failed":    telephony.StatusFailed,
}

var recordingStatuses = map[string]telephony.RecordingStatus{
	"in-progress": telephony.RecordingInProgress,
	"completed":   telephony.RecordingCompleted,
	"absent":      telephony.RecordingAbsent,
	"failed":      telephony.RecordingAbsent,
}

// recordingOf returns what is told of a recording, nil if nothing is. The end of
// a call that was recorded as a whole tells of its recording without a status.
func recordingOf(fields map[string]string) *telephony.RecordingReport {
	id := fields["RecordingSid"]
	if id == "" {
		return nil
	}
	status, told := fields["RecordingStatus"]
	if !told {
		status = "completed"
	}
	return &telephony.RecordingReport{
		ID:       id,
		Status:   recordingStatuses[status],
		Duration: time.Duration(integer(fields["RecordingDuration"], 0)) * time.Second,
		Channels: int(integer(fields["RecordingChannels"], 0)),
		URL:      fields["RecordingUrl"],
	}
}

var answerers = map[string]telephony.AnsweredBy{
	"human":               telephony.AnsweredByHuman,
	"machine_start":       telephony.AnsweredByMachine,
	"machine_end_beep":    telephony.AnsweredByBeep,
	"machine_end_silence": telephony.AnsweredByMachine,
	"machine_end_other":   telephony.AnsweredByMachine,
	"fax":                 telephony.AnsweredByFax,
}

func directionOf(s string) telephony.Direction {
	if s == "inbound" {
		return telephony.Inbound
	}
	return telephony.Outbound
}

// causeOf prefers Twilio's error code to the network's SIP response.
func causeOf(status telephony.Status, fields map[string]string) string {
	if !status.Final() {
		return ""
	}
	if code := fields["ErrorCode"]; code != "" && code != "0" {
		return code
	}
	return fields["SipResponseCode"]
}

func integer(s string, otherwise int64) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return otherwise
	}
	return n
}

// parseTime reads both forms of time that Twilio writes; the zero Time if it is
// neither.
func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC1123Z, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// webhookID covers everything that is signed but the host.
func webhookID(u *url.URL, fields map[string]string) string {
	parts := []string{"webhook", u.EscapedPath(), u.RawQuery}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		parts = append(parts, name, fields[name])
	}
	return digest(parts...)
}

// digest is the beginning of the SHA-256 of parts, each with its length.
func digest(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part)))
		b.Write(length[:])
		b.WriteString(part)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}
