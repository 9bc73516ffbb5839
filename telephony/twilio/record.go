package twilio

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/switchboard-voice/switchboard/telephony"
)

// StartRecording records an answered call, both sides unless r.Mono mixes them,
// until it ends or StopRecording ends it. r.StatusURL is told once: that the
// recording is there, or that there will be none. Twilio cannot end a recording
// after a time: with a MaxDuration the error wraps errors.ErrUnsupported, and
// nothing is sent. For a call that has not been answered it wraps ErrCallState,
// for one that is over or unknown ErrCallGone.
func (p *Provider) StartRecording(ctx context.Context, providerCallID string, r *telephony.RecordRequest) (string, error) {
	const op = "start recording"
	if r.MaxDuration > 0 {
		return "", p.unsupported(op, "a recording cannot be told when to end")
	}
	if err := p.checkCallID(op, providerCallID); err != nil {
		return "", err
	}
	params := &api.CreateCallRecordingParams{}
	params.SetRecordingChannels("dual")
	if r.Mono {
		params.SetRecordingChannels("mono")
	}
	if r.StatusURL != "" {
		params.SetRecordingStatusCallback(r.StatusURL)
		params.SetRecordingStatusCallbackMethod("POST")
		params.SetRecordingStatusCallbackEvent([]string{"completed", "absent"})
	}
	x, service := p.exchange(ctx)
	recording, err := service.CreateCallRecording(providerCallID, params)
	if err != nil {
		return "", p.settle(ctx, providerCallID, x.failure(op, err))
	}
	id := text(recording.Sid)
	if !recordID.MatchString(id) {
		return "", x.badReply(op, "no id of a recording")
	}
	return id, nil
}

// PauseRecording leaves out what follows, with silence in its place.
func (p *Provider) PauseRecording(ctx context.Context, providerCallID, recordingID string) error {
	params := &api.UpdateCallRecordingParams{}
	params.SetStatus("paused")
	params.SetPauseBehavior("silence")
	return p.updateRecording(ctx, "pause recording", providerCallID, recordingID, params)
}

// ResumeRecording ends a pause.
func (p *Provider) ResumeRecording(ctx context.Context, providerCallID, recordingID string) error {
	params := &api.UpdateCallRecordingParams{}
	params.SetStatus("in-progress")
	return p.updateRecording(ctx, "resume recording", providerCallID, recordingID, params)
}

// StopRecording ends a recording. One that has ended, or that Twilio does not
// know, is no error.
func (p *Provider) StopRecording(ctx context.Context, providerCallID, recordingID string) error {
	params := &api.UpdateCallRecordingParams{}
	params.SetStatus("stopped")
	err := p.updateRecording(ctx, "stop recording", providerCallID, recordingID, params)
	if isGone(err) || errors.Is(err, telephony.ErrCallState) { // 21220: it is not in progress
		return nil
	}
	return err
}

func (p *Provider) updateRecording(ctx context.Context, op, callID, recordingID string, params *api.UpdateCallRecordingParams) error {
	if err := cmp.Or(p.checkCallID(op, callID), p.checkRecordingID(op, recordingID)); err != nil {
		return err
	}
	x, service := p.exchange(ctx)
	if _, err := service.UpdateCallRecording(callID, recordingID, params); err != nil {
		return p.settle(ctx, callID, x.failure(op, err))
	}
	return nil
}

// longestRecording is more than RIFF, which WAV is, can tell the length of.
const longestRecording = 4 << 30

// OpenRecording returns a recording as a WAV file, with two channels if it has
// them. It comes from BaseURL and from nowhere else, whatever a webhook or a
// redirect says, and is read as it arrives: the context bounds it as a whole,
// and Timeout each pause. For a recording that is not there, or not there yet,
// the error wraps ErrCallGone.
func (p *Provider) OpenRecording(ctx context.Context, recordingID string) (io.ReadCloser, error) {
	file, err := p.openRecording(ctx, recordingID, "?RequestedChannels=2")
	var e *telephony.Error
	if errors.As(err, &e) && e.HTTPStatus == http.StatusBadRequest {
		file, err = p.openRecording(ctx, recordingID, "") // it has only one (16113)
	}
	return file, err
}

func (p *Provider) openRecording(ctx context.Context, recordingID, query string) (io.ReadCloser, error) {
	const op = "open recording"
	if err := p.checkRecordingID(op, recordingID); err != nil {
		return nil, err
	}
	x := &exchange{ctx: ctx, p: p}
	path := "/2010-04-01/Accounts/" + url.PathEscape(p.AccountSID) + "/Recordings/" + recordingID + ".wav"
	req, err := x.request(http.MethodGet, path+query, nil)
	if err != nil {
		return nil, x.failure(op, err)
	}
	req.Header.Set("Accept", "audio/wav, audio/x-wav")
	file, err := p.downloads().Open(req, longestRecording)
	if err != nil {
		return nil, x.failure(op, err)
	}
	if file.IsText() {
		_ = file.Close()
		return nil, x.badReply(op, "not a recording")
	}
	return file, nil
}

// DeleteRecording removes a recording. One that is not there is no error. Twilio
// keeps what it knows about it for 40 days.
func (p *Provider) DeleteRecording(ctx context.Context, recordingID string) error {
	const op = "delete recording"
	if err := p.checkRecordingID(op, recordingID); err != nil {
		return err
	}
	x, service := p.exchange(ctx)
	err := service.DeleteRecording(recordingID, &api.DeleteRecordingParams{})
	if err == nil {
		return nil
	}
	if failed := x.failure(op, err); !isGone(failed) {
		return failed
	}
	return nil
}

// checkRecordingID keeps out ids that are no part of a path.
func (p *Provider) checkRecordingID(op, id string) error {
	if recordID.MatchString(id) {
		return nil
	}
	return &telephony.Error{
		Provider: p.Name(),
		Op:       op,
		Outcome:  telephony.Rejected,
		Reason:   telephony.ErrCallGone,
		Message:  "not an id of a recording at Twilio",
	}
}

// unsupported is what Twilio has not got.
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
