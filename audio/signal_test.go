package audio_test

import (
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
)

func TestSignalKeepsItsCadence(t *testing.T) {
	const rate = 8000
	r := audio.RingbackBritain.Reader(rate)
	pcm := make([]int16, 6*rate)
	if n, err := r.ReadPCM(pcm); n != len(pcm) || err != nil {
		t.Fatal(n, err)
	}
	at := func(from, to time.Duration) []int16 {
		return pcm[audio.Samples(from, rate):audio.Samples(to, rate)]
	}
	const ms = time.Millisecond
	for _, start := range []time.Duration{0, 3 * time.Second} { // it begins anew
		for _, on := range []time.Duration{0, 600 * ms} {
			for _, hz := range audio.RingbackBritain.Hertz {
				if l := audiotest.Level(at(start+on, start+on+400*ms), rate, hz); l < -27 || l > -25 {
					t.Errorf("%v Hz at %v is at %.1f dBFS, want -26", hz, start+on, l)
				}
			}
		}
		audiotest.IsSilent(t, at(start+400*ms, start+600*ms), rate)
		audiotest.IsSilent(t, at(start+1000*ms, start+3000*ms), rate)
	}
}

func TestSignalDoesNotAllocate(t *testing.T) {
	r := audio.RingbackEurope.Reader(8000)
	buf := make([]int16, 160)
	if n := testing.AllocsPerRun(100, func() { _, _ = r.ReadPCM(buf) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
