package audio

import (
	"math"
	"time"
)

// A BeepDetector hears the beep after which an answering machine, or a voicemail
// box, records: a steady tone between 200 and 2050 Hz of 120 ms to 2.5 s, or two
// together, that stands alone and after which it is quiet. It passes over what it
// knows of the network and of other machines: ring-back, busy, the keys of a
// telephone, and what a fax machine sends. It is used by one goroutine at a time
// and allocates nothing as it works.
//
// Music has tones like that. So what has another tone right before it, or an
// octave above it, is no beep. A beep that is like the tone of a fax that calls
// (half a second at 1100 Hz), or that fades like a bell, is not heard. A whistle
// may be taken for one.
type BeepDetector struct {
	tones ToneDetector
	ended int64 // where the last tone did, in samples
}

// NewBeepDetector returns a detector for samples at rate: 8000, 16000, 24000 or
// 48000, else the error is [ErrUnsupportedRate].
func NewBeepDetector(rate int) (*BeepDetector, error) {
	tones, err := NewToneDetector(ToneConfig{Rate: rate, Low: beepLow, Pairs: true})
	if err != nil {
		return nil, err
	}
	return &BeepDetector{tones: *tones, ended: longAgo}, nil
}

const (
	beepLow = 200 // Hz
	// beepGap is less than what lies between two beeps, and more than what seems to
	// lie between two notes.
	beepGap = 60 * time.Millisecond
	// beepOctave is less than instruments have an octave above a note, and more than
	// the noise of a line.
	beepOctave = 0.02

	longAgo = math.MinInt64 / 2
)

// Reset forgets all that was heard; the stream starts again at sample 0.
func (d *BeepDetector) Reset() {
	d.tones.Reset()
	d.ended = longAgo
}

// Append listens to pcm, of any length, and appends the beeps that ended to dst.
// It tells of a beep 40 to 80 ms after its end.
func (d *BeepDetector) Append(dst []Tone, pcm []int16) []Tone {
	before := len(dst)
	dst = d.tones.Append(dst, pcm)
	beeps := dst[:before]
	for _, t := range dst[before:] {
		alone := t.At-d.ended > int64(Samples(beepGap, d.tones.cfg.Rate))
		d.ended = t.At + t.Samples
		if t.Quiet && alone && !d.known(t) {
			beeps = append(beeps, t)
		}
	}
	return beeps
}

// known reports whether t is a tone of the network, of another machine, or of an
// instrument.
func (d *BeepDetector) known(t Tone) bool {
	if t.Octave > beepOctave {
		return true
	}
	if t.Second > 0 {
		return isKey(t) || nearHz(t.Hz, busyLow) && nearHz(t.Second, busyHigh)
	}
	length := Duration(int(t.Samples), d.tones.cfg.Rate)
	return math.Abs(t.Hz-ringbackHz) < ringbackWidth ||
		math.Abs(t.Hz-faxHz) < faxWidth && (length-faxLength).Abs() < faxSpread
}

const (
	busyLow, busyHigh = 480, 620 // in North America
	// ringbackHz is that of most countries, as ITU-T E.180 asks for.
	ringbackHz, ringbackWidth = 425, 8
	// What a fax machine sends that calls (ITU-T T.30): 1100 Hz ± 38 for half a
	// second ± 15 %.
	faxHz, faxWidth      = 1100, 38
	faxLength, faxSpread = 500 * time.Millisecond, 90 * time.Millisecond
)

// isKey reports whether both tones are those of a key.
func isKey(t Tone) bool {
	row, column := false, false
	for i := range dtmfRows {
		row = row || nearHz(t.Hz, dtmfRows[i])
		column = column || nearHz(t.Second, dtmfColumns[i])
	}
	return row && column
}

// nearHz reports whether hz is a frequency to 2.5 %.
func nearHz(hz, of float64) bool { return math.Abs(hz-of) < 0.025*of }
