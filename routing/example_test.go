package routing_test

import (
	"context"
	"errors"
	"fmt"

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
