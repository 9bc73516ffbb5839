package callhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

func (a *API) registerCarrierRecordings(api huma.API) {
	const base = "/api/calls/{id}/carrier-recordings"
	problems := []Problem{callNotFound, noRecording, callState, unsupported, connectionFailed}
	register(api, route{
		http.MethodPost, base, "start-carrier-recording", "Have the carrier record a live call", http.StatusCreated,
		append([]Problem{invalidRequest, tooLarge, unsupportedType}, problems...),
	}, a.startCarrierRecording)
	register(api, route{
		http.MethodGet, base + "/{recording_id}", "get-carrier-recording", "Fetch a recording of the carrier's", http.StatusOK, problems,
	}, a.openCarrierRecording)
	register(api, route{
		http.MethodPost, base + "/{recording_id}/pause", "pause-carrier-recording", "Leave out what follows", http.StatusNoContent, problems,
	}, a.withCarrierRecording(a.cfg.Service.PauseCarrierRecording))
	register(api, route{
		http.MethodPost, base + "/{recording_id}/resume", "resume-carrier-recording", "End a pause", http.StatusNoContent, problems,
	}, a.withCarrierRecording(a.cfg.Service.ResumeCarrierRecording))
	register(api, route{
		http.MethodPost, base + "/{recording_id}/stop", "stop-carrier-recording", "End a recording before its call ends", http.StatusNoContent, problems,
	}, a.withCarrierRecording(a.stopCarrierRecording))
	register(api, route{
		http.MethodDelete, base + "/{recording_id}", "delete-carrier-recording", "Have the carrier delete a recording", http.StatusNoContent, problems,
	}, a.withCarrierRecording(a.cfg.Service.DeleteCarrierRecording))

	ok := api.OpenAPI().Paths[base+"/{recording_id}"].Get.Responses["200"]
	ok.Description = "The sound."
	ok.Content = map[string]*huma.MediaType{"audio/wav": {
		Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"},
	}}
}

// carrierRecording is a recording that the carrier has, or makes.
type carrierRecording struct {
	RecordingID string `json:"recording_id" doc:"The carrier's id for it."`
	Status      string `json:"status,omitempty" enum:"in_progress,completed,absent"`
	Duration    int64  `json:"duration" doc:"Whole seconds; 0 until it is known."`
	Channels    int    `json:"channels,omitempty"`
}

func newCarrierRecording(r telephony.RecordingReport) carrierRecording {
	return carrierRecording{
		RecordingID: r.ID,
		Status:      string(r.Status),
		Duration:    wholeSeconds(r.Duration),
		Channels:    r.Channels,
	}
}

func carrierRecordings(all []telephony.RecordingReport) []carrierRecording {
	var views []carrierRecording
	for _, r := range all {
		views = append(views, newCarrierRecording(r))
	}
	return views
}

type recordRequest struct {
	Mono               bool `json:"mono,omitempty" doc:"Mixes both sides; otherwise each has a channel of its own."`
	MaxDurationSeconds int  `json:"max_duration_seconds,omitempty" minimum:"1" maximum:"86400"`
}

type recordInput struct {
	ID      string `path:"id" maxLength:"255"`
	Body    recordRequest
	RawBody []byte
}

type recordOutput struct {
	Location string `header:"Location" doc:"Where the sound can be fetched."`
	Body     carrierRecording
}

func (a *API) startCarrierRecording(ctx context.Context, in *recordInput) (*recordOutput, error) {
	if err := checkNames("body", in.RawBody, recordFields); err != nil {
		return nil, err
	}
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := a.cfg.Service.StartCarrierRecording(ctx, c.ID, telephony.RecordRequest{
		Mono:        in.Body.Mono,
		MaxDuration: time.Duration(in.Body.MaxDurationSeconds) * time.Second,
	})
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return &recordOutput{
		Location: a.location(c.ID) + "/carrier-recordings/" + id,
		Body:     newCarrierRecording(telephony.RecordingReport{ID: id, Status: telephony.RecordingInProgress}),
	}, nil
}

type oneRecording struct {
	ID          string `path:"id" maxLength:"255"`
	RecordingID string `path:"recording_id" maxLength:"255"`
}

func (a *API) withCarrierRecording(do func(ctx context.Context, id, recordingID string) error) func(context.Context, *oneRecording) (*nothing, error) {
	return func(ctx context.Context, in *oneRecording) (*nothing, error) {
		c, err := a.find(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		if err := do(ctx, c.ID, in.RecordingID); err != nil {
			return nil, a.recordingProblem(ctx, err)
		}
		return &nothing{}, nil
	}
}

// stopCarrierRecording ends a recording, unless it is known to have ended.
func (a *API) stopCarrierRecording(ctx context.Context, id, recordingID string) error {
	c, err := a.cfg.Service.Call(ctx, id)
	if err != nil {
		return err
	}
	for _, r := range c.CarrierRecordings {
		if r.ID == recordingID && (r.Status == telephony.RecordingCompleted || r.Status == telephony.RecordingAbsent) {
			return nil
		}
	}
	return a.cfg.Service.StopCarrierRecording(ctx, id, recordingID)
}

func (a *API) openCarrierRecording(ctx context.Context, in *oneRecording) (*eventsOutput, error) {
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	file, err := a.cfg.Service.OpenCarrierRecording(ctx, c.ID, in.RecordingID)
	if err != nil {
		return nil, a.recordingProblem(ctx, err)
	}
	return &eventsOutput{Body: func(ctx huma.Context) {
		defer func() { _ = file.Close() }()
		r, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", "audio/wav")
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodHead {
			return
		}
		if _, err := io.Copy(w, file); err != nil && r.Context().Err() == nil {
			a.log.Warn("recording of the carrier's broke off", "call", c.ID, "err", err)
			panic(http.ErrAbortHandler) // so that nobody takes the part for the whole
		}
	}}, nil
}

// recordingProblem is problem, about a recording.
func (a *API) recordingProblem(ctx context.Context, err error) *Problem {
	if errors.Is(err, call.ErrNotFound) || errors.Is(err, telephony.ErrCallGone) {
		return noRecording.with("the call has no such recording, or the carrier has not got it yet")
	}
	return a.problem(ctx, err)
}
