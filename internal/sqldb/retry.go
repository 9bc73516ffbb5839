package sqldb

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// retryFor is the patience of a DB: as long as a server takes to start
	// again.
	retryFor   = 5 * time.Second
	retryFirst = 10 * time.Millisecond
	retryMost  = 500 * time.Millisecond
)

// Retry does something until it succeeds, fails for good, or takes too long. It
// tells it whether it may have been done before without anybody being told.
func (db *DB) Retry(ctx context.Context, do func(again bool) error) error {
	deadline := time.Now().Add(db.Patience)
	again := false
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		err := do(again)
		if err == nil || ctx.Err() != nil {
			return err
		}
		switch db.dialect.outcome(err) {
		case failed:
			return err
		case unknown:
			again = true
		}
		if time.Now().Add(pause).After(deadline) {
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return err
		}
	}
}
