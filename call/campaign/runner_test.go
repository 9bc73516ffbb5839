package campaign_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// anyTime are hours for tests that are about something else.
func anyTime(t testing.TB) routing.Week {
	t.Helper()
	w, err := routing.ParseWeek("Mon-Sun 00:00-24:00")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, new(campaign.MemoryStore))
		list := contacts(5)
		for i, b := range []sim.Behavior{{Ring: time.Second}, {AnsweredBy: "machine_start"}, {Outcome: sim.Busy}, {Outcome: sim.NoAnswer}, {Outcome: sim.Failed}} {
			w.Phone(string(list[i].Number)).Behave(b)
		}
		list = append(list,
			campaign.Contact{Number: "+12127550999", Data: map[string]string{"a": "=1+1"}}, // on the list
			campaign.Contact{Number: "+19005550123"},                                       // refused by policy
			campaign.Contact{Number: "+12025550"},                                          // no such number
			campaign.Contact{Number: "+88213123456"},                                       // rings nobody knows where
		)
		w.doNotCall = listed{"+12127550999"}.listed
		p := w.process(false)
		w.add(p, campaign.Spec{ID: "one", Hours: anyTime(t), MaxAttempts: 1}, list)
		if _, err := p.Start(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		if c := w.until(p, "one", time.Hour); c.State != campaign.Done {
			t.Fatalf("campaign is %s", c.State)
		}
		var got []string
		all := w.all(p, "one")
		for _, c := range all {
			got = append(got, string(c.Outcome))
			if c.State != campaign.Over || strings.Contains(c.Detail, string(c.Number)) {
				t.Errorf("contact %d is %s: %s", c.Seq, c.State, c.Detail)
			}
		}
		want := []string{"answered", "machine", "busy", "no_answer", "failed", "do_not_call", "refused", "refused", "refused"}
		if !slices.Equal(got, want) {
			t.Errorf("outcomes are %q, want %q", got, want)
		}
		if n := len(w.dials()); n != 5 {
			t.Errorf("%d were dialed", n)
		}
		checkExport(t, p, all)
	})
}

// checkExport compares what is written with what is there.
func checkExport(t *testing.T, p *process, all []*campaign.Contact) {
	t.Helper()
	var lines, table bytes.Buffer
	if err := campaign.WriteJSON(&lines, p.Contacts(t.Context(), "one", 0)); err != nil {
		t.Fatal(err)
	}
	if err := campaign.WriteCSV(&table, p.Contacts(t.Context(), "one", 0)); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != len(all)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	decoder := json.NewDecoder(&lines)
	for i, c := range all {
		var read campaign.Contact
		if err := decoder.Decode(&read); err != nil || read.Number != c.Number || len(read.Attempts) != len(c.Attempts) || read.Outcome != c.Outcome {
			t.Errorf("line %d is %+v, %v", i, read, err)
		}
		row := rows[i+1]
		if row[0] != fmt.Sprint(c.Seq) || row[1] != string(c.Number) || row[3] != string(c.Outcome) || row[4] != fmt.Sprint(len(c.Attempts)) {
			t.Errorf("row %d is %q", i, row)
		}
		for _, field := range row[2:] {
			if strings.HasPrefix(field, "=") || strings.HasPrefix(field, "@") || strings.HasPrefix(field, "-") || strings.HasPrefix(field, "+") {
				t.Errorf("row %d has the formula %q", i, field)
			}
		}
	}
	broken := errors.New("broken")
	if err := campaign.WriteCSV(failing{broken}, p.Contacts(t.Context(), "one", 0)); !errors.Is(err, broken) {
		t.Errorf("a writer that fails: %v", err)
	}
	if err := campaign.WriteJSON(&lines, p.Contacts(t.Context(), "none", 0)); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("a campaign that is not there: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// listed are numbers not to be called.
type listed []telephony.Number

func (l listed) listed(_ context.Context, _ string, n telephony.Number) (bool, error) {
	return slices.Contains(l, n), nil
}

// Whoever is put on the list between two attempts is not called again, and a list
// that does not answer holds everybody up.
func TestDoNotCallIsAskedBeforeEachDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, new(campaign.MemoryStore))
		list := &moody{}
		w.doNotCall = list.listed
		w.Carrier.Otherwise(sim.Behavior{Outcome: sim.Busy})
		p := w.process(false)
		w.add(p, campaign.Spec{ID: "one", Hours: anyTime(t), PerDay: 3}, contacts(3))
		list.fails.Store(true)
		if _, err := p.Start(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if n := len(w.dials()); n != 0 {
			t.Errorf("%d were dialed without an answer of the list", n)
		}
		list.fails.Store(false)
		time.Sleep(2 * time.Minute)
		if n := len(w.dials()); n != 3 {
			t.Errorf("%d were dialed", n)
		}
		list.all.Store(true)
		if c := w.until(p, "one", 48*time.Hour); c.State != campaign.Done {
			t.Fatalf("campaign is %s", c.State)
		}
		for _, c := range w.all(p, "one") {
			if c.Outcome != campaign.Listed || len(c.Attempts) != 1 {
				t.Errorf("contact %d: %s after %d attempts", c.Seq, c.Outcome, len(c.Attempts))
			}
		}
		if n := len(w.dials()); n != 3 || p.Stats().Postponed == 0 {
			t.Errorf("%d were dialed, %d postponed", n, p.Stats().Postponed)
		}
	})
}

// moody is a list with everybody on it, or nobody, or that fails.
type moody struct{ all, fails atomic.Bool }

func (m *moody) listed(context.Context, string, telephony.Number) (bool, error) {
	if m.fails.Load() {
		return false, errors.New("no answer")
	}
	return m.all.Load(), nil
}

func TestPauseHoldsUpEverybodyAndStopEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, new(campaign.MemoryStore))
		p := w.process(false)
		w.add(p, campaign.Spec{ID: "one", Hours: anyTime(t), CallsPerSecond: 10, Concurrency: 100}, contacts(600))
		if _, err := p.Start(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if _, err := p.Pause(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		paused := p.svc.Stats().Placed
		time.Sleep(time.Hour)
		if n := p.svc.Stats().Placed; n != paused || n < 90 || n > 110 {
			t.Errorf("%d calls were placed before Pause, %d after it", paused, n-paused)
		}
		if _, err := p.Start(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		c, err := p.Stop(t.Context(), "one", "enough")
		if err != nil || c.State != campaign.Stopped || c.Reason != "enough" {
			t.Errorf("Stop: %+v, %v", c, err)
		}
		stopped := p.svc.Stats().Placed
		time.Sleep(time.Hour)
		if n := p.svc.Stats().Placed; n != stopped || n < 180 || n > 220 {
			t.Errorf("%d calls were placed before Stop, %d after it", stopped, n-stopped)
		}
		dials := w.dials()
		checkPace(t, dials, 10)
		for i, d := range dials {
			if d.To != contacts(600)[i].Number {
				t.Fatalf("dial %d is not to contact %d", i, i)
			}
		}
		if _, err := p.Pause(t.Context(), "one"); !errors.Is(err, campaign.ErrOver) {
			t.Errorf("Pause: %v", err)
		}
		if _, err := p.Add(t.Context(), "one", contacts(1)); !errors.Is(err, campaign.ErrOver) {
			t.Errorf("Add: %v", err)
		}
		if err := p.Remove(t.Context(), "one"); err != nil {
			t.Error(err)
		}
		if _, err := p.Get(t.Context(), "one"); !errors.Is(err, campaign.ErrNotFound) {
			t.Errorf("Get: %v", err)
		}
	})
}

// A campaign stops by itself when its calls fail.
func TestCampaignStopsWhenCallsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, new(campaign.MemoryStore))
		w.Carrier.Otherwise(sim.Behavior{Outcome: sim.Failed})
		p := w.process(false)
		w.add(p, campaign.Spec{ID: "one", Hours: anyTime(t), Failures: campaign.Limit{Share: 0.5, Of: 10}}, contacts(100))
		if _, err := p.Start(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		c := w.until(p, "one", time.Hour)
		if c.State != campaign.Stopped || c.Reason != "6 of the last 6 attempts have failed" {
			t.Errorf("campaign is %s: %q", c.State, c.Reason)
		}
		if n := len(w.dials()); n < 6 || n > 6+10 { // and those that were under way
			t.Errorf("%d were dialed", n)
		}
		if _, err := p.Start(t.Context(), "one"); !errors.Is(err, campaign.ErrOver) {
			t.Errorf("Start: %v", err)
		}
		progress, err := p.Progress(t.Context(), "one")
		if err != nil || progress.FailureShare != 1 || !progress.Finish.IsZero() || progress.Waiting < 80 {
			t.Errorf("%+v, %v", progress, err)
		}
	})
}

// People who pick up and find nobody there slow the campaign down to one call at a
// time, or stop it.
func TestAbandonedCallsSlowOrStop(t *testing.T) {
	for _, stop := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newTown(t, new(campaign.MemoryStore))
			w.abandoned = func(_ context.Context, c *call.Call) (bool, error) { return true, nil }
			w.Carrier.Otherwise(sim.Behavior{Ring: time.Second})
			p := w.process(false)
			w.add(p, campaign.Spec{
				ID: "one", Hours: anyTime(t), CallsPerSecond: 5, Concurrency: 50, StopAbandoned: stop,
				Abandoned: campaign.Limit{Share: 0.1, Of: 30},
			}, contacts(200))
			if _, err := p.Start(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			c, err := p.Get(t.Context(), "one")
			if err != nil {
				t.Fatal(err)
			}
			progress, err := p.Progress(t.Context(), "one")
			if err != nil || progress.AbandonedShare != 1 || progress.AbandonedTotal != 1 || !progress.Slowed {
				t.Errorf("%+v, %v", progress, err)
			}
			if stop {
				if c.State != campaign.Stopped || !strings.Contains(c.Reason, "abandoned") {
					t.Errorf("campaign is %s: %q", c.State, c.Reason)
				}
				return
			}
			// After the first few a call of some six seconds follows the other.
			if n := len(w.dials()); c.State != campaign.Running || n < 30 || n > 80 || p.svc.Stats().Live > 1 {
				t.Errorf("campaign is %s: %d dials, %d live", c.State, n, p.svc.Stats().Live)
			}
		})
	}
}

// A person who has nobody on the line within two seconds was abandoned, by the
// record and the events of the call.
func TestAbandoned(t *testing.T) {
	at := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		active time.Duration // after the answer; 0: never
		call   call.Call
		want   campaign.Outcome
	}{
		{"the agent was there", time.Second, call.Call{Cause: call.AgentDone}, campaign.Answered},
		{"the agent came late", 2100 * time.Millisecond, call.Call{Cause: call.AgentDone}, campaign.Abandoned},
		{"the agent did not come", 0, call.Call{Cause: call.NoMedia}, campaign.Abandoned},
		{"the person left at once", 0, call.Call{Cause: call.HangupRemote, EndedAt: at.Add(time.Second)}, campaign.Answered},
		{"the person left after a while", 0, call.Call{Cause: call.HangupRemote, EndedAt: at.Add(4 * time.Second)}, campaign.Abandoned},
		{"a machine", 0, call.Call{Cause: call.NoMedia, AnsweredBy: telephony.AnsweredByBeep}, campaign.Machine},
		{"a fax", 0, call.Call{Cause: call.NoMedia, AnsweredBy: telephony.AnsweredByFax}, campaign.Machine},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := tt.call
				c.ID, c.State, c.AnsweredAt = "call_1", call.Completed, at
				if c.EndedAt.IsZero() {
					c.EndedAt = at.Add(15 * time.Second)
				}
				d := desk{call: &c}
				if tt.active > 0 {
					d.events = []call.Event{{Type: call.EventState, State: call.Active, At: at.Add(tt.active)}}
				}
				r, err := campaign.New(campaign.Config{Service: d, Logger: quiet})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ran := make(chan error)
				go func() { ran <- r.Run(ctx) }()
				spec := campaign.Spec{ID: "one", Hours: anyTime(t), MaxAttempts: 1, Request: call.Request{AgentID: "a", From: "+12025550100"}}
				_, err = r.Create(ctx, spec)
				_, added := r.Add(ctx, "one", contacts(1))
				_, started := r.Start(ctx, "one")
				if err := errors.Join(err, added, started); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				for k, err := range r.Contacts(ctx, "one", 0) {
					if err != nil || k.Outcome != tt.want {
						t.Errorf("outcome %s, %v", k.Outcome, err)
					}
				}
				cancel()
				if err := <-ran; !errors.Is(err, context.Canceled) {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

// desk is a service that has one call.
type desk struct {
	call   *call.Call
	events []call.Event
}

func (d desk) Place(context.Context, call.Request) (*call.Call, error)     { return d.call, nil }
func (d desk) Wait(context.Context, string) (*call.Call, error)            { return d.call, nil }
func (d desk) Events(context.Context, string, int64) ([]call.Event, error) { return d.events, nil }

// What cannot be added is refused whole, and says which contact it is; what was
// added already is left out.
func TestAddTakesAllOrNothing(t *testing.T) {
	r, err := campaign.New(campaign.Config{Service: desk{}})
	if err != nil {
		t.Fatal(err)
	}
	spec := campaign.Spec{ID: "one", Request: call.Request{AgentID: "a", From: "+12025550100"}}
	if _, err := r.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(t.Context(), spec); !errors.Is(err, campaign.ErrExists) {
		t.Errorf("Create again: %v", err)
	}
	list := contacts(10)
	list[7].Number = "none"
	var wrong *campaign.ContactError
	if n, err := r.Add(t.Context(), "one", list); n != 0 || !errors.As(err, &wrong) || wrong.Index != 7 || !errors.Is(err, telephony.ErrInvalidNumber) {
		t.Errorf("%d were added, %v", n, err)
	}
	list[7].Number = list[6].Number
	if n, err := r.Add(t.Context(), "one", list); n != 9 || err != nil {
		t.Errorf("%d were added, %v", n, err)
	}
	if n, err := r.Add(t.Context(), "one", contacts(12)); n != 3 || err != nil {
		t.Errorf("%d were added, %v", n, err)
	}
	if _, err := r.Add(t.Context(), "one", make([]campaign.Contact, campaign.MaxAdd+1)); !errors.Is(err, campaign.ErrInvalid) {
		t.Errorf("too many: %v", err)
	}
	if _, err := r.Add(t.Context(), "none", list); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("to nothing: %v", err)
	}
	if err := r.Remove(t.Context(), "one"); !errors.Is(err, campaign.ErrConflict) {
		t.Errorf("Remove of what is not over: %v", err)
	}
}

// Two processes share a campaign, one is killed, and all are called as if there had
// been one.
func TestProcessesShareACampaign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, new(campaign.MemoryStore))
		list := contacts(400)
		w.populate(list)
		p, q := w.process(false), w.process(false)
		w.add(p, campaign.Spec{
			ID: "one", Hours: anyTime(t), CallsPerSecond: 10, Concurrency: 30, MaxAttempts: 2, PerDay: 2,
			Failures: campaign.Limit{Share: 1, Of: 1},
		}, list)
		if _, err := q.Start(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
			if live := p.svc.Stats().Live + q.svc.Stats().Live; live > 30+5 { // and some that are being cleaned up
				t.Fatalf("%d calls are live", live)
			}
		}
		if q.svc.Stats().Live > p.svc.Stats().Live { // how much each of them gets is chance
			p, q = q, p
		}
		p.kill()
		next := w.process(true)
		if c := w.until(next, "one", 24*time.Hour); c.State != campaign.Done {
			t.Fatalf("campaign is %s %q", c.State, c.Reason)
		}
		dials := w.dials()
		checkPace(t, dials, 10)
		counts := checkAttempts(t, dials, w.all(next, "one"), 2, 2)
		a, b, c := p.Stats(), q.Stats(), next.Stats()
		if a.Placed == 0 || b.Placed+c.Placed == 0 || b.Taken+c.Taken == 0 {
			t.Errorf("the processes did %+v, %+v, %+v", a, b, c)
		}
		t.Logf("%d dials: %v; placed %d, %d and %d, %d taken over", len(dials), counts, a.Placed, b.Placed, c.Placed, b.Taken+c.Taken)
	})
}

// What the policy refuses goes on as the reason says.
func TestRefusalsGoOnAsTheirReasonSays(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refusal error
		outcome campaign.Outcome
		state   campaign.ContactState
		due     time.Duration // after a minute or less
		made    int
	}{
		{"a destination", &call.Refusal{Reason: call.RefusedDestination}, campaign.Refused, campaign.Over, 0, 0},
		{"who does not want to be called", &call.Refusal{Reason: call.RefusedDoNotCall}, campaign.Listed, campaign.Over, 0, 0},
		{"who sleeps", &call.Refusal{Reason: call.RefusedHours, RetryAfter: 5 * time.Hour}, "", campaign.Waiting, 5 * time.Hour, 0},
		{"what is too much now", &call.Refusal{Reason: call.RefusedSpend}, "", campaign.Waiting, 15 * time.Minute, 0},
		{"what could not find out", errors.New("no answer"), campaign.Failed, campaign.Waiting, 24 * time.Hour, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t, new(campaign.MemoryStore))
				w.policy = call.PolicyFunc(func(context.Context, call.Leg) error { return tt.refusal })
				p := w.process(false)
				w.add(p, campaign.Spec{ID: "one", Hours: anyTime(t)}, contacts(1))
				if _, err := p.Start(t.Context(), "one"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(30 * time.Second)
				k := w.all(p, "one")[0]
				due := time.Duration(0)
				if !k.Due.IsZero() {
					due = time.Until(k.Due)
				}
				if k.Outcome != tt.outcome || k.State != tt.state || due > tt.due || due < tt.due-time.Minute || len(k.Attempts) != tt.made {
					t.Errorf("contact is %s, %q, due in %v, after %d attempts", k.State, k.Outcome, due, len(k.Attempts))
				}
				if n := len(w.dials()); n > 0 {
					t.Errorf("%d were dialed", n)
				}
			})
		})
	}
}
