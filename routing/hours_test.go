package routing_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"github.com/switchboard-voice/switchboard/routing"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestHours(t *testing.T) {
	const office = "Mon-Fri 09:00-12:00 13:00-18:00, Sat 22:00-02:00"
	holidays := map[routing.Date][]routing.Span{
		{Month: time.December, Day: 25}:             nil,
		{Year: 2026, Month: time.December, Day: 26}: {{routing.Clock(10 * time.Hour), routing.Clock(11 * time.Hour)}},
		{Year: 2025, Month: time.December, Day: 25}: {{routing.Clock(10 * time.Hour), routing.Clock(11 * time.Hour)}},
	}
	tests := []struct {
		name, week, zone, at string
		open                 bool
		next                 string // "" if that is at
	}{
		{"within", office, "Europe/Berlin", "2026-06-01T09:30:00+02:00", true, ""},
		{"the first moment", office, "Europe/Berlin", "2026-06-01T09:00:00+02:00", true, ""},
		{"the last moment", office, "Europe/Berlin", "2026-06-01T17:59:59+02:00", true, ""},
		{"the end", office, "Europe/Berlin", "2026-06-01T18:00:00+02:00", false, "2026-06-02T09:00:00+02:00"},
		{"lunch", office, "Europe/Berlin", "2026-06-01T12:30:00+02:00", false, "2026-06-01T13:00:00+02:00"},
		{"asked elsewhere", office, "Europe/Berlin", "2026-06-01T03:30:00-04:00", true, ""},
		{"in winter", office, "Europe/Berlin", "2026-12-01T07:30:00Z", false, "2026-12-01T08:00:00Z"},
		{"Saturday night", office, "Europe/Berlin", "2026-06-06T23:00:00+02:00", true, ""},
		{"and after midnight", office, "Europe/Berlin", "2026-06-07T01:59:00+02:00", true, ""},
		{"and its end", office, "Europe/Berlin", "2026-06-07T02:00:00+02:00", false, "2026-06-08T09:00:00+02:00"},
		{"Friday after midnight is not Saturday's", office, "Europe/Berlin", "2026-06-06T01:00:00+02:00", false, "2026-06-06T22:00:00+02:00"},
		{"a holiday of each year", office, "Europe/Berlin", "2028-12-25T10:30:00+01:00", false, "2028-12-26T09:00:00+01:00"},
		{"a holiday of one year goes first", office, "Europe/Berlin", "2025-12-25T10:30:00+01:00", true, ""},
		{"hours of a holiday", office, "Europe/Berlin", "2026-12-26T09:30:00+01:00", false, "2026-12-26T10:00:00+01:00"},
		{"the hours of a holiday replace those of the week", office, "Europe/Berlin", "2026-12-26T23:00:00+01:00", false, "2026-12-28T09:00:00+01:00"},
		{"a night goes on into a holiday", "Mon-Sun 22:00-02:00", "Europe/Berlin", "2026-12-25T01:00:00+01:00", true, ""},
		{"all day", "Mon 00:00-24:00", "UTC", "2026-06-01T23:59:59Z", true, ""},
		{"all day, and no more", "Mon 00:00-24:00", "UTC", "2026-06-02T00:00:00Z", false, "2026-06-08T00:00:00Z"},
		{"from a time to itself is a day", "Mon 09:00-09:00", "UTC", "2026-06-02T08:59:00Z", true, ""},
		{"the opening is skipped", "Sun 02:30-06:00", "Europe/Berlin", "2026-03-29T01:59:59+01:00", false, "2026-03-29T03:00:00+02:00"},
		{"all of it is skipped", "Sun 02:15-02:45", "Europe/Berlin", "2026-03-29T01:00:00+01:00", false, "2026-04-05T02:15:00+02:00"},
		{"the hour that comes twice is open twice", "Sun 02:30-03:00", "Europe/Berlin", "2026-10-25T02:45:00+01:00", true, ""},
		{"between the two", "Sun 02:30-03:00", "Europe/Berlin", "2026-10-25T02:15:00+01:00", false, "2026-10-25T02:30:00+01:00"},
		{"clocks are put back into it", "Sun 01:30-02:30", "Europe/Berlin", "2026-10-25T02:45:00+02:00", false, "2026-10-25T02:00:00+01:00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &routing.Hours{Zone: zone(t, tt.zone), Week: week(t, tt.week), Days: holidays}
			if err := h.Validate(); err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			if got := h.Open(at); got != tt.open {
				t.Errorf("Open: %v", got)
			}
			want := at
			if tt.next != "" {
				if want, err = time.Parse(time.RFC3339, tt.next); err != nil {
					t.Fatal(err)
				}
			}
			if next, ok := h.Next(at); !ok || !next.Equal(want) {
				t.Errorf("Next: %v, %v; want %v", next, ok, want)
			}
		})
	}
}

func TestHoursThatAreNever(t *testing.T) {
	if next, ok := new(routing.Hours).Next(time.Now()); ok {
		t.Errorf("they are at %v", next)
	}
}

func TestHoursOfALeapDay(t *testing.T) {
	h := &routing.Hours{Days: map[routing.Date][]routing.Span{{Month: time.February, Day: 29}: {{0, 1}}}}
	if err := h.Validate(); err == nil {
		t.Error("a span of a nanosecond is valid")
	}
	h.Days = map[routing.Date][]routing.Span{{Month: time.February, Day: 29}: {{0, routing.Clock(time.Hour)}}}
	if err := h.Validate(); err != nil {
		t.Error(err)
	}
	next, ok := h.Next(time.Date(2096, 3, 1, 0, 0, 0, 0, time.UTC))
	if want := time.Date(2104, 2, 29, 0, 0, 0, 0, time.UTC); !ok || !next.Equal(want) {
		t.Errorf("next: %v, %v; want %v", next, ok, want)
	}
}

func TestHoursValidate(t *testing.T) {
	hour := routing.Clock(time.Hour)
	spans := func(s ...routing.Span) map[routing.Date][]routing.Span {
		return map[routing.Date][]routing.Span{{2026, 1, 1}: s}
	}
	for name, h := range map[string]routing.Hours{
		"never":                  {},
		"closed on a holiday":    {Days: spans()},
		"a day that is not":      {Days: map[routing.Date][]routing.Span{{2026, 2, 29}: {{0, hour}}}},
		"a month that is not":    {Days: map[routing.Date][]routing.Span{{2026, 13, 1}: {{0, hour}}}},
		"before midnight":        {Days: spans(routing.Span{From: -hour, To: hour})},
		"after midnight":         {Week: routing.Week{{{0, 25 * hour}}}},
		"from the end of a day":  {Week: routing.Week{{{24 * hour, hour}}}},
		"seconds, of which none": {Week: routing.Week{{{0, routing.Clock(time.Second)}}}},
	} {
		if err := h.Validate(); err == nil || !strings.HasPrefix(err.Error(), "routing: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Next is the first minute that is open, as counting them shows.
func TestHoursNextIsTheFirstOpenMinute(t *testing.T) {
	zones := []string{"Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo"}
	turns := []string{"2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04", "2026-04-24", "2026-10-30"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		day, err := time.ParseInLocation(time.DateOnly, rapid.SampledFrom(turns).Draw(t, "day"), loc)
		if err != nil {
			t.Fatal(err)
		}
		at := day.Add(time.Duration(rapid.IntRange(-6*60, 30*60).Draw(t, "minute")) * time.Minute)
		clock := rapid.Map(rapid.IntRange(0, 24*4), func(n int) routing.Clock { return routing.Clock(time.Duration(n) * 15 * time.Minute) })
		h := &routing.Hours{Zone: loc}
		for range rapid.IntRange(1, 3).Draw(t, "spans") {
			weekday := rapid.IntRange(0, 6).Draw(t, "weekday")
			from, to := clock.Draw(t, "from")%routing.Clock(24*time.Hour), clock.Draw(t, "to")
			h.Week[weekday] = append(h.Week[weekday], routing.Span{From: from, To: to})
		}
		want := at
		for !h.Open(want) && want.Sub(at) < 15*24*time.Hour {
			want = want.Add(time.Minute)
		}
		if next, ok := h.Next(at); !ok || !next.Equal(want) {
			t.Errorf("hours %s in %v: after %v comes %v, %v; want %v", h.Week, loc, at, next, ok, want)
		}
	})
}

func TestParseWeek(t *testing.T) {
	tests := []struct{ text, want string }{ // want "" if it is refused
		{"Mon 09:00-18:00", "Mon 09:00-18:00"},
		{"mon-tue 09:00-18:00", "Mon 09:00-18:00, Tue 09:00-18:00"},
		{"Sat-Mon 22:00-02:00", "Mon 22:00-02:00, Sat 22:00-02:00, Sun 22:00-02:00"},
		{" Mon 09:00-12:00  13:00-24:00 , Mon 00:00-01:00", "Mon 09:00-12:00 13:00-24:00 00:00-01:00"},
		{"Mon-Mon 09:00-18:00", "Mon 09:00-18:00"},
		{"", ""}, {"Mon", ""}, {"09:00-18:00", ""}, {"Mon 09:00", ""}, {"Mon 9:00-18:00", ""},
		{"Mon 09:00-24:01", ""}, {"Mon 24:00-02:00", ""}, {"Mon 09:60-10:00", ""}, {"Mon 0a:00-10:00", ""},
		{"Moon 09:00-18:00", ""}, {"Mon- 09:00-18:00", ""}, {"Mon-Tue-Wed 09:00-18:00", ""},
		{"Mon 09:00-18:00,", ""}, {"Mon 09:00-18:00-19:00", ""}, {"Mon -1:00-18:00", ""},
		{"Mon" + strings.Repeat(" 09:00-18:00", 17), ""},
		{strings.Repeat(" ", 2048) + "Mon 09:00-18:00", ""},
	}
	for _, tt := range tests {
		w, err := routing.ParseWeek(tt.text)
		if (err == nil) != (tt.want != "") || w.String() != tt.want {
			t.Errorf("%.60q: %q, %v; want %q", tt.text, w, err, tt.want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "routing: ") {
			t.Error(err)
		}
	}
}

func FuzzParseWeek(f *testing.F) {
	for _, s := range []string{"Mon 09:00-18:00", "Mon-Thu 09:00-12:30 13:30-18:00, Sat 22:00-02:00", "", "Mon", ",", "Fri-Mon 00:00-24:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := routing.ParseWeek(text)
		if err != nil {
			return
		}
		h := routing.Hours{Week: w}
		if err := h.Validate(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if _, ok := h.Next(time.Unix(0, 0)); !ok {
			t.Errorf("%q is never", text)
		}
		s := w.String()
		if again, err := routing.ParseWeek(s); err != nil || again.String() != s {
			t.Errorf("%q became %q, and that %q, %v", text, s, again, err)
		}
	})
}

func TestHoursAsJSON(t *testing.T) {
	h := routing.Hours{
		Zone: zone(t, "Europe/Berlin"),
		Week: week(t, "Mon 09:00-12:00 13:00-18:00, Sat 22:00-02:00"),
		Days: map[routing.Date][]routing.Span{
			{Month: time.February, Day: 29}:             nil,
			{Year: 2026, Month: time.December, Day: 24}: {{routing.Clock(9 * time.Hour), routing.Clock(24 * time.Hour)}},
		},
	}
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"zone":"Europe/Berlin","week":"Mon 09:00-12:00 13:00-18:00, Sat 22:00-02:00","days":{"--02-29":null,"2026-12-24":["09:00-24:00"]}}`
	if string(b) != want {
		t.Errorf("written as\n%s, want\n%s", b, want)
	}
	var again routing.Hours
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(again); err != nil || string(b) != want {
		t.Errorf("read and written again: %s, %v", b, err)
	}
	for _, text := range []string{
		`{"zone":"Mars/Olympus"}`, `{"zone":"UTC","week":"Moon 09:00-10:00"}`, `{"zone":"UTC","days":{"2026-02-29":[]}}`,
		`{"zone":"UTC","days":{"--2-1":[]}}`, `{"zone":"UTC","days":{"--01-01":["9-10"]}}`, `[]`,
	} {
		if err := json.Unmarshal([]byte(text), &again); err == nil {
			t.Errorf("%s was read", text)
		}
	}
	for name, h := range map[string]routing.Hours{
		"a zone without a name": {Zone: time.FixedZone("", 3600)},
		"this machine's zone":   {Zone: time.Local},
		"a wrong span":          {Week: routing.Week{{{-1, 0}}}},
		"a wrong date":          {Days: map[routing.Date][]routing.Span{{2026, 2, 29}: nil}},
	} {
		if b, err := json.Marshal(h); err == nil {
			t.Errorf("%s was written: %s", name, b)
		}
	}
}

func TestHoursOpenAllocatesNothing(t *testing.T) {
	h := &routing.Hours{Zone: zone(t, "Europe/Berlin"), Week: week(t, "Mon-Fri 09:00-18:00, Sat 22:00-02:00")}
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { h.Open(now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHours(b *testing.B) {
	h := &routing.Hours{Zone: zone(b, "Europe/Berlin"), Week: week(b, "Mon-Fri 09:00-18:00")}
	at := time.Date(2026, 6, 6, 12, 0, 0, 0, time.UTC)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Open(at)
		}
	})
	b.Run("next", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Next(at)
		}
	})
}
