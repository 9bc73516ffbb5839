package routing_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/routing"
)

// Most tables end with an agent who takes every call.
func ExampleFirst() {
	table := routing.First(
		routing.ByNumber{"+12025550100": "orders", "+12025550101": "returns"},
		routing.Always("receptionist"),
	)
	for _, req := range []*routing.Request{{To: "+12025550101"}, {To: "+12025550102"}} {
		d, err := table.Route(context.Background(), req)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s\n", d.AgentID, d.Reason)
	}
	// Output:
	// returns: number +1202*****01
	// receptionist: default
}

// A lookup of one's own: who has no opinion returns ErrNoRoute, and a lookup
// that fails costs no call.
func ExampleRouterFunc() {
	tier := func(context.Context, *routing.Request) (string, error) { return "", errors.New("database is gone") }
	gold := routing.RouterFunc(func(ctx context.Context, req *routing.Request) (routing.Decision, error) {
		t, err := tier(ctx, req)
		if err != nil {
			return routing.Decision{}, fmt.Errorf("gold: %w", err)
		}
		if t != "gold" {
			return routing.Decision{}, routing.ErrNoRoute
		}
		return routing.Decision{AgentID: "concierge", Reason: "gold customer"}, nil
	})

	d, err := routing.First(gold, routing.Always("receptionist")).Route(context.Background(), &routing.Request{})
	fmt.Println(d.AgentID, d.Failed, err)
	// Output: receptionist [gold: database is gone] <nil>
}

// By day whoever knows the caller, or else has least to do; by night one agent,
// who takes every call that nobody else does.
func ExampleDuring() {
	week, err := routing.ParseWeek("Mon-Fri 09:00-18:00, Sat 10:00-14:00")
	if err != nil {
		fmt.Println(err)
		return
	}
	hours := &routing.Hours{
		Week: week,
		Days: map[routing.Date][]routing.Span{{Month: time.December, Day: 25}: nil}, // closed
	}
	staff, known := new(routing.Staff), new(routing.Recent)
	staff.Set("ann", routing.Availability{Capacity: 1})
	known.Note("+12025550199", "ann")

	table := routing.First(
		routing.During(hours, routing.First(
			routing.IfFree(staff, routing.Sticky{Lookup: known}),
			routing.LeastBusy{Staff: staff, Agents: []string{"bob", "cyd"}},
		)),
		routing.Always("night desk"),
	)
	morning := time.Date(2026, time.June, 1, 10, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{morning, morning, morning.Add(12 * time.Hour)} {
		d, err := table.Route(context.Background(), &routing.Request{From: "+12025550199", At: at})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s\n", d.AgentID, d.Reason)
		for _, step := range d.Trace {
			fmt.Printf("\t%s: %s\n", step.Policy, step.Said)
		}
	}
	// Output:
	// ann: spoke last with +1202*****99
	// 	hours: open on Mon 1 Jun 10:00 UTC
	// 	sticky: spoke last with +1202*****99
	// bob: least busy of 2, with 0 calls
	// 	hours: open on Mon 1 Jun 10:00 UTC
	// 	sticky: spoke last with +1202*****99
	// 	free: ann has 1 of 1 calls
	// 	least busy: least busy of 2, with 0 calls
	// night desk: default
	// 	hours: closed on Mon 1 Jun 22:00 UTC
	// 	default: default
}
