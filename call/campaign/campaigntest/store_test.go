package campaigntest

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/call/campaign"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryStore(t *testing.T) {
	TestStore(t, func(*testing.T) campaign.Store { return new(campaign.MemoryStore) })
}

// broken is a store that does one thing wrong.
type broken struct {
	campaign.Store
	claim  func(*campaign.Claim)
	got    func(*campaign.Claimed)
	settle func(*campaign.Contact, *campaign.Attempt) (*campaign.Contact, *campaign.Attempt)
	renew  bool
}

func (b broken) Claim(ctx context.Context, id string, want campaign.Claim) (campaign.Claimed, error) {
	if b.claim != nil {
		b.claim(&want)
	}
	got, err := b.Store.Claim(ctx, id, want)
	if b.got != nil {
		b.got(&got)
	}
	return got, err
}

func (b broken) Settle(ctx context.Context, id string, c *campaign.Contact, made *campaign.Attempt) (*campaign.Campaign, error) {
	if b.settle != nil {
		c, made = b.settle(c, made)
	}
	return b.Store.Settle(ctx, id, c, made)
}

func (b broken) Renew(ctx context.Context, id, owner string, until time.Time) error {
	if b.renew {
		return nil
	}
	return b.Store.Renew(ctx, id, owner, until)
}

// Each rule finds a store that breaks it.
func TestBrokenStoresAreFound(t *testing.T) {
	for name, b := range map[string]broken{
		"claims are kept apart by the gap":                     {claim: func(c *campaign.Claim) { c.Gap = 0 }},
		"no more are live than may be":                         {claim: func(c *campaign.Claim) { c.Concurrency = 1 << 20 }},
		"only what runs is claimed, and only where it is time": {claim: func(c *campaign.Claim) { c.Zones = []string{"a", "b", "c"} }},
		"claims are in order: left behind, due, new":           {got: func(c *campaign.Claimed) { slices.Reverse(c.Contacts) }},
		"a claim that is renewed lasts":                        {renew: true},
		"an attempt is counted with its contact": {settle: func(c *campaign.Contact, _ *campaign.Attempt) (*campaign.Contact, *campaign.Attempt) {
			return c, nil
		}},
		"contacts that were postponed come back": {settle: func(c *campaign.Contact, a *campaign.Attempt) (*campaign.Contact, *campaign.Attempt) {
			c.State = campaign.Over
			return c, a
		}},
	} {
		at := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
		if at < 0 {
			t.Fatalf("there is no rule %q", name)
		}
		b.Store = new(campaign.MemoryStore)
		if err := rules[at].check(t.Context(), b); err == nil {
			t.Errorf("a store that breaks the rule %q passes", name)
		}
	}
}
