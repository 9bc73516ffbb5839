package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/bench/callecho"
	"github.com/switchboard-voice/switchboard/bench/report"
)

// What may be left of a soak: connections that are kept for later, and what maps
// and pools hold on to.
const (
	keptGoroutines = 8
	keptFiles      = 4
	keptPerCall    = 64 // bytes …
	keptAtLeast    = 256 << 10
)

// soak has the whole product bear calls that come and go, and looks what is left
// of them.
func (s *session) soak() error {
	load := callecho.Soak{
		Calls: 200,
		Warm:  pick(s, 30*time.Second, 10*time.Second),
		Span:  pick(s, 10*time.Minute, time.Minute),
		// Connections to the carrier's API are kept for half a minute.
		Settle: 40 * time.Second,
	}
	found, err := s.starter.Soak(load, s.words, func(calls int64, now callecho.Stats) {
		s.say("    %6d calls have ended; now %d goroutines, %.1f MiB live", calls, now.Goroutines, mib(now.Live))
	})
	if found.After.Goroutines == 0 {
		return err
	}
	before, after := found.Before, found.After
	s.say("    before: %d goroutines, %d files, %.2f MiB live; after: %d, %d, %.2f", before.Goroutines, before.Files, mib(before.Live),
		after.Goroutines, after.Files, mib(after.Live))
	grown := float64(after.Live) - float64(before.Live)
	back := after.Goroutines <= before.Goroutines+keptGoroutines && after.Files <= before.Files+keptFiles &&
		(grown <= keptAtLeast || found.Growth() <= keptPerCall)
	s.goals(report.Goal{
		Number: 17, What: fmt.Sprintf("soak: the whole product, 200 calls at once for %v, that begin and end all the time", load.Span),
		Want: "goroutines, descriptors, live memory as before", Section: "soak",
		Ours:  fmt.Sprintf("%d, %d, %.2f MiB after %d calls", after.Goroutines, after.Files, mib(after.Live), found.Calls),
		Peer:  fmt.Sprintf("%d, %d, %.2f MiB before", before.Goroutines, before.Files, mib(before.Live)),
		Ratio: fmt.Sprintf("%+.1f bytes a call", found.Growth()), Met: report.Reached(back && found.Broken == 0 && found.Calls > 0),
		Note: fmt.Sprintf("%d calls were ended by the carrier, of %d its socket was cut, %d were hung up by the product; %d broke. "+
			"The agents speak, echo, clear and are interrupted; all is recorded, and erased when it has ended.",
			found.Stopped, found.Cut, found.HungUp, found.Broken),
	})
	if found.Why != nil {
		err = errors.Join(err, fmt.Errorf("%d calls broke: %w", found.Broken, found.Why))
	}
	return err
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
