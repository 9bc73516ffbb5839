package callhttp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

func (a *API) registerControl(api huma.API) {
	register(api, route{
		http.MethodPost, "/api/calls/{id}/transfer", "transfer-call", "Connect the caller to somebody else, or to another agent", http.StatusAccepted,
		[]Problem{invalidRequest, invalidNumber, notAllowed, outsideHours, doNotCall, policyRefuses, callNotFound, agentNotFound, callState, tooLarge, unsupportedType, unsupported, transferFailed, tooManyCalls, tooFast, spendCap, draining, overloaded},
	}, a.transfer)
	mayBeSo(api, "/api/calls/{id}/transfer")
	register(api, route{
		http.MethodPost, "/api/calls/{id}/dtmf", "press-keys", "Press keys towards the person on the line", http.StatusAccepted,
		[]Problem{invalidRequest, callNotFound, callState, tooLarge, unsupportedType, unsupported, connectionFailed, tooManyCalls, tooFast, spendCap, draining, overloaded},
	}, a.press)
	register(api, route{
		http.MethodPost, "/api/calls/{id}/hold", "hold-call", "Put the caller on hold", http.StatusOK,
		[]Problem{callNotFound, callState},
	}, a.hold)
	register(api, route{
		http.MethodPost, "/api/calls/{id}/resume", "resume-call", "Take the caller off hold", http.StatusOK,
		[]Problem{callNotFound, callState},
	}, a.resume)
	register(api, route{
		http.MethodPost, "/api/calls/{id}/recording/pause", "pause-recording", "Keep nothing of what follows: not in the recording, not in the transcript", http.StatusOK,
		[]Problem{callNotFound, callState, unsupported, connectionFailed},
	}, a.pauseRecording)
	register(api, route{
		http.MethodPost, "/api/calls/{id}/recording/resume", "resume-recording", "End a pause of the recording", http.StatusOK,
		[]Problem{callNotFound, callState, unsupported, connectionFailed},
	}, a.resumeRecording)
	register(api, route{
		http.MethodPost, "/api/calls/{id}/recording/consent", "consent-to-recording", "Say whether the caller agrees to be recorded", http.StatusOK,
		[]Problem{invalidRequest, callNotFound, callState, tooLarge, unsupportedType},
	}, a.consent)
}

type controlOutput struct {
	Status int
	Body   controlled
}

// controlled is how a call stands after something was done to it.
type controlled struct {
	CallID  string `json:"call_id"`
	Status  string `json:"status"`
	AgentID string `json:"agent_id"`
	OnHold  bool   `json:"on_hold"`

	RecordingPaused bool `json:"recording_paused" doc:"What is said is not kept at present."`

	ConsultCallID string `json:"consult_call_id,omitempty" doc:"The call to whom the caller is to be connected, in a warm transfer."`
}

// control answers how a call stands.
func (a *API) control(ctx context.Context, id string, status int) (*controlOutput, error) {
	c, err := a.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return &controlOutput{Status: status, Body: controlled{
		CallID:  c.ID,
		Status:  c.State.String(),
		AgentID: c.AgentID,
		OnHold:  c.OnHold,

		RecordingPaused: c.RecordingPaused,
	}}, nil
}

type transferRequest struct {
	ToPhone string `json:"to_phone,omitempty" maxLength:"64" doc:"Whom the caller is connected to, in E.164 form." example:"+12025550100"`
	AgentID string `json:"agent_id,omitempty" maxLength:"255" doc:"Or the agent that gets the call."`

	FromPhone          string `json:"from_phone,omitempty" maxLength:"64" doc:"What to_phone sees; the carrier's choice if it is left out."`
	RingTimeoutSeconds int    `json:"ring_timeout_seconds,omitempty" minimum:"1" maximum:"600" doc:"How long to_phone may ring; 30 if it is left out."`
	Warm               bool   `json:"warm,omitempty" doc:"Calls to_phone first, while the caller stays with the agent, and connects the two when to_phone has picked up and heard announce."`
	Announce           string `json:"announce,omitempty" maxLength:"1000" doc:"Is spoken to to_phone in a warm transfer."`
}

// check says what does not go together.
func (in *transferRequest) check() error {
	switch {
	case (in.ToPhone == "") == (in.AgentID == ""):
		return invalidRequest.at("body", "has to_phone or agent_id, and not both")
	case in.AgentID != "" && in.FromPhone != "":
		return invalidRequest.at("body.from_phone", "goes with to_phone")
	case in.AgentID != "" && in.RingTimeoutSeconds != 0:
		return invalidRequest.at("body.ring_timeout_seconds", "goes with to_phone")
	case in.AgentID != "" && in.Warm:
		return invalidRequest.at("body.warm", "goes with to_phone")
	case !in.Warm && in.Announce != "":
		return invalidRequest.at("body.announce", "goes with warm")
	}
	return nil
}

type transferInput struct {
	ID      string `path:"id" maxLength:"255"`
	Body    transferRequest
	RawBody []byte
}

// transfer answers 202 once the carrier has been told, and 200 if the agent that
// is asked for has the call already. What becomes of a transfer is in the events.
func (a *API) transfer(ctx context.Context, in *transferInput) (*controlOutput, error) {
	if err := checkNames("body", in.RawBody, transferFields); err != nil {
		return nil, err
	}
	if err := in.Body.check(); err != nil {
		return nil, err
	}
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if in.Body.AgentID != "" {
		return a.handOver(ctx, c, in.Body.AgentID)
	}
	to, err := number("body.to_phone", in.Body.ToPhone)
	if err != nil {
		return nil, err
	}
	var from telephony.Number
	if in.Body.FromPhone != "" {
		if from, err = number("body.from_phone", in.Body.FromPhone); err != nil {
			return nil, err
		}
	}
	ring := time.Duration(in.Body.RingTimeoutSeconds) * time.Second
	if in.Body.Warm {
		return a.transferWarm(ctx, c, call.WarmTransfer{To: to, From: from, RingTimeout: ring, Say: in.Body.Announce})
	}
	told := func(e call.Event) bool {
		return e.CallID == c.ID && e.Type == call.EventMove && e.Name == "transfer"
	}
	err = a.begin(ctx, c.ID, told, func(ctx context.Context) error {
		return a.cfg.Service.Transfer(ctx, c.ID, call.Transfer{To: to, CallerID: from, Timeout: ring})
	})
	if err != nil {
		return nil, a.transferProblem(ctx, err)
	}
	return a.control(ctx, c.ID, http.StatusAccepted)
}

// transferWarm answers once there is the other call, which has a record and
// events of its own.
func (a *API) transferWarm(ctx context.Context, c *call.Call, w call.WarmTransfer) (*controlOutput, error) {
	consult := ""
	placed := func(e call.Event) bool {
		if e.Type != call.EventState || e.State != call.Initiated || e.Tenant != c.Tenant {
			return false
		}
		other, err := a.cfg.Service.Call(ctx, e.CallID)
		if err != nil || other.ParentID != c.ID {
			return false
		}
		consult = other.ID
		return true
	}
	err := a.begin(ctx, c.ID, placed, func(ctx context.Context) error {
		return a.cfg.Service.WarmTransfer(ctx, c.ID, w)
	})
	if err != nil {
		return nil, a.transferProblem(ctx, err)
	}
	out, err := a.control(ctx, c.ID, http.StatusAccepted)
	if err != nil {
		return nil, err
	}
	out.Body.ConsultCallID = consult
	return out, nil
}

func (a *API) handOver(ctx context.Context, c *call.Call, agentID string) (*controlOutput, error) {
	if c.AgentID == agentID && c.State < call.Ending {
		return a.control(ctx, c.ID, http.StatusOK)
	}
	if err := a.cfg.Service.HandOver(ctx, c.ID, agentID); err != nil {
		return nil, a.problem(ctx, err)
	}
	return a.control(ctx, c.ID, http.StatusAccepted)
}

// transferProblem is problem, for a carrier that did not do as it was told.
func (a *API) transferProblem(ctx context.Context, err error) *Problem {
	p := a.problem(ctx, err)
	var carrier *telephony.Error
	if p.Type == connectionFailed.Type && errors.As(err, &carrier) {
		return transferFailed.with(carrier.Reason.Error())
	}
	return p
}

type keysRequest struct {
	Digits string `json:"digits" minLength:"1" maxLength:"32" pattern:"^[0-9*#]+$" patternDescription:"0-9, * and #"`
}

type keysInput struct {
	ID      string `path:"id" maxLength:"255"`
	Body    keysRequest
	RawBody []byte
}

// press answers once the keys are being pressed.
func (a *API) press(ctx context.Context, in *keysInput) (*controlOutput, error) {
	if err := checkNames("body", in.RawBody, keysFields); err != nil {
		return nil, err
	}
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	told := func(e call.Event) bool {
		return e.CallID == c.ID && e.Type == call.EventMove && e.Name == "keys"
	}
	err = a.begin(ctx, c.ID, told, func(ctx context.Context) error {
		return a.cfg.Service.SendKeys(ctx, c.ID, in.Body.Digits)
	})
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return a.control(ctx, c.ID, http.StatusAccepted)
}

// hold puts a caller on hold, who may be there already.
func (a *API) hold(ctx context.Context, in *one) (*controlOutput, error) {
	return a.setHold(ctx, in.ID, true, a.cfg.Service.Hold)
}

// resume takes a caller off hold, who may not be there.
func (a *API) resume(ctx context.Context, in *one) (*controlOutput, error) {
	return a.setHold(ctx, in.ID, false, a.cfg.Service.Resume)
}

func (a *API) setHold(ctx context.Context, id string, held bool, set func(context.Context, string) error) (*controlOutput, error) {
	c, err := a.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := set(ctx, c.ID); err != nil {
		now, findErr := a.find(ctx, id)
		if findErr != nil {
			return nil, findErr
		}
		asMeant := now.State == call.Connected || now.State == call.Active
		if asMeant = asMeant && now.OnHold == held; !asMeant || !errors.Is(err, telephony.ErrCallState) {
			return nil, a.problem(ctx, err)
		}
	}
	return a.control(ctx, c.ID, http.StatusOK)
}

// pauseRecording pauses a recording, which may be paused already.
func (a *API) pauseRecording(ctx context.Context, in *one) (*controlOutput, error) {
	return a.setPause(ctx, in.ID, a.cfg.Service.PauseRecording)
}

// resumeRecording goes on with a recording, which may not be paused.
func (a *API) resumeRecording(ctx context.Context, in *one) (*controlOutput, error) {
	return a.setPause(ctx, in.ID, a.cfg.Service.ResumeRecording)
}

func (a *API) setPause(ctx context.Context, id string, set func(context.Context, string) error) (*controlOutput, error) {
	c, err := a.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := set(ctx, c.ID); err != nil {
		return nil, a.problem(ctx, err)
	}
	return a.control(ctx, c.ID, http.StatusOK)
}

type consentRequest struct {
	Agrees bool `json:"agrees" doc:"False is final: the call is neither recorded nor transcribed."`
}

type consentInput struct {
	ID      string `path:"id" maxLength:"255"`
	Body    consentRequest
	RawBody []byte
}

// consent takes what the caller has said to being recorded.
func (a *API) consent(ctx context.Context, in *consentInput) (*controlOutput, error) {
	if err := checkNames("body", in.RawBody, consentFields); err != nil {
		return nil, err
	}
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Service.Consent(ctx, c.ID, in.Body.Agrees); err != nil {
		return nil, a.problem(ctx, err)
	}
	return a.control(ctx, c.ID, http.StatusOK)
}
