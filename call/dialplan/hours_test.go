package dialplan

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// zone returns a zone by its name, in which tests may trust.
func zone(name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return z
}

func zones(names ...string) []*time.Location {
	var all []*time.Location
	for _, name := range names {
		all = append(all, zone(name))
	}
	return all
}

const (
	hour   = time.Hour
	minute = time.Minute
)

func TestHoursOpen(t *testing.T) {
	weekdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	// What France allows whoever sells by telephone (décret 2022-1313).
	french := Hours{{From: 10 * hour, Until: 13 * hour, Days: weekdays}, {From: 14 * hour, Until: 20 * hour, Days: weekdays}}
	night := Hours{{From: 22 * hour, Until: 6 * hour, Days: []time.Weekday{time.Friday}}}

	for _, tt := range []struct {
		name  string
		hours Hours
		at    string // UTC
		zones []*time.Location
		open  bool
	}{
		{"no hours are any time", nil, "2026-01-01T03:00:00Z", zones("America/New_York"), true},
		{"no hours are any time even nowhere", nil, "2026-01-01T03:00:00Z", nil, true},
		{"nobody knows the time nowhere", Daytime(), "2026-01-01T15:00:00Z", nil, false},

		{"a second before it begins", Daytime(), "2026-01-15T12:59:59Z", zones("America/New_York"), false},
		{"when it begins", Daytime(), "2026-01-15T13:00:00Z", zones("America/New_York"), true},
		{"a second before it ends", Daytime(), "2026-01-16T01:59:59Z", zones("America/New_York"), true},
		{"when it ends", Daytime(), "2026-01-16T02:00:00Z", zones("America/New_York"), false},
		{"in summer an hour sooner", Daytime(), "2026-07-15T12:00:00Z", zones("America/New_York"), true},
		{"in summer not even a second sooner", Daytime(), "2026-07-15T11:59:59Z", zones("America/New_York"), false},
		{"a zone with half an hour", Daytime(), "2026-01-15T02:29:59Z", zones("Asia/Kolkata"), false},
		{"a zone with half an hour, then", Daytime(), "2026-01-15T02:30:00Z", zones("Asia/Kolkata"), true},

		{"open in one zone is not enough", Daytime(), "2026-01-15T13:30:00Z", zones("America/New_York", "America/Chicago"), false},
		{"open in both", Daytime(), "2026-01-15T14:00:00Z", zones("America/New_York", "America/Chicago"), true},
		{"closed in the first again", Daytime(), "2026-01-16T02:30:00Z", zones("America/New_York", "America/Chicago"), false},
		{"half a world apart", Daytime(), "2026-01-15T12:00:00Z", zones("Pacific/Auckland", "Pacific/Honolulu"), false},

		{"lunch", french, "2026-01-15T12:30:00Z", zones("Europe/Paris"), false},
		{"before lunch", french, "2026-01-15T11:59:00Z", zones("Europe/Paris"), true},
		{"after lunch", french, "2026-01-15T13:00:00Z", zones("Europe/Paris"), true},
		{"on Saturday", french, "2026-01-17T13:00:00Z", zones("Europe/Paris"), false},
		{"Monday there, Sunday in UTC", Hours{{From: 0, Until: 24 * hour, Days: []time.Weekday{time.Monday}}}, "2026-01-18T23:30:00Z", zones("Europe/Paris"), true},

		{"the night begins on its day", night, "2026-01-16T22:00:00Z", zones("UTC"), true},
		{"and goes on into the next", night, "2026-01-17T05:59:00Z", zones("UTC"), true},
		{"and ends there", night, "2026-01-17T06:00:00Z", zones("UTC"), false},
		{"the morning of its day is of another night", night, "2026-01-16T03:00:00Z", zones("UTC"), false},
		{"the evening after is another night", night, "2026-01-17T23:00:00Z", zones("UTC"), false},
		{"from Saturday into Sunday", Hours{{From: 22 * hour, Until: 6 * hour, Days: []time.Weekday{time.Saturday}}}, "2026-01-18T01:00:00Z", zones("UTC"), true},

		{"equal times are a day", Hours{{From: 8 * hour, Until: 8 * hour, Days: []time.Weekday{time.Friday}}}, "2026-01-17T07:59:00Z", zones("UTC"), true},
		{"of 24 hours", Hours{{From: 8 * hour, Until: 8 * hour, Days: []time.Weekday{time.Friday}}}, "2026-01-17T08:00:00Z", zones("UTC"), false},
		{"until midnight", Hours{{From: 20 * hour, Until: 24 * hour}}, "2026-01-16T23:59:59Z", zones("UTC"), true},
		{"and not after", Hours{{From: 20 * hour, Until: 24 * hour}}, "2026-01-17T00:00:00Z", zones("UTC"), false},

		// In New York 02:00 became 03:00 on 2026-03-08, and 02:00 became 01:00 on
		// 2026-11-01.
		{"the last minute before an hour is left out", Hours{{From: 2*hour + 30*minute, Until: 3*hour + 30*minute}}, "2026-03-08T06:59:00Z", zones("America/New_York"), false},
		{"a span whose beginning is left out", Hours{{From: 2*hour + 30*minute, Until: 3*hour + 30*minute}}, "2026-03-08T07:00:00Z", zones("America/New_York"), true},
		{"and its end", Hours{{From: 2*hour + 30*minute, Until: 3*hour + 30*minute}}, "2026-03-08T07:30:00Z", zones("America/New_York"), false},
		{"an hour that comes twice, first", Hours{{From: 1 * hour, Until: 2 * hour}}, "2026-11-01T05:30:00Z", zones("America/New_York"), true},
		{"an hour that comes twice, again", Hours{{From: 1 * hour, Until: 2 * hour}}, "2026-11-01T06:30:00Z", zones("America/New_York"), true},
		{"and then no more", Hours{{From: 1 * hour, Until: 2 * hour}}, "2026-11-01T07:00:00Z", zones("America/New_York"), false},
		{"a day that never was", Hours{{From: 0, Until: 24 * hour, Days: []time.Weekday{time.Friday}}}, "2011-12-30T09:59:59Z", zones("Pacific/Apia"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.hours.Validate(); err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.hours.Open(at, tt.zones); got != tt.open {
				t.Errorf("open is %t at %v", got, at)
			}
		})
	}
}

func TestHoursNext(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hours Hours
		at    string
		zones []*time.Location
		next  string // none: never
	}{
		{"any time is now", nil, "2026-01-15T03:00:30Z", nil, "2026-01-15T03:00:30Z"},
		{"open is now, to the second", Daytime(), "2026-01-15T13:00:30Z", zones("America/New_York"), "2026-01-15T13:00:30Z"},
		{"the morning", Daytime(), "2026-01-15T03:00:30Z", zones("America/New_York"), "2026-01-15T13:00:00Z"},
		{"the morning of all zones", Daytime(), "2026-01-15T03:00:30Z", zones("America/New_York", "America/Los_Angeles"), "2026-01-15T16:00:00Z"},
		{"the morning after clocks went forward", Daytime(), "2026-03-08T03:00:00Z", zones("America/New_York"), "2026-03-08T12:00:00Z"},
		{"the only day, in a week", Hours{{From: 8 * hour, Until: 9 * hour, Days: []time.Weekday{time.Monday}}}, "2026-01-12T09:00:00Z", zones("UTC"), "2026-01-19T08:00:00Z"},
		{"the only day, in a week with an hour more", Hours{{From: 8 * hour, Until: 9 * hour, Days: []time.Weekday{time.Sunday}}}, "2026-10-25T14:00:00Z", zones("America/New_York"), "2026-11-01T13:00:00Z"},
		{"nowhere", Daytime(), "2026-01-15T03:00:00Z", nil, ""},
		{"half a world apart", Hours{{From: 12 * hour, Until: 13 * hour}}, "2026-01-15T03:00:00Z", zones("Asia/Tokyo", "America/New_York"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			next, ok := tt.hours.Next(at, tt.zones)
			switch {
			case !ok && tt.next == "":
			case !ok, next.UTC().Format(time.RFC3339) != tt.next:
				t.Errorf("%v, %t, not %q", next, ok, tt.next)
			}
		})
	}
}

func TestHoursValidate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hours Hours
		ok    bool
	}{
		{"none", nil, true},
		{"the day", Daytime(), true},
		{"the whole day", Hours{{}}, true},
		{"before midnight", Hours{{From: -hour, Until: hour}}, false},
		{"after a day", Hours{{From: hour, Until: 25 * hour}}, false},
		{"seconds", Hours{{From: hour, Until: 2*hour + time.Second}}, false},
		{"an eighth day", Hours{{Days: []time.Weekday{7}}}, false},
		{"the second of two", Hours{{}, {From: -1}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.hours.Validate(); (err == nil) != tt.ok {
				t.Error(err)
			}
		})
	}
}

var (
	someZones = []string{
		"UTC", "America/New_York", "America/St_Johns", "Europe/London", "Asia/Kathmandu", "Australia/Lord_Howe",
		"Pacific/Apia", "Pacific/Honolulu", "America/Santiago", "Asia/Tehran", "Africa/Casablanca",
	}
	times = rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(1_577_836_800, 2_051_222_400).Draw(t, "seconds"), 0) // 2020 to 2034
	})
	spans = rapid.Custom(func(t *rapid.T) Span {
		at := rapid.IntRange(0, 24*60)
		return Span{
			From:  time.Duration(at.Draw(t, "from")) * minute,
			Until: time.Duration(at.Draw(t, "until")) * minute,
			Days:  rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, 6), func(d int) time.Weekday { return time.Weekday(d) }), 0, 6, rapid.ID).Draw(t, "days"),
		}
	})
	manyZones = rapid.SliceOfN(rapid.Map(rapid.SampledFrom(someZones), zone), 1, 4)
)

// The clock on the wall decides: a minute is within a span if somebody who
// counts the minutes of the week by hand finds it there.
func TestHoursAreCountedByMinutes(t *testing.T) {
	const week = 7 * 24 * 60
	rapid.Check(t, func(t *rapid.T) {
		s, at, where := spans.Draw(t, "span"), times.Draw(t, "at"), zone(rapid.SampledFrom(someZones).Draw(t, "zone"))
		var open [week]bool
		for d := range 7 {
			if len(s.Days) > 0 && !contains(s.Days, time.Weekday(d)) {
				continue
			}
			from, until := int(s.From.Minutes()), int(s.Until.Minutes())
			if until <= from {
				until += 24 * 60
			}
			for m := from; m < until; m++ {
				open[(d*24*60+m)%week] = true
			}
		}
		local := at.In(where)
		want := open[int(local.Weekday())*24*60+local.Hour()*60+local.Minute()]
		if got := (Hours{s}).Open(at, []*time.Location{where}); got != want {
			t.Errorf("%+v is %t at %v", s, got, local)
		}
	})
}

func contains(days []time.Weekday, day time.Weekday) bool {
	for _, d := range days {
		if d == day {
			return true
		}
	}
	return false
}

// Another zone never opens what is closed, another span never closes what is
// open, and what is open in all zones is open in each.
func TestHoursAreNarrowedByZones(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Hours(rapid.SliceOfN(spans, 1, 3).Draw(t, "hours"))
		at, where := times.Draw(t, "at"), manyZones.Draw(t, "zones")
		each := true
		for _, z := range where {
			each = each && h.Open(at, []*time.Location{z})
		}
		if all := h.Open(at, where); all != each {
			t.Errorf("open in all is %t, in each %t", all, each)
		}
		if h.Open(at, where) && !append(h, spans.Draw(t, "more")).Open(at, where) {
			t.Error("one more span has closed it")
		}
	})
}

// Next is open, and nothing before it is.
func TestHoursNextIsTheFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Hours(rapid.SliceOfN(spans, 1, 2).Draw(t, "hours"))
		at, where := times.Draw(t, "at"), manyZones.Draw(t, "zones")
		next, ok := h.Next(at, where)
		if !ok {
			next = at.Add(horizon)
		} else if !h.Open(next, where) {
			t.Fatalf("%v is closed", next)
		}
		for before := at; before.Before(next); before = before.Add(minute) {
			if h.Open(before, where) {
				t.Fatalf("%v is open, before %v", before, next)
			}
		}
	})
}

func BenchmarkNextThatNeverComes(b *testing.B) {
	h, where := Hours{{From: 12 * hour, Until: 13 * hour}}, zones("Asia/Tokyo", "America/New_York")
	at := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		if _, ok := h.Next(at, where); ok {
			b.Fatal("it came")
		}
	}
}
