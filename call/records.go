package call

import (
	"context"
	"iter"
)

// What a service asks its store, and has it do. Who asks waits for storeTimeout at
// most, and the error wraps ErrStore if it is the store that has failed.

func askStore[T any](ctx context.Context, s *Service, question func(ctx context.Context) (T, error)) (T, error) {
	answer, err := within(ctx, s, storeTimeout, question, nil)
	return answer, ofStore(ctx, err)
}

func (s *Service) tellStore(ctx context.Context, do func(ctx context.Context) error) error {
	return ofStore(ctx, s.do(ctx, storeTimeout, do))
}

// stored is the record of a call as the store has it.
func (s *Service) stored(ctx context.Context, id string) (*Call, error) {
	return askStore(ctx, s, func(ctx context.Context) (*Call, error) { return s.cfg.Store.Get(ctx, id) })
}

// byProvider finds the record of a carrier's call.
func (s *Service) byProvider(ctx context.Context, provider, id string) (*Call, error) {
	return askStore(ctx, s, func(ctx context.Context) (*Call, error) { return s.cfg.Store.ByProvider(ctx, provider, id) })
}

// byKey finds the record of a call by its idempotency key.
func (s *Service) byKey(ctx context.Context, tenant, key string) (*Call, error) {
	return askStore(ctx, s, func(ctx context.Context) (*Call, error) { return s.cfg.Store.ByKey(ctx, tenant, key) })
}

func (s *Service) list(ctx context.Context, f Filter) ([]*Call, error) {
	return askStore(ctx, s, func(ctx context.Context) ([]*Call, error) { return s.cfg.Store.List(ctx, f) })
}

func (s *Service) events(ctx context.Context, id string, after int64) ([]Event, error) {
	return askStore(ctx, s, func(ctx context.Context) ([]Event, error) { return s.cfg.Store.Events(ctx, id, after) })
}

// pages are all calls that fit f, a thousand at a time, newest first. An error is
// the last that comes.
func (s *Service) pages(ctx context.Context, f Filter) iter.Seq2[[]*Call, error] {
	return func(yield func([]*Call, error) bool) {
		f := f
		for f.Limit = 1000; ; {
			page, err := s.list(ctx, f)
			more := len(page) == f.Limit
			if more {
				last := PositionOf(page[len(page)-1])
				f.Before = &last
			}
			if !yield(page, err) || !more {
				return
			}
		}
	}
}
