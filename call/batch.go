package call

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Placement is what became of one request of PlaceAll: the call or why there is
// none, as Place would have returned them.
type Placement struct {
	Call *Call
	Err  error
}

const (
	// maxBatch is how many requests PlaceAll takes at once.
	maxBatch = 1000
	// batchWorkers is how many of them are checked and stored at the same time.
	batchWorkers = 16
)

// PlaceAll places calls, several at the same time, and returns what became of
// each, in the order of the requests. It does not stop at one that fails.
// Requests that have not begun when ctx ends do not begin; their error wraps that
// of ctx. At most 1,000 requests are taken: of more none is begun, and the error
// of each wraps ErrInvalidRequest.
func (s *Service) PlaceAll(ctx context.Context, reqs []Request) []Placement {
	placements := make([]Placement, len(reqs))
	if len(reqs) > maxBatch {
		for i := range placements {
			placements[i].Err = fmt.Errorf("call: place: %w: more than %d requests at once", ErrInvalidRequest, maxBatch)
		}
		return placements
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(batchWorkers, len(reqs)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(reqs)); i = next.Add(1) - 1 {
				placements[i] = s.placeOne(ctx, reqs[i])
			}
		})
	}
	workers.Wait()
	return placements
}

// placeOne is Place for a goroutine of our own, in which nobody else would
// recover from a panic of the host's Store or Policy.
func (s *Service) placeOne(ctx context.Context, req Request) (p Placement) {
	if err := ctx.Err(); err != nil {
		return Placement{Err: fmt.Errorf("call: place: not begun: %w", err)}
	}
	p.Err = contain(func() (err error) {
		p.Call, err = s.Place(ctx, req)
		return err
	})
	return p
}
