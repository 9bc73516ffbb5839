package twilio

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strconv"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// element is one element of TwiML. We write it ourselves: in a fixed order, and
// with everything escaped that came from outside.
type element struct {
	name     string
	attrs    []attr
	text     string
	children []element
}

// attr is left out if its value is empty.
type attr struct{ name, value string }

// WriteAnswer writes a as TwiML. A stream is always followed by a hangup,
// because what Twilio does when a stream ends depends on what comes next.
func (p *Provider) WriteAnswer(w http.ResponseWriter, a *telephony.Answer) error {
	body := document(answerVerbs(a)...)
	h := w.Header()
	h.Set("Content-Type", "text/xml; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store") // Twilio keeps replies to a GET
	_, err := w.Write(body)
	return err
}

func answerVerbs(a *telephony.Answer) []element {
	switch a.Reject {
	case telephony.RejectNone:
	case telephony.RejectBusy:
		return []element{{name: "Reject", attrs: []attr{{"reason", "busy"}}}}
	default:
		return []element{{name: "Reject", attrs: []attr{{"reason", "rejected"}}}}
	}
	var verbs []element
	if a.Say != "" {
		verbs = append(verbs, element{name: "Say", attrs: []attr{{"language", a.Language}}, text: a.Say})
	}
	if a.Stream != nil {
		s := element{name: "Stream", attrs: []attr{
			{"url", a.Stream.URL},
			{"statusCallback", a.Stream.StatusURL},
		}}
		verbs = append(verbs, element{name: "Connect", children: []element{s}})
	}
	if a.Dial != nil {
		verbs = append(verbs, dialVerb(a.Dial.To, a.Dial.CallerID, a.Dial.Timeout))
	}
	if a.Hangup || a.Stream != nil {
		verbs = append(verbs, element{name: "Hangup"})
	}
	return verbs
}

func transferTwiML(t *telephony.Transfer) []byte {
	return document(dialVerb(t.To, t.CallerID, t.Timeout))
}

func dialVerb(to, callerID telephony.Number, timeout time.Duration) element {
	dial := element{
		name:     "Dial",
		attrs:    []attr{{"callerId", string(callerID)}},
		children: []element{{name: "Number", text: string(to)}},
	}
	if timeout > 0 {
		dial.attrs = append(dial.attrs, attr{"timeout", strconv.Itoa(wholeSeconds(timeout))})
	}
	return dial
}

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>`

func document(verbs ...element) []byte {
	var b bytes.Buffer
	b.WriteString(xmlHeader)
	writeElement(&b, element{name: "Response", children: verbs})
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
