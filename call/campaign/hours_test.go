package campaign

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/numbering"
)

func week(t testing.TB, text string) routing.Week {
	t.Helper()
	w, err := routing.ParseWeek(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestGroupsOpenInAllTheirZones(t *testing.T) {
	daytime := daytime()
	for _, tt := range []struct {
		name  string
		group group
		week  routing.Week
		at    string // UTC
		open  bool
		opens string // when next; "": never
	}{
		{"a minute before the end it is too late", "Europe/Berlin", daytime, "2026-01-15T19:59:01Z", false, "2026-01-16T07:00:00Z"},
		{"a little before that it is not", "Europe/Berlin", daytime, "2026-01-15T19:58:59Z", true, "2026-01-15T19:58:59Z"},
		{"in the night", "Europe/Berlin", daytime, "2026-01-15T02:00:00Z", false, "2026-01-15T07:00:00Z"},
		{"the zones of a number that may ring on either coast", "America/Los_Angeles America/New_York", daytime, "2026-01-15T14:00:00Z", false, "2026-01-15T16:00:00Z"},
		{"an hour that clocks skip", "Europe/Berlin", week(t, "Sun 02:00-03:00, Mon 08:00-09:00"), "2026-03-29T00:30:00Z", false, "2026-03-30T06:00:00Z"},
		{"zones half a world apart", "Asia/Tokyo America/New_York", week(t, "Mon-Sun 09:00-17:00"), "2026-01-15T14:00:00Z", false, ""},
		{"half a world apart, with longer hours", "Asia/Tokyo America/New_York", daytime, "2026-01-15T14:00:00Z", false, "2026-01-15T23:00:00Z"},
		{"nobody knows the time nowhere", "", daytime, "2026-01-15T14:00:00Z", false, ""},
		{"or in a zone that is not known here", "Mars/Olympus", daytime, "2026-01-15T14:00:00Z", false, ""},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.group.open(tt.week, at); got != tt.open {
			t.Errorf("%s: open is %t", tt.name, got)
		}
		next, ok := tt.group.opens(tt.week, at)
		if got := next.UTC().Format(time.RFC3339); ok != (tt.opens != "") || ok && got != tt.opens {
			t.Errorf("%s: it opens at %s, %t", tt.name, got, ok)
		}
	}
}

// places are numbers from which the zones of the property test come: of one zone
// and of many, with half hours, and with clocks that are put forward and back at
// other times.
var places = []telephony.Number{
	"+12127550100", "+12137550100", "+17097260000", "+18002530000", "+14807550100", "+442079460958", "+4930901820",
	"+61412345678", "+61282345678", "+919820012345", "+97714123456", "+5511961234567", "+74951234567", "+6492345678", "+64272123456",
}

// Whenever contacts of a number may be called, every clock where it may ring is
// within the hours, now and for as long as it rings; and opens is the first such
// minute.
func TestHoursHoldInEveryZone(t *testing.T) {
	var groups []group
	for _, n := range places {
		info, err := numbering.Check(n)
		if err != nil {
			t.Fatalf("%v: %v", n, err)
		}
		groups = append(groups, groupOf(info.Zones))
	}
	spans := []string{"08:00-21:00", "09:30-12:00 13:00-17:15", "22:00-02:00", "00:00-24:00", "01:30-03:30"}
	days := []string{"Mon-Sun", "Mon-Fri", "Sat-Sun", "Sun"}
	rapid.Check(t, func(t *rapid.T) {
		g := rapid.SampledFrom(groups).Draw(t, "group")
		text := rapid.SampledFrom(days).Draw(t, "days") + " " + rapid.SampledFrom(spans).Draw(t, "spans")
		w, err := routing.ParseWeek(text)
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
		at := from.Add(time.Duration(rapid.Int64Range(0, int64(3*366*day/time.Second)).Draw(t, "second")) * time.Second)
		// An oracle of its own: what each clock shows, second by second.
		allowed := func(at time.Time) bool {
			for _, h := range g.hours(w) {
				for _, s := range []time.Duration{0, ringing} {
					wall := at.Add(s).In(h.Zone)
					minute := routing.Clock(time.Duration(wall.Hour()*60+wall.Minute()) * time.Minute)
					today, yesterday := w[wall.Weekday()], w[(wall.Weekday()+6)%7]
					if !slices.ContainsFunc(today, func(s routing.Span) bool { return minute >= s.From && (s.To <= s.From || minute < s.To) }) &&
						!slices.ContainsFunc(yesterday, func(s routing.Span) bool { return s.To <= s.From && minute < s.To }) {
						return false
					}
				}
			}
			return true
		}
		if g.open(w, at) != allowed(at) {
			t.Errorf("open is %t", g.open(w, at))
		}
		next, ok := g.opens(w, at)
		if !ok {
			next = at.Add(horizon)
		} else if !allowed(next) {
			t.Errorf("it opens at %v, when it is not allowed", next)
		}
		for minute := at; minute.Before(next); minute = minute.Truncate(time.Minute).Add(time.Minute) {
			if allowed(minute) {
				t.Errorf("it opens at %v, %t, and not at %v", next, ok, minute)
				break
			}
		}
	})
}
