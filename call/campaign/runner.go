package campaign

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/numbering"
)

// Placer is what a Runner needs of a call.Service.
type Placer interface {
	Place(ctx context.Context, req call.Request) (*call.Call, error)
	Wait(ctx context.Context, id string) (*call.Call, error)
	Events(ctx context.Context, id string, after int64) ([]call.Event, error)
}

var _ Placer = (*call.Service)(nil)

// Config says how a Runner works. Service is needed; all else has a default.
type Config struct {
	// Service places the calls. Its own store must outlive the process if that of
	// the campaigns does, and be the same in all processes that share campaigns: it
	// is what keeps a contact from being called twice.
	Service Placer
	// Store keeps the campaigns. Nil: in memory, lost with the process.
	Store Store
	// DoNotCall knows whom not to call. It is asked right before each dial, by many
	// goroutines at once; while it fails the contact is not called, and asked about
	// again a minute later. Nil: nobody is on it, besides whom the policy of Service
	// knows of.
	DoNotCall call.DoNotCall
	// Abandoned says whether the person who picked up a call that is over had nobody
	// there, for a host whose agents are people that a call is passed on to. Nil: by
	// when the call became active, see the outcome Abandoned.
	Abandoned func(ctx context.Context, c *call.Call) (bool, error)
	// Lease is how long a claim lasts that is not renewed, and so how long the
	// contacts of a process that died wait. The clocks of processes that share
	// campaigns must not differ by more. Zero: one minute.
	Lease time.Duration
	// Poll is how often the clock and the store are looked at, at least. Zero: 5
	// seconds.
	Poll time.Duration
	// Logger takes what operators should know. Nil: slog.Default().
	Logger *slog.Logger
}

// Runner runs campaigns. Make one with [New] and have it [Runner.Run]. Its methods
// may be used by many goroutines at once, and without Run, by a process that only
// looks at campaigns or changes them. Several may run the campaigns of one store.
type Runner struct {
	cfg   Config
	store Store
	log   *slog.Logger
	owner string // of claims: this Runner, and no other ever

	contacts sync.WaitGroup // goroutines of Run that have a contact
	news     chan struct{}  // holds one: the loop has to look again
	counts   counts

	mu      sync.Mutex // guards what follows
	running bool
	works   map[string]*work // campaigns with contacts in this process, or that did have
}

// counts are the figures behind Stats.
type counts struct{ placed, taken, postponed, lost, storeErrors atomic.Int64 }

// Stats are figures about a Runner since it was made.
type Stats struct {
	Placed      int64 // attempts
	Taken       int64 // of these, contacts that another process had left behind
	Postponed   int64 // contacts that could not be called for lack of room, or of an answer of DoNotCall
	Lost        int64 // contacts that another process has taken over meanwhile
	StoreErrors int64
}

// Stats returns the figures of now.
func (r *Runner) Stats() Stats {
	return Stats{
		Placed:      r.counts.placed.Load(),
		Taken:       r.counts.taken.Load(),
		Postponed:   r.counts.postponed.Load(),
		Lost:        r.counts.lost.Load(),
		StoreErrors: r.counts.storeErrors.Load(),
	}
}

// New returns a Runner. It starts no goroutine.
func New(cfg Config) (*Runner, error) {
	if cfg.Service == nil {
		return nil, errors.New("campaign: config: Service is nil")
	}
	if cfg.Lease < 0 || cfg.Poll < 0 {
		return nil, errors.New("campaign: config: Lease or Poll is negative")
	}
	if cfg.Store == nil {
		cfg.Store = new(MemoryStore)
	}
	setDefault(&cfg.Lease, time.Minute)
	setDefault(&cfg.Poll, 5*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Runner{
		cfg:   cfg,
		store: cfg.Store,
		log:   cfg.Logger,
		owner: rand.Text(),
		news:  make(chan struct{}, 1),
		works: make(map[string]*work),
	}, nil
}

// Create stores a campaign without contacts. It is paused until Start. Errors can
// be told apart with errors.Is: ErrInvalid, ErrExists. Whether the service takes
// its calls is seen at each of them.
func (r *Runner) Create(ctx context.Context, spec Spec) (*Campaign, error) {
	if spec.ID == "" {
		spec.ID = "camp_" + strings.ToLower(rand.Text())
	}
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("campaign: create: %w", err)
	}
	c := &Campaign{Spec: spec.WithDefaults(), State: Paused, CreatedAt: time.Now().Round(0).UTC(), Version: 1}
	if err := r.store.Create(ctx, c); err != nil {
		return nil, fmt.Errorf("campaign: create: %w", err)
	}
	return c, nil
}

// MaxAdd is how many contacts Add takes at once.
const MaxAdd = 10_000

// Add appends contacts to a campaign, in order, and returns how many: those whose
// number it has already are left out, so that a list that was interrupted can be
// sent again. If one cannot be, none is added and the error is a *ContactError that
// wraps ErrInvalid. A number that no numbering plan has, or that rings nobody knows
// where, is added, and refused.
//
// Other errors wrap ErrNotFound, ErrOver or ErrFull.
func (r *Runner) Add(ctx context.Context, id string, contacts []Contact) (added int, err error) {
	if len(contacts) > MaxAdd {
		return 0, fmt.Errorf("campaign: add: %w: more than %d contacts at once", ErrInvalid, MaxAdd)
	}
	c, err := r.store.Get(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("campaign: add: %w", err)
	}
	list := make([]Contact, len(contacts))
	open := make(map[group]bool) // ever
	for i := range contacts {
		if err := contacts[i].check(); err != nil {
			return 0, fmt.Errorf("campaign: add: %w", &ContactError{i, err})
		}
		k := Contact{Number: contacts[i].Number, Data: contacts[i].Data, State: Waiting}
		info, err := numbering.Check(k.Number)
		g := groupOf(info.Zones)
		if _, known := open[g]; !known {
			_, open[g] = g.opens(c.Hours, time.Now())
		}
		switch k.Zones = string(g); {
		case err != nil:
			k.over(Refused, "no numbering plan has the number")
		case !open[g]:
			k.over(Refused, "it is never within the hours in all zones where the number may ring")
		}
		list[i] = k
	}
	added, err = r.store.Add(ctx, id, list)
	if err != nil {
		return 0, fmt.Errorf("campaign: add: %w", err)
	}
	r.forget(id)
	r.look()
	return added, nil
}

// Get returns a campaign, or an error that wraps ErrNotFound.
func (r *Runner) Get(ctx context.Context, id string) (*Campaign, error) {
	c, err := r.store.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("campaign: get: %w", err)
	}
	return c, nil
}

// List returns campaigns that fit f, by id, at most f.Max() of them.
func (r *Runner) List(ctx context.Context, f Filter) ([]*Campaign, error) {
	list, err := r.store.List(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("campaign: list: %w", err)
	}
	return list, nil
}

// Start has a campaign call, from the beginning or from where it was paused. One
// that runs is not changed. One that is over is refused with ErrOver.
func (r *Runner) Start(ctx context.Context, id string) (*Campaign, error) {
	return r.change(ctx, "start", id, func(c *Campaign) error {
		if c.State.Over() {
			return ErrOver
		}
		c.State = Running
		return nil
	})
}

// Pause keeps contacts from being called until Start. Once it has returned no call
// will be placed by this Runner; others see it at their next dial. Calls that have
// been placed go on. A campaign that is over is refused with ErrOver.
func (r *Runner) Pause(ctx context.Context, id string) (*Campaign, error) {
	return r.change(ctx, "pause", id, func(c *Campaign) error {
		if c.State.Over() {
			return ErrOver
		}
		c.State = Paused
		return nil
	})
}

// Stop is Pause for good, with a reason for people. A campaign that is over is not
// changed.
func (r *Runner) Stop(ctx context.Context, id, reason string) (*Campaign, error) {
	return r.change(ctx, "stop", id, func(c *Campaign) error {
		if !c.State.Over() {
			c.State, c.Reason = Stopped, reason
		}
		return nil
	})
}

// Remove forgets a campaign that is over, its contacts and what became of them.
// Another one is refused with an error that wraps ErrConflict: stop it first.
func (r *Runner) Remove(ctx context.Context, id string) error {
	c, err := r.store.Get(ctx, id)
	switch {
	case err != nil:
	case !c.State.Over():
		err = fmt.Errorf("%w: it is %s", ErrConflict, c.State)
	default:
		err = r.store.Delete(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("campaign: remove: %w", err)
	}
	return nil
}

// change changes a campaign, whoever else does at the same time, and returns when
// no call is being placed that does not know of it.
func (r *Runner) change(ctx context.Context, deed, id string, do func(*Campaign) error) (*Campaign, error) {
	for {
		c, err := r.store.Get(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("campaign: %s: %w", deed, err)
		}
		before := c.State
		if err := do(c); err != nil {
			return nil, fmt.Errorf("campaign: %s: %w", deed, err)
		}
		if c.State == before {
			return c, nil
		}
		c.Version++
		err = r.store.Update(ctx, c)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("campaign: %s: %w", deed, err)
		}
		w := r.work(id)
		w.gate.Lock()
		w.gate.Unlock() //nolint:staticcheck // whoever was inside has come out
		r.look()
		return c, nil
	}
}

// look has the loop look again.
func (r *Runner) look() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}
