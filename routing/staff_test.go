package routing_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/switchboard-voice/switchboard/routing"
)

func loads(s *routing.Staff, agents ...string) []int {
	all := make([]int, len(agents))
	for i, a := range agents {
		all[i] = s.Load(a)
	}
	return all
}

func expectLoads(t *testing.T, when string, s *routing.Staff, ann, bob int) {
	t.Helper()
	if got := loads(s, "ann", "bob"); got[0] != ann || got[1] != bob {
		t.Errorf("%s the loads are %v, want [%d %d]", when, got, ann, bob)
	}
}

func TestStaff(t *testing.T) {
	s := new(routing.Staff)
	s.Set("ann", routing.Availability{Capacity: 2})
	one, err := s.Take("ann")
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Take("ann")
	if err != nil {
		t.Fatal(err)
	}
	expectLoads(t, "with two calls", s, 2, 0)
	if l, err := s.Take("ann"); !errors.Is(err, routing.ErrBusy) || l != nil || err.Error() != "routing: agent has no room: ann has 2 of 2 calls" {
		t.Errorf("a third: %v, %v", l, err)
	}
	one.Move("bob")
	expectLoads(t, "after one was handed over", s, 1, 1)
	one.Release()
	one.Release()
	one.Move("ann")
	expectLoads(t, "after it was released", s, 1, 0)
	s.Set("ann", routing.Availability{Busy: true})
	if _, err := s.Take("ann"); !errors.Is(err, routing.ErrBusy) || err.Error() != "routing: agent has no room: ann is busy" {
		t.Errorf("somebody busy: %v", err)
	}
	expectLoads(t, "busy", s, 1, 0)
	two.Release()
	s.Set("ann", routing.Availability{})
	for range 100 {
		if _, err := s.Take("ann"); err != nil {
			t.Fatal(err)
		}
	}
	expectLoads(t, "without a bound", s, 100, 0)
}

func TestStaffForgetsLostCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &routing.Staff{Expiry: time.Hour}
		s.Set("ann", routing.Availability{Capacity: 2})
		lost, err := s.Take("ann")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		kept, err := s.Take("ann")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30*time.Minute - 1)
		expectLoads(t, "before the hour", s, 2, 0)
		time.Sleep(time.Nanosecond)
		if _, err := s.Take("ann"); err != nil {
			t.Errorf("after the hour: %v", err)
		}
		expectLoads(t, "after the hour", s, 2, 0)
		if n := s.Expired(); n != 1 {
			t.Errorf("%d calls expired", n)
		}
		lost.Release()
		expectLoads(t, "after a release that is late", s, 2, 0)
		kept.Move("bob")
		time.Sleep(time.Hour - 1)
		expectLoads(t, "a call that moved counts anew", s, 1, 1)
		time.Sleep(time.Nanosecond)
		expectLoads(t, "in the end", s, 0, 0)
		if n := s.Expired(); n != 3 {
			t.Errorf("%d calls expired", n)
		}
	})
}

func TestStaffForgetsAfterTwoHoursUnlessTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s routing.Staff
		if _, err := s.Take("ann"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Hour - 1)
		expectLoads(t, "before", &s, 1, 0)
		time.Sleep(time.Nanosecond)
		expectLoads(t, "after", &s, 0, 0)
	})
}

// A model of a staff: sets of calls.
func TestStaffCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := new(routing.Staff)
		agents := []string{"ann", "bob", "cyd"}
		avail := map[string]routing.Availability{}
		holder := map[routing.Lease]string{}
		load := func(agent string) int {
			n := 0
			for _, a := range holder {
				if a == agent {
					n++
				}
			}
			return n
		}
		free := func(agent string) bool {
			a := avail[agent]
			return !a.Busy && (a.Capacity == 0 || load(agent) < a.Capacity)
		}
		var all []routing.Lease
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				agent := rapid.SampledFrom(agents).Draw(t, "agent")
				l, err := s.Take(agent)
				if (err == nil) != free(agent) {
					t.Fatalf("Take(%s): %v, free %v", agent, err, free(agent))
				}
				if err == nil {
					holder[l] = agent
					all = append(all, l)
				}
			},
			"least": func(t *rapid.T) {
				d, err := routing.LeastBusy{s, agents}.Route(t.Context(), call)
				for _, a := range agents {
					if free(a) && (err != nil || load(a) < load(d.AgentID)) {
						t.Fatalf("least busy chose %s, %v over %s", d.AgentID, err, a)
					}
				}
				if err == nil {
					if !free(d.AgentID) {
						t.Fatalf("%s had no room", d.AgentID)
					}
					holder[d.Lease] = d.AgentID
					all = append(all, d.Lease)
				}
			},
			"set": func(t *rapid.T) {
				agent := rapid.SampledFrom(agents).Draw(t, "agent")
				a := routing.Availability{Busy: rapid.Bool().Draw(t, "busy"), Capacity: rapid.IntRange(0, 3).Draw(t, "capacity")}
				s.Set(agent, a)
				avail[agent] = a
			},
			"release": func(t *rapid.T) {
				if len(all) == 0 {
					return
				}
				l := rapid.SampledFrom(all).Draw(t, "lease")
				l.Release()
				delete(holder, l)
			},
			"move": func(t *rapid.T) {
				if len(all) == 0 {
					return
				}
				l := rapid.SampledFrom(all).Draw(t, "lease")
				agent := rapid.SampledFrom(agents).Draw(t, "agent")
				l.Move(agent)
				if _, ok := holder[l]; ok {
					holder[l] = agent
				}
			},
			"": func(t *rapid.T) {
				for _, a := range agents {
					if got := s.Load(a); got != load(a) {
						t.Fatalf("%s has %d calls, want %d", a, got, load(a))
					}
				}
			},
		})
	})
}

// The load is never above the capacity, nor below nothing, whoever does what at
// once; and in the end nothing is left.
func TestStaffAtOnce(t *testing.T) {
	const capacity, callers, calls = 3, 16, 500
	s := new(routing.Staff)
	agents := []string{"ann", "bob"}
	for _, a := range agents {
		s.Set(a, routing.Availability{Capacity: capacity})
	}
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range calls {
				d, err := routing.LeastBusy{s, agents}.Route(t.Context(), call)
				for _, n := range loads(s, agents...) {
					if n < 0 || n > capacity {
						t.Errorf("load %d", n)
					}
				}
				if err == nil {
					d.Lease.Release()
					d.Lease.Release()
				}
			}
		})
	}
	all.Wait()
	expectLoads(t, "in the end", s, 0, 0)
	if s.Expired() != 0 {
		t.Error("calls expired")
	}
}

// Over many calls of uneven length, agents get equally many.
func TestLeastBusyIsFair(t *testing.T) {
	const calls = 10_000
	var agents []string
	for i := range 7 {
		agents = append(agents, fmt.Sprint("agent-", i))
	}
	for _, live := range []int{1, 3, 7, 20, 50} { // calls at once
		s, got := new(routing.Staff), map[string]int{}
		random := rand.New(rand.NewPCG(1, uint64(live)))
		var going []routing.Lease
		for range calls {
			d, err := routing.LeastBusy{s, agents}.Route(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			got[d.AgentID]++
			if going = append(going, d.Lease); len(going) >= live {
				i := random.IntN(len(going))
				going[i].Release()
				going[i] = going[len(going)-1]
				going = going[:len(going)-1]
			}
		}
		low, high := calls, 0
		for _, a := range agents {
			low, high = min(low, got[a]), max(high, got[a])
		}
		t.Logf("%d calls at once: agents got %d to %d of %d calls", live, low, high, calls)
		if mean := calls / len(agents); high-low > mean/10 {
			t.Errorf("%d calls at once: agents got %v", live, got)
		}
	}
}

func TestGroupKeepsItsPlaceWhenTheCallMoves(t *testing.T) {
	s := new(routing.Staff)
	s.Set("sales", routing.Availability{Capacity: 1})
	r := routing.Overflow{
		Router: routing.LeastBusy{s, []string{"ann"}},
		To:     routing.Always("desk"),
		Staff:  s, Group: "sales",
	}
	d, err := r.Route(t.Context(), call)
	if err != nil || d.AgentID != "ann" {
		t.Fatalf("%+v, %v", d, err)
	}
	over, err := r.Route(t.Context(), call)
	if err != nil || over.AgentID != "desk" || over.Lease != nil {
		t.Errorf("overflow: %+v, %v", over, err)
	}
	d.Lease.Move("bob")
	expectLoads(t, "after it was handed over", s, 0, 1)
	if n := s.Load("sales"); n != 1 {
		t.Errorf("the group has %d calls", n)
	}
	d.Lease.Release()
	expectLoads(t, "after its end", s, 0, 0)
	if n := s.Load("sales"); n != 0 {
		t.Errorf("the group has %d calls", n)
	}
}

// A place that was taken for a decision that is not kept is given back.
func TestPlacesOfDroppedDecisionsAreReleased(t *testing.T) {
	counted, busy := new(routing.Staff), full("ann", "bob")
	least := routing.LeastBusy{counted, []string{"ann"}}
	nobody := routing.RouterFunc(func(ctx context.Context, req *routing.Request) (routing.Decision, error) {
		d, err := least.Route(ctx, req)
		d.AgentID = ""
		return d, err
	})
	tests := []struct {
		name   string
		router routing.Router
	}{
		{"if free, and is not", routing.IfFree(busy, least)},
		{"no backup has room", routing.Backup{least, busy, map[string]string{"ann": "bob"}}},
		{"the backup has", routing.Backup{least, busy, map[string]string{"ann": "cyd"}}},
		{"a router that names nobody", routing.First(nobody)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := tt.router.Route(t.Context(), call)
			expectLoads(t, "then", counted, 0, 0)
			if err == nil {
				d.Lease.Release()
			}
			if n := busy.Load("cyd"); n != 0 {
				t.Errorf("the backup has %d calls", n)
			}
		})
	}
}

func TestWeighted(t *testing.T) {
	const calls = 100_000
	shares := []routing.Share{{"ann", 6}, {"nobody", 0}, {"bob", 3}, {"cyd", 1}}
	draw := func(seed uint64) (sequence []string, got map[string]int) {
		p := &routing.Weighted{Shares: shares, Seed: seed}
		got = make(map[string]int)
		for range calls {
			d, err := p.Route(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			sequence = append(sequence, d.AgentID)
			got[d.AgentID]++
		}
		return sequence, got
	}
	first, got := draw(1)
	for _, s := range shares {
		want := calls * int(s.Weight) / 10
		if off := got[s.AgentID] - want; off > calls/100 || -off > calls/100 {
			t.Errorf("%s got %d calls, want %d", s.AgentID, got[s.AgentID], want)
		}
	}
	again, _ := draw(1)
	if fmt.Sprint(first) != fmt.Sprint(again) {
		t.Error("the same seed gave another sequence")
	}
	if other, _ := draw(2); fmt.Sprint(first[:64]) == fmt.Sprint(other[:64]) {
		t.Error("another seed gave the same sequence")
	}
}

func TestWeightedHeedsRoom(t *testing.T) {
	s := full("ann")
	s.Set("bob", routing.Availability{Capacity: 1})
	p := &routing.Weighted{Shares: []routing.Share{{"ann", 1000}, {"bob", 1}, {"nobody", 0}}, Staff: s}
	d, err := p.Route(t.Context(), call)
	if err != nil || d.AgentID != "bob" || d.Reason != "drawn with 1 of 1001" {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := p.Route(t.Context(), call); !errors.Is(err, routing.ErrNoRoute) {
		t.Errorf("nobody has room: %v", err)
	}
	d.Lease.Release()
	if d, err := p.Route(t.Context(), call); err != nil || d.AgentID != "bob" {
		t.Errorf("%+v, %v", d, err)
	}
}

func BenchmarkLeastBusy(b *testing.B) {
	for _, n := range []int{4, 100, 1000} {
		b.Run(fmt.Sprint(n, " agents"), func(b *testing.B) {
			s := new(routing.Staff)
			var agents []string
			for i := range n {
				agents = append(agents, fmt.Sprint("agent-", i))
			}
			p := routing.LeastBusy{s, agents}
			b.ReportAllocs()
			for b.Loop() {
				d, err := p.Route(b.Context(), call)
				if err != nil {
					b.Fatal(err)
				}
				d.Lease.Release()
			}
		})
	}
}
