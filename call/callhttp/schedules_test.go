package callhttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/schedule"
)

// withSchedules is setup with a Scheduler, which runs until the test ends.
func withSchedules(t *testing.T) *bench {
	t.Helper()
	placer := &latePlacer{}
	scheduler, err := schedule.New(schedule.Config{Service: placer, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b := setup(t, func(_ *call.Config, cfg *Config) { cfg.Schedules = scheduler })
	placer.Service = b.svc
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- scheduler.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return b
}

// Bubbles begin at midnight UTC on Saturday, 1 January 2000: 19:00 in New York.
const (
	onceBody = `{"agent_id":"echo","phone_number":"+12127550100","from_phone":"+12025550100",` +
		`"scheduled_time":"1999-12-31 20:30:00","timezone":"America/New_York","customer_data":{"name":"Ann","orders":3}}`
	weeklyBody = `{"agent_id":"echo","phone_number":"+12127550100","from_phone":"+12025550100",` +
		`"cron_expression":"0 9 * * MON","timezone":"America/New_York","hours":"Mon-Fri 08:00-18:00","grace_seconds":60}`
)

func (b *bench) schedule(tenant, body string, header ...string) scheduleView {
	b.t.Helper()
	return decode[scheduleView](b.t, b.ask(tenant, "POST", "/api/schedules", body, header...), http.StatusCreated)
}

func TestScheduledCallIsPlacedAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withSchedules(t)
		w := b.ask("acme", "POST", "/api/schedules", onceBody)
		got := decode[scheduleView](t, w, http.StatusCreated)
		path := "/api/schedules/" + got.ScheduleID
		due := time.Date(2000, 1, 1, 1, 30, 0, 0, time.UTC)
		if w.Header().Get("Location") != "/phone"+path || got.Status != "active" || got.ScheduledTime != "1999-12-31 20:30:00" ||
			got.NextAt == nil || !got.NextAt.Equal(due) || len(got.Upcoming) != 1 || got.CustomerData["orders"] != "3" {
			t.Errorf("created %+v at %q", got, w.Header().Get("Location"))
		}
		time.Sleep(time.Until(due) - time.Second)
		synctest.Wait()
		if n := len(b.carrier.requests); n != 0 {
			t.Fatalf("%d were dialed before the time", n)
		}
		time.Sleep(3 * time.Second)
		if n := len(b.carrier.requests); n != 1 {
			t.Fatalf("%d were dialed", n)
		}
		got = decode[scheduleView](t, b.ask("acme", "GET", path, ""), http.StatusOK)
		if got.Status != "done" || got.NextAt != nil || len(got.Upcoming) != 0 || len(got.Results) != 1 ||
			got.Results[0].Outcome != "placed" || got.Results[0].Local != "1999-12-31 20:30:00" || got.Results[0].CallID != got.LastCallID {
			t.Errorf("afterwards it is %+v", got)
		}
		placed := decode[Summary](t, b.ask("acme", "GET", "/api/calls/"+got.LastCallID, ""), http.StatusOK)
		if placed.ToPhone != "+12127550100" || placed.CustomerData["name"] != "Ann" {
			t.Errorf("the call is %+v", placed)
		}
		wantProblem(t, b.ask("other", "GET", "/api/calls/"+got.LastCallID, ""), 404, "call_not_found")
	})
}

func TestScheduleByRuleShowsItsTimesIsPausedAndCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withSchedules(t)
		got := b.schedule("acme", weeklyBody)
		path := "/api/schedules/" + got.ScheduleID
		var times []string
		for _, o := range got.Upcoming {
			times = append(times, o.Local)
		}
		if want := "2000-01-03 09:00:00 2000-01-10 09:00:00 2000-01-17 09:00:00 2000-01-24 09:00:00 2000-01-31 09:00:00"; strings.Join(times, " ") != want {
			t.Errorf("times to come are %s", times)
		}
		if got.GraceSeconds != 60 || got.Hours != "Mon 08:00-18:00, Tue 08:00-18:00, Wed 08:00-18:00, Thu 08:00-18:00, Fri 08:00-18:00" {
			t.Errorf("created %+v", got)
		}
		if got := decode[scheduleView](t, b.ask("acme", "POST", path+"/pause", ""), 200); got.Status != "paused" || len(got.Upcoming) != 0 {
			t.Errorf("paused: %+v", got)
		}
		time.Sleep(4 * 24 * time.Hour) // past the first
		if got := decode[scheduleView](t, b.ask("acme", "POST", path+"/resume", ""), 200); got.Status != "active" || got.Upcoming[0].Local != "2000-01-10 09:00:00" {
			t.Errorf("resumed: %+v", got)
		}
		time.Sleep(7 * 24 * time.Hour)
		if n := len(b.carrier.requests); n != 1 {
			t.Errorf("%d were dialed", n)
		}
		if w := b.ask("acme", "DELETE", path, ""); w.Code != http.StatusNoContent {
			t.Errorf("DELETE: %d", w.Code)
		}
		time.Sleep(14 * 24 * time.Hour)
		if got := decode[scheduleView](t, b.ask("acme", "GET", path, ""), 200); got.Status != "canceled" || len(b.carrier.requests) != 1 || len(got.Results) != 1 {
			t.Errorf("canceled: %+v", got)
		}
		if w := b.ask("acme", "DELETE", path+"?erase=true", ""); w.Code != http.StatusNoContent {
			t.Errorf("DELETE: %d", w.Code)
		}
		wantProblem(t, b.ask("acme", "GET", path, ""), 404, "schedule_not_found")
	})
}

func TestSchedulesAreListedInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withSchedules(t)
		want := make(map[string]bool)
		for range 5 {
			want[b.schedule("acme", weeklyBody).ScheduleID] = true
		}
		b.schedule("other", weeklyBody)
		type page struct {
			Schedules  []ScheduleSummary
			NextCursor *string `json:"next_cursor"`
		}
		address := "/api/schedules?status=active&limit=2"
		for next := ""; ; {
			p := decode[page](t, b.ask("acme", "GET", address+next, ""), http.StatusOK)
			for _, s := range p.Schedules {
				if !want[s.ScheduleID] {
					t.Errorf("%s is not wanted, or there twice", s.ScheduleID)
				}
				delete(want, s.ScheduleID)
			}
			if p.NextCursor == nil {
				break
			}
			next = "&cursor=" + *p.NextCursor
		}
		if len(want) > 0 {
			t.Errorf("%v were not listed", want)
		}
		if p := decode[page](t, b.ask("acme", "GET", "/api/schedules?status=done,canceled", ""), http.StatusOK); p.Schedules == nil || len(p.Schedules) > 0 {
			t.Errorf("list %+v", p)
		}
	})
}

func TestSameKeyIsSameSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withSchedules(t)
		first := b.schedule("acme", onceBody, "Idempotency-Key", "k").ScheduleID
		if again := b.schedule("acme", onceBody, "Idempotency-Key", "k").ScheduleID; again != first {
			t.Errorf("the same key made %s and then %s", first, again)
		}
		if other := b.schedule("other", onceBody, "Idempotency-Key", "k").ScheduleID; other == first {
			t.Error("another tenant's key found the schedule of this one")
		}
		wantProblem(t, b.ask("acme", "POST", "/api/schedules", weeklyBody, "Idempotency-Key", "k"), 409, "idempotency_conflict")
		time.Sleep(24 * time.Hour) // it is over
		if again := b.schedule("acme", onceBody, "Idempotency-Key", "k"); again.ScheduleID != first || again.Status != "done" {
			t.Errorf("afterwards the same key finds %+v", again)
		}
		if n := len(b.carrier.requests); n != 2 {
			t.Errorf("%d were dialed, for two tenants", n)
		}
	})
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withSchedules(t)
		const zone, at, rule = `"timezone":"America/New_York"`, `"scheduled_time":"1999-12-31 20:30:00"`, `"cron_expression":"0 9 * * MON"`
		for name, tt := range map[string]struct {
			body, old, new string
			status         int
			word, location string
		}{
			"a field is unknown":        {onceBody, `{"agent_id"`, `{"colour":"red","agent_id"`, 400, "invalid_request", "body.colour"},
			"a field is there twice":    {onceBody, at, at + "," + at, 400, "invalid_request", "body.scheduled_time"},
			"a name is not quite right": {onceBody, `"timezone"`, `"Timezone"`, 400, "invalid_request", "body.Timezone"},
			"no time":                   {onceBody, at + ",", "", 400, "invalid_request", "body.scheduled_time"},
			"a time and a rule":         {onceBody, at, at + "," + rule, 400, "invalid_request", "body.scheduled_time"},
			"no time that there is":     {onceBody, "20:30:00", "25:30:00", 400, "invalid_request", "body.scheduled_time"},
			"a time with its zone":      {onceBody, "20:30:00", "20:30:00Z", 400, "invalid_request", "body.scheduled_time"},
			"a time that has passed":    {onceBody, "1999-12-31 20", "1999-12-31 10", 400, "invalid_request", "body.scheduled_time"},
			"a time that clocks skip":   {onceBody, at, `"strict":true,"scheduled_time":"2000-04-02 02:30:00"`, 400, "invalid_request", "body.scheduled_time"},
			"no zone":                   {onceBody, zone, `"metadata":{}`, 400, "invalid_request", "body"},
			"no zone that there is":     {onceBody, "America/New_York", "America/Gotham", 400, "invalid_request", "body.timezone"},
			"the zone of the machine":   {weeklyBody, "America/New_York", "Local", 400, "invalid_request", "body.timezone"},
			"no rule that there is":     {weeklyBody, "0 9 * * MON", "0 9 * * MOON", 400, "invalid_request", "body.cron_expression"},
			"a rule of no day":          {weeklyBody, "0 9 * * MON", "0 9 30 2 *", 400, "invalid_request", "body.cron_expression"},
			"a rule with a zone":        {weeklyBody, "0 9 * * MON", "CRON_TZ=UTC 0 9 * * MON", 400, "invalid_request", "body.cron_expression"},
			"hours that are none":       {weeklyBody, "Mon-Fri 08:00-18:00", "always", 400, "invalid_request", "body.hours"},
			"bounds of a single call":   {onceBody, at, at + `,"until":"2000-02-01T00:00:00Z"`, 400, "invalid_request", "body.from"},
			"bounds the wrong way":      {weeklyBody, rule, rule + `,"from":"2000-03-01T00:00:00Z","until":"2000-02-01T00:00:00Z"`, 400, "invalid_request", "body.until"},
			"waiting for no hours":      {onceBody, at, at + `,"await_hours":true`, 400, "invalid_request", "body.await_hours"},
			"a grace of days":           {weeklyBody, `"grace_seconds":60`, `"grace_seconds":86401`, 400, "invalid_request", "body.grace_seconds"},
			"nobody's number":           {onceBody, "+12127550100", "212", 400, "invalid_phone_number", "body.phone_number"},
			"our number is none":        {onceBody, "+12025550100", "x", 400, "invalid_phone_number", "body.from_phone"},
			"no agent that there is":    {onceBody, `"echo"`, `"parrot"`, 404, "agent_not_found", "body.agent_id"},
			"no carrier that there is":  {onceBody, at, at + `,"provider":"pigeon"`, 400, "invalid_request", "body.provider"},
			"too long a call":           {onceBody, at, at + `,"timeout_seconds":86400`, 400, "invalid_request", "body.timeout_seconds"},
			"too many data":             {onceBody, `{"name":"Ann","orders":3}`, manyEntries(65), 400, "invalid_request", "body.customer_data"},
		} {
			p := wantProblem(t, b.ask("acme", "POST", "/api/schedules", strings.Replace(tt.body, tt.old, tt.new, 1)), tt.status, tt.word)
			if len(p.Errors) == 0 || p.Errors[0].Location != tt.location {
				t.Errorf("%s: faults %+v, want the first at %s", name, p.Errors, tt.location)
			}
		}
		if list := decode[struct{ Schedules []ScheduleSummary }](t, b.ask("acme", "GET", "/api/schedules", ""), 200); len(list.Schedules) != 0 {
			t.Errorf("there are %+v", list.Schedules)
		}
	})
}

func TestAnotherTenantsScheduleDoesNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withSchedules(t)
		id := b.schedule("acme", weeklyBody).ScheduleID
		for _, route := range []string{"GET ", "POST /pause", "POST /resume", "DELETE ", "DELETE ?erase=true"} {
			method, rest, _ := strings.Cut(route, " ")
			foreign := b.ask("other", method, "/api/schedules/"+id+rest, "")
			unknown := b.ask("other", method, "/api/schedules/none"+rest, "")
			wantProblem(t, foreign, 404, "schedule_not_found")
			if foreign.Body.String() != unknown.Body.String() {
				t.Errorf("%s: %s and %s", route, foreign.Body, unknown.Body)
			}
		}
		if got := decode[scheduleView](t, b.ask("acme", "GET", "/api/schedules/"+id, ""), http.StatusOK); got.Status != "active" {
			t.Errorf("it is %+v", got)
		}
	})
}
