package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// percentile returns the least value of a sorted list within which a share of it
// lies; 0 of an empty one.
func percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}

// write shows the figures and a plot.
func (r result) write(w io.Writer) {
	row := func(name string, d []time.Duration) {
		fmt.Fprintf(w, "%-6s %6d   ", name, len(d))
		for _, p := range []float64{0.5, 0.95, 0.99, 1} {
			fmt.Fprintf(w, "%9v", percentile(d, p).Round(100*time.Microsecond))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "        count        50 %     95 %     99 %      all")
	row("echoes", r.delays)
	row("gaps", r.gaps)
	fmt.Fprintf(w, "%d beeps were not heard, %d calls failed\n\n", r.unheard, len(r.failed))
	bins, width := histogram(r.delays)
	most := largest(bins)
	for i, n := range bins {
		fmt.Fprintf(w, "%9v %s %d\n", time.Duration(i)*width, strings.TrimRight(bar(float64(n)/float64(most), 50), "·"), n)
	}
}

// bar is a bar of which a share is filled.
func bar(share float64, width int) string {
	n := int(share*float64(width) + 0.5)
	return strings.Repeat("█", n) + strings.Repeat("·", width-n)
}

// histogram counts delays in up to 20 bins of round width, from 0 on.
func histogram(sorted []time.Duration) (bins []int, width time.Duration) {
	most := percentile(sorted, 1)
	for _, width = range []time.Duration{2, 5, 10, 20, 50, 100, 200, 500} {
		width *= time.Millisecond
		if most < 20*width {
			break
		}
	}
	bins = make([]int, most/width+1)
	for _, d := range sorted {
		bins[d/width]++
	}
	return bins, width
}

func largest(bins []int) int {
	most := 1
	for _, n := range bins {
		most = max(most, n)
	}
	return most
}

// plot draws the delays as an SVG.
func plot(sorted []time.Duration) string {
	const high, step = 200, 30
	bins, width := histogram(sorted)
	most := largest(bins)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="10">`+"\n", len(bins)*step+40, high+60)
	fmt.Fprintf(&b, `<text x="20" y="15">Delay of %d echoes: half within %v, 99 %% within %v</text>`+"\n",
		len(sorted), percentile(sorted, 0.5).Round(time.Millisecond), percentile(sorted, 0.99).Round(time.Millisecond))
	for i, n := range bins {
		h := n * high / most
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#2a6"><title>%d</title></rect>`+"\n", 20+i*step, 30+high-h, step-2, h, n)
		fmt.Fprintf(&b, `<text x="%d" y="%d">%d</text>`+"\n", 20+i*step, high+45, (time.Duration(i) * width).Milliseconds())
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">ms</text>`+"\n</svg>\n", 20+len(bins)*step, high+45)
	return b.String()
}
