package plivo

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"github.com/switchboard-voice/switchboard/telephony"
)

// element is one element of Plivo's XML. We write it ourselves: in a fixed order,
// and with everything escaped that came from outside, which the SDK does not do.
type element struct {
	name     string
	attrs    []attr
	text     string
	children []element
}

// attr is left out if its value is empty.
type attr struct{ name, value string }

// WriteAnswer writes a as Plivo XML. A call whose stream has ended is ended by
// Plivo itself, as nothing follows.
func (p *Provider) WriteAnswer(w http.ResponseWriter, a *telephony.Answer) error {
	body := document(p.answerElements(a)...)
	h := w.Header()
	h.Set("Content-Type", "application/xml; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, err := w.Write(body)
	return err
}

func (p *Provider) answerElements(a *telephony.Answer) []element {
	switch a.Reject {
	case telephony.RejectNone:
	case telephony.RejectBusy:
		return []element{{name: "Hangup", attrs: []attr{{"reason", "busy"}}}}
	default:
		return []element{{name: "Hangup", attrs: []attr{{"reason", "rejected"}}}}
	}
	var all []element
	if a.Say != "" {
		all = append(all, element{name: "Speak", attrs: []attr{{"language", a.Language}}, text: a.Say})
	}
	if a.Stream != nil {
		all = append(all, p.streamElement(a.Stream))
	}
	if a.Dial != nil {
		all = append(all, dialElement(a.Dial))
	}
	if a.Hangup {
		all = append(all, element{name: "Hangup"})
	}
	return all
}

// streamElement names the format, because Plivo's pages do not agree on the
// default, and keeps the call alive, because it would end beside a stream.
func (p *Provider) streamElement(s *telephony.StreamAnswer) element {
	f := p.format()
	e := element{
		name: "Stream",
		attrs: []attr{
			{"bidirectional", "true"},
			{"keepCallAlive", "true"},
			{"contentType", contentTypes[f.Encoding] + ";rate=" + strconv.Itoa(f.Rate)},
		},
		text: s.URL,
	}
	if s.StatusURL != "" {
		e.attrs = append(e.attrs, attr{"statusCallbackUrl", s.StatusURL}, attr{"statusCallbackMethod", "POST"})
	}
	return e
}

func dialElement(d *telephony.DialAnswer) element {
	e := element{
		name:     "Dial",
		attrs:    []attr{{"callerId", bare(d.CallerID)}},
		children: []element{{name: "Number", text: bare(d.To)}},
	}
	if d.Timeout > 0 {
		e.attrs = append(e.attrs, attr{"timeout", strconv.FormatInt(wholeSeconds(d.Timeout), 10)})
	}
	return e
}

// bare is a number as Plivo writes it.
func bare(n telephony.Number) string { return strings.TrimPrefix(string(n), "+") }

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>`

func document(all ...element) []byte {
	var b bytes.Buffer
	b.WriteString(xmlHeader)
	writeElement(&b, element{name: "Response", children: all})
	return b.Bytes()
}

// writeElement escapes with xml.EscapeText, which also puts U+FFFD for what XML
// 1.0 cannot hold. Writing to a bytes.Buffer does not fail.
func writeElement(b *bytes.Buffer, e element) {
	b.WriteByte('<')
	b.WriteString(e.name)
	for _, a := range e.attrs {
		if a.value == "" {
			continue
		}
		b.WriteByte(' ')
		b.WriteString(a.name)
		b.WriteString(`="`)
		xml.EscapeText(b, []byte(a.value))
		b.WriteByte('"')
	}
	if e.text == "" && len(e.children) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	xml.EscapeText(b, []byte(e.text))
	for _, child := range e.children {
		writeElement(b, child)
	}
	b.WriteString("</")
	b.WriteString(e.name)
	b.WriteByte('>')
}
