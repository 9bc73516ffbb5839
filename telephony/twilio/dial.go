package twilio

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Dial asks Twilio to place one call. Twilio queues it and dials at the
// account's rate (one a second, unless raised), so that it may ring much later.
//
// SendDigits turns machine detection off; that is a rule of Twilio's. With
// DetectBeep Twilio reports a machine once, when its greeting has ended. Twilio
// shows no CallerName, which is left out, and takes no SIPHeaders: with any, the
// error wraps errors.ErrUnsupported and nothing is sent.
func (p *Provider) Dial(ctx context.Context, req *telephony.DialRequest) (string, error) {
	if len(req.SIPHeaders) > 0 {
		return "", p.unsupported("dial", "SIP headers cannot be sent")
	}
	params := &api.CreateCallParams{}
	params.SetTo(string(req.To))
	params.SetFrom(string(req.From))
	params.SetUrl(req.AnswerURL)
	if req.StatusURL != "" {
		params.SetStatusCallback(req.StatusURL)
		params.SetStatusCallbackMethod("POST")
		params.SetStatusCallbackEvent([]string{"initiated", "ringing", "answered", "completed"})
	}
	if req.RingTimeout > 0 {
		params.SetTimeout(wholeSeconds(req.RingTimeout))
	}
	if req.MaxDuration > 0 {
		params.SetTimeLimit(wholeSeconds(req.MaxDuration))
	}
	if req.SendDigits != "" {
		params.SetSendDigits(req.SendDigits)
	}
	if req.MachineDetection {
		params.SetMachineDetection("Enable")
		if req.DetectBeep {
			params.SetMachineDetection("DetectMessageEnd")
		}
		params.SetAsyncAmd("true")
		params.SetAsyncAmdStatusCallback(req.MachineURL)
	}

	x, service := p.exchange(ctx)
	call, err := service.CreateCall(params)
	if err != nil {
		e := x.failure("dial", err)
		if e.Reason == telephony.ErrCallGone {
			e.Reason = telephony.ErrRefused // there was no call to be gone
		}
		return "", e
	}
	sid := text(call.Sid)
	if !callShape.MatchString(sid) {
		return "", x.badReply("dial", "no id of a call")
	}
	return sid, nil
}

// Hangup ends a call, also one that is queued or ringing. One that is over, or
// that Twilio does not know, is no error.
func (p *Provider) Hangup(ctx context.Context, providerCallID string) error {
	params := &api.UpdateCallParams{}
	params.SetStatus("completed")
	err := p.settle(ctx, providerCallID, p.update(ctx, "hangup", providerCallID, params))
	if isGone(err) {
		return nil
	}
	return err
}

func (p *Provider) update(ctx context.Context, op, sid string, params *api.UpdateCallParams) error {
	if err := p.checkCallID(op, sid); err != nil {
		return err
	}
	x, service := p.exchange(ctx)
	if _, err := service.UpdateCall(sid, params); err != nil {
		return x.failure(op, err)
	}
	return nil
}

// Status asks Twilio how a call stands. For a call that Twilio does not know the
// error wraps ErrCallGone.
func (p *Provider) Status(ctx context.Context, providerCallID string) (telephony.Event, error) {
	if err := p.checkCallID("status", providerCallID); err != nil {
		return telephony.Event{}, err
	}
	x, service := p.exchange(ctx)
	call, err := service.FetchCall(providerCallID, &api.FetchCallParams{})
	if err != nil {
		return telephony.Event{}, x.failure("status", err)
	}
	if text(call.Sid) != providerCallID {
		return telephony.Event{}, x.badReply("status", "not the call that was asked for")
	}
	return eventOf(call), nil
}

// checkCallID keeps out ids that are no part of a path.
func (p *Provider) checkCallID(op, sid string) error {
	if callShape.MatchString(sid) {
		return nil
	}
	return &telephony.Error{
		Provider: p.Name(),
		Op:       op,
		Outcome:  telephony.Rejected,
		Reason:   telephony.ErrCallGone,
		Message:  "not an id of a call at Twilio",
	}
}

// Calls of one day between two numbers are few; a thousand of them is a fault.
const (
	findPageSize = 50
	findMaxPages = 20
)

// Find looks for calls that we placed from req.From to req.To. Twilio filters by
// day, so the rest is done here, to the second that Twilio keeps.
func (p *Provider) Find(ctx context.Context, req *telephony.DialRequest, since time.Time) ([]telephony.Event, error) {
	params := &api.ListCallParams{}
	params.SetTo(string(req.To))
	params.SetFrom(string(req.From))
	params.SetStartTimeAfter(since.UTC().Truncate(24 * time.Hour))
	params.SetPageSize(findPageSize)

	var found []foundCall
	pageToken, pageNumber := "", ""
	for range findMaxPages {
		x, service := p.exchange(ctx)
		page, err := service.PageCall(params, pageToken, pageNumber)
		if err != nil {
			return nil, x.failure("find", err)
		}
		for _, call := range page.Calls {
			if !callShape.MatchString(text(call.Sid)) {
				return nil, x.badReply("find", "no id of a call")
			}
			// A number that calls itself has an incoming call with equal ends.
			if text(call.Direction) == "inbound" {
				continue
			}
			created := parseTime(text(call.DateCreated))
			if created.IsZero() || !created.Before(since.Truncate(time.Second)) {
				found = append(found, foundCall{created, eventOf(&call)})
			}
		}
		if text(page.NextPageUri) == "" {
			return newestFirst(found), nil
		}
		next, err := url.Parse(*page.NextPageUri)
		if err != nil {
			return nil, x.badReply("find", "bad address of the next page")
		}
		pageToken, pageNumber = next.Query().Get("PageToken"), next.Query().Get("Page")
	}
	x, _ := p.exchange(ctx)
	return nil, x.badReply("find", "too many calls")
}

type foundCall struct {
	created time.Time // zero if Twilio did not say, which it does at first
	event   telephony.Event
}

func newestFirst(calls []foundCall) []telephony.Event {
	slices.SortStableFunc(calls, func(a, b foundCall) int {
		if a.created.IsZero() != b.created.IsZero() {
			if a.created.IsZero() {
				return -1
			}
			return 1
		}
		return b.created.Compare(a.created)
	})
	events := make([]telephony.Event, len(calls))
	for i, c := range calls {
		events[i] = c.event
	}
	return events
}

// eventOf reads a call of the REST API.
func eventOf(call *api.ApiV2010Call) telephony.Event {
	at := cmp.Or(text(call.EndTime), text(call.DateUpdated), text(call.DateCreated))
	seconds, _ := strconv.Atoi(text(call.Duration))
	return telephony.Event{
		ID:             digest("call", text(call.Sid), text(call.Status), at, text(call.Duration), text(call.AnsweredBy)),
		ProviderCallID: text(call.Sid),
		Direction:      directionOf(text(call.Direction)),
		From:           telephony.Number(text(call.From)),
		To:             telephony.Number(text(call.To)),
		Status:         statuses[text(call.Status)],
		Sequence:       -1,
		At:             parseTime(at),
		Duration:       time.Duration(max(seconds, 0)) * time.Second,
		AnsweredBy:     answerers[text(call.AnsweredBy)],
	}
}

// text returns what s points to, and nothing for nil.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return strings.TrimSpace(*s)
}
