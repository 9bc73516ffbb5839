package wallclock

import (
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

const layout = "2006-01-02 15:04:05"

func TestInstant(t *testing.T) {
	tests := []struct {
		name, zone, wall, want string
		fit                    Fit
	}{
		{"an ordinary day", "Europe/Berlin", "2026-06-01 09:00:00", "2026-06-01T09:00:00+02:00", Once},
		{"UTC", "UTC", "2026-06-01 09:00:00", "2026-06-01T09:00:00Z", Once},
		{"a place whose clocks never change", "Asia/Kolkata", "2026-03-29 02:30:00", "2026-03-29T02:30:00+05:30", Once},
		{"the last moment before the gap", "Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29T01:59:59+01:00", Once},
		{"the first of the gap", "Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29T03:00:00+02:00", Skipped},
		{"within the gap", "Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29T03:30:00+02:00", Skipped},
		{"the first after the gap", "Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29T03:00:00+02:00", Once},
		{"the first of the overlap", "Europe/Berlin", "2026-10-25 02:00:00", "2026-10-25T02:00:00+02:00", Twice},
		{"the last of the overlap", "Europe/Berlin", "2026-10-25 02:59:59", "2026-10-25T02:59:59+02:00", Twice},
		{"the first after the overlap", "Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25T03:00:00+01:00", Once},
		{"the gap west of Greenwich", "America/New_York", "2026-03-08 02:30:00", "2026-03-08T03:30:00-04:00", Skipped},
		{"the overlap west of Greenwich", "America/New_York", "2026-11-01 01:30:00", "2026-11-01T01:30:00-04:00", Twice},
		{"a gap of half an hour", "Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-04T02:45:00+11:00", Skipped},
		{"an overlap of half an hour", "Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-05T01:45:00+11:00", Twice},
		{"a day that never was", "Pacific/Apia", "2011-12-30 09:00:00", "2011-12-31T09:00:00+14:00", Skipped},
		{"a gap at midnight", "Africa/Cairo", "2026-04-24 00:30:00", "2026-04-24T01:30:00+03:00", Skipped},
		{"the last day of a leap year to come", "Europe/Berlin", "2040-12-31 12:00:00", "2040-12-31T12:00:00+01:00", Once},
		{"a gap to come", "America/New_York", "2052-03-10 02:30:00", "2052-03-10T03:30:00-04:00", Skipped},
		{"mean time of long ago", "Asia/Manila", "1840-01-01 12:00:00", "1840-01-01T12:00:00-15:56", Once},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			loc, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			wall, err := time.Parse(layout, tt.wall)
			if err != nil {
				t.Fatal(err)
			}
			got, fit := Instant(wall, loc)
			if s := got.Format(time.RFC3339); s != tt.want || fit != tt.fit {
				t.Errorf("%s in %s: %s, %v; want %s, %v", tt.wall, tt.zone, s, fit, tt.want, tt.fit)
			}
		})
	}
}

// Whatever the time, an instant shows what it was asked for, or something later
// by the length of the gap.
func TestInstantShowsItsTime(t *testing.T) {
	zones := []string{"Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca", "Pacific/Apia", "Europe/Dublin"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		wall := time.Unix(rapid.Int64Range(0, 7258118400).Draw(t, "wall"), 0).UTC()
		got, fit := Instant(wall, loc)
		shown := got.Format(layout)
		if fit != Skipped && shown != wall.Format(layout) || fit == Skipped && shown <= wall.Format(layout) {
			t.Errorf("%v is %v, %v", wall, got, fit)
		}
		if first := got.Add(-30 * time.Minute); fit == Twice && first.Format(layout) >= shown {
			t.Errorf("%v is %v, which is not the first", wall, got)
		}
	})
}

func TestInstantAllocatesNothing(t *testing.T) {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	wall := time.Date(2026, 3, 29, 2, 30, 0, 0, time.UTC)
	if n := testing.AllocsPerRun(100, func() { Instant(wall, loc) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkInstant(b *testing.B) {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	wall := time.Date(2026, 3, 29, 2, 30, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		Instant(wall, loc)
	}
}
