// Package campaigntest judges what plugs into package campaign.
package campaigntest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/campaign"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// TestStore judges a campaign.Store. Each subtest is a rule of the contract and has
// its name; a failure says what the store did instead.
//
// open returns a store that holds nothing and leaves its closing to t.Cleanup. It
// is called once for each rule.
func TestStore(t *testing.T, open func(t *testing.T) campaign.Store) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			if err := rule.check(t.Context(), open(t)); err != nil {
				t.Errorf("broken rule: %s\n%v", rule.name, err)
			}
		})
	}
}

// rule gets an empty store and says how it breaks it; it is no test itself so that
// the rules can be tested.
type rule struct {
	name  string
	check func(context.Context, campaign.Store) error
}

var rules = []rule{
	{"what was written is read", keepsFields},
	{"an id is taken once", refusesTakenID},
	{"an update follows the version it replaces", refusesStale},
	{"a list is by id, and holds what Filter.Matches allows", lists},
	{"a deleted campaign leaves nothing behind", deletes},
	{"nothing is found where nothing is", findsNothing},
	{"contacts are added once, in order", adds},
	{"nobody is added to what is over, or full", refusesToAdd},
	{"claims are in order: left behind, due, new", claimsInOrder},
	{"claims are kept apart by the gap", keepsPace},
	{"no more are live than may be", keepsConcurrency},
	{"only what runs is claimed, and only where it is time", claimsWhatRuns},
	{"a claim that is renewed lasts", renews},
	{"a contact is settled once, by whoever has it", settlesOnce},
	{"an attempt is counted with its contact", counts},
	{"contacts that were postponed come back", postpones},
	{"what is given and returned is not shared", copies},
	{"many who claim at once share the contacts", sharesAtOnce},
}

var begin = time.Date(2026, 3, 29, 0, 59, 59, 123_456_789, time.UTC)

// Sample returns a record with something in each field.
func Sample(id string) *campaign.Campaign {
	week, err := routing.ParseWeek("Mon-Fri 09:00-18:00, Sat 22:00-02:00")
	if err != nil {
		panic(err)
	}
	return &campaign.Campaign{
		Spec: campaign.Spec{
			ID: id, Hours: week, CallsPerSecond: 2.5, Concurrency: 20, MaxAttempts: 4, PerDay: 2,
			Request: call.Request{
				AgentID: "reminders", From: "+12025550100", Provider: "sim", Tenant: "t",
				Metadata: map[string]string{"b": "ö"}, Options: call.Options{MachineDetection: true, RingTimeout: time.Second},
			},
			Retry:         campaign.Retry{Busy: 1, NoAnswer: 2, Machine: -1, Failed: 4},
			Failures:      campaign.Limit{Share: 0.25, Of: 8},
			Abandoned:     campaign.Limit{Share: 0.03, Of: 100},
			StopAbandoned: true,
		},
		State: campaign.Running, Reason: "none", CreatedAt: begin, Version: 1,
	}
}

// Contacts returns n contacts that wait, in the zones in turn.
func Contacts(n int, zones ...string) []campaign.Contact {
	list := make([]campaign.Contact, n)
	for i := range list {
		list[i] = campaign.Contact{
			Number: telephony.Number(fmt.Sprintf("+1202555%04d", i)), Data: map[string]string{"n": fmt.Sprint(i)},
			Zones: zones[i%len(zones)], State: campaign.Waiting,
		}
	}
	return list
}

// want is a claim of an owner at so long after begin.
func want(owner string, after time.Duration, limit int) campaign.Claim {
	return campaign.Claim{
		Now: begin.Add(after), Owner: owner, Until: begin.Add(after + time.Minute), Zones: []string{"a", "b"},
		Limit: limit, Concurrency: 1000, Ahead: time.Second,
	}
}

// fill makes a campaign "one" that runs, with n contacts in the zones a, b and c.
func fill(ctx context.Context, s campaign.Store, n int) error {
	if err := s.Create(ctx, Sample("one")); err != nil {
		return err
	}
	added, err := s.Add(ctx, "one", Contacts(n, "a", "b", "c"))
	if err == nil && added != n {
		err = fmt.Errorf("%d of %d contacts were added", added, n)
	}
	return err
}

// differ says how two values do.
func differ(what string, want, got any) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s (-want +got):\n%s", what, diff)
	}
	return nil
}

func expect(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s returned %q, not %q", what, fmt.Sprint(err), want.Error())
	}
	return nil
}

// seqs are those of contacts, in order.
func seqs(list []*campaign.Contact) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%d ", c.Seq)
	}
	return strings.TrimSpace(b.String())
}

// claims compares what a claim returns.
func claims(ctx context.Context, s campaign.Store, c campaign.Claim, wanted string) ([]*campaign.Contact, error) {
	got, err := s.Claim(ctx, "one", c)
	if err == nil && seqs(got.Contacts) != wanted {
		err = fmt.Errorf("claimed %q, not %q", seqs(got.Contacts), wanted)
	}
	return got.Contacts, err
}

func keepsFields(ctx context.Context, s campaign.Store) error {
	c := Sample("one")
	if err := s.Create(ctx, c); err != nil {
		return err
	}
	got, err := s.Get(ctx, "one")
	if err != nil {
		return err
	}
	if err := differ("campaign", c, got); err != nil {
		return err
	}
	c.Version, c.State, c.Reason = 2, campaign.Paused, ""
	c.CreatedAt = c.CreatedAt.In(time.FixedZone("elsewhere", 3600))
	if err := s.Update(ctx, c); err != nil {
		return err
	}
	c.CreatedAt = c.CreatedAt.UTC()
	if got, err = s.Get(ctx, "one"); err != nil {
		return err
	}
	return differ("campaign", c, got)
}

func refusesTakenID(ctx context.Context, s campaign.Store) error {
	if err := s.Create(ctx, Sample("one")); err != nil {
		return err
	}
	if err := expect("Create again", s.Create(ctx, Sample("one")), campaign.ErrExists); err != nil {
		return err
	}
	c := Sample("two")
	c.Version = 2
	return expect("Create in version 2", s.Create(ctx, c), campaign.ErrConflict)
}

func refusesStale(ctx context.Context, s campaign.Store) error {
	c := Sample("one")
	if err := s.Create(ctx, c); err != nil {
		return err
	}
	for _, version := range []int64{1, 3} {
		c.Version = version
		if err := expect(fmt.Sprintf("Update of 1 with %d", version), s.Update(ctx, c), campaign.ErrConflict); err != nil {
			return err
		}
	}
	if _, err := s.Add(ctx, "one", Contacts(1, "a")); err != nil {
		return err
	}
	c.Version = 2
	if err := expect("Update after Add", s.Update(ctx, c), campaign.ErrConflict); err != nil {
		return err
	}
	c.Version = 3
	return s.Update(ctx, c)
}

func lists(ctx context.Context, s campaign.Store) error {
	var all []*campaign.Campaign
	for i, id := range []string{"d", "a", "c", "B"} {
		c := Sample(id)
		c.Request.Tenant = []string{"t", "u"}[i%2]
		c.State = []campaign.State{campaign.Running, campaign.Paused}[i/2]
		if err := s.Create(ctx, c); err != nil {
			return err
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *campaign.Campaign) int { return strings.Compare(a.ID, b.ID) })
	tenant := "u"
	for _, f := range []campaign.Filter{
		{}, {Tenant: &tenant}, {States: []campaign.State{campaign.Running}}, {After: "a"}, {Limit: 2}, {After: "B", Limit: 1},
		{States: []campaign.State{campaign.Paused, campaign.Running}, Tenant: &tenant},
	} {
		var fit []string
		for _, c := range all {
			if f.Matches(c) && len(fit) < f.Max() {
				fit = append(fit, c.ID)
			}
		}
		list, err := s.List(ctx, f)
		if err != nil {
			return err
		}
		var got []string
		for _, c := range list {
			got = append(got, c.ID)
		}
		if err := differ(fmt.Sprintf("list of %+v", f), fit, got); err != nil {
			return err
		}
	}
	return nil
}

func deletes(ctx context.Context, s campaign.Store) error {
	if err := fill(ctx, s, 3); err != nil {
		return err
	}
	if err := s.Delete(ctx, "one"); err != nil {
		return err
	}
	if _, err := s.Get(ctx, "one"); !errors.Is(err, campaign.ErrNotFound) {
		return fmt.Errorf("Get returned %w", err)
	}
	return fill(ctx, s, 3)
}

func findsNothing(ctx context.Context, s campaign.Store) error {
	for _, id := range []string{"none", "\xff", "a\x00b"} { // not every database has such texts
		if err := findsNone(ctx, s, id); err != nil {
			return fmt.Errorf("%q: %w", id, err)
		}
	}
	if err := s.Create(ctx, Sample("one")); err != nil {
		return err
	}
	_, err := s.Settle(ctx, "one", &campaign.Contact{Seq: 1, Version: 2, State: campaign.Over}, nil)
	return expect("Settle", err, campaign.ErrNotFound)
}

func findsNone(ctx context.Context, s campaign.Store, id string) error {
	c := Sample(id)
	c.Version = 2
	_, get := s.Get(ctx, id)
	_, add := s.Add(ctx, id, Contacts(1, "a"))
	_, settle := s.Settle(ctx, id, &campaign.Contact{Seq: 1, Version: 2}, nil)
	_, contacts := s.Contacts(ctx, id, 0, 10)
	_, counts := s.Counts(ctx, id)
	for what, err := range map[string]error{"Get": get, "Update": s.Update(ctx, c), "Add": add, "Settle": settle, "Contacts": contacts, "Counts": counts} {
		if err := expect(what, err, campaign.ErrNotFound); err != nil {
			return err
		}
	}
	got, err := s.Claim(ctx, id, want("me", 0, 1))
	if err != nil || len(got.Contacts) > 0 {
		return errors.Join(fmt.Errorf("Claim returned %+v", got), err)
	}
	return s.Delete(ctx, id)
}

func adds(ctx context.Context, s campaign.Store) error {
	if err := s.Create(ctx, Sample("one")); err != nil {
		return err
	}
	all := Contacts(1200, "a", "b c")
	all[7].State, all[7].Outcome, all[7].Detail = campaign.Over, campaign.Refused, "why"
	for _, part := range []struct {
		list []campaign.Contact
		want int
	}{{all[:10], 10}, {all[5:12], 2}, {all[3:4], 0}, {all, 1188}} {
		if n, err := s.Add(ctx, "one", part.list); err != nil || n != part.want {
			return errors.Join(fmt.Errorf("Add of %d added %d, not %d", len(part.list), n, part.want), err)
		}
	}
	var got []*campaign.Contact
	for after := int64(0); ; after = got[len(got)-1].Seq {
		part, err := s.Contacts(ctx, "one", after, 500)
		if err != nil {
			return err
		}
		got = append(got, part...)
		if len(part) < 500 {
			break
		}
	}
	if len(got) != len(all) {
		return fmt.Errorf("%d contacts, not %d", len(got), len(all))
	}
	last := int64(0)
	for i, c := range got {
		if c.Seq <= last || c.Version != 1 {
			return fmt.Errorf("contact %d has place %d after %d, and version %d", i, c.Seq, last, c.Version)
		}
		last = c.Seq
		c.Seq, c.Version = 0, 0
		if err := differ(fmt.Sprintf("contact %d", i), &all[i], c); err != nil {
			return err
		}
	}
	c, err := s.Get(ctx, "one")
	if err == nil && c.Version != 5 {
		err = fmt.Errorf("after four additions the campaign has version %d", c.Version)
	}
	return err
}

func refusesToAdd(ctx context.Context, s campaign.Store) error {
	for _, state := range []campaign.State{campaign.Done, campaign.Stopped} {
		c := Sample(string(state))
		c.State = state
		if err := s.Create(ctx, c); err != nil {
			return err
		}
		_, err := s.Add(ctx, c.ID, Contacts(1, "a"))
		if err := expect("Add to what is "+c.ID, err, campaign.ErrOver); err != nil {
			return err
		}
	}
	if err := fill(ctx, s, 3); err != nil {
		return err
	}
	_, err := s.Add(ctx, "one", make([]campaign.Contact, campaign.MaxContacts))
	return expect("Add of too many", err, campaign.ErrFull)
}

func claimsInOrder(ctx context.Context, s campaign.Store) error {
	if err := fill(ctx, s, 12); err != nil { // 1 4 7 10 in a, 2 5 8 11 in b, 3 6 9 12 in c
		return err
	}
	first, err := claims(ctx, s, want("me", 0, 5), "1 2 4 5 7")
	if err != nil {
		return err
	}
	for _, c := range first {
		if c.State != campaign.Live || c.Version != 2 || c.Claims != 0 {
			return fmt.Errorf("claimed %+v", c)
		}
	}
	for i, after := range []time.Duration{2 * time.Minute, time.Minute, 3 * time.Minute} { // 1, 2 and 4 are due again
		c := first[i]
		c.State, c.Version, c.Due = campaign.Waiting, 3, begin.Add(after)
		if _, err := s.Settle(ctx, "one", c, nil); err != nil {
			return err
		}
	}
	// 5 and 7 are left behind, 2 and 1 are due, 8 and 10 are new, and 4 is not due yet.
	again, err := claims(ctx, s, want("you", 2*time.Minute, 6), "5 7 2 1 8 10")
	if err != nil {
		return err
	}
	for i, n := range []int{1, 1, 0, 0, 0, 0} {
		if again[i].Claims != n {
			return fmt.Errorf("contact %d was claimed %d times before, not %d", again[i].Seq, again[i].Claims, n)
		}
	}
	_, err = claims(ctx, s, want("you", 2*time.Minute, 6), "11")
	return err
}

func keepsPace(ctx context.Context, s campaign.Store) error {
	if err := fill(ctx, s, 30); err != nil {
		return err
	}
	c := want("me", 0, 100)
	c.Gap = 400 * time.Millisecond
	for _, step := range []struct {
		after, first time.Duration
		seqs         string
	}{
		{0, 0, "1 2 4"},
		{100 * time.Millisecond, 1200 * time.Millisecond, ""}, // further ahead than a second
		{time.Second, 1200 * time.Millisecond, "5 7 8"},       // up to 2 s
		{10 * time.Second, 10 * time.Second, "10 11 13"},
	} {
		c.Now = begin.Add(step.after)
		c.Until = c.Now.Add(time.Minute)
		got, err := s.Claim(ctx, "one", c)
		if err != nil {
			return err
		}
		if at := got.First.Sub(begin); seqs(got.Contacts) != step.seqs || at != step.first {
			return fmt.Errorf("after %v: claimed %q from %v on, not %q from %v on", step.after, seqs(got.Contacts), at, step.seqs, step.first)
		}
	}
	return nil
}

func keepsConcurrency(ctx context.Context, s campaign.Store) error {
	if err := fill(ctx, s, 30); err != nil {
		return err
	}
	c := want("me", 0, 2)
	c.Concurrency = 3
	first, err := claims(ctx, s, c, "1 2")
	if err != nil {
		return err
	}
	c.Owner = "you"
	if _, err := claims(ctx, s, c, "4"); err != nil {
		return err
	}
	if _, err := claims(ctx, s, c, ""); err != nil {
		return err
	}
	first[0].State, first[0].Version = campaign.Over, 3
	if _, err := s.Settle(ctx, "one", first[0], nil); err != nil {
		return err
	}
	if _, err := claims(ctx, s, c, "5"); err != nil {
		return err
	}
	c.Now = begin.Add(time.Hour) // all claims have ended
	c.Limit = 100
	_, err = claims(ctx, s, c, "2 4 5")
	return err
}

func claimsWhatRuns(ctx context.Context, s campaign.Store) error {
	if err := fill(ctx, s, 6); err != nil {
		return err
	}
	c := Sample("one")
	for i, state := range []campaign.State{campaign.Paused, campaign.Done, campaign.Stopped} {
		c.State, c.Version = state, int64(3+i)
		if err := s.Update(ctx, c); err != nil {
			return err
		}
		if _, err := claims(ctx, s, want("me", 0, 10), ""); err != nil {
			return fmt.Errorf("%s: %w", state, err)
		}
	}
	c.State, c.Version = campaign.Running, 6
	if err := s.Update(ctx, c); err != nil {
		return err
	}
	w := want("me", 0, 10)
	for _, step := range []struct {
		zones []string
		seqs  string
	}{{nil, ""}, {[]string{"nowhere"}, ""}, {[]string{"c"}, "3 6"}, {[]string{"a", "b", "c"}, "1 2 4 5"}} {
		w.Zones = step.zones
		if _, err := claims(ctx, s, w, step.seqs); err != nil {
			return fmt.Errorf("in %q: %w", step.zones, err)
		}
	}
	return nil
}

func renews(ctx context.Context, s campaign.Store) error {
	if err := fill(ctx, s, 6); err != nil {
		return err
	}
	if _, err := claims(ctx, s, want("me", 0, 1), "1"); err != nil {
		return err
	}
	if _, err := claims(ctx, s, want("you", 0, 1), "2"); err != nil {
		return err
	}
	if err := s.Renew(ctx, "one", "me", begin.Add(time.Hour)); err != nil {
		return err
	}
	if _, err := claims(ctx, s, want("other", 30*time.Minute, 2), "2 4"); err != nil {
		return err
	}
	if err := s.Renew(ctx, "one", "me", begin); err != nil { // gives them up
		return err
	}
	_, err := claims(ctx, s, want("other", 30*time.Minute+time.Second, 1), "1")
	return err
}

func settlesOnce(ctx context.Context, s campaign.Store) error {
	if err := fill(ctx, s, 6); err != nil {
		return err
	}
	mine, err := claims(ctx, s, want("me", 0, 1), "1")
	if err != nil {
		return err
	}
	yours, err := claims(ctx, s, want("you", time.Hour, 1), "1") // mine has ended
	if err != nil {
		return err
	}
	settle := func(c *campaign.Contact) error {
		c.Version++
		c.State = campaign.Over
		_, err := s.Settle(ctx, "one", c, &campaign.Attempt{At: begin, Outcome: campaign.Answered})
		return err
	}
	if err := expect("Settle of a claim that has ended", settle(mine[0]), campaign.ErrConflict); err != nil {
		return err
	}
	if err := settle(yours[0].Clone()); err != nil {
		return err
	}
	if err := expect("Settle again", settle(yours[0]), campaign.ErrConflict); err != nil {
		return err
	}
	list, err := s.Contacts(ctx, "one", 1, 1)
	if err != nil {
		return err
	}
	if err := expect("Settle of who was not claimed", settle(list[0]), campaign.ErrConflict); err != nil {
		return err
	}
	c, err := s.Get(ctx, "one")
	if err == nil && c.Tally.Total() != 1 {
		err = fmt.Errorf("%d attempts were counted", c.Tally.Total())
	}
	return err
}

func counts(ctx context.Context, s campaign.Store) error {
	if err := fill(ctx, s, 9); err != nil {
		return err
	}
	list, err := claims(ctx, s, want("me", 0, 4), "1 2 4 5")
	if err != nil {
		return err
	}
	var tally campaign.Tally
	spec := Sample("one").Spec
	for i, outcome := range []campaign.Outcome{campaign.Answered, campaign.Busy, campaign.Failed} {
		made := &campaign.Attempt{
			At: begin.Add(time.Duration(i) * time.Second).In(time.FixedZone("elsewhere", 3600)), EndedAt: begin.Add(time.Minute),
			CallID: fmt.Sprint("call_", i), Outcome: outcome, Cause: "agent_done", Talk: time.Second,
		}
		tally.Count(&spec, made)
		k := list[i]
		k.Version, k.State, k.Outcome, k.Detail, k.Attempts, k.Claims = 3, campaign.Over, outcome, "detail", []campaign.Attempt{*made}, 2
		if outcome == campaign.Busy {
			k.State, k.Due = campaign.Waiting, begin.Add(time.Hour)
		}
		c, err := s.Settle(ctx, "one", k, made)
		if err != nil {
			return err
		}
		if err := differ("tally", tally, c.Tally); err != nil {
			return err
		}
		got, err := s.Contacts(ctx, "one", k.Seq-1, 1)
		if err != nil {
			return err
		}
		if err := differ("contact", k.UTC(), got[0]); err != nil {
			return err
		}
	}
	c, err := s.Get(ctx, "one")
	if err != nil {
		return err
	}
	if err := differ("tally", tally, c.Tally); err != nil {
		return err
	}
	c.Version++
	c.Tally = campaign.Tally{}
	if err := s.Update(ctx, c); err != nil {
		return err
	}
	if c, err = s.Get(ctx, "one"); err != nil {
		return err
	}
	if err := differ("tally after Update", tally, c.Tally); err != nil {
		return err
	}
	got, err := s.Counts(ctx, "one")
	if err != nil {
		return err
	}
	slices.SortFunc(got, func(a, b campaign.Count) int {
		return strings.Compare(a.Zones+string(a.State)+string(a.Outcome), b.Zones+string(b.State)+string(b.Outcome))
	})
	kind := func(zones string, state campaign.ContactState, outcome campaign.Outcome, n int, due time.Time) campaign.Count {
		return campaign.Count{Zones: zones, State: state, Outcome: outcome, N: n, Due: due}
	}
	return differ("counts", []campaign.Count{
		kind("a", campaign.Over, campaign.Answered, 1, time.Time{}),
		kind("a", campaign.Over, campaign.Failed, 1, time.Time{}),
		kind("a", campaign.Waiting, "", 1, time.Time{}),
		kind("b", campaign.Live, "", 1, time.Time{}),
		kind("b", campaign.Waiting, "", 1, time.Time{}),
		kind("b", campaign.Waiting, campaign.Busy, 1, begin.Add(time.Hour)),
		kind("c", campaign.Waiting, "", 3, time.Time{}),
	}, got)
}

func postpones(ctx context.Context, s campaign.Store) error {
	if err := fill(ctx, s, 3); err != nil {
		return err
	}
	list, err := claims(ctx, s, want("me", 0, 1), "1")
	if err != nil {
		return err
	}
	k := list[0]
	k.Version, k.State, k.Claims = 3, campaign.Waiting, 1
	if _, err := s.Settle(ctx, "one", k, nil); err != nil {
		return err
	}
	if list, err = claims(ctx, s, want("me", 0, 10), "1 2"); err != nil {
		return err
	}
	if list[0].Claims != 1 || list[0].Version != 4 {
		return fmt.Errorf("claimed again as %+v", list[0])
	}
	return nil
}

func copies(ctx context.Context, s campaign.Store) error {
	if err := s.Create(ctx, Sample("one")); err != nil {
		return err
	}
	given := Contacts(2, "a")
	if _, err := s.Add(ctx, "one", given); err != nil {
		return err
	}
	given[0].Data["n"] = "changed by the caller"
	list, err := claims(ctx, s, want("me", 0, 1), "1")
	if err != nil {
		return err
	}
	list[0].Data["n"], list[0].Zones = "changed by the receiver", "elsewhere"
	got, err := s.Contacts(ctx, "one", 0, 1)
	if err != nil {
		return err
	}
	if got[0].Data["n"] != "0" || got[0].Zones != "a" {
		return fmt.Errorf("a contact was changed from outside: %+v", got[0])
	}
	c, err := s.Get(ctx, "one")
	if err != nil {
		return err
	}
	c.Tally.Count(&c.Spec, &campaign.Attempt{Outcome: campaign.Busy})
	if c, err = s.Get(ctx, "one"); err == nil && c.Tally.Total() > 0 {
		err = errors.New("a tally was changed from outside")
	}
	return err
}

func sharesAtOnce(ctx context.Context, s campaign.Store) error {
	const contacts, owners = 60, 8
	if err := fill(ctx, s, contacts); err != nil {
		return err
	}
	var (
		all      sync.WaitGroup
		mu       sync.Mutex
		owner    = make(map[int64]int)
		slots    []time.Time
		failures []error
	)
	for me := range owners {
		all.Go(func() {
			for range contacts {
				c := want(fmt.Sprint(me), 0, 3)
				c.Zones, c.Gap, c.Ahead = []string{"a", "b", "c"}, time.Second, time.Hour
				got, err := s.Claim(ctx, "one", c)
				mu.Lock()
				if err != nil {
					failures = append(failures, err)
				}
				for i, k := range got.Contacts {
					if other, taken := owner[k.Seq]; taken {
						failures = append(failures, fmt.Errorf("contact %d was claimed by %d and %d", k.Seq, other, me))
					}
					owner[k.Seq] = me
					slots = append(slots, got.First.Add(time.Duration(i)*time.Second))
				}
				mu.Unlock()
				if err != nil || len(got.Contacts) == 0 {
					return
				}
			}
		})
	}
	all.Wait()
	if len(owner) != contacts {
		failures = append(failures, fmt.Errorf("%d of %d contacts were claimed", len(owner), contacts))
	}
	slices.SortFunc(slots, time.Time.Compare)
	for i, at := range slots {
		if d := at.Sub(begin); d != time.Duration(i)*time.Second {
			failures = append(failures, fmt.Errorf("dial %d is after %v", i, d))
		}
	}
	return errors.Join(failures...)
}
