package plivo

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/switchboard-voice/switchboard/internal/markup"
	"github.com/switchboard-voice/switchboard/telephony"
)

// WriteAnswer writes a as Plivo XML. A call whose stream has ended is ended by
// Plivo itself where nothing follows. Where a has keys or the name of a
// conference that cannot be, nothing is written and the error says so.
func (p *Provider) WriteAnswer(w http.ResponseWriter, a *telephony.Answer) error {
	if err := markup.Check(a); err != nil {
		return fmt.Errorf("plivo: answer: %w", err)
	}
	return markup.Reply(w, "application/xml", p.answerElements(a)...)
}

func (p *Provider) answerElements(a *telephony.Answer) []markup.Element {
	switch a.Reject {
	case telephony.RejectNone:
	case telephony.RejectBusy:
		return []markup.Element{{Name: "Hangup", Attrs: []markup.Attr{{Name: "reason", Value: "busy"}}}}
	default:
		return []markup.Element{{Name: "Hangup", Attrs: []markup.Attr{{Name: "reason", Value: "rejected"}}}}
	}
	var all []markup.Element
	if a.Say != "" {
		all = append(all, markup.Element{Name: "Speak", Attrs: []markup.Attr{{Name: "language", Value: a.Language}}, Text: a.Say})
	}
	if a.Keys != "" {
		// By default what follows would begin after the first key.
		all = append(all, markup.Element{Name: "DTMF", Attrs: []markup.Attr{{Name: "async", Value: "false"}}, Text: a.Keys})
	}
	if a.Stream != nil {
		all = append(all, p.streamElement(a.Stream))
	}
	if a.Dial != nil {
		all = append(all, dialElement(a.Dial))
	}
	if a.Conference != nil {
		all = append(all, conferenceElement(a.Conference))
	}
	if a.Next != "" {
		all = append(all, markup.Element{Name: "Redirect", Attrs: []markup.Attr{{Name: "method", Value: "POST"}}, Text: a.Next})
	}
	if a.Hangup {
		all = append(all, markup.Element{Name: "Hangup"})
	}
	return all
}

// streamElement names the format, because Plivo's pages do not agree on the
// default, and keeps the call alive, because it would end beside a stream.
func (p *Provider) streamElement(s *telephony.StreamAnswer) markup.Element {
	f := p.format()
	e := markup.Element{
		Name: "Stream",
		Attrs: []markup.Attr{
			{Name: "bidirectional", Value: "true"},
			{Name: "keepCallAlive", Value: "true"},
			{Name: "contentType", Value: contentTypes[f.Encoding] + ";rate=" + strconv.Itoa(f.Rate)},
		},
		Text: s.URL,
	}
	if s.StatusURL != "" {
		e.Attrs = append(e.Attrs,
			markup.Attr{Name: "statusCallbackUrl", Value: s.StatusURL}, markup.Attr{Name: "statusCallbackMethod", Value: "POST"})
	}
	return e
}

func dialElement(d *telephony.DialAnswer) markup.Element {
	e := markup.Element{
		Name:     "Dial",
		Attrs:    []markup.Attr{{Name: "callerId", Value: bare(d.CallerID)}},
		Children: []markup.Element{{Name: "Number", Text: bare(d.To)}},
	}
	if d.Timeout > 0 {
		e.Attrs = append(e.Attrs, markup.Attr{Name: "timeout", Value: strconv.FormatInt(wholeSeconds(d.Timeout), 10)})
	}
	if d.ResultURL != "" {
		e.Attrs = append(e.Attrs, markup.Attr{Name: "action", Value: d.ResultURL}, markup.Attr{Name: "method", Value: "POST"})
	}
	return e
}

// conferenceElement has everybody start it, so that two are enough whoever comes
// first. Plivo plays nothing when somebody comes or goes, unless it is told.
func conferenceElement(c *telephony.ConferenceAnswer) markup.Element {
	return markup.Element{
		Name: "Conference",
		Attrs: []markup.Attr{
			{Name: "startConferenceOnEnter", Value: "true"},
			{Name: "endConferenceOnExit", Value: strconv.FormatBool(c.EndOnExit)},
		},
		Text: c.Name,
	}
}

// bare is a number as Plivo writes it.
func bare(n telephony.Number) string { return strings.TrimPrefix(string(n), "+") }
