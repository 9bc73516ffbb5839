package queue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func (h *house) expect(served, events string) {
	h.t.Helper()
	if got := h.had(); got != served {
		h.t.Errorf("served were %s, not %s", got, served)
	}
	if got := h.happened(); got != events {
		h.t.Errorf("events were\n%s, not\n%s", got, events)
	}
}

// A caller may leave by a key, by hanging up, and by having waited too long; who
// stays is served in the same order as without.
func TestCallersLeave(t *testing.T) {
	onBoth(t, func(t *testing.T, n *calltest.Network) {
		h := open(t, n, func(q *queue.Queue, _ *queue.Config) { q.MaxWait = 70 * time.Second })
		var talks []*sim.Talk
		for i := range 5 {
			talks = append(talks, h.caller(i))
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Second)
		if err := talks[1].Press("39"); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		talks[2].Hangup()
		for _, talk := range talks {
			<-talk.Done()
		}
		time.Sleep(2 * time.Second)
		h.expect("ann 00, mailbox 01, ann 03, mailbox 04", "queued, served ann, queued, position 1, queued, position 2, queued, position 3, queued, position 4, "+
			"left key, left hung up, position 1, position 2, served ann, position 1, left waited too long")
		st := h.desk.Stats()["sales"]
		if st.Left != 1 || st.Abandoned != 1 || st.TimedOut != 1 || st.Served != 2 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// When as many wait as may, the next router is asked. Who is handed over to the
// queue all the same goes to its backup.
func TestFullQueueHasABackup(t *testing.T) {
	onBoth(t, func(t *testing.T, n *calltest.Network) {
		h := open(t, n, func(q *queue.Queue, cfg *queue.Config) {
			q.Max = 1
			cfg.Agents["reception"] = call.AgentFunc(func(ctx context.Context, s *call.Session) error { return s.HandOver("sales") })
		})
		for i := range 3 {
			h.caller(i)
			time.Sleep(5 * time.Second)
		}
		for c, err := range h.svc.Calls(t.Context(), call.Filter{Limit: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			if c.AgentID != "mailbox" || len(c.Routing) != 2 || c.Routing[0].Policy != "queue" || c.Routing[0].Said != "1 of 1 wait in sales" {
				t.Errorf("%s by %+v", c.AgentID, c.Routing)
			}
		}
		n.Phone("+12025550203").Behave(sim.Behavior{Talk: func(k *sim.Talk) { <-k.Done() }})
		c, err := h.svc.Place(t.Context(), call.Request{AgentID: "reception", To: "+12025550203", From: calltest.Number})
		if err != nil {
			t.Fatal(err)
		}
		if c, err = h.svc.Wait(t.Context(), c.ID); err != nil || c.AgentID != "mailbox" {
			t.Errorf("%s, %v", c.AgentID, err)
		}
		if st := h.desk.Stats()["sales"]; st.Full != 1 || st.Waiting != 1 || st.Joined != 2 {
			t.Errorf("%+v", st)
		}
		if got, want := h.had(), "ann 00, mailbox 02, mailbox 03"; got != want {
			t.Errorf("served were %s, not %s", got, want)
		}
	})
}

// A caller who asks for it is called back when its turn comes, once, by the agent
// who is free then.
func TestCallersAreCalledBack(t *testing.T) {
	onBoth(t, func(t *testing.T, n *calltest.Network) {
		h := open(t, n, func(q *queue.Queue, _ *queue.Config) {
			q.Promise = func(context.Context, *call.Call) (call.Utterance, error) {
				return call.Utterance{Audio: tone(1500, time.Second), Text: "We will call you back."}, nil
			}
		})
		var back *sim.Talk
		n.Phone("+12025550201").Behave(sim.Behavior{Ring: 3 * time.Second, Talk: func(k *sim.Talk) { back = k; <-k.Done() }})
		n.Phone("+12025550202").Behave(sim.Behavior{Outcome: sim.NoAnswer}) // who does not pick up
		var talks []*sim.Talk
		for i := range 4 {
			talks = append(talks, h.caller(i))
			time.Sleep(2 * time.Second)
		}
		first, second, third, fourth := talks[0], talks[1], talks[2], talks[3]
		for _, talk := range talks[1:3] {
			if err := talk.Press("1"); err != nil {
				t.Error(err)
			}
		}
		<-second.Done()
		<-third.Done()
		audiotest.HasTone(t, second.Heard()[len(second.Heard())-4000:], 8000, 1500)
		time.Sleep(time.Second)
		if st := h.desk.Stats()["sales"]; st.Waiting != 3 || st.Callbacks != 2 || st.Promised != 2 {
			t.Errorf("%+v", st)
		}
		<-first.Done()
		<-fourth.Done()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, want := h.had(), "ann 00, ann 01, ann 03"; got != want {
			t.Errorf("served were %s, not %s", got, want)
		}
		if back == nil || back.From() != calltest.Number {
			t.Error("nobody was called back")
		}
		st := h.desk.Stats()["sales"]
		if st.Served != 3 || st.Unreached != 1 || st.Waiting != 0 || st.Callbacks != 0 {
			t.Errorf("%+v", st)
		}
		outbound := 0
		for c, err := range h.svc.Calls(t.Context(), call.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if c.IdempotencyKey != "" {
				outbound++
			}
		}
		if outbound != 2 {
			t.Errorf("%d calls back, not 2", outbound)
		}
	})
}

// Who calls without a number cannot be called back, and waits on.
func TestCallerWithoutANumberWaitsOn(t *testing.T) {
	onBoth(t, func(t *testing.T, n *calltest.Network) {
		h := open(t, n, nil)
		h.caller(0)
		time.Sleep(time.Second)
		unknown, err := h.Phone("anonymous").Call(t.Context(), h.ours)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := unknown.Press("1"); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		if st := h.desk.Stats()["sales"]; st.Waiting != 1 || st.Promised != 0 {
			t.Errorf("%+v", st)
		}
		<-unknown.Done()
		audiotest.HasTone(t, unknown.Heard()[len(unknown.Heard())-8000:], 8000, 1000) // ann
	})
}

// Whoever was to be called back, and whose turn has not come in time, is not called
// any more; who stays on the line waits on.
func TestCallbackLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, calltest.NewNetwork(t), func(q *queue.Queue, _ *queue.Config) { q.CallbackFor = 50 * time.Second })
		h.Phone("+12025550201").Behave(sim.Behavior{Talk: func(k *sim.Talk) { <-k.Done() }})
		h.caller(0) // has ann for a minute
		time.Sleep(time.Second)
		back, joined := h.caller(1), time.Now()
		time.Sleep(time.Second)
		stays := h.caller(2)
		time.Sleep(time.Second)
		if err := back.Press("1"); err != nil {
			t.Error(err)
		}
		<-back.Done()
		time.Sleep(time.Until(joined.Add(48 * time.Second)))
		if st := h.desk.Stats()["sales"]; st.Waiting != 2 || st.Callbacks != 1 || st.Lapsed != 0 {
			t.Errorf("in time: %+v", st)
		}
		time.Sleep(5 * time.Second)
		if st := h.desk.Stats()["sales"]; st.Waiting != 1 || st.Callbacks != 0 || st.Lapsed != 1 {
			t.Errorf("too late: %+v", st)
		}
		<-stays.Done()
		time.Sleep(2 * time.Minute)
		if got, want := h.had(), "ann 00, ann 02"; got != want {
			t.Errorf("served were %s, not %s", got, want)
		}
	})
}

// Who has a head start is served before those who have waited up to as much longer,
// and nobody else.
func TestHeadStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, calltest.NewNetwork(t), func(q *queue.Queue, _ *queue.Config) {
			q.HeadStart = func(c *call.Call) time.Duration {
				if c.From == "+12025550203" {
					return 13 * time.Second
				}
				return 0
			}
		})
		var last *sim.Talk
		for i, after := range []time.Duration{0, 15 * time.Second, 5 * time.Second, 5 * time.Second} {
			time.Sleep(after)
			last = h.caller(i)
		}
		time.Sleep(time.Minute)
		<-last.Done()
		time.Sleep(2 * time.Minute)
		if got, want := h.had(), "ann 00, ann 03, ann 01, ann 02"; got != want {
			t.Errorf("served were %s, not %s", got, want)
		}
	})
}

// A caller whom the host gives to somebody else hears no more music, and waits no
// longer.
func TestWaitingCallerIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, calltest.NewNetwork(t), nil)
		h.caller(0)
		time.Sleep(time.Second)
		talk := h.caller(1)
		time.Sleep(10 * time.Second)
		for c, err := range h.svc.Calls(t.Context(), call.Filter{Limit: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			if err := h.svc.HandOver(t.Context(), c.ID, "bob"); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(5 * time.Second)
		audiotest.HasTone(t, talk.Heard()[len(talk.Heard())-8000:], 8000, 1000)
		audiotest.NoTone(t, talk.Heard()[len(talk.Heard())-8000:], 8000, 700)
		h.expect("ann 00, bob 01", "queued, served ann, queued, position 1, left handed over")
		if st := h.desk.Stats()["sales"]; st.Waiting != 0 || st.Abandoned != 0 {
			t.Errorf("%+v", st)
		}
	})
}
