package plivo

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"strings"

	sdk "github.com/plivo/plivo-go/v7"

	"github.com/switchboard-voice/switchboard/internal/guard"
	"github.com/switchboard-voice/switchboard/telephony"
)

// longestRecord is as long as Plivo lets a call be. Left out, a recording would
// end after a minute.
const longestRecord = 24 * 60 * 60

// StartRecording records an answered call as a WAV file, both sides in channels
// of their own unless r.Mono mixes them, until the call or r.MaxDuration ends or
// StopRecording ends it. The id may be that of the call or that of its dial. For
// a call that has not been answered the error wraps ErrCallState, for one that
// is over or unknown ErrCallGone.
func (p *Provider) StartRecording(ctx context.Context, providerCallID string, r *telephony.RecordRequest) (string, error) {
	const op = "start recording"
	params := sdk.CallRecordParams{
		TimeLimit:         cmp.Or(wholeSeconds(r.MaxDuration), longestRecord),
		FileFormat:        "wav",
		RecordChannelType: "stereo",
	}
	if r.Mono {
		params.RecordChannelType = "mono"
	}
	if r.StatusURL != "" {
		params.CallbackURL, params.CallbackMethod = r.StatusURL, http.MethodPost
	}
	var id string
	err := p.onCall(ctx, op, providerCallID, func(call string) error {
		var reply struct {
			RecordingID string `json:"recording_id"`
		}
		x, err := p.send(ctx, op, http.MethodPost, "Call/"+call+"/Record", params, &reply)
		if err != nil {
			return err
		}
		if id = reply.RecordingID; !isUUID(id) {
			id = ""
			return x.badReply("no id of a recording")
		}
		return nil
	})
	return id, err
}

// PauseRecording is what Plivo has not got: the error wraps
// errors.ErrUnsupported. A recording can be stopped, and another one started.
func (p *Provider) PauseRecording(context.Context, string, string) error {
	return p.unsupported("pause recording", "recordings cannot be paused")
}

// ResumeRecording is what Plivo has not got: the error wraps
// errors.ErrUnsupported.
func (p *Provider) ResumeRecording(context.Context, string, string) error {
	return p.unsupported("resume recording", "recordings cannot be paused")
}

// StopRecording ends a recording, and with it, as Plivo has it, every other one
// of the call. One that has ended, or a call that Plivo does not know, is no
// error.
func (p *Provider) StopRecording(ctx context.Context, providerCallID, recordingID string) error {
	const op = "stop recording"
	if err := cmp.Or(p.checkID(op, providerCallID), p.checkID(op, recordingID)); err != nil {
		return err
	}
	err := p.onCall(ctx, op, providerCallID, func(call string) error {
		_, err := p.send(ctx, op, http.MethodDelete, "Call/"+call+"/Record", nil, nil)
		return err
	})
	if isGone(err) {
		return nil
	}
	return err
}

// longestFile is more than RIFF, which WAV is, can tell the length of.
const longestFile = 4 << 30

// OpenRecording returns a recording that StartRecording began, as a WAV file. It
// comes from MediaURL and from nowhere else, whatever a webhook or a redirect
// says, and is read as it arrives: the context bounds it as a whole, and Timeout
// each pause. For a recording that is not there, or not there yet, the error
// wraps ErrCallGone.
func (p *Provider) OpenRecording(ctx context.Context, recordingID string) (io.ReadCloser, error) {
	const op = "open recording"
	if err := p.checkID(op, recordingID); err != nil {
		return nil, err
	}
	p.once.Do(p.open)
	x := &exchange{p: p, op: op}
	address := strings.TrimSuffix(p.mediaURL(), "/") + "/v1/Account/" + p.AuthID + "/Recording/" + recordingID + ".wav"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, x.failure(&guard.Error{NotSent: true, Err: errBadURL})
	}
	// Whether Plivo asks for them there is a setting of the account.
	req.SetBasicAuth(p.AuthID, string(p.AuthToken))
	req.Header.Set("Accept", "audio/wav, audio/x-wav")
	req.Header.Set("User-Agent", "switchboard")
	file, err := p.files.Open(req, longestFile)
	if err != nil {
		return nil, x.failure(err)
	}
	if file.IsText() {
		_ = file.Close()
		return nil, x.badReply("not a recording")
	}
	return file, nil
}

// DeleteRecording removes a recording. One that is not there is no error.
func (p *Provider) DeleteRecording(ctx context.Context, recordingID string) error {
	const op = "delete recording"
	if err := p.checkID(op, recordingID); err != nil {
		return err
	}
	_, err := p.send(ctx, op, http.MethodDelete, "Recording/"+recordingID, nil, nil)
	if isGone(err) {
		return nil
	}
	return err
}
