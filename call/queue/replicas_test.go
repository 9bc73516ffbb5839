package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// mortal is a store that a dead process cannot reach any more.
type mortal struct {
	queue.Store
	dead *atomic.Bool
}

var errDead = errors.New("the network is gone")

func (m mortal) Claim(ctx context.Context, c queue.Claim) (*queue.Place, error) {
	if m.dead.Load() {
		return nil, errDead
	}
	return m.Store.Claim(ctx, c)
}

func (m mortal) Renew(ctx context.Context, owner string, lease time.Duration) (bool, error) {
	if m.dead.Load() {
		return false, errDead
	}
	return m.Store.Renew(ctx, owner, lease)
}

func (m mortal) Resign(ctx context.Context, owner string) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Store.Resign(ctx, owner)
}

func (m mortal) Leave(ctx context.Context, id string) (bool, error) {
	if m.dead.Load() {
		return false, errDead
	}
	return m.Store.Leave(ctx, id)
}

// two returns two services on one network and one store, and what kills the second.
func two(t *testing.T, n *calltest.Network, change func(*queue.Queue, *queue.Config)) (houses [2]*house, kill func()) {
	store, dead := new(queue.MemoryStore), new(atomic.Bool)
	houses[0] = open(t, n, func(q *queue.Queue, cfg *queue.Config) {
		change(q, cfg)
		cfg.Store = store
	})
	m := n.Machine()
	other := &house{Network: n, ours: "+12025550101", talk: time.Minute, busy: houses[0].busy}
	other.open(t, m.Provider, "https://other.test/phone/", func(q *queue.Queue, cfg *queue.Config) {
		change(q, cfg)
		cfg.Store = mortal{store, dead}
	})
	m.Connect(other.svc, other.ours)
	houses[1] = other
	return houses, func() {
		dead.Store(true)
		m.Kill()
	}
}

// Callers of two services stand in one line: each is served once, in the order in
// which they came, and no agent has more calls than agreed.
func TestTwoServicesHaveOneLine(t *testing.T) {
	onBoth(t, func(t *testing.T, n *calltest.Network) {
		houses, _ := two(t, n, func(q *queue.Queue, cfg *queue.Config) {
			q.Agents = []string{"ann", "bob"}
			q.MaxWait = time.Hour
		})
		const callers = 8
		var talks []*sim.Talk
		for i := range callers {
			talks = append(talks, houses[i%2].caller(i))
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Second)
		for _, h := range houses {
			if st := h.desk.Stats()["sales"]; st.Waiting != callers-2 {
				t.Errorf("%+v", st)
			}
		}
		for _, talk := range talks {
			<-talk.Done()
		}
		var ends []string
		for i, talk := range talks {
			ends = append(ends, fmt.Sprintf("%06d %d", int(talk.Duration().Seconds())+i, i))
		}
		if !slices.IsSorted(ends) {
			t.Errorf("calls ended %s", strings.Join(ends, ", "))
		}
		most := houses[0].busy.most
		if most["ann"] != 1 || most["bob"] != 1 {
			t.Errorf("agents had %v calls at once", most)
		}
		var st queue.Stats
		for _, h := range houses {
			one := h.desk.Stats()["sales"]
			st.Served += one.Served
		}
		if st.Served != callers {
			t.Errorf("%d of %d were served", st.Served, callers)
		}
	})
}

// When a process dies, its callers' places and the calls of its agents are given up
// after the lease, and not before; who has waited elsewhere is served, and a caller
// whom it was to call back is called back by the other.
func TestPlacesOfADeadServiceAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := calltest.NewNetwork(t)
		houses, kill := two(t, n, func(q *queue.Queue, cfg *queue.Config) { cfg.Lease = 15 * time.Second })
		n.Phone("+12025550202").Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) { <-k.Done() }})
		houses[1].caller(1) // has ann
		time.Sleep(time.Second)
		back := houses[1].caller(2)
		time.Sleep(time.Second)
		houses[1].caller(3) // waits there
		time.Sleep(time.Second)
		stays := houses[0].caller(4)
		if err := back.Press("1"); err != nil {
			t.Error(err)
		}
		<-back.Done()
		time.Sleep(10 * time.Second)
		kill()
		time.Sleep(5 * time.Second)
		if st := houses[0].desk.Stats()["sales"]; st.Waiting != 3 || st.Callbacks != 1 {
			t.Errorf("before the lease has ended: %+v", st)
		}
		time.Sleep(15 * time.Second)
		if st := houses[0].desk.Stats()["sales"]; st.Waiting != 1 || st.Callbacks != 0 {
			t.Errorf("after the lease: %+v", st)
		}
		<-stays.Done()
		time.Sleep(2 * time.Second)
		if got, want := houses[0].had(), "ann 02, ann 04"; got != want {
			t.Errorf("served were %s, not %s", got, want)
		}
		if st := houses[0].desk.Stats()["sales"]; st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}
