package call_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// otherCarrier is a carrier that does not dial.
type otherCarrier struct {
	call.Provider
	err   *telephony.Error
	dials int
}

func (*otherCarrier) Name() string { return "first" }

func (c *otherCarrier) Dial(context.Context, *telephony.DialRequest) (string, error) {
	c.dials++
	return "", c.err
}

// A call that was certainly not placed goes to the backup, under the backup's
// caller id; any other does not.
func TestFailover(t *testing.T) {
	const backupNumber = "+12025550111"
	tests := []struct {
		name     string
		outcome  telephony.Outcome
		reason   error
		deny     bool // by policy
		dials    int  // by the first
		state    call.State
		provider string
	}{
		{"the line is down", telephony.NotSent, telephony.ErrUnavailable, false, 3, call.Completed, "sim"},
		{"it wants to be left alone", telephony.Throttled, telephony.ErrThrottled, false, 3, call.Completed, "sim"},
		{"it refused", telephony.Rejected, telephony.ErrNotAllowed, false, 1, call.Failed, "first"},
		{"nobody knows", telephony.Ambiguous, telephony.ErrUnavailable, false, 1, call.Failed, "first"},
		{"the backup is not allowed to", telephony.NotSent, telephony.ErrUnavailable, true, 3, call.Failed, "first"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := &otherCarrier{err: &telephony.Error{Provider: "first", Op: "dial", Outcome: tt.outcome, Reason: tt.reason}}
				o := newOffice(t, hello(time.Second), func(c *call.Config) {
					first.Provider = c.Providers[0]
					c.Providers = append([]call.Provider{first}, c.Providers...)
					c.Backups = map[string]call.Backup{"first": {Provider: "sim", From: backupNumber}}
					c.Policy = call.PolicyFunc(func(_ context.Context, leg call.Leg) error {
						if tt.deny && leg.Provider == "sim" {
							return errors.New("not over this one")
						}
						return nil
					})
				})
				c := o.wait(o.place(call.Options{}).ID)
				if c.State != tt.state || c.Provider != tt.provider || first.dials != tt.dials {
					t.Errorf("call ended %v, %q (%s) at %q after %d dials; want %v at %q after %d",
						c.State, c.Cause, c.Detail, c.Provider, first.dials, tt.state, tt.provider, tt.dials)
				}
				placed := o.Carrier.Calls()
				if tt.state != call.Completed {
					if len(placed) != 0 {
						t.Errorf("the backup has %d calls", len(placed))
					}
					return
				}
				if len(placed) != 1 || placed[0].From != backupNumber || c.From != backupNumber {
					t.Errorf("the backup has %+v, the record %v", placed, c.From)
				}
				if stored, err := o.Call(t.Context(), c.ID); err != nil || stored.Provider != "sim" {
					t.Errorf("stored: %v, %v", stored, err)
				}
			})
		})
	}
}

// A carrier that is down is not asked for each call; the backup is, at once.
func TestCarrierThatIsDownIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &otherCarrier{err: &telephony.Error{Provider: "first", Op: "dial", Outcome: telephony.NotSent, Reason: telephony.ErrUnavailable}}
		o := newOffice(t, hello(time.Second), func(c *call.Config) {
			first.Provider = c.Providers[0]
			c.Providers = append([]call.Provider{first}, c.Providers...)
			c.Backups = map[string]call.Backup{"first": {Provider: "sim"}}
		})
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second})
		for range 2 {
			o.wait(o.place(call.Options{}).ID)
		}
		dials := first.dials
		if dials < 5 {
			t.Fatalf("%d dials", dials)
		}
		begin := time.Now()
		if c := o.wait(o.place(call.Options{}).ID); c.State != call.Completed {
			t.Errorf("call ended %v, %q", c.State, c.Cause)
		}
		if first.dials != dials {
			t.Errorf("a carrier that is down was asked %d times more", first.dials-dials)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("the call took %v", took)
		}
	})
}

// What is wrong with Backups and Require is said at the start.
func TestFailoverSettings(t *testing.T) {
	tests := map[string]struct {
		change func(*call.Config)
		want   error
	}{
		"a backup that is none":     {func(c *call.Config) { c.Backups = map[string]call.Backup{"sim": {Provider: "other"}} }, call.ErrUnknownProvider},
		"a backup of none":          {func(c *call.Config) { c.Backups = map[string]call.Backup{"other": {Provider: "sim"}} }, call.ErrUnknownProvider},
		"a backup of itself":        {func(c *call.Config) { c.Backups = map[string]call.Backup{"sim": {Provider: "sim"}} }, call.ErrUnknownProvider},
		"powers that are not there": {func(c *call.Config) { c.Require = 1 << 31 }, errors.ErrUnsupported},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := call.Config{
				PublicURL: "https://calls.test/",
				Providers: []call.Provider{&renamed{name: "sim"}},
				Agents:    call.Agents{"agent": call.Echo},
			}
			tt.change(&cfg)
			if _, err := call.New(cfg); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

type renamed struct {
	call.Provider
	name string
}

func (r *renamed) Name() string { return r.name }
