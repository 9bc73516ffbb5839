package audio

import (
	"testing"
	"time"
)

func TestFormatCountsSamplesBytesAndTime(t *testing.T) {
	for _, test := range []struct {
		format  Format
		d       time.Duration
		samples int
		bytes   int
	}{
		{Telephone, 20 * time.Millisecond, 160, 160},
		{Format{ALaw, 8000}, time.Second, 8000, 8000},
		{Format{PCM16, 16000}, 20 * time.Millisecond, 320, 640},
		{Format{PCM16, 24000}, 10 * time.Millisecond, 240, 480},
		{Format{PCM16, 48000}, time.Hour, 172_800_000, 345_600_000},
		{Telephone, 0, 0, 0},
	} {
		if got := test.format.Samples(test.d); got != test.samples {
			t.Errorf("%v holds %d samples of %v, want %d", test.d, got, test.format, test.samples)
		}
		if got := test.format.Bytes(test.d); got != test.bytes {
			t.Errorf("%v holds %d bytes of %v, want %d", test.d, got, test.format, test.bytes)
		}
		if got := test.format.Duration(test.bytes); got != test.d {
			t.Errorf("%d bytes of %v last %v, want %v", test.bytes, test.format, got, test.d)
		}
	}
}

func TestPartOfASampleDoesNotCount(t *testing.T) {
	if got := Samples(124*time.Microsecond, 8000); got != 0 {
		t.Errorf("124 µs hold %d samples", got)
	}
	if got := (Format{PCM16, 8000}).Duration(3); got != 125*time.Microsecond {
		t.Errorf("3 bytes of PCM16 last %v", got)
	}
}

func TestDurationWithoutARateIsZero(t *testing.T) {
	for _, rate := range []int{0, -8000} {
		if got := Duration(100, rate); got != 0 {
			t.Errorf("rate %d: %v", rate, got)
		}
	}
}

func TestDurationIsExactForLongStreams(t *testing.T) {
	for _, rate := range []int{8000, 44100, 48000} {
		const hours = 2900
		n := hours*3600*rate + 1
		if got, want := Duration(n, rate), hours*time.Hour+time.Second/time.Duration(rate); got != want {
			t.Errorf("rate %d: %v, want %v", rate, got, want)
		}
	}
}

func TestNamesOfFormatsAndTracks(t *testing.T) {
	for want, got := range map[string]string{
		"mulaw/8000":  Telephone.String(),
		"alaw/8000":   Format{ALaw, 8000}.String(),
		"pcm16/16000": Format{PCM16, 16000}.String(),
		"encoding(9)": Encoding(9).String(),
		"inbound":     Inbound.String(),
		"outbound":    Outbound.String(),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSilenceDecodesToZero(t *testing.T) {
	for _, e := range []Encoding{PCM16, MuLaw} {
		b := make([]byte, e.SampleBytes())
		for i := range b {
			b[i] = e.Silence()
		}
		if got := AppendDecode(nil, e, b); got[0] != 0 {
			t.Errorf("%v: %d", e, got[0])
		}
	}
	// A-law has no zero; its smallest step is 8.
	if got := AppendDecode(nil, ALaw, []byte{ALaw.Silence()}); got[0] != 8 {
		t.Errorf("A-law: %d", got[0])
	}
}

func TestFrameDuration(t *testing.T) {
	f := Frame{Format: Telephone, PCM: make([]int16, 160)}
	if got := f.Duration(); got != 20*time.Millisecond {
		t.Errorf("got %v", got)
	}
	var passed *Frame
	FrameWriterFunc(func(f *Frame) { passed = f }).WriteFrame(&f)
	if passed != &f {
		t.Error("the frame did not pass")
	}
}
