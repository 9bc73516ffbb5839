package callhttp

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/schedule"
	"github.com/switchboard-voice/switchboard/routing"
)

func (a *API) registerSchedules(api huma.API) {
	register(api, route{
		http.MethodPost, "/api/schedules", "create-schedule", "Have a call placed at a time, or at times", http.StatusCreated,
		[]Problem{invalidRequest, invalidNumber, agentNotFound, conflict, tooLarge, unsupportedType},
	}, a.createSchedule)
	register(api, route{
		http.MethodGet, "/api/schedules", "list-schedules", "List schedules, by id", http.StatusOK,
		[]Problem{invalidRequest},
	}, a.listSchedules)
	register(api, route{
		http.MethodGet, "/api/schedules/{id}", "get-schedule", "A schedule, what is to come of it and what became of it", http.StatusOK,
		[]Problem{scheduleNotFound},
	}, a.getSchedule)
	for _, deed := range []struct {
		word, summary string
		do            func(context.Context, string) (*schedule.Schedule, error)
	}{
		{"pause", "Place no calls until it is resumed", a.cfg.Schedules.Pause},
		{"resume", "Place calls again", a.cfg.Schedules.Resume},
	} {
		register(api, route{
			http.MethodPost, "/api/schedules/{id}/" + deed.word, deed.word + "-schedule", deed.summary, http.StatusOK,
			[]Problem{scheduleNotFound},
		}, func(ctx context.Context, in *one) (*scheduleOutput, error) {
			if _, err := a.findSchedule(ctx, in.ID); err != nil {
				return nil, err
			}
			s, err := deed.do(ctx, in.ID)
			if err != nil {
				return nil, a.scheduleProblem(ctx, err)
			}
			return a.scheduleOutput(ctx, s)
		})
	}
	register(api, route{
		http.MethodDelete, "/api/schedules/{id}", "cancel-schedule", "Place no calls any more", http.StatusNoContent,
		[]Problem{invalidRequest, scheduleNotFound},
	}, a.cancelSchedule)
}

type scheduleRequest struct {
	Dialing
	PhoneNumber string `json:"phone_number" maxLength:"64" doc:"Whom to call, in E.164 form." example:"+12025550123"`

	ScheduledTime  string `json:"scheduled_time,omitempty" maxLength:"40" doc:"When to call, as clocks there show it: this or cron_expression." example:"2027-01-20 14:30:00"`
	CronExpression string `json:"cron_expression,omitempty" maxLength:"256" doc:"When to call again and again: minute, hour, day of the month, month and day of the week, or @hourly, @daily, @weekly, @monthly, @yearly." example:"0 9 * * MON"`
	Timezone       string `json:"timezone" minLength:"1" maxLength:"64" doc:"Whose clocks, by a name of the IANA database." example:"America/New_York"`
	Strict         bool   `json:"strict,omitempty" doc:"Refuses a scheduled_time that clocks skip, or show twice."`

	From  time.Time `json:"from,omitzero" doc:"No call of cron_expression is before."`
	Until time.Time `json:"until,omitzero" doc:"All calls of cron_expression are before."`

	Grace        int    `json:"grace_seconds,omitempty" minimum:"1" maximum:"86400" doc:"How late a call may be placed; 300 if left out."`
	Hours        string `json:"hours,omitempty" maxLength:"2048" doc:"When the callee may be called, in the same timezone." example:"Mon-Fri 09:00-18:00, Sat 10:00-14:00"`
	AwaitHours   bool   `json:"await_hours,omitempty" doc:"Outside of hours a call waits for them, instead of being skipped."`
	AllowOverlap bool   `json:"allow_overlap,omitempty" doc:"Calls while an earlier call lives, instead of skipping that."`
}

// scheduleSpec makes a schedule of what was asked for.
func (a *API) scheduleSpec(ctx context.Context, in *scheduleRequest) (schedule.Spec, error) {
	req, err := a.scheduledCall(in)
	if err != nil {
		return schedule.Spec{}, err
	}
	req.Tenant = tenantOf(ctx)
	s := schedule.Spec{
		Cron: in.CronExpression, Zone: in.Timezone, Strict: in.Strict, From: in.From.UTC(), Until: in.Until.UTC(),
		Grace: seconds(in.Grace), AwaitHours: in.AwaitHours, Request: req,
	}
	if (in.ScheduledTime == "") == (in.CronExpression == "") {
		return s, invalidRequest.at("body.scheduled_time", "either this or cron_expression is needed")
	}
	if in.ScheduledTime != "" {
		if s.At, err = schedule.ParseLocal(in.ScheduledTime); err != nil {
			return s, invalidRequest.at("body.scheduled_time", reason(err, schedule.ErrInvalid))
		}
	}
	if in.AllowOverlap {
		s.Overlap = schedule.OverlapAllow
	}
	if in.Hours != "" {
		if s.Hours, err = hoursIn(in.Timezone, in.Hours); err != nil {
			return s, err
		}
	}
	return s, nil
}

// scheduledCall is the call to place, of which the service has been asked whether
// it would take it now.
func (a *API) scheduledCall(in *scheduleRequest) (call.Request, error) {
	to, err := number("body.phone_number", in.PhoneNumber)
	if err != nil {
		return call.Request{}, err
	}
	req, err := a.request(&in.Dialing, to)
	if err != nil {
		return call.Request{}, err
	}
	return req, a.cfg.Service.Check(req)
}

func hoursIn(zone, week string) (*routing.Hours, error) {
	w, err := routing.ParseWeek(week)
	if err != nil {
		return nil, invalidRequest.at("body.hours", err.Error())
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, invalidRequest.at("body.timezone", "there is no such zone")
	}
	return &routing.Hours{Zone: loc, Week: w}, nil
}

type createScheduleInput struct {
	IdempotencyKey string          `header:"Idempotency-Key" maxLength:"255" doc:"The same key with the same request is the same schedule."`
	Body           scheduleRequest `nameHint:"ScheduleRequest"`
	RawBody        []byte
}

type createScheduleOutput struct {
	Location string `header:"Location" doc:"Where the schedule can be asked about."`
	Body     *scheduleView
}

func (a *API) createSchedule(ctx context.Context, in *createScheduleInput) (*createScheduleOutput, error) {
	if err := checkNames("body", in.RawBody, scheduleFields); err != nil {
		return nil, err
	}
	spec, err := a.scheduleSpec(ctx, &in.Body)
	if err != nil {
		return nil, a.scheduleProblem(ctx, err)
	}
	s, err := a.addSchedule(ctx, spec, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	out, err := a.scheduleOutput(ctx, s)
	if err != nil {
		return nil, err
	}
	return &createScheduleOutput{Location: a.cfg.Prefix + "/api/schedules/" + s.ID, Body: out.Body}, nil
}

// addSchedule adds a schedule, or returns the one that was added under the key,
// whose time may have passed by now.
func (a *API) addSchedule(ctx context.Context, spec schedule.Spec, key string) (*schedule.Schedule, error) {
	if key != "" {
		spec.ID = idOfKey("sched_", tenantOf(ctx), key)
		s, err := a.sameSchedule(ctx, spec)
		if !errors.Is(err, schedule.ErrNotFound) {
			return s, a.scheduleProblemOrNil(ctx, err)
		}
	}
	s, err := a.cfg.Schedules.Add(ctx, spec)
	switch {
	case errors.Is(err, schedule.ErrExists): // since a moment ago
		s, err = a.sameSchedule(ctx, spec)
	case errors.Is(err, schedule.ErrNever) && spec.Cron != "":
		err = invalidRequest.at("body.cron_expression", reason(err, schedule.ErrNever))
	case errors.Is(err, schedule.ErrNever):
		err = invalidRequest.at("body.scheduled_time", "has passed")
	}
	return s, a.scheduleProblemOrNil(ctx, err)
}

// sameSchedule returns the schedule with the id of spec, unless it is not the
// same.
func (a *API) sameSchedule(ctx context.Context, spec schedule.Spec) (*schedule.Schedule, error) {
	s, err := a.cfg.Schedules.Get(ctx, spec.ID)
	if err != nil {
		return nil, err
	}
	if !sameJSON(s.Spec, spec) {
		return nil, conflict.at("header.Idempotency-Key", "was used for another request")
	}
	return s, nil
}

type listSchedulesInput struct {
	Limit  int      `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string   `query:"cursor" maxLength:"100" doc:"next_cursor of the page before."`
	Status []string `query:"status" nullable:"false" doc:"Any of these, with commas between." enum:"active,paused,done,canceled"`
}

type listSchedulesOutput struct {
	Body struct {
		Schedules  []ScheduleSummary `json:"schedules"`
		NextCursor *string           `json:"next_cursor" doc:"Where the list goes on; null at its end."`
	} `nameHint:"ScheduleList"`
}

func (a *API) listSchedules(ctx context.Context, in *listSchedulesInput) (*listSchedulesOutput, error) {
	tenant := tenantOf(ctx)
	f := schedule.Filter{Tenant: &tenant, After: in.Cursor, Limit: in.Limit}
	for _, s := range in.Status {
		f.States = append(f.States, schedule.State(s))
	}
	list, err := a.cfg.Schedules.List(ctx, f)
	if err != nil {
		return nil, a.scheduleProblem(ctx, err)
	}
	out := &listSchedulesOutput{}
	out.Body.Schedules = []ScheduleSummary{}
	for _, s := range list {
		out.Body.Schedules = append(out.Body.Schedules, summarizeSchedule(s))
	}
	if len(list) == f.Max() {
		out.Body.NextCursor = orNull(list[len(list)-1].ID)
	}
	return out, nil
}

type scheduleOutput struct{ Body *scheduleView }

func (a *API) getSchedule(ctx context.Context, in *one) (*scheduleOutput, error) {
	s, err := a.findSchedule(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return a.scheduleOutput(ctx, s)
}

// findSchedule returns a schedule of the tenant that asks. Another tenant's does
// not exist.
func (a *API) findSchedule(ctx context.Context, id string) (*schedule.Schedule, error) {
	s, err := a.cfg.Schedules.Get(ctx, id)
	if err == nil && s.Request.Tenant != tenantOf(ctx) {
		err = schedule.ErrNotFound
	}
	return s, a.scheduleProblemOrNil(ctx, err)
}

type cancelScheduleInput struct {
	ID    string `path:"id" maxLength:"255"`
	Erase bool   `query:"erase" doc:"Also erases it, and what is known of its calls' times."`
}

func (a *API) cancelSchedule(ctx context.Context, in *cancelScheduleInput) (*nothing, error) {
	if _, err := a.findSchedule(ctx, in.ID); err != nil {
		return nil, err
	}
	_, err := a.cfg.Schedules.Cancel(ctx, in.ID)
	if err == nil && in.Erase {
		err = a.cfg.Schedules.Remove(ctx, in.ID)
	}
	return &nothing{}, a.scheduleProblemOrNil(ctx, err)
}

// scheduleProblemOrNil is scheduleProblem, but for no error.
func (a *API) scheduleProblemOrNil(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return a.scheduleProblem(ctx, err)
}

// scheduleFieldNames are names in errors about a schedule, and where a client of
// the API has said what is in them.
var scheduleFieldNames = []struct{ name, location string }{
	{"At ", "body.scheduled_time"},
	{"clocks in", "body.scheduled_time"},
	{"cron expression", "body.cron_expression"},
	{"a zone in a cron expression", "body.cron_expression"},
	{"@every", "body.cron_expression"},
	{"Zone", "body.timezone"},
	{"From and Until are for Cron", "body.from"},
	{"From is not before Until", "body.until"},
	{"Hours", "body.hours"},
	{"AwaitHours", "body.await_hours"},
}

// scheduleProblem is how an error about schedules is answered.
func (a *API) scheduleProblem(ctx context.Context, err error) *Problem {
	switch {
	case errors.Is(err, schedule.ErrNotFound):
		return scheduleNotFound.with("there is no schedule with this id")
	case errors.Is(err, schedule.ErrInvalid):
		why := reason(err, schedule.ErrInvalid)
		for _, f := range scheduleFieldNames {
			if strings.HasPrefix(why, f.name) {
				return invalidRequest.at(f.location, why)
			}
		}
		return invalidRequest.with(why)
	}
	return a.problem(ctx, err)
}
