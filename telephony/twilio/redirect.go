package twilio

import (
	"context"
	"errors"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Redirect has Twilio ask url, with POST, what to do with an answered call from
// now on. A media stream of the call ends: Twilio closes it when it has the new
// instructions. For a call that has not been answered the error wraps
// ErrCallState, for one that is over or unknown ErrCallGone.
func (p *Provider) Redirect(ctx context.Context, providerCallID, url string) error {
	params := &api.UpdateCallParams{}
	params.SetUrl(url)
	params.SetMethod("POST")
	return p.settle(ctx, providerCallID, p.update(ctx, "redirect", providerCallID, params))
}

// settle tells a call that is over from one that is not answered yet: Twilio
// refuses both as not in progress (21220). It asks once, and if it cannot know,
// it leaves the error as it is.
func (p *Provider) settle(ctx context.Context, sid string, err error) error {
	var e *telephony.Error
	if !errors.As(err, &e) || e.Reason != telephony.ErrCallState {
		return err
	}
	now, statusErr := p.Status(ctx, sid)
	if statusErr == nil && now.Status.Final() || errors.Is(statusErr, telephony.ErrCallGone) {
		e.Reason = telephony.ErrCallGone
	}
	return err
}

// isGone tells that Twilio knows of nothing with that id, or of nothing that
// goes on.
func isGone(err error) bool {
	var e *telephony.Error
	return errors.As(err, &e) && e.Reason == telephony.ErrCallGone && e.HTTPStatus != 0
}
