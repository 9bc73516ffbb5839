// Package countdown is an agent with a test: see countdown_test.go for how an
// agent is tested with simulated telephones, in virtual time.
package countdown

import (
	"context"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
)

// Agent beeps once a second, lower each time, until From has run down or the
// caller presses a key. Then it hangs up.
type Agent struct {
	From int
	// Beep returns the sound for what is left.
	Beep func(left int) audio.Reader
}

// Serve counts down.
func (a Agent) Serve(ctx context.Context, s *call.Session) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for left := a.From; left > 0; left-- {
		s.Speak(a.Beep(left))
		select {
		case <-tick.C:
		case <-s.Keys():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
