package call_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// replica is one of several services on machines of their own.
type replica struct {
	*call.Service
	machine *calltest.Machine
	store   *severed
	addr    string
	events  *call.Subscription
}

// die takes the replica off the network, and off its store. It notices nothing
// else.
func (r *replica) die() {
	r.store.cut.Store(true)
	r.machine.Kill()
}

// replicas share a store, and a public address at which a balancer stands.
type replicas struct {
	*calltest.Network
	t     *testing.T
	store call.SharedStore
	mu    sync.Mutex // guards all against the balancer
	all   []*replica
	// to is which replica gets a request that comes to the balancer.
	to func(r *http.Request) int
}

const (
	testSecret = "a secret of the replicas"
	testLease  = 15 * time.Second
)

func newReplicas(t *testing.T, dialect string, store call.SharedStore, n int, change func(*call.Config)) *replicas {
	t.Helper()
	network := map[string]func(testing.TB, ...sim.Faults) *calltest.Network{
		"twilio": calltest.NewNetwork, "plivo": calltest.NewPlivoNetwork,
	}[dialect](t)
	rs := &replicas{Network: network, t: t, store: store, to: func(*http.Request) int { return 0 }}
	balancer := network.Machine()
	balancer.Serve("calls.test:443", &httputil.ReverseProxy{
		Transport: balancer.Transport(),
		Rewrite: func(r *httputil.ProxyRequest) {
			rs.mu.Lock()
			defer rs.mu.Unlock()
			r.SetURL(&url.URL{Scheme: "http", Host: rs.all[rs.to(r.In)].addr})
		},
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelDebug),
	})
	for range n {
		rs.start(change)
	}
	network.Carrier.Assign(calltest.Number, rs.all[0].IncomingURL("sim"))
	return rs
}

// start adds a replica.
func (rs *replicas) start(change func(*call.Config)) *replica {
	t := rs.t
	t.Helper()
	r := &replica{
		machine: rs.Machine(),
		store:   &severed{SharedStore: rs.store},
		addr:    fmt.Sprintf("replica%d.test:80", len(rs.all)),
	}
	cfg := call.Config{
		PublicURL: calltest.PublicURL,
		Providers: []call.Provider{r.machine.Provider},
		Agents:    call.Agents{"agent": call.Echo},
		Store:     r.store,
		Cluster: call.Cluster{
			Address: "http://" + r.addr, Secret: testSecret, Lease: testLease, Transport: r.machine.Transport(),
		},
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)).With("replica", len(rs.all)),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.Service, err = call.New(cfg); err != nil {
		t.Fatal(err)
	}
	r.machine.Serve(r.addr, r.Handler())
	rs.mu.Lock()
	rs.all = append(rs.all, r)
	rs.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		_ = r.Shutdown(ctx) // which says that calls were cut off
	})
	if err := r.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.events = r.Subscribe(ctx, 10_000)
	return r
}

func (rs *replicas) place(at int, to telephony.Number) *call.Call {
	rs.t.Helper()
	c, err := rs.all[at].Place(rs.t.Context(), call.Request{AgentID: "agent", To: to, From: ours})
	if err != nil {
		rs.t.Fatal(err)
	}
	return c
}

// reaches waits until a call is in a state, as the replica knows it.
func (rs *replicas) reaches(at int, id string, state call.State) *call.Call {
	rs.t.Helper()
	for range 1000 {
		c, err := rs.all[at].Call(rs.t.Context(), id)
		if err != nil {
			rs.t.Fatal(err)
		}
		if c.State >= state {
			return c
		}
		time.Sleep(50 * time.Millisecond)
	}
	rs.t.Fatalf("%s is not %v", id, state)
	return nil
}

// heard are the events of a call that a replica was told of so far. Each has come
// once, and in its place.
func (r *replica) heard(t *testing.T, id string) (events []call.Event) {
	t.Helper()
	for {
		select {
		case e := <-r.events.C:
			if e.CallID != id {
				continue
			}
			if n := len(events); n > 0 && e.Seq != events[n-1].Seq+1 {
				t.Errorf("event %d came after %d", e.Seq, events[n-1].Seq)
			}
			events = append(events, e)
		default:
			return events
		}
	}
}

var errCut = errors.New("network is unreachable")

// severed is a store that a machine may lose.
type severed struct {
	call.SharedStore
	cut      atomic.Bool
	slow     atomic.Int64 // nanoseconds
	requests atomic.Int64
}

func (s *severed) reach() error {
	s.requests.Add(1)
	time.Sleep(time.Duration(s.slow.Load()))
	if s.cut.Load() {
		return errCut
	}
	return nil
}

func (s *severed) Create(ctx context.Context, c *call.Call, e []call.Event) (*call.Call, error) {
	if err := s.reach(); err != nil {
		return nil, err
	}
	return s.SharedStore.Create(ctx, c, e)
}

func (s *severed) Update(ctx context.Context, c *call.Call, e []call.Event) error {
	if err := s.reach(); err != nil {
		return err
	}
	return s.SharedStore.Update(ctx, c, e)
}

func (s *severed) Get(ctx context.Context, id string) (*call.Call, error) {
	if err := s.reach(); err != nil {
		return nil, err
	}
	return s.SharedStore.Get(ctx, id)
}

func (s *severed) ByProvider(ctx context.Context, provider, id string) (*call.Call, error) {
	if err := s.reach(); err != nil {
		return nil, err
	}
	return s.SharedStore.ByProvider(ctx, provider, id)
}

func (s *severed) ByKey(ctx context.Context, tenant, key string) (*call.Call, error) {
	if err := s.reach(); err != nil {
		return nil, err
	}
	return s.SharedStore.ByKey(ctx, tenant, key)
}

func (s *severed) List(ctx context.Context, f call.Filter) ([]*call.Call, error) {
	if err := s.reach(); err != nil {
		return nil, err
	}
	return s.SharedStore.List(ctx, f)
}

func (s *severed) Renew(ctx context.Context, replica string, lease time.Duration) error {
	if err := s.reach(); err != nil {
		return err
	}
	return s.SharedStore.Renew(ctx, replica, lease)
}

func (s *severed) Resign(ctx context.Context, replica string) error {
	if err := s.reach(); err != nil {
		return err
	}
	return s.SharedStore.Resign(ctx, replica)
}

func (s *severed) Replicas(ctx context.Context) ([]string, error) {
	if err := s.reach(); err != nil {
		return nil, err
	}
	return s.SharedStore.Replicas(ctx)
}

// onBoth runs a test in the protocol of each carrier.
func onBoth(t *testing.T, test func(t *testing.T, dialect string)) {
	for _, dialect := range []string{"twilio", "plivo"} {
		t.Run(dialect, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, dialect) })
		})
	}
}

// Whatever the carrier asks, and wherever it opens its streams, it finds the
// replica that has the call; so do those who wait for it.
func TestClusterWebhooksAndSocketsThatLandOnTheWrongReplica(t *testing.T) {
	onBoth(t, func(t *testing.T, dialect string) {
		rs := newReplicas(t, dialect, call.NewMemoryStore(), 2, func(c *call.Config) {
			c.Agents = call.Agents{"agent": hello(2 * time.Second)}
		})
		var passed atomic.Int64
		rs.to = func(r *http.Request) int {
			if strings.Contains(r.URL.Path, "/incoming") {
				return 0
			}
			passed.Add(1)
			return 1
		}
		placed := rs.place(0, callee)
		c, err := rs.all[1].Wait(t.Context(), placed.ID)
		if err != nil || c.State != call.Completed || c.Cause != call.AgentDone || len(c.Transcript) != 1 {
			t.Errorf("placed: %+v, %v", c, err)
		}
		talk, err := rs.Phone("+12025550199").Call(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		for c, err := range rs.all[1].Calls(t.Context(), call.Filter{Direction: new(telephony.Inbound)}) {
			if err != nil {
				t.Fatal(err)
			}
			if c, err = rs.all[1].Wait(t.Context(), c.ID); err != nil || c.State != call.Completed || c.Cause != call.AgentDone {
				t.Errorf("came in: %+v, %v", c, err)
			}
		}
		synctest.Wait()
		here, there := rs.all[0].heard(t, placed.ID), rs.all[1].heard(t, placed.ID)
		if len(here) < 6 || len(here) != len(there) || there[len(there)-1].State != call.Completed {
			t.Errorf("%d events here, %d there:\n%v\n%v", len(here), len(there), here, there)
		}
		if passed.Load() == 0 {
			t.Error("nothing went the wrong way")
		}
		if st := rs.all[1].Stats(); st.Live != 0 || st.Placed+st.Received != 0 || st.TakenOver != 0 {
			t.Errorf("the other replica: %+v", st)
		}
		if w := rs.Carrier.Warnings(); len(w) > 0 {
			t.Errorf("the carrier warns of %v", w)
		}
	})
}

// What is asked of a replica that does not have the call is done by the one that
// has, and fails in the same ways.
func TestClusterOrdersFromAnotherReplica(t *testing.T) {
	onBoth(t, func(t *testing.T, dialect string) {
		rs := newReplicas(t, dialect, call.NewMemoryStore(), 2, nil)
		c := rs.place(0, callee)
		rs.reaches(1, c.ID, call.Active)
		other := rs.all[1]
		ctx := t.Context()

		if err := other.Hold(ctx, c.ID); err != nil {
			t.Errorf("hold: %v", err)
		}
		if held, err := other.Call(ctx, c.ID); err != nil || !held.OnHold {
			t.Errorf("on hold: %v, %v", held.OnHold, err)
		}
		if err := other.Hold(ctx, c.ID); !errors.Is(err, telephony.ErrCallState) {
			t.Errorf("second hold: %v", err)
		}
		if err := other.Resume(ctx, c.ID); err != nil {
			t.Errorf("resume: %v", err)
		}
		if err := other.SendKeys(ctx, c.ID, "12#"); err != nil {
			t.Errorf("keys: %v", err)
		}
		if err := other.HandOver(ctx, c.ID, "nobody"); !errors.Is(err, call.ErrUnknownAgent) {
			t.Errorf("hand over: %v", err)
		}
		if err := other.Erase(ctx, c.ID); !errors.Is(err, call.ErrLive) {
			t.Errorf("erase: %v", err)
		}
		err := other.WarmTransfer(ctx, c.ID, call.WarmTransfer{To: "+12025550170", Brief: call.Echo})
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("warm transfer with a brief: %v", err)
		}
		rs.Phone("+12025550170").Behave(sim.Behavior{Outcome: sim.Busy})
		var failed *call.TransferError
		if err := other.Transfer(ctx, c.ID, call.Transfer{To: "+12025550170"}); !errors.As(err, &failed) || failed.State != call.Busy {
			t.Errorf("transfer to who is busy: %v", err)
		}
		rs.reaches(1, c.ID, call.Active)
		recording, err := other.StartCarrierRecording(ctx, c.ID, telephony.RecordRequest{})
		if err != nil || recording == "" {
			t.Errorf("carrier's recording: %q, %v", recording, err)
		}
		if err := other.Hangup(ctx, c.ID); err != nil {
			t.Errorf("hang-up: %v", err)
		}
		c, err = other.Wait(ctx, c.ID)
		if err != nil || c.State != call.Completed || c.Cause != call.HangupLocal {
			t.Errorf("ended %v, %q, %v", c.State, c.Cause, err)
		}
		if err := other.Hangup(ctx, c.ID); err != nil {
			t.Errorf("hang-up of what is over: %v", err)
		}
		if err := other.SendKeys(ctx, c.ID, "1"); !errors.Is(err, call.ErrEnded) {
			t.Errorf("keys for what is over: %v", err)
		}
		if err := other.Hangup(ctx, "nobody"); !errors.Is(err, call.ErrNotFound) {
			t.Errorf("hang-up of what is not there: %v", err)
		}
	})
}

// When a replica dies, its calls are settled by the others, and none is dialed
// again. Nothing happens to the calls of those that live.
func TestClusterSettlesTheCallsOfADeadReplica(t *testing.T) {
	onBoth(t, func(t *testing.T, dialect string) {
		rs := newReplicas(t, dialect, call.NewMemoryStore(), 3, nil)
		rs.to = func(r *http.Request) int {
			return 1 + int(time.Now().UnixNano()/1e6)%2 // those that will live
		}
		time.Sleep(time.Minute)
		const calls = 20
		var ids []string
		for i := range calls {
			number := telephony.Number(fmt.Sprintf("+120255501%02d", i))
			rs.Phone(string(number)).Behave(sim.Behavior{Ring: time.Duration(i%5) * 2 * time.Second})
			ids = append(ids, rs.place(0, number).ID)
		}
		survivor := rs.place(1, "+12025550177")
		time.Sleep(4 * time.Second) // some talk, some ring
		rs.all[0].die()
		began := time.Now()
		for _, id := range ids {
			c, err := rs.all[1].Wait(t.Context(), id)
			if err != nil || !c.State.Terminal() {
				t.Errorf("%s: %v, %v", id, c, err)
			}
		}
		took := time.Since(began)
		if took > testLease*2 {
			t.Errorf("settled after %v", took)
		}
		time.Sleep(time.Minute)
		placed := make(map[telephony.Number]int)
		for _, k := range rs.Carrier.Calls() {
			placed[k.To]++
			if !k.Status.Final() && k.To != "+12025550177" {
				t.Errorf("the carrier's call to %s is left %v", k.To, k.Status)
			}
		}
		for number, n := range placed {
			if n > 1 {
				t.Errorf("%s was dialed %d times", number, n)
			}
		}
		if c := rs.reaches(2, survivor.ID, call.Active); c.State != call.Active {
			t.Errorf("the call of another replica is %v", c.State)
		}
		over := rs.all[1].Stats().TakenOver + rs.all[2].Stats().TakenOver
		if over != calls {
			t.Errorf("%d calls were taken over, want %d", over, calls)
		}
		t.Logf("%d calls settled %v after the death", calls, took)
	})
}

// A replica that was thought dead, and is back, gives up the calls that others
// have taken over. It neither hangs up nor stores anything of them.
func TestClusterFencesAReplicaThatIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := newReplicas(t, "twilio", call.NewMemoryStore(), 2, nil)
		time.Sleep(time.Minute)
		kept := rs.place(1, "+12025550143")
		lost := rs.place(0, callee)
		rs.reaches(0, lost.ID, call.Active)
		rs.all[0].store.cut.Store(true) // it loses its store, and nothing else
		settled, err := rs.all[1].Wait(t.Context(), lost.ID)
		if err != nil || settled.Cause != call.Interrupted {
			t.Fatalf("%+v, %v", settled, err)
		}
		if _, err := rs.all[0].Place(t.Context(), call.Request{AgentID: "agent", To: callee, From: ours}); !errors.Is(err, call.ErrNoLease) {
			t.Errorf("placed without a lease: %v", err)
		}
		rs.all[0].store.cut.Store(false)
		time.Sleep(testLease)
		st := rs.all[0].Stats()
		if st.Live != 0 || st.Fenced+st.Ended[call.Completed] != 1 {
			t.Errorf("the replica that is back: %+v", st)
		}
		again, err := rs.all[0].Call(t.Context(), lost.ID)
		if err != nil || again.Version != settled.Version || again.Cause != settled.Cause {
			t.Errorf("the record is %+v, %v", again, err)
		}
		if c := rs.reaches(0, kept.ID, call.Active); c.State != call.Active {
			t.Errorf("the other call is %v", c.State)
		}
		if c := rs.place(0, "+12025550144"); rs.reaches(1, c.ID, call.Active).State != call.Active {
			t.Error("the replica that is back places no calls")
		}
	})
}

// A dial that has waited for its turn while its replica was thought dead does not
// leave.
func TestClusterFencesADialThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := newReplicas(t, "twilio", call.NewMemoryStore(), 2, func(c *call.Config) { c.DialsPerSecond = 1.0 / 40 })
		time.Sleep(time.Minute)
		rs.reaches(0, rs.place(0, "+12025550143").ID, call.Active)
		second := rs.place(0, callee) // its turn is in 40 s
		rs.all[0].store.cut.Store(true)
		c, err := rs.all[1].Wait(t.Context(), second.ID)
		if err != nil || c.State != call.Failed || c.Cause != call.DialUnknown {
			t.Errorf("%+v, %v", c, err)
		}
		rs.all[0].store.cut.Store(false)
		time.Sleep(2 * time.Minute)
		for _, k := range rs.Carrier.Calls() {
			if k.To == callee {
				t.Errorf("dialed after all: %+v", k)
			}
		}
	})
}

// An outage of the store is nobody's death: replicas that all lost it keep their
// calls.
func TestClusterSurvivesAnOutageOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := newReplicas(t, "twilio", call.NewMemoryStore(), 2, nil)
		time.Sleep(time.Minute)
		var ids []string
		for i := range 2 {
			c := rs.place(i, telephony.Number(fmt.Sprintf("+1202555014%d", i)))
			rs.reaches(i, c.ID, call.Active)
			ids = append(ids, c.ID)
		}
		for _, r := range rs.all {
			r.store.cut.Store(true)
		}
		time.Sleep(3 * testLease)
		for _, r := range rs.all {
			r.store.cut.Store(false)
			time.Sleep(2 * time.Second)
		}
		time.Sleep(2 * testLease)
		for i, id := range ids {
			if c := rs.reaches(1-i, id, call.Active); c.State != call.Active {
				t.Errorf("call %d is %v, %q", i, c.State, c.Cause)
			}
			if st := rs.all[i].Stats(); st.TakenOver+st.Fenced != 0 {
				t.Errorf("replica %d: %+v", i, st)
			}
		}
	})
}

// Of replicas that all look for the calls of a dead one at the same time, one gets
// each.
func TestClusterClaimsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := call.NewMemoryStore()
		rs := newReplicas(t, "twilio", store, 3, nil)
		for _, r := range rs.all {
			r.store.slow.Store(int64(20 * time.Millisecond)) // so that all are at it together
		}
		time.Sleep(time.Minute)
		const calls = 1000
		left(t, store, calls, func(_ int, c *call.Call) { c.Owner = "http://dead.test/word" })
		time.Sleep(5 * time.Minute)
		var over int64
		for _, r := range rs.all {
			st := r.Stats()
			if st.TakenOver == 0 || st.Fenced != 0 {
				t.Errorf("%+v", st)
			}
			over += st.TakenOver
		}
		if over != calls {
			t.Errorf("%d calls were taken over, want %d", over, calls)
		}
		for i := range calls {
			events, err := store.Events(t.Context(), fmt.Sprintf("call_%04d", i), 0)
			if err != nil {
				t.Fatal(err)
			}
			ends := 0
			for _, e := range events {
				if e.Type == call.EventState && e.State.Terminal() {
					ends++
				}
			}
			if ends != 1 {
				t.Errorf("call %d has ended %d times", i, ends)
			}
		}
	})
}

// A replica that starts again at its address takes up its own calls at once, and
// those of no other.
func TestClusterRecoversItsOwnCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := newReplicas(t, "twilio", call.NewMemoryStore(), 2, nil)
		rs.to = func(*http.Request) int { return 1 }
		time.Sleep(time.Minute)
		own, other := rs.place(0, callee), rs.place(1, "+12025550143")
		rs.reaches(0, own.ID, call.Active)
		rs.reaches(1, other.ID, call.Active)
		time.Sleep(time.Second) // and all is stored
		rs.all[0].die()
		before := rs.all[0].addr
		again := rs.start(func(c *call.Config) { c.Cluster.Address = "http://" + before })
		began := time.Now()
		c, err := again.Wait(t.Context(), own.ID)
		if err != nil || c.Cause != call.Interrupted {
			t.Errorf("%+v, %v", c, err)
		}
		if took := time.Since(began); took > testLease/2 {
			t.Errorf("took %v", took)
		}
		if c := rs.reaches(1, other.ID, call.Active); c.State != call.Active || again.Stats().TakenOver != 1 {
			t.Errorf("the other's call is %v; taken over %d", c.State, again.Stats().TakenOver)
		}
	})
}

// A hang-up of a call whose replica has died takes the call over first, if the
// lease is over; otherwise it fails soon.
func TestClusterHangupOfADeadReplicasCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := newReplicas(t, "twilio", call.NewMemoryStore(), 2, nil)
		time.Sleep(time.Minute)
		c := rs.place(0, callee)
		rs.reaches(0, c.ID, call.Active)
		rs.all[0].die()
		began := time.Now()
		if err := rs.all[1].Hangup(t.Context(), c.ID); !errors.Is(err, call.ErrUnreachable) {
			t.Errorf("while its lease is good: %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v to say so", took)
		}
		for rs.all[1].Hangup(t.Context(), c.ID) != nil {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(began); took > 2*testLease {
			t.Errorf("hung up after %v", took)
		}
		if c, err := rs.all[1].Wait(t.Context(), c.ID); err != nil || c.State != call.Completed {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// Orders need the secret, count once, and are for one replica only.
func TestClusterOrdersNeedTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := newReplicas(t, "twilio", call.NewMemoryStore(), 2, nil)
		c := rs.place(0, callee)
		rs.reaches(0, c.ID, call.Active)
		tap := &tap{RoundTripper: rs.all[1].machine.Transport()}
		third := rs.start(func(c *call.Config) { c.Cluster.Transport = tap })
		if err := third.Hold(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if status := tap.again(t, nil); status != http.StatusForbidden {
			t.Errorf("sent again: %d", status)
		}
		if status := tap.again(t, func(r *http.Request) { r.URL.Path += "x" }); status != http.StatusNotFound {
			t.Errorf("sent to another: %d", status)
		}
		if status := tap.again(t, func(r *http.Request) { r.Header.Del("Switchboard-Signature") }); status != http.StatusForbidden {
			t.Errorf("not signed: %d", status)
		}
		stranger := rs.start(func(c *call.Config) { c.Cluster.Secret = "another secret, as long" })
		if err := stranger.Resume(t.Context(), c.ID); !errors.Is(err, call.ErrUnreachable) {
			t.Errorf("with another secret: %v", err)
		}
		if held, err := rs.all[0].Call(t.Context(), c.ID); err != nil || !held.OnHold {
			t.Errorf("the call is %+v, %v", held, err)
		}
	})
}

// tap keeps the last order.
type tap struct {
	http.RoundTripper
	mu   sync.Mutex
	last *http.Request
}

func (k *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	k.last = r
	k.mu.Unlock()
	return k.RoundTripper.RoundTrip(r)
}

func (k *tap) again(t *testing.T, change func(*http.Request)) int {
	t.Helper()
	r := k.last.Clone(t.Context())
	body, err := k.last.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	r.Body = body
	if change != nil {
		change(r)
	}
	res, err := k.RoundTripper.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// clutching is a store that does not return from the end of a lease.
type clutching struct {
	call.SharedStore
	*unfit
}

func (s clutching) Resign(ctx context.Context, replica string) error {
	s.at("Store.Resign")
	return s.SharedStore.Resign(ctx, replica)
}

// A store that does not return does not hold up the end of a replica; to shut it
// down again is no error.
func TestClusterEndsWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newUnfit("Store.Resign", false)
		rs := newReplicas(t, "twilio", call.NewMemoryStore(), 1, func(c *call.Config) {
			c.Store = clutching{c.Store.(call.SharedStore), f}
		})
		began := time.Now()
		for range 2 {
			if err := rs.all[0].Shutdown(t.Context()); err != nil || time.Since(began) > 10*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		<-f.reached
		close(f.release)
	})
}
