package callecho

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-voice/switchboard/bench/measure"
	"golang.org/x/sys/unix"
)

const (
	tick  = time.Millisecond
	slots = 20 // of a tick each: the phases of calls
)

// A Generator plays a carrier with many calls, each of which says 50 frames a
// second and hears them again. The calls are spread evenly over the 20 ms.
type Generator struct {
	mode   Mode
	addr   string
	script script
	epoch  time.Time

	mu    sync.Mutex // guards slots and count
	slots [slots][]*caller
	count int
	muted atomic.Bool

	received, unmatched, outOfOrder, sent atomic.Int64
	delay, gap, lag                       measure.Histogram
	failed                                atomic.Int64
	failure                               atomic.Pointer[error] // the first

	ending  atomic.Bool
	readers sync.WaitGroup
	sender  sync.WaitGroup
}

// NewGenerator returns one without calls, whose callers say the speech.
func NewGenerator(c *Child, speech []int16) (*Generator, error) {
	s, err := newScript(speech)
	if err != nil {
		return nil, err
	}
	g := &Generator{mode: c.Mode, addr: c.Addr, script: s, epoch: time.Now()}
	g.sender.Go(g.send)
	return g, nil
}

func (g *Generator) now() time.Duration { return time.Since(g.epoch) }

// Add makes n more calls.
func (g *Generator) Add(n int) error {
	for range n {
		c, err := dial(g, g.count)
		if err != nil {
			return err
		}
		g.readers.Go(func() {
			if err := c.listen(); err != nil {
				g.fail(err)
			}
		})
		g.mu.Lock()
		slot := &g.slots[g.count%slots]
		*slot = append(*slot, c)
		g.count++
		g.mu.Unlock()
	}
	return nil
}

// Mute has the callers say nothing, or speak again.
func (g *Generator) Mute(muted bool) { g.muted.Store(muted) }

func (g *Generator) fail(err error) {
	if g.ending.Load() {
		return
	}
	g.failed.Add(1)
	g.failure.CompareAndSwap(nil, &err)
}

// send has every call say a frame every 20 ms. It sleeps on a thread of its own
// and by the kernel's clock, whose alarm is exact to some 50 µs.
func (g *Generator) send() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var batch []*caller
	for n := int64(1); !g.ending.Load(); n++ {
		due := time.Duration(n) * tick
		g.sleepUntil(due)
		if g.muted.Load() {
			continue
		}
		g.mu.Lock()
		batch = batch[:0]
		for _, c := range g.slots[n%slots] {
			if c.speaks <= due {
				batch = append(batch, c)
			}
		}
		g.mu.Unlock()
		if len(batch) == 0 {
			continue
		}
		g.lag.Add(g.now() - due)
		for _, c := range batch {
			if err := c.say(); err != nil {
				g.fail(err)
			}
		}
		g.sent.Add(int64(len(batch)))
	}
}

func (g *Generator) sleepUntil(due time.Duration) {
	if wait := due - g.now(); wait > 0 {
		ts := unix.NsecToTimespec(int64(wait))
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil) // woken early by a signal, it sends a little early
	}
}

// An Outcome is what the callers saw in a while.
type Outcome struct {
	Calls          int
	Span           time.Duration
	Sent, Received int64
	// OutOfOrder counts frames that did not follow the one before, Unmatched
	// those that could not be recognised, Failed the connections that broke.
	OutOfOrder, Unmatched, Failed int64
	P50, P99, P999                time.Duration // of the delay from saying to hearing
	GapP90, GapP99                time.Duration // between two frames of a call
	Lag                           time.Duration // by which the generator itself was late, p99
}

// Measure watches the calls for a while.
func (g *Generator) Measure(span time.Duration) (Outcome, error) {
	g.delay.Reset()
	g.gap.Reset()
	g.lag.Reset()
	sent, received := g.sent.Load(), g.received.Load()
	outOfOrder, unmatched := g.outOfOrder.Load(), g.unmatched.Load()
	begin := g.now()
	time.Sleep(span)
	o := Outcome{
		Calls: g.count, Span: g.now() - begin,
		Sent: g.sent.Load() - sent, Received: g.received.Load() - received,
		OutOfOrder: g.outOfOrder.Load() - outOfOrder, Unmatched: g.unmatched.Load() - unmatched,
		Failed: g.failed.Load(),
		P50:    g.delay.Quantile(0.5), P99: g.delay.Quantile(0.99), P999: g.delay.Quantile(0.999),
		GapP90: g.gap.Quantile(0.9), GapP99: g.gap.Quantile(0.99),
		Lag: g.lag.Quantile(0.99),
	}
	if err := g.failure.Load(); err != nil {
		return o, *err
	}
	return o, nil
}

// Close ends all calls.
func (g *Generator) Close() error {
	g.ending.Store(true)
	g.sender.Wait()
	var errs []error
	for _, slot := range g.slots {
		for _, c := range slot {
			errs = append(errs, c.conn.Close())
		}
	}
	g.readers.Wait()
	return errors.Join(errs...)
}
