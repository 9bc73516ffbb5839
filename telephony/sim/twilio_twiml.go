package sim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Bounds of a TwiML document.
const (
	maxDocument = 64 << 10
	maxDepth    = 8
	maxElements = 1000
	maxLoop     = 1000 // what loop="0", for ever, amounts to
	maxPause    = time.Hour
	maxText     = 4096 // characters of a Say
	maxParam    = 500  // characters of a Parameter's name and value together
)

// An element is one element of XML.
type element struct {
	name     string
	attrs    map[string]string
	chars    []byte // its own and those of its descendants, in order
	children []*element
}

// text is what an element says.
func (e *element) text() string { return strings.TrimSpace(string(e.chars)) }

// parseXML reads a document into its root element.
func parseXML(data []byte) (*element, error) {
	if len(data) > maxDocument {
		return nil, errors.New("document is longer than 64 KiB")
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	// Declarations of any charset are let pass: what we are sent is UTF-8.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var root *element
	var open []*element
	for count := 0; ; {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			count++
			if count > maxElements || len(open) == maxDepth {
				return nil, errors.New("document has too many elements")
			}
			e := &element{name: tok.Name.Local, attrs: make(map[string]string, len(tok.Attr))}
			for _, a := range tok.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root == nil:
				root = e
			default:
				return nil, errors.New("document has more than one root element")
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, e := range open {
				e.chars = append(e.chars, tok...)
			}
		}
	}
	if root == nil {
		return nil, errors.New("document is empty")
	}
	return root, nil
}

// parse reads TwiML. References in it are relative to base, which is nil for a
// document without an address.
func (t *twilio) parse(data []byte, base *url.URL) ([]verb, error) {
	root, err := parseXML(data)
	if err != nil {
		return nil, fmt.Errorf("TwiML: %w", err)
	}
	if root.name != "Response" {
		return nil, fmt.Errorf("TwiML: root element is %s; want Response", root.name)
	}
	p := twiml{base: base}
	verbs := make([]verb, 0, len(root.children))
	for _, e := range root.children {
		v, err := p.verb(e)
		if err != nil {
			return nil, fmt.Errorf("TwiML: %s: %w", e.name, err)
		}
		verbs = append(verbs, v)
	}
	return verbs, nil
}

// twiml reads the verbs of one document.
type twiml struct{ base *url.URL }

func (p *twiml) verb(e *element) (verb, error) {
	switch e.name {
	case "Say":
		text := e.text()
		if len(text) > maxText {
			return nil, fmt.Errorf("longer than %d characters", maxText)
		}
		loop, err := p.loop(e)
		return &say{text, loop}, err
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
		at, err := p.required(e.text())
		if err != nil {
			return nil, err
		}
		method, err := methodOf(e.attrs["method"])
		return &redirect{instruction{url: at, method: method}}, err
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
	at, err := p.required(e.text())
	if err != nil {
		return nil, err
	}
	loop, err := p.loop(e)
	return &playURL{at, loop}, err
}

func validDigits(s string) bool { return len(s) <= 32 && strings.Trim(s, "0123456789*#wWABCD") == "" }

func (p *twiml) loop(e *element) (int, error) {
	s, ok := e.attrs["loop"]
	if !ok {
		return 1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxLoop {
		return 0, fmt.Errorf("loop %q", s)
	}
	if n == 0 {
		n = maxLoop
	}
	return n, nil
}

func (p *twiml) connect(e *element) (verb, error) {
	if len(e.children) != 1 || e.children[0].name != "Stream" {
		return nil, errors.New("only one Stream in it is simulated")
	}
	s := e.children[0]
	v := &connect{url: strings.TrimSpace(s.attrs["url"]), name: s.attrs["name"]}
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
		if len(e.children) > 1 || number.name != "Number" {
			return nil, errors.New("only one Number in it is simulated")
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

// action is where the call goes on after e; nil means at the next verb.
func (p *twiml) action(e *element) (*instruction, error) {
	at, err := p.optional(e.attrs["action"])
	if at == "" || err != nil {
		return nil, err
	}
	method, err := methodOf(e.attrs["method"])
	return &instruction{url: at, method: method}, err
}

// optional resolves a reference; an empty one stays empty.
func (p *twiml) optional(ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	return p.required(ref)
}

// required resolves a reference. An empty one is the document itself.
func (p *twiml) required(ref string) (string, error) {
	u, err := url.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("not a URL: %q", ref)
	}
	if p.base != nil && !u.IsAbs() {
		u = p.base.ResolveReference(u)
		return u.String(), nil
	}
	if u.Host == "" {
		return "", fmt.Errorf("not an absolute URL: %q", ref)
	}
	return ref, nil
}

func methodOf(s string) (string, error) {
	switch s = strings.ToUpper(s); s {
	case "":
		return "POST", nil
	case "GET", "POST":
		return s, nil
	}
	return "", fmt.Errorf("method %q", s)
}

// seconds reads a whole number of seconds, moved into bounds.
func seconds(s string, otherwise, least, most time.Duration) (time.Duration, error) {
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("not a number of seconds: %.20q", s)
	}
	return min(most, max(least, time.Duration(n)*time.Second)), nil
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
