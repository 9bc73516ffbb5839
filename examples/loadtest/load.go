package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// load is so many calls for so long. Each makes a beep every second, or
// when the echo of the last one has been heard.
type load struct {
	calls int
	span  time.Duration
}

// result is what the callers have heard.
type result struct {
	delays  []time.Duration // of echoes, sorted
	unheard int             // beeps whose echo did not come within echoPatience
	gaps    []time.Duration // within what was heard, sorted
	failed  []error         // of calls
}

// add takes what another caller has heard.
func (r *result) add(other result) {
	r.delays = append(r.delays, other.delays...)
	r.unheard += other.unheard
	r.gaps = append(r.gaps, other.gaps...)
	r.failed = append(r.failed, other.failed...)
}

// run makes the calls and waits for them. It tells how far it has come twice a
// second.
func (l load) run(ctx context.Context, carrier *sim.Carrier, number string, progress func(share float64, live int)) result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu    sync.Mutex // guards all
		all   result
		live  atomic.Int64
		calls sync.WaitGroup
	)
	for i := range l.calls {
		calls.Go(func() {
			// One after the other, so that not all beep at the same moment.
			if !sleep(ctx, time.Duration(i)*time.Second/time.Duration(l.calls)) {
				return
			}
			live.Add(1)
			defer live.Add(-1)
			r := l.call(ctx, carrier.Phone(fmt.Sprintf("+1303%07d", 5550000+i)), number)
			mu.Lock()
			defer mu.Unlock()
			all.add(r)
		})
	}
	done := make(chan struct{})
	go func() { calls.Wait(); close(done) }()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; {
		select {
		case <-tick.C:
			progress(min(1, float64(time.Since(began))/float64(l.span+time.Second)), int(live.Load()))
		case <-done:
			progress(1, 0)
			slices.Sort(all.delays)
			slices.Sort(all.gaps)
			return all
		}
	}
}

// sleep waits for d, or reports that ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// call makes one call.
func (l load) call(ctx context.Context, phone *sim.Phone, number string) (r result) {
	fail := func(err error) result {
		r.failed = append(r.failed, err)
		return r
	}
	talk, err := phone.Call(ctx, number)
	if err != nil {
		return fail(err)
	}
	defer talk.Hangup()
	if err := talk.WaitConnected(patience); err != nil {
		return fail(err)
	}
	for began := time.Now(); time.Since(began) < l.span && ctx.Err() == nil; {
		said := make(chan error, 1)
		go func() { said <- talk.Say(audio.NewSamples(beep, rate)) }()
		onset := echo(talk)
		if err := <-said; err != nil {
			return fail(err)
		}
		if onset < 0 {
			r.unheard++
			continue
		}
		r.delays = append(r.delays, audio.Duration(onset, rate))
	}
	select {
	case <-talk.Done():
		return fail(errors.New("the server hung up"))
	default:
	}
	played := talk.Playback()
	for i := 1; i < len(played); i++ {
		if gap := played[i].At - played[i-1].End(); gap > 0 {
			r.gaps = append(r.gaps, gap)
		}
	}
	return r
}

// echo listens until the echo of a beep is over, and at least for a second. It
// returns after how many samples it began, or -1 if none came: as long as one may
// come there is no other beep, whose own it might be taken for.
func echo(talk *sim.Talk) (onset int) {
	heard := 0
	onset = -1
	for onset < 0 && heard < audio.Samples(echoPatience, rate) {
		part := talk.Listen(time.Second)
		if i := slices.IndexFunc(part, func(s int16) bool { return s > loud || s < -loud }); i >= 0 {
			onset = heard + i
		}
		heard += len(part)
		select {
		case <-talk.Done():
			return onset
		default:
		}
	}
	if onset >= 0 && heard-onset < 2*len(beep) {
		talk.Listen(audio.Duration(2*len(beep), rate)) // the rest of it
	}
	return onset
}

const (
	// echoPatience is how late an echo may be.
	echoPatience = 5 * time.Second

	// patience is how long a server may take to open its stream.
	patience = 30 * time.Second

	rate = 8000
	loud = 4000
)

// beep is a tenth of a second of 800 Hz, loud from its first samples on.
var beep = func() []int16 {
	pcm := make([]int16, rate/10)
	for i := range pcm {
		pcm[i] = int16(12000 * math.Sin(2*math.Pi*800*(float64(i)+0.5)/rate))
	}
	return pcm
}()
