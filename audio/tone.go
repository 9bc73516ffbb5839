package audio

import (
	"math"
	"time"
)

// A ToneConfig says which tones a [ToneDetector] tells of. The zero value is
// the beep of a voicemail box.
type ToneConfig struct {
	// Rate of the samples: 8000, 16000, 24000 or 48000. Zero means 8000.
	Rate int
	// Low and High bound the frequency, in Hz. Zero means 450 and 2050, which
	// leaves out the ring-back tone of Europe (425 Hz) and the answer of a fax
	// machine (2100 Hz). Tones below 200 and above 3600 are not heard.
	Low, High float64
	// MinDuration and MaxDuration bound how long the tone sounds. Zero means
	// 120 ms and 2.5 s.
	MinDuration, MaxDuration time.Duration
	// Pairs has it tell of two tones that sound together, too, both of them within
	// Low and High, at least 160 Hz apart and within 10 dB of each other. Keys of a
	// telephone are such pairs.
	Pairs bool
}

// A Tone is a steady sine that has ended, or a pair of them.
type Tone struct {
	Hz      float64 // to about 5 Hz; the lower one of a pair
	Second  float64 // the higher one of a pair, else 0
	At      int64   // where it began, in samples since the start of the stream, to about 20 ms
	Samples int64   // how long it was, to about 30 ms
	// Octave is the power at twice Hz, as a part of that at Hz.
	Octave float64
	// Quiet tells that what came right after it was softer by 10 dB or more.
	Quiet bool
}

// A ToneDetector finds single steady tones in a stream of sound: 9/10 of the
// power at one frequency that does not move, or at two. By default it hears the
// beep after which a voicemail box records; a [BeepDetector] knows more about
// those. Speech, music, ring-back of two tones and the keys of a telephone are no
// such tones; a whistle may be. It is used by one goroutine at a time and
// allocates nothing as it works.
type ToneDetector struct {
	cfg    ToneConfig
	narrow narrow

	window [spectrumSamples]float32
	filled int
	at     int64 // samples at 8 kHz in all whole hops

	hops   int       // of the tone that sounds
	missed int       // hops in a row without it
	mean   toneHeard // over its hops
	began  int64
}

// toneHeard is the tone in one hop, or what the mean hop of a tone holds.
type toneHeard struct {
	hz, second float64 // 0 for none
	octave     float64 // see Tone
	power      float64 // of all sound
}

const (
	toneShare = 0.9
	// toneLeast is the power of a sine of -45 dBFS, an amplitude of 184: it is
	// (184*N/4)² in its bin and half as much more beside it.
	toneLeast   = 184 * 184 * spectrumSamples * spectrumSamples / 16 * 1.5
	toneQuiet   = 0.1
	toneDrift   = 12  // Hz between a hop and the mean
	toneLowBin  = 6   // 190 Hz
	toneHighBin = 116 // 3625 Hz
)

// NewToneDetector returns a ToneDetector. The error is [ErrUnsupportedRate].
func NewToneDetector(cfg ToneConfig) (*ToneDetector, error) {
	if cfg.Rate == 0 {
		cfg.Rate = detectorRate
	}
	narrow, err := newNarrow(cfg.Rate)
	if err != nil {
		return nil, err
	}
	cfg.Low = orDefault(cfg.Low, 450)
	cfg.High = orDefault(cfg.High, 2050)
	cfg.MinDuration = orDefault(cfg.MinDuration, 120*time.Millisecond)
	cfg.MaxDuration = orDefault(cfg.MaxDuration, 2500*time.Millisecond)
	return &ToneDetector{cfg: cfg, narrow: narrow}, nil
}

// Reset forgets all that was heard; the stream starts again at sample 0.
func (d *ToneDetector) Reset() {
	d.narrow.reset()
	d.window = [spectrumSamples]float32{}
	d.filled, d.at = 0, 0
	d.hops, d.missed = 0, 0
	d.mean = toneHeard{}
}

// Append listens to pcm, of any length, and appends the tones that ended to
// dst. It tells of a tone 40 to 80 ms after its end.
func (d *ToneDetector) Append(dst []Tone, pcm []int16) []Tone {
	for len(pcm) > 0 {
		var sound []int16
		sound, pcm = d.narrow.next(pcm)
		dst = d.listen(dst, sound)
	}
	return dst
}

func (d *ToneDetector) listen(dst []Tone, pcm []int16) []Tone {
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
		heard := d.tonesIn(&d.window)
		copy(d.window[:], d.window[detectorHop:])
		d.filled = 0
		d.at += detectorHop
		dst = d.decide(dst, heard)
	}
	return dst
}

// decide turns what one hop holds into tones.
func (d *ToneDetector) decide(dst []Tone, heard toneHeard) []Tone {
	if d.hops > 0 && heard.near(d.mean) {
		d.hops += 1 + d.missed
		d.missed = 0
		d.mean.follow(heard, float64(d.hops))
		return dst
	}
	if d.hops > 0 && heard.hz == 0 && d.missed == 0 {
		d.missed++ // a single hop may be bad
		return dst
	}
	dst = d.end(dst, heard)
	if heard.hz > 0 {
		// The middle of the window is where the tone is heard best.
		d.hops, d.mean, d.began = 1, heard, d.at-(detectorHop+spectrumHalf)/2
	}
	return dst
}

// near reports whether both are the same tone.
func (t toneHeard) near(mean toneHeard) bool {
	return t.hz > 0 && math.Abs(t.hz-mean.hz) < toneDrift &&
		(t.second > 0) == (mean.second > 0) && math.Abs(t.second-mean.second) < toneDrift
}

// follow makes t the mean of n hops, of which the last one is heard.
func (t *toneHeard) follow(heard toneHeard, n float64) {
	t.hz += (heard.hz - t.hz) / n
	t.second += (heard.second - t.second) / n
	t.octave += (heard.octave - t.octave) / n
	t.power += (heard.power - t.power) / n
}

// end tells of the tone that ended, if it is one to tell of, given what the hop
// after it holds.
func (d *ToneDetector) end(dst []Tone, after toneHeard) []Tone {
	samples := int64(d.hops) * detectorHop
	d.hops, d.missed = 0, 0
	length := Duration(int(samples), detectorRate)
	if samples == 0 || length < d.cfg.MinDuration || length > d.cfg.MaxDuration ||
		d.mean.hz < d.cfg.Low || max(d.mean.hz, d.mean.second) > d.cfg.High {
		return dst
	}
	return append(dst, Tone{
		Hz:      d.mean.hz,
		Second:  d.mean.second,
		At:      d.narrow.position(d.began),
		Samples: samples * int64(d.cfg.Rate) / detectorRate,
		Octave:  d.mean.octave,
		Quiet:   after.power < toneQuiet*d.mean.power,
	})
}

// tonesIn returns the tone in x, if there is one and nothing much beside it.
func (d *ToneDetector) tonesIn(x *[spectrumSamples]float32) toneHeard {
	var power [spectrumBins]float32
	powerSpectrum(&power, x)
	var total float32
	for _, p := range power {
		total += p
	}
	heard := toneHeard{power: float64(total)}
	peak := strongestBin(&power, toneLowBin-1)
	near := around(&power, peak)
	switch {
	case near < toneLeast:
	case near >= toneShare*total:
		heard.hz = frequency(&power, peak)
	case d.cfg.Pairs:
		other := strongestBin(&power, peak)
		second := around(&power, other)
		if second >= toneLeast && second >= toneShare/10*near && near+second >= toneShare*total {
			heard.hz, heard.second = frequency(&power, min(peak, other)), frequency(&power, max(peak, other))
		}
	}
	if octave := int(2*heard.hz*spectrumSamples/detectorRate + 0.5); heard.hz > 0 && octave <= toneHighBin {
		low := around(&power, int(heard.hz*spectrumSamples/detectorRate+0.5))
		heard.octave = float64(around(&power, octave) / low)
	}
	return heard
}

// strongestBin returns the strongest bin that is far enough from another one to be
// another tone: five bins, so that what lies around the two is apart.
func strongestBin(power *[spectrumBins]float32, from int) (peak int) {
	peak = -1
	for k := toneLowBin; k <= toneHighBin; k++ {
		if (k-from >= 5 || from-k >= 5 || from < toneLowBin) && (peak < 0 || power[k] > power[peak]) {
			peak = k
		}
	}
	return peak
}

// around is the power of a sine at a bin: under a Hann window it lies in three
// bins, and almost all of it in five.
func around(power *[spectrumBins]float32, peak int) (near float32) {
	for _, p := range power[peak-2 : peak+3] {
		near += p
	}
	return near
}

// frequency returns that of the sine at a bin. Between two bins of a Hann window,
// amplitudes a and b are as 1+x to 2-x, where x is how far the tone is from the
// stronger one.
func frequency(power *[spectrumBins]float32, peak int) float64 {
	a := math.Sqrt(float64(power[peak]))
	left, right := math.Sqrt(float64(power[peak-1])), math.Sqrt(float64(power[peak+1]))
	shift := (2*right - a) / (a + right)
	if left > right {
		shift = -(2*left - a) / (a + left)
	}
	return (float64(peak) + shift) * detectorRate / spectrumSamples
}
