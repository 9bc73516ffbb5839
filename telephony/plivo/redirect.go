package plivo

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	sdk "github.com/plivo/plivo-go/v7"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Redirect has Plivo ask url, with POST, what to do with an answered call from
// now on. An audio stream of the call ends with it. The id may be that of the
// call or that of its dial. For a call that has not been answered the error
// wraps ErrCallState, for one that is over or unknown ErrCallGone.
func (p *Provider) Redirect(ctx context.Context, providerCallID, url string) error {
	const op = "redirect"
	params := sdk.CallUpdateParams{Legs: "aleg", AlegURL: url, AlegMethod: http.MethodPost}
	return p.onCall(ctx, op, providerCallID, func(call string) error {
		_, err := p.send(ctx, op, http.MethodPost, "Call/"+call, params, nil)
		return err
	})
}

// onCall does something to an answered call, by the best id that is known of it.
// Plivo says of a call that rings, waits, is over or has another id alike that
// there is none. Then it asks how the call stands, and does it once more if only
// the id was wrong: nothing can have been done.
func (p *Provider) onCall(ctx context.Context, op, id string, do func(call string) error) error {
	if err := p.checkID(op, id); err != nil {
		return err
	}
	known, _ := p.dials.get(id)
	tried := cmp.Or(known.call, id)
	err := do(tried)
	if !isGone(err) {
		return err
	}
	now, statusErr := p.Status(ctx, id)
	if statusErr != nil || now.Status.Final() {
		return err
	}
	if now.Status == telephony.StatusInProgress {
		if now.ProviderCallID == tried {
			return err
		}
		return do(now.ProviderCallID)
	}
	var e *telephony.Error
	if errors.As(err, &e) {
		e.Reason = telephony.ErrCallState
	}
	return err
}

// unsupported is what Plivo has not got.
func (p *Provider) unsupported(op, what string) error {
	return &telephony.Error{
		Provider: p.Name(),
		Op:       op,
		Outcome:  telephony.NotSent,
		Reason:   telephony.ErrRefused,
		Message:  what,
		Err:      errors.ErrUnsupported,
	}
}
