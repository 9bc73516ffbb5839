package plivo

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/switchboard-voice/switchboard/telephony"
)

// A signature covers the parameters with nothing between names and values, so
// whoever holds one signed request can move the borders: give the end of a value
// to the next name, or hide a parameter in the value before it. And a caller who
// chooses his name can put borders into it.
//
// What is here leaves one way to read what was signed. Only known names count, by
// the kind of webhook, each with values of one shape. Of all readings that these
// allow, only the one with most parameters does, so that none can hide. And no
// value may hold what stands in each webhook, the direction and the number that
// was called: a reading that is made up in a value has to put the true ones into
// another.

// shape tells what values look like.
type shape func(value string) bool

// of makes a shape of values with so many bytes, which are all in set: letters,
// digits, and what is named beside.
func of(least, most int, set string) shape {
	var in [256]bool
	for _, c := range []byte(set) {
		in[c] = true
	}
	return func(v string) bool {
		if len(v) < least || len(v) > most {
			return false
		}
		for i := range len(v) {
			if !in[v[i]] {
				return false
			}
		}
		return true
	}
}

const (
	digits  = "0123456789"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	letters = lower + upper
)

var (
	optionalID  = func(v string) bool { return v == "" || isUUID(v) }
	account     = func(v string) bool { return accountShape.MatchString(v) }
	seconds     = of(0, 9, digits)
	decimal     = of(0, 24, digits+".-")
	statusWord  = of(1, 24, lower+"-")
	causeWord   = of(0, 64, upper+digits+"_-")
	eventWord   = of(1, 40, letters)
	phrase      = of(0, 80, letters+digits+" _-,()/'")
	address     = of(0, 512, letters+digits+":/.-_~%")
	flag        = func(v string) bool { return v == "" || strings.EqualFold(v, "true") || strings.EqualFold(v, "false") }
	instant     = func(v string) bool { return v == "" || timeText(v) && !parseTime(v).IsZero() }
	timeText    = of(10, 40, digits+" :.+-TZ")
	direction   = func(v string) bool { return v == "inbound" || v == "outbound" }
	plus        = func(v string) bool { return digitsOnly(strings.TrimPrefix(v, "+")) }
	digitsOnly  = of(1, 20, digits)
	somebody    = of(0, 24, letters+"_")
	party       = func(v string) bool { return plus(v) || somebody(v) || strings.HasPrefix(v, "sip:") && text(v) }
	text        = func(v string) bool { return !strings.ContainsFunc(v, isControl) }
	keysPressed = of(0, 64, digits+"*#")
	queryValue  = of(0, 128, letters+digits+"_-~:/+@,% ")
)

func isControl(r rune) bool { return r < ' ' || r == 0x7F }

// grammar is what webhooks of one kind may say, and what they always do.
type grammar struct {
	names    map[string]shape
	required []string
}

// with returns a grammar that says more.
func (g grammar) with(required []string, names map[string]shape) grammar {
	all := maps.Clone(g.names)
	maps.Copy(all, names)
	return grammar{all, slices.Concat(g.required, required)}
}

// The kinds of webhooks, as Plivo documents them and as they were seen.
var (
	ofAnything = grammar{map[string]shape{
		"AuthID":       account,
		"CallUUID":     isUUID,
		"Direction":    direction,
		"Event":        eventWord,
		"From":         party,
		"ParentAuthID": account,
		"To":           party,
	}, []string{"CallUUID", "Direction", "From", "To"}}

	ofCall = ofAnything.with([]string{"CallStatus"}, map[string]shape{
		"ALegRequestUUID":   optionalID,
		"ALegUUID":          optionalID,
		"BillRate":          decimal,
		"CallStatus":        statusWord,
		"CallerName":        text,
		"ForwardedFrom":     party,
		"RequestUUID":       optionalID,
		"RouteType":         phrase,
		"SIP-H-To":          text,
		"STIRAttestation":   phrase,
		"STIRVerification":  phrase,
		"ScheduledHangupId": optionalID,
		"SessionStart":      instant,
	})

	// A machine that was found before Plivo asked what to do.
	ofQuestion = ofCall.with(nil, map[string]shape{"Machine": flag})

	// What became of a Dial, and what is told meanwhile.
	ofDial = ofQuestion.with([]string{"DialALegUUID"}, dialNames)

	dialNames = map[string]shape{
		"DialALegUUID":            isUUID,
		"DialAction":              statusWord,
		"DialBLegBillDuration":    seconds,
		"DialBLegBillRate":        decimal,
		"DialBLegDuration":        seconds,
		"DialBLegFrom":            party,
		"DialBLegHangupCause":     causeWord,
		"DialBLegHangupCauseCode": seconds,
		"DialBLegHangupCauseName": phrase,
		"DialBLegHangupSource":    phrase,
		"DialBLegPosition":        seconds,
		"DialBLegStatus":          statusWord,
		"DialBLegTo":              party,
		"DialBLegTotalCost":       decimal,
		"DialBLegUUID":            optionalID,
		"DialDigitsMatch":         keysPressed,
		"DialDigitsPressedBy":     statusWord,
		"DialHangupCause":         causeWord,
		"DialRingStatus":          flag,
		"DialStatus":              statusWord,
	}

	ofEnd = ofCall.with(nil, map[string]shape{
		"AnswerTime":               instant,
		"BillDuration":             seconds,
		"CarrierFailoverTriggered": flag,
		"Duration":                 seconds,
		"EndTime":                  instant,
		"HangupCause":              causeWord,
		"HangupCauseCode":          seconds,
		"HangupCauseName":          phrase,
		"HangupSource":             phrase,
		"StartTime":                instant,
		"TotalCost":                decimal,
		"TotalRate":                decimal,
	})

	ofMachine = ofQuestion.with([]string{"Machine"}, nil)

	ofStream = ofAnything.with([]string{"Event", "StreamID", "Timestamp"}, map[string]shape{
		"Duration":     seconds,
		"StatusReason": phrase,
		"StreamID":     isUUID,
		"Timestamp":    instant,
	})

	ofRecording = grammar{ofCall.names, ofAnything.required}.with(
		[]string{"RecordUrl", "RecordingID"}, map[string]shape{
			"Digits":              keysPressed,
			"RecordFile":          address,
			"RecordUrl":           address,
			"RecordingDuration":   decimal,
			"RecordingDurationMs": decimal,
			"RecordingEndMs":      decimal,
			"RecordingID":         isUUID,
			"RecordingStartMs":    decimal,
		})

	// The record API writes the same in other names.
	ofRecordAPI = grammar{map[string]shape{
		"api_id":                isUUID,
		"message":               phrase,
		"call_uuid":             isUUID,
		"record_url":            address,
		"recording_duration":    decimal,
		"recording_duration_ms": decimal,
		"recording_end_ms":      decimal,
		"recording_id":          isUUID,
		"recording_start_ms":    decimal,
	}, []string{"call_uuid", "record_url", "recording_id"}}
)

// grammarOf chooses by what tells webhooks apart.
func grammarOf(values url.Values) grammar {
	switch event := values.Get("Event"); {
	case event == "Hangup":
		return ofEnd
	case event == "MachineDetection":
		return ofMachine
	case values.Has("StreamID"):
		return ofStream
	case values.Has("DialALegUUID"):
		return ofDial
	case values.Has("RecordingID"):
		return ofRecording
	case values.Has("call_uuid"):
		return ofRecordAPI
	}
	return ofQuestion
}

// content is a webhook that can be read in one way only.
type content struct {
	fields map[string]string
	// headers are the SIP headers, as they are signed: behind all else, and with
	// no border between name and value.
	headers string
}

// sipHeader is how their names begin.
const sipHeader = "X-PH-"

// read returns what a verified webhook says.
func (p *Provider) read(w *telephony.Webhook, s *signed) (*content, error) {
	values := s.form
	if w.Method == http.MethodGet {
		values = s.query
	}
	g := p.withExtra(grammarOf(values))
	c := &content{fields: make(map[string]string, len(values))}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(values[name]) != 1 {
			return nil, unverified("%.40q is repeated", name)
		}
		value := values[name][0]
		looks, known := g.names[name]
		switch {
		case known && !looks(value):
			return nil, unverified("%.40q has an impossible value", name)
		case known && c.headers != "":
			return nil, unverified("%.40q stands behind SIP headers", name)
		case known:
			c.fields[name] = value
		case strings.HasPrefix(name, sipHeader) && text(name) && text(value):
			c.headers += name + value
		case w.Method == http.MethodGet && ownQuery(name, value):
			c.fields[name] = value
		default:
			return nil, unverified("%.40q is not a parameter that is known here", name)
		}
	}
	for _, name := range g.required {
		if _, given := c.fields[name]; !given {
			return nil, unverified("it has no %s", name)
		}
	}
	if c.fields["Direction"] == "inbound" && c.fields["RequestUUID"] != "" {
		return nil, unverified("a call that came in was not dialed")
	}
	if c.fields["Direction"] == "inbound" && c.fields["Machine"] != "" {
		return nil, unverified("who calls is not asked whether it is a machine")
	}
	// Who chooses a name before a call does not know what it will be called.
	if leg := c.fields["DialALegUUID"]; leg != "" && leg != c.fields["CallUUID"] {
		return nil, unverified("the dial is of another call")
	}
	if err := p.checkAccount(c.fields); err != nil {
		return nil, err
	}
	var err error
	if w.Method == http.MethodGet {
		err = c.checkBorders()
	} else {
		err = errors.Join(checkQuery(s.query), c.check(g))
	}
	if err != nil {
		return nil, err
	}
	return c, p.tellHeaders(c, values)
}

// withExtra adds the parameters that the host asks for, but not SIP headers.
func (p *Provider) withExtra(g grammar) grammar {
	extra := make(map[string]shape)
	for _, name := range p.ExtraFields {
		if _, known := g.names[name]; !known && !strings.HasPrefix(name, sipHeader) {
			extra[name] = text
		}
	}
	if len(extra) == 0 {
		return g
	}
	return g.with(nil, extra)
}

// tellHeaders adds the SIP headers that were asked for. Where one begins and
// ends is taken from what is signed: it may not be otherwise in the form.
func (p *Provider) tellHeaders(c *content, values url.Values) error {
	for _, name := range p.ExtraFields {
		at := strings.Index(c.headers, name)
		if !strings.HasPrefix(name, sipHeader) || at < 0 {
			continue
		}
		value := c.headers[at+len(name):]
		if next := strings.Index(value, sipHeader); next >= 0 {
			value = value[:next]
		}
		if !values.Has(name) || values.Get(name) != value {
			return unverified("%s may be something else", name)
		}
		c.fields[name] = value
	}
	return nil
}

// ownQuery tells what a query may hold that was part of the address that Plivo
// was given. A dot would be a border to the parameters, and their names begin
// with capitals or are longer.
func ownQuery(name, value string) bool {
	return queryName(name) && name[0] >= 'a' && name[0] <= 'z' && queryValue(value)
}

var queryName = of(1, 32, lower+digits+"_-")

// checkQuery refuses a query that could be the beginning of the parameters.
func checkQuery(query url.Values) error {
	for name, values := range query {
		if len(values) != 1 || !ownQuery(name, values[0]) {
			return unverified("the query may be something else")
		}
	}
	return nil
}

// checkBorders refuses, of a GET, values with what stands between parameters.
func (c *content) checkBorders() error {
	if strings.ContainsAny(c.headers, "&=") {
		return unverified("SIP headers may be something else")
	}
	for name, value := range c.fields {
		if strings.ContainsAny(value, "&=") {
			return unverified("%.40q may be several", name)
		}
	}
	return nil
}

func (p *Provider) checkAccount(fields map[string]string) error {
	if id := fields["ParentAuthID"]; id != "" && strings.HasPrefix(p.AuthID, "MA") && id != p.AuthID {
		return unverified("it is of another account")
	}
	if id := fields["AuthID"]; id != "" && p.MainAuthToken == "" && id != p.AuthID {
		return unverified("it is of another account")
	}
	return nil
}

// mostSigned bounds what is read, in bytes.
const mostSigned = 8 << 10

// truths are what no value may hold, by which a made-up reading is known.
var truths = regexp.MustCompile(`Direction(in|out)bound|To(\+?[0-9]{5}|sip:)`)

// check reports an error unless the fields are the one reading of what was
// signed that has most parameters.
func (c *content) check(g grammar) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.fields)) {
		if truths.MatchString(c.fields[name]) {
			return unverified("there are parameters in the value of %s", name)
		}
		b.WriteString(name)
		b.WriteString(c.fields[name])
	}
	count := len(c.fields)
	if c.headers != "" { // which count as one, that may say anything
		if truths.MatchString(strings.ReplaceAll(c.headers, sipHeader+"To", "")) {
			return unverified("there are parameters in SIP headers")
		}
		count++
		b.WriteString(c.headers)
	}
	// The name of a caller stands just before what became of a Dial, and could
	// hold all of it: then it would be a question like any other.
	most, ways := longestReading(b.String(), g.with(nil, dialNames).with(nil, map[string]shape{sipHeader: text}).names)
	if most != count || ways != 1 {
		return unverified("its parameters can be divided in another way")
	}
	return nil
}

// mostStarts is how many places are looked at where a parameter may begin. In
// what Plivo sends there are about thirty.
const mostStarts = 160

// longestReading returns the most parameters that signed can be divided into,
// their names rising and their values of the right shape, and in how many ways
// it can: none, one, or two for more. It returns zeros if there is too much to
// look at.
func longestReading(signed string, names map[string]shape) (most, ways int) {
	if len(signed) > mostSigned {
		return 0, 0
	}
	type start struct {
		at, value  int // where the name begins, and the value
		name       string
		fits       shape
		most, ways int // of the readings up to here
	}
	var starts []start
	for name, fits := range names {
		for from := 0; ; {
			i := strings.Index(signed[from:], name)
			if i < 0 {
				break
			}
			if len(starts) == mostStarts {
				return 0, 0
			}
			at := from + i
			starts = append(starts, start{at: at, value: at + len(name), name: name, fits: fits})
			from = at + 1
		}
	}
	slices.SortFunc(starts, func(a, b start) int { return a.at - b.at })

	better := func(most, ways *int, n, m int) {
		switch {
		case n > *most:
			*most, *ways = n, m
		case n == *most:
			*ways = min(*ways+m, 2)
		}
	}
	for i := range starts {
		s := &starts[i]
		if s.at == 0 {
			s.most, s.ways = 1, 1
		}
		for _, before := range starts[:i] {
			if before.most > 0 && before.value <= s.at && before.name < s.name && before.fits(signed[before.value:s.at]) {
				better(&s.most, &s.ways, before.most+1, before.ways)
			}
		}
	}
	for _, s := range starts {
		if s.most > 0 && s.fits(signed[s.value:]) {
			better(&most, &ways, s.most, s.ways)
		}
	}
	return most, ways
}
