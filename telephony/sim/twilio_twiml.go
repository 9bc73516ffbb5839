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

// Bounds of a TwiML document.
const (
	maxTwimlDocument = 64 << 10
	maxParam         = 500 // characters of a Parameter's name and value together
)

// parse reads TwiML. References in it are relative to base, which is nil for a
// document without an address.
func (t *twilio) parse(data []byte, base *url.URL) ([]verb, error) {
	p := twiml{document{base}}
	verbs, err := parseVerbs(data, maxTwimlDocument, p.verb)
	if err != nil {
		return nil, fmt.Errorf("TwiML: %w", err)
	}
	return verbs, nil
}

// twiml reads the verbs of one document.
type twiml struct{ document }

func (p *twiml) verb(e *element) (verb, error) {
	switch e.name {
	case "Say":
		return p.speech(e)
	case "Play":
		return p.play(e)
	case "Pause":
		d, err := seconds(e.attrs["length"], time.Second, 0, maxPause)
		return &pause{d}, err
	case "Connect":
		return p.connect(e)
	case "Dial":
		return p.dial(e)
	case "Redirect":
		return p.redirect(e)
	case "Hangup":
		return &hangup{}, nil
	case "Reject":
		switch r := e.attrs["reason"]; r {
		case "busy", "", "rejected":
			return &reject{busy: r == "busy"}, nil
		default:
			return nil, fmt.Errorf("unknown reason %q", r)
		}
	}
	return nil, errors.New("this verb is not simulated")
}

func (p *twiml) play(e *element) (verb, error) {
	if digits := e.attrs["digits"]; digits != "" {
		if !validDigits(digits) {
			return nil, fmt.Errorf("digits %q", digits)
		}
		return &playDigits{digits}, nil
	}
	return p.file(e)
}

func (p *twiml) connect(e *element) (verb, error) {
	if len(e.children) != 1 || e.children[0].name != "Stream" {
		return nil, errors.New("only one Stream in it is simulated")
	}
	s := e.children[0]
	v := &connect{url: strings.TrimSpace(s.attrs["url"]), name: s.attrs["name"], format: audio.Telephone}
	if track := s.attrs["track"]; track != "" && track != "inbound_track" {
		return nil, fmt.Errorf("31941: track %q", track)
	}
	for _, c := range s.children {
		if c.name != "Parameter" {
			return nil, fmt.Errorf("unknown element %s in Stream", c.name)
		}
		name, value := c.attrs["name"], c.attrs["value"]
		if name == "" || len(name)+len(value) >= maxParam {
			return nil, fmt.Errorf("parameter %.20q has no name or is too long", name)
		}
		v.params = append(v.params, [2]string{name, value})
	}
	var err error
	if v.statusURL, err = p.optional(s.attrs["statusCallback"]); err != nil {
		return nil, err
	}
	if v.statusMethod, err = methodOf(s.attrs["statusCallbackMethod"]); err != nil {
		return nil, err
	}
	v.action, err = p.action(e)
	return v, err
}

func (p *twiml) dial(e *element) (verb, error) {
	number := e
	if len(e.children) > 0 {
		number = e.children[0]
		switch {
		case len(e.children) == 1 && number.name == "Conference":
			return p.conference(e, number)
		case len(e.children) > 1 || number.name != "Number":
			return nil, errors.New("only one Number or Conference in it is simulated")
		}
	}
	v := &dialNumber{to: number.text(), callerID: e.attrs["callerId"]}
	if !telephony.Number(v.to).Valid() {
		return nil, fmt.Errorf("13224: not a number: %.20q", v.to)
	}
	var err error
	if v.order.timeout, err = seconds(e.attrs["timeout"], 30*time.Second, 5*time.Second, 600*time.Second); err != nil {
		return nil, err
	}
	v.order.timeout += ringBuffer
	if v.order.limit, err = seconds(e.attrs["timeLimit"], defaultLimit, time.Second, 24*time.Hour); err != nil {
		return nil, err
	}
	if v.order.statusURL, err = p.optional(number.attrs["statusCallback"]); err != nil {
		return nil, err
	}
	if v.order.statusMethod, err = methodOf(number.attrs["statusCallbackMethod"]); err != nil {
		return nil, err
	}
	v.order.statusEvents = statusEvents(strings.Fields(number.attrs["statusCallbackEvent"]))
	if digits := number.attrs["sendDigits"]; digits != "" {
		if !validDigits(digits) {
			return nil, fmt.Errorf("sendDigits %q", digits)
		}
		v.order.digits = digits
	}
	v.action, err = p.action(e)
	return v, err
}

// conference reads a Conference in a Dial.
func (p *twiml) conference(dial, e *element) (verb, error) {
	v := &confer{name: e.text(), alone: true, statusEvents: make(map[conferenceEvent]bool)}
	if v.name == "" {
		return nil, errors.New("a Conference has no name")
	}
	var errs [9]error
	v.muted, errs[0] = flag(e, "muted", false)
	v.starts, errs[1] = flag(e, "startConferenceOnEnter", true)
	v.ends, errs[2] = flag(e, "endConferenceOnExit", false)
	v.star, errs[3] = flag(dial, "hangupOnStar", false)
	v.statusURL, errs[4] = p.optional(e.attrs["statusCallback"])
	v.statusMethod, errs[5] = methodOf(e.attrs["statusCallbackMethod"])
	v.limit, errs[6] = seconds(dial.attrs["timeLimit"], defaultLimit, time.Second, 24*time.Hour)
	v.action, errs[7] = p.action(dial)
	switch s := e.attrs["beep"]; s {
	case "", "true":
		v.enter, v.exit = 1, 1
	case "onEnter":
		v.enter = 1
	case "onExit":
		v.exit = 1
	case "false":
	default:
		errs[8] = fmt.Errorf("beep is %.20q", s)
	}
	wait, given := e.attrs["waitUrl"]
	v.music = !given || wait != ""
	for _, name := range strings.Fields(e.attrs["statusCallbackEvent"]) {
		for event := range twilioConferenceEvents[name] {
			v.statusEvents[event] = true
		}
	}
	return v, errors.Join(errs[:]...)
}

// statusEvents reads the names of the events that the application wants; nil
// means only the end.
func statusEvents(names []string) map[telephony.Status]bool {
	words := map[string]telephony.Status{
		"initiated": telephony.StatusInitiated,
		"ringing":   telephony.StatusRinging,
		"answered":  telephony.StatusInProgress,
		"completed": telephony.StatusCompleted,
	}
	var events map[telephony.Status]bool
	for _, name := range names {
		if s, ok := words[name]; ok {
			if events == nil {
				events = make(map[telephony.Status]bool)
			}
			events[s] = true
		}
	}
	return events
}
