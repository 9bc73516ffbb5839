package call

import (
	"math"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/stream"
)

// reception measures how the caller's sound arrives. A frame costs two passes over its
// samples, and no allocation.
type reception struct {
	speech  float64 // sum of squares while the caller speaks
	spoken  int64   // samples of that
	clipped int64   // of those, at the limit
	quiet   [levels]uint32
	pauses  int64 // frames in quiet
}

// levels is how many steps of a decibel are told apart in what is no speech, from
// 0 dBov down.
const levels = 96

// Of less than this nothing is said about level and noise.
const (
	enoughSpeech = 4000 // samples
	enoughPauses = 50   // frames
)

// silent is the level of digital silence.
const silent = -levels

func (s *reception) add(pcm []int16, speaking bool) {
	if len(pcm) == 0 {
		return
	}
	rms := audio.RMS(pcm)
	if speaking {
		s.speech += rms * rms * float64(len(pcm))
		s.spoken += int64(len(pcm))
		s.clipped += int64(audio.Clipped(pcm))
		return
	}
	s.quiet[min(levels-1, int(-dBov(rms)))]++
	s.pauses++
}

// dBov is a level below that of the loudest square wave (ITU-T G.100.1).
func dBov(rms float64) float64 {
	if rms < 0.5 {
		return silent
	}
	return min(0, 20*math.Log10(rms/32768))
}

// speechLevel is how loud the caller speaks, in dBov; 0 if that is not known.
func (s *reception) speechLevel() float64 {
	if s.spoken < enoughSpeech {
		return 0
	}
	return dBov(math.Sqrt(s.speech / float64(s.spoken)))
}

// noiseLevel is the level, in dBov, below which a quarter of the pauses are, so
// that an echo of the agent does not count; 0 if it is not known.
func (s *reception) noiseLevel() float64 {
	if s.pauses < enoughPauses {
		return 0
	}
	left := s.pauses / 4
	for level := levels - 1; level >= 0; level-- {
		if left -= int64(s.quiet[level]); left < 0 {
			return -float64(level)
		}
	}
	return 0
}

// clippedShare is how much of the caller's speech is at the limit, from 0 to 1.
func (s *reception) clippedShare() float64 {
	if s.spoken == 0 {
		return 0
	}
	return float64(s.clipped) / float64(s.spoken)
}

// damage is what the caller's sound has suffered.
type damage struct {
	none    bool          // there was no sound at all
	loss    float64       // of what was sent, from 0 to 1
	bursts  float64       // how much longer gaps are than if each frame were lost by chance; at least 1
	jitter  time.Duration // RFC 3550
	clipped float64       // of speech, from 0 to 1
	quiet   float64       // dB below the usual level
	noise   float64       // dBm0
}

func (s *reception) damage(st stream.Stats) damage {
	total := st.SamplesIn + st.FilledSamples
	d := damage{none: total == 0, bursts: 1, jitter: st.Jitter, clipped: s.clippedShare(), noise: defaultNoise}
	if st.FilledSamples > 0 {
		d.loss = float64(st.FilledSamples) / float64(total)
		frame := float64(total) / float64(max(1, st.FramesIn+st.Gaps)) // about
		frames := float64(st.FilledSamples) / frame
		d.bursts = max(1, frames/float64(max(1, st.Gaps))*(1-d.loss))
	}
	if level := s.speechLevel(); level < 0 {
		d.quiet = max(0, usualLevel-level)
	}
	if noise := s.noiseLevel(); noise < 0 {
		d.noise = max(defaultNoise, noise+overload)
	}
	return d
}

const (
	// usualLevel is that of speech, in dBov (ITU-T P.56 and P.830).
	usualLevel = -26
	// overload is 0 dBov in dBm0 (ITU-T G.100.1).
	overload = 6.15
	// defaultNoise is the noise of a circuit, in dBm0p, and the other defaults of
	// the E-model (ITU-T G.107, table 2).
	defaultNoise = -70
	defaultSLR   = 8
	defaultRLR   = 2
	// robustness is Bpl of G.711 without concealment (ITU-T G.113, appendix I).
	robustness = 4.3
	// usualDelay is assumed to be there without jitter; below 100 ms delay does not
	// matter to the E-model.
	usualDelay = 100 * time.Millisecond
)

// quality is how well the caller was heard, from 0 to 1: the rating R of the
// E-model (ITU-T G.107), made a mean opinion score as in its annex B, and that
// put on a scale on which an undamaged call is 1.
//
// From the model are: packet loss, in bursts too (Ie,eff with Bpl of G.711);
// noise and level (Ro and Iolr); delay (Idd). Ours is what they are fed with:
// noise counts unweighted, as measured in pauses; speech below -26 dBov counts as
// so much more loss of loudness (SLR), and loud speech not at all; jitter counts as
// the delay of a buffer twice as long; and clipped samples as lost ones, since the
// model knows no clipping. All else, echo among it, is at its defaults. Of any two
// calls that differ in one damage only, the worse one never has the better figure.
func (d damage) quality() float64 {
	if d.none {
		return 0
	}
	return max(0, min(1, (opinion(d.rating())-1)/(opinion(undamaged)-1)))
}

var undamaged = damage{bursts: 1, noise: defaultNoise}.rating()

// rating is R.
func (d damage) rating() float64 {
	slr := defaultSLR + d.quiet
	olr := slr + defaultRLR
	noise := circuitNoise(d.noise, slr, olr)
	ro := 15 - 1.5*(slr+noise)
	x := (olr + 0.2*(64+noise-defaultRLR)) / 8
	loudness := 20 * (math.Pow(1+math.Pow(x, 8), 1.0/8) - x)
	clipping := impairment(0, 100*d.clipped, 1)
	return ro - loudness - quantizing(ro) - delaying(usualDelay+2*d.jitter) - impairment(clipping, 100*d.loss, d.bursts)
}

// circuitNoise is No: that of the circuit, and of both rooms at their defaults.
func circuitNoise(nc, slr, olr float64) float64 {
	const (
		room     = 35.0 // Ps and Pr, dB(A)
		handsets = 3.0  // Ds
		sidetone = 18.0 // LSTR
		floor    = -64.0
	)
	nos := room - slr - handsets - 100 + 0.004*square(room-olr-handsets-14)
	pre := room + 10*math.Log10(1+math.Pow(10, (10-sidetone)/10))
	nor := defaultRLR - 121 + pre + 0.008*square(pre-35)
	sum := 0.0
	for _, n := range []float64{nc, nos, nor, floor + defaultRLR} {
		sum += math.Pow(10, n/10)
	}
	return 10 * math.Log10(sum)
}

// quantizing is Iq, for one coding.
func quantizing(ro float64) float64 {
	const (
		q = 37.0
		g = 1.07 + 0.258*q + 0.0602*q*q
	)
	y := (ro-100)/15 + 46/8.4 - g/9
	z := 46/30.0 - g/40
	return 15 * math.Log10(1+math.Pow(10, y)+math.Pow(10, z))
}

// delaying is Idd.
func delaying(d time.Duration) float64 {
	if d <= 100*time.Millisecond {
		return 0
	}
	x := math.Log2(float64(d) / float64(100*time.Millisecond))
	return 25 * (math.Pow(1+math.Pow(x, 6), 1.0/6) - 3*math.Pow(1+math.Pow(x/3, 6), 1.0/6) + 2)
}

// impairment is Ie,eff for loss in per cent.
func impairment(equipment, loss, bursts float64) float64 {
	return equipment + (95-equipment)*loss/(loss/bursts+robustness)
}

// opinion is the mean opinion score for a rating, from 1 to 4.5.
func opinion(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}

func square(x float64) float64 { return x * x }
