package callhttp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/stream"
	"github.com/switchboard-voice/switchboard/telephony"
)

// TypePrefix begins the type of every problem; the rest is a stable word, such
// as "invalid_phone_number".
const TypePrefix = "urn:switchboard:problem:"

const problemType = "application/problem+json"

// Problem is the body of every answer that reports an error (RFC 9457).
type Problem struct {
	Type   string  `json:"type" doc:"What kind of problem it is: stable, for programs." example:"urn:switchboard:problem:invalid_phone_number"`
	Title  string  `json:"title" doc:"The kind of problem, for people."`
	Status int     `json:"status" doc:"The HTTP status."`
	Detail string  `json:"detail,omitempty" doc:"What is wrong with this request."`
	Errors []Fault `json:"errors,omitempty" doc:"What is wrong, part by part."`

	retryAfter time.Duration // 0: not said
}

// Fault is one part of a request that is wrong.
type Fault struct {
	Location string `json:"location" doc:"Where it is." example:"body.to_phone"`
	Message  string `json:"message" doc:"What is wrong with it."`
}

// The problems there are.
var (
	invalidRequest   = kind(400, "invalid_request", "The request is not valid")
	invalidNumber    = kind(400, "invalid_phone_number", "Not a phone number in E.164 form")
	unauthorized     = kind(401, "unauthorized", "Not authorized")
	notAllowed       = kind(403, "destination_not_allowed", "The destination may not be dialed")
	outsideHours     = kind(403, "outside_calling_hours", "Nobody is called there at this time")
	doNotCall        = kind(403, "do_not_call", "The number is not to be called")
	policyRefuses    = kind(403, "not_allowed", "The call is not allowed")
	notFound         = kind(404, "not_found", "Nothing here")
	callNotFound     = kind(404, "call_not_found", "No such call")
	agentNotFound    = kind(404, "agent_not_found", "No such agent")
	campaignNotFound = kind(404, "campaign_not_found", "No such campaign")
	scheduleNotFound = kind(404, "schedule_not_found", "No such schedule")
	noRecording      = kind(404, "recording_not_found", "The call has no recording")
	methodNotAllowed = kind(405, "method_not_allowed", "The address does not have this method")
	notAcceptable    = kind(406, "not_acceptable", "The answer cannot be had in this form")
	tooSlow          = kind(408, "request_timeout", "The request did not come in time")
	conflict         = kind(409, "idempotency_conflict", "The idempotency key was used for another request")
	callLive         = kind(409, "call_live", "The call is not over")
	callState        = kind(409, "call_state", "The call is not in a state for this")
	campaignState    = kind(409, "campaign_state", "The campaign is not in a state for this")
	tooLarge         = kind(413, "request_too_large", "The body is too large")
	unsupportedType  = kind(415, "unsupported_media_type", "The body must be application/json")
	tooManyCalls     = kind(429, "too_many_calls", "As many calls are live as are allowed")
	tooFast          = kind(429, "too_fast", "Too many calls were asked for in a short time")
	spendCap         = kind(429, "spend_cap", "The call might cost more than may be spent")
	internalError    = kind(500, "internal_error", "Something went wrong inside")
	unsupported      = kind(501, "not_supported", "This service cannot do it")
	transferFailed   = kind(502, "transfer_failed", "The carrier did not transfer the call")
	connectionFailed = kind(502, "call_connection_failed", "The carrier did not take the call")
	draining         = kind(503, "draining", "The service is shutting down")
	overloaded       = kind(503, "overloaded", "The service has no room for more")
	storeAway        = kind(503, "store_away", "The records of calls cannot be reached")
	noLease          = kind(503, "no_lease", "This server takes no calls at present")
	unreachable      = kind(503, "call_unreachable", "The server that has the call does not answer")
)

func kind(status int, word, title string) Problem {
	p := Problem{Type: TypePrefix + word, Title: title, Status: status}
	if status == 503 {
		p.retryAfter = call.OverloadRetry
	}
	return p
}

// after returns the problem with the time after which to try again; 0 if nobody
// knows.
func (p Problem) after(d time.Duration) Problem {
	p.retryAfter = d
	return p
}

// with returns the problem with a detail.
func (p Problem) with(detail string) *Problem {
	p.Detail = detail
	return &p
}

// at returns the problem with one fault.
func (p Problem) at(location, message string) *Problem {
	p.Detail = location + ": " + message
	p.Errors = []Fault{{Location: location, Message: message}}
	return &p
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus is how huma learns the status of an answer.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders is how huma learns the headers of an answer.
func (p *Problem) GetHeaders() http.Header {
	h := make(http.Header)
	if p.retryAfter > 0 {
		seconds := (p.retryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	return h
}

// ContentType is how huma learns the type of an answer.
func (p *Problem) ContentType(string) string { return problemType }

func (p *Problem) write(w http.ResponseWriter) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// fromHuma is the problem that huma found by itself. huma says 422 for what is
// 400 here, and repeats the values it was sent, which may be anything.
func fromHuma(m *huma.ErrorModel) *Problem {
	p := invalidRequest
	switch m.Status {
	case http.StatusNotAcceptable:
		p = notAcceptable
	case http.StatusRequestTimeout:
		p = tooSlow
	case http.StatusRequestEntityTooLarge:
		p = tooLarge
	case http.StatusUnsupportedMediaType:
		p = unsupportedType
	}
	if m.Status >= 500 {
		p = internalError
		return &p
	}
	var all []string
	for _, e := range m.Errors {
		p.Errors = append(p.Errors, Fault{Location: e.Location, Message: e.Message})
		all = append(all, strings.TrimPrefix(e.Location+": "+e.Message, ": "))
	}
	p.Detail = m.Detail
	if len(all) > 0 {
		p.Detail = strings.Join(all, "; ")
	}
	return &p
}

// problem is how an error of the service is answered. What is not a client's
// fault is logged, and not told.
func (a *API) problem(ctx context.Context, err error) *Problem {
	var known *Problem
	if errors.As(err, &known) {
		return known
	}
	switch {
	case errors.Is(err, call.ErrNotFound):
		return callNotFound.with("there is no call with this id")
	case errors.Is(err, call.ErrUnknownAgent):
		return agentNotFound.at("body.agent_id", "there is no such agent")
	case errors.Is(err, call.ErrUnknownProvider):
		return invalidRequest.at("body.provider", "there is no such provider")
	case errors.Is(err, call.ErrNotAllowed):
		return a.refused(ctx, err)
	case errors.Is(err, telephony.ErrInvalidNumber):
		return invalidNumber.with("not a number in E.164 form")
	case errors.Is(err, call.ErrInvalidRequest):
		return invalidField(reason(err, call.ErrInvalidRequest))
	case errors.Is(err, call.ErrIdempotency):
		return conflict.at("header.Idempotency-Key", "was used for another request")
	case errors.Is(err, call.ErrLive):
		return callLive.with("end the call first")
	case errors.Is(err, call.ErrOverloaded):
		return overloaded.with("as many calls are live as are allowed")
	case errors.Is(err, call.ErrShutdown):
		return draining.with("no new calls are taken")
	case errors.Is(err, call.ErrNoLease):
		return noLease.with("it has lost touch with the others; nothing was dialed")
	case errors.Is(err, call.ErrUnreachable):
		a.log.ErrorContext(ctx, "replica", "err", err)
		return unreachable.with("it is not known whether it was done")
	case errors.Is(err, call.ErrStore):
		a.log.ErrorContext(ctx, "store", "err", err)
		return storeAway.with("nothing was begun")
	case errors.Is(err, call.ErrEnded), errors.Is(err, telephony.ErrCallGone):
		return callState.with("the call is over")
	case errors.Is(err, telephony.ErrCallState):
		return callState.with(whyNot(err))
	case errors.Is(err, stream.ErrKeys):
		return invalidRequest.at("body.digits", "is not 1 to 32 of 0-9, * and #")
	case errors.Is(err, errors.ErrUnsupported):
		return unsupported.with("neither the service nor the carrier of this call is set up for it")
	}
	var carrier *telephony.Error
	if errors.As(err, &carrier) {
		a.log.ErrorContext(ctx, "carrier", "err", err)
		return connectionFailed.with(carrier.Reason.Error())
	}
	if ctx.Err() == nil {
		a.log.ErrorContext(ctx, "request failed", "err", err)
	}
	return internalError.with("")
}

// refused is the problem that a policy has with a call. What a policy says that
// gives no reason may be anything, and is logged and not told.
func (a *API) refused(ctx context.Context, err error) *Problem {
	r := call.RefusalOf(err)
	why := r.Error()
	switch r.Reason {
	case call.RefusedDestination:
		return notAllowed.at("body.to_phone", why)
	case call.RefusedHours:
		return outsideHours.after(r.RetryAfter).at("body.to_phone", why)
	case call.RefusedDoNotCall:
		return doNotCall.at("body.to_phone", why)
	case call.RefusedCalls:
		return tooManyCalls.after(cmp.Or(r.RetryAfter, call.OverloadRetry)).with(why)
	case call.RefusedRate:
		return tooFast.after(cmp.Or(r.RetryAfter, call.OverloadRetry)).with(why)
	case call.RefusedSpend:
		return spendCap.after(r.RetryAfter).with(why)
	case call.RefusedOther:
		a.log.ErrorContext(ctx, "policy", "err", err)
		return policyRefuses.with("")
	}
	return policyRefuses.after(r.RetryAfter).with(why)
}

// serviceFields are names in requests to the service, and where a client of the
// API has said what is in them.
var serviceFields = []struct{ name, location string }{
	{"Options.MaxDuration", "body.timeout_seconds"},
	{"Options.Silence", "body.silence_timeout_seconds"},
	{"Options.Transcribe", "body.enable_transcription"},
	{"Options.Record", "body.record_call"},
	{"Context and Metadata", "body.customer_data"},
	{"IdempotencyKey", "header.Idempotency-Key"},
}

// invalidField is the problem with a request that the service has refused.
func invalidField(why string) *Problem {
	for _, f := range serviceFields {
		if rest, found := strings.CutPrefix(why, f.name); found {
			return invalidRequest.at(f.location, strings.TrimLeft(rest, ": "))
		}
	}
	return invalidRequest.with(why)
}

// reason is what an error says after the sentinel that it wraps: written by the
// service for whoever asked.
func reason(err, sentinel error) string {
	_, after, found := strings.Cut(err.Error(), sentinel.Error()+": ")
	if !found {
		return sentinel.Error()
	}
	return after
}

// whyNot is what an error says of a call that is not in a state for something,
// before the sentinel: the state.
func whyNot(err error) string {
	var carrier *telephony.Error
	if errors.As(err, &carrier) {
		return carrier.Reason.Error()
	}
	before, _, found := strings.Cut(err.Error(), ": "+telephony.ErrCallState.Error())
	if !found {
		return telephony.ErrCallState.Error()
	}
	parts := strings.Split(before, ": ")
	return parts[len(parts)-1]
}
