package campaign

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

func valid() Spec {
	return Spec{ID: "one", Request: call.Request{AgentID: "a", From: "+12025550100"}}
}

func TestValidate(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Spec){
		"an id with a space":         func(s *Spec) { s.ID = "a b" },
		"no number of ours":          func(s *Spec) { s.Request.From = "" },
		"a number to call":           func(s *Spec) { s.Request.To = "+12025550123" },
		"a key":                      func(s *Spec) { s.Request.IdempotencyKey = "k" },
		"data":                       func(s *Spec) { s.Request.Context = map[string]string{"a": "b"} },
		"a negative pace":            func(s *Spec) { s.CallsPerSecond = -1 },
		"a pace that is none":        func(s *Spec) { s.CallsPerSecond = math.NaN() },
		"less than one call a day":   func(s *Spec) { s.CallsPerSecond = 1e-6 },
		"too fast":                   func(s *Spec) { s.CallsPerSecond = 1001 },
		"too many at once":           func(s *Spec) { s.Concurrency = 10_001 },
		"too many attempts":          func(s *Spec) { s.MaxAttempts = 21 },
		"a negative number in a day": func(s *Spec) { s.PerDay = -1 },
		"a retry after months":       func(s *Spec) { s.Retry.Busy = 100 * day },
		"a share of more than all":   func(s *Spec) { s.Failures.Share = 1.5 },
		"a share of too many":        func(s *Spec) { s.Abandoned.Of = 1001 },
		"a share that is no number":  func(s *Spec) { s.Abandoned.Share = math.NaN() },
		"hours that cannot be written": func(s *Spec) {
			s.Hours[1] = append(s.Hours[1], s.Hours[2]...)
			s.Hours = daytime()
			s.Hours[0][0].To = 1
		},
	} {
		s := valid()
		change(&s)
		if err := s.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No history of attempts leads to more of them than the campaign allows, in all or
// within a day, or to one before its time.
func TestAttemptsKeepToTheirBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := valid().WithDefaults()
		s.MaxAttempts = rapid.IntRange(1, 8).Draw(t, "attempts")
		s.PerDay = rapid.IntRange(1, 4).Draw(t, "per day")
		hours := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(-1, 30).Draw(t, "hours")) * time.Hour
		})
		s.Retry = Retry{hours.Draw(t, "busy"), hours.Draw(t, "no answer"), hours.Draw(t, "machine"), hours.Draw(t, "failed")}
		at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
		var all []Attempt
		for {
			o := rapid.SampledFrom([]Outcome{Busy, NoAnswer, Machine, Failed, Busy, NoAnswer, Answered, Abandoned}).Draw(t, "outcome")
			end := at.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "seconds")) * time.Second)
			all = append(all, Attempt{At: at, EndedAt: end, Outcome: o})
			due, again := s.again(all)
			if !again {
				break
			}
			wait := map[Outcome]time.Duration{Busy: s.Retry.Busy, NoAnswer: s.Retry.NoAnswer, Machine: s.Retry.Machine, Failed: s.Retry.Failed}[o]
			if o == Answered || o == Abandoned || wait < 0 || due.Sub(end) < wait {
				t.Fatalf("after %s it goes on %v later", o, due.Sub(end))
			}
			at = due.Add(time.Duration(rapid.IntRange(0, 36).Draw(t, "later")) * time.Hour)
		}
		if len(all) > s.MaxAttempts {
			t.Fatalf("%d attempts", len(all))
		}
		for i := s.PerDay; i < len(all); i++ {
			if d := all[i].At.Sub(all[i-s.PerDay].At); d < day {
				t.Fatalf("%d attempts in %v", s.PerDay+1, d)
			}
		}
	})
}

func TestLimitsArePassedByCount(t *testing.T) {
	s := valid().WithDefaults()
	s.Failures = Limit{Share: 0.5, Of: 4}
	var tally Tally
	var passed []bool
	for _, o := range []Outcome{Failed, Failed, Busy, Failed, Busy, Answered} {
		tally.Count(&s, &Attempt{Outcome: o})
		passed = append(passed, s.Failures.passed(tally.Failures.Count()))
	}
	if want := []bool{false, false, false, true, false, false}; !slices.Equal(passed, want) {
		t.Errorf("passed %v, want %v", passed, want)
	}
	if tally.Failures != ".x.." {
		t.Errorf("kept %q", tally.Failures)
	}
	if (Limit{Share: 1, Of: 3}).passed(3) {
		t.Error("a share of all was passed")
	}
}

func TestEstimateKnowsThePaceAndTheHours(t *testing.T) {
	noon := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		counts []Count
		tally  func(*Tally, *Spec)
		want   time.Duration // from noon; 0: never
	}{
		{"at first the pace that is wanted", []Count{{Zones: "UTC", State: Waiting, N: 3600}}, nil, time.Hour},
		{"then the one that was seen", []Count{{Zones: "UTC", State: Waiting, N: 900}}, slowly, 119 * time.Minute},
		{"what does not fit into today goes on tomorrow", []Count{{Zones: "UTC", State: Waiting, N: 10 * 3600}}, nil, 21 * time.Hour},
		{"where it is night they are called in the morning", []Count{{Zones: "Asia/Tokyo", State: Waiting, N: 1800}}, nil, 11*time.Hour + 30*time.Minute},
		{"some now and some then", []Count{{Zones: "Asia/Tokyo", State: Waiting, N: 1800}, {Zones: "UTC", State: Live, N: 600}}, nil, 11*time.Hour + 30*time.Minute},
		{"not before the last is due", []Count{{Zones: "UTC", State: Waiting, N: 10, Due: noon.Add(3 * time.Hour)}}, nil, 3 * time.Hour},
		{"each takes as many calls as those before", []Count{{Zones: "UTC", State: Waiting, N: 90}, {Zones: "UTC", State: Over, Outcome: NoAnswer, N: 20}}, slowly, 18*time.Minute + 27*time.Second},
		{"too far away", []Count{{Zones: "UTC", State: Waiting, N: 3_600_000}}, nil, 0},
	} {
		c := &Campaign{Spec: valid().WithDefaults(), State: Running}
		if tt.tally != nil {
			tt.tally(&c.Tally, &c.Spec)
		}
		p := c.progress(tt.counts, noon)
		got := p.Finish.Sub(noon)
		if p.Finish.IsZero() {
			got = 0
		}
		if d := got - tt.want; d < -time.Minute || d > time.Minute {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// slowly is a tally of a hundred and one calls, eight seconds apart.
func slowly(tally *Tally, s *Spec) {
	at := time.Date(2026, 1, 14, 20, 0, 0, 0, time.UTC)
	for i := range 101 {
		if i == 50 {
			at = at.Add(15*time.Hour - waiting) // a night, which counts as that
			tally.Working -= waiting
		}
		tally.Count(s, &Attempt{At: at, Outcome: NoAnswer})
		at = at.Add(8 * time.Second)
	}
}

func TestContactsAreChecked(t *testing.T) {
	many := make(map[string]string)
	for i := range maxData + 1 {
		many[string(rune('a'+i))] = ""
	}
	for name, c := range map[string]Contact{
		"no number":      {},
		"no E.164":       {Number: "12025550123"},
		"too many data":  {Number: "+12025550123", Data: many},
		"too large data": {Number: "+12025550123", Data: map[string]string{"a": string(make([]byte, maxDataBytes))}},
	} {
		if err := c.check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&ContactError{3, telephony.ErrInvalidNumber}); !errors.Is(err, telephony.ErrInvalidNumber) || err.Error()[:9] != "contact 3" {
		t.Error(err)
	}
}
