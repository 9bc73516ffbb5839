package sim

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// twilio is the dialect of Twilio: its webhooks here, its REST API, TwiML and
// media streams in the files beside this one.
type twilio struct{ carrier *Carrier }

const apiVersion = "2010-04-01"

// ringBuffer is how much longer than asked Twilio lets a phone ring.
const ringBuffer = 5 * time.Second

// statusWord is Twilio's word for a status.
func statusWord(s telephony.Status) string {
	return strings.ReplaceAll(s.String(), "_", "-")
}

// directionWord is Twilio's word for the direction of a call.
func directionWord(c *call) string {
	switch {
	case c.direction == telephony.Inbound:
		return "inbound"
	case c.parent != nil:
		return "outbound-dial"
	}
	return "outbound-api"
}

// base returns the fields that every webhook about a call has. Those that are
// not known are there, and signed, all the same.
func (t *twilio) base(c *call, status telephony.Status) url.Values {
	p := url.Values{
		"AccountSid": {t.carrier.config.AccountSID},
		"ApiVersion": {apiVersion},
		"CallSid":    {c.sid},
		"CallStatus": {statusWord(status)},
		"Direction":  {directionWord(c)},
		"From":       {c.from},
		"Caller":     {c.from},
		"To":         {c.to},
		"Called":     {c.to},
	}
	for _, who := range []string{"From", "Caller", "To", "Called"} {
		for _, what := range []string{"City", "State", "Zip", "Country"} {
			p.Set(who+what, "")
		}
		if strings.HasPrefix(p.Get(who), "+1") {
			p.Set(who+"Country", "US")
		}
	}
	if c.direction == telephony.Inbound {
		p.Set("StirVerstat", "TN-Validation-Passed-A")
	}
	if c.parent != nil {
		p.Set("ParentCallSid", c.parent.sid)
	}
	return p
}

func (t *twilio) callID() string   { return newSID("CA") }
func (t *twilio) streamID() string { return newSID("MZ") }

// twilioPatience is how long Twilio waits for a webhook (error 11205), and
// between which bounds that can be changed.
var twilioPatience = patience{
	override: override{connect: connectTime, read: webhookTime, total: webhookTime, retries: 1, policy: []string{"ct"}},
	most:     override{connect: 10 * time.Second, read: webhookTime, total: webhookTime, retries: 5},
}

func (t *twilio) patience() *patience { return &twilioPatience }

// question is what an application is told that is asked what to do.
func (t *twilio) question(c *call, ins instruction) url.Values {
	c.mu.Lock()
	status, who, took := c.status, c.answeredBy, c.detection
	c.mu.Unlock()
	params := t.base(c, status)
	if who != "" {
		params.Set("AnsweredBy", who)
		params.Set("MachineDetectionDuration", millis(took))
	}
	maps.Copy(params, ins.more)
	return params
}

// excuse tells the fallback URL why it is asked.
func (t *twilio) excuse(params url.Values, ins instruction, problem *hookError) {
	params.Set("ErrorCode", strconv.Itoa(problem.code))
	params.Set("ErrorUrl", ins.url)
}

func (t *twilio) number(problem *hookError) int { return problem.code }

// stamp signs a webhook.
func (t *twilio) stamp(h http.Header, _ string, u *url.URL, params url.Values, token string) {
	h.Set("User-Agent", "TwilioProxy/1.1")
	h.Set("I-Twilio-Idempotency-Token", token)
	h.Set("X-Twilio-Signature", sign(t.carrier.AuthToken(), signedURL(u), params))
}

// signedURL is the form of a URL that is signed: as requested, without a user's
// name and password, and with https without a port (Twilio's "Webhooks
// security").
func signedURL(u *url.URL) string {
	host := u.Host
	if u.Scheme == "https" && u.Port() != "" {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return u.Scheme + "://" + host + u.RequestURI()
}

// sign returns the value of X-Twilio-Signature.
func sign(token, address string, params url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, address) // a hash never fails
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Clone(params[name])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			_, _ = io.WriteString(mac, name+v)
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// progress tells of a new status, if the application wants to know it.
func (t *twilio) progress(c *call, s telephony.Status) {
	c.mu.Lock()
	o, who := c.order, c.answeredBy
	c.mu.Unlock()
	event := s
	if s.Final() {
		event = telephony.StatusCompleted
	}
	wanted := o.statusEvents[event] || o.statusEvents == nil && s.Final()
	if o.statusURL == "" || !wanted {
		return
	}
	p := t.base(c, s)
	p.Set("CallbackSource", "call-progress-events")
	p.Set("SequenceNumber", strconv.Itoa(c.post.sequence()))
	p.Set("Timestamp", mailTime(time.Now()))
	if who != "" {
		p.Set("AnsweredBy", who)
	}
	if s == telephony.StatusInProgress && c.direction == telephony.Outbound {
		p.Set("StirStatus", "A")
	}
	if s.Final() {
		i := c.info()
		talked, sip := i.talked(), i.SIPCode
		if !i.Answered.IsZero() {
			sip = http.StatusOK
		}
		p.Set("CallDuration", strconv.Itoa(ceil(talked, time.Second)))
		p.Set("Duration", strconv.Itoa(ceil(talked, time.Minute)))
		if sip != 0 {
			p.Set("SipResponseCode", strconv.Itoa(sip))
		}
		t.addRecording(p, c)
	}
	c.post.push(hook{method: o.statusMethod, url: o.statusURL, params: p, token: newToken(), status: true, final: s.Final()})
}

// addRecording adds the recording that was asked for with the call, if one was.
func (t *twilio) addRecording(p url.Values, c *call) {
	c.mu.Lock()
	ordered, all := c.order.record != nil, c.recordings
	c.mu.Unlock()
	if !ordered || len(all) == 0 {
		return
	}
	rec := all[0]
	p.Set("RecordingSid", rec.id)
	p.Set("RecordingUrl", t.recordingURL(rec))
	p.Set("RecordingDuration", strconv.Itoa(wholeSeconds(rec.view().length)))
}

// mailTime writes a time as mail does (RFC 5322, section 3.3).
func mailTime(t time.Time) string { return t.UTC().Format(time.RFC1123Z) }

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// ceil is how many units it takes to hold d.
func ceil(d, unit time.Duration) int { return int((d + unit - 1) / unit) }

// detected tells who answered.
func (t *twilio) detected(c *call, after time.Duration) {
	c.mu.Lock()
	o, who := c.order, c.answeredBy
	c.mu.Unlock()
	if !o.detectAsync {
		return // it is told with the next question
	}
	if o.detectURL == "" {
		t.carrier.warn(noDetectURL, "nobody to tell who answered", "call", c.sid)
		return
	}
	c.post.push(hook{method: o.detectMethod, url: o.detectURL, token: newToken(), params: url.Values{
		"AccountSid":               {t.carrier.config.AccountSID},
		"CallSid":                  {c.sid},
		"AnsweredBy":               {who},
		"MachineDetectionDuration": {millis(after)},
	}})
}

// streamed tells how a stream is doing.
func (t *twilio) streamed(s *stream, e streamEvent, problem error) {
	event := map[streamEvent]string{streamStarted: "stream-started", streamStopped: "stream-stopped", streamFailed: "stream-error"}[e]
	if event == "" {
		return // Twilio has no word for it
	}
	p := url.Values{
		"AccountSid":  {t.carrier.config.AccountSID},
		"CallSid":     {s.call.sid},
		"StreamSid":   {s.sid},
		"StreamEvent": {event},
		"Timestamp":   {time.Now().UTC().Format("2006-01-02T15:04:05.000Z")},
	}
	if s.name != "" {
		p.Set("StreamName", s.name)
	}
	if problem != nil {
		p.Set("StreamError", problem.Error())
	}
	s.call.post.push(hook{method: s.statusMethod, url: s.statusURL, token: newToken(), params: p})
}

// dialed is what the action URL of a Dial is told.
func (t *twilio) dialed(leg CallInfo, bridged time.Duration) url.Values {
	p := url.Values{
		"DialCallSid":    {leg.SID},
		"DialCallStatus": {statusWord(leg.Status)},
		"DialBridged":    {strconv.FormatBool(!leg.Answered.IsZero())},
	}
	if !leg.Answered.IsZero() {
		p.Set("DialCallDuration", strconv.Itoa(ceil(bridged, time.Second)))
	}
	return p
}

func (t *twilio) conferenceID() string { return newSID("CF") }
func (t *twilio) memberID() string     { return "" } // members are known by their calls

// conferred is what the action URL of a Dial with a Conference is told.
func (t *twilio) conferred(*member) url.Values { return url.Values{"DialCallStatus": {"answered"}} }

// twilioConferenceEvents are the names of events, by those in statusCallbackEvent.
var twilioConferenceEvents = map[string]map[conferenceEvent]string{
	"start": {conferenceStart: "conference-start"},
	"end":   {conferenceEnd: "conference-end"},
	"join":  {memberJoin: "participant-join"},
	"leave": {memberLeave: "participant-leave"},
	"mute":  {memberMute: "participant-mute", memberUnmute: "participant-unmute"},
	"hold":  {memberHold: "participant-hold", memberUnhold: "participant-unhold"},
}

// happened is what the statusCallback of a Conference is told.
func (t *twilio) happened(m *member, e conferenceEvent) url.Values {
	f := m.conference
	p := url.Values{
		"AccountSid":     {t.carrier.config.AccountSID},
		"ConferenceSid":  {f.id},
		"FriendlyName":   {f.name},
		"SequenceNumber": {strconv.Itoa(f.number)},
		"Timestamp":      {mailTime(time.Now())},
	}
	for _, names := range twilioConferenceEvents {
		if name := names[e]; name != "" {
			p.Set("StatusCallbackEvent", name)
		}
	}
	switch e {
	case conferenceStart:
	case conferenceEnd:
		p.Set("ReasonConferenceEnded", f.reason())
		if f.endedBy != nil {
			p.Set("CallSidEndingConference", f.endedBy.call.sid)
		}
	default:
		p.Set("CallSid", m.call.sid)
		p.Set("Muted", strconv.FormatBool(m.seat.muted))
		p.Set("Hold", strconv.FormatBool(m.seat.held))
		p.Set("Coaching", "false")
		p.Set("EndConferenceOnExit", strconv.FormatBool(m.ends))
		p.Set("StartConferenceOnEnter", strconv.FormatBool(m.starts))
	}
	return p
}
