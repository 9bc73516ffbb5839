package sqlstore

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/queue"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
	"github.com/switchboard-voice/switchboard/routing"
	"github.com/switchboard-voice/switchboard/telephony"
)

// replica is a service with a queue, whose one agent says whom she has, and keeps a
// caller until she is told to let it go.
type replica struct {
	*calltest.Machine
	number string
	queued *call.Subscription
	store  *Store
}

func startReplica(t *testing.T, n *calltest.Network, address string, i int, has chan<- telephony.Number, letGo <-chan struct{}) *replica {
	t.Helper()
	r := &replica{Machine: n.Machine(), number: fmt.Sprintf("+1202555010%d", i)}
	var err error
	if r.store, err = Open(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() }) // of a dead one it is closed already
	log := slog.New(slog.DiscardHandler)
	desk, err := queue.New(queue.Config{
		Agents: call.Agents{"ann": call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			has <- s.Call().From
			select {
			case <-letGo:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})},
		Queues: map[string]queue.Queue{"sales": {Agents: []string{"ann"}}},
		Store:  r.store,
		Lease:  10 * time.Second,
		Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := call.New(call.Config{
		PublicURL: fmt.Sprintf("https://m%d.test/phone/", i),
		Providers: []call.Provider{r.Provider},
		Agents:    desk.Agents(),
		Router:    routing.Always("sales"),
		Logger:    log,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Connect(svc, r.number)
	ctx, cancel := context.WithCancel(context.Background())
	r.queued = svc.Subscribe(ctx, 1000)
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = desk.Run(ctx, svc) // whose error is that of ctx
	}()
	t.Cleanup(func() {
		over, cut := context.WithCancel(context.Background())
		cut()
		_ = svc.Shutdown(over) // which says that calls were cut off
		cancel()
		<-ran
	})
	return r
}

// Callers of two services on one PostgreSQL stand in one line, and one agent has
// them as they came. When one service dies with the caller whom she has, hers are
// given up, and who waits at the other is next.
func TestServicesOnPostgreSQLHaveOneLine(t *testing.T) {
	n := calltest.NewNetwork(t)
	address := pgtest.Start(t).Schema(t)
	has, letGo := make(chan telephony.Number, 10), make(chan struct{})
	replicas := []*replica{startReplica(t, n, address, 0, has, letGo), startReplica(t, n, address, 1, has, letGo)}
	caller := func(i int) telephony.Number { return telephony.Number(fmt.Sprintf("+1202555020%d", i)) }
	for i := range 6 {
		r := replicas[i%2]
		if _, err := n.Phone(string(caller(i))).Call(t.Context(), r.number); err != nil {
			t.Fatal(err)
		}
		for e := range r.queued.C {
			if e.Type == call.EventAgent && e.Name == "queued" {
				break
			}
		}
	}
	for i := range 3 {
		if who := <-has; who != caller(i) {
			t.Fatalf("caller %d is %v", i, who)
		}
		letGo <- struct{}{}
	}
	if who := <-has; who != caller(3) {
		t.Fatalf("caller 3 is %v", who)
	}
	replicas[1].Kill()
	_ = replicas[1].store.Close()
	if who := <-has; who != caller(4) { // 5 was the dead one's, too
		t.Errorf("caller 4 is %v", who)
	}
	look, err := replicas[0].store.Look(t.Context())
	if err != nil || len(look.Places) != 0 {
		t.Errorf("%d places are left, %v", len(look.Places), err)
	}
}
