package quota_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/quota"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

const cents = quota.Amount(10_000)

func leg(tenant string, to telephony.Number) call.Leg {
	return call.Leg{Tenant: tenant, To: to, MaxDuration: time.Hour}
}

// reason is why a leg is refused, "" if it is not.
func reason(err error) call.Reason {
	if r, ok := errors.AsType[*call.Refusal](err); ok {
		return r.Reason
	}
	return ""
}

func TestCallsAtOnce(t *testing.T) {
	c := &quota.Calls{Total: 5, PerTenant: 2, Tenants: map[string]int{"large": 4, "closed": 0}}
	ask := func(tenant string, want bool) call.Reservation {
		t.Helper()
		r, err := c.Reserve(t.Context(), leg(tenant, ""))
		if (err == nil) != want || err != nil && reason(err) != call.RefusedCalls {
			t.Errorf("%s: %v, want %t", tenant, err, want)
		}
		if allowed := c.Allow(t.Context(), leg(tenant, "")); err != nil && allowed == nil {
			t.Errorf("%s: Reserve refuses and Allow does not", tenant)
		}
		return r
	}
	ask("closed", false)
	ask("small", true)
	second := ask("small", true)
	ask("small", false)
	for range 3 {
		ask("large", true)
	}
	ask("large", false) // there are five
	if err := second.Release(t.Context(), call.Usage{}); err != nil {
		t.Fatal(err)
	}
	ask("large", true)
	ask("large", false)
	if total, large := c.Live("large"); total != 5 || large != 4 {
		t.Errorf("%d legs are live, %d of large", total, large)
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &quota.Rate{PerMinute: 6, Burst: 3, Tenants: map[string]float64{"slow": 1}}
		begin := func(tenant string) (n int, wait time.Duration) {
			for {
				err := r.Allow(t.Context(), leg(tenant, ""))
				if err == nil {
					n++
					continue
				}
				refusal, ok := errors.AsType[*call.Refusal](err)
				if !ok || refusal.Reason != call.RefusedRate {
					t.Fatal(err)
				}
				return n, refusal.RetryAfter
			}
		}
		for _, want := range []int{3, 1, 1} {
			n, wait := begin("acme")
			if n != want || wait != 10*time.Second {
				t.Errorf("%d legs at once, and another after %v; want %d, 10 s", n, wait, want)
			}
			time.Sleep(wait)
		}
		if n, wait := begin("slow"); n != 3 || wait != time.Minute {
			t.Errorf("slow: %d legs at once, and another after %v", n, wait)
		}
		time.Sleep(time.Hour)
		if n, _ := begin("acme"); n != 3 {
			t.Errorf("after an hour %d legs at once", n)
		}
	})
}

func TestCost(t *testing.T) {
	tests := []struct {
		price quota.Price
		d     time.Duration
		want  quota.Amount
	}{
		{quota.Price{PerMinute: 2 * cents}, 0, 0},
		{quota.Price{PerMinute: 2 * cents, PerCall: cents}, 0, 0},
		{quota.Price{PerMinute: 2 * cents}, time.Millisecond, 2 * cents},
		{quota.Price{PerMinute: 2 * cents, PerCall: cents}, time.Minute, 3 * cents},
		{quota.Price{PerMinute: 2 * cents}, 61 * time.Second, 4 * cents},
		{quota.Price{PerMinute: 6 * cents, Step: 10 * time.Second}, 61 * time.Second, 7 * cents},
		{quota.Price{PerMinute: 1, Step: time.Second}, time.Second, 1}, // rounded up
		{quota.Price{PerMinute: 1_000_000_000}, 24 * time.Hour, 1_440_000_000_000},
	}
	for _, tt := range tests {
		if got := tt.price.Cost(tt.d); got != tt.want {
			t.Errorf("%+v for %v costs %d, want %d", tt.price, tt.d, got, tt.want)
		}
	}
}

func TestPricesByPrefix(t *testing.T) {
	p := quota.Prices{"+1": {PerMinute: 1}, "+1202": {PerMinute: 2}, "+": {PerMinute: 9}}
	for to, want := range map[telephony.Number]quota.Amount{"+12025550142": 2, "+13105550142": 1, "+442079460958": 9} {
		if got, err := p.Price(t.Context(), leg("", to)); err != nil || got.PerMinute != want {
			t.Errorf("%s: %v, %v, want %d", to, got, err, want)
		}
	}
	delete(p, "+")
	if _, err := p.Price(t.Context(), leg("", "+442079460958")); !errors.Is(err, quota.ErrNoPrice) {
		t.Errorf("a number without a price: %v", err)
	}
	if quota.Prices(map[string]quota.Price{"44": {}}).Validate() == nil {
		t.Error("a prefix without a plus sign is taken")
	}
}

// However many legs are asked for at the same time, and however they end, a cap is
// not passed, and in the end what was spent is what they have cost.
func TestSpendIsNeverMoreThanTheCap(t *testing.T) {
	ledger := quota.NewMemoryLedger()
	s := &quota.Spend{
		Price:     quota.Prices{"+": {PerMinute: cents}}.Price,
		PerTenant: 300 * cents, Total: 1000 * cents, Tenants: map[string]quota.Amount{"a": 500 * cents, "z": 0},
		Ledger: ledger,
	}
	var cost, refused atomic.Int64
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(n)))
			for range 500 {
				tenant := string(rune('a' + rnd.IntN(6)))
				l := leg(tenant, "+1")
				l.MaxDuration = time.Duration(1+rnd.IntN(100)) * time.Minute
				r, err := s.Reserve(t.Context(), l)
				if err != nil {
					refused.Add(1)
					if reason(err) != call.RefusedSpend || !errors.Is(err, quota.ErrCap) {
						t.Error(err)
					}
					continue
				}
				period := time.Now().UTC().Format(time.DateOnly)
				if of, total := ledger.Spent(period, tenant); of > 500*cents || total > 1000*cents {
					t.Errorf("spent %d, %d in all", of, total)
				}
				talked := time.Duration(rnd.Int64N(1 + int64(l.MaxDuration)/50))
				cost.Add(int64(quota.Price{PerMinute: cents}.Cost(talked)))
				if err := r.Release(t.Context(), call.Usage{Dialed: true, Duration: talked}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, total := ledger.Spent(time.Now().UTC().Format(time.DateOnly), ""); int64(total) != cost.Load() {
		t.Errorf("spent %d, and the legs have cost %d", total, cost.Load())
	}
	if refused.Load() == 0 {
		t.Error("no leg was refused: nothing was shown")
	}
	if err := s.Allow(t.Context(), leg("z", "+1")); reason(err) != call.RefusedSpend {
		t.Errorf("a tenant with a cap of nothing: %v", err)
	}
}

// A period ends at midnight of its zone; a leg counts in the one it was dialed in.
func TestSpendByPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // midnight UTC on 2000-01-01
		ledger := quota.NewMemoryLedger()
		s := &quota.Spend{
			Price: quota.Prices{"+": {PerMinute: cents}}.Price, PerTenant: 60 * cents,
			Zone: time.FixedZone("east", 2*3600), Ledger: ledger,
		}
		first, err := s.Reserve(t.Context(), leg("acme", "+1"))
		if err != nil {
			t.Fatal(err)
		}
		err = s.Allow(t.Context(), leg("acme", "+1"))
		refusal, ok := errors.AsType[*call.Refusal](err)
		if !ok || refusal.RetryAfter != 22*time.Hour {
			t.Fatalf("the second leg: %v", err)
		}
		time.Sleep(refusal.RetryAfter)
		if _, err := s.Reserve(t.Context(), leg("acme", "+1")); err != nil {
			t.Errorf("on the next day: %v", err)
		}
		if err := first.Release(t.Context(), call.Usage{Dialed: true, Duration: 90 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if of, _ := ledger.Spent("2000-01-01", "acme"); of != 2*cents {
			t.Errorf("the first day cost %d", of)
		}
		if of, _ := ledger.Spent("2000-01-02", "acme"); of != 60*cents {
			t.Errorf("of the second day %d is reserved", of)
		}
		time.Sleep(24 * time.Hour)
		_ = s.Allow(t.Context(), leg("acme", "+1"))
		if of, _ := ledger.Spent("2000-01-01", "acme"); of != 0 {
			t.Error("the first day is still known")
		}
		s.Monthly = true
		if _, err := s.Reserve(t.Context(), leg("other", "+1")); err != nil {
			t.Fatal(err)
		}
		if of, _ := ledger.Spent("2000-01", "other"); of != 60*cents {
			t.Errorf("of the month %d is reserved", of)
		}
	})
}

// On whole calls: no more are live, and no more is spent, than may be, however
// they end; and when they are over everything has been given back.
func TestQuotasOfAService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := calltest.NewNetwork(t)
		calls := &quota.Calls{PerTenant: 3}
		ledger := quota.NewMemoryLedger()
		spend := &quota.Spend{Price: quota.Prices{"+": {PerMinute: cents}}.Price, PerTenant: 80 * cents, Ledger: ledger}
		svc, err := call.New(call.Config{
			PublicURL:   calltest.PublicURL,
			Providers:   []call.Provider{network.Provider},
			Agents:      call.Agents{"agent": call.Echo},
			Policy:      call.Policies(&quota.Rate{PerMinute: 600, Burst: 100}, calls, spend),
			MaxDuration: 20 * time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		network.Connect(svc)
		behaviors := []sim.Behavior{
			{Talk: func(k *sim.Talk) { k.Listen(90 * time.Second); k.Hangup() }},
			{Outcome: sim.Busy}, {Outcome: sim.NoAnswer}, {Outcome: sim.Failed},
		}
		refused := map[call.Reason]int{}
		want := quota.Amount(0)
		for i := range 120 {
			to := telephony.Number(fmt.Sprintf("+1202555%04d", i))
			b := behaviors[i%len(behaviors)]
			network.Phone(string(to)).Behave(b)
			_, err := svc.Place(t.Context(), call.Request{AgentID: "agent", From: calltest.Number, To: to, Tenant: "acme"})
			switch {
			case err == nil:
				if b.Talk != nil {
					want += 2 * cents
				}
			default:
				refused[reason(err)]++
			}
			if _, n := calls.Live("acme"); n > 3 {
				t.Fatalf("%d calls are live", n)
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(10 * time.Minute)
		if total, _ := calls.Live("acme"); total != 0 {
			t.Errorf("%d places are taken, and no call lives", total)
		}
		if of, _ := ledger.Spent("2000-01-01", "acme"); of != want || of > 80*cents {
			t.Errorf("spent %d cents, want %d", of/cents, want/cents)
		}
		if refused[call.RefusedCalls] == 0 || refused[call.RefusedSpend] == 0 {
			t.Errorf("refused %v: nothing was shown", refused)
		}
		st := svc.Stats()
		for why, n := range refused {
			if st.RefusedBy[why] != int64(n) {
				t.Errorf("%d were refused for %q, %d are counted", n, why, st.RefusedBy[why])
			}
		}
	})
}

func TestValidate(t *testing.T) {
	ok := quota.Spend{Price: quota.Prices{}.Price, Ledger: quota.NewMemoryLedger()}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
	for name, v := range map[string]telephony.Validator{
		"a negative number":    &quota.Calls{PerTenant: -1},
		"a negative rate":      &quota.Rate{PerMinute: -1},
		"a tenant's":           &quota.Rate{Tenants: map[string]float64{"a": -1}},
		"no ledger":            &quota.Spend{Price: ok.Price},
		"no price":             &quota.Spend{Ledger: ok.Ledger},
		"a negative cap":       &quota.Spend{Price: ok.Price, Ledger: ok.Ledger, Total: -1},
		"a tenant's cap below": &quota.Spend{Price: ok.Price, Ledger: ok.Ledger, Tenants: map[string]quota.Amount{"a": -1}},
	} {
		if v.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// A price or a ledger that fails refuses the leg.
func TestWhatCannotBePaidIsNotDialed(t *testing.T) {
	broken := errors.New("broken")
	for name, s := range map[string]*quota.Spend{
		"price":  {Price: func(context.Context, call.Leg) (quota.Price, error) { return quota.Price{}, broken }, Ledger: quota.NewMemoryLedger()},
		"ledger": {Price: quota.Prices{"+": {}}.Price, Ledger: brokenLedger{broken}},
	} {
		if _, err := s.Reserve(t.Context(), leg("", "+1")); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type brokenLedger struct{ err error }

func (l brokenLedger) Reserve(context.Context, quota.Entry, quota.Caps) error  { return l.err }
func (l brokenLedger) Settle(context.Context, quota.Entry, quota.Amount) error { return l.err }
