package routing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// full makes a staff at which these agents have no room.
func full(agents ...string) *routing.Staff {
	s := new(routing.Staff)
	for _, a := range agents {
		s.Set(a, routing.Availability{Busy: true})
	}
	return s
}

type lookup func() (string, error)

func (f lookup) LastAgent(context.Context, *routing.Request) (string, error) { return f() }

func TestPolicies(t *testing.T) {
	desk := routing.Always("desk")
	nobody := fails(routing.ErrNoRoute)
	agents := []string{"ann", "bob", "cyd"}
	tests := []struct {
		name   string
		router routing.Router
		agent  string // "" if there is no route
		reason string // of the decision, or the last step
	}{
		{"a caller on the list", routing.ByCaller{call.From: "vip"}, "vip", "caller +1202*****99"},
		{"a caller who is not", routing.ByCaller{call.To: "vip"}, "", ""},
		{"the first pattern that fits", routing.ByPattern{{"+44*", "london"}, {"+1202*", "capital"}, {"*", "rest"}}, "capital", "caller +1202*"},
		{"no pattern fits", routing.ByPattern{{"+44*", "london"}}, "", ""},
		{"a pattern that is a number is masked", routing.ByPattern{{"+12025550199", "vip"}}, "vip", "caller +1202*****99"},

		{"least busy takes the first of equals at first", routing.LeastBusy{new(routing.Staff), agents}, "ann", "least busy of 3, with 0 calls"},
		{"least busy passes over who is busy", routing.LeastBusy{full("ann"), agents}, "bob", "least busy of 3, with 0 calls"},
		{"least busy has nobody", routing.LeastBusy{full(agents...), agents}, "", "none of 3 agents has room"},
		{"least busy without a staff", routing.LeastBusy{nil, agents}, "", "routing: there is no Staff"},
		{"first free", routing.FirstFree{full("ann", "bob"), agents}, "cyd", "first free, number 3 of 3"},
		{"first free has nobody", routing.FirstFree{full(agents...), agents}, "", "none of 3 agents has room"},
		{"first free without a staff", routing.FirstFree{nil, agents}, "", "routing: there is no Staff"},

		{"if free, and is", routing.IfFree(full("ann"), desk), "desk", "default"},
		{"if free, and is not", routing.IfFree(full("desk"), desk), "", "desk is busy"},
		{"if free of nobody", routing.IfFree(full(), nobody), "", "no opinion"},

		{"a backup is not needed", routing.Backup{desk, full(), map[string]string{"desk": "ann"}}, "desk", "default"},
		{"the backup", routing.Backup{desk, full("desk"), map[string]string{"desk": "ann"}}, "ann", "default, backup of desk"},
		{"the backup of the backup", routing.Backup{desk, full("desk", "ann"), map[string]string{"desk": "ann", "ann": "bob"}}, "bob", "default, backup of desk"},
		{"no backup", routing.Backup{desk, full("desk"), nil}, "", "desk is busy"},
		{"backups in a circle", routing.Backup{desk, full("desk", "ann"), map[string]string{"desk": "ann", "ann": "desk"}}, "", "desk is busy"},
		{"a backup of nobody", routing.Backup{nobody, full(), nil}, "", "no opinion"},
		{"a backup without a staff", routing.Backup{desk, nil, nil}, "", "routing: there is no Staff"},

		{"no overflow", routing.Overflow{desk, routing.Always("ann"), full(), "front"}, "desk", "default"},
		{"overflow", routing.Overflow{desk, routing.Always("ann"), full("front"), "front"}, "ann", "default, overflow of front"},
		{"overflow since nobody decides", routing.Overflow{nobody, desk, full(), "front"}, "desk", "default, overflow of front"},
		{"overflow to nobody", routing.Overflow{nobody, nobody, full(), "front"}, "", "no opinion"},
		{"overflow without a staff", routing.Overflow{desk, desk, nil, "front"}, "", "routing: there is no Staff"},

		{"sticky", routing.Sticky{lookup(func() (string, error) { return "ann", nil })}, "ann", "spoke last with +1202*****99"},
		{"sticky with a new caller", routing.Sticky{lookup(func() (string, error) { return "", nil })}, "", "a new caller"},
		{"sticky whose lookup fails", routing.Sticky{lookup(func() (string, error) { return "", errDatabase })}, "", "database is gone"},
		{"sticky whose lookup panics", routing.Sticky{lookup(func() (string, error) { panic("+12025550123") })}, "", "routing: router panicked with a string"},
		{"sticky without a lookup", routing.Sticky{}, "", "routing: router panicked: runtime error: invalid memory address or nil pointer dereference"},
		{"a router that is nil", nil, "", "routing: router panicked: runtime error: invalid memory address or nil pointer dereference"},
		{"a router that names nobody", answers(routing.Decision{}, nil), "", "routing: router named no agent and gave no error"},
		{"a router that tells of a number", answers(routing.Decision{}, routing.Pass("not +1 202 555 0123")), "", "not +* *** *** ****"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := routing.First(tt.router).Route(t.Context(), call)
			if tt.agent != "" {
				if err != nil || d.AgentID != tt.agent || d.Reason != tt.reason {
					t.Errorf("Route: %+v, %v; want %s, because %s", d, err, tt.agent, tt.reason)
				}
				return
			}
			if !errors.Is(err, routing.ErrNoRoute) {
				t.Fatalf("Route: %+v, %v; want ErrNoRoute", d, err)
			}
			trace := routing.TraceOf(err)
			if last := trace[len(trace)-1]; last.AgentID != "" || tt.reason != "" && last.Said != tt.reason {
				t.Errorf("the last step is %+v; want %q", last, tt.reason)
			}
			// And the call is not lost.
			d, err = routing.First(tt.router, routing.Always("last")).Route(t.Context(), call)
			if err != nil || d.AgentID != "last" {
				t.Errorf("with a default behind: %+v, %v", d, err)
			}
		})
	}
}

func TestTrace(t *testing.T) {
	night := &routing.Hours{Week: week(t, "Mon-Sun 22:00-06:00")}
	day := &routing.Hours{Week: week(t, "Mon-Sun 06:00-22:00")}
	staff := full("ann", "bob")
	table := routing.First(
		routing.ByNumber{"+12025550101": "returns"},
		routing.Named("gold", fails(errDatabase)),
		routing.During(night, routing.Always("night")),
		routing.During(day, routing.First(
			routing.IfFree(staff, routing.Sticky{lookup(func() (string, error) { return "ann", nil })}),
			routing.Backup{routing.Always("bob"), staff, map[string]string{"bob": "cyd"}},
		)),
	)
	req := &routing.Request{To: "+12025550100", At: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
	d, err := table.Route(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := []routing.Step{
		{Policy: "number", Said: "no opinion"},
		{Policy: "gold", Said: "database is gone", Failed: true},
		{Policy: "hours", Said: "closed on Mon 1 Jun 12:00 UTC"},
		{Policy: "hours", Said: "open on Mon 1 Jun 12:00 UTC"},
		{Policy: "sticky", AgentID: "ann", Said: "spoke last with "},
		{Policy: "free", Said: "ann is busy"},
		{Policy: "default", AgentID: "bob", Said: "default"},
		{Policy: "backup", Said: "bob is busy"},
		{Policy: "backup", AgentID: "cyd", Said: "default, backup of bob"},
	}
	if diff := cmp.Diff(want, d.Trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if len(d.Failed) != 1 || !errors.Is(d.Failed[0], errDatabase) {
		t.Errorf("failed: %v", d.Failed)
	}
	staff.Set("cyd", routing.Availability{Busy: true})
	_, err = table.Route(t.Context(), req)
	want = append(want[:8:8], routing.Step{Policy: "backup", Said: "cyd is busy"})
	if diff := cmp.Diff(want, routing.TraceOf(err)); diff != "" {
		t.Errorf("trace without a route (-want +got):\n%s", diff)
	}
	if got := routing.TraceOf(errDatabase); got != nil {
		t.Errorf("trace of another error: %v", got)
	}
}

// Whoever is turned away needs nobody who has room, and takes nobody's.
func TestRejection(t *testing.T) {
	reject := routing.Reject(telephony.RejectBusy)
	tests := []struct {
		name   string
		router func(*routing.Staff) routing.Router
		reason string
	}{
		{"as it is", func(*routing.Staff) routing.Router { return reject }, "rejected"},
		{"if free", func(s *routing.Staff) routing.Router { return routing.IfFree(s, reject) }, "rejected"},
		{"with a backup", func(s *routing.Staff) routing.Router {
			return routing.Backup{reject, s, map[string]string{"": "ann"}}
		}, "rejected"},
		{"as overflow", func(s *routing.Staff) routing.Router {
			s.Set("front", routing.Availability{Busy: true})
			return routing.Overflow{routing.Always("ann"), reject, s, "front"}
		}, "rejected, overflow of front"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := full("")
			d, err := routing.First(fails(routing.ErrNoRoute), tt.router(s), routing.Always("last")).Route(t.Context(), call)
			if err != nil || d.Reject != telephony.RejectBusy || d.AgentID != "" || d.Reason != tt.reason || d.Lease != nil {
				t.Errorf("Route: %+v, %v", d, err)
			}
			if last := d.Trace[len(d.Trace)-1]; last != (routing.Step{Policy: "reject", Said: "rejected"}) {
				t.Errorf("the last step is %+v", last)
			}
		})
	}
}

func TestTraceNamesRoutersOfTheHost(t *testing.T) {
	d, err := routing.First(answers(routing.Decision{AgentID: "a", Reason: "r"}, nil)).Route(t.Context(), call)
	if want := []routing.Step{{Policy: "routing.RouterFunc", AgentID: "a", Said: "r"}}; err != nil || !cmp.Equal(d.Trace, want) {
		t.Errorf("trace %+v, %v; want %+v", d.Trace, err, want)
	}
}

func TestWithinGivesUpOnASlowLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := routing.RouterFunc(func(ctx context.Context, _ *routing.Request) (routing.Decision, error) {
			<-ctx.Done()
			return routing.Decision{}, ctx.Err()
		})
		begin := time.Now()
		d, err := routing.First(routing.Within(time.Second, routing.Named("crm", slow)), routing.Always("desk")).Route(t.Context(), call)
		if err != nil || d.AgentID != "desk" || !errors.Is(d.Failed[0], context.DeadlineExceeded) || d.Trace[0].Policy != "crm" {
			t.Errorf("Route: %+v, %v", d, err)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestDuringAsksByTheTimeOfTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is 2000-01-01 00:00 UTC, a Saturday
		r := routing.During(&routing.Hours{Week: week(t, "Sat 00:00-01:00")}, routing.Always("desk"))
		if _, err := r.Route(t.Context(), &routing.Request{}); err != nil {
			t.Errorf("now: %v", err)
		}
		at := time.Now().Add(2 * time.Hour)
		_, err := r.Route(t.Context(), &routing.Request{At: at})
		if !errors.Is(err, routing.ErrNoRoute) || err.Error() != "routing: no route: closed on Sat 1 Jan 02:00 UTC" {
			t.Errorf("at two: %v", err)
		}
	})
}

func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &routing.Recent{Max: 2, For: time.Hour}
		agent := func(from telephony.Number) string {
			a, err := r.LastAgent(t.Context(), &routing.Request{From: from})
			if err != nil {
				t.Error(err)
			}
			return a
		}
		expect := func(when string, a, b, c string) {
			t.Helper()
			for i, want := range []string{a, b, c} {
				if got := agent(telephony.Number(fmt.Sprintf("+1202555010%d", i))); got != want {
					t.Errorf("%s: caller %d is known to %q, want %q", when, i, got, want)
				}
			}
		}
		expect("at first", "", "", "")
		r.Note("+12025550100", "ann")
		r.Note("+12025550101", "bob")
		expect("after two", "ann", "bob", "")
		r.Note("+12025550100", "cyd")
		r.Note("+12025550102", "ann")
		expect("one too many", "cyd", "", "ann")
		r.Note("anonymous", "ann")
		r.Note("+12025550103", "")
		expect("notes that are none", "cyd", "", "ann")
		time.Sleep(time.Hour)
		expect("after an hour", "cyd", "", "ann")
		time.Sleep(time.Nanosecond)
		expect("and then", "", "", "")
		if agent("anonymous") != "" {
			t.Error("all anonymous callers are one")
		}
	})
}

func TestValidate(t *testing.T) {
	staff, desk := new(routing.Staff), routing.Always("desk")
	open := &routing.Hours{Week: week(t, "Mon 09:00-10:00")}
	bad := routing.ByPattern{{"", "x"}}
	tests := []struct {
		name   string
		router routing.Router
		says   string // "" if it is right
	}{
		{"all that is right", routing.First(
			routing.ByPattern{{"+1*", "a"}},
			routing.During(open, routing.LeastBusy{staff, []string{"a"}}),
			routing.Named("n", routing.FirstFree{staff, []string{"a"}}),
			routing.IfFree(staff, routing.Sticky{new(routing.Recent)}),
			&routing.Weighted{Shares: []routing.Share{{"a", 1}}},
			routing.Within(time.Second, routing.Backup{desk, staff, map[string]string{"a": "b"}}),
			routing.Overflow{desk, desk, staff, "g"},
			routing.Reject(telephony.RejectBusy),
			routing.Reject(telephony.RejectRefused),
		), ""},
		{"a pattern that is empty", bad, "pattern is empty"},
		{"a pattern without an agent", routing.ByPattern{{"+1*", ""}}, "no agent"},
		{"least busy of nobody", routing.LeastBusy{staff, nil}, "no agents"},
		{"least busy without a staff", routing.LeastBusy{nil, []string{"a"}}, "no Staff"},
		{"the same agent twice", routing.FirstFree{staff, []string{"a", "a"}}, "twice"},
		{"a rejection without a reason", routing.Reject(telephony.RejectNone), "no reason"},
		{"weights of nobody", new(routing.Weighted), "zero"},
		{"weight of no agent", &routing.Weighted{Shares: []routing.Share{{"", 1}}}, "no agent"},
		{"sticky without a lookup", routing.Sticky{}, "nil"},
		{"one's own backup", routing.Backup{desk, staff, map[string]string{"a": "a"}}, "its own"},
		{"a backup without a staff", routing.Backup{desk, nil, nil}, "no Staff"},
		{"a group without a name", routing.Overflow{desk, desk, staff, ""}, "Group"},
		{"a group without a staff", routing.Overflow{desk, desk, nil, "g"}, "no Staff"},
		{"hours that are nil", routing.During(nil, desk), "no hours"},
		{"hours that are never", routing.During(new(routing.Hours), desk), "never"},
		{"free without a staff", routing.IfFree(nil, desk), "no Staff"},
		{"a nil router in a First", routing.First(desk, nil), "nil"},
		{"within First", routing.First(desk, bad), "pattern"},
		{"within Named", routing.Named("n", bad), "pattern"},
		{"within Within", routing.Within(time.Second, bad), "pattern"},
		{"within During", routing.During(open, bad), "pattern"},
		{"within IfFree", routing.IfFree(staff, bad), "pattern"},
		{"within Backup", routing.Backup{Router: bad, Staff: staff}, "pattern"},
		{"within Overflow", routing.Overflow{desk, bad, staff, "g"}, "pattern"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.router.(telephony.Validator).Validate()
			if tt.says == "" {
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.HasPrefix(err.Error(), "routing: ") {
				t.Errorf("Validate: %v; want %q", err, tt.says)
			}
		})
	}
}

func week(t testing.TB, text string) routing.Week {
	t.Helper()
	w, err := routing.ParseWeek(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func BenchmarkTable(b *testing.B) {
	staff := new(routing.Staff)
	table := routing.First(
		routing.ByNumber{"+12025550101": "returns"},
		routing.ByPattern{{"+44*", "london"}},
		routing.During(&routing.Hours{Week: week(b, "Mon-Sun 00:00-24:00")}, routing.LeastBusy{staff, []string{"a", "b", "c", "d"}}),
	)
	b.ReportAllocs()
	for b.Loop() {
		d, err := table.Route(b.Context(), call)
		if err != nil {
			b.Fatal(err)
		}
		d.Lease.Release()
	}
}
