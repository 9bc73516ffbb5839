package plivo

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	sdk "github.com/plivo/plivo-go/v7"

	"github.com/switchboard-voice/switchboard/internal/guard"
	"github.com/switchboard-voice/switchboard/telephony"
)

// open makes what requests are built and sent with. The SDK only builds them: it
// would send a POST three times, and report success.
func (p *Provider) open() {
	p.client = guard.New(p.Transport, p.Timeout)
	p.files = guard.New(p.Transport, p.Timeout)
	// It fails for a bad address only, and that is a constant of its own.
	p.builder, _ = sdk.NewClient(p.AuthID, string(p.AuthToken), &sdk.ClientOptions{HttpClient: &http.Client{}})
	// For an empty one it would look into the environment.
	p.builder.AuthId, p.builder.AuthToken = p.AuthID, string(p.AuthToken)
}

var errBadURL = errors.New("bad base URL")

// exchange is one request to the REST API and what came of it.
type exchange struct {
	p      *Provider
	op     string
	status int // of the reply, 0 without one
}

// send sends one request, at most once, and reads the reply into result, unless
// that is nil. The path is below the account's; ids in it have been checked. The
// error is a *telephony.Error.
func (p *Provider) send(ctx context.Context, op, method, path string, params, result any) (*exchange, error) {
	p.once.Do(p.open)
	x := &exchange{p: p, op: op}
	req, err := p.builder.NewRequest(method, params, "%s", path)
	if err != nil {
		return x, x.failure(&guard.Error{NotSent: true, Err: errors.New("request cannot be written")})
	}
	base, err := url.Parse(p.baseURL())
	if err != nil {
		return x, x.failure(&guard.Error{NotSent: true, Err: errBadURL})
	}
	req.URL.Scheme, req.URL.Host = base.Scheme, base.Host
	req.URL.Path = strings.TrimSuffix(base.Path, "/") + req.URL.Path
	req.Host = ""
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "switchboard")

	reply, err := p.client.Do(req.WithContext(ctx))
	if err != nil {
		return x, x.failure(err)
	}
	x.status = reply.Status
	if result != nil && json.Unmarshal(reply.Body, result) != nil {
		return x, x.badReply("not the JSON that was expected")
	}
	return x, nil
}

// badReply is a reply of success that cannot be one.
func (x *exchange) badReply(problem string) *telephony.Error {
	return &telephony.Error{
		Provider:   x.p.Name(),
		Op:         x.op,
		Reason:     telephony.ErrBadReply,
		HTTPStatus: x.status,
		Message:    problem,
	}
}

// failure puts an error of the transport into our words. Plivo has no codes for
// what went wrong, so it is the HTTP status that decides.
func (x *exchange) failure(err error) *telephony.Error {
	var failed *guard.Error
	if !errors.As(err, &failed) {
		return x.badReply("no reply")
	}
	e := &telephony.Error{
		Provider:   x.p.Name(),
		Op:         x.op,
		Outcome:    failed.Outcome(),
		Reason:     failed.Reason(),
		HTTPStatus: failed.Status,
		RetryAfter: failed.RetryAfter,
		Err:        failed.Err,
	}
	switch {
	case failed.Status == http.StatusForbidden:
		e.Reason = telephony.ErrNotAllowed // wrong credentials are a 401
	case failed.Status >= 400 && failed.Status <= 499 && e.Reason == telephony.ErrBadReply:
		e.Reason = telephony.ErrRefused
	}
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(failed.Body, &said) == nil { // otherwise plain text or HTML
		e.Message = x.mask(said.Error)
	}
	return e
}

// mask removes from a message what does not belong into a log.
func (x *exchange) mask(message string) string {
	if x.p.AuthID != "" {
		message = strings.ReplaceAll(message, x.p.AuthID, "[account]")
	}
	return telephony.Mask(message)
}

// isGone tells that the carrier knows of nothing with that id.
func isGone(err error) bool {
	var e *telephony.Error
	return errors.As(err, &e) && e.Reason == telephony.ErrCallGone && e.HTTPStatus != 0
}
