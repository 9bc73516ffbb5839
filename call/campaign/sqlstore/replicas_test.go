package sqlstore

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/campaign"
	calls "github.com/switchboard-voice/switchboard/call/sqlstore"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// shortLease is after how long somebody who is not heard of is taken for dead.
const shortLease = 6 * time.Second

// replica is a service and a runner, with connections of their own to one database.
type replica struct {
	*calltest.Machine
	*campaign.Runner
	svc       *call.Service
	calls     *calls.Store
	campaigns *Store
	news      *call.Subscription
	stop      func()
}

// startReplica starts one whose calls last until they may end.
func startReplica(t *testing.T, n *calltest.Network, address string, i int, mayEnd <-chan struct{}) *replica {
	t.Helper()
	r := &replica{Machine: n.Machine(), campaigns: mustOpen(t, address)}
	var err error
	if r.calls, err = calls.Open(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.calls.Close() }) // of a dead one it is closed already
	log := slog.New(slog.DiscardHandler)
	host := fmt.Sprintf("replica%d.test:80", i)
	r.svc, err = call.New(call.Config{
		PublicURL: calltest.PublicURL,
		Providers: []call.Provider{r.Provider},
		Agents: call.Agents{"reminders": call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			select {
			case <-mayEnd:
			case <-ctx.Done():
				return ctx.Err()
			}
			s.Speak(audio.NewSamples(audiotest.Tone(440, time.Second, 8000), 8000))
			return nil
		})},
		Store: r.calls,
		Cluster: call.Cluster{
			Address: "http://" + host, Secret: "a secret of replicas", Lease: shortLease, Transport: r.Transport(),
		},
		DialsPerSecond: 100,
		Logger:         log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = r.svc.Shutdown(ctx) // which says that calls were cut off
	})
	r.Serve(host, r.svc.Handler())
	if i > 0 {
		r.Serve("calls.test:443", r.svc.Handler()) // the carrier's requests come to the last one
	}
	if err := r.svc.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Runner, err = campaign.New(campaign.Config{Service: r.svc, Store: r.campaigns, Lease: shortLease, Poll: time.Second, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.news = r.svc.Subscribe(ctx, 1000)
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = r.Run(ctx) // whose error is that of ctx
	}()
	r.stop = func() {
		cancel()
		<-ran
	}
	t.Cleanup(r.stop)
	return r
}

// Two services share a campaign on PostgreSQL, and one of them dies in the middle
// of it: by the carrier's books nobody is dialed twice, and the other one brings
// the campaign to its end.
func TestReplicaOfACampaignThatDies(t *testing.T) {
	n := calltest.NewNetwork(t)
	n.Carrier.Otherwise(sim.Behavior{Ring: 200 * time.Millisecond})
	address := pgtest.Start(t).Schema(t)
	mayEnd := make(chan struct{})
	mortal := startReplica(t, n, address, 0, mayEnd)

	week, err := routing.ParseWeek("Mon-Sun 00:00-24:00")
	if err != nil {
		t.Fatal(err)
	}
	const contacts = 60
	list := make([]campaign.Contact, contacts)
	for i := range list {
		list[i].Number = telephony.Number(fmt.Sprintf("+1212700%04d", i))
	}
	if _, err := mortal.Create(t.Context(), campaign.Spec{
		ID: "spring", Hours: week, CallsPerSecond: 20, Concurrency: 30, MaxAttempts: 1,
		Failures: campaign.Limit{Share: 1, Of: 1},
		Request:  call.Request{AgentID: "reminders", From: calltest.Number},
	}); err != nil {
		t.Fatal(err)
	}
	if added, err := mortal.Add(t.Context(), "spring", list); err != nil || added != contacts {
		t.Fatalf("%d added, %v", added, err)
	}
	if _, err := mortal.Start(t.Context(), "spring"); err != nil {
		t.Fatal(err)
	}
	dials := func(n int) { // by whichever
		for e := range mortal.news.C {
			if e.Type == call.EventState && e.State == call.Connecting {
				if n--; n == 0 {
					return
				}
			}
		}
	}
	dials(3)
	other := startReplica(t, n, address, 1, mayEnd)
	dials(contacts/3 - 3)
	mortal.Kill()
	close(mayEnd)
	_ = mortal.campaigns.Close() // whatever is under way, as when a process ends
	_ = mortal.calls.Close()
	mortal.stop()
	died := time.Now()
	for state := campaign.Running; state != campaign.Done; time.Sleep(50 * time.Millisecond) { // nothing tells of it
		c, err := other.Get(t.Context(), "spring")
		if err != nil {
			t.Fatal(err)
		}
		if state = c.State; time.Since(died) > 5*time.Minute {
			t.Fatalf("the campaign is %v: %+v", state, other.Stats())
		}
	}
	t.Logf("done %v after the death; the dead one had placed %d calls, the other one %d, and took %d over",
		time.Since(died).Round(100*time.Millisecond), mortal.Stats().Placed, other.Stats().Placed, other.Stats().Taken)
	if other.Stats().Taken == 0 {
		t.Error("nothing was taken over")
	}
	dialed := make(map[telephony.Number]int)
	for _, k := range n.Carrier.Calls() {
		if dialed[k.To]++; dialed[k.To] > 1 {
			t.Errorf("%s was dialed %d times", k.To, dialed[k.To])
		}
		if !k.Status.Final() {
			t.Errorf("the carrier's call to %s is left %v", k.To, k.Status)
		}
	}
	attempts := 0
	for k, err := range other.Contacts(t.Context(), "spring", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if attempts += len(k.Attempts); k.State != campaign.Over || len(k.Attempts) != 1 {
			t.Errorf("%+v", k)
		}
	}
	if attempts != contacts {
		t.Errorf("%d attempts, of %d contacts", attempts, contacts)
	}
}
