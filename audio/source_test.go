package audio

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// readAll reads r to its end in pieces of n samples.
func readAll(t testing.TB, r Reader, n int) []int16 {
	t.Helper()
	var all []int16
	p := make([]int16, n)
	for range 1 << 20 {
		n, err := r.ReadPCM(p)
		all = append(all, p[:n]...)
		if errors.Is(err, io.EOF) {
			if n, err := r.ReadPCM(p); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("after the end: %d, %v", n, err)
			}
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("it does not end")
	return nil
}

func TestSourcesPlayWhatTheyHold(t *testing.T) {
	pcm := []int16{1, 2, 3, 4, 5}
	for _, test := range []struct {
		name string
		make func() Reader
		want []int16
	}{
		{"samples", func() Reader { return NewSamples(pcm, 8000) }, pcm},
		{"no samples", func() Reader { return NewSamples(nil, 8000) }, nil},
		{"a loop", func() Reader { return Loop(pcm[:2], 8000, 3) }, []int16{1, 2, 1, 2, 1, 2}},
		{"an empty loop without end", func() Reader { return Loop(nil, 8000, 0) }, nil},
		{"silence", func() Reader { return Silence(time.Millisecond, 8000) }, make([]int16, 8)},
		{"negative silence", func() Reader { return Silence(-time.Millisecond, 8000) }, nil},
		{"one after the other", func() Reader {
			return Concat(NewSamples(pcm[:2], 8000), Silence(0, 8000), NewSamples(pcm[2:], 8000))
		}, pcm},
		{"none after the other", func() Reader { return Concat() }, nil},
		{"a fade", func() Reader { return FadeIn(Loop([]int16{100}, 8000, 6), 500*time.Microsecond) },
			[]int16{0, 25, 50, 75, 100, 100}},
		{"gain", func() Reader { return Gain(NewSamples([]int16{1000, -20000, 20000}, 8000), 6.0206) },
			[]int16{2000, -math.MaxInt16, math.MaxInt16}},
		{"decoded", func() Reader { return Decoder(strings.NewReader("\x01\x00\x02\x00\x03"), Format{PCM16, 8000}) },
			[]int16{1, 2}},
		{"the same rate again", func() Reader { return Resample(NewSamples(pcm, 8000), 8000) }, pcm},
	} {
		t.Run(test.name, func(t *testing.T) {
			for n := 1; n < 9; n++ {
				r := test.make()
				if got := readAll(t, r, n); !slices.Equal(got, test.want) {
					t.Errorf("%d at once: got %v, want %v", n, got, test.want)
				}
				if r.Rate() != 8000 {
					t.Errorf("rate is %d", r.Rate())
				}
			}
		})
	}
}

func TestLoopWithoutEnd(t *testing.T) {
	r := Loop([]int16{1, 2, 3}, 8000, 0)
	p := make([]int16, 1000)
	for range 100 {
		if n, err := r.ReadPCM(p); n != len(p) || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
	}
	if p[999] != 1 { // sample 99,999, counted from 0
		t.Errorf("the last sample is %d", p[999])
	}
}

func TestSourcesWithoutARateHaveThatOfTheTelephone(t *testing.T) {
	for _, r := range []Reader{NewSamples(nil, 0), Silence(0, -1), Decoder(strings.NewReader(""), Format{})} {
		if r.Rate() != 8000 {
			t.Errorf("%T: rate is %d", r, r.Rate())
		}
	}
}

func TestDecoderCarriesHalfASample(t *testing.T) {
	pcm := sine(300, 20000, 5000, 8000)
	for _, e := range []Encoding{PCM16, MuLaw, ALaw} {
		wire := AppendEncode(nil, e, pcm)
		want := AppendDecode(nil, e, wire)
		for _, r := range []io.Reader{
			bytes.NewReader(wire),
			iotest.OneByteReader(bytes.NewReader(wire)),
			iotest.HalfReader(bytes.NewReader(wire)),
			iotest.DataErrReader(bytes.NewReader(wire)),
		} {
			if got := readAll(t, Decoder(r, Format{e, 8000}), 77); !slices.Equal(got, want) {
				t.Errorf("%v from %T: sound differs", e, r)
			}
		}
	}
}

func TestDecoderPassesErrorsOnAfterTheSound(t *testing.T) {
	broken := errors.New("broken")
	r := Decoder(io.MultiReader(strings.NewReader("\x01\x00\x02"), iotest.ErrReader(broken)), Format{PCM16, 8000})
	p := make([]int16, 10)
	n, err := r.ReadPCM(p)
	if n != 1 || err != nil {
		t.Errorf("first read: %d, %v", n, err)
	}
	if n, err := r.ReadPCM(p); n != 0 || !errors.Is(err, broken) {
		t.Errorf("second read: %d, %v", n, err)
	}
}

type still struct{}

func (still) Read([]byte) (int, error) { return 0, nil }

func TestDecoderDoesNotWaitForAReaderThatStandsStill(t *testing.T) {
	if _, err := Decoder(still{}, Telephone).ReadPCM(make([]int16, 1)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
}

// closing is a Reader that counts how often it is closed.
type closing struct {
	Reader
	closed int
	err    error
}

func (c *closing) Close() error {
	c.closed++
	return c.err
}

func TestReadersCloseWhatTheyRead(t *testing.T) {
	broken := errors.New("broken")
	for name, wrap := range map[string]func(Reader) Reader{
		"Resample": func(r Reader) Reader { return Resample(r, 16000) },
		"FadeIn":   func(r Reader) Reader { return FadeIn(r, time.Second) },
		"Gain":     func(r Reader) Reader { return Gain(r, 3) },
		"Concat":   func(r Reader) Reader { return Concat(r) },
	} {
		src := &closing{Reader: NewSamples(make([]int16, 10), 8000), err: broken}
		if err := wrap(src).(io.Closer).Close(); !errors.Is(err, broken) || src.closed != 1 {
			t.Errorf("%s: error %v, closed %d times", name, err, src.closed)
		}
		if err := wrap(NewSamples(nil, 8000)).(io.Closer).Close(); err != nil {
			t.Errorf("%s of what needs no closing: %v", name, err)
		}
	}
	body := io.NopCloser(strings.NewReader(""))
	if err := Decoder(body, Telephone).(io.Closer).Close(); err != nil {
		t.Error(err)
	}
}

func TestConcatClosesEachReaderWhenItHasEnded(t *testing.T) {
	first := &closing{Reader: NewSamples([]int16{1}, 8000)}
	second := &closing{Reader: NewSamples([]int16{2, 3}, 8000)}
	third := &closing{Reader: NewSamples([]int16{4}, 8000)}
	r := Concat(first, second, third)
	p := make([]int16, 1)
	mustRead(t, r, p)
	if first.closed != 1 || second.closed != 0 {
		t.Errorf("after the first: closed %d and %d times", first.closed, second.closed)
	}
	if err := r.(io.Closer).Close(); err != nil {
		t.Fatal(err)
	}
	if first.closed != 1 || second.closed != 1 || third.closed != 1 {
		t.Errorf("in the end: closed %d, %d and %d times", first.closed, second.closed, third.closed)
	}
	if n, err := r.ReadPCM(p); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after Close: %d, %v", n, err)
	}
}

func TestConcatFailsIfAReaderFailsToRead(t *testing.T) {
	broken := errors.New("broken")
	r := Concat(failing{broken}, NewSamples(make([]int16, 10), 8000))
	if n, err := r.ReadPCM(make([]int16, 5)); n != 1 || !errors.Is(err, broken) {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestConcatBringsReadersToOneRate(t *testing.T) {
	r := Concat(Silence(time.Second, 8000), Silence(time.Second, 16000))
	n := len(readAll(t, r, 160))
	// The second is longer by the delay of the filter.
	if n < 16000 || n > 16000+24 {
		t.Errorf("%d samples", n)
	}
}

func TestResampledSoundIsWholeAndLateByTheDelay(t *testing.T) {
	for _, from := range resampleRates {
		for _, to := range resampleRates {
			if from == to {
				continue
			}
			src := sine(1000, 20000, from/10, from)
			got := readAll(t, Resample(NewSamples(src, from), to), to/50)
			delay := newResampler(t, from, to).Delay()
			late := Samples(delay, to)
			if n := len(got); n < to/10+late-to/from-1 || n > to/10+late+to/from+1 {
				t.Errorf("%d to %d: %d samples, want about %d", from, to, n, to/10+late)
			}
			// The last millisecond before the tail is still loud.
			if Peak(got[to/10+late-to/500-1:to/10+late-1]) < 15000 {
				t.Errorf("%d to %d: the end is cut off", from, to)
			}
		}
	}
}

func TestResampleDoesNotReadAhead(t *testing.T) {
	src := NewSamples(make([]int16, 8000), 8000).(*loop)
	r := Resample(src, 16000)
	if n, err := r.ReadPCM(make([]int16, 320)); n != 320 || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	if src.at != 160 {
		t.Errorf("%d samples were read for 20 ms", src.at)
	}
}

func TestResampleOfAnUnsupportedRateFails(t *testing.T) {
	for _, r := range []Reader{
		Resample(NewSamples(make([]int16, 10), 44100), 8000),
		Resample(NewSamples(make([]int16, 10), 8000), 44100),
		Resample(NewSamples(make([]int16, 10), 8000), 0),
	} {
		if n, err := r.ReadPCM(make([]int16, 10)); n != 0 || !errors.Is(err, ErrUnsupportedRate) {
			t.Errorf("read %d, %v", n, err)
		}
		if r.Rate() <= 0 {
			t.Errorf("rate is %d", r.Rate())
		}
	}
}

func TestSourcesDoNotAllocateAsTheyPlay(t *testing.T) {
	pcm := sine(440, 8000, 8000, 8000)
	wire := endless{}
	for name, r := range map[string]Reader{
		"Loop":     Loop(pcm, 8000, 0),
		"Silence":  Silence(time.Hour, 8000),
		"Decoder":  Decoder(wire, Format{PCM16, 8000}),
		"Concat":   Concat(Loop(pcm, 8000, 0)),
		"Resample": Resample(Loop(pcm, 8000, 0), 24000),
		"FadeIn":   FadeIn(Loop(pcm, 8000, 0), time.Hour),
		"Gain":     Gain(Loop(pcm, 8000, 0), -3),
	} {
		t.Run(name, func(t *testing.T) {
			p := make([]int16, 160)
			noAllocs(t, func() { mustRead(t, r, p) })
		})
	}
}

// endless yields zeros for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestSourcesTellHowMuchIsLeft(t *testing.T) {
	pcm := make([]int16, 100)
	for _, tt := range []struct {
		name         string
		r            Reader
		before, left int // before and after 30 samples
	}{
		{"samples", NewSamples(pcm, 8000), 100, 70},
		{"three times", Loop(pcm, 8000, 3), 300, 270},
		{"for ever", Loop(pcm, 8000, 0), 0, 0},
		{"nothing", NewSamples(nil, 8000), 0, 0},
		{"silence", Silence(10*time.Millisecond, 8000), 80, 50},
	} {
		length := tt.r.(interface{ Len() int })
		if n := length.Len(); n != tt.before {
			t.Errorf("%s: %d samples, want %d", tt.name, n, tt.before)
		}
		if _, err := tt.r.ReadPCM(make([]int16, 30)); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if n := length.Len(); n != tt.left {
			t.Errorf("%s: %d samples are left, want %d", tt.name, n, tt.left)
		}
	}
}
