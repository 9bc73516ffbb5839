package callhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/routing"
)

func (a *API) registerCampaigns(api huma.API) {
	register(api, route{
		http.MethodPost, "/api/campaigns", "create-campaign", "Create a campaign, with its first contacts", http.StatusCreated,
		[]Problem{invalidRequest, invalidNumber, agentNotFound, conflict, tooLarge, unsupportedType},
	}, a.createCampaign)
	register(api, route{
		http.MethodGet, "/api/campaigns", "list-campaigns", "List campaigns, by id", http.StatusOK,
		[]Problem{invalidRequest},
	}, a.listCampaigns)
	register(api, route{
		http.MethodGet, "/api/campaigns/{id}", "get-campaign", "A campaign and how far it has come", http.StatusOK,
		[]Problem{campaignNotFound},
	}, a.getCampaign)
	register(api, route{
		http.MethodPost, "/api/campaigns/{id}/contacts", "add-contacts", "Add contacts, but for those whose number is there", http.StatusOK,
		[]Problem{invalidRequest, invalidNumber, campaignNotFound, campaignState, tooLarge, unsupportedType},
	}, a.addContacts)
	register(api, route{
		http.MethodGet, "/api/campaigns/{id}/results", "get-results", "All contacts and what became of them", http.StatusOK,
		[]Problem{invalidRequest, campaignNotFound},
	}, a.results)
	for _, deed := range []struct {
		word, summary string
		do            func(context.Context, string) (*campaign.Campaign, error)
	}{
		{"start", "Start a campaign, or have it go on", a.cfg.Campaigns.Start},
		{"pause", "Place no calls until the next start", a.cfg.Campaigns.Pause},
		{"stop", "Place no calls any more", func(ctx context.Context, id string) (*campaign.Campaign, error) {
			return a.cfg.Campaigns.Stop(ctx, id, "stopped by request")
		}},
	} {
		register(api, route{
			http.MethodPost, "/api/campaigns/{id}/" + deed.word, deed.word + "-campaign", deed.summary, http.StatusOK,
			[]Problem{campaignNotFound, campaignState},
		}, func(ctx context.Context, in *one) (*campaignOutput, error) {
			return a.changeCampaign(ctx, in.ID, deed.do)
		})
	}
	register(api, route{
		http.MethodDelete, "/api/campaigns/{id}", "erase-campaign", "Erase a campaign that is over, and its contacts", http.StatusNoContent,
		[]Problem{campaignNotFound, campaignState},
	}, a.eraseCampaign)

	ok := api.OpenAPI().Paths["/api/campaigns/{id}/results"].Get.Responses["200"]
	ok.Description = "A line for each contact."
	ok.Content = map[string]*huma.MediaType{
		"text/csv":          {Schema: &huma.Schema{Type: huma.TypeString}},
		"application/jsonl": {Schema: &huma.Schema{Type: huma.TypeString}},
	}
}

type campaignRequest struct {
	Dialing

	Hours             string        `json:"hours,omitempty" maxLength:"2048" doc:"When people may be called, by their own clocks; from 8 to 21 if left out." example:"Mon-Fri 09:00-18:00, Sat 10:00-14:00"`
	CallsPerSecond    float64       `json:"calls_per_second,omitempty" minimum:"0.001" maximum:"1000" doc:"1 if left out."`
	Concurrency       int           `json:"concurrency,omitempty" minimum:"1" maximum:"10000" doc:"How many may be on the phone at once; 10 if left out."`
	MaxAttempts       int           `json:"max_attempts,omitempty" minimum:"1" maximum:"20" doc:"Calls to a contact; 3 if left out."`
	MaxAttemptsPerDay int           `json:"max_attempts_per_day,omitempty" minimum:"1" maximum:"20" doc:"Within any 24 hours; 1 if left out."`
	Retry             *retryRequest `json:"retry,omitempty"`
	FailureLimit      *limitRequest `json:"failure_limit,omitempty" doc:"Stops the campaign when more of its last attempts failed; half of 50 if left out."`
	AbandonedLimit    *limitRequest `json:"abandoned_limit,omitempty" doc:"Slows it down when more people who answered found nobody there; 0.03 of 200 if left out."`
	StopAbandoned     bool          `json:"stop_abandoned,omitempty" doc:"The abandoned_limit stops the campaign."`

	Start    bool             `json:"start,omitempty" doc:"Starts it at once."`
	Contacts []contactRequest `json:"contacts,omitempty" maxItems:"1000"`
}

type retryRequest struct {
	Busy     int `json:"busy_seconds,omitempty" minimum:"-1" maximum:"2592000" doc:"Until the next call; -1: there is none."`
	NoAnswer int `json:"no_answer_seconds,omitempty" minimum:"-1" maximum:"2592000"`
	Machine  int `json:"machine_seconds,omitempty" minimum:"-1" maximum:"2592000"`
	Failed   int `json:"failed_seconds,omitempty" minimum:"-1" maximum:"2592000"`
}

type limitRequest struct {
	Share float64 `json:"share" exclusiveMinimum:"0" maximum:"1"`
	Of    int     `json:"of" minimum:"1" maximum:"1000"`
}

func (l *limitRequest) limit() campaign.Limit {
	if l == nil {
		return campaign.Limit{}
	}
	return campaign.Limit{Share: l.Share, Of: l.Of}
}

type contactRequest struct {
	PhoneNumber  string         `json:"phone_number" maxLength:"64" doc:"In E.164 form." example:"+12025550123"`
	CustomerData map[string]any `json:"customer_data,omitempty" doc:"For the agent. What is not text is kept as its JSON."`
}

// campaignSpec makes a campaign of what was asked for, of whose calls the service
// has been asked whether it would take them now.
func (a *API) campaignSpec(ctx context.Context, in *campaignRequest) (campaign.Spec, error) {
	req, err := a.request(&in.Dialing, "")
	if err != nil {
		return campaign.Spec{}, err
	}
	if in.CustomerData != nil || in.CustomerContext != nil {
		return campaign.Spec{}, invalidRequest.at("body.customer_data", "is each contact's own")
	}
	req.Tenant = tenantOf(ctx)
	sample := req
	sample.To = req.From // the contacts are not known yet
	if err := a.cfg.Service.Check(sample); err != nil {
		return campaign.Spec{}, a.problem(ctx, err)
	}
	s := campaign.Spec{
		Request:        req,
		CallsPerSecond: in.CallsPerSecond,
		Concurrency:    in.Concurrency,
		MaxAttempts:    in.MaxAttempts,
		PerDay:         in.MaxAttemptsPerDay,
		Failures:       in.FailureLimit.limit(),
		Abandoned:      in.AbandonedLimit.limit(),
		StopAbandoned:  in.StopAbandoned,
	}
	if in.Hours != "" {
		if s.Hours, err = routing.ParseWeek(in.Hours); err != nil {
			return s, invalidRequest.at("body.hours", err.Error())
		}
	}
	if r := in.Retry; r != nil {
		s.Retry = campaign.Retry{
			Busy: seconds(r.Busy), NoAnswer: seconds(r.NoAnswer), Machine: seconds(r.Machine), Failed: seconds(r.Failed),
		}
	}
	return s.WithDefaults(), nil
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func contactsOf(list []contactRequest) ([]campaign.Contact, error) {
	contacts := make([]campaign.Contact, len(list))
	for i, in := range list {
		n, err := number(fmt.Sprintf("body.contacts[%d].phone_number", i), in.PhoneNumber)
		if err != nil {
			return nil, err
		}
		contacts[i] = campaign.Contact{Number: n, Data: asText(in.CustomerData)}
	}
	return contacts, nil
}

type createCampaignInput struct {
	IdempotencyKey string          `header:"Idempotency-Key" maxLength:"255" doc:"The same key with the same request is the same campaign."`
	Body           campaignRequest `nameHint:"CampaignRequest"`
	RawBody        []byte
}

type createCampaignOutput struct {
	Location string `header:"Location" doc:"Where the campaign can be asked about."`
	Body     *campaignView
}

func (a *API) createCampaign(ctx context.Context, in *createCampaignInput) (*createCampaignOutput, error) {
	if err := checkContacts(in.RawBody, campaignFields); err != nil {
		return nil, err
	}
	spec, err := a.campaignSpec(ctx, &in.Body)
	if err != nil {
		return nil, err
	}
	contacts, err := contactsOf(in.Body.Contacts)
	if err != nil {
		return nil, err
	}
	c, fresh, err := a.campaign(ctx, spec, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	if _, err := a.cfg.Campaigns.Add(ctx, c.ID, contacts); err != nil && !(errors.Is(err, campaign.ErrOver) && !fresh) {
		if fresh { // nothing is left of it
			_, stop := a.cfg.Campaigns.Stop(ctx, c.ID, "contacts refused")
			err = errors.Join(err, stop, a.cfg.Campaigns.Remove(ctx, c.ID))
		}
		return nil, a.campaignProblem(ctx, err)
	}
	if in.Body.Start && fresh {
		if _, err := a.cfg.Campaigns.Start(ctx, c.ID); err != nil {
			return nil, a.campaignProblem(ctx, err)
		}
	}
	view, err := a.viewCampaign(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	return &createCampaignOutput{Location: a.cfg.Prefix + "/api/campaigns/" + c.ID, Body: view}, nil
}

// campaign creates a campaign, or returns the one that was created under the key.
func (a *API) campaign(ctx context.Context, spec campaign.Spec, key string) (c *campaign.Campaign, fresh bool, err error) {
	if key != "" {
		spec.ID = idOfKey("camp_", tenantOf(ctx), key)
	}
	c, err = a.cfg.Campaigns.Create(ctx, spec)
	if !errors.Is(err, campaign.ErrExists) {
		if err != nil {
			err = a.campaignProblem(ctx, err)
		}
		return c, true, err
	}
	c, err = a.findCampaign(ctx, spec.ID)
	if err != nil {
		return nil, false, err
	}
	if !sameJSON(c.Spec, spec) {
		return nil, false, conflict.at("header.Idempotency-Key", "was used for another request")
	}
	return c, false, nil
}

type listCampaignsInput struct {
	Limit  int      `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string   `query:"cursor" maxLength:"100" doc:"next_cursor of the page before."`
	Status []string `query:"status" nullable:"false" doc:"Any of these, with commas between." enum:"paused,running,done,stopped"`
}

type listCampaignsOutput struct {
	Body struct {
		Campaigns  []CampaignSummary `json:"campaigns"`
		NextCursor *string           `json:"next_cursor" doc:"Where the list goes on; null at its end."`
	} `nameHint:"CampaignList"`
}

func (a *API) listCampaigns(ctx context.Context, in *listCampaignsInput) (*listCampaignsOutput, error) {
	tenant := tenantOf(ctx)
	f := campaign.Filter{Tenant: &tenant, After: in.Cursor, Limit: in.Limit}
	for _, s := range in.Status {
		f.States = append(f.States, campaign.State(s))
	}
	list, err := a.cfg.Campaigns.List(ctx, f)
	if err != nil {
		return nil, a.campaignProblem(ctx, err)
	}
	out := &listCampaignsOutput{}
	out.Body.Campaigns = []CampaignSummary{}
	for _, c := range list {
		out.Body.Campaigns = append(out.Body.Campaigns, summarizeCampaign(c))
	}
	if len(list) == f.Max() {
		out.Body.NextCursor = orNull(list[len(list)-1].ID)
	}
	return out, nil
}

type campaignOutput struct{ Body *campaignView }

func (a *API) getCampaign(ctx context.Context, in *one) (*campaignOutput, error) {
	if _, err := a.findCampaign(ctx, in.ID); err != nil {
		return nil, err
	}
	view, err := a.viewCampaign(ctx, in.ID)
	return &campaignOutput{view}, err
}

// findCampaign returns a campaign of the tenant that asks. Another tenant's does
// not exist.
func (a *API) findCampaign(ctx context.Context, id string) (*campaign.Campaign, error) {
	c, err := a.cfg.Campaigns.Get(ctx, id)
	if err == nil && c.Request.Tenant != tenantOf(ctx) {
		err = campaign.ErrNotFound
	}
	if err != nil {
		return nil, a.campaignProblem(ctx, err)
	}
	return c, nil
}

type contactsInput struct {
	ID   string `path:"id" maxLength:"255"`
	Body struct {
		Contacts []contactRequest `json:"contacts" minItems:"1" maxItems:"1000" nullable:"false" doc:"One that cannot be refuses them all."`
	} `nameHint:"Contacts"`
	RawBody []byte
}

type contactsOutput struct {
	Body struct {
		Added int `json:"added" doc:"The others were there already."`
	} `nameHint:"ContactsAdded"`
}

func (a *API) addContacts(ctx context.Context, in *contactsInput) (*contactsOutput, error) {
	if err := checkContacts(in.RawBody, contactsFields); err != nil {
		return nil, err
	}
	if _, err := a.findCampaign(ctx, in.ID); err != nil {
		return nil, err
	}
	contacts, err := contactsOf(in.Body.Contacts)
	if err != nil {
		return nil, err
	}
	out := &contactsOutput{}
	if out.Body.Added, err = a.cfg.Campaigns.Add(ctx, in.ID, contacts); err != nil {
		return nil, a.campaignProblem(ctx, err)
	}
	return out, nil
}

// checkContacts is checkNames for a body with contacts.
func checkContacts(raw []byte, known map[string]bool) error {
	if err := checkNames("body", raw, known); err != nil {
		return err
	}
	var body struct {
		Contacts []json.RawMessage `json:"contacts"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return invalidRequest.at("body", "is not JSON")
	}
	for i, object := range body.Contacts {
		if err := checkNames(fmt.Sprintf("body.contacts[%d]", i), object, contactFields); err != nil {
			return err
		}
	}
	return nil
}

func (a *API) changeCampaign(ctx context.Context, id string, do func(context.Context, string) (*campaign.Campaign, error)) (*campaignOutput, error) {
	if _, err := a.findCampaign(ctx, id); err != nil {
		return nil, err
	}
	if _, err := do(ctx, id); err != nil {
		return nil, a.campaignProblem(ctx, err)
	}
	view, err := a.viewCampaign(ctx, id)
	return &campaignOutput{view}, err
}

func (a *API) eraseCampaign(ctx context.Context, in *one) (*nothing, error) {
	if _, err := a.findCampaign(ctx, in.ID); err != nil {
		return nil, err
	}
	if err := a.cfg.Campaigns.Remove(ctx, in.ID); err != nil {
		return nil, a.campaignProblem(ctx, err)
	}
	return &nothing{}, nil
}

type resultsInput struct {
	ID     string `path:"id" maxLength:"255"`
	Format string `query:"format" enum:"csv,jsonl" default:"jsonl"`
}

// results streams the contacts of a campaign. When it cannot go on it breaks the
// connection, so that nobody takes the part for the whole.
func (a *API) results(ctx context.Context, in *resultsInput) (*huma.StreamResponse, error) {
	if _, err := a.findCampaign(ctx, in.ID); err != nil {
		return nil, err
	}
	contentType, write := "application/jsonl", campaign.WriteJSON
	if in.Format == "csv" {
		contentType, write = "text/csv; charset=utf-8", campaign.WriteCSV
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		hctx.SetHeader("Content-Type", contentType)
		hctx.SetStatus(http.StatusOK)
		_, w := humago.Unwrap(hctx)
		err := write(deadlineWriter{w, http.NewResponseController(w)}, a.cfg.Campaigns.Contacts(ctx, in.ID, 0))
		if err != nil {
			if ctx.Err() == nil {
				a.log.ErrorContext(ctx, "results not sent", "campaign", in.ID, "err", err)
			}
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

// deadlineWriter gives the client a time to take each part.
type deadlineWriter struct {
	io.Writer
	control *http.ResponseController
}

func (d deadlineWriter) Write(p []byte) (int, error) {
	_ = d.control.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every writer can
	return d.Writer.Write(p)
}

// CampaignSummary is a campaign as it stands in a list.
type CampaignSummary struct {
	CampaignID string    `json:"campaign_id"`
	AgentID    string    `json:"agent_id"`
	FromPhone  string    `json:"from_phone"`
	Status     string    `json:"status" enum:"paused,running,done,stopped"`
	Reason     string    `json:"reason,omitempty" doc:"Why it was stopped."`
	CreatedAt  time.Time `json:"created_at"`

	Hours          string  `json:"hours"`
	CallsPerSecond float64 `json:"calls_per_second"`
	Concurrency    int     `json:"concurrency"`
	MaxAttempts    int     `json:"max_attempts"`
}

func summarizeCampaign(c *campaign.Campaign) CampaignSummary {
	return CampaignSummary{
		CampaignID: c.ID, AgentID: c.Request.AgentID, FromPhone: string(c.Request.From),
		Status: string(c.State), Reason: c.Reason, CreatedAt: c.CreatedAt.UTC(),
		Hours: c.Hours.String(), CallsPerSecond: c.CallsPerSecond, Concurrency: c.Concurrency, MaxAttempts: c.MaxAttempts,
	}
}

type campaignView struct {
	CampaignSummary
	Progress campaignProgress `json:"progress"`
}

type campaignProgress struct {
	Contacts       int              `json:"contacts"`
	Waiting        int              `json:"waiting"`
	Live           int              `json:"live" doc:"About to be called, or on the phone."`
	Over           int              `json:"over"`
	Outcomes       map[string]int   `json:"outcomes" doc:"Of contacts that are over."`
	Attempts       map[string]int64 `json:"attempts" doc:"Of all calls, by outcome."`
	Pace           float64          `json:"pace" doc:"Attempts in a second, while there were any to make."`
	FailureShare   float64          `json:"failure_share" doc:"Of the last attempts."`
	AbandonedShare float64          `json:"abandoned_share" doc:"Of the last calls that people answered."`
	AbandonedTotal float64          `json:"abandoned_total" doc:"Of all calls that people answered."`
	Slowed         bool             `json:"slowed" doc:"One call at a time, because too many were abandoned."`
	EstimatedEnd   *time.Time       `json:"estimated_end" doc:"null if nobody can tell."`
}

func (a *API) viewCampaign(ctx context.Context, id string) (*campaignView, error) {
	c, err := a.findCampaign(ctx, id)
	if err != nil {
		return nil, err
	}
	p, err := a.cfg.Campaigns.Progress(ctx, id)
	if err != nil {
		return nil, a.campaignProblem(ctx, err)
	}
	view := &campaignView{summarizeCampaign(c), campaignProgress{
		Contacts: p.Contacts, Waiting: p.Waiting, Live: p.Live, Over: p.Over,
		Outcomes: make(map[string]int), Attempts: make(map[string]int64),
		Pace: p.Pace, FailureShare: p.FailureShare, AbandonedShare: p.AbandonedShare, AbandonedTotal: p.AbandonedTotal,
		Slowed: p.Slowed, EstimatedEnd: timeOrNull(p.Finish),
	}}
	for o, n := range p.Outcomes {
		view.Progress.Outcomes[string(o)] = n
	}
	for o, n := range p.Attempts {
		view.Progress.Attempts[string(o)] = n
	}
	return view, nil
}

// campaignProblem is how an error about campaigns is answered.
func (a *API) campaignProblem(ctx context.Context, err error) *Problem {
	var wrong *campaign.ContactError
	switch {
	case errors.As(err, &wrong):
		return invalidRequest.at(fmt.Sprintf("body.contacts[%d]", wrong.Index), reason(wrong.Err, campaign.ErrInvalid))
	case errors.Is(err, campaign.ErrNotFound):
		return campaignNotFound.with("there is no campaign with this id")
	case errors.Is(err, campaign.ErrOver), errors.Is(err, campaign.ErrConflict):
		return campaignState.with("stop a campaign before it is erased; one that is over cannot be changed")
	case errors.Is(err, campaign.ErrFull):
		return invalidRequest.at("body.contacts", "the campaign would have too many")
	case errors.Is(err, campaign.ErrInvalid):
		return invalidRequest.with(reason(err, campaign.ErrInvalid))
	}
	return a.problem(ctx, err)
}
