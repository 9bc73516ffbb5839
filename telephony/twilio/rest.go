package twilio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/switchboard-voice/switchboard/internal/guard"
	"github.com/switchboard-voice/switchboard/telephony"
)

// exchange is one request to the REST API. It is what twilio-go calls a client,
// and gives it what it lacks: a context, a base URL, and a transport that can
// be trusted with money.
type exchange struct {
	ctx    context.Context
	p      *Provider
	status int // of the reply, 0 without one
}

var _ client.BaseClient = (*exchange)(nil)

func (p *Provider) exchange(ctx context.Context) (*exchange, *api.ApiService) {
	x := &exchange{ctx: ctx, p: p}
	return x, api.NewApiServiceWithClient(x)
}

// AccountSid is what twilio-go puts into the path.
func (x *exchange) AccountSid() string { return x.p.AccountSID }

// SetTimeout does nothing: the timeout is the provider's.
func (x *exchange) SetTimeout(time.Duration) {}

// SetOauth does nothing: the credentials are the provider's.
func (x *exchange) SetOauth(client.OAuth) {}

// OAuth returns nil.
func (x *exchange) OAuth() client.OAuth { return nil }

// SendRequest sends the request that twilio-go has put together. Of rawURL only
// the path counts, because twilio-go lets the environment change the host.
func (x *exchange) SendRequest(method, rawURL string, data url.Values, headers map[string]any, _ ...byte) (*http.Response, error) {
	from, err := url.Parse(rawURL)
	if err != nil {
		return nil, &guard.Error{NotSent: true, Err: errors.New("bad request path")}
	}
	target := from.EscapedPath()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(data.Encode())
	} else if len(data) > 0 {
		target += "?" + data.Encode()
	}
	req, err := x.request(method, target, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "application/json")
	reply, err := x.p.rest().Do(req)
	if err != nil {
		return nil, err
	}
	x.status = reply.Status
	return &http.Response{
		StatusCode: reply.Status,
		Header:     reply.Header,
		Body:       io.NopCloser(bytes.NewReader(reply.Body)),
	}, nil
}

// request is one to the REST API, with the credentials for it.
func (x *exchange) request(method, target string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(x.ctx, method, strings.TrimSuffix(x.p.baseURL(), "/")+target, body)
	if err != nil {
		return nil, &guard.Error{NotSent: true, Err: errors.New("bad base URL")}
	}
	req.Header.Set("User-Agent", "switchboard")
	if x.p.APIKey != "" {
		req.SetBasicAuth(x.p.APIKey, string(x.p.APISecret))
	} else {
		req.SetBasicAuth(x.p.AccountSID, string(x.p.AuthToken))
	}
	return req, nil
}

// badReply is a reply of success that cannot be one.
func (x *exchange) badReply(op, problem string) *telephony.Error {
	return &telephony.Error{
		Provider:   x.p.Name(),
		Op:         op,
		Reason:     telephony.ErrBadReply,
		HTTPStatus: x.status,
		Message:    problem,
	}
}

// failure puts an error of twilio-go or of the transport into our words.
func (x *exchange) failure(op string, err error) *telephony.Error {
	var failed *guard.Error
	if !errors.As(err, &failed) {
		return x.badReply(op, "not the JSON that was expected")
	}
	e := &telephony.Error{
		Provider:   x.p.Name(),
		Op:         op,
		Outcome:    failed.Outcome(),
		Reason:     failed.Reason(),
		HTTPStatus: failed.Status,
		RetryAfter: failed.RetryAfter,
		Err:        failed.Err,
	}
	var said struct {
		Code    json.Number `json:"code"`
		Message string      `json:"message"`
	}
	if json.Unmarshal(failed.Body, &said) != nil {
		return e // HTML from a proxy, or nothing
	}
	e.Code = said.Code.String()
	e.Message = x.mask(said.Message)
	if reason, known := reasons[e.Code]; known {
		e.Reason = reason
	}
	// The HTTP status of some of these codes is not documented; that they mean
	// "not now" is.
	if e.Reason == telephony.ErrThrottled && e.Outcome == telephony.Rejected {
		e.Outcome = telephony.Throttled
	}
	return e
}

// mask removes from a message what does not belong into a log.
func (x *exchange) mask(message string) string {
	if x.p.AccountSID != "" {
		message = strings.ReplaceAll(message, x.p.AccountSID, "[account]")
	}
	return telephony.Mask(message)
}

// reasons are the codes of Twilio's error dictionary that say more than the
// HTTP status does (https://www.twilio.com/docs/api/errors).
var reasons = map[string]error{
	"10004":  telephony.ErrThrottled,     // too many calls at once
	"13224":  telephony.ErrInvalidNumber, // not a number that can be dialed
	"20003":  telephony.ErrAuth,          // bad credentials
	"20404":  telephony.ErrCallGone,      // no such call
	"20429":  telephony.ErrThrottled,     // too many requests
	"21201":  telephony.ErrRefused,       // no To
	"21205":  telephony.ErrRefused,       // no Url, or a bad one
	"21210":  telephony.ErrInvalidFrom,   // From is neither owned nor verified
	"21211":  telephony.ErrInvalidNumber, // To is not a number
	"21212":  telephony.ErrInvalidFrom,   // From is not a number
	"21213":  telephony.ErrRefused,       // no From
	"21214":  telephony.ErrInvalidNumber, // To cannot be reached
	"21215":  telephony.ErrNotAllowed,    // country not enabled
	"21216":  telephony.ErrNotAllowed,    // number blocked
	"21217":  telephony.ErrInvalidNumber, // not a valid number
	"21219":  telephony.ErrNotAllowed,    // trial account, To not verified
	"21220":  telephony.ErrCallState,     // call is not in progress
	"22005":  telephony.ErrThrottled,     // queue is a day long
	"573005": telephony.ErrNotAllowed,    // trial account, To not verified
}
