package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/routing"
)

// Config says who waits for whom. Agents and Queues are needed; all else has a
// default.
type Config struct {
	// Agents are all agents of the service, but for the queues: see Desk.Agents.
	Agents call.Agents
	// Queues are the queues by name. No agent has such a name.
	Queues map[string]Queue
	// Capacity is how many calls an agent has at once of whom SetAgent was not told
	// otherwise. Zero: 1.
	Capacity int

	// Store keeps the places. Nil: in memory, for one service.
	Store Store
	// Poll is how often the store is looked at, at least: other desks write it too.
	// So an agent who gets free in one process is given to a caller in another within
	// this time. Zero: 500 ms.
	Poll time.Duration
	// Lease is how long after the death of a process its places and the calls of its
	// agents count. Zero: 15 seconds.
	Lease time.Duration
	// Logger takes what operators should know. Nil: slog.Default().
	Logger *slog.Logger
}

const (
	defaultPoll  = 500 * time.Millisecond
	defaultLease = 15 * time.Second
)

// Desk gives callers to agents. Make one with [New], give its Agents to a service,
// and have it Run. Its methods may be used by many goroutines at once.
type Desk struct {
	cfg    Config
	store  Store
	log    *slog.Logger
	queues map[string]*line
	owner  string
	news   chan struct{} // holds one: the loop has to look again

	mu       sync.Mutex // guards what follows
	running  bool
	writes   []write           // for the store, in order
	visits   map[string]*visit // by place: callers on the line who wait
	given    map[string]*Place // by call: callers whom an agent will have at once
	seats    map[string]*Place // by place: callers whom an agent has
	callings map[string]*Place // by place: those who are being called back
}

// write is something to be done in the store, in its time.
type write struct {
	place *Place
	do    deed
}

type deed int

const (
	join   deed = iota // or it is there already
	leave              // or it is gone already
	goBack             // a callback, into the line
)

// New checks cfg and returns a Desk. It starts no goroutine.
func New(cfg Config) (*Desk, error) {
	if cfg.Capacity < 0 || cfg.Poll < 0 || cfg.Lease < 0 {
		return nil, errors.New("queue: config: Capacity, Poll or Lease is negative")
	}
	if len(cfg.Queues) == 0 {
		return nil, errors.New("queue: config: Queues is empty")
	}
	if cfg.Capacity == 0 {
		cfg.Capacity = 1
	}
	if cfg.Store == nil {
		cfg.Store = new(MemoryStore)
	}
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Lease == 0 {
		cfg.Lease = defaultLease
	}
	if cfg.Poll > cfg.Lease/3 {
		return nil, errors.New("queue: config: Poll is above a third of Lease")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	d := &Desk{
		cfg:      cfg,
		store:    cfg.Store,
		log:      cfg.Logger,
		queues:   make(map[string]*line, len(cfg.Queues)),
		owner:    newID("desk"),
		news:     make(chan struct{}, 1),
		visits:   make(map[string]*visit),
		given:    make(map[string]*Place),
		seats:    make(map[string]*Place),
		callings: make(map[string]*Place),
	}
	for name, q := range cfg.Queues {
		if name == "" || cfg.Agents[name] != nil {
			return nil, fmt.Errorf("queue: config: queue %q has no name, or that of an agent", name)
		}
		q, err := q.withDefaults(cfg.Agents)
		if err != nil {
			return nil, fmt.Errorf("queue: config: queue %q: %w", name, err)
		}
		d.queues[name] = &line{Queue: q, desk: d, name: name, handling: q.Handling}
	}
	return d, nil
}

func newID(kind string) string { return kind + "_" + strings.ToLower(rand.Text()) }

// Agents are those for call.Config.Agents: the agents of the desk, and the queues.
// The calls of agents who are in a queue are counted, whoever gave them the call.
func (d *Desk) Agents() call.Agents {
	all := maps.Clone(d.cfg.Agents)
	for name, l := range d.queues {
		all[name] = l
		for _, agent := range l.Agents {
			all[agent] = attendant{desk: d, name: agent, agent: d.cfg.Agents[agent]}
		}
	}
	return all
}

// Router sends every caller to a queue, where somebody may be free at once. It has
// no opinion when as many wait there as may: put what is asked then behind it, in a
// routing.First. It does not ask the store: the few callers who come between the
// last place and the news of it are sent to Queue.Backup.
func (d *Desk) Router(queue string) routing.Router {
	return routing.Named("queue", routing.RouterFunc(func(context.Context, *routing.Request) (routing.Decision, error) {
		l := d.queues[queue]
		if l == nil {
			return routing.Decision{}, fmt.Errorf("queue: there is no queue %q", queue)
		}
		if n := l.length(); n >= l.Max {
			return routing.Decision{}, routing.Pass(fmt.Sprintf("%d of %d wait in %s", n, l.Max, queue))
		}
		return routing.Decision{AgentID: queue, Reason: "queue " + queue}, nil
	}))
}

// SetAgent says whether an agent may be given callers from now on, on all services
// that share the store. Those it has, it keeps. A Capacity of zero is any number.
func (d *Desk) SetAgent(ctx context.Context, name string, a routing.Availability) error {
	if err := d.store.SetAgent(ctx, name, a); err != nil {
		return fmt.Errorf("queue: set agent: %w", err)
	}
	d.look()
	return nil
}

// look has the loop look again.
func (d *Desk) look() {
	select {
	case d.news <- struct{}{}:
	default: // it will anyway
	}
}

// write has something done in the store. The caller holds mu.
func (d *Desk) write(do deed, p *Place) {
	d.writes = append(d.writes, write{place: p.Clone(), do: do})
	d.look()
}
