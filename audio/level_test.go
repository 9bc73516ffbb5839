package audio

import (
	"math"
	"testing"
)

func TestLevels(t *testing.T) {
	for _, test := range []struct {
		name    string
		pcm     []int16
		rms     float64
		dbfs    float64
		peak    int
		clipped int
	}{
		{"nothing", nil, 0, math.Inf(-1), 0, 0},
		{"silence", make([]int16, 10), 0, math.Inf(-1), 0, 0},
		{"the largest sine", sine(1000, 32767, 8000, 8000), 23169.8, 0, 32767, 2000},
		{"a sine of -20 dBFS", sine(1000, 3276.8, 8000, 8000), 2317, -20, 3277, 0},
		{"the most negative sample", []int16{math.MinInt16}, 32768, 3.01, 32768, 1},
		{"the limits of mu-law", []int16{32124, -32124, 32123}, 32123.7, 2.84, 32124, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m Meter
			m.Write(test.pcm[:len(test.pcm)/2])
			m.Write(test.pcm[len(test.pcm)/2:])
			for _, rms := range []float64{RMS(test.pcm), m.RMS()} {
				if math.Abs(rms-test.rms) > 1 {
					t.Errorf("RMS %v, want %v", rms, test.rms)
				}
			}
			for _, db := range []float64{DBFS(RMS(test.pcm)), m.DBFS()} {
				if db != test.dbfs && math.Abs(db-test.dbfs) > 0.01 {
					t.Errorf("level %v, want %v", db, test.dbfs)
				}
			}
			if Peak(test.pcm) != test.peak || m.Peak() != test.peak {
				t.Errorf("peak %d and %d, want %d", Peak(test.pcm), m.Peak(), test.peak)
			}
			if Clipped(test.pcm) != test.clipped || m.Clipped() != int64(test.clipped) {
				t.Errorf("clipped %d and %d, want %d", Clipped(test.pcm), m.Clipped(), test.clipped)
			}
			if m.Samples() != int64(len(test.pcm)) {
				t.Errorf("%d samples", m.Samples())
			}
			if m.Reset(); m != (Meter{}) {
				t.Error("Reset leaves something")
			}
		})
	}
}

func TestLevelsDoNotAllocate(t *testing.T) {
	pcm := sine(1000, 32767, 160, 8000)
	var m Meter
	noAllocs(t, func() {
		m.Write(pcm)
		DBFS(RMS(pcm))
	})
}
