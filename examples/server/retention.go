package main

import (
	"context"
	"time"
)

// eraseExpired erases the calls that are old until ctx ends: every tenth of the time
// for which they are kept, and at least every hour.
func (s *server) eraseExpired(ctx context.Context) {
	if s.cfg.retention == 0 {
		return
	}
	tick := time.NewTicker(min(max(s.cfg.retention/10, time.Second), time.Hour))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		const atOnce = 1000
		for more := true; more; {
			erased, err := s.svc.EraseExpired(ctx, atOnce)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				s.log.Error("not all calls that are old were erased", "err", err)
			case erased > 0:
				s.log.Info("old calls were erased", "calls", erased)
			}
			more = erased == atOnce && err == nil
		}
	}
}
