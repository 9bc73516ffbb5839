package dialplan_test

import (
	"context"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/dialplan"
)

// A host that sells in two countries, on weekdays only, and never calls certain
// prefixes.
func ExamplePolicy() {
	cfg := call.Config{
		Policy: call.Policies(
			call.Destinations{DenyPrefixes: []string{"+1202555"}},
			dialplan.Policy{
				Regions: []string{"US", "CA"},
				Hours: dialplan.Hours{{
					From: 9 * time.Hour, Until: 18 * time.Hour,
					Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday},
				}},
			},
		),
	}
	fmt.Println(cfg.Policy.Allow(context.Background(), call.Leg{To: "+442079460958"}))
	// Output: destination: region is not allowed: "GB"
}
