package call

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Cluster makes a service one of several, its replicas, that share a SharedStore
// and a PublicURL: any of them can be sent any webhook, media socket or request
// about any call. A call belongs to the replica that has made or taken it; the
// others pass on to it what concerns it. Calls of a replica that has died are
// taken over, settled with the carrier as after a restart, and never dialed again.
//
// Each replica holds a lease in the store. One that cannot renew it, because the
// store does not answer, takes and dials no new calls until it can; those that
// live go on. MaxCalls and DialsPerSecond are those of each replica.
//
// The zero value is a service that is alone.
type Cluster struct {
	// Address is where the others reach Handler of this replica, such as
	// "http://10.0.0.7:8010": of this process, and of no balancer in front of it.
	// Numbers and sound travel there: it is https, unless the host is a private or
	// loopback address, or a name under .test. Who starts at an address takes over at once from who
	// was there before.
	Address string
	// Secret is what replicas know each other by: the same for all, at least 16
	// bytes, and nobody else's.
	Secret telephony.Secret
	// Lease is for how long a replica that says nothing is believed to live; it is
	// renewed three times as often. Zero: 15 s.
	Lease time.Duration
	// Transport makes requests to other replicas. Nil: one that uses no proxy.
	Transport http.RoundTripper
}

var (
	// ErrNoLease tells that this replica may take no calls at present: its store
	// does not answer, or Recover has not been called. See Cluster.
	ErrNoLease = errors.New("replica has no lease")
	// ErrUnreachable tells that the replica that has the call does not answer, and
	// may live all the same.
	ErrUnreachable = errors.New("replica that has the call does not answer")
)

const (
	defaultLease = 15 * time.Second
	leastSecret  = 16
)

// withDefaults checks c, which is not the zero value.
func (c Cluster) withDefaults(store Store) (Cluster, error) {
	u, err := url.Parse(c.Address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return c, errors.New("Cluster.Address is not a scheme and a host")
	case u.Scheme != "https" && !(u.Scheme == "http" && isPrivate(u.Hostname())):
		return c, errors.New("Cluster.Address must be https, unless it is a private address")
	case len(c.Secret) < leastSecret:
		return c, fmt.Errorf("Cluster.Secret has fewer than %d bytes", leastSecret)
	case c.Lease < 0:
		return c, errors.New("Cluster.Lease is negative")
	}
	if _, ok := store.(SharedStore); !ok {
		return c, errors.New("Cluster needs a Store that is a SharedStore")
	}
	c.Address = u.Scheme + "://" + u.Host
	setDefault(&c.Lease, defaultLease)
	if c.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy = nil
		t.ResponseHeaderTimeout = peerTimeout
		t.MaxIdleConnsPerHost = 64
		c.Transport = t
	}
	return c, nil
}

func isPrivate(host string) bool {
	ip, err := netip.ParseAddr(host)
	return isLocal(host) || err == nil && (ip.IsPrivate() || ip.IsLinkLocalUnicast())
}

// cluster is a replica's part in a Cluster.
type cluster struct {
	svc   *Service
	cfg   Cluster
	store SharedStore
	name  string // as in Call.Owner
	peers peers

	watching chan struct{} // closed when events elsewhere are heard of
	watched  sync.Once

	mu     sync.Mutex // guards what follows
	until  time.Time  // our lease is good until then, by our own clock
	since  time.Time  // and has been since
	lapses int        // how often it was not
	good   []string   // the replicas, as they were last seen
	waits  map[string]*news
}

// news is what those wait for who wait for news of a call elsewhere.
type news struct {
	waiting int
	ch      chan struct{}
}

// A replica's name is its address and a word that no other has had: so it tells
// where it is, and who was there before.
func newCluster(s *Service) *cluster {
	c := &cluster{
		svc:   s,
		cfg:   s.cfg.Cluster,
		store: s.cfg.Store.(SharedStore),
		name:  s.cfg.Cluster.Address + "/" + newID()[:13],
		waits: make(map[string]*news),

		watching: make(chan struct{}),
	}
	c.peers.init(c)
	return c
}

func addressOf(replica string) string { return replica[:max(0, strings.LastIndexByte(replica, '/'))] }
func wordOf(replica string) string    { return replica[strings.LastIndexByte(replica, '/')+1:] }

// owner is the name to put into records; empty where a service is alone.
func (s *Service) owner() string {
	if s.cluster == nil {
		return ""
	}
	return s.cluster.name
}

// join takes a lease, and those of processes that were at our address before.
func (c *cluster) join(ctx context.Context) error {
	if err := c.renew(ctx); err != nil {
		return err
	}
	if err := c.look(ctx); err != nil {
		return err
	}
	for _, r := range c.replicas() {
		if r != c.name && addressOf(r) == c.cfg.Address {
			if err := c.resign(ctx, r); err != nil {
				return err
			}
		}
	}
	return c.look(ctx)
}

// run keeps the lease, looks for calls that nobody has, and hears of events
// elsewhere, until ctx ends.
func (c *cluster) run(ctx context.Context) {
	var watch sync.WaitGroup
	watch.Go(func() { c.watch(ctx) })
	defer watch.Wait()
	for {
		_, lapses, _ := c.standing()
		pause := c.cfg.Lease / 3
		select {
		case <-time.After(pause - pause/10 + rand.N(pause/5)): // not all at once
		case <-ctx.Done():
			return
		}
		err := c.renew(ctx)
		if err == nil {
			err = c.look(ctx)
		}
		if err != nil {
			if ctx.Err() == nil {
				c.svc.log.Error("lease not renewed", "err", err)
			}
			continue
		}
		if _, now, _ := c.standing(); now != lapses {
			c.svc.doubtAll()
		}
		if !c.settled() || c.svc.Draining() {
			continue
		}
		if err := c.svc.adopt(ctx, c.svc.canTake); err != nil && ctx.Err() == nil {
			c.svc.log.Error("calls that nobody has were not taken up", "err", err)
		}
	}
}

// leave ends the lease, after which nothing is written any more.
func (c *cluster) leave() {
	if err := c.resign(context.Background(), c.name); err != nil {
		c.svc.log.Warn("lease not resigned", "err", err) // it ends by itself
	}
	c.peers.close()
}

func (c *cluster) resign(ctx context.Context, replica string) error {
	return c.svc.tellStore(ctx, func(ctx context.Context) error { return c.store.Resign(ctx, replica) })
}

func (c *cluster) renew(ctx context.Context) error {
	began := time.Now() // the lease is ours from some later moment on
	err := c.svc.do(ctx, c.cfg.Lease/3, func(ctx context.Context) error { return c.store.Renew(ctx, c.name, c.cfg.Lease) })
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !time.Now().Before(c.until) {
		c.lapses++
		c.since = began
	}
	c.until = began.Add(c.cfg.Lease)
	return nil
}

// look asks which replicas there are.
func (c *cluster) look(ctx context.Context) error {
	good, err := within(ctx, c.svc, c.cfg.Lease/3, c.store.Replicas, nil)
	if err != nil {
		return err
	}
	if !slices.Contains(good, c.name) {
		good = append(good, c.name)
	}
	c.mu.Lock()
	c.good = good
	c.mu.Unlock()
	c.peers.keep(good)
	return nil
}

func (c *cluster) replicas() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.good)
}

// standing tells since when our lease is good, how often it was not, and whether
// it is good for long enough to do what must not be done without it.
func (c *cluster) standing() (since time.Time, lapses int, good bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since, c.lapses, time.Now().Add(c.cfg.Lease / 5).Before(c.until)
}

// mayTake says why this replica may take no new call.
func (s *Service) mayTake() error {
	if s.cluster != nil {
		if _, _, good := s.cluster.standing(); !good {
			return ErrNoLease
		}
	}
	return nil
}

// watch publishes what happens to calls elsewhere.
func (c *cluster) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := contain(func() error { return c.store.Watch(ctx, c.name, c.heard) })
		if ctx.Err() != nil {
			return
		}
		c.svc.log.Error("events of other replicas are not heard", "err", err)
		select {
		case <-time.After(c.cfg.Lease / 3):
		case <-ctx.Done():
		}
	}
}

func (c *cluster) heard(events []Event) {
	c.watched.Do(func() { close(c.watching) }) // the first call has none
	for _, e := range events {
		c.svc.subs.publish(e)
		if e.Type == EventState && e.State.Terminal() {
			c.mu.Lock()
			if w := c.waits[e.CallID]; w != nil {
				close(w.ch)
				delete(c.waits, e.CallID)
			}
			c.mu.Unlock()
		}
	}
}

// await returns a channel that is closed when the end of a call elsewhere is
// heard of. Whoever does not wait any more calls forget.
func (c *cluster) await(id string) (over <-chan struct{}, forget func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waits[id]
	if w == nil {
		w = &news{ch: make(chan struct{})}
		c.waits[id] = w
	}
	w.waiting++
	return w.ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if w.waiting--; w.waiting == 0 && c.waits[id] == w {
			delete(c.waits, id)
		}
	}
}
