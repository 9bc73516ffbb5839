package micro

import (
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/speech"
)

func benchmark(b *testing.B, cases ...measure.Case) {
	for _, c := range cases {
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Do()
			}
		})
	}
}

func BenchmarkG711Decode(b *testing.B) { decode, _ := g711Cases(); benchmark(b, decode...) }
func BenchmarkG711Encode(b *testing.B) { _, encode := g711Cases(); benchmark(b, encode...) }
func BenchmarkMessageIn(b *testing.B)  { benchmark(b, inCases()...) }
func BenchmarkMessageOut(b *testing.B) { benchmark(b, outCases()...) }

func BenchmarkResample8to16(b *testing.B) { benchmarkResample(b, 8000, 16000) }
func BenchmarkResample16to8(b *testing.B) { benchmarkResample(b, 16000, 8000) }

func benchmarkResample(b *testing.B, from, to int) {
	cases, err := resampleCases(from, to)
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, cases...)
}

func BenchmarkVoice(b *testing.B) {
	all, _, err := speech.Conditions()
	if err != nil {
		b.Fatal(err)
	}
	ours, err := detectorCase(all[5])
	if err != nil {
		b.Fatal(err)
	}
	peer, err := webRTCCase(all[5])
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, ours, peer)
}

func BenchmarkKeys(b *testing.B) {
	pcm := dials[0].press(0)
	for name, make := range map[string]func() (receiver, error){"audio.DTMFDetector": newOwnReceiver, "spandsp": newPeerReceiver} {
		if make == nil {
			continue
		}
		r, err := make()
		if err != nil {
			b.Fatal(err)
		}
		defer r.close()
		benchmark(b, receiverCase(name, r, pcm))
	}
}

func TestG711IsExact(t *testing.T) {
	if n := g711Differences(); n != 0 {
		t.Errorf("%d values differ from zaf/g711", n)
	}
}

func TestEachCaseOfAComparisonWorks(t *testing.T) {
	decode, encode := g711Cases()
	cases := append(append(decode, encode...), append(inCases(), outCases()...)...)
	for _, pair := range [][2]int{{8000, 16000}, {16000, 8000}} {
		r, err := resampleCases(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, r...)
	}
	for _, c := range cases {
		for range 100 {
			c.Do() // panics if it fails
		}
	}
}

func TestReceiversHearPlainKeys(t *testing.T) {
	for name, make := range map[string]func() (receiver, error){"ours": newOwnReceiver, "spandsp": newPeerReceiver} {
		if make == nil {
			continue
		}
		if n, err := errorsOf(make, dials[0], 3); n != 0 || err != nil {
			t.Errorf("%s: %d errors, %v", name, n, err)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"123", "123", 0}, {"123", "13", 1}, {"123", "1233", 1}, {"123", "143", 1}, {"12", "", 2}, {"", "1", 1}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q and %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestFitFindsTheTone(t *testing.T) {
	amplitude, rest := fit(tone(440, 8000), 440, 8000)
	if amplitude < loud-1 || amplitude > loud+1 || rest > 0.2 { // rounding alone is 1/12
		t.Errorf("amplitude %v, rest %v", amplitude, rest)
	}
}

func TestPacersWakeEveryCall(t *testing.T) {
	const calls, span = 20, 100 * time.Millisecond
	if n := paceWheel(calls, span).late.Count(); n < calls {
		t.Errorf("the wheel woke %d times", n)
	}
	if n := paceTickers(calls, span).late.Count(); n < calls {
		t.Errorf("tickers woke %d times", n)
	}
}

func TestRecordingIsMeasured(t *testing.T) {
	if _, err := Recording(3, 100*time.Millisecond); err != nil {
		t.Error(err)
	}
}
