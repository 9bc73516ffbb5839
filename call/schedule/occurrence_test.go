package schedule

import (
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

func mustLocation(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := location(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func mustTime(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func mustLocal(t testing.TB, s string) Local {
	t.Helper()
	l, err := ParseLocal(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The calls of a day on which clocks change, beside those of robfig/cron's own
// clock. The table of docs/schedules.md is that of this test.
func TestOccurrencesWhereClocksChange(t *testing.T) {
	tests := []struct {
		zone, day, cron string
		want            string // clock readings at which calls are placed
		robfig          string
	}{
		{"Europe/Berlin", "2026-03-29", "30 2 * * *", "03:30", ""},
		{"Europe/Berlin", "2026-10-25", "30 2 * * *", "02:30", "02:30 02:30"},
		{"Europe/Berlin", "2026-03-29", "0 1-4 * * *", "01:00 03:00 04:00", "01:00 03:00 04:00"},
		{"Europe/Berlin", "2026-10-25", "0 1-4 * * *", "01:00 02:00 03:00 04:00", "01:00 02:00 02:00 03:00 04:00"},
		{"America/New_York", "2026-03-08", "30 2 * * *", "03:30", ""},
		{"America/New_York", "2026-11-01", "30 1 * * *", "01:30", "01:30 01:30"},
		{"America/New_York", "2026-03-08", "*/30 1-3 * * *", "01:00 01:30 03:00 03:30", "01:00 01:30 03:00 03:30"},
		{"America/New_York", "2026-11-01", "*/30 1-2 * * *", "01:00 01:30 02:00 02:30", "01:00 01:30 01:00 01:30 02:00 02:30"},
		{"America/St_Johns", "2026-03-08", "30 2 * * *", "03:30", ""},
		{"America/St_Johns", "2026-11-01", "30 1 * * *", "01:30", "01:30 01:30"},
		{"Australia/Lord_Howe", "2026-10-04", "0 2 * * *", "02:30", ""},
		{"Australia/Lord_Howe", "2026-10-04", "15 2 * * *", "02:45", ""},
		{"Australia/Lord_Howe", "2026-04-05", "45 1 * * *", "01:45", "01:45 01:45"},
		{"Australia/Lord_Howe", "2026-10-04", "15,35 2 * * *", "02:35 02:45", "02:35"},
		{"Asia/Kolkata", "2026-03-29", "30 2 * * *", "02:30", "02:30"},
		{"Asia/Kolkata", "2026-10-25", "0 1-4 * * *", "01:00 02:00 03:00 04:00", "01:00 02:00 03:00 04:00"},
		{"Africa/Cairo", "2026-04-24", "30 0 * * *", "01:30", ""},
		{"Pacific/Apia", "2011-12-31", "0 9 * * *", "09:00", "09:00"},
	}
	var table strings.Builder
	for _, tt := range tests {
		t.Run(tt.zone+" "+tt.day+" "+tt.cron, func(t *testing.T) {
			loc := mustLocation(t, tt.zone)
			begin, _ := time.ParseInLocation(time.DateOnly, tt.day, loc)
			begin = begin.Add(-time.Second)
			end := begin.AddDate(0, 0, 1)
			rule, err := parseCron(tt.cron)
			if err != nil {
				t.Fatal(err)
			}
			var ours, theirs []string
			for at := begin; ; {
				o, ok := rule.next(at, loc)
				if !ok || o.At.After(end) {
					break
				}
				at = o.At
				ours = append(ours, at.Format("15:04"))
			}
			other, err := cron.ParseStandard("CRON_TZ=" + tt.zone + " " + tt.cron)
			if err != nil {
				t.Fatal(err)
			}
			for at := other.Next(begin); !at.After(end); at = other.Next(at) {
				theirs = append(theirs, at.In(loc).Format("15:04"))
			}
			got, robfig := strings.Join(ours, " "), strings.Join(theirs, " ")
			fmt.Fprintf(&table, "| %s | %s | `%s` | %s | %s |\n", tt.zone, tt.day, tt.cron, got, cmp.Or(robfig, "*none*"))
			if got != tt.want {
				t.Errorf("calls at %s, want %s", got, tt.want)
			}
			if robfig != tt.robfig {
				t.Errorf("robfig's clock: %s, want %s", robfig, tt.robfig)
			}
		})
	}
	doc, err := os.ReadFile(filepath.FromSlash("../../docs/schedules.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "|---|---|---|---|---|\n"+table.String()+"\n") {
		t.Errorf("docs/schedules.md has another table than this:\n%s", &table)
	}
}

// zoneNames are those of the time zone database that Go has, one of those that
// mean the same clock.
func zoneNames(t *testing.T) []string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	r, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var names []string
	seen := make(map[uint32]bool)
	for _, f := range r.File {
		if !strings.HasSuffix(f.Name, "/") && !seen[f.CRC32] {
			names = append(names, f.Name)
			seen[f.CRC32] = true
		}
	}
	return names
}

// In each zone, each reading that a rule states has its call, and no other: what
// the rule gives is checked against a clock that is read minute by minute.
func TestEachStatedTimeHappensOnce(t *testing.T) {
	rules := []string{"30 2 * * *", "0 * * * *", "15 1 * * SUN", "0 0 * * *", "*/20 0-3 * * *"}
	begin, end := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
	if !*thorough {
		begin, end = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	zones, stated, skipped := 0, 0, 0
	for _, name := range zoneNames(t) {
		h := fnv.New32()
		fmt.Fprint(h, name)
		if !*thorough && h.Sum32()%100 != 0 && !slices.Contains([]string{"Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"}, name) {
			continue
		}
		zones++
		loc := mustLocation(t, name)
		clock := newClock(t, loc, begin, end)
		for _, expr := range rules {
			rule, err := parseCron(expr)
			if err != nil {
				t.Fatal(err)
			}
			want := clock.readings(rule)
			at := begin.Add(-time.Nanosecond)
			for n := 0; ; n++ {
				o, ok := rule.next(at, loc)
				if !ok || !o.At.Before(end) {
					if n != len(want) {
						t.Errorf("%s, %s: %d occurrences, want %d", name, expr, n, len(want))
					}
					break
				}
				if n >= len(want) || !o.At.Equal(want[n]) || !o.At.After(at) {
					t.Errorf("%s, %s: occurrence %d is %v (%v)", name, expr, n, o.At, o.Local)
					break
				}
				if o.Shifted {
					skipped++
				} else if LocalOf(o.At) != o.Local {
					t.Errorf("%s, %s: at %v clocks do not show %v", name, expr, o.At, o.Local)
				}
				stated++
				at = o.At
			}
		}
	}
	t.Logf("%d zones, %d rules: %d occurrences, of which %d were shifted", zones, len(rules), stated, skipped)
}

// A wallClock is a zone's clock, as somebody sees it who looks at each tick.
// Clocks are changed, and rules state times, at whole ticks only.
type wallClock struct {
	tick  time.Duration
	start time.Time // midnight before what it shows at first
	// at is when each reading from start comes, in Unix seconds: it is first
	// shown then, or would be if clocks had not been put forward over it. 0: it is
	// before the beginning.
	at []int64
}

func newClock(t *testing.T, loc *time.Location, begin, end time.Time) *wallClock {
	t.Helper()
	tick := 5 * time.Minute
	for at := begin; at.Before(end); {
		_, until := at.In(loc).ZoneBounds()
		if until.IsZero() || until.After(end) {
			break
		}
		if until.Sub(begin)%tick != 0 {
			tick = time.Minute // Antarctica/Casey has done so at 00:01
		}
		at = until
	}
	c := &wallClock{tick: tick, start: LocalOf(begin.In(loc)).wall.Truncate(24 * time.Hour)}
	for at := begin; at.Before(end); {
		// All goes on evenly until the zone's clocks are changed.
		_, until := at.In(loc).ZoneBounds()
		if until.IsZero() || until.After(end) {
			until = end
		}
		since := LocalOf(at.In(loc)).wall.Sub(c.start)
		if since%tick != 0 || until.Sub(at)%tick != 0 {
			t.Fatalf("%v: clocks are changed at %v, between ticks", loc, at)
		}
		first := int(since / tick)
		for gap := int64(0); len(c.at) < first; gap++ {
			if at.Equal(begin) {
				c.at = append(c.at, 0)
			} else {
				c.at = append(c.at, at.Unix()+gap*int64(tick/time.Second))
			}
		}
		for m := first; at.Before(until); at, m = at.Add(tick), m+1 {
			if m == len(c.at) { // and not shown before
				c.at = append(c.at, at.Unix())
			}
		}
	}
	return c
}

// readings are the instants of all that a rule states, one call for each.
func (c *wallClock) readings(r cronRule) []time.Time {
	hour, minutes := int(time.Hour/c.tick), int(c.tick/time.Minute)
	day := 24 * hour
	var all []int64
	for n := range c.at {
		wall := c.start.Add(time.Duration(n) * c.tick)
		if r.hour&(1<<(n%day/hour)) == 0 || r.minute&(1<<(n%hour*minutes)) == 0 || !r.on(wall) {
			continue
		}
		if c.at[n] > 0 {
			all = append(all, c.at[n])
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	times := make([]time.Time, len(all))
	for i, unix := range all {
		times[i] = time.Unix(unix, 0)
	}
	return times
}

func TestParseCron(t *testing.T) {
	tests := []struct {
		name, expr string
		first      string // after 2026-01-01 00:00, or "" if it is refused
		err        error
	}{
		{"each day", "30 9 * * *", "2026-01-01T09:30:00", nil},
		{"Mondays", "0 9 * * MON", "2026-01-05T09:00:00", nil},
		{"a range with steps", "10-50/20 8-9 * * *", "2026-01-01T08:10:00", nil},
		{"either of two days", "0 0 13 * FRI", "2026-01-02T00:00:00", nil},
		{"either of two days, if one is a step of all", "0 0 */13 * FRI", "2026-01-02T00:00:00", nil},
		{"a leap day", "0 0 29 2 *", "2028-02-29T00:00:00", nil},
		{"the last minute of a year", "59 23 31 12 *", "2026-12-31T23:59:00", nil},
		{"hourly", "@hourly", "2026-01-01T01:00:00", nil},
		{"yearly", "@yearly", "2027-01-01T00:00:00", nil},
		{"with space around it", "  @daily\t", "2026-01-02T00:00:00", nil},
		{"nothing", " ", "", ErrInvalid},
		{"a day that does not exist", "0 0 30 2 *", "", ErrNever},
		{"nor this one", "0 0 31 4,6,9,11 *", "", ErrNever},
		{"six fields", "0 0 9 * * *", "", ErrInvalid},
		{"four fields", "0 9 * *", "", ErrInvalid},
		{"out of range", "60 9 * * *", "", ErrInvalid},
		{"a step of nothing", "*/0 9 * * *", "", ErrInvalid},
		{"a range backwards", "0 18-9 * * *", "", ErrInvalid},
		{"a zone and no more, which the parser panics at", "TZ=UTC", "", ErrInvalid},
		{"a zone", "CRON_TZ=UTC 0 9 * * *", "", ErrInvalid},
		{"every so often", "@every 1h", "", ErrInvalid},
		{"no descriptor", "@noon", "", ErrInvalid},
		{"too long", strings.Repeat("0,", 200) + "0 9 * * *", "", ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Spec{Cron: tt.expr, Zone: "UTC"}
			all, err := s.Occurrences(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 1)
			if tt.err != nil {
				if !errors.Is(err, tt.err) || strings.Count(err.Error(), "schedule: ") != 1 {
					t.Errorf("%v, %v; want %v", all, err, tt.err)
				}
				return
			}
			if err != nil || len(all) != 1 || all[0].Local.String() != tt.first {
				t.Errorf("%v, %v; want %s", all, err, tt.first)
			}
		})
	}
}

// In UTC, where clocks do not change, robfig's clock is right.
func FuzzCron(f *testing.F) {
	for _, s := range []string{
		"30 9 * * *", "0 9 * * MON-FRI", "*/7 8-9/1 1,15 JAN-MAR/2 ?", "0 0 29 2 *", "@hourly", "@every 1s", "TZ=UTC", "CRON_TZ=",
		"0 0 30 2 *", "* * * * * *", "0-18446744073709551615 * * * *", "*/9223372036854775807 * * * *", "", "@",
	} {
		f.Add(s, int64(1767225600))
	}
	f.Fuzz(func(t *testing.T, expr string, unix int64) {
		spec := Spec{Cron: expr, Zone: "UTC"}
		p, err := spec.compile()
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNever) {
				t.Errorf("%q: %v", expr, err)
			}
			return
		}
		at := time.Unix(unix%(100*365*86400), 0).UTC()
		o, ok := p.next(at)
		if !ok {
			t.Fatalf("%q: nothing after %v", expr, at)
		}
		other, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(strings.TrimSpace(expr))
		if err != nil {
			t.Fatalf("%q: %v", expr, err)
		}
		// It gives up after five years.
		if want := other.Next(at); !o.At.Equal(want) && !want.IsZero() {
			t.Errorf("%q: after %v comes %v, want %v", expr, at, o.At, want)
		}
	})
}

func TestParseLocal(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-20 14:30:00":       "2026-01-20T14:30:00",
		"2026-01-20T14:30":          "2026-01-20T14:30:00",
		"2026-01-20T14:30:05":       "2026-01-20T14:30:05",
		"":                          "",
		"2026-02-29 14:30:00":       "",
		"2026-01-20T14:30:00Z":      "",
		"2026-01-20T14:30:00.5":     "",
		"2026-01-20":                "",
		"2026-01-20 24:00:00":       "",
		"2026-01-20 14:30:00+01:00": "",
	} {
		l, err := ParseLocal(text)
		if l.String() != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %q, %v; want %q", text, l, err, want)
		}
	}
	berlin := mustLocation(t, "Europe/Berlin")
	if got := LocalOf(mustTime(t, "2026-06-01T12:00:00Z").In(berlin)); got != mustLocal(t, "2026-06-01 14:00") {
		t.Errorf("LocalOf: %v", got)
	}
}

func BenchmarkNext(b *testing.B) {
	for _, expr := range []string{"* * * * *", "0 9 * * MON-FRI", "0 9 1 1 *"} {
		b.Run(expr, func(b *testing.B) {
			rule, err := parseCron(expr)
			if err != nil {
				b.Fatal(err)
			}
			loc := mustLocation(b, "Europe/Berlin")
			at := mustTime(b, "2026-03-29T00:30:00Z")
			b.ReportAllocs()
			for b.Loop() {
				rule.next(at, loc)
			}
		})
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	rule, err := parseCron("30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	loc, at := mustLocation(t, "Europe/Berlin"), mustTime(t, "2026-03-28T12:00:00Z")
	if n := testing.AllocsPerRun(100, func() { rule.next(at, loc) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
