package call

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Recover takes up the calls that a service with the same store had when its
// process ended. Call it once, before the first request is served. It dials
// nothing: each call is looked up with its carrier, hung up if it still stands,
// and brought to its terminal state in the background, where Wait finds it. What
// is left of its recording is attached, if the recorder is a [recording.Salvager].
//
// With a Cluster it makes this service one of the replicas. It takes up the calls
// of whoever was at its address before, at once, and those of other replicas that
// have died, then and later, when their lease is over.
//
// The error tells of calls that could not be taken up; the others are.
func (s *Service) Recover(ctx context.Context) error {
	mine := func(*Call) bool { return true }
	if c := s.cluster; c != nil {
		if s.Draining() {
			return fmt.Errorf("call: recover: %w", ErrShutdown)
		}
		if err := c.join(ctx); err != nil {
			return fmt.Errorf("call: recover: %w", err)
		}
		mine = func(r *Call) bool { return r.Owner == "" || addressOf(r.Owner) == c.cfg.Address }
		s.keepers.Go(func() { c.run(s.ctx) })
		select {
		case <-c.watching:
		case <-time.After(c.cfg.Lease / 3): // calls are more urgent than news of them
		case <-ctx.Done():
		}
	}
	if err := s.adopt(ctx, mine); err != nil {
		return fmt.Errorf("call: recover: %w", err)
	}
	return nil
}

// adopt takes up the calls that no replica has, if they are mine. One that somebody
// else has taken meanwhile is no error.
func (s *Service) adopt(ctx context.Context, mine func(*Call) bool) error {
	owners, err := s.owners(ctx)
	if err != nil {
		return err
	}
	var left []*live
	defer func() { s.resume(left) }()
	var failed error
	for calls, err := range s.pages(ctx, Filter{States: liveStates, NotOwnedBy: owners}) {
		if err != nil {
			return errors.Join(failed, err)
		}
		rand.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] }) // others look, too
		for _, c := range calls {
			if s.find(c.ID) != nil || !mine(c) {
				continue
			}
			switch l, err := s.takeUp(ctx, c, input{kind: inRecovered}); {
			case errors.Is(err, ErrShutdown):
				return err
			case errors.Is(err, ErrConflict) && s.cluster != nil:
			case err != nil:
				failed = errors.Join(failed, fmt.Errorf("%s: %w", c.ID, err))
			default:
				s.counts.takenOver.Add(1)
				left = append(left, l)
			}
		}
	}
	return failed
}

var liveStates = []State{Initiated, Connecting, Connected, Active, Ending}

// owners are the replicas whose calls are not to be taken up.
func (s *Service) owners(ctx context.Context) ([]string, error) {
	if s.cluster != nil {
		return s.cluster.replicas(), nil
	}
	shared, ok := s.cfg.Store.(SharedStore)
	if !ok {
		return nil, nil
	}
	return askStore(ctx, s, shared.Replicas)
}

// takeUp makes a call live again that a store has, with its first input, and leaves
// it for resume.
func (s *Service) takeUp(ctx context.Context, c *Call, first input) (*live, error) {
	var past life
	if err := json.Unmarshal(c.Life, &past); err != nil {
		return nil, fmt.Errorf("life: %w", err)
	}
	provider, ok := s.providers[c.Provider]
	if c.Provider == browserName {
		provider, ok = browser{}, true
	}
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownProvider, c.Provider)
	}
	if err := s.claim(ctx, c); err != nil {
		return nil, err
	}
	l := s.newLive(c, past, provider, s.cfg.Agents[c.AgentID])
	l.recovered = true
	l.writer.version = c.Version
	l.seq = c.Events
	l.inbox <- delivery{input: first} // the inbox is empty
	if err := s.readmit(l); err != nil {
		l.close()
		return nil, err
	}
	if past.Leg != "" {
		s.bind(l, legKey{c.Provider, past.Leg})
	}
	return l, nil
}

// recoverAtOnce is how many recovered calls are brought to their end at once, so
// that the carrier is not flooded.
const recoverAtOnce = 32

// resume starts the owners of calls that were taken up, in the background, a few
// at a time. A service that stops leaves the rest to the next process.
func (s *Service) resume(calls []*live) {
	if len(calls) == 0 {
		return
	}
	s.calls.Go(func() {
		room := make(chan struct{}, recoverAtOnce)
		for _, l := range calls {
			select {
			case room <- struct{}{}:
				s.calls.Go(func() {
					l.run()
					<-room
				})
			case <-s.ctx.Done():
				l.abandon()
			}
		}
	})
}

// statusInput is the input that a carrier's report is.
func statusInput(kind inputKind, e telephony.Event) input {
	return input{
		kind:    kind,
		leg:     e.ProviderCallID,
		request: e.RequestID,
		status:  e.Status,
		talked:  e.Status == telephony.StatusCompleted && e.Duration > 0,
		detail:  e.Cause,
	}
}
