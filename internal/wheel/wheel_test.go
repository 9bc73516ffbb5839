package wheel

import (
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEntriesAreCalledInTheirMillisecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Wheel
		begin := time.Now()
		rnd := rand.New(rand.NewPCG(1, 2))
		called := 0
		entries := make([]Entry, 10_000)
		for i := range entries {
			at := time.Duration(rnd.Int64N(int64(20 * time.Second)))
			entries[i].Func = func() {
				called++
				if late := time.Since(begin) - at; late < 0 || late > time.Millisecond {
					t.Errorf("%v: %v late", at, late)
				}
			}
			w.Schedule(&entries[i], begin.Add(at))
		}
		time.Sleep(21 * time.Second)
		synctest.Wait()
		if called != len(entries) {
			t.Errorf("%d of %d called", called, len(entries))
		}
		if w.running {
			t.Error("its goroutine lives on with nothing to do")
		}
		w.Close()
	})
}

func TestEntriesFarAwayAndAfterAStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Wheel
		for _, after := range []time.Duration{0, -time.Hour, time.Millisecond, (slots - 1) * resolution, slots * resolution, (slots + 1) * resolution, time.Hour} {
			at := time.Now().Add(after)
			called := make(chan time.Time, 1)
			e := Entry{Func: func() { called <- time.Now() }}
			w.Schedule(&e, at)
			got := <-called
			if late := got.Sub(at); after >= 0 && (late < 0 || late > time.Millisecond) {
				t.Errorf("%v: %v late", after, late)
			}
			time.Sleep(10 * time.Second)
		}
		w.Close()
	})
}

func TestLastScheduleCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(500) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			var w Wheel
			var entries [5]Entry
			var due [5]time.Time // zero: none
			for i := range entries {
				entries[i].Func = func() {
					late := time.Since(due[i])
					if due[i].IsZero() || late < 0 || late > time.Millisecond {
						t.Errorf("seed %d: entry %d is %v late", seed, i, late)
					}
					due[i] = time.Time{}
				}
			}
			for range 40 {
				i := rnd.IntN(len(entries))
				if rnd.IntN(5) == 0 {
					w.Cancel(&entries[i])
					due[i] = time.Time{}
				} else {
					due[i] = time.Now().Add(time.Duration(rnd.IntN(9000)) * time.Millisecond)
					w.Schedule(&entries[i], due[i])
				}
				time.Sleep(time.Duration(rnd.IntN(500_000)) * time.Microsecond)
				synctest.Wait()
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			for i, d := range due {
				if !d.IsZero() {
					t.Fatalf("seed %d: entry %d was not called", seed, i)
				}
			}
			w.Close()
		}
	})
}

func TestEntriesMayScheduleAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Wheel
		ticks := 0
		var other, e Entry
		other.Func = func() { t.Error("called though cancelled") }
		begin := time.Now()
		e.Func = func() {
			ticks++
			w.Cancel(&other)
			if ticks < 1000 {
				w.Schedule(&e, begin.Add(time.Duration(ticks+1)*20*time.Millisecond))
			}
		}
		w.Schedule(&e, begin.Add(20*time.Millisecond))
		w.Schedule(&other, begin.Add(time.Second))
		time.Sleep(20*time.Second + time.Millisecond)
		synctest.Wait()
		if ticks != 1000 {
			t.Errorf("%d ticks in 20 s", ticks)
		}
		w.Close()
	})
}

func TestCloseForgetsAndWaits(t *testing.T) {
	var w Wheel
	w.Close() // never used
	var v Wheel
	e := Entry{Func: func() { t.Error("called after Close") }}
	v.Schedule(&e, time.Now().Add(time.Hour))
	v.Close()
	v.Close()
	v.Schedule(&e, time.Now())
	v.Cancel(&e)
}

func TestManyGoroutinesAtOnce(t *testing.T) {
	var w Wheel
	var called atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(3, 4))
			for range 200 {
				done := make(chan struct{})
				e := Entry{Func: func() { called.Add(1); close(done) }}
				var never Entry
				never.Func = func() { t.Error("called though cancelled") }
				w.Schedule(&never, time.Now().Add(time.Hour))
				w.Schedule(&e, time.Now().Add(time.Duration(rnd.IntN(3))*time.Millisecond))
				<-done
				w.Cancel(&never)
			}
		})
	}
	all.Wait()
	w.Close()
	if called.Load() != 1600 {
		t.Errorf("%d called", called.Load())
	}
}

func TestScheduleAllocatesNothing(t *testing.T) {
	var w Wheel
	defer w.Close()
	keep, e := Entry{Func: func() {}}, Entry{Func: func() {}}
	far := time.Now().Add(time.Hour)
	w.Schedule(&keep, far)
	if n := testing.AllocsPerRun(1000, func() {
		w.Schedule(&e, far)
		w.Cancel(&e)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The two ways to wake 10,000 calls every 20 ms for three seconds. They report
// the share of one core they take, and how late the 99th percentile is.
func BenchmarkTenThousandCalls(b *testing.B) {
	if os.Getenv("WHEEL_BENCH") == "" {
		b.Skip("takes three seconds a round; set WHEEL_BENCH")
	}
	const calls, rounds, every = 10_000, 150, 20 * time.Millisecond
	measure := func(b *testing.B, f func(late func(time.Duration))) {
		for b.Loop() {
			var counts [1000]atomic.Int64 // by 100 µs
			before, begin := cpu(), time.Now()
			f(func(d time.Duration) {
				counts[min(int(d/(100*time.Microsecond)), len(counts)-1)].Add(1)
			})
			b.ReportMetric(float64(cpu()-before)/float64(time.Since(begin)), "cores")
			var sum int64
			for i := range counts {
				if sum += counts[i].Load(); sum >= calls*rounds*99/100 {
					b.ReportMetric(float64(i+1)/10, "ms-p99")
					break
				}
			}
			runtime.GC()
		}
	}
	b.Run("wheel", func(b *testing.B) {
		measure(b, func(late func(time.Duration)) {
			var w Wheel
			var all sync.WaitGroup
			all.Add(calls)
			entries := make([]Entry, calls)
			begin := time.Now().Add(every)
			for i := range entries {
				due, n := begin.Add(every*time.Duration(i)/calls), 0
				entries[i].Func = func() {
					late(time.Since(due))
					if n++; n == rounds {
						all.Done()
						return
					}
					due = due.Add(every)
					w.Schedule(&entries[i], due)
				}
				w.Schedule(&entries[i], due)
			}
			all.Wait()
			w.Close()
		})
	})
	b.Run("ticker each", func(b *testing.B) {
		measure(b, func(late func(time.Duration)) {
			var all sync.WaitGroup
			begin := time.Now().Add(every)
			for i := range calls {
				all.Go(func() {
					due := begin.Add(every * time.Duration(i) / calls)
					time.Sleep(time.Until(due) - every)
					ticker := time.NewTicker(every)
					defer ticker.Stop()
					due = time.Now().Add(every)
					for range rounds {
						<-ticker.C
						late(max(0, time.Since(due)) % every) // a tick that was dropped is not counted
						due = due.Add(every)
					}
				})
			}
			all.Wait()
		})
	})
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
