package audio

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// ErrDigit tells that a character is not a key of a telephone.
var ErrDigit = errors.New("audio: not a key of a telephone")

// The frequencies of the keys, a row and a column sounding together (ITU-T
// Q.23).
var (
	dtmfRows    = [4]float64{697, 770, 852, 941}
	dtmfColumns = [4]float64{1209, 1336, 1477, 1633}
)

const dtmfKeys = "123A456B789C*0#D"

// Levels of the two tones that are made, in decibels of full scale. The upper
// one is stronger since lines weaken high tones more.
const (
	dtmfRowLevel    = -11
	dtmfColumnLevel = -9
)

// AppendDTMF appends the sound of the keys 0-9, *, #, A-D (or a-d) to dst and
// returns the extended slice. Each sounds for tone and is followed by gap; zero
// means 100 ms for either, and both are best at 50 ms or more. A comma or w is a
// pause of half a second. If there is another character, dst comes back as it
// was, with [ErrDigit]. A rate that is not positive stands for 8000.
func AppendDTMF(dst []int16, digits string, tone, gap time.Duration, rate int) ([]int16, error) {
	for i := range len(digits) {
		if _, _, ok := dtmfKey(digits[i]); !ok && !dtmfPause(digits[i]) {
			return dst, fmt.Errorf("%w: %q", ErrDigit, digits[i])
		}
	}
	rate = rateOr8000(rate)
	toneSamples := Samples(orDefault(tone, 100*time.Millisecond), rate)
	gapSamples := Samples(orDefault(gap, 100*time.Millisecond), rate)
	for i := range len(digits) {
		if dtmfPause(digits[i]) {
			dst = appendZeros(dst, rate/2)
			continue
		}
		row, column, _ := dtmfKey(digits[i])
		low := newOscillator(dtmfRows[row], dtmfRowLevel, rate)
		high := newOscillator(dtmfColumns[column], dtmfColumnLevel, rate)
		for range toneSamples {
			dst = append(dst, int16(math.Round(low.next()+high.next())))
		}
		dst = appendZeros(dst, gapSamples)
	}
	return dst, nil
}

func dtmfPause(c byte) bool { return c == ',' || c == 'w' }

// dtmfKey returns the row and column of a key.
func dtmfKey(c byte) (row, column int, ok bool) {
	if c >= 'a' && c <= 'd' {
		c -= 'a' - 'A'
	}
	i := strings.IndexByte(dtmfKeys, c)
	return i / 4, i % 4, i >= 0
}

func appendZeros(dst []int16, n int) []int16 {
	for range n {
		dst = append(dst, 0)
	}
	return dst
}

// An oscillator makes a sine that starts at zero: each value follows from the
// two before.
type oscillator struct {
	coefficient, now, before float64
}

// newOscillator makes a sine of hz at a level in decibels of full scale.
func newOscillator(hz, level float64, rate int) oscillator {
	w := 2 * math.Pi * hz / float64(rate)
	amplitude := 32767 * math.Pow(10, level/20)
	return oscillator{2 * math.Cos(w), 0, -amplitude * math.Sin(w)}
}

func (o *oscillator) next() float64 {
	v := o.now
	o.now, o.before = o.coefficient*v-o.before, v
	return v
}

// A Keypress is a key of the telephone, heard as tones.
type Keypress struct {
	Digit byte  // 0-9 * # A-D
	At    int64 // where its tones begin, in samples since the start of the stream, to about 13 ms
}

// A DTMFDetector hears the keys of a telephone in a stream of sound, as ITU-T
// Q.24 asks: tones of 40 ms and more that are within 1.5 % of their frequency,
// between full scale and 42 dB below, the lower up to 8 dB stronger than the
// upper and the upper up to 4 dB stronger than the lower. Keys held on are
// told once; gaps of up to 10 ms do not end a key, gaps of 40 ms do. It is
// used by one goroutine at a time and allocates nothing as it works.
type DTMFDetector struct {
	narrow narrow

	filters [8]goertzel // rows, then columns
	energy  float32
	filled  int
	at      int64 // samples at 8 kHz in all whole blocks

	last   dtmfBlock // the block before
	key    byte      // that sounds now, told already; 0 if none
	misses int       // blocks in a row without it
}

// dtmfBlockSize is the length of a block at 8 kHz, 12.75 ms. Two whole ones
// fit into the shortest tone wherever it begins, and not into one that is to be
// passed over; its 78 Hz tell the rows apart, which are 73 Hz from each other.
const dtmfBlockSize = 102

const (
	// dtmfLeast is the power of a sine of -45 dBFS, an amplitude of 184: it is
	// (184*N/2)² in its bin.
	dtmfLeast = 184 * 184 * dtmfBlockSize * dtmfBlockSize / 4
	// dtmfShare is the part of all power that must be in the two tones. A tone
	// that is off shows less of its power, so a single block may hold less.
	dtmfShare      = 0.82
	dtmfBlockShare = 0.62
	// dtmfOthers is how much stronger a tone must be than the others of its
	// group: 6 dB.
	dtmfOthers = 4
	// More twist than Q.24 asks, for what one tone adds to the other: 10 and 6
	// dB.
	dtmfTwist        = 10
	dtmfReverseTwist = 4
	// dtmfOff is how far a tone may be from its frequency: Q.24 asks to take
	// 1.5 % and to refuse 3.5 %.
	dtmfOff = 0.025
)

// dtmfGap is how many blocks a key must be missing to have ended. A break of 10
// ms spoils two blocks at most, a gap of 40 ms three at least.
const dtmfGap = 3

// A goertzel is one bin of a Fourier transform (Goertzel 1958).
type goertzel struct {
	coefficient    float32
	s1, s2         float32
	cos, sin, step float64 // step: advance of the phase over a block
}

// A dtmfBlock is what one block holds.
type dtmfBlock struct {
	digit       byte // 0 if it holds no key
	row, column dtmfTone
	all         float64 // power of all sound, on the scale of the tones
}

type dtmfTone struct {
	power float64
	phase float64 // at the end of the block
}

// NewDTMFDetector returns a detector for samples at rate: 8000, 16000, 24000
// or 48000, else the error is [ErrUnsupportedRate].
func NewDTMFDetector(rate int) (*DTMFDetector, error) {
	narrow, err := newNarrow(rate)
	if err != nil {
		return nil, err
	}
	d := &DTMFDetector{narrow: narrow}
	for i := range d.filters {
		hz := dtmfRows[i%4]
		if i >= 4 {
			hz = dtmfColumns[i-4]
		}
		w := 2 * math.Pi * hz / detectorRate
		f := &d.filters[i]
		f.sin, f.cos = math.Sincos(w)
		f.coefficient = float32(2 * f.cos)
		f.step = w * dtmfBlockSize
	}
	return d, nil
}

// Reset forgets all that was heard; the stream starts again at sample 0.
func (d *DTMFDetector) Reset() {
	d.narrow.reset()
	d.startBlock()
	d.at = 0
	d.last = dtmfBlock{}
	d.key, d.misses = 0, 0
}

// Append listens to pcm, of any length, and appends the keys it made out to
// dst. It is sure of a key 26 to 38 ms after its tones began.
func (d *DTMFDetector) Append(dst []Keypress, pcm []int16) []Keypress {
	for len(pcm) > 0 {
		var sound []int16
		sound, pcm = d.narrow.next(pcm)
		dst = d.listen(dst, sound)
	}
	return dst
}

func (d *DTMFDetector) listen(dst []Keypress, pcm []int16) []Keypress {
	for len(pcm) > 0 {
		n := min(len(pcm), dtmfBlockSize-d.filled)
		d.filter(pcm[:n])
		pcm = pcm[n:]
		if d.filled += n; d.filled < dtmfBlockSize {
			return dst
		}
		block := d.judge()
		d.startBlock()
		d.at += dtmfBlockSize
		dst = d.decide(dst, block)
	}
	return dst
}

func (d *DTMFDetector) startBlock() {
	for i := range d.filters {
		d.filters[i].s1, d.filters[i].s2 = 0, 0
	}
	d.energy, d.filled = 0, 0
}

// filter runs four filters at a time, which do not wait for each other.
func (d *DTMFDetector) filter(pcm []int16) {
	for group := 0; group < 8; group += 4 {
		f := (*[4]goertzel)(d.filters[group:])
		c0, c1, c2, c3 := f[0].coefficient, f[1].coefficient, f[2].coefficient, f[3].coefficient
		a1, b1, e1, g1 := f[0].s1, f[1].s1, f[2].s1, f[3].s1
		a2, b2, e2, g2 := f[0].s2, f[1].s2, f[2].s2, f[3].s2
		for _, s := range pcm {
			x := float32(s)
			a1, a2 = (x-a2)+c0*a1, a1
			b1, b2 = (x-b2)+c1*b1, b1
			e1, e2 = (x-e2)+c2*e1, e1
			g1, g2 = (x-g2)+c3*g1, g1
		}
		f[0].s1, f[1].s1, f[2].s1, f[3].s1 = a1, b1, e1, g1
		f[0].s2, f[1].s2, f[2].s2, f[3].s2 = a2, b2, e2, g2
	}
	var sum int64
	for _, s := range pcm {
		sum += int64(s) * int64(s)
	}
	d.energy += float32(sum)
}

func (g *goertzel) power() float32 {
	return g.s1*g.s1 + g.s2*g.s2 - g.coefficient*g.s1*g.s2
}

// phase of the tone at the end of the block.
func (g *goertzel) phase() float64 {
	s1, s2 := float64(g.s1), float64(g.s2)
	return math.Atan2(s2*g.sin, s1-s2*g.cos)
}

// judge says which key the block that is complete holds.
func (d *DTMFDetector) judge() dtmfBlock {
	row, rowPower, rowClear := strongest((*[4]goertzel)(d.filters[:4]))
	column, columnPower, columnClear := strongest((*[4]goertzel)(d.filters[4:]))
	switch {
	case rowPower < dtmfLeast || columnPower < dtmfLeast,
		!rowClear || !columnClear,
		rowPower > dtmfTwist*columnPower,
		columnPower > dtmfReverseTwist*rowPower,
		rowPower+columnPower < dtmfBlockShare*dtmfBlockSize/2*d.energy:
		return dtmfBlock{}
	}
	return dtmfBlock{
		digit:  dtmfKeys[row*4+column],
		row:    dtmfTone{float64(rowPower), d.filters[row].phase()},
		column: dtmfTone{float64(columnPower), d.filters[4+column].phase()},
		all:    dtmfBlockSize / 2 * float64(d.energy),
	}
}

// strongest returns which tone of a group is, its power, and whether it stands
// out.
func strongest(group *[4]goertzel) (best int, power float32, clearly bool) {
	var powers [4]float32
	for i := range group {
		powers[i] = group[i].power()
		if powers[i] > powers[best] {
			best = i
		}
	}
	for i, p := range powers {
		if i != best && p*dtmfOthers > powers[best] {
			return best, powers[best], false
		}
	}
	return best, powers[best], true
}

// decide turns what two blocks in a row hold into keys.
func (d *DTMFDetector) decide(dst []Keypress, block dtmfBlock) []Keypress {
	last := d.last
	d.last = block
	if block.digit == d.key && d.key != 0 {
		d.misses = 0
		return dst
	}
	if d.misses++; d.misses >= dtmfGap {
		d.key = 0
	}
	if block.digit == 0 || block.digit != last.digit || !d.inTune(last, block) {
		return dst
	}
	d.key, d.misses = block.digit, 0
	return append(dst, Keypress{Digit: block.digit, At: d.narrow.position(d.at - 2*dtmfBlockSize)})
}

// inTune reports whether both tones are at their frequencies, by how far their
// phases went from one block to the next, and hold the power that they must.
// Voices, which pass all else, fail here.
func (d *DTMFDetector) inTune(a, b dtmfBlock) bool {
	row, column, _ := dtmfKey(b.digit)
	rowShown, rowOK := d.filters[row].shown(a.row, b.row)
	columnShown, columnOK := d.filters[4+column].shown(a.column, b.column)
	if !rowOK || !columnOK {
		return false
	}
	for _, block := range [...]dtmfBlock{a, b} {
		if block.row.power/rowShown+block.column.power/columnShown < dtmfShare*block.all {
			return false
		}
	}
	return true
}

// shown is the part of its power that a tone shows in its bin, given its phase
// after two blocks. It is less than 1 if the tone is off its frequency; ok is
// false if it is too far off.
func (g *goertzel) shown(before, after dtmfTone) (part float64, ok bool) {
	off := math.Remainder(after.phase-before.phase-g.step, 2*math.Pi)
	// Over a block a phase is ambiguous beyond 39 Hz.
	frequency := math.Atan2(g.sin, g.cos)
	if math.Abs(off) > min(dtmfOff*frequency*dtmfBlockSize, 0.8*math.Pi) {
		return 0, false
	}
	if off == 0 {
		return 1, true
	}
	return sq(math.Sin(off/2) / (off / 2)), true
}
