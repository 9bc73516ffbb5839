package call

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/stream"
)

// With all at its defaults the E-model rates 93.2 (ITU-T G.107, clause 7.7).
func TestRatingOfAnUndamagedCall(t *testing.T) {
	if math.Abs(undamaged-93.2) > 0.2 {
		t.Errorf("rating is %.2f, want 93.2", undamaged)
	}
	if q := (damage{bursts: 1, noise: defaultNoise}).quality(); q != 1 {
		t.Errorf("quality is %v, want 1", q)
	}
	if q := (damage{none: true}).quality(); q != 0 {
		t.Errorf("quality without sound is %v, want 0", q)
	}
}

// More of a damage is never better, and much of it is bad, whatever else there is.
func TestQualityFallsWithEachDamage(t *testing.T) {
	steps := map[string]func(d *damage, x float64){ // x from 0 to 1
		"loss":     func(d *damage, x float64) { d.loss = x },
		"bursts":   func(d *damage, x float64) { d.loss, d.bursts = max(d.loss, 0.03), 1+20*x },
		"jitter":   func(d *damage, x float64) { d.jitter = time.Duration(x * float64(time.Second)) },
		"clipping": func(d *damage, x float64) { d.clipped = x },
		"level":    func(d *damage, x float64) { d.quiet = 50 * x },
		"noise":    func(d *damage, x float64) { d.noise = defaultNoise + 60*x },
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			for n := range 200 {
				d := damage{bursts: 1, noise: defaultNoise}
				if n > 0 { // with others
					d = damage{loss: r.Float64() / 10, bursts: 1 + r.Float64(), jitter: time.Duration(r.IntN(100)) * ms,
						clipped: r.Float64() / 50, quiet: 10 * r.Float64(), noise: defaultNoise + 20*r.Float64()}
				}
				first, before := 0.0, 2.0
				for i := range 101 {
					step(&d, float64(i)/100)
					q := d.quality()
					if q > before || q < 0 || q > 1 || math.IsNaN(q) {
						t.Fatalf("quality is %v after %v, for %+v", q, before, d)
					}
					if i == 0 {
						first = q
					}
					before = q
				}
				if n == 0 && before > first-0.1 {
					t.Errorf("the most of it is rated %.2f, and none of it %.2f", before, first)
				}
			}
		})
	}
}

// What is measured of damaged speech lowers the figure, too.
func TestQualityOfDamagedSound(t *testing.T) {
	rate := func(gain float64, noise float64) (float64, *reception) {
		var s reception
		r := rand.New(rand.NewPCG(1, 9))
		speech := audiotest.Tone(300, 20*time.Millisecond, 8000)
		pcm := make([]int16, len(speech))
		for i := range 200 {
			for j := range pcm {
				v := noise * r.NormFloat64()
				if i%2 == 0 {
					v += gain * float64(speech[j])
				}
				pcm[j] = int16(max(-32768, min(32767, v)))
			}
			s.add(pcm, i%2 == 0)
		}
		return s.damage(stream.Stats{SamplesIn: 32000, FramesIn: 200}).quality(), &s
	}
	clean, s := rate(0.3, 4)
	if clean < 0.9 {
		t.Errorf("clean sound is rated %.2f (speech %.0f, noise %.0f dBov)", clean, s.speechLevel(), s.noiseLevel())
	}
	for name, tt := range map[string]struct{ gain, noise float64 }{
		"faint":     {0.003, 4},
		"noisy":     {0.3, 800},
		"overdrive": {30, 4},
	} {
		if q, s := rate(tt.gain, tt.noise); q > clean-0.1 {
			t.Errorf("%s is rated %.2f, clean sound %.2f (speech %.0f, noise %.0f dBov, clipped %.2f)", name, q, clean, s.speechLevel(), s.noiseLevel(), s.clippedShare())
		}
	}
}

func TestFiguresAllocateNothing(t *testing.T) {
	var f figures
	frame := audio.Frame{PCM: audiotest.Tone(300, 20*time.Millisecond, 8000), Format: audio.Telephone, Payload: make([]byte, 160)}
	if n := testing.AllocsPerRun(100, func() {
		f.passed(&frame, true)
		f.passed(&frame, false)
		f.agentSpoke(&frame)
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkFigures(b *testing.B) {
	var f figures
	frame := audio.Frame{PCM: audiotest.Tone(300, 20*time.Millisecond, 8000), Format: audio.Telephone, Payload: make([]byte, 160)}
	for b.Loop() {
		f.passed(&frame, true)
	}
}

func TestPercentiles(t *testing.T) {
	var l latencies
	if p50, p95 := l.percentiles(); p50 != 0 || p95 != 0 {
		t.Errorf("of none: %v, %v", p50, p95)
	}
	for i := range 200 { // the newest 64 are 136 … 199
		l.add(time.Duration(i))
	}
	if p50, p95 := l.percentiles(); p50 != 168 || p95 != 196 {
		t.Errorf("%d, %d; want 168, 196", p50, p95)
	}
}
