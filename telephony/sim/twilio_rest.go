package sim

import (
	"crypto/subtle"
	"errors"
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

const (
	defaultLimit    = 4 * time.Hour // of a call
	maxTwiml        = 4000          // characters of the Twiml parameter
	defaultPage     = 50
	maxPage         = 1000
	errUnknown      = 20404
	errParam        = 20001
	errTo           = 21211
	errFrom         = 21212
	errNoTo         = 21201
	errNoURL        = 21205
	errNoFrom       = 21213
	errNotOwned     = 21210
	errState        = 21220
	errAuthenticate = 20003
)

func refuse(code int, format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func (*twilio) refuse(w http.ResponseWriter, e *apiError) {
	writeJSON(w, e.status, map[string]any{
		"code":      e.code,
		"message":   e.message,
		"more_info": "https://www.twilio.com/docs/errors/" + strconv.Itoa(e.code),
		"status":    e.status,
	})
}

func (*twilio) creates(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Calls.json")
}

// ServeHTTP serves the resources of calls, recordings and conferences.
func (t *twilio) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if problem := t.serve(w, r); problem != nil {
		t.refuse(w, problem)
	}
}

func (t *twilio) serve(w http.ResponseWriter, r *http.Request) *apiError {
	if !t.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
		return &apiError{http.StatusUnauthorized, errAuthenticate, "Authenticate"}
	}
	unknown := &apiError{http.StatusNotFound, errUnknown, "The requested resource " + r.URL.Path + " was not found"}
	path, ok := strings.CutPrefix(r.URL.Path, "/"+apiVersion+"/Accounts/"+t.carrier.config.AccountSID+"/")
	if !ok {
		return unknown
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return refuse(errParam, "The request could not be read: %v", err)
	}
	parts := strings.Split(strings.TrimSuffix(path, ".json"), "/")
	switch what := parts[0]; {
	case what == "Calls" && len(parts) == 1:
		return t.calls(w, r)
	case what == "Calls":
		c := t.carrier.call(parts[1])
		if c == nil || c.isDeleted() {
			return unknown
		}
		if len(parts) == 2 {
			return t.call(w, r, c, unknown)
		}
		if parts[2] == "Recordings" && len(parts) < 5 {
			return t.callRecordings(w, r, c, parts[3:], unknown)
		}
	case what == "Conferences":
		return t.conferences(w, r, parts[1:], unknown)
	case what == "Recordings" && len(parts) < 3:
		return t.recordings(w, r, strings.TrimPrefix(path, what), unknown)
	}
	return unknown
}

// calls serves the list of calls, and takes new ones.
func (t *twilio) calls(w http.ResponseWriter, r *http.Request) *apiError {
	switch r.Method {
	case http.MethodPost:
		return t.carrier.create(w, r, func() (map[string]any, *apiError) { return t.place(r) })
	case http.MethodGet:
		return t.list(w, r)
	}
	return notAllowed
}

// call serves one call.
func (t *twilio) call(w http.ResponseWriter, r *http.Request, c *call, unknown *apiError) *apiError {
	switch r.Method {
	case http.MethodGet:
		writeJSON(w, http.StatusOK, t.resource(c))
		return nil
	case http.MethodPost:
		return t.update(w, r, c, unknown)
	case http.MethodDelete:
		return t.delete(w, c)
	}
	return notAllowed
}

var notAllowed = &apiError{http.StatusMethodNotAllowed, 20004, "Method not allowed"}

func (t *twilio) authorized(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	if !ok {
		return false
	}
	want := string(t.carrier.config.Keys[user])
	if user == t.carrier.config.AccountSID {
		want = t.carrier.AuthToken()
	}
	return want != "" && subtle.ConstantTimeCompare([]byte(password), []byte(want)) == 1
}

// place reads the form of a call, places it and returns its resource as it was
// before anything happened to it.
func (t *twilio) place(r *http.Request) (map[string]any, *apiError) {
	form := r.PostForm
	c := &call{
		from:      form.Get("From"),
		to:        form.Get("To"),
		direction: telephony.Outbound,
		status:    telephony.StatusQueued,
	}
	var problem *apiError
	if problem = t.checkParties(c); problem != nil {
		return nil, problem
	}
	if c.order, problem = readOrder(form); problem != nil {
		return nil, problem
	}
	if form.Get("Record") == "true" {
		o, problem := readRecordOrder(r, "OutboundAPI")
		if problem != nil {
			return nil, problem
		}
		c.order.record = &o
	}
	if err := t.carrier.add(c); err != nil {
		return nil, crowded(err)
	}
	queued := t.resource(c)
	if err := t.carrier.launch(c); err != nil {
		return nil, crowded(err)
	}
	return queued, nil
}

func (t *twilio) checkParties(c *call) *apiError {
	switch owned := t.carrier.config.CallerIDs; {
	case c.to == "":
		return refuse(errNoTo, "No 'To' number is specified")
	case c.from == "":
		return refuse(errNoFrom, "'From' phone number is required")
	case !reachable(c.to):
		return refuse(errTo, "The phone number you are attempting to call, %.40q, is not valid.", c.to)
	case !reachable(c.from):
		return refuse(errFrom, "Invalid 'From' Phone Number")
	case owned != nil && !slices.Contains(owned, c.from):
		return refuse(errNotOwned, "The source phone number provided is not yet verified for your account.")
	}
	return nil
}

// reachable reports whether s is a number, a SIP address or a client.
func reachable(s string) bool {
	for _, scheme := range []string{"sip:", "client:"} {
		if rest, ok := strings.CutPrefix(s, scheme); ok {
			return rest != ""
		}
	}
	return telephony.Number(s).Valid()
}

// readOrder reads what shall become of a call.
func readOrder(form url.Values) (order, *apiError) {
	o := order{
		statusURL:    form.Get("StatusCallback"),
		statusEvents: statusEvents(strings.Fields(strings.Join(form["StatusCallbackEvent"], " "))),
		digits:       form.Get("SendDigits"),
		detectURL:    form.Get("AsyncAmdStatusCallback"),
		detectAsync:  form.Get("AsyncAmd") == "true",
	}
	var problem *apiError
	if o.instruction, problem = readInstruction(form); problem != nil {
		return o, problem
	}
	if o.url == "" && o.document == "" {
		return o, refuse(errNoURL, "Url parameter is required")
	}
	for _, name := range []string{"StatusCallback", "AsyncAmdStatusCallback"} {
		if s := form.Get(name); s != "" && !isWebURL(s) {
			return o, refuse(errParam, "%s is not a valid URL", name)
		}
	}
	if !validDigits(o.digits) {
		return o, refuse(errParam, "SendDigits is not valid")
	}
	switch s := form.Get("MachineDetection"); s {
	case "":
	case "Enable", "DetectMessageEnd":
		o.detect, o.detectEnd = true, s == "DetectMessageEnd"
	default:
		return o, refuse(errParam, "MachineDetection is not valid")
	}
	var errs [4]error
	o.timeout, errs[0] = seconds(form.Get("Timeout"), time.Minute, time.Second, 600*time.Second)
	o.limit, errs[1] = seconds(form.Get("TimeLimit"), defaultLimit, time.Second, 24*time.Hour)
	o.statusMethod, errs[2] = methodOf(form.Get("StatusCallbackMethod"))
	o.detectMethod, errs[3] = methodOf(form.Get("AsyncAmdStatusCallbackMethod"))
	if err := errors.Join(errs[:]...); err != nil {
		return o, refuse(errParam, "%v", err)
	}
	o.timeout += ringBuffer
	return o, nil
}

// readInstruction reads where a call's instructions are. It is empty if the form
// has none.
func readInstruction(form url.Values) (instruction, *apiError) {
	ins := instruction{url: form.Get("Url"), fallback: form.Get("FallbackUrl")}
	var err error
	if ins.method, err = methodOf(form.Get("Method")); err != nil {
		return ins, refuse(errParam, "Method is not valid")
	}
	if ins.fallbackMethod, err = methodOf(form.Get("FallbackMethod")); err != nil {
		return ins, refuse(errParam, "FallbackMethod is not valid")
	}
	if ins.url != "" && !isWebURL(ins.url) {
		return ins, refuse(errNoURL, "Url is not a valid URL")
	}
	if ins.fallback != "" && !isWebURL(ins.fallback) {
		return ins, refuse(errNoURL, "FallbackUrl is not a valid URL")
	}
	if ins.url == "" {
		ins.document = form.Get("Twiml")
		if len(ins.document) > maxTwiml {
			return ins, refuse(errParam, "Twiml is longer than %d characters", maxTwiml)
		}
	}
	return ins, nil
}

// update changes a live call.
func (t *twilio) update(w http.ResponseWriter, r *http.Request, c *call, unknown *apiError) *apiError {
	form := r.PostForm
	ins, problem := readInstruction(form)
	if problem != nil {
		return problem
	}
	info := c.info()
	switch s := form.Get("Status"); s {
	case "":
	case "completed", "canceled":
		switch answered := !info.Answered.IsZero(); {
		case info.Status.Final():
			return unknown
		case answered && s == "canceled": // has no effect
		case answered:
			c.end(ending{by: c.application(), how: onRequest})
		default:
			c.end(ending{by: c.application(), status: telephony.StatusCanceled, sip: 487, how: onRequest})
		}
		writeJSON(w, http.StatusOK, t.resource(c))
		return nil
	default:
		return refuse(errParam, "Status %.20q is not valid", s)
	}
	if info.Status.Final() {
		return refuse(errState, "Call is not in-progress. Cannot redirect.")
	}
	if problem := c.change(form); problem != nil {
		return problem
	}
	if ins.url != "" || ins.document != "" {
		if !c.redirect(ins) {
			return refuse(errState, "Call is not in-progress. Cannot redirect.")
		}
	}
	writeJSON(w, http.StatusOK, t.resource(c))
	return nil
}

// change changes what was agreed for a live call.
func (c *call) change(form url.Values) *apiError {
	if s := form.Get("StatusCallback"); s != "" {
		method, err := methodOf(form.Get("StatusCallbackMethod"))
		if err != nil || !isWebURL(s) {
			return refuse(errParam, "StatusCallback is not valid")
		}
		c.mu.Lock()
		c.order.statusURL, c.order.statusMethod = s, method
		c.mu.Unlock()
	}
	if s := form.Get("TimeLimit"); s != "" {
		limit, err := seconds(s, 0, time.Second, 24*time.Hour)
		if err != nil {
			return refuse(errParam, "%v", err)
		}
		c.mu.Lock()
		c.order.limit = limit
		if c.limit != nil {
			c.limit.Reset(time.Until(c.answered.Add(limit)))
		}
		c.mu.Unlock()
	}
	return nil
}

// delete removes the record of a call that is over.
func (t *twilio) delete(w http.ResponseWriter, c *call) *apiError {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		return refuse(errState, "Call is still in progress.")
	}
	c.deleted = true
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *call) isDeleted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deleted
}

// resource is the JSON of a call: strings and nulls, as Twilio has it.
func (t *twilio) resource(c *call) map[string]any {
	i := c.info()
	c.mu.Lock()
	who := c.answeredBy
	c.mu.Unlock()
	account := "/" + apiVersion + "/Accounts/" + t.carrier.config.AccountSID
	uri := account + "/Calls/" + c.sid
	orNull := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	date := func(at time.Time) any {
		if at.IsZero() {
			return nil
		}
		return mailTime(at)
	}
	updated := i.Created
	for _, at := range []time.Time{i.Started, i.Answered, i.Ended} {
		if !at.IsZero() {
			updated = at
		}
	}
	status, duration, queue := i.Status, any(nil), time.Duration(0)
	if status == telephony.StatusInitiated {
		status = telephony.StatusQueued // a word of callbacks only
	}
	if !i.Ended.IsZero() {
		duration = strconv.Itoa(ceil(i.talked(), time.Second))
	}
	if !i.Started.IsZero() {
		queue = i.Started.Sub(i.Created)
	}
	more := make(map[string]string)
	more["user_defined_messages"] = uri + "/UserDefinedMessages.json"
	more["user_defined_message_subscriptions"] = uri + "/UserDefinedMessageSubscriptions.json"
	for _, name := range []string{"Events", "Notifications", "Payments", "Recordings", "Siprec", "Streams", "Transcriptions"} {
		more[strings.ToLower(name)] = uri + "/" + name + ".json"
	}
	return map[string]any{
		"sid":              c.sid,
		"account_sid":      t.carrier.config.AccountSID,
		"api_version":      apiVersion,
		"answered_by":      orNull(who),
		"caller_name":      nil,
		"date_created":     date(i.Created),
		"date_updated":     date(updated),
		"start_time":       date(i.Started),
		"end_time":         date(i.Ended),
		"direction":        directionWord(c),
		"duration":         duration,
		"forwarded_from":   nil,
		"from":             c.from,
		"from_formatted":   formatted(c.from),
		"to":               c.to,
		"to_formatted":     formatted(c.to),
		"group_sid":        nil,
		"parent_call_sid":  orNull(i.ParentSID),
		"phone_number_sid": nil,
		"price":            nil, // which takes Twilio a while, too
		"price_unit":       "USD",
		"queue_time":       millis(queue),
		"status":           statusWord(status),
		"trunk_sid":        nil,
		"uri":              uri + ".json",
		"subresource_uris": more,
	}
}

// formatted writes a North American number as people do there.
func formatted(number string) string {
	if len(number) != 12 || !strings.HasPrefix(number, "+1") {
		return number
	}
	return "(" + number[2:5] + ") " + number[5:8] + "-" + number[8:]
}

// list lists calls, newest first.
func (t *twilio) list(w http.ResponseWriter, r *http.Request) *apiError {
	q := r.Form
	size, page := defaultPage, 0
	for name, n := range map[string]*int{"PageSize": &size, "Page": &page} {
		if s := q.Get(name); s != "" {
			v, err := strconv.Atoi(s)
			if err != nil || v < 0 || v > 1<<20 {
				return refuse(errParam, "%s is not valid", name)
			}
			*n = v
		}
	}
	size = min(max(1, size), maxPage)
	match, problem := callFilter(q)
	if problem != nil {
		return problem
	}
	t.carrier.mu.Lock()
	calls := slices.Clone(t.carrier.calls)
	t.carrier.mu.Unlock()
	first, seen := page*size, 0
	found := []any{}
	more := false
	for _, c := range slices.Backward(calls) {
		if c.isDeleted() || !match(c) {
			continue
		}
		if seen++; seen <= first {
			continue
		}
		if more = len(found) == size; more {
			break
		}
		found = append(found, t.resource(c))
	}
	at := func(page int) string {
		p := maps.Clone(q)
		p.Set("PageSize", strconv.Itoa(size))
		p.Set("Page", strconv.Itoa(page))
		return r.URL.Path + "?" + p.Encode()
	}
	result := map[string]any{
		"calls":             found,
		"start":             first,
		"end":               first + max(0, len(found)-1),
		"page":              page,
		"page_size":         size,
		"uri":               at(page),
		"first_page_uri":    at(0),
		"next_page_uri":     nil,
		"previous_page_uri": nil,
	}
	if more {
		result["next_page_uri"] = at(page + 1)
	}
	if page > 0 {
		result["previous_page_uri"] = at(page - 1)
	}
	writeJSON(w, http.StatusOK, result)
	return nil
}

// callFilter reads the filters of a list.
func callFilter(q url.Values) (func(*call) bool, *apiError) {
	var tests []func(*call, CallInfo) bool
	equal := func(name string, field func(*call, CallInfo) string) {
		if want := q.Get(name); want != "" {
			tests = append(tests, func(c *call, i CallInfo) bool { return field(c, i) == want })
		}
	}
	equal("To", func(c *call, _ CallInfo) string { return c.to })
	equal("From", func(c *call, _ CallInfo) string { return c.from })
	equal("ParentCallSid", func(_ *call, i CallInfo) string { return i.ParentSID })
	equal("Status", func(_ *call, i CallInfo) string { return statusWord(i.Status) })
	fields := map[string]func(CallInfo) time.Time{
		"StartTime": func(i CallInfo) time.Time {
			if i.Started.IsZero() {
				return i.Created // a queued call has no start yet, and is found all the same
			}
			return i.Started
		},
		"EndTime": func(i CallInfo) time.Time { return i.Ended },
	}
	for name, field := range fields {
		for _, op := range []string{"", "<", ">"} {
			s := q.Get(name + op)
			if s == "" {
				continue
			}
			from, to, err := dayOrTime(s)
			if err != nil {
				return nil, refuse(errParam, "%s is not a date", name)
			}
			tests = append(tests, func(_ *call, i CallInfo) bool {
				at := field(i)
				switch {
				case at.IsZero():
					return false
				case op == "<":
					return at.Before(to)
				case op == ">":
					return !at.Before(from)
				}
				return !at.Before(from) && at.Before(to)
			})
		}
	}
	return func(c *call) bool {
		i := c.info()
		for _, test := range tests {
			if !test(c, i) {
				return false
			}
		}
		return true
	}, nil
}

// dayOrTime reads a date, which is a whole day of UTC, or a time, which is a
// second.
func dayOrTime(s string) (from, to time.Time, err error) {
	if from, err = time.Parse(time.DateOnly, s); err == nil {
		return from, from.AddDate(0, 0, 1), nil
	}
	if from, err = time.Parse(time.RFC3339, s); err == nil {
		return from, from.Add(time.Second), nil
	}
	return from, to, err
}
