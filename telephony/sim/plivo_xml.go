package sim

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony"
)

// Bounds of Plivo's XML.
const (
	maxPlivoDocument = 100 << 10
	maxStreamURL     = 2048
	maxExtraHeaders  = 512
	defaultStream    = 24 * time.Hour // of streamTimeout
)

func (t *plivo) parse(data []byte, base *url.URL) ([]verb, error) {
	p := plivoXML{document{base}}
	verbs, err := parseVerbs(data, maxPlivoDocument, p.verb)
	if err != nil {
		return nil, fmt.Errorf("XML: %w", err)
	}
	return verbs, nil
}

// plivoXML reads the elements of one document.
type plivoXML struct{ document }

func (p *plivoXML) verb(e *element) (verb, error) {
	switch e.name {
	case "Speak":
		return p.speech(e)
	case "Play":
		return p.file(e)
	case "Wait":
		d, err := seconds(e.attrs["length"], time.Second, time.Second, maxPause)
		return &pause{d}, err
	case "Stream":
		return p.stream(e)
	case "Dial":
		return p.dial(e)
	case "Conference":
		return p.conference(e)
	case "Redirect":
		return p.redirect(e)
	case "Hangup":
		switch r := e.attrs["reason"]; r {
		case "":
			return &hangup{}, nil
		case "busy", "rejected":
			return &reject{busy: r == "busy"}, nil
		default:
			return nil, fmt.Errorf("unknown reason %q", r)
		}
	case "DTMF":
		digits := e.text()
		if digits == "" || !validDigits(digits) {
			return nil, fmt.Errorf("digits %.40q", digits)
		}
		return &playDigits{digits}, nil
	}
	return nil, errors.New("this element is not simulated")
}

// streamFormats are what a stream can carry, by contentType.
var streamFormats = map[string]audio.Format{
	"audio/x-mulaw;rate=8000": audio.Telephone,
	"audio/x-l16;rate=8000":   {Encoding: audio.PCM16, Rate: 8000},
	"audio/x-l16;rate=16000":  {Encoding: audio.PCM16, Rate: 16000},
}

func (p *plivoXML) stream(e *element) (verb, error) {
	v := &connect{url: e.text()}
	if len(v.url) > maxStreamURL {
		return nil, fmt.Errorf("URL is longer than %d characters", maxStreamURL)
	}
	both, err := flag(e, "bidirectional", false)
	if err != nil {
		return nil, err
	}
	alive, err := flag(e, "keepCallAlive", false)
	if err != nil {
		return nil, err
	}
	v.oneWay, v.aside = !both, !alive
	switch track := e.attrs["audioTrack"]; {
	case track != "" && track != "inbound" && track != "outbound" && track != "both":
		return nil, fmt.Errorf("unknown audioTrack %.20q", track)
	case track != "" && track != "inbound" && both:
		return nil, fmt.Errorf("audioTrack %q with bidirectional", track)
	case track != "" && track != "inbound":
		return nil, fmt.Errorf("audioTrack %q is not simulated", track)
	}
	kind := e.attrs["contentType"]
	if kind == "" {
		kind = "audio/x-l16;rate=8000" // the reference's default; the guide has another
	}
	var ok bool
	if v.format, ok = streamFormats[strings.ReplaceAll(kind, " ", "")]; !ok {
		return nil, fmt.Errorf("unknown contentType %.40q", kind)
	}
	if v.params, err = extraHeaders(e.attrs["extraHeaders"]); err != nil {
		return nil, err
	}
	if v.limit, err = seconds(e.attrs["streamTimeout"], defaultStream, time.Second, defaultStream); err != nil {
		return nil, err
	}
	if v.statusURL, err = p.optional(e.attrs["statusCallbackUrl"]); err != nil {
		return nil, err
	}
	v.statusMethod, err = methodOf(e.attrs["statusCallbackMethod"])
	return v, err
}

// extraHeaders reads pairs of names and values, separated by commas.
func extraHeaders(s string) ([][2]string, error) {
	if len(s) > maxExtraHeaders {
		return nil, fmt.Errorf("extraHeaders are longer than %d bytes", maxExtraHeaders)
	}
	if s == "" {
		return nil, nil
	}
	var pairs [][2]string
	for _, pair := range strings.Split(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("extraHeaders have no name in %.40q", pair)
		}
		pairs = append(pairs, [2]string{name, value})
	}
	return pairs, nil
}

func (p *plivoXML) dial(e *element) (verb, error) {
	if len(e.children) != 1 || e.children[0].name != "Number" {
		return nil, errors.New("only one Number in it is simulated")
	}
	number := e.children[0]
	v := &dialNumber{to: fullNumber(number.text())}
	if !telephony.Number(v.to).Valid() {
		return nil, fmt.Errorf("not a number: %.20q", v.to)
	}
	if id := e.attrs["callerId"]; id != "" {
		v.callerID = fullNumber(id)
	}
	var err error
	if v.order.timeout, err = seconds(e.attrs["timeout"], defaultRinging, time.Second, 600*time.Second); err != nil {
		return nil, err
	}
	if v.order.limit, err = seconds(e.attrs["timeLimit"], defaultLimit, time.Second, 24*time.Hour); err != nil {
		return nil, err
	}
	if v.order.digits = number.attrs["sendDigits"]; !validDigits(v.order.digits) {
		return nil, fmt.Errorf("sendDigits %.40q", v.order.digits)
	}
	v.action, v.aside, err = p.after(e)
	return v, err
}

func (p *plivoXML) conference(e *element) (verb, error) {
	v := &confer{
		name:         e.text(),
		music:        true,
		statusEvents: map[conferenceEvent]bool{memberJoin: true, memberLeave: true},
	}
	if v.name == "" {
		return nil, errors.New("a Conference has no name")
	}
	var errs [11]error
	v.muted, errs[0] = flag(e, "muted", false)
	v.starts, errs[1] = flag(e, "startConferenceOnEnter", true)
	v.ends, errs[2] = flag(e, "endConferenceOnExit", false)
	v.alone, errs[3] = flag(e, "stayAlone", true)
	v.star, errs[4] = flag(e, "hangupOnStar", false)
	v.enter, errs[5] = beeps(e, "enterSound")
	v.exit, errs[6] = beeps(e, "exitSound")
	v.limit, errs[7] = seconds(e.attrs["timeLimit"], 24*time.Hour, time.Second, 24*time.Hour)
	v.statusURL, errs[8] = p.optional(e.attrs["callbackUrl"])
	v.statusMethod, errs[9] = methodOf(e.attrs["callbackMethod"])
	v.action, v.aside, errs[10] = p.after(e)
	return v, errors.Join(errs[:]...)
}

// beeps reads how many beeps tell of somebody.
func beeps(e *element, name string) (int, error) {
	switch s := e.attrs[name]; s {
	case "":
		return 0, nil
	case "beep:1":
		return 1, nil
	case "beep:2":
		return 2, nil
	default:
		return 0, fmt.Errorf("%s: %.40q is not simulated", name, s)
	}
}

// after is who is told what became of e, and whether the call goes on with the
// next element all the same and not where that says.
func (p *plivoXML) after(e *element) (action *instruction, aside bool, err error) {
	if action, err = p.action(e); err != nil {
		return nil, false, err
	}
	follow, err := flag(e, "redirect", true)
	return action, !follow, err
}

// fullNumber is a number in the form of E.164, if it is one.
func fullNumber(s string) string {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		return "+" + s
	}
	return s
}
