// Package queuetest judges what plugs into package queue.
package queuetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/routing"
)

// TestStore tests what queue.Store says. Open returns a store that is empty; it is
// called once for each part of the test.
func TestStore(t *testing.T, open func(t *testing.T) queue.Store) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, s queue.Store)
	}{
		{"what has joined is seen", testJoin},
		{"turns come in the order of joining, less head starts", testOrder},
		{"no more wait than may", testFull},
		{"the first place is claimed once, and the same question has the same answer", testClaim},
		{"the first place of another owner is not claimed, nor passed over", testOthers},
		{"agents have no more calls than they may, and the least busy comes first", testAgents},
		{"callbacks wait until they are ready, and return", testCallback},
		{"what a dead owner had is given up, but for callbacks", testLease},
		{"of those who claim at once each gets another place", testAtOnce},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

// waiting is a place in the queue "q".
func waiting(id, owner string) *queue.Place {
	return &queue.Place{ID: id, Queue: "q", CallID: "call_" + id, Owner: owner}
}

func join(t *testing.T, s queue.Store, all ...*queue.Place) {
	t.Helper()
	for _, p := range all {
		if err := s.Join(t.Context(), p, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// claim is by "me", for agents "a" and "b" who have one call at once.
func claim(t *testing.T, s queue.Store, change func(*queue.Claim)) *queue.Place {
	t.Helper()
	c := queue.Claim{ID: fmt.Sprint("claim", time.Now().UnixNano()), Owner: "me", Queue: "q", Agents: []string{"a", "b"}, Capacity: 1, Callbacks: true}
	if change != nil {
		change(&c)
	}
	p, err := s.Claim(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if p != nil && (p.Claim != c.ID || p.Owner != c.Owner || p.Waits()) {
		t.Errorf("claimed was %+v", p)
	}
	return p
}

// expect says who has been claimed, and for whom: "" for nobody.
func expect(t *testing.T, p *queue.Place, want string) {
	t.Helper()
	got := ""
	if p != nil {
		got = p.ID + " " + p.Agent
	}
	if got != want {
		t.Errorf("claimed was %q, not %q", got, want)
	}
}

func look(t *testing.T, s queue.Store) *queue.Look {
	t.Helper()
	l, err := s.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// line is who waits.
func line(t *testing.T, s queue.Store) string {
	t.Helper()
	var ids []string
	for _, p := range look(t, s).Places {
		ids = append(ids, p.ID)
	}
	return strings.Join(ids, " ")
}

func expectLine(t *testing.T, s queue.Store, want string) {
	t.Helper()
	if got := line(t, s); got != want {
		t.Errorf("those who wait are %q, not %q", got, want)
	}
}

func remove(t *testing.T, s queue.Store, id string, want bool) {
	t.Helper()
	if was, err := s.Leave(t.Context(), id); err != nil || was != want {
		t.Errorf("Leave of %s: %t, %v", id, was, err)
	}
}

func testJoin(t *testing.T, s queue.Store) {
	p := waiting("1", "me")
	p.HeadStart = 90 * time.Second
	p.Callback = &call.Request{AgentID: "q", To: "+12025550199", From: "+12025550100", Context: map[string]string{"a": "ö"}, Options: call.Options{Record: true}}
	p.Ready = time.Date(2126, 1, 2, 3, 4, 5, 6000, time.UTC)
	join(t, s, p)
	if p.Ticket <= 0 || p.Joined.IsZero() {
		t.Errorf("Join has set %d, %v", p.Ticket, p.Joined)
	}
	want := p.Clone()
	again := waiting("1", "other")
	join(t, s, again)
	if again.Ticket != p.Ticket || !again.Joined.Equal(p.Joined) {
		t.Errorf("a place that was there has got %d, %v", again.Ticket, again.Joined)
	}
	l := look(t, s)
	if diff := cmp.Diff([]*queue.Place{want}, l.Places); diff != "" {
		t.Error(diff)
	}
	if since := l.Now.Sub(p.Joined); since < 0 || since > time.Minute {
		t.Errorf("%v have passed", since)
	}
	old := waiting("2", "me")
	old.Joined = p.Joined.Add(-time.Hour)
	join(t, s, old)
	expectLine(t, s, "2 1")
	remove(t, s, "1", true)
	remove(t, s, "1", false)
	expectLine(t, s, "2")
}

func testOrder(t *testing.T, s queue.Store) {
	at := time.Now().UTC().Truncate(time.Second)
	for i, p := range []struct{ joined, headStart int }{{0, 0}, {1, 0}, {10, 5}, {11, 20}, {11, 20}, {11, 10}} {
		place := waiting(fmt.Sprint(i), "me")
		place.Joined, place.HeadStart = at.Add(time.Duration(p.joined)*time.Second), time.Duration(p.headStart)*time.Second
		join(t, s, place)
	}
	expectLine(t, s, "3 4 0 1 5 2")
	for _, want := range []string{"3 a", "4 b", ""} {
		expect(t, claim(t, s, nil), want)
	}
	expectLine(t, s, "0 1 5 2")
}

func testFull(t *testing.T, s queue.Store) {
	other := waiting("other", "me")
	other.Queue = "r"
	seat := waiting("seat", "me")
	seat.Agent = "a"
	join(t, s, other, seat)
	for i, want := range []error{nil, nil, queue.ErrFull} {
		if err := s.Join(t.Context(), waiting(fmt.Sprint(i), "me"), 2); !errors.Is(err, want) {
			t.Errorf("Join %d: %v", i, err)
		}
	}
	if err := s.Join(t.Context(), waiting("1", "me"), 2); err != nil {
		t.Errorf("Join of who is there: %v", err)
	}
	expect(t, claim(t, s, nil), "0 b")
	if err := s.Join(t.Context(), waiting("2", "me"), 2); err != nil {
		t.Errorf("Join when one was served: %v", err)
	}
}

func testClaim(t *testing.T, s queue.Store) {
	expect(t, claim(t, s, nil), "")
	join(t, s, waiting("1", "me"), waiting("2", "me"))
	same := func(c *queue.Claim) { c.ID = "x" }
	expect(t, claim(t, s, same), "1 a")
	expect(t, claim(t, s, same), "1 a")
	expect(t, claim(t, s, func(c *queue.Claim) { c.Queue = "r" }), "")
	expect(t, claim(t, s, nil), "2 b")
	expectLine(t, s, "")
}

func testOthers(t *testing.T, s queue.Store) {
	join(t, s, waiting("1", "you"), waiting("2", "me"))
	expect(t, claim(t, s, nil), "")
	expect(t, claim(t, s, func(c *queue.Claim) { c.Owner = "you" }), "1 a")
	expect(t, claim(t, s, nil), "2 b")
}

func testAgents(t *testing.T, s queue.Store) {
	set := func(name string, a routing.Availability) {
		t.Helper()
		if err := s.SetAgent(t.Context(), name, a); err != nil {
			t.Fatal(err)
		}
	}
	set("a", routing.Availability{Capacity: 2})
	seat := waiting("seat", "me")
	seat.Agent = "a"
	join(t, s, seat, waiting("1", "me"), waiting("2", "me"), waiting("3", "me"), waiting("4", "me"))
	expect(t, claim(t, s, nil), "1 b")
	expect(t, claim(t, s, nil), "2 a")
	expect(t, claim(t, s, nil), "")
	set("a", routing.Availability{Busy: true})
	remove(t, s, "seat", true)
	remove(t, s, "2", true)
	expect(t, claim(t, s, nil), "")
	set("a", routing.Availability{})
	expect(t, claim(t, s, nil), "3 a")
	remove(t, s, "3", true)
	remove(t, s, "1", true)
	expect(t, claim(t, s, nil), "4 b") // who was given none for longest
	want := []queue.Agent{{Name: "a", Availability: &routing.Availability{}}, {Name: "b", Load: 1}}
	if diff := cmp.Diff(want, look(t, s).Agents); diff != "" {
		t.Error(diff)
	}
}

// callback is a place that nobody has on the line.
func callback(id string, ready time.Time) *queue.Place {
	p := waiting(id, "")
	p.Callback, p.Ready = &call.Request{To: "+12025550199"}, ready
	return p
}

func testCallback(t *testing.T, s queue.Store) {
	now := look(t, s).Now
	join(t, s, callback("later", now.Add(time.Hour)), callback("1", now), waiting("2", "me"))
	expect(t, claim(t, s, func(c *queue.Claim) { c.Callbacks = false }), "2 a")
	remove(t, s, "2", true)
	p := claim(t, s, nil)
	expect(t, p, "1 b")
	if p.Callback == nil || p.Callback.To != "+12025550199" {
		t.Errorf("the call to place is %+v", p.Callback)
	}
	if err := s.Return(t.Context(), "1", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Return(t.Context(), "1", time.Hour); err != nil { // which is not claimed
		t.Fatal(err)
	}
	expectLine(t, s, "later 1")
	expect(t, claim(t, s, nil), "1 a")
	if err := s.Return(t.Context(), "1", time.Hour); err != nil {
		t.Fatal(err)
	}
	expect(t, claim(t, s, nil), "")
	for _, a := range look(t, s).Agents {
		if a.Load != 0 {
			t.Errorf("%s has %d calls", a.Name, a.Load)
		}
	}
}

func testLease(t *testing.T, s queue.Store) {
	renew := func(owner string, lease time.Duration, want bool) {
		t.Helper()
		if isNew, err := s.Renew(t.Context(), owner, lease); err != nil || isNew != want {
			t.Errorf("Renew of %s: %t, %v", owner, isNew, err)
		}
	}
	renew("me", time.Hour, true)
	renew("me", time.Hour, false)
	renew("dead", time.Hour, true)
	now := look(t, s).Now
	join(t, s, callback("1", now), waiting("2", "dead"), waiting("3", "me"), waiting("4", "dead"))
	dead := func(c *queue.Claim) { c.Owner = "dead" }
	expect(t, claim(t, s, dead), "1 a")
	expect(t, claim(t, s, dead), "2 b")
	renew("dead", time.Millisecond, false)
	for deadline := time.Now().Add(20 * time.Second); line(t, s) != "1 3"; {
		if time.Now().After(deadline) {
			t.Fatalf("those who wait are %s", line(t, s))
		}
		time.Sleep(5 * time.Millisecond)
		renew("me", time.Hour, false)
	}
	expect(t, claim(t, s, nil), "1 a")
	renew("dead", time.Hour, true)
	if err := s.Resign(t.Context(), "me"); err != nil {
		t.Fatal(err)
	}
	expectLine(t, s, "1")
	renew("me", time.Hour, true)
}

func testAtOnce(t *testing.T, s queue.Store) {
	const places = 24
	for i := range places {
		join(t, s, callback(fmt.Sprint(i), time.Time{}))
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	claimed, load := make(map[string]int), make(map[string]int)
	for i := range 4 {
		all.Go(func() {
			for n := 0; ; n++ {
				p, err := s.Claim(t.Context(), queue.Claim{
					ID: fmt.Sprint(i, "-", n), Owner: fmt.Sprint(i), Queue: "q", Agents: []string{"a", "b", "c"}, Capacity: 7, Callbacks: true,
				})
				if err != nil {
					t.Error(err)
				}
				if p == nil {
					return
				}
				mu.Lock()
				claimed[p.ID]++
				load[p.Agent]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(claimed) != 21 || load["a"] != 7 || load["b"] != 7 || load["c"] != 7 {
		t.Errorf("%d of %d places were claimed, agents have %v calls", len(claimed), places, load)
	}
	for id, n := range claimed {
		if n != 1 {
			t.Errorf("place %s was claimed %d times", id, n)
		}
	}
	expectLine(t, s, "21 22 23")
}
