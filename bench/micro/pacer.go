package micro

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/report"
	"github.com/switchboard-voice/switchboard/internal/wheel"
)

const pace = 20 * time.Millisecond

// paced is what waking many calls every 20 ms takes.
type paced struct {
	cores float64 // of processor time
	late  measure.Histogram
}

func (p *paced) measure(span time.Duration) {
	p.late.Reset() // what went before was the start
	begin, cpu := time.Now(), measure.Own()
	time.Sleep(span)
	p.cores = float64(measure.Own()-cpu) / float64(time.Since(begin))
}

// paceWheel wakes calls with the library's wheel, each at its own phase.
func paceWheel(calls int, span time.Duration) *paced {
	var w wheel.Wheel
	var p paced
	type call struct {
		wheel.Entry
		due time.Time
	}
	begin := time.Now().Add(pace)
	all := make([]call, calls)
	for i := range all {
		c := &all[i]
		c.due = begin.Add(pace * time.Duration(i) / time.Duration(calls))
		c.Func = func() {
			p.late.Add(time.Since(c.due))
			c.due = c.due.Add(pace)
			w.Schedule(&c.Entry, c.due)
		}
		w.Schedule(&c.Entry, c.due)
	}
	time.Sleep(span / 4)
	p.measure(span)
	w.Close()
	return &p
}

// paceTickers wakes calls with a goroutine and a time.Ticker each.
func paceTickers(calls int, span time.Duration) *paced {
	var p paced
	var running sync.WaitGroup
	var ending atomic.Bool
	begin := time.Now().Add(pace)
	for i := range calls {
		running.Go(func() {
			time.Sleep(time.Until(begin.Add(pace * time.Duration(i) / time.Duration(calls))))
			t := time.NewTicker(pace)
			defer t.Stop()
			for !ending.Load() {
				p.late.Add(time.Since(<-t.C)) // a tick is the time at which it was due
			}
		})
	}
	time.Sleep(span / 4)
	p.measure(span)
	ending.Store(true)
	running.Wait()
	return &p
}

// Pacing compares a wheel with a ticker for each call.
func Pacing(rounds int, span time.Duration) []report.Goal {
	const calls = 10_000
	var ratios, ours, theirs, late, theirLate []float64
	for range rounds {
		w, t := paceWheel(calls, span), paceTickers(calls, span)
		ratios = append(ratios, w.cores/t.cores)
		ours, theirs = append(ours, w.cores), append(theirs, t.cores)
		late = append(late, float64(w.late.Quantile(0.99)))
		theirLate = append(theirLate, float64(t.late.Quantile(0.99)))
	}
	ratio, p99 := measure.Median(ratios), time.Duration(measure.Median(late))
	return []report.Goal{
		{
			Number: 14, What: "pacing 10,000 calls: CPU against a Ticker each", Section: "pacer", Want: "≤ 0.40 ×",
			Ours: fmt.Sprintf("%.0f %% of a core", 100*measure.Median(ours)), Peer: fmt.Sprintf("%.0f %% of a core", 100*measure.Median(theirs)),
			Ratio: times(ratio), Met: report.Reached(ratio <= 0.4),
		},
		{
			Number: 14, What: "pacing 10,000 calls: p99 lateness", Section: "pacer", Want: "≤ 2 ms",
			Ours: round(p99), Peer: round(time.Duration(measure.Median(theirLate))), Met: report.Reached(p99 <= 2*time.Millisecond),
		},
	}
}

func round(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
