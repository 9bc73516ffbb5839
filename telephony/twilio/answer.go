package twilio

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/switchboard-voice/switchboard/internal/markup"
	"github.com/switchboard-voice/switchboard/telephony"
)

// WriteAnswer writes a as TwiML. A stream after which nothing is said to follow
// is followed by a hangup, because what Twilio does when a stream ends depends
// on what comes next. Where a has keys or the name of a conference that cannot
// be, nothing is written and the error says so.
func (p *Provider) WriteAnswer(w http.ResponseWriter, a *telephony.Answer) error {
	if err := markup.Check(a); err != nil {
		return fmt.Errorf("twilio: answer: %w", err)
	}
	return markup.Reply(w, "text/xml", answerVerbs(a)...)
}

func answerVerbs(a *telephony.Answer) []markup.Element {
	switch a.Reject {
	case telephony.RejectNone:
	case telephony.RejectBusy:
		return []markup.Element{{Name: "Reject", Attrs: []markup.Attr{{Name: "reason", Value: "busy"}}}}
	default:
		return []markup.Element{{Name: "Reject", Attrs: []markup.Attr{{Name: "reason", Value: "rejected"}}}}
	}
	var verbs []markup.Element
	if a.Say != "" {
		verbs = append(verbs, markup.Element{Name: "Say", Attrs: []markup.Attr{{Name: "language", Value: a.Language}}, Text: a.Say})
	}
	if a.Keys != "" {
		verbs = append(verbs, markup.Element{Name: "Play", Attrs: []markup.Attr{{Name: "digits", Value: a.Keys}}})
	}
	if a.Stream != nil {
		s := markup.Element{Name: "Stream", Attrs: []markup.Attr{
			{Name: "url", Value: a.Stream.URL},
			{Name: "statusCallback", Value: a.Stream.StatusURL},
		}}
		verbs = append(verbs, markup.Element{Name: "Connect", Children: []markup.Element{s}})
	}
	if a.Dial != nil {
		verbs = append(verbs, dialVerb(a.Dial))
	}
	if a.Conference != nil {
		verbs = append(verbs, conferenceVerb(a.Conference))
	}
	if a.Next != "" {
		verbs = append(verbs, markup.Element{Name: "Redirect", Attrs: []markup.Attr{{Name: "method", Value: "POST"}}, Text: a.Next})
	}
	if a.Hangup || a.Stream != nil && a.Next == "" {
		verbs = append(verbs, markup.Element{Name: "Hangup"})
	}
	return verbs
}

// dialVerb connects two people.
func dialVerb(d *telephony.DialAnswer) markup.Element {
	dial := markup.Element{
		Name:     "Dial",
		Attrs:    []markup.Attr{{Name: "callerId", Value: string(d.CallerID)}},
		Children: []markup.Element{{Name: "Number", Text: string(d.To)}},
	}
	if d.Timeout > 0 {
		dial.Attrs = append(dial.Attrs, markup.Attr{Name: "timeout", Value: strconv.Itoa(wholeSeconds(d.Timeout))})
	}
	if d.ResultURL != "" {
		dial.Attrs = append(dial.Attrs, markup.Attr{Name: "action", Value: d.ResultURL}, markup.Attr{Name: "method", Value: "POST"})
	}
	return dial
}

// conferenceVerb has everybody start it, so that two are enough whoever comes
// first; alone, one hears Twilio's music. No beep tells that somebody came.
func conferenceVerb(c *telephony.ConferenceAnswer) markup.Element {
	return markup.Element{Name: "Dial", Children: []markup.Element{{
		Name: "Conference",
		Attrs: []markup.Attr{
			{Name: "beep", Value: "false"},
			{Name: "startConferenceOnEnter", Value: "true"},
			{Name: "endConferenceOnExit", Value: strconv.FormatBool(c.EndOnExit)},
		},
		Text: c.Name,
	}}}
}

func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
