package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

type scheduleView struct {
	ScheduleID string `json:"schedule_id"`
	Status     string `json:"status"`
	LastCallID string `json:"last_call_id"`
	Upcoming   []struct{ Local string }
}

func scheduleAt(t time.Time) string {
	return fmt.Sprintf(`{"agent_id":"receptionist","phone_number":"+12025550123","from_phone":"+12025550100",`+
		`"scheduled_time":%q,"timezone":"UTC"}`, t.UTC().Format(time.DateTime))
}

func TestScheduledCallIsPlacedAndKeptInEachDatabase(t *testing.T) {
	for name, database := range map[string]string{"memory": "memory:", "SQLite": "sqlite:" + t.TempDir() + "/calls.db"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, "DATABASE_URL", database)
			r.carrier.Otherwise(hasty)
			due := time.Now().Add(time.Second).Truncate(time.Second)
			var s scheduleView
			r.json(r.ask("mine", "POST", "api/schedules", scheduleAt(due)), 201, &s)

			id := r.firstCall()
			if now := time.Now(); now.Before(due) {
				t.Errorf("it was placed %v before its time", due.Sub(now))
			}
			if words := r.follow(id); !slices.Contains(words, "active") || words[len(words)-1] != "completed" {
				t.Errorf("statuses %v", words)
			}
			r.json(r.ask("mine", "POST", "api/schedules/"+s.ScheduleID+"/pause", ""), 200, &s) // waits until the call is noted
			if s.Status != "done" || s.LastCallID != id {
				t.Errorf("the schedule of call %s is %+v", id, s)
			}
		})
	}
}

// firstCall waits for the first call of a server, and returns its id.
func (r *running) firstCall() string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), "GET", r.url+"api/events", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer mine")
	req.Header.Set("Last-Event-ID", "of another run") // so it tells all of this one
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	for e := range eventsOf(r.t, resp.Body) {
		if e.CallID != "" {
			return e.CallID
		}
	}
	r.t.Fatal("the events have ended")
	return ""
}

// The process is down when the call is due, and the next one places it, since it
// is not too late.
func TestSchedulesOutliveARestart(t *testing.T) {
	t.Parallel()
	database := "sqlite:" + t.TempDir() + "/calls.db"
	due := time.Now().Add(2 * time.Second).Truncate(time.Second)
	var missed, later scheduleView
	t.Run("before", func(t *testing.T) {
		r := start(t, "DATABASE_URL", database)
		r.beginDrain() // as when it is told to stop: it places no call by itself any more
		r.json(r.ask("mine", "POST", "api/schedules", scheduleAt(due)), 201, &missed)
		r.json(r.ask("mine", "POST", "api/schedules", scheduleAt(due.Add(24*time.Hour))), 201, &later)
		<-time.After(time.Until(due)) // it passes while nobody is at it
		r.json(r.ask("mine", "GET", "api/schedules/"+missed.ScheduleID, ""), 200, &missed)
		if missed.Status != "active" || missed.LastCallID != "" {
			t.Errorf("while it is told to stop: %+v", missed)
		}
	})
	t.Run("after", func(t *testing.T) {
		r := start(t, "DATABASE_URL", database)
		r.carrier.Otherwise(hasty)
		id := r.firstCall()
		if words := r.follow(id); words[len(words)-1] != "completed" {
			t.Errorf("statuses %v", words)
		}
		r.json(r.ask("mine", "POST", "api/schedules/"+missed.ScheduleID+"/pause", ""), 200, &missed) // waits until the call is noted
		if missed.Status != "done" || missed.LastCallID != id {
			t.Errorf("the schedule of call %s is %+v", id, missed)
		}
		r.json(r.ask("mine", "GET", "api/schedules/"+later.ScheduleID, ""), 200, &later)
		if later.Status != "active" || later.LastCallID != "" || len(later.Upcoming) != 1 {
			t.Errorf("the one of tomorrow is %+v", later)
		}
	})
}
