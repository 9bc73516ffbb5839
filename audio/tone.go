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
}

// A Tone is a single steady sine that has ended.
type Tone struct {
	Hz      float64 // to about 5 Hz
	At      int64   // where it began, in samples since the start of the stream, to about 20 ms
	Samples int64   // how long it was, to about 30 ms
}

// A ToneDetector finds single steady tones in a stream of sound: 9/10 of the
// power at one frequency that does not move. By default it hears the beep after
// which a voicemail box records. Speech, music, ring-back of two tones and the
// keys of a telephone are no such tones; a whistle may be. It is used by one
// goroutine at a time and allocates nothing as it works.
type ToneDetector struct {
	cfg    ToneConfig
	narrow narrow

	window [spectrumSamples]float32
	filled int
	at     int64 // samples at 8 kHz in all whole hops

	hops   int     // of the tone that sounds
	missed int     // hops in a row without it
	hz     float64 // mean over its hops
	began  int64
}

const (
	toneShare = 0.9
	// toneLeast is the power of a sine of -45 dBFS, an amplitude of 184: it is
	// (184*N/4)² in its bin and half as much more beside it.
	toneLeast   = 184 * 184 * spectrumSamples * spectrumSamples / 16 * 1.5
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
		hz, ok := pureTone(&d.window)
		copy(d.window[:], d.window[detectorHop:])
		d.filled = 0
		d.at += detectorHop
		dst = d.decide(dst, hz, ok)
	}
	return dst
}

// decide turns what one hop holds into tones.
func (d *ToneDetector) decide(dst []Tone, hz float64, ok bool) []Tone {
	if d.hops > 0 && ok && math.Abs(hz-d.hz) < toneDrift {
		d.hops += 1 + d.missed
		d.missed = 0
		d.hz += (hz - d.hz) / float64(d.hops)
		return dst
	}
	if d.hops > 0 && !ok && d.missed == 0 {
		d.missed++ // a single hop may be bad
		return dst
	}
	dst = d.end(dst)
	if ok {
		// The middle of the window is where the tone is heard best.
		d.hops, d.hz, d.began = 1, hz, d.at-(detectorHop+spectrumHalf)/2
	}
	return dst
}

// end tells of the tone that ended, if it is one to tell of.
func (d *ToneDetector) end(dst []Tone) []Tone {
	samples := int64(d.hops) * detectorHop
	d.hops, d.missed = 0, 0
	length := Duration(int(samples), detectorRate)
	if samples == 0 || length < d.cfg.MinDuration || length > d.cfg.MaxDuration ||
		d.hz < d.cfg.Low || d.hz > d.cfg.High {
		return dst
	}
	return append(dst, Tone{
		Hz:      d.hz,
		At:      d.narrow.position(d.began),
		Samples: samples * int64(d.cfg.Rate) / detectorRate,
	})
}

// pureTone returns the frequency of the tone in x, if there is one and nothing
// much beside it.
func pureTone(x *[spectrumSamples]float32) (hz float64, ok bool) {
	var power [spectrumBins]float32
	powerSpectrum(&power, x)
	peak := toneLowBin
	var total float32
	for k, p := range power {
		total += p
		if p > power[peak] && k >= toneLowBin && k <= toneHighBin {
			peak = k
		}
	}
	// Under a Hann window a sine lies in three bins, and almost all in five.
	var near float32
	for _, p := range power[peak-2 : peak+3] {
		near += p
	}
	if near < toneLeast || near < toneShare*total {
		return 0, false
	}
	// Between two bins of a Hann window, amplitudes a and b are as 1+x to 2-x,
	// where x is how far the tone is from the stronger one.
	a := math.Sqrt(float64(power[peak]))
	left, right := math.Sqrt(float64(power[peak-1])), math.Sqrt(float64(power[peak+1]))
	shift := (2*right - a) / (a + right)
	if left > right {
		shift = -(2*left - a) / (a + left)
	}
	return (float64(peak) + shift) * detectorRate / spectrumSamples, true
}
