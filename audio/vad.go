package audio

import (
	"math"
	"time"
)

// A DetectorConfig says how a [Detector] tells speech from noise. The zero
// value is fit for a telephone call.
type DetectorConfig struct {
	// Rate of the samples: 8000, 16000, 24000 or 48000. Zero means 8000. Other
	// rates than 8000 are brought down to it first.
	Rate int
	// Threshold is the likelihood, as [Detector.Likelihood] gives it, above
	// which sound is speech. Zero means 0.18. More misses soft speech, less
	// takes more noise for speech.
	Threshold float64
	// MinSpeech is how long sound must be likely speech before speech is said
	// to begin, which keeps clicks out. Zero means 60 ms; it is rounded to
	// steps of 20 ms.
	MinSpeech time.Duration
	// Hangover is how long speech must be missing before it is said to have
	// ended. It bridges the pauses within words. Zero means 120 ms; it is
	// rounded to steps of 20 ms. It is not a time to wait before answering: for
	// that, count from the end that was reported.
	Hangover time.Duration
}

// An Activity is the beginning or the end of speech.
type Activity struct {
	Speaking bool  // whether speech begins
	At       int64 // where, in samples since the start of the stream
}

// A Detector finds speech in a stream of sound. It is used by one goroutine at
// a time and allocates nothing as it works.
//
// It compares the spectrum of each 20 ms with that of the noise around, which
// it follows by the least power that each frequency had in the last 1.6 to 1.8
// seconds, and weighs how much likelier speech and noise together would be than
// noise alone. So it finds speech in steady noise, such as a car, a fan or a bad
// line, at any level, and stays quiet when noise goes on for more than a few
// seconds. What it cannot do is tell voices apart: other people talking nearby
// (babble), a television or music are speech to it, and in them it finds far
// too much. Nothing that looks at sound alone for so short a time does better;
// where that matters, ask a recogniser for words.
type Detector struct {
	threshold float32
	minHops   int
	hangHops  int

	narrow narrow

	window [spectrumSamples]float32 // the last hop at its end
	filled int                      // samples of the next hop that are there
	at     int64                    // samples at 8 kHz in all whole hops
	voice  voiceModel

	likelihood float32
	speaking   bool
	loud       int   // hops in a row above the threshold
	quiet      int   // hops in a row below it
	began      int64 // where the run of loud hops began
	ended      int64 // where the last loud hop ended
}

// detectorHop is 20 ms.
const detectorHop = 160

// NewDetector returns a Detector. The error is [ErrUnsupportedRate].
func NewDetector(cfg DetectorConfig) (*Detector, error) {
	if cfg.Rate == 0 {
		cfg.Rate = detectorRate
	}
	narrow, err := newNarrow(cfg.Rate)
	if err != nil {
		return nil, err
	}
	d := &Detector{
		narrow:    narrow,
		threshold: float32(orDefault(cfg.Threshold, 0.18)),
		minHops:   hops(orDefault(cfg.MinSpeech, 60*time.Millisecond)),
		hangHops:  hops(orDefault(cfg.Hangover, 120*time.Millisecond)),
	}
	return d, nil
}

func orDefault[T float64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func hops(d time.Duration) int {
	const hop = 20 * time.Millisecond
	return max(1, int((d+hop/2)/hop))
}

// Reset forgets all that was heard; the stream starts again at sample 0.
func (d *Detector) Reset() {
	d.narrow.reset()
	d.window = [spectrumSamples]float32{}
	d.filled, d.at = 0, 0
	d.voice.reset()
	d.likelihood = 0
	d.speaking = false
	d.loud, d.quiet = 0, 0
	d.began, d.ended = 0, 0
}

// Append listens to pcm, of any length, and appends the beginnings and ends of
// speech that it made out to dst, in order and by turns. It appends at most one
// for every 20 ms. They lie in the past: a beginning by MinSpeech and up to 20
// ms, an end by Hangover and up to 20 ms.
func (d *Detector) Append(dst []Activity, pcm []int16) []Activity {
	for len(pcm) > 0 {
		var sound []int16
		sound, pcm = d.narrow.next(pcm)
		dst = d.listen(dst, sound)
	}
	return dst
}

func (d *Detector) listen(dst []Activity, pcm []int16) []Activity {
	for len(pcm) > 0 {
		hop := d.window[spectrumSamples-detectorHop:]
		n := min(len(pcm), detectorHop-d.filled)
		for i, s := range pcm[:n] {
			hop[d.filled+i] = float32(s)
		}
		pcm = pcm[n:]
		if d.filled += n; d.filled < detectorHop {
			return dst
		}
		d.likelihood = d.voice.likelihood(&d.window)
		copy(d.window[:], d.window[detectorHop:])
		d.filled = 0
		d.at += detectorHop
		dst = d.decide(dst)
	}
	return dst
}

// decide turns the likelihood of one hop into beginnings and ends.
func (d *Detector) decide(dst []Activity) []Activity {
	if d.likelihood <= d.threshold {
		d.loud = 0
		d.quiet++
		if d.speaking && d.quiet >= d.hangHops {
			d.speaking = false
			dst = append(dst, Activity{At: d.narrow.position(d.ended)})
		}
		return dst
	}
	d.quiet = 0
	d.ended = d.at
	if d.loud++; d.loud == 1 {
		d.began = d.at - detectorHop
	}
	if !d.speaking && d.loud >= d.minHops {
		d.speaking = true
		dst = append(dst, Activity{Speaking: true, At: d.narrow.position(d.began)})
	}
	return dst
}

// Speaking reports whether speech has begun and not ended.
func (d *Detector) Speaking() bool { return d.speaking }

// Likelihood is how likely the last 20 ms are speech: the mean, over the
// frequencies of the telephone band, of the logarithm of how much likelier
// they are with speech than without. It is near 0 for noise and above 1 for
// clear speech; it has no upper bound.
func (d *Detector) Likelihood() float64 { return float64(d.likelihood) }

// A voiceModel weighs speech against noise, frequency by frequency, after
// Sohn, Kim and Sung, "A statistical model-based voice activity detection"
// (1999), with the noise followed as in Martin, "Noise power spectral density
// estimation based on optimal smoothing and minimum statistics" (2001).
type voiceModel struct {
	seen   int                            // hops since the start, up to primeHops
	hops   int                            // in this part of the memory
	smooth [voiceBins]float32             // power, smoothed in time
	low    [voiceBins]float32             // least of smooth in this part
	lows   [voiceParts][voiceBins]float32 // the same for the parts before
	part   int                            // the oldest of lows
	floor  [voiceBins]float32             // least of all of them
	clean  [voiceBins]float32             // power of speech in the last hop, over noise
}

const (
	voiceLow  = 8   // bin of 250 Hz
	voiceHigh = 109 // bin of 3406 Hz
	voiceBins = voiceHigh - voiceLow + 1
)

// Chosen on the 22 conditions of the tests; none of them is at an edge.
const (
	voiceParts = 8  // of the memory of the noise
	partHops   = 10 // hops in each part: 200 ms
	primeHops  = 5  // at the start of a stream, averaged to a first noise

	// powerMemory is how much of its last value the smoothed power keeps.
	powerMemory = 0.7
	// noiseBias makes up for the least power being less than the mean.
	noiseBias = 1.5
	// noiseFloor is the least noise that is reckoned with, -70 dBFS: below it,
	// what moves is the encoding.
	noiseFloor = 96 * 60
	// speechMemory is how much the speech expected depends on the speech found
	// in the last hop, rather than on what is heard now.
	speechMemory = 0.98
	// leastSpeech is the least ratio of speech to noise that is expected, -25
	// dB, and mostRatio the largest of what is heard to noise.
	leastSpeech = 0.003
	mostRatio   = 1000
)

func (v *voiceModel) reset() { *v = voiceModel{} }

func (v *voiceModel) likelihood(x *[spectrumSamples]float32) float32 {
	var spectrum [spectrumBins]float32
	powerSpectrum(&spectrum, x)
	power := (*[voiceBins]float32)(spectrum[voiceLow:])
	v.follow(power)

	var sum float32
	product := float32(1)
	for k, p := range power {
		noise := max(v.floor[k]*noiseBias, noiseFloor)
		gamma := min(p/noise, mostRatio)
		xi := max(speechMemory*v.clean[k]+(1-speechMemory)*max(gamma-1, 0), leastSpeech)
		gain := xi / (1 + xi)
		v.clean[k] = gain * gain * gamma
		sum += gamma * gain
		// One logarithm for several factors; a factor is at most 1001.
		product *= 1 + xi
		if k%8 == 7 {
			sum -= logOf(product)
			product = 1
		}
	}
	sum -= logOf(product)
	return sum / voiceBins
}

func logOf(x float32) float32 { return float32(math.Log(float64(x))) }

// follow takes the power of one hop into account in the noise.
func (v *voiceModel) follow(power *[voiceBins]float32) {
	if v.seen < primeHops {
		v.seen++
		for k, p := range power {
			v.smooth[k] += (p - v.smooth[k]) / float32(v.seen)
		}
		v.low, v.floor = v.smooth, v.smooth
		for i := range v.lows {
			v.lows[i] = v.smooth
		}
		return
	}
	for k, p := range power {
		s := powerMemory*v.smooth[k] + (1-powerMemory)*p
		v.smooth[k] = s
		v.low[k] = min(v.low[k], s)
		v.floor[k] = min(v.floor[k], s)
	}
	if v.hops++; v.hops < partHops {
		return
	}
	v.hops = 0
	v.lows[v.part] = v.low
	v.part = (v.part + 1) % voiceParts
	v.floor = v.lows[0]
	for i := 1; i < voiceParts; i++ {
		for k, l := range v.lows[i] {
			v.floor[k] = min(v.floor[k], l)
		}
	}
	v.low = v.smooth
}
