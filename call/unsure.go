package call

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

const (
	// unsureWait is how long after a failure a record is looked for: by then a
	// write that was under way has been done, or will not be.
	unsureWait = 15 * time.Second
	// maxUnsure is how many such records are remembered. Of one more, the next
	// Recover will know.
	maxUnsure = 10_000
)

// unsure are the calls that did not come about because the store has said that it
// could not keep their record. It may have kept one all the same: that call is
// brought to its end, so that none is there that nobody has, and whoever asks again
// under the same key learns what became of it.
type unsure struct {
	mu      sync.Mutex
	ids     []string
	running bool
}

// add is called as long as the call is listed.
func (u *unsure) add(s *Service, id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ids) >= maxUnsure {
		s.log.Error("record of a call that did not come about may be left", "call", id)
		return
	}
	u.ids = append(u.ids, id)
	if !u.running {
		u.running = true
		s.keepers.Go(func() { u.run(s) })
	}
}

// run ends calls until there is none left, or the service stops.
func (u *unsure) run(s *Service) {
	for running := true; running; {
		select {
		case <-time.After(unsureWait):
		case <-s.ctx.Done():
			return // the next Recover finds them
		}
		u.mu.Lock()
		ids := u.ids
		u.mu.Unlock()
		done := 0
		for done < len(ids) && s.endUnbegun(ids[done]) == nil {
			done++
		}
		u.mu.Lock()
		u.ids = u.ids[done:]
		running = len(u.ids) > 0
		u.running = running
		u.mu.Unlock()
	}
}

// left tells how many such records there are that only the next Recover will bring to
// their end. Of those of which the store does not tell, there may be one.
func (u *unsure) left(s *Service) (n int64) {
	u.mu.Lock()
	ids := slices.Clone(u.ids)
	u.mu.Unlock()
	for i, id := range ids {
		c, err := s.stored(s.ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return n + int64(len(ids)-i)
		case c.Version == 1:
			n++
		}
	}
	return n
}

// endUnbegun brings a call to its end that has a record and never began.
func (s *Service) endUnbegun(id string) error {
	c, err := s.stored(s.ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && c.Version > 1 { // somebody has it
		return nil
	}
	if err != nil {
		return err
	}
	in := input{kind: inRecovered}
	if c.Direction == telephony.Outbound { // it is certain that it was not dialed
		in = input{kind: inDialFailed, outcome: telephony.NotSent, cause: DialFailed, detail: "the store did not answer"}
	}
	begun, err := s.events(s.ctx, id, 0)
	if err != nil {
		return err
	}
	l, err := s.takeUp(s.ctx, c, in)
	if errors.Is(err, ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.Direction == telephony.Outbound { // after all
		s.counts.placed.Add(1)
	} else {
		s.counts.received.Add(1)
	}
	for _, e := range begun { // of which nobody has heard
		s.subs.publish(e)
	}
	s.resume([]*live{l})
	return nil
}
