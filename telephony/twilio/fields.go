package twilio

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A signature covers the URL and the parameters with nothing between them, so
// whoever holds one signed request can move the borders: give the end of a value
// to the next name, hide a parameter in the value before it, or turn the end of
// the path into a parameter. The rules here leave only one way to read what was
// signed. They do not stand in the way of parameters that Twilio will invent.
var (
	paramShape = regexp.MustCompile(`^[A-Z][A-Za-z0-9_.-]{0,79}$`)

	anyText  = regexp.MustCompile(`^[^\x00-\x1F\x7F]*$`)
	word     = regexp.MustCompile(`^[a-z0-9_-]{0,40}$`)
	number   = regexp.MustCompile(`^(-?[0-9]{1,9})?$`)
	decimal  = regexp.MustCompile(`^[0-9.]{0,16}$`)
	instant  = regexp.MustCompile(`^[A-Za-z0-9 ,:.+-]{0,40}$`)
	version  = regexp.MustCompile(`^[0-9-]{1,10}$`)
	party    = regexp.MustCompile(`^(\+?[0-9]{0,20}|[^\x00-\x1F\x7F+][^\x00-\x1F\x7F]{0,255})$`)
	country  = regexp.MustCompile(`^([A-Z]{2})?$`)
	postcode = regexp.MustCompile(`^[A-Za-z0-9 -]{0,16}$`)
	streamID = regexp.MustCompile(`^MZ[0-9a-fA-F]{32}$`)
	recordID = regexp.MustCompile(`^RE[0-9a-fA-F]{32}$`)
	anyID    = regexp.MustCompile(`^([A-Z]{2}[0-9a-fA-F]{32})?$`)
	address  = regexp.MustCompile(`^([a-z]{2,5}://[!-~]+)?$`)
)

const longestValue = 16 << 10

// fieldShapes are the parameters that Twilio documents, and what their values
// look like.
var fieldShapes = map[string]*regexp.Regexp{
	"AccountSid":               accountShape,
	"AnsweredBy":               word,
	"ApiVersion":               version,
	"CallDuration":             number,
	"CallSid":                  callShape,
	"CallStatus":               word,
	"CallToken":                anyText,
	"CallbackSource":           word,
	"Called":                   party,
	"CalledCity":               anyText,
	"CalledCountry":            country,
	"CalledState":              anyText,
	"CalledZip":                postcode,
	"Caller":                   party,
	"CallerCity":               anyText,
	"CallerCountry":            country,
	"CallerName":               anyText,
	"CallerState":              anyText,
	"CallerZip":                postcode,
	"DialBridged":              word,
	"DialCallDuration":         number,
	"DialCallSid":              anyID,
	"DialCallStatus":           word,
	"Digits":                   regexp.MustCompile(`^[0-9*#A-Dw]{0,64}$`),
	"Direction":                word,
	"Duration":                 number,
	"ErrorCode":                number,
	"ErrorUrl":                 address,
	"ForwardedFrom":            party,
	"From":                     party,
	"FromCity":                 anyText,
	"FromCountry":              country,
	"FromState":                anyText,
	"FromZip":                  postcode,
	"MachineDetectionDuration": number,
	"ParentCallSid":            anyID,
	"QueueTime":                number,
	"RecordingChannels":        number,
	"RecordingDuration":        number,
	"RecordingSid":             recordID,
	"RecordingSource":          regexp.MustCompile(`^[A-Za-z]{0,40}$`),
	"RecordingStartTime":       instant,
	"RecordingStatus":          word,
	"RecordingTrack":           word,
	"RecordingUrl":             regexp.MustCompile(`^([a-z]{2,5}://[!-~]+/RE[0-9a-fA-F]{32})?$`),
	"SequenceNumber":           number,
	"SipResponseCode":          number,
	"SpeechResult":             anyText,
	"Confidence":               decimal,
	"StirPassportToken":        anyText,
	"StirStatus":               regexp.MustCompile(`^[A-Za-z0-9-]{0,40}$`),
	"StirVerstat":              regexp.MustCompile(`^[A-Za-z0-9-]{0,40}$`),
	"StreamError":              anyText,
	"StreamEvent":              word,
	"StreamName":               anyText,
	"StreamSid":                streamID,
	"Timestamp":                instant,
	"To":                       party,
	"ToCity":                   anyText,
	"ToCountry":                country,
	"ToState":                  anyText,
	"ToZip":                    postcode,
}

// companions are parameters that never come without the others of their line.
var companions = [][]string{
	{"CallStatus", "Direction", "From", "To"},
	{"CallbackSource", "CallStatus", "SequenceNumber", "Timestamp"},
	{"SequenceNumber", "CallbackSource"},
	{"CallDuration", "CallStatus"},
	{"MachineDetectionDuration", "AnsweredBy"},
	{"StreamSid", "StreamEvent", "Timestamp"},
	{"StreamEvent", "StreamSid"},
	{"RecordingSid", "RecordingUrl"},
	{"RecordingStatus", "RecordingSid"},
	{"DialCallStatus", "CallStatus"},
}

// readFields returns the parameters of a verified form, one value each, if they
// can be read in one way only.
func (p *Provider) readFields(form url.Values) (map[string]string, error) {
	names := slices.Sorted(maps.Keys(form))
	// Nothing that was part of the URL comes before the first parameter.
	if len(names) == 0 || names[0] != "AccountSid" {
		return nil, unverified("the first parameter is not AccountSid")
	}
	for _, name := range names {
		if !paramShape.MatchString(name) {
			return nil, unverified("a parameter has an impossible name")
		}
	}
	fields, err := p.checkFields(form)
	if err != nil {
		return nil, err
	}
	if hidden := hiddenField(names, fields); hidden != "" {
		return nil, unverified("%s may hide in other parameters", hidden)
	}
	return fields, nil
}

// hiddenField returns a documented parameter that is absent, although its name
// stands in what was signed at a place where a parameter could begin.
func hiddenField(names []string, fields map[string]string) string {
	type span struct{ name, value, end int }
	var spans []span
	var signed strings.Builder
	for _, name := range names {
		s := span{name: signed.Len()}
		signed.WriteString(name)
		s.value = signed.Len()
		signed.WriteString(fields[name])
		s.end = signed.Len()
		spans = append(spans, s)
	}
	data := signed.String()

	for absent := range fieldShapes {
		// From and To are too short to mean anything inside a word, and they are
		// never absent beside a CallStatus.
		if _, present := fields[absent]; present || absent == "From" || absent == "To" {
			continue
		}
		for at := strings.Index(data, absent); at >= 0; {
			i := slices.IndexFunc(spans, func(s span) bool { return at < s.end })
			s, end := spans[i], at+len(absent)
			insideName := at > s.name && end <= s.value
			outOfOrder := at >= s.value && end <= s.end && absent < names[i]
			if !insideName && !outOfOrder {
				return absent
			}
			next := strings.Index(data[at+1:], absent)
			if next < 0 {
				break
			}
			at += 1 + next
		}
	}
	return ""
}

// checkFields holds for a query as well, which has borders of its own.
func (p *Provider) checkFields(form url.Values) (map[string]string, error) {
	fields := make(map[string]string, len(form))
	for name, values := range form {
		// Of a repeated parameter only distinct values are signed.
		if len(values) != 1 {
			return nil, unverified("%.40q is repeated", name)
		}
		shape, documented := fieldShapes[name]
		if !documented {
			shape = anyText
		}
		if len(values[0]) > longestValue || !shape.MatchString(values[0]) {
			return nil, unverified("%.40q has an impossible value", name)
		}
		fields[name] = values[0]
	}
	if fields["AccountSid"] != p.AccountSID || p.AccountSID == "" {
		return nil, unverified("it is of another account")
	}
	if fields["CallSid"] == "" {
		return nil, unverified("it names no call")
	}
	for _, line := range companions {
		if _, present := fields[line[0]]; !present {
			continue
		}
		for _, other := range line[1:] {
			if _, present := fields[other]; !present {
				return nil, unverified("%s without %s", line[0], other)
			}
		}
	}
	if fields["RecordingSid"] != "" && fields["RecordingStatus"] == "" && fields["CallStatus"] != "completed" {
		return nil, unverified("a recording without a status")
	}
	if t := fields["Timestamp"]; t != "" && parseTime(t).IsZero() {
		return nil, unverified("Timestamp is not a time")
	}
	return fields, nil
}
