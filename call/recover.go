package call

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Recover takes up the calls that a service with the same store had when its
// process ended. Call it once, before the first request is served. It dials
// nothing: each call is looked up with its carrier, hung up if it still stands,
// and brought to its terminal state in the background, where Wait finds it. What
// is left of its recording is attached, if the recorder is a [recording.Salvager].
//
// The error tells of calls that could not be taken up; the others are.
func (s *Service) Recover(ctx context.Context) error {
	f := Filter{States: []State{Initiated, Connecting, Connected, Active, Ending}, Limit: 1000}
	var left []*live
	defer func() { s.resume(left) }()
	var failed error
	for {
		calls, err := s.cfg.Store.List(ctx, f)
		if err != nil {
			return errors.Join(failed, fmt.Errorf("call: recover: %w", err))
		}
		for _, c := range calls {
			if s.find(c.ID) != nil {
				continue
			}
			switch l, err := s.takeUp(c); {
			case errors.Is(err, ErrShutdown):
				return fmt.Errorf("call: recover: %w", err)
			case err != nil:
				failed = errors.Join(failed, fmt.Errorf("call: recover: %s: %w", c.ID, err))
			default:
				left = append(left, l)
			}
		}
		if len(calls) < f.Max() {
			return failed
		}
		at := PositionOf(calls[len(calls)-1])
		f.Before = &at
	}
}

// takeUp makes a call live again that a store has, and leaves it for resume.
func (s *Service) takeUp(c *Call) (*live, error) {
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
	l := s.newLive(c, past, provider, s.cfg.Agents[c.AgentID])
	l.recovered = true
	l.writer.version = c.Version
	l.seq = c.Events
	l.inbox <- delivery{input: input{kind: inRecovered}} // the inbox is empty
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
