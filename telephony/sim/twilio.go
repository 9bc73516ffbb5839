package sim

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
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

const (
	apiVersion = "2010-04-01"

	// webhookTime is how long a webhook may take (error 11205).
	webhookTime = 15 * time.Second
	// connectTime is how long one try to connect may take.
	connectTime = 5 * time.Second
	// maxHops is how many HTTP redirects are followed (error 11215).
	maxHops = 10
)

// Numbers of the errors of webhooks.
const (
	hookFailed      = 11200
	hookUnreachable = 11205
	hookRedirects   = 11215
	hookDocument    = 12100
	hookContentType = 12300
	noDetectURL     = 21262
)

// A hookError is why a webhook gave nothing to go on with.
type hookError struct {
	code int
	err  error
}

func (e *hookError) Error() string { return fmt.Sprintf("sim: webhook: %d: %v", e.code, e.err) }
func (e *hookError) Unwrap() error { return e.err }

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

// fetch asks the application what to do with a call: its voice URL, and if that
// fails its fallback URL.
func (t *twilio) fetch(ctx context.Context, c *call, ins instruction) ([]verb, error) {
	if ins.url == "" {
		return t.parse([]byte(ins.document), nil)
	}
	c.mu.Lock()
	status, who := c.status, c.answeredBy
	c.mu.Unlock()
	params := t.base(c, status)
	if who != "" {
		params.Set("AnsweredBy", who)
		params.Set("MachineDetectionDuration", millis(detectionTime(who)))
	}
	for k, v := range ins.more {
		params[k] = v
	}
	verbs, err := t.ask(ctx, c, ins.method, ins.url, params)
	var problem *hookError
	if !errors.As(err, &problem) || ctx.Err() != nil {
		return verbs, err
	}
	t.carrier.warn(problem.code, "voice URL gave no instructions", "call", c.sid, "error", problem.err)
	if ins.fallback == "" {
		return nil, err
	}
	params.Set("ErrorCode", strconv.Itoa(problem.code))
	params.Set("ErrorUrl", ins.url)
	return t.ask(ctx, c, ins.fallbackMethod, ins.fallback, params)
}

func (t *twilio) ask(ctx context.Context, c *call, method, address string, params url.Values) ([]verb, error) {
	body, from, err := t.request(ctx, c, method, address, params, newToken())
	if err != nil {
		return nil, err
	}
	verbs, err := t.parse(body, from)
	if err != nil {
		return nil, &hookError{hookDocument, err}
	}
	return verbs, nil
}

// newToken returns an idempotency token in the form of a random UUID (RFC 9562).
func newToken() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// deliver sends a hook. What the reply says is of no interest.
func (t *twilio) deliver(ctx context.Context, c *call, h hook) {
	_, _, err := t.request(ctx, c, h.method, h.url, h.params, h.token)
	var problem *hookError
	if errors.As(err, &problem) && problem.code != hookContentType && !errors.Is(ctx.Err(), context.Canceled) {
		t.carrier.warn(problem.code, "webhook failed", "call", c.sid, "error", problem.err)
	}
}

// An override is what the fragment of a webhook's URL changes.
type override struct {
	connect, read, total time.Duration
	retries              int
	policy               []string
}

// overrides takes the fragment off a URL and reads it (Twilio's "Webhooks:
// Connection Overrides"). What is out of bounds is as if it were not there.
func overrides(address string) (string, override) {
	o := override{connect: connectTime, read: webhookTime, total: webhookTime, retries: 1, policy: []string{"ct"}}
	address, fragment, _ := strings.Cut(address, "#")
	q, err := url.ParseQuery(fragment)
	if err != nil {
		return address, o
	}
	duration := func(key string, most int, d *time.Duration) {
		if n, err := strconv.Atoi(q.Get(key)); err == nil && n >= 100 && n <= most {
			*d = time.Duration(n) * time.Millisecond
		}
	}
	duration("ct", 10000, &o.connect)
	duration("rt", 15000, &o.read)
	duration("tt", 15000, &o.total)
	if n, err := strconv.Atoi(q.Get("rc")); err == nil && n >= 0 && n <= 5 {
		o.retries = n
	}
	if q.Has("rp") {
		o.policy = strings.Split(q.Get("rp"), ",")
	}
	return address, o
}

// retry reports whether a failure of this kind is tried again.
func (o *override) retry(kind string) bool {
	return kind != "" && (slices.Contains(o.policy, kind) || slices.Contains(o.policy, "all"))
}

// request sends one signed webhook, with the retries that its URL asks for, and
// returns the body of the reply and where it came from. Its error is a
// *hookError.
func (t *twilio) request(ctx context.Context, c *call, method, address string, params url.Values, token string) ([]byte, *url.URL, error) {
	address, o := overrides(address)
	ctx, cancel := context.WithTimeout(ctx, o.total)
	defer cancel()
	for try := 0; ; try++ {
		body, from, kind, err := t.follow(ctx, c, o, method, address, params, token)
		if err == nil {
			return body, from, nil
		}
		if ctx.Err() != nil || try >= o.retries || !o.retry(kind) {
			return nil, nil, err
		}
	}
}

// follow sends one request and follows redirects. The kind of an error is in the
// words of the retry policy; empty if there is none for it.
func (t *twilio) follow(ctx context.Context, c *call, o override, method, address string, params url.Values, token string) (body []byte, from *url.URL, kind string, err error) {
	for range maxHops + 1 {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, nil, "", &hookError{hookFailed, fmt.Errorf("not the URL of a webhook: %q", address)}
		}
		r, err := t.send(ctx, c, o, method, u, params, token)
		if err != nil {
			return nil, nil, failureKind(err), &hookError{hookUnreachable, err}
		}
		to := r.header.Get("Location")
		switch {
		case r.status >= 300 && r.status < 400 && to != "":
			next, err := u.Parse(to)
			if err != nil {
				return nil, nil, "", &hookError{hookFailed, err}
			}
			address = next.String()
			if r.status != http.StatusTemporaryRedirect && r.status != http.StatusPermanentRedirect {
				method = http.MethodGet
			}
			continue
		case r.status >= 500:
			return nil, nil, "5xx", &hookError{hookFailed, fmt.Errorf("HTTP %d", r.status)}
		case r.status/100 != 2:
			return nil, nil, "4xx", &hookError{hookFailed, fmt.Errorf("HTTP %d", r.status)}
		}
		media, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
		if media != "text/xml" && media != "application/xml" && media != "text/html" {
			return nil, nil, "", &hookError{hookContentType, fmt.Errorf("content type is %q", media)}
		}
		return r.body, u, "", nil
	}
	return nil, nil, "", &hookError{hookRedirects, errors.New("too many redirects")}
}

// failureKind is the retry policy's word for a request that got no reply.
func failureKind(err error) string {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return "ct"
	case errors.Is(err, context.DeadlineExceeded):
		return "rt"
	}
	return ""
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

// send sends one request. The connect timeout is in the transport's dialer; here
// it only makes the whole of a try longer.
func (t *twilio) send(ctx context.Context, c *call, o override, method string, u *url.URL, params url.Values, token string) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, o.connect+o.read)
	defer cancel()
	var body io.Reader
	if method == http.MethodGet {
		u, params = withQuery(u, params), nil
	} else {
		body = strings.NewReader(params.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	}
	req.Header.Set("Accept", "*/*")
	req.Header.Set("User-Agent", "TwilioProxy/1.1")
	req.Header.Set("I-Twilio-Idempotency-Token", token)
	req.Header.Set("X-Twilio-Signature", sign(t.carrier.AuthToken(), signedURL(u), params))
	client := &http.Client{
		Transport:     t.carrier.transport,
		Jar:           c.jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	r := &reply{status: resp.StatusCode, header: resp.Header}
	// One byte more than is allowed, for the parser to see that it is too much.
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	return r, err
}

// withQuery returns u with params added to its query.
func withQuery(u *url.URL, params url.Values) *url.URL {
	if len(params) == 0 {
		return u
	}
	with := *u
	if with.RawQuery != "" {
		with.RawQuery += "&"
	}
	with.RawQuery += params.Encode()
	return &with
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
	}
	c.post.push(hook{method: o.statusMethod, url: o.statusURL, params: p, token: newToken(), status: true, final: s.Final()})
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
func (t *twilio) streamed(s *stream, event string, problem error) {
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
