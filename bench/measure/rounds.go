package measure

import (
	"runtime"
	"slices"
	"time"
)

// A Case is one thing that is measured against others.
type Case struct {
	Name string
	Do   func() // one operation
}

// A Result is what one operation of a case costs.
type Result struct {
	Name           string
	Least, Median  time.Duration // of the rounds
	Allocs, Bytes  float64
	RatioToFirst   float64 // median over the rounds of this case's cost to the first one's
	operationsEach int
}

// Settings say how long a comparison takes: Rounds times Span for each case.
type Settings struct {
	Rounds int
	Span   time.Duration
}

// Full and Quick are the usual settings.
var (
	Full  = Settings{Rounds: 15, Span: 40 * time.Millisecond}
	Quick = Settings{Rounds: 7, Span: 10 * time.Millisecond}
)

// Compare measures the cases by turns, so that whatever else the machine does
// meets them all, in processor time of this process, that of the garbage
// collector included.
func Compare(s Settings, cases ...Case) []Result {
	results := make([]Result, len(cases))
	costs := make([][]float64, len(cases))
	for i, c := range cases {
		results[i] = Result{Name: c.Name, operationsEach: calibrate(c.Do, s.Span)}
		results[i].Allocs, results[i].Bytes = allocations(c.Do, results[i].operationsEach)
	}
	runtime.GC()
	for range s.Rounds {
		for i, c := range cases {
			costs[i] = append(costs[i], cost(c.Do, results[i].operationsEach))
		}
	}
	for i := range results {
		ratios := make([]float64, s.Rounds)
		for round := range ratios {
			ratios[round] = costs[i][round] / costs[0][round]
		}
		results[i].RatioToFirst = Median(ratios)
		results[i].Least = time.Duration(slices.Min(costs[i]))
		results[i].Median = time.Duration(Median(costs[i]))
	}
	return results
}

// calibrate is how many operations take about span.
func calibrate(do func(), span time.Duration) int {
	for n := 1; ; n *= 2 {
		begin := Own()
		for range n {
			do()
		}
		if took := Own() - begin; took > span/4 || n > 1<<28 {
			return max(1, int(float64(n)*float64(span)/float64(max(took, 1))))
		}
	}
}

// cost is nanoseconds for one operation.
func cost(do func(), n int) float64 {
	begin := Own()
	for range n {
		do()
	}
	return float64(Own()-begin) / float64(n)
}

func allocations(do func(), n int) (allocs, bytes float64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		do()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n),
		float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
}

// Median is the middle of x, or the mean of the two in the middle; 0 of none.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
