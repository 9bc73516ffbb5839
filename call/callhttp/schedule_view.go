package callhttp

import (
	"context"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/call/schedule"
)

// ScheduleSummary is a schedule as it stands in a list.
type ScheduleSummary struct {
	ScheduleID  string    `json:"schedule_id"`
	AgentID     string    `json:"agent_id"`
	PhoneNumber string    `json:"phone_number"`
	FromPhone   string    `json:"from_phone"`
	Provider    string    `json:"provider,omitempty"`
	Status      string    `json:"status" enum:"active,paused,done,canceled"`
	CreatedAt   time.Time `json:"created_at"`

	ScheduledTime  string `json:"scheduled_time,omitempty"`
	CronExpression string `json:"cron_expression,omitempty"`
	Timezone       string `json:"timezone"`

	NextAt     *time.Time      `json:"next_at" doc:"When its next call is due; null if there is none."`
	Last       *scheduleResult `json:"last" doc:"What became of the last call; null if there was none."`
	LastCallID string          `json:"last_call_id,omitempty"`
}

// scheduleView is all about a schedule.
type scheduleView struct {
	ScheduleSummary
	Strict       bool       `json:"strict"`
	From         *time.Time `json:"from"`
	Until        *time.Time `json:"until"`
	GraceSeconds int64      `json:"grace_seconds,omitempty"`
	Hours        string     `json:"hours,omitempty"`
	AwaitHours   bool       `json:"await_hours"`
	AllowOverlap bool       `json:"allow_overlap"`

	CustomerData map[string]string `json:"customer_data"`
	Metadata     map[string]string `json:"metadata"`

	Upcoming []ScheduleTime   `json:"upcoming" doc:"The next five times, while it is active. With await_hours a call may wait longer."`
	Results  []scheduleResult `json:"results" doc:"What became of the last 100, the last one first."`
}

// ScheduleTime is a time at which a call is due.
type ScheduleTime struct {
	Local   string    `json:"local" doc:"As clocks there show it." example:"2027-01-20 14:30:00"`
	At      time.Time `json:"at"`
	Shifted bool      `json:"shifted,omitempty" doc:"Clocks skip this time, so that it is later."`
}

type scheduleResult struct {
	_ struct{} `nullable:"true"` // as the last one of a schedule that has none

	ScheduleTime
	Outcome   string    `json:"outcome" enum:"placed,missed,skipped,refused"`
	CallID    string    `json:"call_id,omitempty"`
	Detail    string    `json:"detail,omitempty" doc:"Why, for people."`
	DecidedAt time.Time `json:"decided_at"`
	More      int       `json:"more,omitempty" doc:"How many after this one were missed with it."`
}

// previewed is how many of the times to come are shown.
const previewed = 5

func (a *API) scheduleOutput(ctx context.Context, s *schedule.Schedule) (*scheduleOutput, error) {
	results, err := a.cfg.Schedules.Results(ctx, s.ID)
	if err != nil {
		return nil, a.scheduleProblem(ctx, err)
	}
	view := &scheduleView{
		ScheduleSummary: summarizeSchedule(s),
		Strict:          s.Strict,
		From:            timeOrNull(s.From),
		Until:           timeOrNull(s.Until),
		GraceSeconds:    wholeSeconds(s.Grace),
		AwaitHours:      s.AwaitHours,
		AllowOverlap:    s.Overlap == schedule.OverlapAllow,
		CustomerData:    orEmpty(s.Request.Context),
		Metadata:        orEmpty(s.Request.Metadata),
		Upcoming:        upcoming(s),
		Results:         []scheduleResult{},
	}
	if s.Hours != nil {
		view.Hours = s.Hours.Week.String()
	}
	for i := range results {
		view.Results = append(view.Results, *newScheduleResult(&results[i]))
	}
	return &scheduleOutput{view}, nil
}

func summarizeSchedule(s *schedule.Schedule) ScheduleSummary {
	return ScheduleSummary{
		ScheduleID:     s.ID,
		AgentID:        s.Request.AgentID,
		PhoneNumber:    string(s.Request.To),
		FromPhone:      string(s.Request.From),
		Provider:       s.Request.Provider,
		Status:         string(s.State),
		CreatedAt:      s.CreatedAt.UTC(),
		ScheduledTime:  showLocal(s.At),
		CronExpression: s.Cron,
		Timezone:       s.Zone,
		NextAt:         timeOrNull(s.Next.At),
		Last:           newScheduleResult(s.Last),
		LastCallID:     s.LastCallID,
	}
}

// upcoming are the times to come of a schedule.
func upcoming(s *schedule.Schedule) []ScheduleTime {
	list := []ScheduleTime{}
	if s.State != schedule.Active || s.Next.At.IsZero() {
		return list
	}
	list = append(list, newScheduleTime(s.Next))
	following, err := s.Occurrences(s.Next.At, previewed-1)
	if err != nil {
		return list // the scheduler will pause it
	}
	for _, o := range following {
		list = append(list, newScheduleTime(o))
	}
	return list
}

func newScheduleTime(o schedule.Occurrence) ScheduleTime {
	return ScheduleTime{Local: showLocal(o.Local), At: o.At.UTC(), Shifted: o.Shifted}
}

func newScheduleResult(r *schedule.Result) *scheduleResult {
	if r == nil {
		return nil
	}
	return &scheduleResult{
		ScheduleTime: newScheduleTime(r.Occurrence),
		Outcome:      string(r.Outcome), CallID: r.CallID, Detail: r.Detail, DecidedAt: r.DecidedAt.UTC(), More: r.More,
	}
}

// showLocal writes a time as clients do.
func showLocal(l schedule.Local) string { return strings.Replace(l.String(), "T", " ", 1) }
