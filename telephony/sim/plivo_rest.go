package sim

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

const (
	defaultRinging = 120 * time.Second
	maxTargets     = 1000 // of one request
	plivoPage      = 20   // records of one page, at most
)

// Refusals have no numbers at Plivo.
var (
	plivoUnknown  = &apiError{status: http.StatusNotFound} // its body is {}
	plivoNoCall   = &apiError{status: http.StatusNotFound, message: "call not found"}
	plivoNoMethod = &apiError{status: http.StatusMethodNotAllowed, message: "method not allowed"}
)

func plivoRefuse(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

// ServeHTTP serves the resources of calls and of requests for calls.
func (t *plivo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !t.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Login Required"`)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "Could not verify your access level for that URL.\nYou have to login with proper credentials")
		return
	}
	if problem := t.serve(w, r); problem != nil {
		t.refuse(w, problem)
	}
}

func (t *plivo) refuse(w http.ResponseWriter, problem *apiError) {
	if problem.message == "" {
		writeJSON(w, problem.status, struct{}{})
		return
	}
	writeJSON(w, problem.status, t.reply(map[string]any{"error": problem.message}))
}

func (*plivo) creates(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Call/")
}

func (t *plivo) authorized(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && user == t.carrier.config.AccountSID &&
		subtle.ConstantTimeCompare([]byte(password), []byte(t.carrier.AuthToken())) == 1
}

// reply adds the id of the request to a reply.
func (t *plivo) reply(v map[string]any) map[string]any {
	v["api_id"] = newToken()
	return v
}

func (t *plivo) serve(w http.ResponseWriter, r *http.Request) *apiError {
	path, ours := strings.CutPrefix(r.URL.Path, "/v1/Account/"+t.carrier.config.AccountSID+"/")
	path, slash := strings.CutSuffix(path, "/")
	if file, ok := strings.CutPrefix(path, "Recording/"); ok && ours && !slash {
		return t.media(w, r, file)
	}
	if !ours || !slash {
		return plivoUnknown
	}
	params, err := readParams(w, r)
	if err != nil {
		return plivoRefuse("the request could not be read: %v", err)
	}
	parts := strings.Split(path, "/")
	switch {
	case parts[0] == "Request" && len(parts) == 2:
		return t.cancel(w, r, parts[1])
	case parts[0] == "Recording" && len(parts) < 3:
		return t.recordings(w, r, strings.Join(parts[1:], ""))
	case parts[0] != "Call" || len(parts) > 3:
		return plivoUnknown
	case len(parts) == 1:
		switch r.Method {
		case http.MethodPost:
			return t.carrier.create(w, r, func() (map[string]any, *apiError) { return t.place(params) })
		case http.MethodGet:
			return t.list(w, r)
		}
		return plivoNoMethod
	}
	c := t.carrier.call(parts[1])
	if c == nil {
		return plivoNoCall
	}
	switch {
	case len(parts) == 3 && parts[2] == "DTMF" && r.Method == http.MethodPost:
		return t.press(w, c, params)
	case len(parts) == 3 && parts[2] == "Record":
		return t.record(w, r, c, params)
	case len(parts) == 3:
		return plivoUnknown
	case r.Method == http.MethodGet:
		return t.show(w, r, c)
	case r.Method == http.MethodPost:
		return t.transfer(w, c, params)
	case r.Method == http.MethodDelete:
		return t.hangup(w, c)
	}
	return plivoNoMethod
}

// readParams reads the body of a request: a JSON object of strings, numbers and
// truth values, or a form.
func readParams(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		err := r.ParseForm()
		return r.PostForm, err
	}
	var object map[string]any
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	if err := d.Decode(&object); err != nil && err != io.EOF {
		return nil, err
	}
	params := make(url.Values, len(object))
	for name, v := range object {
		switch v.(type) {
		case string, json.Number, bool:
			params.Set(name, fmt.Sprint(v))
		case nil:
		default:
			return nil, fmt.Errorf("%.40q is no plain value", name)
		}
	}
	return params, nil
}

// place reads a request for calls and places them: one for each number, which
// are separated by <.
func (t *plivo) place(params url.Values) (map[string]any, *apiError) {
	o, problem := readPlivoOrder(params)
	if problem != nil {
		return nil, problem
	}
	targets := strings.Split(params.Get("to"), "<")
	from := fullNumber(params.Get("from"))
	switch owned := t.carrier.config.CallerIDs; {
	case params.Get("to") == "":
		return nil, plivoRefuse("to parameter is required")
	case len(targets) > maxTargets:
		return nil, plivoRefuse("to parameter has more than %d numbers", maxTargets)
	case params.Get("from") == "":
		return nil, plivoRefuse("from parameter is required")
	case !reachable(from):
		return nil, plivoRefuse("from parameter is invalid.")
	case owned != nil && !slices.Contains(owned, from):
		return nil, plivoRefuse("from number is not associated with your account")
	}
	for i, to := range targets {
		if targets[i] = fullNumber(to); !reachable(targets[i]) {
			return nil, plivoRefuse("to parameter is not a valid phone number")
		}
	}
	var ids []string
	for _, to := range targets {
		c := &call{
			sid: newToken(), requestID: newToken(),
			from: from, to: to,
			direction: telephony.Outbound,
			status:    telephony.StatusQueued,
			order:     o,
		}
		if t.carrier.config.Quirks.SameUUID {
			c.requestID = c.sid
		}
		err := t.carrier.add(c)
		if err == nil {
			err = t.carrier.launch(c)
		}
		if err != nil {
			return nil, crowded(err)
		}
		ids = append(ids, c.requestID)
	}
	if len(ids) > 1 {
		return t.reply(map[string]any{"message": "calls fired", "request_uuid": ids}), nil
	}
	return t.reply(map[string]any{"message": "call fired", "request_uuid": ids[0]}), nil
}

// readPlivoOrder reads what shall become of a call.
func readPlivoOrder(params url.Values) (order, *apiError) {
	digits, _, _ := strings.Cut(params.Get("send_digits"), "@") // how long a tone is
	o := order{
		instruction: instruction{url: params.Get("answer_url"), fallback: params.Get("fallback_url")},
		statusURL:   params.Get("hangup_url"),
		ringURL:     params.Get("ring_url"),
		callerName:  params.Get("caller_name"),
		digits:      digits,
		detectURL:   params.Get("machine_detection_url"),
	}
	if o.url == "" {
		return o, plivoRefuse("answer_url parameter is required")
	}
	for _, name := range []string{"answer_url", "fallback_url", "hangup_url", "ring_url", "machine_detection_url"} {
		if s := params.Get(name); s != "" && !isWebURL(s) {
			return o, plivoRefuse("%s parameter is not a valid URL", name)
		}
	}
	if !validDigits(o.digits) {
		return o, plivoRefuse("send_digits parameter is invalid.")
	}
	switch s := params.Get("machine_detection"); s {
	case "", "false":
	case "true", "hangup":
		o.detect, o.detectHangup = true, s == "hangup"
		o.detectAsync = o.detectURL != ""
	default:
		return o, plivoRefuse("machine_detection parameter is invalid.")
	}
	var errs []error
	method := func(name string) string {
		m, err := methodOf(params.Get(name))
		errs = append(errs, err)
		return m
	}
	o.method, o.fallbackMethod = method("answer_method"), method("fallback_method")
	o.statusMethod, o.ringMethod = method("hangup_method"), method("ring_method")
	o.detectMethod = method("machine_detection_method")
	var late, long error
	o.timeout, late = seconds(params.Get("ring_timeout"), defaultRinging, time.Second, 600*time.Second)
	o.limit, long = seconds(params.Get("time_limit"), defaultLimit, time.Second, 24*time.Hour)
	if err := errors.Join(append(errs, late, long)...); err != nil {
		return o, plivoRefuse("%v", err)
	}
	return o, nil
}

// Calls are queued, then live, then records.
func (i *CallInfo) isQueued() bool {
	return i.Status == telephony.StatusQueued || i.Status == telephony.StatusInitiated
}

func (i *CallInfo) isLive() bool {
	return i.Status == telephony.StatusRinging || i.Status == telephony.StatusInProgress
}

// cancel takes a call out of the queue.
func (t *plivo) cancel(w http.ResponseWriter, r *http.Request, id string) *apiError {
	if r.Method != http.MethodDelete {
		return plivoNoMethod
	}
	t.carrier.mu.Lock()
	c := t.carrier.byRequest[id]
	t.carrier.mu.Unlock()
	if c == nil {
		return plivoUnknown
	}
	if i := c.info(); !i.isQueued() {
		return plivoUnknown
	}
	return t.stop(w, c)
}

func (t *plivo) hangup(w http.ResponseWriter, c *call) *apiError {
	if i := c.info(); !i.isLive() {
		return plivoNoCall
	}
	return t.stop(w, c)
}

func (t *plivo) stop(w http.ResponseWriter, c *call) *apiError {
	c.end(ending{by: c.application(), status: telephony.StatusCanceled, sip: 487, how: onRequest})
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// legsOf returns the calls that a request is about: the call itself, the one that
// it is connected to by a Dial, or both.
func legsOf(c *call, params url.Values) ([]*call, *apiError) {
	c.mu.Lock()
	other := c.leg
	c.mu.Unlock()
	if c.parent != nil {
		c.parent.mu.Lock()
		if c.parent.leg == c {
			other = c.parent
		}
		c.parent.mu.Unlock()
	}
	legs := []*call{c}
	switch params.Get("legs") {
	case "", "aleg":
	case "bleg":
		legs = []*call{other}
	case "both":
		legs = append(legs, other)
	default:
		return nil, plivoRefuse("legs parameter is invalid.")
	}
	for _, l := range legs {
		if l == nil {
			return nil, plivoNoCall
		}
		if i := l.info(); i.Status != telephony.StatusInProgress {
			return nil, plivoNoCall
		}
	}
	return legs, nil
}

// transfer redirects the legs that it is asked for. The other of two goes on
// after its Dial.
func (t *plivo) transfer(w http.ResponseWriter, c *call, params url.Values) *apiError {
	legs, problem := legsOf(c, params)
	if problem != nil {
		return problem
	}
	moves := make([]instruction, len(legs))
	ids := make([]string, len(legs))
	for i, leg := range legs {
		name := "bleg"
		if leg == c {
			name = "aleg"
		}
		method, err := methodOf(params.Get(name + "_method"))
		address := params.Get(name + "_url")
		switch {
		case !isWebURL(address):
			return plivoRefuse("%s_url parameter is not a valid URL", name)
		case err != nil:
			return plivoRefuse("%s_method parameter is invalid.", name)
		}
		moves[i], ids[i] = instruction{url: address, method: method}, leg.sid
	}
	for i, leg := range legs {
		if !leg.redirect(moves[i]) {
			return plivoNoCall
		}
	}
	writeJSON(w, http.StatusAccepted, t.reply(map[string]any{
		"message":    "call transfered", //nolint:misspell // as Plivo has it
		"call_uuids": ids,
	}))
	return nil
}

func (t *plivo) press(w http.ResponseWriter, c *call, params url.Values) *apiError {
	legs, problem := legsOf(c, params)
	if problem != nil {
		return problem
	}
	digits := params.Get("digits")
	if digits == "" || !validDigits(digits) {
		return plivoRefuse("digits parameter is invalid.")
	}
	for _, leg := range legs {
		talk := leg.talking()
		talk.addKeys(keysOf(digits))
		talk.ear.play(time.Now(), dialTones(digits))
	}
	writeJSON(w, http.StatusAccepted, t.reply(map[string]any{"message": "digits sent"}))
	return nil
}

// show shows a call in the view that is asked for.
func (t *plivo) show(w http.ResponseWriter, r *http.Request, c *call) *apiError {
	i := c.info()
	var view map[string]any
	switch status := r.URL.Query().Get("status"); {
	case status == "queued" && i.isQueued():
		view = t.pending(c, i)
	case status == "live" && i.isLive():
		view = t.pending(c, i)
		view["session_start"] = plivoTime(i.Created)
		view["stir_verification"] = "Verified"
	case status == "" && !i.Ended.IsZero():
		view = t.detail(c, i)
	default:
		return plivoNoCall
	}
	writeJSON(w, http.StatusOK, t.reply(view))
	return nil
}

// pending is a call that is not over.
func (t *plivo) pending(c *call, i CallInfo) map[string]any {
	v := map[string]any{
		"call_status": plivoStatus(i.Status),
		"call_uuid":   c.sid,
		"caller_name": c.from,
		"direction":   c.direction.String(),
		"from":        plainNumber(c.from),
		"to":          plainNumber(c.to),
	}
	if c.requestID != "" {
		v["request_uuid"] = c.requestID
	}
	return v
}

// detail is the detail record of a call that is over.
func (t *plivo) detail(c *call, i CallInfo) map[string]any {
	why := t.cause(c)
	state := strings.ToUpper(why.status)
	if !i.Answered.IsZero() {
		state = "ANSWER"
	}
	date := func(at time.Time) any {
		if at.IsZero() {
			return nil
		}
		return at.UTC().Format("2006-01-02 15:04:05+00:00")
	}
	return map[string]any{
		"answer_time":       date(i.Answered),
		"bill_duration":     ceil(i.talked(), time.Second),
		"billed_duration":   60 * ceil(i.talked(), time.Minute),
		"call_direction":    c.direction.String(),
		"call_duration":     ceil(i.talked(), time.Second),
		"call_state":        state,
		"call_uuid":         c.sid,
		"end_time":          date(i.Ended),
		"from_number":       c.from,
		"hangup_cause_code": why.code,
		"hangup_cause_name": why.name,
		"hangup_source":     why.source,
		"initiation_time":   date(i.Created),
		"parent_call_uuid":  nil,
		"resource_uri":      "/v1/Account/" + t.carrier.config.AccountSID + "/Call/" + c.sid + "/",
		"stir_verification": "Verified",
		"to_number":         plainNumber(c.to),
		"total_amount":      "0.00000",
		"total_rate":        "0.00550",
	}
}

// list lists the ids of queued or of live calls, or the records of those that
// are over, newest first.
func (t *plivo) list(w http.ResponseWriter, r *http.Request) *apiError {
	q := r.URL.Query()
	match, err := recordFilter(q)
	if err != nil {
		return plivoRefuse("%v", err)
	}
	t.carrier.mu.Lock()
	calls := slices.Clone(t.carrier.calls)
	t.carrier.mu.Unlock()
	status := q.Get("status")
	var found []*call
	for _, c := range slices.Backward(calls) {
		i := c.info()
		fits := map[string]bool{"": !i.Ended.IsZero(), "queued": i.isQueued(), "live": i.isLive()}[status]
		if c.parent == nil && fits && match(i) {
			found = append(found, c)
		}
	}
	if status != "" {
		ids := make([]string, len(found))
		for i, c := range found {
			ids[i] = c.sid
		}
		writeJSON(w, http.StatusOK, t.reply(map[string]any{"calls": ids}))
		return nil
	}
	return t.page(w, r, len(found), func(i int) any { return t.detail(found[i], found[i].info()) })
}

// page writes one page of a list of so many objects.
func (t *plivo) page(w http.ResponseWriter, r *http.Request, count int, object func(i int) any) *apiError {
	q := r.URL.Query()
	limit, offset := plivoPage, 0
	for name, n := range map[string]*int{"limit": &limit, "offset": &offset} {
		if s := q.Get(name); s != "" {
			v, err := strconv.Atoi(s)
			if err != nil || v < 0 {
				return plivoRefuse("%s parameter is invalid.", name)
			}
			*n = v
		}
	}
	limit = min(max(1, limit), plivoPage)
	at := func(offset int) any {
		if offset < 0 || offset >= count {
			return nil
		}
		q.Set("limit", strconv.Itoa(limit))
		q.Set("offset", strconv.Itoa(offset))
		return r.URL.Path + "?" + q.Encode()
	}
	objects := []any{}
	for i := min(offset, count); i < min(offset+limit, count); i++ {
		objects = append(objects, object(i))
	}
	writeJSON(w, http.StatusOK, t.reply(map[string]any{
		"meta": map[string]any{
			"limit": limit, "offset": offset, "total_count": count,
			"next": at(offset + limit), "previous": at(offset - limit),
		},
		"objects": objects,
	}))
	return nil
}

// recordFilter reads the filters of a list.
func recordFilter(q url.Values) (func(CallInfo) bool, error) {
	var tests []func(CallInfo) bool
	equal := func(name string, field func(CallInfo) string) {
		if want := plainNumber(q.Get(name)); want != "" {
			tests = append(tests, func(i CallInfo) bool { return plainNumber(field(i)) == want })
		}
	}
	equal("from_number", func(i CallInfo) string { return string(i.From) })
	equal("to_number", func(i CallInfo) string { return string(i.To) })
	equal("call_direction", func(i CallInfo) string { return i.Direction.String() })
	compare := map[string]func(end, at time.Time) bool{
		"end_time__gt":  func(end, at time.Time) bool { return end.After(at) },
		"end_time__gte": func(end, at time.Time) bool { return !end.Before(at) },
		"end_time__lt":  func(end, at time.Time) bool { return end.Before(at) },
		"end_time__lte": func(end, at time.Time) bool { return !end.After(at) },
	}
	for name, fits := range compare {
		s := q.Get(name)
		if s == "" {
			continue
		}
		at, err := plivoMoment(s)
		if err != nil {
			return nil, fmt.Errorf("%s parameter is invalid", name)
		}
		tests = append(tests, func(i CallInfo) bool { return fits(i.Ended, at) })
	}
	return func(i CallInfo) bool {
		for _, test := range tests {
			if !test(i) {
				return false
			}
		}
		return true
	}, nil
}

// plivoMoment reads a time, of which the seconds and what follows may be left
// out.
func plivoMoment(s string) (time.Time, error) {
	if at, err := time.Parse("2006-01-02 15:04", s); err == nil {
		return at, nil
	}
	return time.Parse(time.DateTime, s) // which takes fractions, too
}
