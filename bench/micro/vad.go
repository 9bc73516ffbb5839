package micro

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/report"
	"github.com/switchboard-voice/switchboard/bench/speech"
)

// A finder says for every 20 ms whether someone speaks.
type finder func(pcm []int16) ([]bool, error)

// find is ours.
func find(pcm []int16) ([]bool, error) {
	d, err := audio.NewDetector(audio.DetectorConfig{})
	if err != nil {
		return nil, err
	}
	found := make([]bool, len(pcm)/speech.Step)
	events := d.Append(nil, pcm)
	if d.Speaking() {
		events = append(events, audio.Activity{At: int64(len(pcm))})
	}
	for i := 0; i+1 < len(events); i += 2 {
		for at := (events[i].At + 80) / speech.Step; at < (events[i+1].At+80)/speech.Step; at++ {
			found[at] = true
		}
	}
	return found, nil
}

// A score is the mean over conditions.
type score struct {
	f1, alarms float64
	// The same without babble, in which all detectors fail.
	steadyF1, steadyAlarms float64
}

func rate(f finder, all []speech.Condition, truth []bool) (score, error) {
	var sum score
	steady := 0.0
	for _, c := range all {
		found, err := f(c.PCM)
		if err != nil {
			return sum, err
		}
		f1, alarms := compare(found, truth)
		sum.f1 += f1
		sum.alarms += alarms
		if !strings.HasPrefix(c.Name, "babble") {
			sum.steadyF1 += f1
			sum.steadyAlarms += alarms
			steady++
		}
	}
	n := float64(len(all))
	return score{sum.f1 / n, sum.alarms / n, sum.steadyF1 / steady, sum.steadyAlarms / steady}, nil
}

// conditionTable sets the two detectors side by side in each condition, WebRTC's
// in the mode that is its best over all.
func conditionTable(all []speech.Condition, truth []bool, mode int) (report.Table, error) {
	table := report.Table{Title: "Finding speech in noise, each condition",
		Header: []string{"Condition", "audio.Detector, F1", fmt.Sprintf("WebRTC, mode %d, F1", mode), "audio.Detector, false alarms", fmt.Sprintf("WebRTC, mode %d, false alarms", mode)}}
	theirs := webRTC(mode)
	for _, c := range all {
		var f1, alarms [2]float64
		for i, f := range []finder{find, theirs} {
			found, err := f(c.PCM)
			if err != nil {
				return table, err
			}
			f1[i], alarms[i] = compare(found, truth)
		}
		row := []string{c.Name}
		for _, v := range []float64{f1[0], f1[1], alarms[0], alarms[1]} {
			row = append(row, fmt.Sprintf("%.3f", v))
		}
		table.Rows = append(table.Rows, row)
	}
	return table, nil
}

// compare gives the F1 of what was found, and the part of the silence that was
// taken for speech.
func compare(found, truth []bool) (f1, alarms float64) {
	var hit, alarm, miss, silent float64
	for i := range truth {
		switch {
		case truth[i] && found[i]:
			hit++
		case truth[i]:
			miss++
		case found[i]:
			alarm++
			silent++
		default:
			silent++
		}
	}
	return 2 * hit / (2*hit + alarm + miss), alarm / silent
}

// detectorCase has 20 ms of a noisy conversation looked at.
func detectorCase(c speech.Condition) (measure.Case, error) {
	d, err := audio.NewDetector(audio.DetectorConfig{})
	if err != nil {
		return measure.Case{}, err
	}
	found := make([]audio.Activity, 0, 4)
	at := 0
	return measure.Case{Name: "audio.Detector", Do: func() {
		found = d.Append(found[:0], c.PCM[at:at+speech.Step])
		at = (at + speech.Step) % (len(c.PCM) - speech.Step)
	}}, nil
}

// Voice compares finding speech in noise with WebRTC's detector in each of its
// modes.
func Voice(s measure.Settings) ([]report.Goal, []report.Table, error) {
	all, truth, err := speech.Conditions()
	if err != nil {
		return nil, nil, err
	}
	ours, err := rate(find, all, truth)
	if err != nil {
		return nil, nil, err
	}
	table := report.Table{Title: "Finding speech in noise, mean of 22 conditions",
		Header: []string{"Detector", "F1", "False alarms", "F1 without babble", "False alarms without babble"}}
	add := func(name string, s score) {
		row := []string{name}
		for _, v := range []float64{s.f1, s.alarms, s.steadyF1, s.steadyAlarms} {
			row = append(row, fmt.Sprintf("%.3f", v))
		}
		table.Rows = append(table.Rows, row)
	}
	add("audio.Detector", ours)
	var (
		best     score
		bestMode int
	)
	for mode := range 4 {
		theirs, err := rate(webRTC(mode), all, truth)
		if err != nil {
			return nil, nil, err
		}
		add(fmt.Sprintf("WebRTC, mode %d", mode), theirs)
		if theirs.f1 > best.f1 {
			best, bestMode = theirs, mode
		}
	}
	each, err := conditionTable(all, truth, bestMode)
	if err != nil {
		return nil, nil, err
	}
	one, err := detectorCase(all[5])
	if err != nil {
		return nil, nil, err
	}
	peer, err := webRTCCase(all[5])
	if err != nil {
		return nil, nil, err
	}
	r := measure.Compare(s, one, peer)
	goals := []report.Goal{
		{
			Number: 12, What: "voice activity, mean F1 of 22 conditions, against WebRTC's best mode", Section: "vad",
			Want: "≥ +0.05", Ours: fmt.Sprintf("%.3f", ours.f1), Peer: fmt.Sprintf("%.3f", best.f1),
			Ratio: fmt.Sprintf("%+.3f", ours.f1-best.f1), Met: report.Reached(ours.f1-best.f1 >= 0.05),
			Note: "Babble defeats every detector that looks at sound alone; see the table.",
		},
		{
			Number: 12, What: "voice activity, false alarms, against WebRTC's best mode", Section: "vad",
			Want: "≤ 0.60 ×", Ours: fmt.Sprintf("%.3f", ours.alarms), Peer: fmt.Sprintf("%.3f", best.alarms),
			Ratio: times(ours.alarms / best.alarms), Met: report.Reached(ours.alarms <= 0.6*best.alarms),
		},
		{
			Number: 12, What: "voice activity, cost of 20 ms", Section: "vad",
			Want: "≤ 4 µs, 0 allocations", Ours: fmt.Sprintf("%v, %s", r[0].Median, allocs(r[0])),
			Peer: fmt.Sprintf("%v, %s", r[1].Median, allocs(r[1])), Ratio: times(r[1].RatioToFirst),
			Met: report.Reached(r[0].Median <= 4*time.Microsecond && r[0].Allocs < 0.001),
		},
	}
	return goals, []report.Table{table, each}, nil
}

func bytesOf(pcm []int16) []byte {
	b := make([]byte, 0, 2*len(pcm))
	for _, s := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}
