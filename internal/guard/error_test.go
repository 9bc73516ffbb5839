package guard

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 10, 20, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, value, date string
		want              time.Duration
	}{
		{"absent", "", "", 0},
		{"seconds", "120", "", 2 * time.Minute},
		{"more seconds than a day", "4294967295", "", 24 * time.Hour},
		{"more seconds than a number holds", "99999999999999999999", "", 0},
		{"negative", "-5", "", 0},
		{"nonsense", "soon", "", 0},
		{"date by our clock", "Tue, 20 Oct 2026 10:00:30 GMT", "", 30 * time.Second},
		{"date by the carrier's clock", "Tue, 20 Oct 2026 11:00:30 GMT", "Tue, 20 Oct 2026 11:00:00 GMT", 30 * time.Second},
		{"date that is past", "Tue, 20 Oct 2026 09:00:00 GMT", "", 0},
		{"date in years", "Tue, 20 Oct 2099 09:00:00 GMT", "", 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			h.Set("Retry-After", tt.value)
			h.Set("Date", tt.date)
			if got := retryAfter(h, now); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
