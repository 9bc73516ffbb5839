package quota_test

import (
	"context"
	"fmt"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/quota"
)

// A tenant may begin two calls at once, and then one every ten seconds.
func ExampleRate() {
	policy := call.Policies(
		call.Destinations{AllowPrefixes: []string{"+1"}},
		&quota.Rate{PerMinute: 6, Burst: 2},
	)
	for range 3 {
		err := policy.Allow(context.Background(), call.Leg{Tenant: "acme", To: "+12025550142"})
		if refusal := call.RefusalOf(err); refusal != nil {
			fmt.Println("refused:", string(refusal.Reason), refusal.RetryAfter > 0)
			continue
		}
		fmt.Println("allowed")
	}
	// Output:
	// allowed
	// allowed
	// refused: rate true
}
