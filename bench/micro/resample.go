package micro

import (
	"fmt"
	"math"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/report"
	"github.com/switchboard-voice/switchboard/bench/speech"
	resampler "github.com/tphakala/go-audio-resampler"
)

var rates = []int{8000, 16000, 24000, 48000}

// quality is how well sound survives a resampler.
type quality struct {
	snr, ripple, alias float64 // dB, the worst
	delay              time.Duration
	heldBack           int // samples, at most
}

func perfect() quality { return quality{snr: math.Inf(1), alias: math.Inf(-1)} }

// worst is the worse of two in each respect.
func (q *quality) worst(p quality) {
	q.snr = min(q.snr, p.snr)
	q.ripple = max(q.ripple, p.ripple)
	q.alias = max(q.alias, p.alias)
	q.delay = max(q.delay, p.delay)
	q.heldBack = max(q.heldBack, p.heldBack)
}

// judge tries every pair of rates. It returns the worst, and each pair.
func judge() (quality, report.Table, error) {
	all := perfect()
	table := report.Table{Title: "Resampling, each pair of rates",
		Header: []string{"From, Hz", "To, Hz", "SNR, dB", "Ripple, dB", "Alias, dB", "Delay, ms", "Held back, samples"}}
	for _, from := range rates {
		for _, to := range rates {
			if from == to {
				continue
			}
			r, err := audio.NewResampler(from, to)
			if err != nil {
				return all, table, err
			}
			q := perfect()
			q.tones(r, from, to)
			q.aliases(r, from, to)
			q.pieces(r, from, to)
			q.delay = r.Delay()
			table.Rows = append(table.Rows, []string{
				fmt.Sprint(from), fmt.Sprint(to), fmt.Sprintf("%.1f", q.snr), fmt.Sprintf("%.4f", q.ripple),
				decibels(q.alias), fmt.Sprintf("%.2f", q.delay.Seconds()*1e3), fmt.Sprint(q.heldBack),
			})
			all.worst(q)
		}
	}
	return all, table, nil
}

// decibels of nothing at all are "none".
func decibels(v float64) string {
	if math.IsInf(v, -1) {
		return "none"
	}
	return fmt.Sprintf("%.1f", v)
}

const loud = 30000

// tones sends tones of the telephone band.
func (q *quality) tones(r *audio.Resampler, from, to int) {
	for hz := 300.0; hz <= 3400; hz += 155 {
		r.Reset()
		out := r.Append(nil, tone(hz, from))[to/50:]
		amplitude, rest := fit(out, hz, to)
		q.snr = min(q.snr, 10*math.Log10(amplitude*amplitude/2/rest))
		q.ripple = max(q.ripple, math.Abs(20*math.Log10(amplitude/loud)))
	}
}

// aliases listens for tones where none were sent: from above the new Nyquist
// frequency on the way down, mirrored at the old one on the way up.
func (q *quality) aliases(r *audio.Resampler, from, to int) {
	low, high := float64(min(from, to)), float64(max(from, to))
	for part := 300.0; part <= 3400; part += 100 {
		hz := part * low / 8000
		for image := low; image < high; image += low {
			for _, mirrored := range []float64{image - hz, image + hz} {
				if mirrored >= high/2 {
					continue
				}
				sent, heard := hz, mirrored
				if from > to {
					sent, heard = mirrored, hz
				}
				r.Reset()
				amplitude, _ := fit(r.Append(nil, tone(sent, from))[to/50:], heard, to)
				q.alias = max(q.alias, 20*math.Log10(amplitude/loud))
			}
		}
	}
}

// pieces counts what does not come out for what has gone in.
func (q *quality) pieces(r *audio.Resampler, from, to int) {
	r.Reset()
	in, out := 0, 0
	for n := range 700 {
		in += n
		out += len(r.Append(nil, make([]int16, n)))
		q.heldBack = max(q.heldBack, in*to/from-out)
	}
}

// tone is half a second, so that each tone that is sent has whole periods in
// what is looked at.
func tone(hz float64, rate int) []int16 {
	pcm := make([]int16, rate/2)
	for i := range pcm {
		pcm[i] = speech.Sample(loud * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return pcm
}

// fit finds the sine of that frequency in x: its amplitude, and the power of all
// else. It solves the least squares of sine and cosine exactly.
func fit(x []int16, hz float64, rate int) (amplitude, rest float64) {
	var ss, cc, sc, xs, xc float64
	for i, v := range x {
		s, c := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		ss, cc, sc = ss+s*s, cc+c*c, sc+s*c
		xs, xc = xs+float64(v)*s, xc+float64(v)*c
	}
	det := ss*cc - sc*sc
	a, b := (xs*cc-xc*sc)/det, (xc*ss-xs*sc)/det
	for i, v := range x {
		s, c := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		d := float64(v) - a*s - b*c
		rest += d * d
	}
	return math.Hypot(a, b), rest / float64(len(x))
}

// resampleCases turn 20 ms of samples to samples of another rate, ours first.
// The peer works on floating point numbers, and so has to turn samples into
// them and back; what it does alone is the third case, and what it does with its
// usual numbers of 64 bits, converted too, the fourth.
func resampleCases(from, to int) ([]measure.Case, error) {
	src := make([]int16, from/50)
	for i := range src {
		src[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/float64(from)))
	}
	ours, err := audio.NewResampler(from, to)
	if err != nil {
		return nil, err
	}
	peer, err := resampler.NewEngineFloat32(float64(from), float64(to), resampler.QualityHigh)
	if err != nil {
		return nil, err
	}
	wide, err := resampler.NewEngine(float64(from), float64(to), resampler.QualityHigh)
	if err != nil {
		return nil, err
	}
	dst := make([]int16, 0, to/50+1)
	wideX, wideY := make([]float64, len(src)), make([]float64, wide.EstimateOutput(len(src)))
	x, y := make([]float32, len(src)), make([]float32, peer.EstimateOutput(len(src)))
	back := make([]int16, max(len(y), len(wideY)))
	alone := func() int {
		n, err := peer.ProcessInto(x, y)
		if err != nil {
			panic(err)
		}
		return n
	}
	return []measure.Case{
		{Name: "audio.Resampler", Do: func() { dst = ours.Append(dst[:0], src) }},
		{Name: "go-audio-resampler", Do: func() {
			for i, s := range src {
				x[i] = float32(s) / 32768
			}
			for i, v := range y[:alone()] {
				back[i] = int16(min(max(v*32768, math.MinInt16), math.MaxInt16))
			}
		}},
		{Name: "go-audio-resampler, floats only", Do: func() { alone() }},
		{Name: "go-audio-resampler, 64 bits", Do: func() {
			for i, s := range src {
				wideX[i] = float64(s) / 32768
			}
			n, err := wide.ProcessInto(wideX, wideY)
			if err != nil {
				panic(err)
			}
			for i, v := range wideY[:n] {
				back[i] = int16(min(max(v*32768, math.MinInt16), math.MaxInt16))
			}
		}},
	}, nil
}

// Resampling judges the resampler and compares its speed with a good one.
func Resampling(s measure.Settings) ([]report.Goal, []report.Table, error) {
	q, table, err := judge()
	if err != nil {
		return nil, nil, err
	}
	goals := []report.Goal{{
		Number: 10, What: "resampling between 8, 16, 24 and 48 kHz", Section: "resample",
		Want: "SNR ≥ 90 dB, ripple ≤ 0.01 dB, alias ≤ −95 dB, delay ≤ 3 ms, nothing held back",
		Ours: fmt.Sprintf("SNR %.1f dB, ripple %.4f dB, alias %.1f dB, delay %.1f ms, %d samples held back",
			q.snr, q.ripple, q.alias, q.delay.Seconds()*1e3, q.heldBack),
		Met: report.Reached(q.snr >= 90 && q.ripple <= 0.01 && q.alias <= -95 && q.delay <= 3*time.Millisecond && q.heldBack == 0),
	}}
	for _, pair := range [][2]int{{8000, 16000}, {16000, 8000}} {
		cases, err := resampleCases(pair[0], pair[1])
		if err != nil {
			return nil, nil, err
		}
		r := measure.Compare(s, cases...)
		goals = append(goals, report.Goal{
			Number: 11, What: fmt.Sprintf("resampling %d to %d, 20 ms, against go-audio-resampler High", pair[0], pair[1]), Section: "resample",
			Want: "≥ 2.5 ×",
			Ours: fmt.Sprintf("%v, %s", r[0].Median, allocs(r[0])), Peer: fmt.Sprintf("%v, %s", r[1].Median, allocs(r[1])),
			Ratio: times(r[1].RatioToFirst), Met: report.Reached(r[1].RatioToFirst >= 2.5),
			Note: fmt.Sprintf("%d to %d: samples in, samples out, with the peer's numbers of 32 bits and its assembly for AVX2. Without the conversions "+
				"from samples and back it takes %v (%s); with its usual numbers of 64 bits and the conversions %v (%s). It aims at 126 dB, ours at 90.",
				pair[0], pair[1], r[2].Median, times(r[2].RatioToFirst), r[3].Median, times(r[3].RatioToFirst)),
		})
	}
	return goals, []report.Table{table}, nil
}
