package routing

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Lookup finds which agent has spoken with a caller last.
type Lookup interface {
	// LastAgent returns "" if there is none. It may be called by many goroutines
	// at once, and must return soon after ctx ends.
	LastAgent(ctx context.Context, req *Request) (agentID string, err error)
}

// Sticky sends callers to the agent whom Lookup names: the one they know. Put it
// into an [IfFree] to heed whether that one has room, and into a [Within] if the
// lookup may take long.
type Sticky struct {
	Lookup Lookup // needed
}

// Route returns the agent, or ErrNoRoute if the caller is new.
func (p Sticky) Route(ctx context.Context, req *Request) (Decision, error) {
	agent, err := p.Lookup.LastAgent(ctx, req)
	switch {
	case err != nil:
		return Decision{}, err
	case agent == "":
		return Decision{}, Pass("a new caller")
	}
	return Decision{AgentID: agent, Reason: "spoke last with " + req.From.String()}, nil
}

func (p Sticky) policy() string { return "sticky" }

// Validate checks that there is a lookup.
func (p Sticky) Validate() error {
	if p.Lookup == nil {
		return errors.New("routing: Sticky.Lookup is nil")
	}
	return nil
}

// Recent is a Lookup in memory, which forgets with the process. Its zero value
// remembers nobody. It may be used by many goroutines at once, and must not be
// copied.
type Recent struct {
	// Max is how many callers are remembered; of more, those whom nobody has
	// spoken with for longest are forgotten. Zero: 10,000.
	Max int
	// For is how long a caller is remembered. Zero: as long as there is room.
	For time.Duration

	mu      sync.Mutex // guards what follows
	callers map[telephony.Number]*list.Element
	latest  list.List // of acquaintance, the newest first
}

type acquaintance struct {
	caller telephony.Number
	agent  string
	at     time.Time
}

const defaultRecent = 10_000

// Note remembers that an agent has spoken with a caller. Callers without a number
// are not remembered: they are not all the same person.
func (r *Recent) Note(caller telephony.Number, agentID string) {
	if !caller.Valid() || agentID == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.callers[caller]; e != nil {
		e.Value = acquaintance{caller, agentID, time.Now()}
		r.latest.MoveToFront(e)
		return
	}
	if r.callers == nil {
		r.callers = make(map[telephony.Number]*list.Element)
	}
	r.callers[caller] = r.latest.PushFront(acquaintance{caller, agentID, time.Now()})
	limit := r.Max
	if limit <= 0 {
		limit = defaultRecent
	}
	if r.latest.Len() > limit {
		delete(r.callers, r.latest.Remove(r.latest.Back()).(acquaintance).caller)
	}
}

// LastAgent implements [Lookup].
func (r *Recent) LastAgent(_ context.Context, req *Request) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.callers[req.From]
	if e == nil {
		return "", nil
	}
	a := e.Value.(acquaintance)
	if r.For > 0 && time.Since(a.at) > r.For {
		return "", nil
	}
	return a.agent, nil
}
