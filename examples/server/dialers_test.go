package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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

// nextEvent is the data of the next event of a stream.
func nextEvent(t *testing.T, stream io.Reader) []byte {
	t.Helper()
	for lines := bufio.NewScanner(stream); lines.Scan(); {
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok {
			return data
		}
	}
	t.Fatal("the stream has ended")
	return nil
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
			news := r.ask("mine", "GET", "api/events", "")
			defer news.Body.Close()
			due := time.Now().Add(time.Second).Truncate(time.Second)
			var s scheduleView
			r.json(r.ask("mine", "POST", "api/schedules", scheduleAt(due)), 201, &s)

			var e struct {
				CallID string `json:"call_id"`
			}
			if err := json.Unmarshal(nextEvent(t, news.Body), &e); err != nil {
				t.Fatal(err)
			}
			if now := time.Now(); now.Before(due) {
				t.Errorf("it was placed %v before its time", due.Sub(now))
			}
			if words := r.follow(e.CallID); !slices.Contains(words, "active") || words[len(words)-1] != "completed" {
				t.Errorf("statuses %v", words)
			}
			r.json(r.ask("mine", "GET", "api/schedules/"+s.ScheduleID, ""), 200, &s)
			if s.Status != "done" || s.LastCallID != e.CallID {
				t.Errorf("the schedule of call %s is %+v", e.CallID, s)
			}
		})
	}
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
		for missed.LastCallID == "" && t.Context().Err() == nil {
			r.json(r.ask("mine", "GET", "api/schedules/"+missed.ScheduleID, ""), 200, &missed)
		}
		if words := r.follow(missed.LastCallID); words[len(words)-1] != "completed" {
			t.Errorf("statuses %v", words)
		}
		r.json(r.ask("mine", "GET", "api/schedules/"+later.ScheduleID, ""), 200, &later)
		if later.Status != "active" || later.LastCallID != "" || len(later.Upcoming) != 1 {
			t.Errorf("the one of tomorrow is %+v", later)
		}
	})
}
