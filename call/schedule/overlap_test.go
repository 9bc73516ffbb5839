package schedule

import (
	"testing"
	"testing/synctest"
	"time"
)

// An occurrence that is due while the last call lives: the rule decides, whichever
// scheduler had placed that call.
func TestOverlap(t *testing.T) {
	const skipped = "skipped (the last call is not over)"
	tests := []struct {
		name     string
		lasts    time.Duration // each call
		overlap  Overlap
		dialed   string
		outcomes string
	}{
		{"it is skipped", 90 * time.Minute, OverlapSkip,
			"01T01:00:00=01T01:00:00 01T03:00:00=01T03:00:00", skipped + ", placed, " + skipped + ", placed"},
		{"a call that never ends", 24 * time.Hour, OverlapSkip,
			"01T01:00:00=01T01:00:00", skipped + ", " + skipped + ", " + skipped + ", placed"},
		{"one that has just ended", time.Hour, OverlapSkip,
			"01T01:00:00=01T01:00:00 01T02:00:00=01T02:00:00 01T03:00:00=01T03:00:00 01T04:00:00=01T04:00:00",
			"placed, placed, placed, placed"},
		{"it is allowed", 90 * time.Minute, OverlapAllow,
			"01T01:00:00=01T01:00:00 01T02:00:00=01T02:00:00 01T03:00:00=01T03:00:00 01T04:00:00=01T04:00:00",
			"placed, placed, placed, placed"},
	}
	for _, tt := range tests {
		for name, again := range map[string]bool{"": false, ", seen by another scheduler": true} {
			t.Run(tt.name+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d, store := &desk{lasts: tt.lasts}, new(MemoryStore)
					s, stop := start(t, d, store)
					mustAdd(t, s, spec(func(s *Spec) { s.Cron, s.Overlap = "0 1-4 * * *", tt.overlap }))
					for range 5 {
						time.Sleep(time.Hour)
						synctest.Wait()
						if again {
							stop()
							s, stop = start(t, d, store)
						}
					}
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
}
