package audio

import "math"

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
	noiseBias = 2
	// noiseFloor is the least noise that is reckoned with, -70 dBFS: below it,
	// what moves is the encoding.
	noiseFloor = 96 * 60
	// speechMemory is how much the speech expected depends on the speech found
	// in the last hop, rather than on what is heard now.
	speechMemory = 0.985
	// leastSpeech is the least ratio of speech to noise that is expected, -25
	// dB, and mostRatio the largest of what is heard to noise.
	leastSpeech = 0.003
	mostRatio   = 50
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
		// One logarithm for several factors; a factor is at most 51.
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

// A crowd follows how likely speech seems while nobody speaks to us. In steady
// noise that is next to nothing; where other people talk it is much, and who
// speaks to us must stand out from them. It is the likelihood that is not
// reached for a third of the time or so, which a speaker's pauses keep low.
type crowd struct {
	hops  int // up to crowdSettled
	level float32
}

const (
	// crowdRatio is how much likelier a speaker must be than the crowd.
	crowdRatio = 3
	crowdShare = 0.35
	crowdLeast = 0.02
	// crowdStep is how far the level goes in a hop, as a part of itself. At the
	// start of a stream it goes further, crowdStart over the number of hops.
	crowdStep    = 0.015
	crowdStart   = 8
	crowdMost    = 0.5
	crowdSettled = 600 // no fewer than crowdStart / crowdStep
)

// follow takes the likelihood of one hop into account and returns the level.
func (c *crowd) follow(likelihood float32) float32 {
	if c.hops < crowdSettled {
		c.hops++
	}
	step := max(crowdStep, min(crowdMost, crowdStart/float32(c.hops)))
	if likelihood > c.level {
		c.level *= 1 + step*crowdShare
	} else {
		c.level *= 1 - step*(1-crowdShare)
	}
	c.level = max(c.level, crowdLeast)
	return c.level
}
