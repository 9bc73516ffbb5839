package measure

import (
	"os"
	"testing"
	"time"
)

func TestHistogramKeepsQuantilesToThreePerCent(t *testing.T) {
	var h Histogram
	if got := h.Quantile(0.5); got > 1 {
		t.Errorf("median of nothing is %v", got)
	}
	for i := range 100_000 {
		h.Add(time.Duration(i) * time.Microsecond)
	}
	for _, q := range []float64{0.01, 0.5, 0.99, 0.999} {
		want := q * float64(100*time.Millisecond)
		if got := float64(h.Quantile(q)); got < want*0.97 || got > want*1.03 {
			t.Errorf("quantile %v is %v, want %v", q, time.Duration(got), time.Duration(want))
		}
	}
	if h.Count() != 100_000 {
		t.Errorf("count is %d", h.Count())
	}
	h.Reset()
	if h.Count() != 0 {
		t.Error("something is left after Reset")
	}
}

func TestBucketsAreInOrderWithoutGaps(t *testing.T) {
	last := -1
	for n := range uint64(1 << 16) {
		b := bucket(n)
		if b != last && b != last+1 {
			t.Fatalf("%d is in bucket %d after %d", n, b, last)
		}
		if b != last && least(b) != n {
			t.Fatalf("bucket %d begins with %d, told %d", b, n, least(b))
		}
		last = b
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		x    []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}} {
		if got := Median(test.x); got != test.want {
			t.Errorf("median of %v is %v", test.x, got)
		}
	}
}

func TestCompareCountsAllocations(t *testing.T) {
	var keep []byte
	got := Compare(Settings{Rounds: 3, Span: time.Millisecond},
		Case{"none", func() {}},
		Case{"one", func() { keep = make([]byte, 1024) }})
	_ = keep
	if got[0].Allocs > 0.1 || got[1].Allocs < 0.9 || got[1].Allocs > 1.1 {
		t.Errorf("allocations %v and %v", got[0].Allocs, got[1].Allocs)
	}
	if got[0].RatioToFirst != 1 {
		t.Errorf("ratio to itself is %v", got[0].RatioToFirst)
	}
}

func TestClocksOfProcesses(t *testing.T) {
	before := Own()
	for Own()-before < 20*time.Millisecond {
	}
	if got := Of(os.Getpid()); got < before+20*time.Millisecond {
		t.Errorf("the clock of this process says %v from outside, after %v", got, before)
	}
	if user, system, err := Split(os.Getpid()); err != nil || user+system == 0 {
		t.Errorf("split is %v and %v, %v", user, system, err)
	}
	if Resident(os.Getpid()) < 1<<20 {
		t.Error("this process has no memory")
	}
	if Of(1<<23) != 0 {
		t.Error("a process that is not there has used time")
	}
}
