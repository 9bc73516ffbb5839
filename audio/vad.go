package audio

import "time"

// A DetectorConfig says how a [Detector] tells speech from noise. The zero
// value is fit for a telephone call.
type DetectorConfig struct {
	// Rate of the samples: 8000, 16000, 24000 or 48000. Zero means 8000. Other
	// rates than 8000 are brought down to it first.
	Rate int
	// Threshold is the least likelihood, as [Detector.Likelihood] gives it, above
	// which sound is speech. Zero means 0.08. More misses soft speech, less
	// takes more noise for speech.
	Threshold float64
	// MinSpeech is how long sound must be likely speech before speech is said
	// to begin, which keeps clicks out. Zero means 60 ms; it is rounded to
	// steps of 20 ms.
	MinSpeech time.Duration
	// Hangover is how long speech must be missing before it is said to have
	// ended. It bridges the pauses within words. Zero means 200 ms; it is
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
// line, at any level, and stays quiet when noise goes on for more than two
// seconds.
//
// It cannot tell voices apart. Where other people talk nearby (babble) or a
// television runs, it asks of a speaker to stand out from what it has heard
// over some seconds, and is wrong often all the same: with eight voices 10 dB
// softer than the speaker it takes a third of the pauses for speech, and with
// voices just as loud it misses two fifths of what is said. A few seconds of
// such voices after silence are speech to it, and so are music and a single
// other voice. Where that matters, ask a recogniser for words.
type Detector struct {
	threshold float32
	minHops   int
	hangHops  int

	narrow narrow

	window [spectrumSamples]float32 // the last hop at its end
	filled int                      // samples of the next hop that are there
	at     int64                    // samples at 8 kHz in all whole hops
	voice  voiceModel
	crowd  crowd

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
		threshold: float32(orDefault(cfg.Threshold, 0.08)),
		minHops:   hops(orDefault(cfg.MinSpeech, 60*time.Millisecond)),
		hangHops:  hops(orDefault(cfg.Hangover, 200*time.Millisecond)),
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
	d.crowd = crowd{}
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
	if d.likelihood <= max(d.threshold, crowdRatio*d.crowd.follow(d.likelihood)) {
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
// clear speech, where it may reach 50.
func (d *Detector) Likelihood() float64 { return float64(d.likelihood) }
