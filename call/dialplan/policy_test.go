package dialplan

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/numbering"
)

func TestPolicyAllows(t *testing.T) {
	onlyUS := Policy{Regions: []string{"US"}}
	premium := Policy{Kinds: []numbering.Kind{numbering.Premium}}
	except := Policy{Regions: []string{"US"}, Except: []string{"+499001", "+1555"}}
	for _, tt := range []struct {
		name   string
		policy Policy
		to     telephony.Number
		err    error // nil: allowed
	}{
		{"America", Policy{}, "+12025550100", nil},
		{"London", Policy{}, "+442079460958", nil},
		{"a German mobile", Policy{}, "+4915223433333", nil},
		{"a Jamaican mobile", Policy{}, "+18765551234", nil},
		{"a number that is free", Policy{}, "+18005551234", nil},
		{"a number over the internet", Policy{}, "+33912345678", nil},
		{"a company", Policy{}, "+4781512345", nil},

		{"American premium", Policy{}, "+19005551234", ErrKind},
		{"German premium", Policy{}, "+499001234567", ErrKind},
		{"German shared cost", Policy{}, "+4918012345678", ErrKind},
		{"French premium", Policy{}, "+33899123456", ErrKind},
		{"British personal", Policy{}, "+447012345678", ErrKind},
		{"Portuguese premium, which no short list has", Policy{}, "+351760123456", ErrKind},
		{"Finnish premium, which no short list has", Policy{}, "+358600123456", ErrKind},
		{"international premium", Policy{}, "+979123456789", ErrKind},
		{"international shared cost", Policy{}, "+80812345678", ErrKind},
		{"Inmarsat", Policy{}, "+870773111632", ErrKind},
		{"Iridium", Policy{}, "+881612345678", ErrKind},
		{"Thuraya", Policy{}, "+8821612345678", ErrKind},
		{"a worldwide network", Policy{}, "+883510001234567", ErrKind},

		{"a number that is not there", Policy{}, "+15551234567", numbering.ErrNoSuchNumber},
		{"a country that is not there", Policy{}, "+999123456789", numbering.ErrNoSuchNumber},
		{"emergency", Policy{}, "+49110110", numbering.ErrNoSuchNumber},
		{"an address", Policy{}, "sip:ann@example.com", telephony.ErrInvalidNumber},
		{"nothing", Policy{}, "", telephony.ErrInvalidNumber},

		{"the country that is allowed", onlyUS, "+12025550100", nil},
		{"its neighbor of the same code", onlyUS, "+18765551234", ErrRegion},
		{"its territory", onlyUS, "+17872345678", ErrRegion},
		{"no country at all", onlyUS, "+80012345678", ErrRegion},
		{"premium in the country that is allowed", onlyUS, "+19005551234", ErrKind},

		{"the kind that was opened", premium, "+499001234567", nil},
		{"another kind", premium, "+4918012345678", ErrKind},
		{"ordinary numbers besides", premium, "+12025550100", nil},

		{"a prefix that was opened", except, "+499001234567", nil},
		{"a prefix that no plan knows", except, "+15551234567", nil},
		{"a number beside the prefix", except, "+499003234567", ErrRegion},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.policy.Validate(); err != nil {
				t.Fatal(err)
			}
			err := tt.policy.Allow(t.Context(), call.Leg{To: tt.to})
			if !errors.Is(err, tt.err) {
				t.Errorf("%v, not %v", err, tt.err)
			}
			if err != nil && len(tt.to) > 1 && strings.Contains(err.Error(), string(tt.to)) {
				t.Errorf("%q tells the number", err)
			}
		})
	}
}

// Time in a bubble begins at midnight UTC of the first of January 2000, a
// Saturday: it is 7 in the evening of New Year's Eve in New York.
func TestPolicyKeepsHours(t *testing.T) {
	p := Policy{Hours: Daytime(), Except: []string{"+1555"}, Kinds: []numbering.Kind{numbering.Satellite}}
	for _, tt := range []struct {
		name  string
		after time.Duration
		to    telephony.Number
		err   error
	}{
		{"New York in the evening", 0, "+12025550100", nil},
		{"New York at night", 2 * time.Hour, "+12025550100", ErrHours},
		{"Los Angeles then", 2 * time.Hour, "+12135550100", nil},
		{"London at midnight", 0, "+442079460958", ErrHours},
		{"Tokyo in the morning", 0, "+81312345678", nil},
		{"Pensacola's code in the morning of its other half", 13*time.Hour + 30*time.Minute, "+18505550100", ErrHours},
		{"an Australian mobile while Perth sleeps", 23 * time.Hour, "+61491570156", ErrHours},
		{"Sydney itself", 23 * time.Hour, "+61298765432", nil},
		{"an Australian mobile when Perth is awake", 24*time.Hour + time.Minute, "+61491570156", nil},
		{"a satellite", 0, "+881612345678", ErrHours},
		{"a prefix that no plan knows", 0, "+15551234567", ErrHours},
		{"a transfer", 2 * time.Hour, "+12025550100", ErrHours},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(tt.after)
				err := p.Allow(t.Context(), call.Leg{To: tt.to, Transfer: tt.name == "a transfer"})
				if !errors.Is(err, tt.err) {
					t.Errorf("%v, not %v", err, tt.err)
				}
			})
		})
	}
}

func TestPolicyValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy Policy
		says   string // nothing: valid
	}{
		{"the zero value", Policy{}, ""},
		{"everything", Policy{Regions: []string{"US", "XK"}, Kinds: []numbering.Kind{numbering.Satellite}, Except: []string{"+1"}, Hours: Daytime()}, ""},
		{"a region in small letters", Policy{Regions: []string{"us"}}, `"us"`},
		{"a continent", Policy{Regions: []string{"EU"}}, `"EU"`},
		{"no kind", Policy{Kinds: []numbering.Kind{numbering.Unknown}}, "unknown"},
		{"a kind that is not there", Policy{Kinds: []numbering.Kind{99}}, "Kind(99)"},
		{"a prefix without a plus sign", Policy{Except: []string{"49"}}, `"49"`},
		{"a prefix of all numbers", Policy{Except: []string{"+"}}, `"+"`},
		{"an hour that is not there", Policy{Hours: Hours{{Until: 25 * time.Hour}}}, "25h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.policy.Validate()
			switch {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("%v does not say %s", err, tt.says)
			}
		})
	}
}

// A service asks the policy, and dials nothing that it refuses.
func TestServiceKeepsToPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := calltest.NewNetwork(t)
		agent := call.AgentFunc(func(context.Context, *call.Session) error { return nil })
		cfg := call.Config{
			PublicURL: calltest.PublicURL,
			Providers: []call.Provider{n.Provider},
			Agents:    call.Agents{"agent": agent},
			Policy:    Policy{Regions: []string{"us"}},
			Logger:    slog.New(slog.DiscardHandler),
		}
		if _, err := call.New(cfg); !errors.Is(err, numbering.ErrUnknownRegion) {
			t.Errorf("New with a region that is not there: %v", err)
		}
		cfg.Policy = Policy{Hours: Daytime()}
		svc, err := call.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		n.Connect(svc)
		place := func(to telephony.Number) (*call.Call, error) {
			return svc.Place(t.Context(), call.Request{AgentID: "agent", To: to, From: calltest.Number})
		}
		for to, want := range map[telephony.Number]error{
			"+351760123456": ErrKind, "+15551234567": numbering.ErrNoSuchNumber, "+442079460958": ErrHours,
		} {
			if _, err := place(to); !errors.Is(err, call.ErrNotAllowed) || !errors.Is(err, want) {
				t.Errorf("Place returned %v, not %v", err, want)
			}
		}
		if _, err := place("+12025550142"); err != nil { // 7 in the evening there
			t.Fatal(err)
		}
		if _, err := n.Phone("+12025550142").NextTalk(t.Context()); err != nil {
			t.Fatal(err)
		}
		var calls int
		for _, err := range svc.Calls(t.Context(), call.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			calls++
		}
		if calls != 1 {
			t.Errorf("%d calls, not one", calls)
		}
		time.Sleep(2 * time.Hour)
		if _, err := place("+12025550142"); !errors.Is(err, ErrHours) {
			t.Errorf("Place at 9 in the evening returned %v", err)
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	p, leg := Policy{Hours: Daytime()}, call.Leg{To: "+442079460958"}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Allow(b.Context(), leg); err != nil && !errors.Is(err, ErrHours) {
			b.Fatal(err)
		}
	}
}
