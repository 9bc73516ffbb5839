package micro

import (
	"encoding/binary"
	"fmt"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/report"
	"github.com/zaf/g711"
)

// frame is 20 ms of telephone audio.
const frame = 160

// voice is a frame of something loud and soft, as samples, as their bytes and
// in mu-law.
func voice() (pcm []int16, linear, wire []byte) {
	for i := range frame {
		pcm = append(pcm, int16(i*i*7919))
	}
	for _, s := range pcm {
		linear = binary.LittleEndian.AppendUint16(linear, uint16(s))
	}
	return pcm, linear, audio.AppendEncode(nil, audio.MuLaw, pcm)
}

// g711Cases are decoding and encoding of mu-law, ours first.
func g711Cases() (decode, encode []measure.Case) {
	pcm, linear, wire := voice()
	out, samples := make([]byte, frame), make([]int16, frame)
	decode = []measure.Case{
		{Name: "audio.Decode", Do: func() { audio.Decode(samples, audio.MuLaw, wire) }},
		{Name: "g711.DecodeUlaw", Do: func() { g711.DecodeUlaw(wire) }},
	}
	encode = []measure.Case{
		{Name: "audio.Encode", Do: func() { audio.Encode(out, audio.MuLaw, pcm) }},
		{Name: "g711.EncodeUlaw", Do: func() { g711.EncodeUlaw(linear) }},
	}
	return decode, encode
}

// G711 compares with zaf/g711, in speed and byte for byte.
func G711(s measure.Settings) []report.Goal {
	decodeCases, encodeCases := g711Cases()
	decode, encode := measure.Compare(s, decodeCases...), measure.Compare(s, encodeCases...)
	wrong := g711Differences()
	goal := func(what string, r []measure.Result, want float64) report.Goal {
		return report.Goal{
			Number: 1, What: "G.711 " + what + ", 160 samples, against zaf/g711", Section: "codec",
			Want: fmt.Sprintf("≥ %.1f ×, 0 allocations, exact", want),
			Ours: fmt.Sprintf("%v, %v, %s", r[0].Median, allocs(r[0]), exact(wrong)), Peer: fmt.Sprintf("%v, %v", r[1].Median, allocs(r[1])),
			Ratio: times(r[1].RatioToFirst),
			Met:   report.Reached(r[1].RatioToFirst >= want && r[0].Allocs < 0.001 && wrong == 0),
		}
	}
	return []report.Goal{goal("decode", decode, 3.5), goal("encode", encode, 6.5)}
}

// g711Differences is how many of all samples and codes of both laws come out
// otherwise than from zaf/g711.
func g711Differences() int {
	wrong := 0
	var code [1]byte
	var sample [1]int16
	for v := -32768; v <= 32767; v++ {
		s := []int16{int16(v)}
		for law, want := range map[audio.Encoding]byte{
			audio.MuLaw: g711.EncodeUlawFrame(int16(v)), audio.ALaw: g711.EncodeAlawFrame(int16(v)),
		} {
			if audio.Encode(code[:], law, s); code[0] != want {
				wrong++
			}
		}
	}
	for c := range 256 {
		for law, want := range map[audio.Encoding]int16{
			audio.MuLaw: g711.DecodeUlawFrame(byte(c)), audio.ALaw: g711.DecodeAlawFrame(byte(c)),
		} {
			if audio.Decode(sample[:], law, []byte{byte(c)}); sample[0] != want {
				wrong++
			}
		}
	}
	return wrong
}

func exact(wrong int) string {
	if wrong == 0 {
		return "exact"
	}
	return fmt.Sprintf("%d values differ", wrong)
}

func times(ratio float64) string { return fmt.Sprintf("%.2f ×", ratio) }

func allocs(r measure.Result) string {
	// The runtime's own work shows as a few hundredths.
	return fmt.Sprintf("%.0f allocations", r.Allocs)
}
