package sim

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// plivo is the dialect of Plivo: its webhooks here, its REST API, XML and audio
// streams in the files beside this one.
type plivo struct{ carrier *Carrier }

// Quirks are what Plivo may do one way or another: its own pages and libraries
// disagree. The zero Quirks are what most of them say.
type Quirks struct {
	// SameUUID makes the request_uuid of an outbound call its CallUUID.
	SameUUID bool
	// NoStop makes streams end without a stop message.
	NoStop bool
	// Headers is how a stream is told of its extraHeaders.
	Headers HeaderStyle
	// ShortEvents names the events of streams as the streaming guide does:
	// started, stopped and failed, not StartStream, StopStream and DroppedStream.
	ShortEvents bool
}

// HeaderStyle is how the extra_headers of a stream are written.
type HeaderStyle uint8

const (
	// HeadersSemicolon is the zero HeaderStyle: "k=v;k2=v2".
	HeadersSemicolon HeaderStyle = iota
	// HeadersComma is "k=v,k2=v2".
	HeadersComma
	// HeadersJSON is a JSON object in a string.
	HeadersJSON
)

// Hangup codes of calls that an application's reply has ended.
const (
	plivoUnreachable = 7011
	plivoBadXML      = 8011
)

func (t *plivo) callID() string   { return newToken() }
func (t *plivo) streamID() string { return newToken() }

// plivoPatience is that of Plivo's "Callback configuration", but for the time
// to read, for which another page has 15 seconds.
var plivoPatience = patience{
	override: override{connect: 2 * time.Second, read: webhookTime, total: 55 * time.Second, retries: 1, policy: []string{"ct", "rt"}},
	most:     override{connect: 10 * time.Second, read: 40 * time.Second, total: 55 * time.Second, retries: 5},
}

func (t *plivo) patience() *patience { return &plivoPatience }

// stamp signs a webhook for the account and, being the same, for the main
// account.
func (t *plivo) stamp(h http.Header, _ string, u *url.URL, params url.Values, _ string) {
	h.Set("User-Agent", "Plivo")
	t.sign(h, u, params)
}

func (t *plivo) sign(h http.Header, u *url.URL, params url.Values) {
	nonce := newNonce()
	signature := signV3(t.carrier.AuthToken(), u, params, nonce)
	h.Set("X-Plivo-Signature-V3", signature)
	h.Set("X-Plivo-Signature-Ma-V3", signature)
	h.Set("X-Plivo-Signature-V3-Nonce", nonce)
}

// newNonce returns 20 random digits.
func newNonce() string {
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)
	n, err := rand.Int(rand.Reader, most)
	if err != nil {
		panic(err) // the reader never fails
	}
	digits := n.String()
	return strings.Repeat("0", 20-len(digits)) + digits
}

// signV3 returns the value of X-Plivo-Signature-V3 for a request to u. Params
// are the form of a POST; nil if it has none, as a GET.
func signV3(token string, u *url.URL, params url.Values, nonce string) string {
	base := u.Scheme + "://" + u.Host + u.EscapedPath()
	query := listed(u.Query(), "=", "&")
	if query != "" || len(params) > 0 {
		base += "?" + query
	}
	if query != "" && len(params) > 0 {
		base += "."
	}
	base += listed(params, "", "")
	mac := hmac.New(sha256.New, []byte(token))
	_, _ = io.WriteString(mac, base+"."+nonce) // a hash never fails
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// listed writes names and values in order.
func listed(v url.Values, equals, and string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		for _, value := range slices.Sorted(slices.Values(v[name])) {
			list = append(list, name+equals+value)
		}
	}
	return strings.Join(list, and)
}

// plainNumber is a number as Plivo writes it.
func plainNumber(s string) string { return strings.TrimPrefix(s, "+") }

// plivoTime writes a time with microseconds, in UTC.
func plivoTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000") }

// plivoStatus is Plivo's word for the status of a call.
func plivoStatus(s telephony.Status) string {
	switch {
	case s == telephony.StatusRinging:
		return "ringing"
	case s == telephony.StatusInProgress:
		return "in-progress"
	case s == telephony.StatusCanceled:
		return "cancel"
	case s.Final():
		return statusWord(s)
	}
	return "queued"
}

// base returns the fields that every webhook about a call has.
func (t *plivo) base(c *call, status, event string) url.Values {
	p := url.Values{
		"CallUUID":     {c.sid},
		"From":         {plainNumber(c.from)},
		"To":           {plainNumber(c.to)},
		"Direction":    {c.direction.String()},
		"CallStatus":   {status},
		"Event":        {event},
		"CallerName":   {c.from},
		"ParentAuthID": {t.carrier.config.AccountSID},
		"BillRate":     {"0.0055"},
		"SessionStart": {plivoTime(c.created)},
	}
	c.mu.Lock()
	if name := c.order.callerName; name != "" {
		p.Set("CallerName", name)
	}
	c.mu.Unlock()
	if c.direction == telephony.Inbound {
		p.Set("STIRVerification", "Verified")
		return p
	}
	if c.parent != nil {
		p.Set("ALegUUID", c.parent.sid)
		p.Set("BLegUUID", c.sid)
		return p
	}
	p.Set("RequestUUID", c.requestID)
	p.Set("ALegUUID", c.sid)
	p.Set("ALegRequestUUID", c.requestID)
	return p
}

func (t *plivo) question(c *call, ins instruction) url.Values {
	c.mu.Lock()
	status, who := c.status, c.answeredBy
	c.mu.Unlock()
	p := t.base(c, plivoStatus(status), "StartApp")
	if isMachine(who) {
		p.Set("Machine", "true")
	}
	maps.Copy(p, ins.more)
	return p
}

// excuse adds nothing: a fallback URL is told the same.
func (t *plivo) excuse(url.Values, instruction, *hookError) {}

func (t *plivo) number(problem *hookError) int {
	switch problem.code {
	case hookDocument, hookContentType:
		return plivoBadXML
	}
	return plivoUnreachable
}

// progress tells of ringing and of the end. Without an address of its own, the
// end is told to the answer URL.
func (t *plivo) progress(c *call, s telephony.Status) {
	if c.parent != nil {
		return
	}
	c.mu.Lock()
	o := c.order
	c.mu.Unlock()
	switch {
	case s == telephony.StatusRinging:
		c.post.push(hook{method: o.ringMethod, url: o.ringURL, token: newToken(), status: true, params: t.base(c, "ringing", "Ring")})
	case s.Final():
		h := hook{method: o.statusMethod, url: o.statusURL, token: newToken(), status: true, final: true, params: t.farewell(c)}
		if h.url == "" {
			h.method, h.url = o.method, o.url
		}
		c.post.push(h)
	}
}

// farewell is what is told of the end of a call.
func (t *plivo) farewell(c *call) url.Values {
	why, i := t.cause(c), c.info()
	p := t.base(c, why.status, "Hangup")
	p.Set("HangupCause", why.word)
	p.Set("HangupCauseCode", strconv.Itoa(why.code))
	p.Set("HangupCauseName", why.name)
	p.Set("HangupSource", why.source)
	p.Set("Duration", strconv.Itoa(ceil(i.talked(), time.Second)))
	p.Set("BillDuration", strconv.Itoa(60*ceil(i.talked(), time.Minute)))
	p.Set("TotalCost", "0.00000")
	for name, at := range map[string]time.Time{"StartTime": i.Created, "AnswerTime": i.Answered, "EndTime": i.Ended} {
		p.Set(name, "")
		if !at.IsZero() {
			p.Set(name, at.UTC().Format(time.DateTime))
		}
	}
	return p
}

// A cause is why a call is over, in Plivo's words.
type cause struct {
	code                 int
	name, source, status string
	word                 string // of the telephone network
}

// cause is that of a call that is over.
func (t *plivo) cause(c *call) cause {
	c.mu.Lock()
	e, answered := *c.ending, !c.answered.IsZero()
	c.mu.Unlock()
	why := cause{status: "completed", word: "NORMAL_CLEARING"}
	if c.direction == telephony.Outbound && !answered {
		why.status = "failed"
	}
	why.source = map[Party]string{ByCaller: "Caller", ByCallee: "Callee"}[e.by]
	switch e.how {
	case byVerb, atLastVerb:
		why.source = "Answer XML"
	case onRequest:
		why.source = "API Request"
	case atLimit, foundMachine:
		why.source = "Plivo"
	}
	var problem *hookError
	switch {
	case errors.As(e.err, &problem):
		why.code, why.source, why.name = t.number(problem), "Error", "Error Reaching Answer URL"
		if why.code == plivoBadXML {
			why.name = "Invalid Answer XML"
		}
	case e.err != nil:
		why.source, why.name, why.word = "Unknown", "Unknown", "NETWORK_OUT_OF_ORDER"
	case e.how == foundMachine:
		why.code, why.name = 9100, "Machine Detected"
	case !answered:
		why.unanswered(c, e)
	case e.how == atLastVerb:
		why.code, why.name = 4010, "End Of XML Instructions"
	case e.how == atLimit:
		why.code, why.name = 6000, "Scheduled Hangup"
	default:
		why.code, why.name = 4000, "Normal Hangup"
	}
	return why
}

func (why *cause) unanswered(c *call, e ending) {
	status := "failed"
	switch {
	case e.status == telephony.StatusBusy:
		why.code, why.name, why.word, status = 3010, "Busy Line", "USER_BUSY", "busy"
	case e.status == telephony.StatusNoAnswer && e.how == byVerb:
		why.code, why.name, why.word = 3020, "Rejected", "CALL_REJECTED"
	case e.status == telephony.StatusNoAnswer && e.sip == 487:
		why.code, why.name, why.word, status = 6010, "Ring Timeout Reached", "NO_ANSWER", "timeout"
		why.source = "Plivo"
	case e.status == telephony.StatusNoAnswer:
		why.code, why.name, why.word, status = 3000, "No Answer", "NO_ANSWER", "no-answer"
		why.source = "Carrier"
	case e.status == telephony.StatusCanceled:
		why.code, why.name, why.word, status = 1000, "Cancelled", "ORIGINATOR_CANCEL", "cancel"
	default:
		why.code, why.name, why.word = 3050, "Unallocated Number", "UNALLOCATED_NUMBER"
		why.source = "Carrier"
	}
	if c.direction == telephony.Outbound {
		why.status = status
	}
}

func isMachine(who string) bool { return strings.HasPrefix(who, "machine") || who == "fax" }

// detected tells of machines; a human is no event.
func (t *plivo) detected(c *call, _ time.Duration) {
	c.mu.Lock()
	o, status, who := c.order, c.status, c.answeredBy
	c.mu.Unlock()
	if !isMachine(who) {
		return
	}
	if o.detectURL != "" {
		p := t.base(c, plivoStatus(status), "MachineDetection")
		p.Set("Machine", "true")
		c.post.push(hook{method: o.detectMethod, url: o.detectURL, token: newToken(), params: p})
	}
	if o.detectHangup {
		c.end(ending{by: ByCarrier, how: foundMachine})
	}
}

var (
	plivoEvents = map[streamEvent]string{
		streamStarted: "StartStream", streamStopped: "StopStream", streamFailed: "DroppedStream", streamFilling: "DegradedStream",
	}
	plivoShortEvents = map[streamEvent]string{
		streamStarted: "started", streamStopped: "stopped", streamFailed: "failed",
	}
)

// streamed tells how a stream is doing.
func (t *plivo) streamed(s *stream, e streamEvent, problem error) {
	events := plivoEvents
	if t.carrier.config.Quirks.ShortEvents {
		events = plivoShortEvents
	}
	if events[e] == "" {
		return
	}
	p := url.Values{
		"CallUUID":  {s.call.sid},
		"StreamID":  {s.sid},
		"Event":     {events[e]},
		"Timestamp": {time.Now().UTC().Format(time.RFC3339)},
		"From":      {plainNumber(s.call.from)},
		"To":        {plainNumber(s.call.to)},
		"Direction": {s.call.direction.String()},
	}
	if problem != nil {
		p.Set("StatusReason", "connection_failed")
	}
	s.call.post.push(hook{method: s.statusMethod, url: s.statusURL, token: newToken(), params: p})
}

// dialed is what the action URL of a Dial is told.
func (t *plivo) dialed(leg CallInfo, bridged time.Duration) url.Values {
	word := map[telephony.Status]string{
		telephony.StatusCompleted: "NORMAL_CLEARING",
		telephony.StatusBusy:      "USER_BUSY",
		telephony.StatusNoAnswer:  "NO_ANSWER",
		telephony.StatusCanceled:  "ORIGINATOR_CANCEL",
	}[leg.Status]
	if word == "" {
		word = "UNALLOCATED_NUMBER"
	}
	p := url.Values{
		"DialStatus":      {plivoStatus(leg.Status)},
		"DialRingStatus":  {strconv.FormatBool(leg.Status != telephony.StatusFailed)},
		"DialHangupCause": {word},
		"DialALegUUID":    {leg.ParentSID},
		"DialBLegUUID":    {""}, // if nobody answers
	}
	if !leg.Answered.IsZero() {
		p.Set("DialBLegUUID", leg.SID)
		p.Set("DialBLegDuration", strconv.Itoa(ceil(bridged, time.Second)))
	}
	return p
}

func (t *plivo) conferenceID() string { return newToken() }
func (t *plivo) memberID() string     { return newNonce()[:6] }

// conferred is what the action URL of a Conference is told.
func (t *plivo) conferred(m *member) url.Values {
	return url.Values{
		"ConferenceName":     {m.conference.name},
		"ConferenceUUID":     {m.conference.id},
		"ConferenceMemberID": {m.id},
	}
}

// happened is what the callbackUrl of a Conference is told.
func (t *plivo) happened(m *member, e conferenceEvent) url.Values {
	action, event := "enter", "ConferenceEnter"
	if e == memberLeave {
		action, event = "exit", "ConferenceExit"
	}
	p := t.base(m.call, plivoStatus(m.call.info().Status), event)
	maps.Copy(p, t.conferred(m))
	p.Set("ConferenceAction", action)
	p.Set("ConferenceFirstMember", strconv.FormatBool(e == memberJoin && m.first))
	p.Set("ConferenceLastMember", strconv.FormatBool(e == memberLeave && len(m.conference.members) == 0))
	return p
}
