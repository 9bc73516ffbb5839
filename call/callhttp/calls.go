package callhttp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
)

func (a *API) registerCalls(api huma.API) {
	register(api, route{
		http.MethodPost, "/api/calls", "place-call", "Place a call", http.StatusCreated,
		[]Problem{invalidRequest, invalidNumber, notAllowed, outsideHours, doNotCall, policyRefuses, agentNotFound, conflict, tooLarge, unsupportedType, connectionFailed, tooManyCalls, tooFast, spendCap, draining, overloaded},
	}, a.place)
	register(api, route{
		http.MethodGet, "/api/calls", "list-calls", "List calls, newest first", http.StatusOK,
		[]Problem{invalidRequest},
	}, a.list)
	register(api, route{
		http.MethodGet, "/api/calls/{id}", "get-call", "All about a call", http.StatusOK,
		[]Problem{callNotFound},
	}, a.get)
	a.registerTranscript(api)
	register(api, route{
		http.MethodGet, "/api/calls/{id}/recording", "get-recording", "Where the recording of a call can be fetched", http.StatusOK,
		[]Problem{callNotFound, noRecording},
	}, a.recording)
	register(api, route{
		http.MethodPost, "/api/calls/{id}/disconnect", "disconnect-call", "End a call", http.StatusAccepted,
		[]Problem{callNotFound},
	}, a.disconnect)
	mayBeSo(api, "/api/calls/{id}/disconnect")
	register(api, route{
		http.MethodDelete, "/api/calls/{id}", "erase-call", "Erase a call that is over: record, recording and transcript", http.StatusNoContent,
		[]Problem{callNotFound, callLive, unsupported},
	}, a.erase)
}

type placeRequest struct {
	Dialing
	ToPhone string `json:"to_phone" maxLength:"64" doc:"In E.164 form." example:"+12025550100"`
}

// Dialing is what can be asked for of calls that are placed, whomever they call.
type Dialing struct {
	Terms
	FromPhone        string `json:"from_phone" maxLength:"64" doc:"In E.164 form: a number of yours." example:"+12025550199"`
	Provider         string `json:"provider,omitempty" maxLength:"32" doc:"The carrier; the default one if it is left out."`
	MachineDetection bool   `json:"machine_detection,omitempty" doc:"Tells machines from people."`
}

// Terms are what can be asked for of any call, placed or invited.
type Terms struct {
	AgentID string `json:"agent_id" minLength:"1" maxLength:"255"`

	CustomerData    map[string]any `json:"customer_data,omitempty" doc:"For the agent. What is not text is kept as its JSON."`
	CustomerContext map[string]any `json:"customer_context,omitempty" doc:"Another name of customer_data."`
	Metadata        map[string]any `json:"metadata,omitempty" doc:"For your own books."`

	RecordCall            bool   `json:"record_call,omitempty"`
	RecordStorage         string `json:"record_storage,omitempty" enum:"local,s3"`
	RequireRecording      bool   `json:"require_recording,omitempty" doc:"Ends the call at once if it cannot be recorded."`
	AwaitConsent          bool   `json:"await_consent,omitempty" doc:"Neither records nor transcribes before the caller agrees."`
	EnableTranscription   bool   `json:"enable_transcription,omitempty"`
	TranscriptionProvider string `json:"transcription_provider,omitempty" maxLength:"32"`
	TimeoutSeconds        int    `json:"timeout_seconds,omitempty" minimum:"1" maximum:"86400" doc:"Ends the call after so long, whatever it is doing."`
	SilenceTimeoutSeconds int    `json:"silence_timeout_seconds,omitempty" minimum:"1" maximum:"86400" doc:"Ends the call after so long without a word."`
}

// placing makes a request to the service of a call that was asked for.
func (a *API) placing(in *placeRequest) (call.Request, error) {
	to, err := number("body.to_phone", in.ToPhone)
	if err != nil {
		return call.Request{}, err
	}
	return a.request(&in.Dialing, to)
}

// request makes a request to the service for a call to a number.
func (a *API) request(in *Dialing, to telephony.Number) (call.Request, error) {
	from, err := number("body.from_phone", in.FromPhone)
	if err != nil {
		return call.Request{}, err
	}
	if err := a.check(&in.Terms); err != nil {
		return call.Request{}, err
	}
	options := in.options()
	options.MachineDetection = in.MachineDetection
	return call.Request{
		AgentID:  in.AgentID,
		To:       to,
		From:     from,
		Provider: in.Provider,
		Context:  in.data(),
		Metadata: asText(in.Metadata),
		Options:  options,
	}, nil
}

// check says what is wrong with terms, as far as the service does not.
func (a *API) check(in *Terms) error {
	if in.CustomerData != nil && in.CustomerContext != nil {
		return invalidRequest.at("body.customer_context", "is another name of customer_data: send one of them")
	}
	if in.RecordStorage != "" && !a.hasStorage(in.RecordStorage) {
		return invalidRequest.at("body.record_storage", "there is no such storage")
	}
	return nil
}

// data is what the agent is to know, by whichever of its two names.
func (in *Terms) data() map[string]string {
	if in.CustomerData != nil {
		return asText(in.CustomerData)
	}
	return asText(in.CustomerContext)
}

func (in *Terms) options() call.Options {
	return call.Options{
		Record:             in.RecordCall,
		RecordStorage:      in.RecordStorage,
		RequireRecording:   in.RequireRecording,
		AwaitConsent:       in.AwaitConsent,
		Transcribe:         in.EnableTranscription,
		TranscribeProvider: in.TranscriptionProvider,
		MaxDuration:        time.Duration(in.TimeoutSeconds) * time.Second,
		Silence:            time.Duration(in.SilenceTimeoutSeconds) * time.Second,
	}
}

// number reads a number, or says where the one is that cannot be read.
func number(location, s string) (telephony.Number, error) {
	n, err := telephony.ParseNumber(s)
	if err != nil {
		return "", invalidNumber.at(location, reason(err, telephony.ErrInvalidNumber))
	}
	return n, nil
}

func (a *API) hasStorage(name string) bool {
	for _, s := range a.cfg.Storages {
		if s.Name() == name {
			return true
		}
	}
	return false
}

type placeInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"The same key with the same body is the same call."`
	Body           placeRequest
	RawBody        []byte
}

type placeOutput struct {
	Location string `header:"Location" doc:"Where the call can be asked about."`
	Body     placed
}

type placed struct {
	CallID             string    `json:"call_id"`
	Status             string    `json:"status"`
	CreatedAt          time.Time `json:"created_at"`
	EstimatedStartTime time.Time `json:"estimated_start_time" doc:"When the carrier is asked to dial, at the earliest."`
}

func (a *API) place(ctx context.Context, in *placeInput) (*placeOutput, error) {
	if err := checkNames("body", in.RawBody, placeFields); err != nil {
		return nil, err
	}
	req, err := a.placing(&in.Body)
	if err != nil {
		return nil, err
	}
	req.Tenant = tenantOf(ctx)
	req.IdempotencyKey = in.IdempotencyKey
	c, err := a.cfg.Service.Place(ctx, req)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return &placeOutput{Location: a.location(c.ID), Body: newPlaced(c)}, nil
}

func newPlaced(c *call.Call) placed {
	return placed{
		CallID:             c.ID,
		Status:             c.State.String(),
		CreatedAt:          c.CreatedAt.UTC(),
		EstimatedStartTime: c.CreatedAt.UTC(),
	}
}

// location is the path at which a client finds a call.
func (a *API) location(id string) string { return a.cfg.Prefix + "/api/calls/" + id }

type listInput struct {
	Limit     int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor    string    `query:"cursor" maxLength:"512" doc:"next_cursor of the page before."`
	Status    []string  `query:"status" nullable:"false" doc:"Any of these, with commas between." enum:"initiated,connecting,connected,active,ending,completed,failed,busy,no_answer,canceled"`
	AgentID   string    `query:"agent_id" maxLength:"255"`
	Direction string    `query:"direction" enum:"outbound,inbound"`
	Since     time.Time `query:"since" doc:"Created then or later."`
	Until     time.Time `query:"until" doc:"Created before."`
}

// filter makes a filter of what was asked for.
func (in *listInput) filter() (call.Filter, error) {
	f := call.Filter{AgentID: in.AgentID, Since: in.Since, Until: in.Until, Limit: in.Limit}
	for _, name := range in.Status {
		state, err := call.ParseState(name)
		if err != nil {
			return f, invalidRequest.at("query.status", "there is no such status")
		}
		f.States = append(f.States, state)
	}
	if in.Direction != "" {
		f.Direction = new(telephony.Direction)
		if err := f.Direction.UnmarshalText([]byte(in.Direction)); err != nil {
			return f, invalidRequest.at("query.direction", "there is no such direction")
		}
	}
	if in.Cursor != "" {
		before, err := decodeCursor(in.Cursor)
		if err != nil {
			return f, invalidRequest.at("query.cursor", err.Error())
		}
		f.Before = &before
	}
	return f, nil
}

type listOutput struct {
	Body struct {
		Calls      []Summary `json:"calls"`
		NextCursor *string   `json:"next_cursor" doc:"Where the list goes on; null at its end."`
	} `nameHint:"CallList"`
}

func (a *API) list(ctx context.Context, in *listInput) (*listOutput, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	tenant := tenantOf(ctx)
	f.Tenant = &tenant
	out := &listOutput{}
	out.Body.Calls = []Summary{}
	var last *call.Call
	for c, err := range a.cfg.Service.Calls(ctx, f) {
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		out.Body.Calls = append(out.Body.Calls, summarize(c))
		last = c
	}
	if len(out.Body.Calls) == f.Max() {
		out.Body.NextCursor = orNull(encodeCursor(call.PositionOf(last)))
	}
	return out, nil
}

// one names a call.
type one struct {
	ID string `path:"id" maxLength:"255"`
}

// find returns a call of the tenant that asks. Another tenant's does not exist.
func (a *API) find(ctx context.Context, id string) (*call.Call, error) {
	c, err := a.cfg.Service.Call(ctx, id)
	if err == nil && (c.Tenant != tenantOf(ctx) || !c.ErasedAt.IsZero()) {
		err = call.ErrNotFound
	}
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	return c, nil
}

type getOutput struct{ Body *detail }

func (a *API) get(ctx context.Context, in *one) (*getOutput, error) {
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &getOutput{Body: a.detail(ctx, c)}, nil
}

type recordingOutput struct{ Body recorded }

type recorded struct {
	CallID       string    `json:"call_id"`
	RecordingURL string    `json:"recording_url" doc:"Plays without a token, for a short while."`
	Duration     int64     `json:"duration" doc:"Whole seconds."`
	SizeBytes    int64     `json:"size_bytes"`
	Format       string    `json:"format" example:"wav"`
	CreatedAt    time.Time `json:"created_at"`
	Truncated    bool      `json:"truncated,omitempty" doc:"Audio is missing at the end, or may be."`
	Interrupted  bool      `json:"interrupted,omitempty" doc:"The service ended during the call."`
}

func (a *API) recording(ctx context.Context, in *one) (*recordingOutput, error) {
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	url, err := a.recordingURL(ctx, c)
	if err != nil {
		return nil, a.problem(ctx, err)
	}
	if url == "" {
		return nil, noRecording.with("it was not recorded, or the recording is not finished")
	}
	return &recordingOutput{Body: newRecorded(c.ID, url, c.Sound())}, nil
}

func newRecorded(id, url string, r *recording.Recording) recorded {
	return recorded{
		CallID:       id,
		RecordingURL: url,
		Duration:     wholeSeconds(r.Duration),
		SizeBytes:    r.Size,
		Format:       r.Format,
		CreatedAt:    r.CreatedAt.UTC(),
		Truncated:    r.Truncated,
		Interrupted:  r.Interrupted,
	}
}

type disconnectOutput struct {
	Status int
	Body   struct {
		CallID string `json:"call_id"`
		Status string `json:"status"`
	} `nameHint:"Disconnected"`
}

// disconnect answers 202 if it ends the call, and 200 if that was not needed.
func (a *API) disconnect(ctx context.Context, in *one) (*disconnectOutput, error) {
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &disconnectOutput{Status: http.StatusOK}
	if c.State < call.Ending {
		if err := a.cfg.Service.Hangup(ctx, c.ID); err != nil && !errors.Is(err, call.ErrEnded) {
			return nil, a.problem(ctx, err)
		}
		out.Status = http.StatusAccepted
		if c, err = a.ending(ctx, c.ID); err != nil {
			return nil, err
		}
	}
	out.Body.CallID = c.ID
	out.Body.Status = c.State.String()
	return out, nil
}

// endTime bounds the wait for the end of a call to begin.
const endTime = 2 * time.Second

// ending returns a call that has been hung up once its end has begun, so that
// whoever asks next finds it so.
func (a *API) ending(ctx context.Context, id string) (*call.Call, error) {
	late := time.NewTimer(endTime)
	defer late.Stop()
	for {
		events := a.feed.read(a.feed.end())
		c, err := a.find(ctx, id)
		if err != nil || c.State >= call.Ending || events.closed {
			return c, err
		}
		select {
		case <-events.changed:
		case <-late.C:
			return c, nil
		case <-ctx.Done():
			return c, nil
		}
	}
}

type nothing struct{}

func (a *API) erase(ctx context.Context, in *one) (*nothing, error) {
	c, err := a.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Service.Erase(ctx, c.ID); err != nil {
		return nil, a.problem(ctx, err)
	}
	return &nothing{}, nil
}
