package call_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// till is a policy that holds something for each leg, and counts.
type till struct {
	mu       sync.Mutex
	legs     []call.Leg
	released []int // how often, by leg
	used     []call.Usage
}

func (*till) Allow(context.Context, call.Leg) error { return errors.New("Allow was asked") }

func (p *till) Reserve(_ context.Context, leg call.Leg) (call.Reservation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.legs)
	p.legs = append(p.legs, leg)
	p.released = append(p.released, 0)
	p.used = append(p.used, call.Usage{})
	return call.ReservationFunc(func(_ context.Context, used call.Usage) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.released[n]++
		p.used[n] = used
		return nil
	}), nil
}

// storeless is a store that creates nothing.
type storeless struct{ call.Store }

func (storeless) Create(context.Context, *call.Call, []call.Event) (*call.Call, error) {
	return nil, errors.New("no store")
}

// used is what a leg that was dialed has used.
func used(d time.Duration) call.Usage { return call.Usage{Dialed: true, Duration: d} }

// What the policy holds for a leg is given back once, whatever becomes of the
// leg, with what it has used, and before anybody learns that the call is over.
func TestWhatPolicyHoldsIsReleasedOnce(t *testing.T) {
	transfer := func(to telephony.Number) call.Agent {
		return call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			_ = s.Transfer(ctx, call.Transfer{To: to, Timeout: 10 * time.Second})
			_, err := s.Speak(tone(440, 2*time.Second)).Wait(ctx)
			return err
		})
	}
	answers := sim.Behavior{Talk: func(k *sim.Talk) { k.Listen(20 * time.Second); k.Hangup() }}
	never := errors.New("never")
	tests := []struct {
		name   string
		agent  call.Agent
		change func(*call.Config)
		callee sim.Behavior
		desk   sim.Behavior
		err    error // of Place; never: any
		want   []call.Usage
	}{
		{"answered", hello(3 * time.Second), nil, sim.Behavior{}, sim.Behavior{}, nil, []call.Usage{used(3 * time.Second)}},
		{"busy", call.Echo, nil, sim.Behavior{Outcome: sim.Busy}, sim.Behavior{}, nil, []call.Usage{used(0)}},
		{"not answered", call.Echo, nil, sim.Behavior{Outcome: sim.NoAnswer}, sim.Behavior{}, nil, []call.Usage{used(0)}},
		{"no room", call.Echo, func(c *call.Config) { c.MaxCalls = -1 }, sim.Behavior{}, sim.Behavior{}, call.ErrOverloaded, []call.Usage{{}}},
		{"no store", call.Echo, func(c *call.Config) { c.Store = storeless{c.Store} }, sim.Behavior{}, sim.Behavior{}, never, []call.Usage{{}}},
		{"a later policy refuses", call.Echo, func(c *call.Config) {
			c.Policy = call.Policies(c.Policy, call.Destinations{DenyPrefixes: []string{"+1"}})
		},
			sim.Behavior{}, sim.Behavior{}, call.RefusedDestination, []call.Usage{{}}},
		{"a later policy panics", call.Echo, func(c *call.Config) { c.Policy = call.Policies(c.Policy, panickyPolicy{}) },
			sim.Behavior{}, sim.Behavior{}, call.ErrNotAllowed, []call.Usage{{}}},
		{"the carrier refuses", call.Echo, func(c *call.Config) {
			c.Providers = []call.Provider{&otherCarrier{Provider: c.Providers[0], err: &telephony.Error{Outcome: telephony.Rejected, Reason: telephony.ErrRefused}}}
		}, sim.Behavior{}, sim.Behavior{}, nil, []call.Usage{{}}},
		{"the backup places it", hello(3 * time.Second), func(c *call.Config) {
			first := &otherCarrier{Provider: c.Providers[0], err: &telephony.Error{Outcome: telephony.NotSent, Reason: telephony.ErrUnavailable}}
			c.Providers = []call.Provider{first, c.Providers[0]}
			c.Backups = map[string]call.Backup{"first": {Provider: "sim"}}
		}, sim.Behavior{}, sim.Behavior{}, nil, []call.Usage{{}, used(3 * time.Second)}},
		{"a transfer that is made", transfer(desk), nil, sim.Behavior{}, answers, nil, []call.Usage{used(20 * time.Second), used(20 * time.Second)}},
		{"a transfer to somebody busy", transfer(desk), nil, sim.Behavior{}, sim.Behavior{Outcome: sim.Busy}, nil, []call.Usage{used(2 * time.Second), used(0)}},
		{"a warm transfer", call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			return s.WarmTransfer(ctx, call.WarmTransfer{To: desk})
		}), nil, sim.Behavior{}, answers, nil, []call.Usage{used(20 * time.Second), used(20 * time.Second)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &till{}
				o := newOffice(t, tt.agent, func(c *call.Config) {
					c.Policy, c.Store = p, call.NewMemoryStore()
					if tt.change != nil {
						tt.change(c)
					}
					if c.MaxCalls < 0 {
						c.MaxCalls = 1
					}
				})
				if errors.Is(tt.err, call.ErrOverloaded) {
					if _, err := o.Invite(t.Context(), call.Invitation{AgentID: "agent"}); err != nil {
						t.Fatal(err)
					}
				}
				o.Phone(callee).Behave(tt.callee)
				o.Phone(desk).Behave(tt.desk)
				placed, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours, Tenant: "acme"})
				if (tt.err == nil) != (err == nil) || tt.err != never && !errors.Is(err, tt.err) {
					t.Fatalf("place: %v, want %v", err, tt.err)
				}
				if err == nil {
					o.wait(placed.ID)
					p.mu.Lock()
					released := p.released[0]
					p.mu.Unlock()
					if released != 1 {
						t.Error("the call is over, and what was held for it is still held")
					}
				}
				time.Sleep(time.Minute)
				p.mu.Lock()
				defer p.mu.Unlock()
				if len(p.legs) != len(tt.want) {
					t.Fatalf("asked about %d legs, want %d", len(p.legs), len(tt.want))
				}
				for i, want := range tt.want {
					got := p.used[i]
					if p.released[i] != 1 || got.Dialed != want.Dialed || (got.Duration-want.Duration).Abs() > 4*time.Second {
						t.Errorf("leg %d: released %d times, used %+v; want once, %+v", i, p.released[i], got, want)
					}
					if want.Duration == 0 && got.Duration != 0 {
						t.Errorf("leg %d: nobody answered, and it lasted %v", i, got.Duration)
					}
					if leg := p.legs[i]; leg.Tenant != "acme" || leg.CallID == "" || leg.MaxDuration != time.Hour || leg.Transfer != (leg.To == desk) {
						t.Errorf("leg %d: %+v", i, leg)
					}
				}
				if st := o.Stats(); st.Unsettled != 0 || st.HostHeld != 0 {
					t.Errorf("%d unsettled, %d held", st.Unsettled, st.HostHeld)
				}
			})
		})
	}
}

// A reservation that cannot be released is counted, and so are refusals.
func TestReleaseThatFailsIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, hello(time.Second), func(c *call.Config) {
			c.Policy = call.Policies(call.DoNotCall(func(_ context.Context, tenant string, to telephony.Number) (bool, error) {
				switch to {
				case desk:
					return true, nil
				case "+12025550188":
					return false, errors.New("10.0.0.5:5432: connection refused")
				}
				return false, nil
			}), reserver(func() (call.Reservation, error) {
				return call.ReservationFunc(func(context.Context, call.Usage) error { panic("ledger") }), nil
			}))
		})
		o.wait(o.place(call.Options{}).ID)
		for _, to := range []telephony.Number{desk, "+12025550188"} {
			if _, err := o.Place(t.Context(), call.Request{AgentID: "agent", To: to, From: ours}); !errors.Is(err, call.ErrNotAllowed) {
				t.Errorf("placed: %v", err)
			} else if (call.RefusalOf(err).Reason == call.RefusedDoNotCall) != (to == desk) {
				t.Errorf("refused: %v", err)
			}
		}
		st := o.Stats()
		if st.Unsettled != 1 || st.RefusedBy[call.RefusedDoNotCall] != 1 || st.RefusedBy[call.RefusedOther] != 1 || st.Refused != 2 {
			t.Errorf("counted: %+v", st)
		}
	})
}

// reserver makes a Reserver of a function.
type reserver func() (call.Reservation, error)

func (r reserver) Allow(context.Context, call.Leg) error { return nil }

func (r reserver) Reserve(context.Context, call.Leg) (call.Reservation, error) { return r() }

// The settings of policies are checked, wherever they stand.
func TestPoliciesAreValidated(t *testing.T) {
	_, err := call.New(call.Config{
		PublicURL: "http://localhost:1/", Providers: []call.Provider{&otherCarrier{}}, Agents: call.Agents{"agent": call.Echo},
		Policy: call.Policies(call.Policies(call.Destinations{DenyPrefixes: []string{"49"}})),
	})
	if err == nil {
		t.Error("a wrong prefix was taken")
	}
}
