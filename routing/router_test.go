package routing_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDatabase = errors.New("database is gone")
	errCalendar = errors.New("calendar is gone")
)

// answers makes a router that always says the same.
func answers(d routing.Decision, err error) routing.Router {
	return routing.RouterFunc(func(context.Context, *routing.Request) (routing.Decision, error) { return d, err })
}

// fails makes a router that cannot find out.
func fails(err error) routing.Router { return answers(routing.Decision{}, err) }

var call = &routing.Request{CallID: "c", From: "+12025550199", To: "+12025550100", Provider: "sim"}

func TestFirst(t *testing.T) {
	sales := routing.ByNumber{"+12025550100": "sales"}
	other := routing.ByNumber{"+12025550101": "other"}
	noOpinion := fails(errors.Join(errors.New("not a gold customer"), routing.ErrNoRoute))
	tests := []struct {
		name   string
		router routing.Router
		agent  string  // "" if there is no route
		failed []error // in the decision or, without a route, in the error
	}{
		{"no routers", routing.First(), "", nil},
		{"the first that decides wins", routing.First(other, sales, routing.Always("desk")), "sales", nil},
		{"the default is last", routing.First(other, routing.Always("desk")), "desk", nil},
		{"nobody has an opinion", routing.First(other, noOpinion), "", nil},
		{"a failure is passed over and told", routing.First(fails(errDatabase), sales), "sales", []error{errDatabase}},
		{"all failures are told, in order", routing.First(fails(errDatabase), other, fails(errCalendar), routing.Always("desk")), "desk", []error{errDatabase, errCalendar}},
		{"failures after the decision do not happen", routing.First(sales, fails(errDatabase)), "sales", nil},
		{"nobody decides and some failed", routing.First(fails(errDatabase), other, fails(errCalendar)), "", []error{errDatabase, errCalendar}},
		{"what a router tells itself comes after", routing.First(fails(errDatabase), answers(routing.Decision{AgentID: "a", Failed: []error{errCalendar}}, nil)), "a", []error{errDatabase, errCalendar}},
		{"a First within a First keeps its failures", routing.First(routing.First(fails(errDatabase), other), fails(errCalendar), sales), "sales", []error{errDatabase, errCalendar}},
		{"a First within a First without a route", routing.First(routing.First(fails(errDatabase)), routing.First(fails(errCalendar))), "", []error{errDatabase, errCalendar}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := tt.router.Route(t.Context(), call)
			if tt.agent != "" {
				if err != nil || d.AgentID != tt.agent || !slices.Equal(d.Failed, tt.failed) {
					t.Errorf("Route: %+v, %v; want agent %s and failures %v", d, err, tt.agent, tt.failed)
				}
				return
			}
			if !errors.Is(err, routing.ErrNoRoute) || !cmp.Equal(d, routing.Decision{}) {
				t.Errorf("Route: %+v, %v; want ErrNoRoute", d, err)
			}
			for _, want := range tt.failed {
				if !errors.Is(err, want) || !strings.Contains(err.Error(), want.Error()) {
					t.Errorf("the error %q does not tell of %q", err, want)
				}
			}
			if tt.failed == nil && err.Error() != routing.ErrNoRoute.Error() {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

// Calls that are routed at the same time do not see each other's failures.
func TestFirstKeepsCallsApart(t *testing.T) {
	shared := make([]error, 1, 10)
	shared[0] = errCalendar
	r := routing.First(fails(errDatabase), answers(routing.Decision{AgentID: "a", Failed: shared}, nil))
	one, err := r.Route(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.Route(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	one.Failed[0] = nil
	if two.Failed[0] != errDatabase || shared[0] != errCalendar {
		t.Error("two decisions share their failures")
	}
}

func TestFirstPassesContextAndRequestOn(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "v")
	asked := false
	r := routing.First(routing.RouterFunc(func(ctx context.Context, req *routing.Request) (routing.Decision, error) {
		asked = true
		if ctx.Value(key{}) != "v" || req != call {
			t.Errorf("the router got %v and %+v", ctx, req)
		}
		return routing.Decision{}, routing.ErrNoRoute
	}))
	if _, err := r.Route(ctx, call); !errors.Is(err, routing.ErrNoRoute) || !asked {
		t.Errorf("Route: %v, asked %v", err, asked)
	}
}

func TestByNumber(t *testing.T) {
	r := routing.ByNumber{"+12025550100": "sales", "anonymous": "desk"}
	tests := []struct {
		to    telephony.Number
		agent string
	}{
		{"+12025550100", "sales"},
		{"anonymous", "desk"},
		{"+12025550101", ""},
		{"12025550100", ""},
		{"", ""},
	}
	for _, tt := range tests {
		d, err := r.Route(t.Context(), &routing.Request{To: tt.to, From: "+12025550100"})
		if tt.agent == "" {
			if err != routing.ErrNoRoute {
				t.Errorf("%q: %+v, %v; want ErrNoRoute", string(tt.to), d, err)
			}
			continue
		}
		if err != nil || d.AgentID != tt.agent {
			t.Errorf("%q: %+v, %v; want %s", string(tt.to), d, err, tt.agent)
		}
		if want := "number " + tt.to.String(); d.Reason != want {
			t.Errorf("%q: Reason is %q, want %q", string(tt.to), d.Reason, want)
		}
	}
	if _, err := routing.ByNumber(nil).Route(t.Context(), call); err != routing.ErrNoRoute {
		t.Errorf("a nil ByNumber: %v", err)
	}
}

func TestReasonsDoNotShowTheNumber(t *testing.T) {
	d, err := routing.ByNumber{call.To: "sales"}.Route(t.Context(), call)
	if err != nil || strings.Contains(d.Reason, string(call.To)) {
		t.Errorf("Reason is %q, %v", d.Reason, err)
	}
}

func TestAlways(t *testing.T) {
	d, err := routing.Always("desk").Route(t.Context(), call)
	if want := (routing.Decision{AgentID: "desk", Reason: "default"}); err != nil || !cmp.Equal(d, want) {
		t.Errorf("Route: %+v, %v; want %+v", d, err, want)
	}
}
