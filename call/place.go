package call

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Request describes a call to place.
type Request struct {
	AgentID string           // who talks; needed
	To      telephony.Number // needed, in E.164 form
	From    telephony.Number // needed, in E.164 form: a number of yours
	// Provider is the carrier; empty means the first in Config.Providers.
	Provider string
	Tenant   string
	// Context is for the agent, Metadata for the host's own books: together at
	// most 64 entries and 32 KiB.
	Context  map[string]string
	Metadata map[string]string
	Options  Options
	// IdempotencyKey makes it safe to ask again: the same key with the same
	// request is the same call. At most 255 bytes.
	IdempotencyKey string
}

const (
	maxContextEntries = 64
	maxContextBytes   = 32 << 10
	maxKeyBytes       = 255
)

// Place starts a call and returns its record as soon as the intent is stored;
// the carrier is asked in the background. A call is dialed at most once: what
// becomes of it, the record tells.
//
// Errors can be told apart with errors.Is: telephony.ErrInvalidNumber,
// ErrInvalidRequest, ErrUnknownAgent, ErrUnknownProvider, ErrNotAllowed,
// ErrIdempotency, ErrOverloaded, ErrShutdown, ErrStore, ErrNoLease. Whichever it
// is, nothing was dialed.
func (s *Service) Place(ctx context.Context, req Request) (*Call, error) {
	c, err := s.place(ctx, req)
	if err != nil {
		s.counts.refused.Add(1)
		return nil, fmt.Errorf("call: place: %w", err)
	}
	return c, nil
}

func (s *Service) place(ctx context.Context, req Request) (*Call, error) {
	if req.Provider == "" {
		req.Provider = s.cfg.Providers[0].Name()
	}
	agent, provider, err := s.check(req)
	if err != nil {
		return nil, err
	}
	if earlier, err := s.earlier(ctx, req); earlier != nil || err != nil {
		return earlier, err
	}
	id := "call_" + newID()
	held, err := s.reserve(ctx, Leg{
		CallID: id, Tenant: req.Tenant, AgentID: req.AgentID, Provider: req.Provider, From: req.From, To: req.To,
		MaxDuration: cmpOr(req.Options.MaxDuration, s.cfg.MaxDuration),
	})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	record := &Call{
		ID:             id,
		Tenant:         req.Tenant,
		AgentID:        req.AgentID,
		Direction:      telephony.Outbound,
		Provider:       req.Provider,
		From:           req.From,
		To:             req.To,
		CreatedAt:      now,
		Context:        req.Context,
		Metadata:       req.Metadata,
		Options:        req.Options,
		IdempotencyKey: req.IdempotencyKey,
		Fingerprint:    fingerprint(req),
	}
	l := s.newLive(record.Clone(), life{Direction: telephony.Outbound}, provider, agent)
	if err := s.admit(l); err != nil {
		s.giveBack(held, Usage{})
		return nil, err
	}
	l.hold(held, time.Time{})
	existing, err := l.create(ctx)
	switch {
	case err != nil:
		l.abandon()
		return nil, err
	case existing != nil:
		l.abandon()
		return s.replay(existing, req)
	}
	s.counts.placed.Add(1)
	placed := l.snapshot()
	l.begin(input{kind: inBegin})
	return placed, nil
}

// earlier is the call that was placed under the key of a request, nil if there is
// none: asking again is answered whatever the policy says by now, and whether or
// not there is room.
func (s *Service) earlier(ctx context.Context, req Request) (*Call, error) {
	if req.IdempotencyKey == "" {
		return nil, nil
	}
	c, err := s.byKey(ctx, req.Tenant, req.IdempotencyKey)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.replay(c, req)
}

// replay answers a request with the call that has its key.
func (s *Service) replay(c *Call, req Request) (*Call, error) {
	if c.Fingerprint != fingerprint(req) {
		return nil, ErrIdempotency
	}
	if l := s.find(c.ID); l != nil {
		return l.snapshot(), nil
	}
	return c, nil
}

// Check says what is wrong with a request that is to be placed later: with an
// error of Place's that would be the same then, and is not about room, policy or
// the key. Nothing is stored.
func (s *Service) Check(req Request) error {
	if req.Provider == "" {
		req.Provider = s.cfg.Providers[0].Name()
	}
	if _, _, err := s.check(req); err != nil {
		return fmt.Errorf("call: check: %w", err)
	}
	return nil
}

// check finds who serves a request, or says what is wrong with it.
func (s *Service) check(req Request) (Agent, Provider, error) {
	agent, ok := s.cfg.Agents[req.AgentID]
	if !ok {
		return nil, nil, fmt.Errorf("%w: %q", ErrUnknownAgent, req.AgentID)
	}
	provider, ok := s.providers[req.Provider]
	if !ok {
		return nil, nil, fmt.Errorf("%w: %q", ErrUnknownProvider, req.Provider)
	}
	if !req.To.Valid() {
		return nil, nil, fmt.Errorf("To: %w", telephony.ErrInvalidNumber)
	}
	if !req.From.Valid() {
		return nil, nil, fmt.Errorf("From: %w", telephony.ErrInvalidNumber)
	}
	if len(req.IdempotencyKey) > maxKeyBytes {
		return nil, nil, fmt.Errorf("%w: IdempotencyKey has more than %d bytes", ErrInvalidRequest, maxKeyBytes)
	}
	if err := checkContext(req.Context, req.Metadata); err != nil {
		return nil, nil, err
	}
	return agent, provider, s.checkOptions(req.Options)
}

func checkContext(maps ...map[string]string) error {
	entries, size := 0, 0
	for _, m := range maps {
		entries += len(m)
		for k, v := range m {
			size += len(k) + len(v)
		}
	}
	if entries > maxContextEntries || size > maxContextBytes {
		return fmt.Errorf("%w: Context and Metadata have more than %d entries or %d bytes",
			ErrInvalidRequest, maxContextEntries, maxContextBytes)
	}
	return nil
}

func (s *Service) checkOptions(o Options) error {
	switch {
	case o.Record && s.cfg.Recorder == nil:
		return fmt.Errorf("%w: Options.Record: the service has no recorder", ErrInvalidRequest)
	case o.Transcribe && s.cfg.Transcriber == nil:
		return fmt.Errorf("%w: Options.Transcribe: the service has no transcriber", ErrInvalidRequest)
	}
	for _, span := range []struct {
		name      string
		of, bound time.Duration
	}{
		{"RingTimeout", o.RingTimeout, s.cfg.RingTimeout},
		{"MaxDuration", o.MaxDuration, s.cfg.MaxDuration},
		{"Silence", o.Silence, s.cfg.Silence},
		{"CallerSilence", o.CallerSilence, s.cfg.CallerSilence},
		{"AgentStall", o.AgentStall, s.cfg.AgentStall},
	} {
		switch {
		case span.of < 0:
			return fmt.Errorf("%w: Options.%s is negative", ErrInvalidRequest, span.name)
		case span.bound > 0 && span.of > span.bound:
			return fmt.Errorf("%w: Options.%s is not between 0 and %v", ErrInvalidRequest, span.name, span.bound)
		}
	}
	return nil
}

// fingerprint is the same for requests that mean the same.
func fingerprint(req Request) string {
	req.IdempotencyKey = ""
	b, err := json.Marshal(req) // maps are written in the order of their keys
	if err != nil {
		panic(err) // a struct of strings, numbers and maps of strings
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
