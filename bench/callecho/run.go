package callecho

import (
	"errors"
	"fmt"
	"time"
)

// A Load is how a server is tried.
type Load struct {
	Calls   int
	Warm    time.Duration // from when all speak
	Measure time.Duration
}

// A Run is what a load has cost a server.
type Run struct {
	Outcome
	Mode         Mode
	CPU          time.Duration // of the server, for a frame in and out
	User, System time.Duration
	Allocs       float64 // for a frame, of servers in Go
	AllocBytes   float64
}

// Try starts a server, puts a load on it and ends it.
func (s *Starter) Try(mode Mode, load Load, speech []int16) (run Run, err error) {
	child, err := s.Start(mode)
	if err != nil {
		return Run{}, err
	}
	defer func() { err = errors.Join(err, child.Close()) }()
	if s.Apart {
		_, carrier, err := cores()
		if err != nil {
			return Run{}, err
		}
		undo, err := confine(carrier)
		if err != nil {
			return Run{}, err
		}
		defer func() { err = errors.Join(err, undo()) }()
	}
	g, err := NewGenerator(child, speech)
	if err != nil {
		return Run{}, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	if err := g.Add(load.Calls); err != nil {
		return Run{}, fmt.Errorf("%s: %w", mode, err)
	}
	time.Sleep(pickUp + load.Warm)
	return observe(child, g, load.Measure)
}

// observe measures both sides for a while.
func observe(child *Child, g *Generator, span time.Duration) (Run, error) {
	before, err := child.Stats(false)
	if err != nil {
		return Run{}, err
	}
	user, system, err := child.Split()
	if err != nil {
		return Run{}, err
	}
	cpu := child.CPU()
	o, err := g.Measure(span)
	if err != nil {
		return Run{}, fmt.Errorf("%s: %w", child.Mode, err)
	}
	cpu = child.CPU() - cpu
	userAfter, systemAfter, err := child.Split()
	if err != nil {
		return Run{}, err
	}
	after, err := child.Stats(false)
	if err != nil {
		return Run{}, err
	}
	frames := max(o.Received, 1)
	r := Run{Outcome: o, Mode: child.Mode, CPU: cpu / time.Duration(frames)}
	// The kernel divides the exact sum by what it saw at its ticks.
	if all := userAfter - user + systemAfter - system; all > 0 {
		r.User = time.Duration(float64(r.CPU) * float64(userAfter-user) / float64(all))
		r.System = r.CPU - r.User
	}
	r.Allocs = float64(after.Mallocs-before.Mallocs) / float64(frames)
	r.AllocBytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(frames)
	return r, nil
}

// A Footprint is the memory of one idle call.
type Footprint struct {
	Mode     Mode
	Calls    int
	InUse    float64 // bytes of heap spans and stacks
	Live     float64 // bytes of objects and stacks
	Stacks   float64 // bytes of stacks
	Resident float64 // bytes in RAM, which do not shrink
}

// Idle measures the memory of calls that have spoken for a moment and then are
// silent.
func (s *Starter) Idle(mode Mode, calls int, speech []int16) (f Footprint, err error) {
	child, err := s.Start(mode)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, child.Close()) }()
	// A few calls first, so that what all of them share is not counted.
	g, err := NewGenerator(child, speech)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	const few = 20
	settle := func() (Stats, error) {
		g.Mute(false)
		time.Sleep(pickUp + 200*time.Millisecond)
		g.Mute(true)
		time.Sleep(500 * time.Millisecond)
		return child.Stats(true)
	}
	if err := g.Add(few); err != nil {
		return f, err
	}
	before, err := settle()
	if err != nil {
		return f, err
	}
	resident := child.Resident()
	g.Mute(true)
	if err := g.Add(calls); err != nil {
		return f, err
	}
	after, err := settle()
	if err != nil {
		return f, err
	}
	each := func(b, a uint64) float64 { return (float64(a) - float64(b)) / float64(calls) }
	return Footprint{
		Mode: mode, Calls: calls,
		InUse: each(before.InUse, after.InUse), Live: each(before.Live, after.Live), Stacks: each(before.Stacks, after.Stacks),
		Resident: each(uint64(resident), uint64(child.Resident())),
	}, nil
}

// A Ramp is how the most calls are searched for.
type Ramp struct {
	From, Step, To int
	Settle         time.Duration
	Measure        time.Duration
	Limit          time.Duration // of the 99th percentile of the delay
}

// Most is the largest number of calls that a server bears within the limit: one
// step below that which it failed at twice in a row. told hears of every step.
func (s *Starter) Most(mode Mode, ramp Ramp, speech []int16, told func(Outcome)) (most Outcome, err error) {
	child, err := s.Start(mode)
	if err != nil {
		return most, err
	}
	defer func() { err = errors.Join(err, child.Close()) }()
	g, err := NewGenerator(child, speech)
	if err != nil {
		return most, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	for calls := ramp.From; calls <= ramp.To; calls += ramp.Step {
		if err := g.Add(calls - g.count); err != nil {
			return most, err
		}
		borne := false
		for try := 0; try < 2 && !borne; try++ {
			time.Sleep(ramp.Settle)
			if try == 0 {
				time.Sleep(pickUp)
			}
			o, err := g.Measure(ramp.Measure)
			if err != nil {
				return most, fmt.Errorf("%s: %w", mode, err)
			}
			told(o)
			// Frames still under way at either end are not lost.
			borne = o.P99 < ramp.Limit && float64(o.Received) > 0.99*float64(o.Sent)
			if borne {
				most = o
			}
		}
		if !borne {
			break
		}
	}
	return most, nil
}
