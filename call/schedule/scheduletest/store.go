// Package scheduletest judges what plugs into package schedule.
package scheduletest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/schedule"
	"github.com/switchboard-voice/switchboard/routing"
)

// TestStore tests what schedule.Store says. Open returns a store that is empty;
// it is called once for each part of the test.
func TestStore(t *testing.T, open func(t *testing.T) schedule.Store) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, s schedule.Store)
	}{
		{"what was written is read", testRoundTrip},
		{"an id is taken once", testExists},
		{"versions follow each other", testVersions},
		{"the earliest due come first", testDue},
		{"lists", testList},
		{"the last results are kept", testResults},
		{"what is deleted is gone", testDelete},
		{"what is not there", testNotFound},
		{"of writers at once one wins", testWriters},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

var begin = time.Date(2026, 1, 20, 14, 30, 0, 123456789, time.UTC)

// Sample returns a record with something in each field.
func Sample(t testing.TB, id string) *schedule.Schedule {
	t.Helper()
	local, err := schedule.ParseLocal("2026-01-20 14:30:00")
	if err != nil {
		t.Fatal(err)
	}
	week, err := routing.ParseWeek("Mon-Fri 09:00-18:00, Sat 22:00-02:00")
	if err != nil {
		t.Fatal(err)
	}
	next := schedule.Occurrence{Local: local, At: begin, Shifted: true}
	return &schedule.Schedule{
		Spec: schedule.Spec{
			ID: id, At: local, Cron: "0 9 * * *", Zone: "UTC", Strict: true,
			From: begin, Until: begin.Add(time.Hour), Grace: time.Minute,
			Hours:      &routing.Hours{Zone: time.UTC, Week: week, Days: map[routing.Date][]routing.Span{{Month: 12, Day: 25}: nil}},
			AwaitHours: true, Overlap: schedule.OverlapAllow,
			Request: call.Request{
				AgentID: "reminders", From: "+12025550100", To: "+12025550199", Provider: "sim", Tenant: "t",
				Context: map[string]string{"a": "ö"}, Metadata: map[string]string{"b": "c"},
				Options: call.Options{Record: true, RingTimeout: time.Second},
			},
		},
		State: schedule.Active, CreatedAt: begin, Next: next, Due: begin.Add(time.Second), Claimed: begin.Add(2 * time.Second), Held: begin.Add(time.Second),
		Last:       &schedule.Result{Occurrence: next, Outcome: schedule.Missed, Detail: "late", DecidedAt: begin, More: 3},
		LastCallID: "call_1", Version: 1,
	}
}

func create(t *testing.T, s schedule.Store, all ...*schedule.Schedule) {
	t.Helper()
	for _, r := range all {
		if err := s.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func expect(t *testing.T, s schedule.Store, want *schedule.Schedule) {
	t.Helper()
	got, err := s.Get(t.Context(), want.ID)
	if diff := cmp.Diff(want, got, cmp.Comparer(sameLocal), cmp.Comparer(sameZone)); err != nil || diff != "" {
		t.Errorf("read with %v (-want +got):\n%s", err, diff)
	}
}

func sameLocal(a, b schedule.Local) bool { return a.String() == b.String() }

func sameZone(a, b *time.Location) bool { return a.String() == b.String() }

func testRoundTrip(t *testing.T, s schedule.Store) {
	r := Sample(t, "one")
	create(t, s, r)
	expect(t, s, r)
	r.Due = r.Due.In(time.FixedZone("elsewhere", 3600))
	r.Version, r.State, r.Claimed, r.Last = 2, schedule.Paused, time.Time{}, nil
	if err := s.Update(t.Context(), r, nil); err != nil {
		t.Fatal(err)
	}
	r.Due = r.Due.UTC()
	expect(t, s, r)
	r.LastCallID = "changed by the caller"
	got, err := s.Get(t.Context(), "one")
	if err != nil || got.LastCallID != "call_1" {
		t.Errorf("the store kept what is the caller's: %+v, %v", got, err)
	}
	got.LastCallID = "changed by the receiver"
	if again, err := s.Get(t.Context(), "one"); err != nil || again.LastCallID != "call_1" {
		t.Errorf("the store gave away what is its own: %+v, %v", again, err)
	}
}

func testExists(t *testing.T, s schedule.Store) {
	create(t, s, Sample(t, "one"))
	other := Sample(t, "one")
	other.LastCallID = "other"
	if err := s.Create(t.Context(), other); !errors.Is(err, schedule.ErrExists) {
		t.Errorf("Create again: %v", err)
	}
	expect(t, s, Sample(t, "one"))
	other = Sample(t, "two")
	other.Version = 2
	if err := s.Create(t.Context(), other); !errors.Is(err, schedule.ErrConflict) {
		t.Errorf("Create in version 2: %v", err)
	}
}

func testVersions(t *testing.T, s schedule.Store) {
	r := Sample(t, "one")
	create(t, s, r)
	for _, v := range []int64{0, 1, 3} {
		wrong := Sample(t, "one")
		wrong.Version, wrong.LastCallID = v, "wrong"
		if err := s.Update(t.Context(), wrong, &schedule.Result{Outcome: schedule.Placed}); !errors.Is(err, schedule.ErrConflict) {
			t.Errorf("Update from version 1 to %d: %v", v, err)
		}
	}
	expect(t, s, r)
	if results, err := s.Results(t.Context(), "one"); err != nil || len(results) != 0 {
		t.Errorf("results of refused updates: %v, %v", results, err)
	}
}

func testDue(t *testing.T, s schedule.Store) {
	for i, r := range []struct {
		due   time.Duration
		state schedule.State
	}{{3, schedule.Active}, {1, schedule.Active}, {0, schedule.Paused}, {2, schedule.Active}, {1, schedule.Active}, {0, schedule.Done}, {0, schedule.Canceled}} {
		one := Sample(t, fmt.Sprint(i))
		one.Due, one.State = begin.Add(r.due*time.Hour), r.state
		create(t, s, one)
	}
	due := func(limit int) string {
		t.Helper()
		list, err := s.Due(t.Context(), limit)
		if err != nil {
			t.Fatal(err)
		}
		return ids(list)
	}
	if got := due(10); got != "1 4 3 0" && got != "4 1 3 0" {
		t.Errorf("due are %s", got)
	}
	if got := due(2); got != "1 4" && got != "4 1" {
		t.Errorf("the first two due are %s", got)
	}
	first := Sample(t, "1")
	first.Version, first.State = 2, schedule.Paused
	later := Sample(t, "4")
	later.Version, later.Due = 2, begin.Add(5*time.Hour)
	for _, r := range []*schedule.Schedule{first, later} {
		if err := s.Update(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := due(10); got != "3 0 4" {
		t.Errorf("after changes due are %s", got)
	}
}

func ids(list []*schedule.Schedule) string {
	text := ""
	for i, r := range list {
		if i > 0 {
			text += " "
		}
		text += r.ID
	}
	return text
}

func testList(t *testing.T, s schedule.Store) {
	for i, id := range []string{"d", "b", "a", "c"} {
		r := Sample(t, id)
		r.Request.Tenant = []string{"", "x"}[i%2]
		r.State = []schedule.State{schedule.Active, schedule.Paused, schedule.Done, schedule.Canceled}[i]
		create(t, s, r)
	}
	none, x := "", "x"
	for _, tt := range []struct {
		f    schedule.Filter
		want string
	}{
		{schedule.Filter{}, "a b c d"},
		{schedule.Filter{Limit: 2}, "a b"},
		{schedule.Filter{Limit: 2, After: "b"}, "c d"},
		{schedule.Filter{After: "bb"}, "c d"},
		{schedule.Filter{After: "d"}, ""},
		{schedule.Filter{Tenant: &none}, "a d"},
		{schedule.Filter{Tenant: &x}, "b c"},
		{schedule.Filter{States: []schedule.State{schedule.Active, schedule.Canceled}}, "c d"},
		{schedule.Filter{States: []schedule.State{schedule.Active}, Tenant: &x}, ""},
	} {
		list, err := s.List(t.Context(), tt.f)
		if err != nil || ids(list) != tt.want {
			t.Errorf("List(%+v): %s, %v; want %s", tt.f, ids(list), err, tt.want)
		}
	}
}

func testResults(t *testing.T, s schedule.Store) {
	r := Sample(t, "one")
	create(t, s, r, Sample(t, "other"))
	const n = schedule.KeepResults + 5
	for i := range n {
		r.Version++
		result := schedule.Result{Occurrence: r.Next, Outcome: schedule.Placed, CallID: fmt.Sprint(i), DecidedAt: begin}
		if err := s.Update(t.Context(), r, &result); err != nil {
			t.Fatal(err)
		}
	}
	results, err := s.Results(t.Context(), "one")
	if err != nil || len(results) != schedule.KeepResults {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for i, got := range results {
		want := schedule.Result{Occurrence: r.Next, Outcome: schedule.Placed, CallID: fmt.Sprint(n - 1 - i), DecidedAt: begin}
		if !cmp.Equal(got, want, cmp.Comparer(sameLocal)) {
			t.Fatalf("result %d is %+v, want %+v", i, got, want)
		}
	}
	if results, err := s.Results(t.Context(), "other"); err != nil || len(results) != 0 {
		t.Errorf("results of another: %v, %v", results, err)
	}
}

func testDelete(t *testing.T, s schedule.Store) {
	r := Sample(t, "one")
	create(t, s, r)
	r.Version = 2
	if err := s.Update(t.Context(), r, r.Last); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Delete(t.Context(), "one"); err != nil {
			t.Error(err)
		}
	}
	testNotFound(t, s)
	create(t, s, Sample(t, "one"))
	if results, err := s.Results(t.Context(), "one"); err != nil || len(results) != 0 {
		t.Errorf("results of what was deleted: %v, %v", results, err)
	}
}

func testNotFound(t *testing.T, s schedule.Store) {
	for _, id := range []string{"one", "\xff", "a\x00b"} { // not every database has such texts
		if got, err := s.Get(t.Context(), id); !errors.Is(err, schedule.ErrNotFound) || got != nil {
			t.Errorf("Get of %q: %+v, %v", id, got, err)
		}
		if err := s.Delete(t.Context(), id); err != nil {
			t.Errorf("Delete of %q: %v", id, err)
		}
	}
	r := Sample(t, "one")
	r.Version = 2
	if err := s.Update(t.Context(), r, nil); !errors.Is(err, schedule.ErrNotFound) {
		t.Errorf("Update: %v", err)
	}
	if results, err := s.Results(t.Context(), "one"); err != nil || len(results) != 0 {
		t.Errorf("Results: %v, %v", results, err)
	}
	if list, err := s.Due(t.Context(), 10); err != nil || len(list) != 0 {
		t.Errorf("Due: %v, %v", list, err)
	}
}

func testWriters(t *testing.T, s schedule.Store) {
	const writers, rounds = 4, 20
	create(t, s, Sample(t, "one"))
	for round := range rounds {
		results := make([]error, writers)
		var all sync.WaitGroup
		for w := range writers {
			r := Sample(t, "one")
			r.Version = int64(round) + 2
			all.Go(func() { results[w] = s.Update(t.Context(), r, r.Last) })
		}
		all.Wait()
		won := 0
		for _, err := range results {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, schedule.ErrConflict):
				t.Error(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d writers wrote version %d", won, round+2)
		}
	}
	if results, err := s.Results(t.Context(), "one"); err != nil || len(results) != rounds {
		t.Errorf("%d results, %v", len(results), err)
	}
}
