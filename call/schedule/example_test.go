package schedule_test

import (
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/call/schedule"
)

// What a rule will do is known in advance, also where clocks change.
func ExampleSpec_Occurrences() {
	spec := schedule.Spec{Cron: "30 2 * * *", Zone: "Europe/Berlin"}
	all, err := spec.Occurrences(time.Date(2026, time.March, 28, 0, 0, 0, 0, time.UTC), 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range all {
		fmt.Println(o.Local, "is", o.At.Format(time.RFC3339))
	}
	// Output:
	// 2026-03-28T02:30:00 is 2026-03-28T02:30:00+01:00
	// 2026-03-29T02:30:00 is 2026-03-29T03:30:00+02:00
	// 2026-03-30T02:30:00 is 2026-03-30T02:30:00+02:00
}
