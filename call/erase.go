package call

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// EventEraser is a Store that can take events away, which leaves a place for a
// record of which nothing but its outline is left; see Service.Erase.
type EventEraser interface {
	// EraseEvents deletes the events of a call with a Seq up to last. Nothing there
	// is no error.
	EraseEvents(ctx context.Context, id string, last int64) error
}

// Erase deletes what was said on a call that is over, wherever it is: our
// recording, copies of the carrier's and the carrier's own, as far as the
// recorder (see [recording.Eraser]) and the carrier can; the transcript, the events
// and the record. What is still made out of the call afterwards, such as a
// transcript, is dropped.
//
// If the store is an EventEraser, an outline of the record stays, which tells that
// and when it was erased (Call.ErasedAt), and whose idempotency key still keeps a
// request from being dialed twice: who was called is not in it, nor anything that
// was given or reported. Otherwise nothing is left.
//
// A live call is refused with ErrLive. With another error something may be left,
// and the record with it: Erase can be called again, and of a call that was erased
// it is no error.
func (s *Service) Erase(ctx context.Context, id string) error {
	if err := s.erase(ctx, id); err != nil {
		return fmt.Errorf("call: erase: %w", err)
	}
	return nil
}

func (s *Service) erase(ctx context.Context, id string) error {
	if l := s.find(id); l != nil {
		select {
		case <-l.done:
		default:
			return ErrLive
		}
	}
	err := ErrConflict
	for range amendTries { // somebody else may add something to the record meanwhile
		var c *Call
		if c, err = s.stored(ctx, id); err != nil {
			return err
		}
		switch {
		case !c.ErasedAt.IsZero():
			return nil
		case !c.State.Terminal():
			return ErrLive // with another replica
		}
		if err = s.eraseAll(ctx, c); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return err
}

// eraseAll erases what c tells of, and c last.
func (s *Service) eraseAll(ctx context.Context, c *Call) error {
	kept := slices.Clone(c.Fetched)
	if c.Recording != nil && c.Recording.Key != "" {
		kept = append(kept, *c.Recording)
	}
	for _, rec := range kept {
		if err := s.eraseSound(ctx, rec); err != nil {
			return fmt.Errorf("recording: %w", err)
		}
	}
	if carrier, ok := s.providers[c.Provider].(telephony.CallRecorder); ok {
		for _, r := range c.CarrierRecordings {
			err := s.do(ctx, requestTimeout, func(ctx context.Context) error { return carrier.DeleteRecording(ctx, r.ID) })
			if err != nil {
				return fmt.Errorf("recording of the carrier's: %w", err)
			}
		}
	}
	store, ok := s.cfg.Store.(EventEraser)
	if !ok {
		return s.tellStore(ctx, func(ctx context.Context) error { return s.cfg.Store.Delete(ctx, c.ID) })
	}
	rest := c.outline(time.Now())
	told := Event{Type: EventErased, CallID: c.ID, Tenant: c.Tenant, Seq: rest.Events, At: rest.ErasedAt, State: c.State}
	err := s.tellStore(ctx, func(ctx context.Context) error {
		if err := store.EraseEvents(ctx, c.ID, c.Events); err != nil {
			return err
		}
		return s.cfg.Store.Update(ctx, rest, []Event{told})
	})
	if err == nil {
		s.subs.publish(told)
	}
	return err
}

// outline is what stays of a call that is erased: that it was, and how long, but
// neither whom it concerned nor what was said.
func (c *Call) outline(now time.Time) *Call {
	figures := c.Metrics
	figures.Figures, figures.Leftover = nil, nil
	return &Call{
		ID: c.ID, Tenant: c.Tenant, AgentID: c.AgentID, Direction: c.Direction,
		Provider: c.Provider, ProviderCallID: c.ProviderCallID, ParentID: c.ParentID,
		State: c.State, Cause: c.Cause,
		CreatedAt: c.CreatedAt, AnsweredAt: c.AnsweredAt, EndedAt: c.EndedAt, ErasedAt: now,
		Metrics:        figures,
		IdempotencyKey: c.IdempotencyKey, Fingerprint: c.Fingerprint,
		Owner: c.Owner, Events: c.Events + 1, Version: c.Version + 1,
	}
}

// EraseExpired erases the calls that have been over for longer than
// Config.Retention says, at most so many, and returns how many it has erased. One
// that cannot be erased does not keep the others: the error is that of the first.
//
// It is for the host to call, now and then, such as every hour; on several
// replicas at once it does no harm. It looks through all records, a thousand at
// a time. If it returns most, more may be due.
func (s *Service) EraseExpired(ctx context.Context, most int) (erased int, err error) {
	if s.cfg.Retention == nil {
		return 0, nil
	}
	now := time.Now()
	for calls, listErr := range s.pages(ctx, Filter{}) {
		if listErr != nil {
			return erased, errors.Join(fmt.Errorf("call: erase expired: %w", listErr), err)
		}
		for _, c := range calls {
			if erased >= most || ctx.Err() != nil {
				return erased, errors.Join(ctx.Err(), err)
			}
			if !s.expired(c, now) {
				continue
			}
			switch eraseErr := s.Erase(ctx, c.ID); {
			case eraseErr == nil:
				erased++
			case errors.Is(eraseErr, ErrNotFound): // somebody else was faster
			case err == nil:
				err = eraseErr
			}
		}
	}
	return erased, err
}

// expired reports whether c is to be erased by now.
func (s *Service) expired(c *Call, now time.Time) bool {
	if !c.State.Terminal() || !c.ErasedAt.IsZero() {
		return false
	}
	keep := s.cfg.Retention(c)
	return keep > 0 && now.Sub(c.EndedAt) >= keep
}
