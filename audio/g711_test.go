package audio

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/zaf/g711"
)

// muLawReference and aLawReference encode as ITU-T G.711 and the software tools
// of G.191 say, by searching for the segment; decoding is their own.

func muLawReference(s int16) byte {
	// 14 bits, magnitude in ones' complement, as G.191 does it.
	x := int(s) >> 2
	sign := 0x80
	if x < 0 {
		x, sign = ^x, 0
	}
	x = min(x+33, 0x1FFF)
	segment := 0
	for x>>(segment+6) != 0 {
		segment++
	}
	step := x >> (segment + 1) & 0xF
	return byte(sign | (7-segment)<<4 | (15 - step))
}

func muLawDecodeReference(b byte) int16 {
	b = ^b
	segment, step := int(b>>4&7), int(b&15)
	x := ((2*step + 33) << segment) - 33
	if b&0x80 != 0 {
		x = -x
	}
	return int16(x * 4)
}

func aLawReference(s int16) byte {
	// 12 bits, magnitude in ones' complement, as G.191 does it.
	x := int(s) >> 4
	sign := 0x80
	if x < 0 {
		x, sign = ^x, 0
	}
	// Segments 0 and 1 have steps of one size, and so one rule.
	code := x
	if x >= 32 {
		segment := 1
		for x>>(segment+3) != 1 {
			segment++
		}
		code = segment<<4 | x>>(segment-1)&0xF
	}
	return byte(sign|code) ^ 0x55
}

func aLawDecodeReference(b byte) int16 {
	b ^= 0x55
	segment, step := int(b>>4&7), int(b&15)
	x := 2*step + 1
	if segment > 0 {
		x = (x + 32) << (segment - 1)
	}
	if b&0x80 == 0 {
		x = -x
	}
	return int16(x * 8)
}

func TestG711EncodesAllSamplesExactly(t *testing.T) {
	for v := math.MinInt16; v <= math.MaxInt16; v++ {
		s := int16(v)
		got := [2]byte{AppendEncode(nil, MuLaw, []int16{s})[0], AppendEncode(nil, ALaw, []int16{s})[0]}
		if want := [2]byte{muLawReference(s), aLawReference(s)}; got != want {
			t.Fatalf("%d: got %#02x, G.711 says %#02x", s, got, want)
		}
		if want := [2]byte{g711.EncodeUlawFrame(s), g711.EncodeAlawFrame(s)}; got != want {
			t.Fatalf("%d: got %#02x, zaf says %#02x", s, got, want)
		}
	}
}

func TestG711DecodesAllCodesExactly(t *testing.T) {
	for code := range 256 {
		b := byte(code)
		got := [2]int16{AppendDecode(nil, MuLaw, []byte{b})[0], AppendDecode(nil, ALaw, []byte{b})[0]}
		if want := [2]int16{muLawDecodeReference(b), aLawDecodeReference(b)}; got != want {
			t.Errorf("%#02x: got %d, G.711 says %d", b, got, want)
		}
		if want := [2]int16{g711.DecodeUlawFrame(b), g711.DecodeAlawFrame(b)}; got != want {
			t.Errorf("%#02x: got %d, zaf says %d", b, got, want)
		}
	}
}

// Mu-law has two zeros, of which only the positive one comes back.
func TestG711CodesSurviveARoundTrip(t *testing.T) {
	for _, e := range []Encoding{MuLaw, ALaw} {
		for code := range 256 {
			b := byte(code)
			want := b
			if e == MuLaw && b == 0x7F {
				want = 0xFF
			}
			if got := AppendEncode(nil, e, AppendDecode(nil, e, []byte{b})); got[0] != want {
				t.Errorf("%v: %#02x comes back as %#02x", e, b, got[0])
			}
		}
	}
}

func TestPCM16IsLittleEndian(t *testing.T) {
	pcm := []int16{0, 1, -1, 0x1234, math.MinInt16, math.MaxInt16}
	want := []byte{0, 0, 1, 0, 0xFF, 0xFF, 0x34, 0x12, 0, 0x80, 0xFF, 0x7F}
	got := AppendEncode(nil, PCM16, pcm)
	if !bytes.Equal(got, want) {
		t.Errorf("encoded % x, want % x", got, want)
	}
	if back := AppendDecode(nil, PCM16, got); !slices.Equal(back, pcm) {
		t.Errorf("decoded %v, want %v", back, pcm)
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	pcm := AppendDecode([]int16{1, 2}, MuLaw, []byte{0xFF})
	if !slices.Equal(pcm, []int16{1, 2, 0}) {
		t.Errorf("decoded %v", pcm)
	}
	b := AppendEncode([]byte{1, 2}, ALaw, []int16{8})
	if !bytes.Equal(b, []byte{1, 2, 0xD5}) {
		t.Errorf("encoded %v", b)
	}
}

func TestCopyStyleStopsAtTheShorter(t *testing.T) {
	for _, test := range []struct {
		name             string
		e                Encoding
		bytes, samples   int
		decoded, encoded int
	}{
		{"room for all", MuLaw, 4, 4, 4, 4},
		{"little room", MuLaw, 4, 3, 3, 3},
		{"more room than needed", ALaw, 2, 3, 2, 2},
		{"half a sample at the end", PCM16, 5, 4, 2, 4},
		{"little room for PCM16", PCM16, 8, 3, 3, 6},
		{"nothing", PCM16, 0, 0, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Decode(make([]int16, test.samples), test.e, make([]byte, test.bytes)); got != test.decoded {
				t.Errorf("decoded %d samples, want %d", got, test.decoded)
			}
			if got := Encode(make([]byte, test.bytes), test.e, make([]int16, test.samples)); got != test.encoded {
				t.Errorf("encoded %d bytes, want %d", got, test.encoded)
			}
		})
	}
}

func TestChunkDecoderJoinsHalves(t *testing.T) {
	var d ChunkDecoder
	var got []int16
	for _, piece := range [][]byte{{1}, {}, {2, 3}, {4, 5, 6, 7}, {8}, {9}} {
		got = d.Append(got, piece)
	}
	if want := []int16{0x0201, 0x0403, 0x0605, 0x0807}; !slices.Equal(got, want) {
		t.Errorf("got %#04x, want %#04x", got, want)
	}
	d.Reset()
	if got := d.Append(nil, []byte{1, 2}); !slices.Equal(got, []int16{0x0201}) {
		t.Errorf("after Reset: %#04x", got)
	}
}

func TestG711DoesNotAllocate(t *testing.T) {
	for _, e := range []Encoding{PCM16, MuLaw, ALaw} {
		wire, pcm := make([]byte, 320), make([]int16, 320)
		d := ChunkDecoder{Encoding: e}
		noAllocs(t, func() {
			pcm = AppendDecode(pcm[:0], e, wire[:160])
			wire = AppendEncode(wire[:0], e, pcm[:80])
			Decode(pcm, e, wire)
			Encode(wire, e, pcm)
			pcm = d.Append(pcm[:0], wire[:159])
		})
	}
}

func FuzzG711RoundTrip(f *testing.F) {
	f.Add([]byte{0, 0x7F, 0x80, 0xFF}, uint8(1))
	f.Add([]byte{1, 2, 3}, uint8(0))
	f.Fuzz(func(t *testing.T, wire []byte, encoding uint8) {
		e := Encoding(encoding % 3)
		pcm := AppendDecode(nil, e, wire)
		if len(pcm) != len(wire)/e.SampleBytes() {
			t.Fatalf("%d bytes made %d samples", len(wire), len(pcm))
		}
		again := AppendDecode(nil, e, AppendEncode(nil, e, pcm))
		if !slices.Equal(again, pcm) {
			t.Fatal("samples do not survive")
		}
		var pieces []int16
		d := ChunkDecoder{Encoding: e}
		for i := range wire {
			pieces = d.Append(pieces, wire[i:i+1])
		}
		if !slices.Equal(pieces, pcm) {
			t.Fatal("pieces change the outcome")
		}
	})
}

// The goals, against the slice functions of zaf/g711: decode 3.5 times as fast,
// encode 6.5 times.
func BenchmarkG711(b *testing.B) {
	pcm := sine(440, 8000, 160, 8000)
	wire := AppendEncode(nil, MuLaw, pcm)
	raw := AppendEncode(nil, PCM16, pcm)
	out := make([]byte, 0, 320)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			pcm = AppendDecode(pcm[:0], MuLaw, wire)
		}
	})
	b.Run("decode with zaf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g711.DecodeUlaw(wire)
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out = AppendEncode(out[:0], MuLaw, pcm)
		}
	})
	b.Run("encode with zaf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g711.EncodeUlaw(raw)
		}
	})
}
