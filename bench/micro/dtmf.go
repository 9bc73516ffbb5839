package micro

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/report"
	"github.com/switchboard-voice/switchboard/bench/speech"
)

const keys = "1234567890*#ABCD"

// A dial is how keys are pressed: levels of the lower and the upper tone in dB
// below the largest sine, how far off they are, and noise below both together.
type dial struct {
	name            string
	ms              int // of each tone, and of the gap after it
	low, high       float64
	lowOff, highOff float64
	noise           float64 // dB; 0 is none
}

// dials are what ITU-T Q.24 asks a receiver to take, and noise.
var dials = []dial{
	{name: "plain", ms: 60, low: -12, high: -12},
	{name: "10 dB of noise", ms: 60, low: -20, high: -20, noise: 10},
	{name: "40 ms tones and gaps", ms: 40, low: -12, high: -12},
	{name: "twist 6 dB", ms: 60, low: -10, high: -16},
	{name: "reverse twist 3 dB", ms: 60, low: -13, high: -10},
	{name: "twist 8 dB", ms: 60, low: -10, high: -18},
	{name: "reverse twist 4 dB", ms: 60, low: -14, high: -10},
	{name: "tones off by 1.5 %", ms: 60, low: -12, high: -12, lowOff: 0.015, highOff: -0.015},
	{name: "low level, −40 dB", ms: 60, low: -40, high: -40},
}

// press is the sound of all keys, begun at another place in the receiver's
// window each time.
func (d dial) press(take int) []int16 {
	random := rand.New(rand.NewPCG(uint64(take), 3))
	pcm := make([]float64, 400+take)
	for i := range len(keys) {
		low, high := frequencies(keys[i])
		low, high = low*(1+d.lowOff), high*(1+d.highOff)
		n := d.ms * 8
		for t := range n {
			at := 2 * math.Pi * float64(t) / 8000
			pcm = append(pcm, amplitude(d.low)*math.Sin(low*at)+amplitude(d.high)*math.Sin(high*at))
		}
		pcm = append(pcm, make([]float64, n)...)
	}
	pcm = append(pcm, make([]float64, 800)...)
	scale := 0.0
	if d.noise != 0 {
		tones := (math.Pow(amplitude(d.low), 2) + math.Pow(amplitude(d.high), 2)) / 2
		scale = math.Sqrt(tones * math.Pow(10, -d.noise/10))
	}
	out := make([]int16, len(pcm))
	for i, v := range pcm {
		out[i] = speech.Sample(v + scale*random.NormFloat64())
	}
	return speech.Through(out)
}

func amplitude(db float64) float64 { return 32767 * math.Pow(10, db/20) }

// frequencies are those of a key (ITU-T Q.23).
func frequencies(key byte) (low, high float64) {
	rows := [...]string{"123A", "456B", "789C", "*0#D"}
	for row, line := range rows {
		for column := range line {
			if line[column] == key {
				return [...]float64{697, 770, 852, 941}[row], [...]float64{1209, 1336, 1477, 1633}[column]
			}
		}
	}
	panic("micro: not a key")
}

// A receiver hears keys. One serves one stream.
type receiver interface {
	hear(pcm []int16)
	take() string
	close()
}

// ownReceiver is the library's.
type ownReceiver struct {
	detector *audio.DTMFDetector
	pressed  []audio.Keypress
}

func newOwnReceiver() (receiver, error) {
	d, err := audio.NewDTMFDetector(8000)
	return &ownReceiver{detector: d, pressed: make([]audio.Keypress, 0, 256)}, err
}

func (r *ownReceiver) hear(pcm []int16) { r.pressed = r.detector.Append(r.pressed, pcm) }

func (r *ownReceiver) take() string {
	var s []byte
	for _, p := range r.pressed {
		s = append(s, p.Digit)
	}
	r.pressed = r.pressed[:0]
	return string(s)
}

func (r *ownReceiver) close() {}

// errorsOf is how many keys of many takes were missed, wrong, or heard though
// nobody pressed them.
func errorsOf(make func() (receiver, error), d dial, takes int) (int, error) {
	wrong := 0
	for take := range takes {
		r, err := make()
		if err != nil {
			return 0, err
		}
		r.hear(d.press(take))
		wrong += distance(keys, r.take())
		r.close()
	}
	return wrong, nil
}

// distance is the edit distance of two strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// talkOff is how many keys are heard in speech, and in how much of it.
func talkOff(make func() (receiver, error)) (heard int, seconds float64, err error) {
	all, _, err := speech.Conditions()
	if err != nil {
		return 0, 0, err
	}
	sentences, err := speech.Sentences()
	if err != nil {
		return 0, 0, err
	}
	var sounds [][]int16
	for _, c := range all {
		sounds = append(sounds, c.PCM)
	}
	for _, s := range sentences {
		for speed := 0.7; speed < 1.4; speed += 0.02 {
			sounds = append(sounds, speech.AtSpeed(s, speed))
		}
	}
	for _, pcm := range sounds {
		r, err := make()
		if err != nil {
			return 0, 0, err
		}
		r.hear(pcm)
		heard += len(r.take())
		seconds += float64(len(pcm)) / 8000
		r.close()
	}
	return heard, seconds, nil
}

func receiverCase(name string, r receiver, pcm []int16) measure.Case {
	at, rounds := 0, 0
	return measure.Case{Name: name, Do: func() {
		r.hear(pcm[at : at+frame])
		if at = (at + frame) % (len(pcm) - frame); at < frame {
			if rounds++; rounds%4 == 0 {
				r.take() // before its buffer is full
			}
		}
	}}
}

// Keys compares hearing keys with spandsp. Without it, ours alone is measured.
func Keys(s measure.Settings, takes int) ([]report.Goal, []report.Table, error) {
	table := report.Table{
		Title:  fmt.Sprintf("Keys heard wrongly, missed or invented, of %d pressed", takes*len(keys)),
		Header: []string{"Sound", "audio.DTMFDetector", "spandsp"},
	}
	verdict := report.Met
	if newPeerReceiver == nil {
		verdict = report.NotMeasured
	}
	sum, peerSum := 0, 0
	for _, d := range dials {
		ours, err := errorsOf(newOwnReceiver, d, takes)
		if err != nil {
			return nil, nil, err
		}
		sum += ours
		row := []string{d.name, fmt.Sprint(ours), "–"}
		if newPeerReceiver != nil {
			theirs, err := errorsOf(newPeerReceiver, d, takes)
			if err != nil {
				return nil, nil, err
			}
			peerSum += theirs
			row[2] = fmt.Sprint(theirs)
			if ours > theirs {
				verdict = report.Missed
			}
		}
		table.Rows = append(table.Rows, row)
	}
	goals, err := keyGoals(s, sum, peerSum, verdict)
	return goals, []report.Table{table}, err
}

func keyGoals(s measure.Settings, sum, peerSum int, verdict report.Verdict) ([]report.Goal, error) {
	errors := report.Goal{Number: 13, What: fmt.Sprintf("DTMF errors on each of %d kinds of sound, against spandsp", len(dials)), Section: "dtmf",
		Want: "no more on any", Ours: fmt.Sprintf("%d in all", sum), Peer: fmt.Sprintf("%d in all", peerSum), Met: verdict,
		Note: "a twist of 8 dB, of −4 dB and an error of 1.5 % are the very limits of ITU-T Q.24; spandsp's own limits are close to them on the other side."}
	talk := report.Goal{Number: 13, What: "DTMF talk-off", Section: "dtmf", Want: "0"}
	speed := report.Goal{Number: 13, What: "DTMF, cost of 20 ms, against spandsp", Section: "dtmf", Want: "≥ 0.90 ×"}

	heard, seconds, err := talkOff(newOwnReceiver)
	if err != nil {
		return nil, err
	}
	talk.Ours, talk.Met = fmt.Sprintf("%d in %.0f s of speech", heard, seconds), report.Reached(heard == 0)
	pcm := dials[0].press(0)
	r, err := newOwnReceiver()
	if err != nil {
		return nil, err
	}
	cases := []measure.Case{receiverCase("audio.DTMFDetector", r, pcm)}
	if newPeerReceiver == nil {
		const without = "built without spandsp"
		errors.Peer, talk.Peer, speed.Peer = without, without, without
		result := measure.Compare(s, cases...)
		speed.Ours = fmt.Sprintf("%v, %s", result[0].Median, allocs(result[0]))
		return []report.Goal{errors, talk, speed}, nil
	}
	if heard, _, err = talkOff(newPeerReceiver); err != nil {
		return nil, err
	}
	talk.Peer = fmt.Sprint(heard)
	peer, err := newPeerReceiver()
	if err != nil {
		return nil, err
	}
	defer peer.close()
	result := measure.Compare(s, append(cases, receiverCase("spandsp", peer, pcm))...)
	speed.Ours, speed.Peer = fmt.Sprintf("%v, %s", result[0].Median, allocs(result[0])), result[1].Median.String()
	speed.Ratio, speed.Met = times(result[1].RatioToFirst), report.Reached(result[1].RatioToFirst >= 0.9)
	return []report.Goal{errors, talk, speed}, nil
}
