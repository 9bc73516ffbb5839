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
)

// Bounds of a document.
const (
	maxDepth    = 8
	maxElements = 1000
	maxLoop     = 1000 // what loop="0", for ever, amounts to
	maxPause    = time.Hour
	maxText     = 4096 // characters that are spoken
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

// parseXML reads a document of at most this many bytes into its root element.
func parseXML(data []byte, most int) (*element, error) {
	if len(data) > most {
		return nil, fmt.Errorf("document is longer than %d bytes", most)
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

// parseVerbs reads a document of instructions: its verbs are the children of a
// Response.
func parseVerbs(data []byte, most int, read func(*element) (verb, error)) ([]verb, error) {
	root, err := parseXML(data, most)
	if err != nil {
		return nil, err
	}
	if root.name != "Response" {
		return nil, fmt.Errorf("root element is %s; want Response", root.name)
	}
	verbs := make([]verb, 0, len(root.children))
	for _, e := range root.children {
		v, err := read(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		verbs = append(verbs, v)
	}
	return verbs, nil
}

// A document is where elements are read from. References in it are relative to
// base, which is nil for a document without an address.
type document struct{ base *url.URL }

func (d *document) speech(e *element) (verb, error) {
	text := e.text()
	if len(text) > maxText {
		return nil, fmt.Errorf("longer than %d characters", maxText)
	}
	loop, err := d.loop(e)
	return &say{text, loop}, err
}

func (d *document) file(e *element) (verb, error) {
	at, err := d.required(e.text())
	if err != nil {
		return nil, err
	}
	loop, err := d.loop(e)
	return &playURL{at, loop}, err
}

func (d *document) redirect(e *element) (verb, error) {
	at, err := d.required(e.text())
	if err != nil {
		return nil, err
	}
	method, err := methodOf(e.attrs["method"])
	return &redirect{instruction{url: at, method: method}}, err
}

func (d *document) loop(e *element) (int, error) {
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

// action is where the call goes on after e; nil means at the next verb.
func (d *document) action(e *element) (*instruction, error) {
	at, err := d.optional(e.attrs["action"])
	if at == "" || err != nil {
		return nil, err
	}
	method, err := methodOf(e.attrs["method"])
	return &instruction{url: at, method: method}, err
}

// optional resolves a reference; an empty one stays empty.
func (d *document) optional(ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	return d.required(ref)
}

// required resolves a reference. An empty one is the document itself.
func (d *document) required(ref string) (string, error) {
	u, err := url.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("not a URL: %q", ref)
	}
	if d.base != nil && !u.IsAbs() {
		u = d.base.ResolveReference(u)
		return u.String(), nil
	}
	if u.Host == "" {
		return "", fmt.Errorf("not an absolute URL: %q", ref)
	}
	return ref, nil
}

// flag reads an attribute that is true or false.
func flag(e *element, name string, otherwise bool) (bool, error) {
	switch s := e.attrs[name]; s {
	case "":
		return otherwise, nil
	case "true", "false":
		return s == "true", nil
	default:
		return false, fmt.Errorf("%s is %.20q", name, s)
	}
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

func validDigits(s string) bool { return len(s) <= 32 && strings.Trim(s, "0123456789*#wWABCD") == "" }
