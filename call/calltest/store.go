package calltest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
)

// TestStore judges a [call.Store]. Each subtest is a rule of the contract and
// has its name; a failure says what the store did instead.
//
// open returns a store that holds nothing and leaves its closing to t.Cleanup.
// It is called once for each rule, and once more.
//
// The rules are those that call.Store states, and for a store that is a
// call.SharedStore, those that it states besides.
func TestStore(t *testing.T, open func(t *testing.T) call.Store) {
	for _, rule := range storeRules {
		t.Run(rule.name, func(t *testing.T) {
			if err := rule.check(t.Context(), open(t)); err != nil {
				t.Errorf("broken rule: %s\n%v", rule.name, err)
			}
		})
	}
	if _, shared := open(t).(call.SharedStore); !shared {
		return
	}
	for _, rule := range sharedRules {
		t.Run(rule.name, func(t *testing.T) {
			if err := rule.check(t.Context(), open(t).(call.SharedStore)); err != nil {
				t.Errorf("broken rule: %s\n%v", rule.name, err)
			}
		})
	}
}

// storeRule is one rule. check gets an empty store and says how it breaks the
// rule; it is no test itself so that the rules can be tested.
type storeRule struct {
	name  string
	check func(context.Context, call.Store) error
}

var storeRules = []storeRule{
	{"every field of a call comes back", storeKeepsFields},
	{"fields that are not set come back so", storeKeepsZeros},
	{"times come back to the nanosecond and in UTC", storeKeepsTimes},
	{"nothing is found where nothing is", storeFindsNothing},

	{"a new call needs an id of its own", storeRefusesTakenID},
	{"a new call has version 1", storeRefusesOtherVersions},
	{"an update follows the version it replaces", storeRefusesStale},
	{"an update needs a call", storeRefusesLost},
	{"one of many concurrent updates wins", storeHasOneWinner},
	{"a reader who sees a record sees its events", storeWritesBoth},

	{"a key that was used returns the first call", storeReplays},
	{"a key belongs to a tenant", storePartsTenants},
	{"of fifty creates under one key one stores", storeReplaysAtOnce},
	{"a call is found by its tenant and key", storeFindsByKey},

	{"a call is found by its carrier's id", storeFindsByProvider},
	{"a carrier's id belongs to one call", storeRefusesTakenProviderID},

	{"every field of an event comes back", storeKeepsEventFields},
	{"events come in order, once, and after a place", storeOrdersEvents},

	{"a list is newest first, then by id", storeOrdersList},
	{"a list has a hundred calls, or as many as asked, but never above a thousand", storeLimitsList},
	{"a list holds what Filter.Matches allows", storeFilters},
	{"pages show each call once while others arrive", storePages},

	{"a deleted call leaves nothing behind", storeDeletes},
	{"events that are erased are gone, and nothing else is", storeErasesEvents},
	{"what is given and returned is not shared", storeCopies},
	{"a context that has ended ends every method", storeHeedsContext},
}

// storeEpoch is when the calls of the suite begin.
var storeEpoch = time.Date(2025, time.March, 30, 0, 59, 59, 123_456_789, time.UTC)

// newCall returns the smallest call there is.
func newCall(id string) *call.Call {
	return &call.Call{ID: id, AgentID: "agent", Provider: "sim", CreatedAt: storeEpoch, Version: 1}
}

// next returns the record that may replace c.
func next(c *call.Call) *call.Call {
	n := c.Clone()
	n.Version++
	return n
}

func newEvent(c *call.Call, seq int64) call.Event {
	return call.Event{CallID: c.ID, Seq: seq, At: storeEpoch, Type: call.EventState}
}

func storeKeepsFields(ctx context.Context, s call.Store) error {
	c := new(call.Call)
	fill(reflect.ValueOf(c).Elem())
	c.Version = 1
	if err := create(ctx, s, c); err != nil {
		return err
	}
	if err := sees(ctx, s, c); err != nil {
		return breach("after Create: %w", err)
	}
	n := newCall(c.ID)
	fill(reflect.ValueOf(&n.Metrics).Elem())
	n.Version, n.State, n.ProviderCallID = 2, call.Completed, "other"
	if err := s.Update(ctx, n, nil); err != nil {
		return breach("Update: %w", err)
	}
	if err := sees(ctx, s, n); err != nil {
		return breach("after Update: %w", err)
	}
	return nil
}

// sees tells whether every way to a call leads to c, which has a carrier's id
// and is alone.
func sees(ctx context.Context, s call.Store, c *call.Call) error {
	got, err := s.Get(ctx, c.ID)
	if err := same("Get", err, c, got); err != nil {
		return err
	}
	got, err = s.ByProvider(ctx, c.Provider, c.ProviderCallID)
	if err := same("ByProvider", err, c, got); err != nil {
		return err
	}
	list, err := s.List(ctx, call.Filter{})
	return same("List", err, []*call.Call{c}, list)
}

func storeKeepsZeros(ctx context.Context, s call.Store) error {
	c := newCall("bare")
	c.Context, c.Metadata = map[string]string{}, nil
	c.Transcript, c.Life = nil, []byte{}
	if err := create(ctx, s, c); err != nil {
		return err
	}
	got, err := s.Get(ctx, c.ID)
	return same("Get", err, c, got)
}

func storeKeepsTimes(ctx context.Context, s call.Store) error {
	now := time.Now() // local, with a monotonic reading
	c := newCall("times")
	c.CreatedAt = now
	c.AnsweredAt = storeEpoch.Add(time.Nanosecond).In(time.FixedZone("", 5*3600+1800))
	e := newEvent(c, 1)
	e.At = c.AnsweredAt
	if err := create(ctx, s, c, e); err != nil {
		return err
	}
	got, err := s.Get(ctx, c.ID)
	if err := same("Get", err, c, got); err != nil {
		return err
	}
	events, err := s.Events(ctx, c.ID, 0)
	if err := same("Events", err, []call.Event{e}, events); err != nil {
		return err
	}
	for _, t := range []time.Time{got.CreatedAt, got.AnsweredAt, got.EndedAt, events[0].At} {
		if t != t.Round(0).UTC() {
			return breach("%#v is not in UTC, or has a monotonic reading", t)
		}
	}
	return nil
}

func storeFindsNothing(ctx context.Context, s call.Store) error {
	if c, err := s.Get(ctx, "nobody"); !errors.Is(err, call.ErrNotFound) || c != nil {
		return breach("Get returned %v, %v, not nil and ErrNotFound", c, err)
	}
	if c, err := s.ByProvider(ctx, "sim", "nobody"); !errors.Is(err, call.ErrNotFound) || c != nil {
		return breach("ByProvider returned %v, %v, not nil and ErrNotFound", c, err)
	}
	if c, err := s.ByKey(ctx, "", "nothing"); !errors.Is(err, call.ErrNotFound) || c != nil {
		return breach("ByKey returned %v, %v, not nil and ErrNotFound", c, err)
	}
	if list, err := s.List(ctx, call.Filter{}); err != nil || len(list) != 0 {
		return breach("List returned %d calls, %v", len(list), err)
	}
	events, err := s.Events(ctx, "nobody", 0)
	if len(events) != 0 || err != nil {
		return breach("Events returned %d events, %v, not none and nil", len(events), err)
	}
	if err := s.Delete(ctx, "nobody"); err != nil {
		return breach("Delete returned %w", err)
	}
	return nil
}

func storeRefusesTakenID(ctx context.Context, s call.Store) error {
	first, second := newCall("one"), newCall("one")
	first.Detail, second.Detail = "first", "second"
	if err := create(ctx, s, first); err != nil {
		return err
	}
	existing, err := s.Create(ctx, second, []call.Event{newEvent(second, 1)})
	if !errors.Is(err, call.ErrConflict) || existing != nil {
		return breach("second Create returned %v, %v, not nil and ErrConflict", existing, err)
	}
	return unchanged(ctx, s, first, 0)
}

// unchanged tells whether c is in the store as it is, with this many events.
func unchanged(ctx context.Context, s call.Store, c *call.Call, events int) error {
	got, err := s.Get(ctx, c.ID)
	if err := same("Get", err, c, got); err != nil {
		return err
	}
	stored, err := s.Events(ctx, c.ID, 0)
	if err != nil || len(stored) != events {
		return breach("Events returned %d events, %v, not %d", len(stored), err, events)
	}
	return nil
}

func storeRefusesOtherVersions(ctx context.Context, s call.Store) error {
	for _, version := range []int64{0, 2} {
		c := newCall("one")
		c.Version = version
		if _, err := s.Create(ctx, c, nil); !errors.Is(err, call.ErrConflict) {
			return breach("Create with version %d returned %v, not ErrConflict", version, err)
		}
		if _, err := s.Get(ctx, c.ID); !errors.Is(err, call.ErrNotFound) {
			return breach("after Create with version %d Get returned %v, not ErrNotFound", version, err)
		}
	}
	return nil
}

func storeRefusesStale(ctx context.Context, s call.Store) error {
	first := newCall("one")
	if err := create(ctx, s, first); err != nil {
		return err
	}
	second := next(first)
	second.Detail = "second"
	if err := s.Update(ctx, second, []call.Event{newEvent(second, 1)}); err != nil {
		return breach("Update: %w", err)
	}
	for _, version := range []int64{0, 1, 2, 4} {
		c := next(first)
		c.Version, c.Detail = version, "wrong"
		if err := s.Update(ctx, c, []call.Event{newEvent(c, 2)}); !errors.Is(err, call.ErrConflict) {
			return breach("Update of version 2 with version %d returned %v, not ErrConflict", version, err)
		}
		if err := unchanged(ctx, s, second, 1); err != nil {
			return breach("after a refused Update: %w", err)
		}
	}
	return nil
}

func storeRefusesLost(ctx context.Context, s call.Store) error {
	c := next(newCall("one"))
	if err := s.Update(ctx, c, []call.Event{newEvent(c, 1)}); !errors.Is(err, call.ErrNotFound) {
		return breach("Update returned %v, not ErrNotFound", err)
	}
	if events, _ := s.Events(ctx, c.ID, 0); len(events) != 0 {
		return breach("the refused Update stored %d events", len(events))
	}
	return nil
}

func storeHasOneWinner(ctx context.Context, s call.Store) error {
	c := newCall("one")
	if err := create(ctx, s, c); err != nil {
		return err
	}
	for c.Version < 6 {
		const writers = 16
		var won [writers]error
		atOnce(writers, func(i int) {
			mine := next(c)
			mine.Detail = fmt.Sprint(i)
			e := newEvent(mine, mine.Version)
			e.Detail = mine.Detail
			won[i] = s.Update(ctx, mine, []call.Event{e})
		})
		winner := -1
		for i, err := range won {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				return breach("writers %d and %d both replaced version %d", winner, i, c.Version)
			case !errors.Is(err, call.ErrConflict):
				return breach("a loser got %w, not ErrConflict", err)
			}
		}
		if winner < 0 {
			return breach("nobody replaced version %d", c.Version)
		}
		c = next(c)
		c.Detail = fmt.Sprint(winner)
		if err := unchanged(ctx, s, c, int(c.Version)-1); err != nil {
			return err
		}
		events, err := s.Events(ctx, c.ID, c.Version-1)
		if err != nil || len(events) != 1 || events[0].Detail != c.Detail {
			return breach("the last event is not the winner's: %v, %v", events, err)
		}
	}
	return nil
}

func storeWritesBoth(ctx context.Context, s call.Store) error {
	const writes, readers = 50, 4
	c := newCall("one")
	if err := create(ctx, s, c, newEvent(c, 1)); err != nil {
		return err
	}
	written := make(chan struct{})
	var results [readers + 1]error
	atOnce(len(results), func(i int) {
		if i == readers {
			defer close(written)
			for c.Version < writes && results[i] == nil {
				c = next(c)
				results[i] = s.Update(ctx, c, []call.Event{newEvent(c, c.Version)})
			}
			return
		}
		for last := false; !last && results[i] == nil; {
			select {
			case <-written:
				last = true // once more, to see the last version
			default:
			}
			results[i] = hasEvents(ctx, s, "one")
		}
	})
	return errors.Join(results[:]...)
}

// hasEvents tells whether a call has an event for each of its versions.
func hasEvents(ctx context.Context, s call.Store, id string) error {
	got, err := s.Get(ctx, id)
	if err != nil {
		return breach("Get: %w", err)
	}
	events, err := s.Events(ctx, id, 0)
	if err != nil {
		return breach("Events: %w", err)
	}
	if int64(len(events)) < got.Version {
		return breach("version %d came with %d events", got.Version, len(events))
	}
	return nil
}

func storeReplays(ctx context.Context, s call.Store) error {
	first, second := newCall("one"), newCall("two")
	first.IdempotencyKey, second.IdempotencyKey = "key", "key"
	first.Fingerprint = "what was asked"
	if err := create(ctx, s, first, newEvent(first, 1)); err != nil {
		return err
	}
	for _, again := range []*call.Call{second, first} {
		existing, err := s.Create(ctx, again, []call.Event{newEvent(again, 2)})
		if err := same("Create under the same key", err, first, existing); err != nil {
			return err
		}
	}
	if _, err := s.Get(ctx, second.ID); !errors.Is(err, call.ErrNotFound) {
		return breach("the second call is there as well: %v", err)
	}
	if err := unchanged(ctx, s, first, 1); err != nil {
		return err
	}
	changed := next(first)
	changed.State = call.Completed
	if err := s.Update(ctx, changed, nil); err != nil {
		return breach("Update: %w", err)
	}
	existing, err := s.Create(ctx, second, nil)
	return same("Create under the same key after an Update", err, changed, existing)
}

func storePartsTenants(ctx context.Context, s call.Store) error {
	for _, k := range []struct{ id, tenant, key string }{
		{"a", "", "key"}, {"b", "t", "key"}, {"c", "t", "other"},
		{"d", "tk", "ey"}, // the same when put together
		{"e", "", ""}, {"f", "", ""}, {"g", "t", ""}, {"h", "t", ""},
	} {
		c := newCall(k.id)
		c.Tenant, c.IdempotencyKey = k.tenant, k.key
		if err := create(ctx, s, c); err != nil {
			return breach("tenant %q, key %q: %w", k.tenant, k.key, err)
		}
	}
	return nil
}

func storeReplaysAtOnce(ctx context.Context, s call.Store) error {
	const creates = 50
	var stored [creates]*call.Call
	var results [creates]error
	atOnce(creates, func(i int) {
		c := newCall(fmt.Sprintf("call-%02d", i))
		c.Tenant, c.IdempotencyKey = "tenant", "key"
		existing, err := s.Create(ctx, c, []call.Event{newEvent(c, 1)})
		stored[i], results[i] = existing, err
	})
	if err := errors.Join(results[:]...); err != nil {
		return err
	}
	list, err := s.List(ctx, call.Filter{})
	if err != nil || len(list) != 1 {
		return breach("%d calls are stored, %v", len(list), err)
	}
	first := 0
	for i, c := range stored {
		id := fmt.Sprintf("call-%02d", i)
		if c == nil {
			first++
		} else {
			id = c.ID
		}
		if id != list[0].ID {
			return breach("create %d was told of call %s, stored is %s", i, id, list[0].ID)
		}
	}
	if first != 1 {
		return breach("%d creates were told that theirs is the first", first)
	}
	return unchanged(ctx, s, list[0], 1)
}

func storeFindsByKey(ctx context.Context, s call.Store) error {
	one, two, bare := newCall("one"), newCall("two"), newCall("bare")
	one.IdempotencyKey = "key"
	two.Tenant, two.IdempotencyKey = "t", "key"
	for _, c := range []*call.Call{one, two, bare} {
		if err := create(ctx, s, c); err != nil {
			return err
		}
	}
	one = next(one)
	one.State = call.Completed
	if err := s.Update(ctx, one, nil); err != nil {
		return breach("Update: %w", err)
	}
	for _, want := range []*call.Call{one, two} {
		got, err := s.ByKey(ctx, want.Tenant, "key")
		if err := same("ByKey", err, want, got); err != nil {
			return err
		}
	}
	for _, k := range []struct{ tenant, key string }{{"", ""}, {"", "keys"}, {"other", "key"}, {"t", ""}} {
		if c, err := s.ByKey(ctx, k.tenant, k.key); !errors.Is(err, call.ErrNotFound) {
			return breach("ByKey of tenant %q and key %q returned %v, %v, not ErrNotFound", k.tenant, k.key, c, err)
		}
	}
	return nil
}

func storeFindsByProvider(ctx context.Context, s call.Store) error {
	c := newCall("one")
	if err := create(ctx, s, c); err != nil {
		return err
	}
	if _, err := s.ByProvider(ctx, c.Provider, ""); !errors.Is(err, call.ErrNotFound) {
		return breach("a call without a carrier's id was found under none: %v", err)
	}
	c = next(c)
	c.ProviderCallID = "CA1"
	if err := s.Update(ctx, c, nil); err != nil {
		return breach("Update: %w", err)
	}
	got, err := s.ByProvider(ctx, c.Provider, "CA1")
	if err := same("ByProvider", err, c, got); err != nil {
		return err
	}
	if _, err := s.ByProvider(ctx, "other", "CA1"); !errors.Is(err, call.ErrNotFound) {
		return breach("the call was found under another carrier: %v", err)
	}
	c = next(c)
	c.ProviderCallID = "CA2"
	if err := s.Update(ctx, c, nil); err != nil {
		return breach("Update: %w", err)
	}
	if _, err := s.ByProvider(ctx, c.Provider, "CA1"); !errors.Is(err, call.ErrNotFound) {
		return breach("the call was found under an id it no longer has: %v", err)
	}
	return nil
}

func storeRefusesTakenProviderID(ctx context.Context, s call.Store) error {
	one, two, three := newCall("one"), newCall("two"), newCall("three")
	one.ProviderCallID = "CA1"
	three.Provider, three.ProviderCallID = "other", "CA1"
	for _, c := range []*call.Call{one, two, three} {
		if err := create(ctx, s, c); err != nil {
			return breach("%s: %w", c.ID, err)
		}
	}
	four := newCall("four")
	four.ProviderCallID = "CA1"
	if _, err := s.Create(ctx, four, nil); !errors.Is(err, call.ErrConflict) {
		return breach("Create with a carrier's id that is taken returned %v, not ErrConflict", err)
	}
	taken := next(two)
	taken.ProviderCallID = "CA1"
	if err := s.Update(ctx, taken, []call.Event{newEvent(taken, 1)}); !errors.Is(err, call.ErrConflict) {
		return breach("Update to a carrier's id that is taken returned %v, not ErrConflict", err)
	}
	if err := unchanged(ctx, s, two, 0); err != nil {
		return breach("after the refused Update: %w", err)
	}
	got, err := s.ByProvider(ctx, "sim", "CA1")
	return same("ByProvider", err, one, got)
}

func storeKeepsEventFields(ctx context.Context, s call.Store) error {
	var e call.Event
	fill(reflect.ValueOf(&e).Elem())
	c := newCall(e.CallID)
	if err := create(ctx, s, c, e); err != nil {
		return err
	}
	events, err := s.Events(ctx, c.ID, 0)
	return same("Events", err, []call.Event{e}, events)
}

func storeOrdersEvents(ctx context.Context, s call.Store) error {
	c, other := newCall("one"), newCall("other")
	if err := create(ctx, s, other, newEvent(other, 1), newEvent(other, 2)); err != nil {
		return err
	}
	if err := create(ctx, s, c, newEvent(c, 2), newEvent(c, 1)); err != nil {
		return err
	}
	again := newEvent(c, 2)
	again.Detail = "again"
	c = next(c)
	if err := s.Update(ctx, c, []call.Event{newEvent(c, 12), again, newEvent(c, 3)}); err != nil {
		return breach("Update: %w", err)
	}
	all := []call.Event{newEvent(c, 1), newEvent(c, 2), newEvent(c, 3), newEvent(c, 12)}
	for _, after := range []int64{-1, 0, 1, 2, 3, 4, 11, 12, 13} {
		want := slices.DeleteFunc(slices.Clone(all), func(e call.Event) bool { return e.Seq <= after })
		got, err := s.Events(ctx, c.ID, after)
		if err := same(fmt.Sprintf("Events after %d", after), err, want, got); err != nil {
			return err
		}
	}
	return nil
}

func storeOrdersList(ctx context.Context, s call.Store) error {
	var want []string
	for second := range 3 {
		// "B" comes before "a" and "é" last, byte by byte.
		for _, id := range []string{"10", "9", "B", "a", "é"} {
			want = append(want, fmt.Sprintf("%s-%d", id, second))
		}
	}
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(len(want)) {
		c := newCall(want[i])
		c.CreatedAt = storeEpoch.Add(time.Duration(i / 5)) // nanoseconds
		if err := create(ctx, s, c); err != nil {
			return err
		}
	}
	slices.Reverse(want)
	list, err := s.List(ctx, call.Filter{})
	return same("List", err, want, ids(list))
}

func storeLimitsList(ctx context.Context, s call.Store) error {
	for i := range 1001 {
		if err := create(ctx, s, newCall(fmt.Sprintf("%04d", i))); err != nil {
			return err
		}
	}
	for limit, want := range map[int]int{-1: 100, 0: 100, 1: 1, 101: 101, 1000: 1000, 5000: 1000} {
		list, err := s.List(ctx, call.Filter{Limit: limit})
		if err != nil || len(list) != want {
			return breach("Limit %d returned %d calls, %v, not %d", limit, len(list), err, want)
		}
		if list[0].ID != "1000" {
			return breach("Limit %d left out the newest", limit)
		}
	}
	return nil
}

func storeFilters(ctx context.Context, s call.Store) error {
	rng := rand.New(rand.NewPCG(2, 2))
	var all []*call.Call
	for i := range 150 {
		c := randomCall(rng, i)
		if err := create(ctx, s, c); err != nil {
			return err
		}
		if i%3 == 0 { // what counts is the record as it is now
			changed := randomCall(rng, i)
			changed.Version = 2
			if err := s.Update(ctx, changed, nil); err != nil {
				return breach("Update: %w", err)
			}
			c = changed
		}
		all = append(all, c)
	}
	slices.SortFunc(all, newestFirst)
	for range 300 {
		f := randomFilter(rng)
		var want []*call.Call
		for _, c := range all {
			if f.Matches(c) && len(want) < f.Max() {
				want = append(want, c)
			}
		}
		got, err := s.List(ctx, f)
		if err := same(fmt.Sprintf("List with %+v", f), err, ids(want), ids(got)); err != nil {
			return err
		}
	}
	// Every field by itself, since they rarely meet by chance.
	tenant, inbound := "b", telephony.Inbound
	for name, f := range map[string]call.Filter{
		"Tenant":      {Tenant: &tenant},
		"no tenant":   {Tenant: new(string)},
		"owner":       {NotOwnedBy: []string{"a", "c"}},
		"no owner":    {NotOwnedBy: []string{""}},
		"States":      {States: []call.State{call.Active, call.Busy}},
		"AgentID":     {AgentID: "b"},
		"Direction":   {Direction: &inbound},
		"outbound":    {Direction: new(telephony.Direction)},
		"Provider":    {Provider: "b"},
		"Since":       {Since: all[70].CreatedAt},
		"Until":       {Until: all[70].CreatedAt},
		"local Since": {Since: all[70].CreatedAt.In(time.FixedZone("", -3600))},
		"far Since":   {Since: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)},
		"far Until":   {Until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
		"late Since":  {Since: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
		"early Until": {Until: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)},
	} {
		f.Limit = 1000
		want := slices.DeleteFunc(slices.Clone(all), func(c *call.Call) bool { return !f.Matches(c) })
		got, err := s.List(ctx, f)
		if err := same("List by "+name, err, ids(want), ids(got)); err != nil {
			return err
		}
	}
	return nil
}

// randomCall returns a call that a random filter is not unlikely to match. The
// nth call has the nth id.
func randomCall(rng *rand.Rand, n int) *call.Call {
	c := newCall(fmt.Sprintf("call-%03d", n))
	names := []string{"", "a", "b"}
	c.Tenant = names[rng.IntN(3)]
	c.AgentID = names[1+rng.IntN(2)]
	c.Provider = names[1+rng.IntN(2)]
	c.Owner = names[rng.IntN(3)]
	c.Direction = telephony.Direction(rng.IntN(2))
	c.State = call.State(rng.IntN(int(call.Canceled) + 1))
	c.CreatedAt = storeEpoch.Add(time.Duration(rng.IntN(40)))
	return c
}

// randomFilter sets each field now and then.
func randomFilter(rng *rand.Rand) call.Filter {
	var f call.Filter
	like := randomCall(rng, rng.IntN(150))
	sometimes := func() bool { return rng.IntN(4) == 0 }
	if sometimes() {
		f.Tenant = &like.Tenant
	}
	if sometimes() {
		f.States = []call.State{like.State, call.Completed, call.Active}
	}
	if sometimes() {
		f.AgentID = like.AgentID
	}
	if sometimes() {
		f.Direction = &like.Direction
	}
	if sometimes() {
		f.Provider = like.Provider
	}
	if sometimes() {
		f.NotOwnedBy = []string{like.Owner, "b"}
	}
	if sometimes() {
		f.Since = like.CreatedAt
	}
	if sometimes() {
		f.Until = like.CreatedAt.Add(10)
	}
	if sometimes() {
		p := call.PositionOf(like)
		f.Before = &p
	}
	if rng.IntN(2) == 0 {
		f.Limit = 1 + rng.IntN(150)
	}
	return f
}

func storePages(ctx context.Context, s call.Store) error {
	rng := rand.New(rand.NewPCG(3, 3))
	for size := 1; size <= 7; size += 3 {
		var want []*call.Call
		for i := range 30 {
			c := randomCall(rng, i)
			if err := create(ctx, s, c); err != nil {
				return err
			}
			want = append(want, c)
		}
		slices.SortFunc(want, newestFirst)

		var seen []string
		f := call.Filter{Limit: size}
		for page := 0; ; page++ {
			if page > len(want) {
				return breach("pages of %d do not come to an end", size)
			}
			list, err := s.List(ctx, f)
			if err != nil {
				return breach("List: %w", err)
			}
			if len(list) == 0 {
				break
			}
			seen = append(seen, ids(list)...)
			p := call.PositionOf(list[len(list)-1])
			f.Before = &p

			late := newCall(fmt.Sprintf("late-%d-%d", size, page))
			late.CreatedAt = storeEpoch.Add(time.Hour)
			if err := create(ctx, s, late); err != nil {
				return err
			}
			want = append(want, late)
		}
		if err := same(fmt.Sprintf("pages of %d", size), nil, ids(want[:30]), seen); err != nil {
			return err
		}
		for _, c := range want {
			if err := s.Delete(ctx, c.ID); err != nil {
				return breach("Delete: %w", err)
			}
		}
	}
	return nil
}

func storeDeletes(ctx context.Context, s call.Store) error {
	c, stays := newCall("one"), newCall("stays")
	c.IdempotencyKey, c.ProviderCallID = "key", "CA1"
	stays.IdempotencyKey, stays.ProviderCallID = "other", "CA2"
	if err := create(ctx, s, stays, newEvent(stays, 1)); err != nil {
		return err
	}
	for range 2 { // the second time as if it had never been there
		if err := create(ctx, s, c, newEvent(c, 1)); err != nil {
			return err
		}
		if err := unchanged(ctx, s, c, 1); err != nil {
			return err
		}
		if err := s.Delete(ctx, c.ID); err != nil {
			return breach("Delete: %w", err)
		}
		if _, err := s.Get(ctx, c.ID); !errors.Is(err, call.ErrNotFound) {
			return breach("Get returned %v, not ErrNotFound", err)
		}
		if _, err := s.ByProvider(ctx, c.Provider, c.ProviderCallID); !errors.Is(err, call.ErrNotFound) {
			return breach("ByProvider returned %v, not ErrNotFound", err)
		}
		if events, _ := s.Events(ctx, c.ID, 0); len(events) != 0 {
			return breach("%d events are left", len(events))
		}
		if _, err := s.ByKey(ctx, "", c.IdempotencyKey); !errors.Is(err, call.ErrNotFound) {
			return breach("ByKey returned %v, not ErrNotFound", err)
		}
		list, err := s.List(ctx, call.Filter{})
		if err := same("List", err, []string{stays.ID}, ids(list)); err != nil {
			return err
		}
	}
	if err := s.Update(ctx, next(c), nil); !errors.Is(err, call.ErrNotFound) {
		return breach("Update returned %v, not ErrNotFound", err)
	}
	return unchanged(ctx, s, stays, 1)
}

// storeErasesEvents is for stores that are EventErasers.
func storeErasesEvents(ctx context.Context, s call.Store) error {
	eraser, ok := s.(call.EventEraser)
	if !ok {
		return nil
	}
	c, stays := newCall("one"), newCall("stays")
	for _, c := range []*call.Call{c, stays} {
		if err := create(ctx, s, c, newEvent(c, 1), newEvent(c, 2), newEvent(c, 3)); err != nil {
			return err
		}
	}
	for _, last := range []int64{2, 2, 1, 0} { // what is gone may be erased again
		if err := eraser.EraseEvents(ctx, c.ID, last); err != nil {
			return breach("EraseEvents: %w", err)
		}
		events, err := s.Events(ctx, c.ID, 0)
		if err := same("Events", err, []call.Event{newEvent(c, 3)}, events); err != nil {
			return err
		}
	}
	c = next(c)
	if err := s.Update(ctx, c, []call.Event{newEvent(c, 4)}); err != nil {
		return breach("Update: %w", err)
	}
	if err := eraser.EraseEvents(ctx, c.ID, 3); err != nil {
		return breach("EraseEvents: %w", err)
	}
	events, err := s.Events(ctx, c.ID, 0)
	if err := same("Events", err, []call.Event{newEvent(c, 4)}, events); err != nil {
		return err
	}
	if err := unchanged(ctx, s, c, 1); err != nil {
		return err
	}
	if err := eraser.EraseEvents(ctx, "nobody", 9); err != nil {
		return breach("EraseEvents of no call: %w", err)
	}
	return unchanged(ctx, s, stays, 3)
}

func storeCopies(ctx context.Context, s call.Store) error {
	full := func() (*call.Call, []call.Event) {
		c, events := new(call.Call), make([]call.Event, 1)
		fill(reflect.ValueOf(c).Elem())
		fill(reflect.ValueOf(&events[0]).Elem())
		c.Version = 1
		return c, events
	}
	intact := func(who string) error {
		c, events := full()
		got, err := s.Get(ctx, c.ID)
		if err := same("after a change by "+who+", Get", err, c, got); err != nil {
			return err
		}
		gotEvents, err := s.Events(ctx, c.ID, 0)
		return same("after a change by "+who+", Events", err, events, gotEvents)
	}

	c, events := full()
	if err := create(ctx, s, c, events...); err != nil {
		return err
	}
	spoil(c)
	spoilEvent(&events[0])
	if err := intact("the caller of Create"); err != nil {
		return err
	}

	c, events = full()
	for who, read := range map[string]func() (*call.Call, error){
		"the caller of Get":        func() (*call.Call, error) { return s.Get(ctx, c.ID) },
		"the caller of ByProvider": func() (*call.Call, error) { return s.ByProvider(ctx, c.Provider, c.ProviderCallID) },
		"the caller of ByKey":      func() (*call.Call, error) { return s.ByKey(ctx, c.Tenant, c.IdempotencyKey) },
		"who got the existing":     func() (*call.Call, error) { return s.Create(ctx, c, events) },
		"the caller of List": func() (*call.Call, error) {
			list, err := s.List(ctx, call.Filter{})
			if len(list) == 0 {
				return nil, err
			}
			return list[0], err
		},
		"the caller of Events": func() (*call.Call, error) {
			got, err := s.Events(ctx, c.ID, 0)
			if len(got) == 0 {
				return nil, err
			}
			spoilEvent(&got[0])
			return c.Clone(), err
		},
	} {
		got, err := read()
		if err != nil || got == nil {
			return breach("%s got %v, %v", who, got, err)
		}
		spoil(got)
		if err := intact(who); err != nil {
			return err
		}
	}
	return nil
}

// spoil changes whatever c may share with another.
func spoil(c *call.Call) {
	c.Context["spoiled"], c.Metadata["spoiled"] = "x", "x"
	c.Transcript[0].Text, c.Metrics.Leftover[0] = "spoiled", "spoiled"
	c.Life[0]++
	c.Recording.Key = "spoiled"
}

func spoilEvent(e *call.Event) {
	e.Detail = "spoiled"
	e.Data["spoiled"] = "x"
	e.Segment.Text = "spoiled"
}

func storeHeedsContext(ctx context.Context, s call.Store) error {
	c := newCall("one")
	c.ProviderCallID = "CA1"
	if err := create(ctx, s, c); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, m := range []struct {
		name string
		do   func() error
	}{
		{"Create", func() error { _, err := s.Create(ended, newCall("two"), nil); return err }},
		{"Update", func() error { return s.Update(ended, next(c), []call.Event{newEvent(c, 1)}) }},
		{"Get", func() error { _, err := s.Get(ended, c.ID); return err }},
		{"ByProvider", func() error { _, err := s.ByProvider(ended, c.Provider, c.ProviderCallID); return err }},
		{"ByKey", func() error { _, err := s.ByKey(ended, "", "key"); return err }},
		{"List", func() error { _, err := s.List(ended, call.Filter{}); return err }},
		{"Events", func() error { _, err := s.Events(ended, c.ID, 0); return err }},
		{"Delete", func() error { return s.Delete(ended, c.ID) }},
	} {
		if err := m.do(); !errors.Is(err, context.Canceled) {
			return breach("%s returned %v, not context.Canceled", m.name, err)
		}
	}
	if _, err := s.Get(ctx, "two"); !errors.Is(err, call.ErrNotFound) {
		return breach("the canceled Create has stored: %v", err)
	}
	return unchanged(ctx, s, c, 0)
}

// create stores a call that is not there yet.
func create(ctx context.Context, s call.Store, c *call.Call, events ...call.Event) error {
	existing, err := s.Create(ctx, c, events)
	if err != nil {
		return breach("Create: %w", err)
	}
	if existing != nil {
		return breach("Create of %q returned call %q, though nobody has its key", c.ID, existing.ID)
	}
	return nil
}

// breach says how a store breaks a rule: a sentence for people, which may begin
// with the name of a method.
func breach(format string, args ...any) error { return fmt.Errorf(format, args...) }

// same tells what a method got wrong, if anything.
func same(method string, err error, want, got any) error {
	if err != nil {
		return breach("%s: %w", method, err)
	}
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		return breach("%s returned something else (-want +got):\n%s", method, diff)
	}
	return nil
}

func ids(calls []*call.Call) []string {
	var all []string
	for _, c := range calls {
		all = append(all, c.ID)
	}
	return all
}

func newestFirst(a, b *call.Call) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
}

// atOnce runs do n times at once, with 0 to n-1, and waits for all.
func atOnce(n int, do func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}

// fill sets everything in v to something that is not zero, with the text that
// encodings get wrong, so that fields which do not exist yet are tested too.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(storeEpoch))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("Zoë & <co> \"\\\n\u2028 ☎")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1<<53 + 1) // more than a float64 holds
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1.0 / 3)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	default:
		panic(fmt.Sprintf("calltest: no value for a field of type %v", v.Type()))
	}
}
