package plivo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	sdk "github.com/plivo/plivo-go/v7"

	"github.com/switchboard-voice/switchboard/telephony"
)

// longestName is the most of a caller's name that Plivo takes, in characters.
const longestName = 50

// Dial asks Plivo to place one call, and returns the id of the request. Plivo
// queues it and dials at the account's rate (two a second, unless raised), so
// that it may ring much later. Plivo cannot tell the end of a machine's greeting:
// DetectBeep is left out. A CallerName that is too long and SIPHeaders that are
// not made of letters and digits are refused here.
func (p *Provider) Dial(ctx context.Context, req *telephony.DialRequest) (string, error) {
	const op = "dial"
	headers, ok := sipHeaders(req.SIPHeaders)
	if !ok {
		return "", p.refused(op, "SIP headers are letters and digits only")
	}
	if utf8.RuneCountInString(req.CallerName) > longestName {
		return "", p.refused(op, "the caller's name is longer than 50 characters")
	}
	params := sdk.CallCreateParams{
		From:         string(req.From),
		To:           string(req.To),
		AnswerURL:    req.AnswerURL,
		AnswerMethod: http.MethodPost,
		// Without an address of its own the end of a call is told to AnswerURL,
		// which is asked what to do there.
		HangupURL:    cmp.Or(req.StatusURL, req.AnswerURL),
		HangupMethod: http.MethodPost,
		RingTimeout:  wholeSeconds(req.RingTimeout),
		TimeLimit:    wholeSeconds(req.MaxDuration),
		SendDigits:   req.SendDigits,
		CallerName:   req.CallerName,
		SipHeaders:   headers,
	}
	if req.StatusURL != "" {
		params.RingURL, params.RingMethod = req.StatusURL, http.MethodPost
	}
	if req.MachineDetection {
		// With an address it does not hold up the call.
		params.MachineDetection = "true"
		params.MachineDetectionUrl, params.MachineDetectionMethod = req.MachineURL, http.MethodPost
	}

	var reply struct {
		RequestUUID oneID `json:"request_uuid"`
	}
	x, err := p.send(ctx, op, http.MethodPost, "Call", params, &reply)
	if err != nil {
		return "", refusal(err)
	}
	id := string(reply.RequestUUID)
	if !isUUID(id) {
		return "", x.badReply("no id of a request")
	}
	p.dials.add(id, req.To)
	return id, nil
}

// sipHeaders writes headers as Plivo takes them, by name.
func sipHeaders(headers map[string]string) (list string, ok bool) {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value := headers[name]
		if !alphanumeric(name) || !alphanumeric(value) {
			return "", false
		}
		pairs = append(pairs, name+"="+value)
	}
	return strings.Join(pairs, ","), true
}

var alphanumeric = of(1, 512, letters+digits)

// refused is what Plivo would refuse.
func (p *Provider) refused(op, why string) error {
	return &telephony.Error{Provider: p.Name(), Op: op, Outcome: telephony.Rejected, Reason: telephony.ErrRefused, Message: why}
}

// oneID is an id that stands alone or as the only one in an array: Plivo answers
// with an array for several calls.
type oneID string

// UnmarshalJSON reads either.
func (id *oneID) UnmarshalJSON(b []byte) error {
	var several []string
	if json.Unmarshal(b, &several) == nil {
		if len(several) == 1 {
			*id = oneID(several[0])
		}
		return nil
	}
	return json.Unmarshal(b, (*string)(id))
}

// refusal finds out what Plivo did not like about a dial. It says so in English
// only, beginning with the name of the parameter.
func refusal(err error) error {
	var e *telephony.Error
	if !errors.As(err, &e) {
		return err
	}
	parameter, _, _ := strings.Cut(strings.ToLower(e.Message), " ")
	switch {
	case e.Reason == telephony.ErrCallGone:
		e.Reason = telephony.ErrRefused // there was no call to be gone
	case e.HTTPStatus != http.StatusBadRequest:
	case strings.Trim(parameter, `'"`) == "from":
		e.Reason = telephony.ErrInvalidFrom
	case strings.Trim(parameter, `'"`) == "to":
		e.Reason = telephony.ErrInvalidNumber
	}
	return e
}

func wholeSeconds(d time.Duration) int64 { return int64((max(d, 0) + time.Second - 1) / time.Second) }

// Hangup ends a call, also one that is queued or ringing. The id may be that of
// the call or that of its dial. A call that is over, or that Plivo does not know,
// is no error.
func (p *Provider) Hangup(ctx context.Context, providerCallID string) error {
	if err := p.checkID("hangup", providerCallID); err != nil {
		return err
	}
	known, pending := p.dials.get(providerCallID)
	id := cmp.Or(known.call, providerCallID)
	if err := p.remove(ctx, "Call/"+id); !isGone(err) {
		return err
	}
	if known.call != "" {
		return nil
	}
	// It is over, or it still waits in the queue, under the id of its dial.
	err := p.remove(ctx, "Request/"+providerCallID)
	if err == nil || errors.Is(err, telephony.ErrAuth) || telephony.OutcomeOf(err) != telephony.Rejected {
		return err
	}
	if !pending {
		return nil
	}
	// Or it has just left the queue, and no webhook has told its own id yet.
	calls, err := p.calls(ctx, "hangup", "live", known.to)
	if err != nil {
		return err
	}
	for _, c := range calls {
		if c.is(providerCallID) && isUUID(c.CallUUID) {
			if err := p.remove(ctx, "Call/"+c.CallUUID); err != nil && !isGone(err) {
				return err
			}
		}
	}
	return nil
}

func (p *Provider) remove(ctx context.Context, path string) error {
	_, err := p.send(ctx, "hangup", http.MethodDelete, path, nil, nil)
	return err
}

// checkID keeps out ids that are no part of a path.
func (p *Provider) checkID(op, id string) error {
	if isUUID(id) {
		return nil
	}
	return &telephony.Error{
		Provider: p.Name(),
		Op:       op,
		Outcome:  telephony.Rejected,
		Reason:   telephony.ErrCallGone,
		Message:  "not an id at Plivo",
	}
}

// isUUID reports whether s is written as an id of Plivo's is.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}
