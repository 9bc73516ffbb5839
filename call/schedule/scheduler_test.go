package schedule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// A desk is a Placer that remembers, as a call.Service with a store does.
type desk struct {
	mu     sync.Mutex
	calls  []*call.Call          // the oldest first
	byKey  map[string]*call.Call // by tenant and idempotency key
	byID   map[string]*call.Call
	lasts  time.Duration     // how long calls last; 0: they are over at once
	answer func(n int) error // what the nth request meets, from 1; may be nil
	asked  int
}

func (d *desk) Place(_ context.Context, req call.Request) (*call.Call, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.answer != nil {
		if err := d.answer(d.asked); err != nil {
			return nil, fmt.Errorf("call: place: %w", err)
		}
	}
	key := req.Tenant + "/" + req.IdempotencyKey
	if c := d.byKey[key]; c != nil {
		return d.now(c), nil
	}
	c := &call.Call{
		ID: fmt.Sprintf("call-%d", len(d.calls)), Tenant: req.Tenant, AgentID: req.AgentID, Direction: telephony.Outbound,
		To: req.To, CreatedAt: time.Now(), IdempotencyKey: req.IdempotencyKey,
	}
	if d.byKey == nil {
		d.byKey, d.byID = make(map[string]*call.Call), make(map[string]*call.Call)
	}
	d.byKey[key], d.byID[c.ID] = c, c
	d.calls = append(d.calls, c)
	return d.now(c), nil
}

// now returns c in the state it has by now. The caller holds mu.
func (d *desk) now(c *call.Call) *call.Call {
	c = c.Clone()
	c.State = call.Active
	if time.Since(c.CreatedAt) >= d.lasts {
		c.State = call.Completed
	}
	return c
}

func (d *desk) Call(_ context.Context, id string) (*call.Call, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.byID[id]; c != nil {
		return d.now(c), nil
	}
	return nil, call.ErrNotFound
}

func (d *desk) CallByKey(_ context.Context, tenant, key string) (*call.Call, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if c.Tenant == tenant && c.IdempotencyKey == key {
			return d.now(c), nil
		}
	}
	return nil, call.ErrNotFound
}

// dialed are the times and keys of all calls.
func (d *desk) dialed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]string, len(d.calls))
	for i, c := range d.calls {
		_, local, _ := strings.Cut(c.IdempotencyKey, "@")
		all[i] = c.CreatedAt.UTC().Format("02T15:04:05") + "=" + local[8:]
	}
	return strings.Join(all, " ")
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// start runs a scheduler until the function that it returns is called, or the
// bubble of the test ends.
func start(t *testing.T, d Placer, store Store) (*Scheduler, func()) {
	t.Helper()
	s, err := New(Config{Service: d, Store: store, Poll: time.Hour, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return s, run(t, s)
}

// run has a scheduler run until the function that it returns is called, or the
// bubble of the test ends.
func run(t *testing.T, s *Scheduler) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// spec makes a spec of a call. It is for a schedule named "s" in UTC.
func spec(change func(*Spec)) Spec {
	s := Spec{ID: "s", Zone: "UTC", Request: call.Request{AgentID: "reminders", From: "+12025550100", To: "+12025550199"}}
	change(&s)
	return s
}

func mustAdd(t *testing.T, s *Scheduler, spec Spec) *Schedule {
	t.Helper()
	added, err := s.Add(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

// outcomes are what became of occurrences, the last one first.
func outcomesOf(t *testing.T, s *Scheduler, id string) string {
	t.Helper()
	results, err := s.Results(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]string, len(results))
	for i, r := range results {
		all[i] = string(r.Outcome)
		if r.More > 0 {
			all[i] += fmt.Sprintf("+%d", r.More)
		}
		if r.Detail != "" {
			all[i] += " (" + r.Detail + ")"
		}
	}
	return strings.Join(all, ", ")
}

// In a bubble it is 2000-01-01 00:00 UTC, a Saturday, at first.
func TestScheduler(t *testing.T) {
	hours := func(text string) *routing.Hours {
		w, err := routing.ParseWeek(text)
		if err != nil {
			t.Fatal(err)
		}
		return &routing.Hours{Week: w}
	}
	at := func(s string) Local { return mustLocal(t, s) }
	const overloadedUntil = 4 // requests
	tests := []struct {
		name     string
		desk     *desk
		spec     Spec
		after    time.Duration
		dialed   string // time and name of each call
		outcomes string // the last one first
		state    State
	}{
		{"a single call", &desk{}, spec(func(s *Spec) { s.At = at("2000-01-01 09:30:15") }), 48 * time.Hour,
			"01T09:30:15=01T09:30:15", "placed", Done},
		{"in its zone", &desk{}, spec(func(s *Spec) { s.At, s.Zone = at("2000-01-01 09:30"), "America/New_York" }), 48 * time.Hour,
			"01T14:30:00=01T09:30:00", "placed", Done},
		{"a single call that is a little late", &desk{}, spec(func(s *Spec) { s.At = at("1999-12-31 23:58") }), time.Minute,
			"01T00:00:00=31T23:58:00", "placed", Done},
		{"each day", &desk{}, spec(func(s *Spec) { s.Cron = "0 9 * * *" }), 60 * time.Hour,
			"01T09:00:00=01T09:00:00 02T09:00:00=02T09:00:00 03T09:00:00=03T09:00:00", "placed, placed, placed", Active},
		{"from and until", &desk{}, spec(func(s *Spec) {
			s.Cron = "0 9 * * *"
			s.From, s.Until = mustTime(t, "2000-01-02T09:00:00Z"), mustTime(t, "2000-01-03T09:00:00Z")
		}), 240 * time.Hour, "02T09:00:00=02T09:00:00", "placed", Done},
		{"outside calling hours", &desk{}, spec(func(s *Spec) { s.Cron, s.Hours = "0 9 * * *", hours("Sun 09:00-10:00") }), 60 * time.Hour,
			"02T09:00:00=02T09:00:00", "skipped (outside calling hours), placed, skipped (outside calling hours)", Active},
		{"a call that waits for calling hours", &desk{}, spec(func(s *Spec) {
			s.At, s.Hours, s.AwaitHours = at("2000-01-01 09:00"), hours("Sun 09:00-10:00"), true
		}), 60 * time.Hour, "02T09:00:00=01T09:00:00", "placed", Done},
		{"but not until the next one", &desk{}, spec(func(s *Spec) {
			s.Cron, s.Hours, s.AwaitHours = "0 8,9,20 * * *", hours("Mon-Sun 09:00-10:00"), true
		}), 24 * time.Hour, "01T09:00:00=01T09:00:00",
			"placed, skipped (outside calling hours until the next one)", Active},
		{"the policy refuses", &desk{answer: func(int) error { return fmt.Errorf("%w: +1 202 555 0199", call.ErrNotAllowed) }},
			spec(func(s *Spec) { s.At = at("2000-01-01 09:00") }), 24 * time.Hour,
			"", "refused (call: place: not allowed: +* *** *** ****)", Done},
		{"no room for a while", &desk{answer: func(n int) error {
			if n < overloadedUntil {
				return call.ErrOverloaded
			}
			return nil
		}}, spec(func(s *Spec) { s.At = at("2000-01-01 09:00") }), 24 * time.Hour,
			"01T09:00:15=01T09:00:00", "placed", Done},
		{"no room at all", &desk{answer: func(int) error { return call.ErrOverloaded }},
			spec(func(s *Spec) { s.Cron, s.Grace = "0 9 * * *", time.Minute }), 24 * time.Hour,
			"", "missed (1m5s late)", Active},
		{"the key belongs to another request", &desk{answer: func(int) error { return call.ErrIdempotency }},
			spec(func(s *Spec) { s.At = at("2000-01-01 09:00") }), 24 * time.Hour, "", "placed (by another request)", Done},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := start(t, tt.desk, nil)
				mustAdd(t, s, tt.spec)
				time.Sleep(tt.after)
				synctest.Wait()
				if got := tt.desk.dialed(); got != tt.dialed {
					t.Errorf("dialed %s, want %s", got, tt.dialed)
				}
				if got := outcomesOf(t, s, "s"); got != tt.outcomes {
					t.Errorf("outcomes: %s; want %s", got, tt.outcomes)
				}
				if got, err := s.Get(t.Context(), "s"); err != nil || got.State != tt.state || (got.State == Done) != got.Due.IsZero() {
					t.Errorf("the schedule is %+v, %v; want it %s", got, err, tt.state)
				}
			})
		})
	}
}

func TestSchedulerAfterAnAbsence(t *testing.T) {
	tests := []struct {
		name     string
		spec     Spec
		away     time.Duration
		dialed   string
		outcomes string
	}{
		{"within grace", spec(func(s *Spec) { s.At = mustLocal(t, "2000-01-01 01:00") }), 65 * time.Minute, "01T01:05:00=01T01:00:00", "placed"},
		{"after it", spec(func(s *Spec) { s.At = mustLocal(t, "2000-01-01 01:00") }), 65*time.Minute + 1, "", "missed (5m0s late)"},
		{"each of those within grace", spec(func(s *Spec) { s.Cron, s.Grace = "0 * * * *", 2*time.Hour }), 6*time.Hour + time.Minute,
			"01T06:01:00=01T05:00:00 01T06:01:00=01T06:00:00", "placed, placed, missed+3 (5h1m0s late)"},
		{"a month", spec(func(s *Spec) { s.Cron = "0 * * * *" }), 31*24*time.Hour + time.Minute, "01T00:01:00=01T00:00:00", "placed, missed+742 (743h1m0s late)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d desk
				store := new(MemoryStore)
				s, stop := start(t, &d, store)
				mustAdd(t, s, tt.spec)
				synctest.Wait()
				stop()
				time.Sleep(tt.away)
				s, _ = start(t, &d, store)
				synctest.Wait()
				if got := d.dialed(); got != tt.dialed {
					t.Errorf("dialed %s, want %s", got, tt.dialed)
				}
				if got := outcomesOf(t, s, "s"); got != tt.outcomes {
					t.Errorf("outcomes: %s; want %s", got, tt.outcomes)
				}
			})
		})
	}
}

func TestSchedulerControls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d desk
		s, _ := start(t, &d, nil)
		mustAdd(t, s, spec(func(s *Spec) { s.Cron = "0 * * * *" }))
		expect := func(when, dialed string, state State) {
			t.Helper()
			synctest.Wait()
			got, err := s.Get(t.Context(), "s")
			if err != nil || got.State != state || d.dialed() != dialed {
				t.Errorf("%s: dialed %s, the schedule is %+v, %v", when, d.dialed(), got, err)
			}
		}
		do := func(deed func(context.Context, string) (*Schedule, error)) *Schedule {
			t.Helper()
			got, err := deed(t.Context(), "s")
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		one := "01T01:00:00=01T01:00:00"
		time.Sleep(time.Hour)
		expect("after an hour", one, Active)
		for range 2 {
			do(s.Pause)
		}
		time.Sleep(2*time.Hour + time.Minute)
		expect("paused", one, Paused)
		if got := do(s.Resume); got.Next.Local.String() != "2000-01-01T04:00:00" {
			t.Errorf("after the pause comes %v", got.Next)
		}
		do(s.Resume)
		if err := s.Remove(t.Context(), "s"); !errors.Is(err, ErrConflict) {
			t.Errorf("removing what is active: %v", err)
		}
		time.Sleep(time.Hour)
		two := one + " 01T04:00:00=01T04:00:00"
		expect("after it", two, Active)
		for range 2 {
			do(s.Cancel)
		}
		do(s.Resume)
		do(s.Pause)
		time.Sleep(24 * time.Hour)
		expect("canceled", two, Canceled)
		if got := outcomesOf(t, s, "s"); got != "placed, placed" {
			t.Errorf("outcomes: %s", got)
		}
		if err := s.Remove(t.Context(), "s"); err != nil {
			t.Error(err)
		}
		for name, deed := range map[string]func(context.Context, string) (*Schedule, error){"pause": s.Pause, "resume": s.Resume, "cancel": s.Cancel, "get": s.Get} {
			if _, err := deed(t.Context(), "s"); !errors.Is(err, ErrNotFound) || !strings.HasPrefix(err.Error(), "schedule: "+name+": ") {
				t.Errorf("%s what is removed: %v", name, err)
			}
		}
		if err := s.Remove(t.Context(), "s"); !errors.Is(err, ErrNotFound) {
			t.Errorf("removing again: %v", err)
		}
		if st := s.Stats(); st.Outcomes[Placed] != 2 || st.Outcomes[Missed] != 0 {
			t.Errorf("stats: %+v", st)
		}
	})
}

// Cancel waits for a call that is just being placed, and tells of it.
func TestCancelTellsOfACallThatWasPlaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := desk{answer: func(int) error { time.Sleep(time.Second); return nil }}
		s, _ := start(t, &d, nil)
		mustAdd(t, s, spec(func(s *Spec) { s.Cron = "0 * * * *" }))
		time.Sleep(time.Hour)
		synctest.Wait() // the call is being placed
		begin := time.Now()
		got, err := s.Cancel(t.Context(), "s")
		if err != nil || got.State != Canceled || got.LastCallID != "call-0" || got.Last.Outcome != Placed {
			t.Errorf("%+v, %v", got, err)
		}
		if waited := time.Since(begin); waited != time.Second {
			t.Errorf("it took %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		mustAdd(t, s, spec(func(s *Spec) { s.ID, s.Cron = "other", "1 * * * *" }))
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		if _, err := s.Cancel(ctx, "other"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a Cancel whose context ends: %v", err)
		}
	})
}

func TestAddRefuses(t *testing.T) {
	hours := new(routing.Hours)
	at := mustLocal(t, "2030-01-01 09:00")
	tests := []struct {
		name   string
		change func(*Spec)
		err    error
	}{
		{"no time", func(s *Spec) {}, ErrInvalid},
		{"two times", func(s *Spec) { s.At, s.Cron = at, "0 9 * * *" }, ErrInvalid},
		{"no zone", func(s *Spec) { s.At, s.Zone = at, "" }, ErrInvalid},
		{"this machine's zone", func(s *Spec) { s.At, s.Zone = at, "Local" }, ErrInvalid},
		{"no such zone", func(s *Spec) { s.At, s.Zone = at, "Mars/Olympus" }, ErrInvalid},
		{"a zone that is a path", func(s *Spec) { s.At, s.Zone = at, "../../etc/passwd" }, ErrInvalid},
		{"what is no cron expression", func(s *Spec) { s.Cron = "daily" }, ErrInvalid},
		{"a day that does not exist", func(s *Spec) { s.Cron = "0 0 30 2 *" }, ErrNever},
		{"long ago", func(s *Spec) { s.At = mustLocal(t, "1999-12-31 23:54:59") }, ErrNever},
		{"in a far future", func(s *Spec) { s.At = mustLocal(t, "2200-01-01 00:00") }, ErrInvalid},
		{"until the past", func(s *Spec) { s.Cron, s.Until = "0 9 * * *", time.Unix(0, 0) }, ErrNever},
		{"until before the first", func(s *Spec) { s.Cron, s.Until = "0 0 29 2 *", mustTime(t, "2000-02-29T00:00:00Z") }, ErrNever},
		{"from after until", func(s *Spec) { s.Cron, s.From, s.Until = "0 9 * * *", time.Unix(2, 0), time.Unix(1, 0) }, ErrInvalid},
		{"a single call with from", func(s *Spec) { s.At, s.From = at, time.Unix(0, 0) }, ErrInvalid},
		{"grace below nothing", func(s *Spec) { s.At, s.Grace = at, -1 }, ErrInvalid},
		{"grace of more than a day", func(s *Spec) { s.At, s.Grace = at, 25*time.Hour }, ErrInvalid},
		{"hours that are never", func(s *Spec) { s.At, s.Hours = at, hours }, ErrInvalid},
		{"to wait for no hours", func(s *Spec) { s.At, s.AwaitHours = at, true }, ErrInvalid},
		{"no such overlap", func(s *Spec) { s.At, s.Overlap = at, "perhaps" }, ErrInvalid},
		{"a key", func(s *Spec) { s.At, s.Request.IdempotencyKey = at, "k" }, ErrInvalid},
		{"an id with a space", func(s *Spec) { s.At, s.ID = at, "a b" }, ErrInvalid},
		{"an id that is too long", func(s *Spec) { s.At, s.ID = at, strings.Repeat("a", 101) }, ErrInvalid},
		{"no number", func(s *Spec) { s.At, s.Request.To = at, "2025550199" }, telephony.ErrInvalidNumber},
		{"no caller id", func(s *Spec) { s.At, s.Request.From = at, "" }, telephony.ErrInvalidNumber},
		{"a time that clocks skip, strictly", func(s *Spec) {
			s.At, s.Zone, s.Strict = mustLocal(t, "2026-03-29 02:30"), "Europe/Berlin", true
		}, ErrInvalid},
		{"a time that they show twice, strictly", func(s *Spec) {
			s.At, s.Zone, s.Strict = mustLocal(t, "2026-10-25 02:30"), "Europe/Berlin", true
		}, ErrInvalid},
		{"an id that is taken", func(s *Spec) { s.At, s.ID = at, "taken" }, ErrExists},
	}
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, new(desk), nil)
		mustAdd(t, s, spec(func(s *Spec) { s.ID, s.At = "taken", at }))
		for _, tt := range tests {
			got, err := s.Add(t.Context(), spec(tt.change))
			if !errors.Is(err, tt.err) || got != nil || !strings.HasPrefix(err.Error(), "schedule: add: ") {
				t.Errorf("%s: %+v, %v; want %v", tt.name, got, err, tt.err)
			}
		}
		mustAdd(t, s, spec(func(s *Spec) { s.At, s.Zone, s.Strict = mustLocal(t, "2026-03-29 03:30"), "Europe/Berlin", true }))
		one := mustAdd(t, s, spec(func(s *Spec) { s.ID, s.At = "", at }))
		two := mustAdd(t, s, spec(func(s *Spec) { s.ID, s.At = "", at }))
		if one.ID == two.ID || !strings.HasPrefix(one.ID, "sched_") {
			t.Errorf("ids %s and %s", one.ID, two.ID)
		}
		if list, err := s.List(t.Context(), Filter{}); err != nil || len(list) != 4 {
			t.Errorf("%d schedules, %v", len(list), err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no service": {}, "a negative number": {Service: new(desk), Parallel: -1}, "a negative time": {Service: new(desk), Poll: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestSecondRunIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, new(desk), nil)
		synctest.Wait()
		if err := s.Run(t.Context()); !errors.Is(err, ErrRunning) {
			t.Errorf("Run: %v", err)
		}
		stop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run after the first has ended: %v", err)
		}
	})
}

// Years of virtual time: each occurrence of three rules in zones whose clocks
// change has one call, at its time.
func TestYearsOfCalls(t *testing.T) {
	years := 1
	if *thorough {
		years = 16
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)))
		var d desk
		s, _ := start(t, &d, nil)
		begin, want := time.Now(), map[string]time.Time{}
		end := begin.AddDate(years, 0, 0)
		for _, zone := range []string{"Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata"} {
			for i, expr := range []string{"30 2 * * *", "15 1 * * SUN", "0 */8 * * *"} {
				sp := spec(func(s *Spec) {
					s.ID, s.Zone, s.Cron = fmt.Sprintf("%s-%d", strings.ReplaceAll(zone, "/", "."), i), zone, expr
				})
				mustAdd(t, s, sp)
				all, err := sp.Occurrences(begin, years*3*366)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range all {
					if o.At.Before(end) {
						want[sp.ID+"@"+o.Local.String()] = o.At
					}
				}
			}
		}
		time.Sleep(time.Until(end) - 1)
		synctest.Wait()
		for _, c := range d.calls {
			if at, ok := want[c.IdempotencyKey]; !ok || !c.CreatedAt.Equal(at) {
				t.Errorf("%s was dialed at %v, want %v", c.IdempotencyKey, c.CreatedAt, at)
			}
			delete(want, c.IdempotencyKey)
		}
		for key, at := range want {
			t.Errorf("%s was not dialed at %v", key, at)
		}
		t.Logf("%d calls in %d years", len(d.calls), years)
	})
}

// Many calls at one time are placed at once, but not more than so many.
func TestParallelIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const schedules = 500
		var d slowDesk
		s, _ := start(t, &d, nil)
		for n := range schedules {
			mustAdd(t, s, spec(func(s *Spec) { s.ID, s.At = fmt.Sprint("s", n), mustLocal(t, "2000-01-01 09:00") }))
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if d.most != defaultParallel || len(d.calls) != schedules {
			t.Errorf("%d calls, %d at once", len(d.calls), d.most)
		}
	})
}

// slowDesk takes a second for each call.
type slowDesk struct {
	desk
	now, most int
}

func (d *slowDesk) Place(ctx context.Context, req call.Request) (*call.Call, error) {
	d.mu.Lock()
	d.now++
	d.most = max(d.most, d.now)
	d.mu.Unlock()
	time.Sleep(time.Second)
	d.mu.Lock()
	d.now--
	d.mu.Unlock()
	return d.desk.Place(ctx, req)
}

// A schedule that cannot be understood any more is paused, and can be canceled.
func TestSpecThatIsNotUnderstoodIsPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(MemoryStore)
		bad := &Schedule{Spec: spec(func(s *Spec) { s.Cron, s.Zone = "0 9 * * *", "Mars/Olympus" }), State: Active, Version: 1}
		if err := store.Create(t.Context(), bad); err != nil {
			t.Fatal(err)
		}
		s, _ := start(t, new(desk), store)
		synctest.Wait()
		if got, err := s.Get(t.Context(), "s"); err != nil || got.State != Paused {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := s.Resume(t.Context(), "s"); !errors.Is(err, ErrInvalid) {
			t.Errorf("Resume: %+v, %v", got, err)
		}
		if got, err := s.Cancel(t.Context(), "s"); err != nil || got.State != Canceled {
			t.Errorf("Cancel: %+v, %v", got, err)
		}
	})
}

func TestPanicOfAServiceIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := panicky{first: true}
		s, _ := start(t, &d, nil)
		mustAdd(t, s, spec(func(s *Spec) { s.At = mustLocal(t, "2000-01-01 09:00") }))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := d.dialed(); got != "01T09:00:05=01T09:00:00" {
			t.Errorf("dialed %s", got)
		}
	})
}

type panicky struct {
	desk
	first bool
}

func (p *panicky) Place(ctx context.Context, req call.Request) (*call.Call, error) {
	if p.first {
		p.first = false
		panic("host")
	}
	return p.desk.Place(ctx, req)
}
