package audio

import (
	"encoding/binary"
	"slices"

	"github.com/zaf/g711"
)

// The tables hold what zaf/g711 says of each sample, which is what ITU-T
// G.191 says. An encoder looks at the top 14 bits (mu-law) or 12 bits (A-law)
// of a sample only, so the tables are no larger than that.
var (
	muLawDecode = decodeTable(g711.DecodeUlawFrame)
	aLawDecode  = decodeTable(g711.DecodeAlawFrame)
	muLawEncode = [1 << 14]byte(encodeTable(14, g711.EncodeUlawFrame))
	aLawEncode  = [1 << 12]byte(encodeTable(12, g711.EncodeAlawFrame))
)

func decodeTable(decode func(uint8) int16) (table [256]int16) {
	for i := range table {
		table[i] = decode(uint8(i))
	}
	return table
}

func encodeTable(bits int, encode func(int16) uint8) []byte {
	table := make([]byte, 1<<bits)
	for i := range table {
		table[i] = encode(int16(uint16(i) << (16 - bits)))
	}
	return table
}

// AppendDecode appends the samples that src holds to dst and returns the
// extended slice. It allocates only if dst is too small.
//
// A PCM16 sample has two bytes; an odd byte at the end of src is left
// undecoded. Where a stream may be cut anywhere, use a [ChunkDecoder], which
// keeps that byte for the next piece.
func AppendDecode(dst []int16, e Encoding, src []byte) []int16 {
	n := len(src) / e.SampleBytes()
	at := len(dst)
	dst = slices.Grow(dst, n)[:at+n]
	Decode(dst[at:], e, src)
	return dst
}

// AppendEncode appends src, written in encoding e, to dst and returns the
// extended slice. It allocates only if dst is too small.
func AppendEncode(dst []byte, e Encoding, src []int16) []byte {
	n := len(src) * e.SampleBytes()
	at := len(dst)
	dst = slices.Grow(dst, n)[:at+n]
	Encode(dst[at:], e, src)
	return dst
}

// Decode decodes as many whole samples of src as dst has room for and returns
// their number.
func Decode(dst []int16, e Encoding, src []byte) int {
	n := min(len(dst), len(src)/e.SampleBytes())
	dst, src = dst[:n], src[:n*e.SampleBytes()]
	switch e {
	case MuLaw:
		decodeBytes(dst, src, &muLawDecode)
	case ALaw:
		decodeBytes(dst, src, &aLawDecode)
	default:
		for i := range dst {
			dst[i] = int16(binary.LittleEndian.Uint16(src[2*i:]))
		}
	}
	return n
}

func decodeBytes(dst []int16, src []byte, table *[256]int16) {
	dst = dst[:len(src)]
	for i, b := range src {
		dst[i] = table[b]
	}
}

// Encode encodes as many samples of src as dst has room for and returns the
// number of bytes it wrote.
func Encode(dst []byte, e Encoding, src []int16) int {
	n := min(len(dst)/e.SampleBytes(), len(src))
	src, dst = src[:n], dst[:n*e.SampleBytes()]
	switch e {
	case MuLaw:
		dst = dst[:len(src)]
		for i, s := range src {
			dst[i] = muLawEncode[uint16(s)>>2]
		}
	case ALaw:
		dst = dst[:len(src)]
		for i, s := range src {
			dst[i] = aLawEncode[uint16(s)>>4]
		}
	default:
		for i, s := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], uint16(s))
		}
	}
	return len(dst)
}

// A ChunkDecoder decodes a stream that arrives in pieces cut anywhere, even
// in the middle of a sample. The zero value decodes PCM16.
type ChunkDecoder struct {
	Encoding Encoding

	low  byte // first half of a PCM16 sample
	half bool // whether low is there
}

// Append appends the samples that src completes to dst and returns the
// extended slice.
func (d *ChunkDecoder) Append(dst []int16, src []byte) []int16 {
	if d.Encoding.SampleBytes() == 1 || len(src) == 0 {
		return AppendDecode(dst, d.Encoding, src)
	}
	if d.half {
		dst = append(dst, int16(uint16(d.low)|uint16(src[0])<<8))
		src = src[1:]
	}
	d.half = len(src)%2 == 1
	if d.half {
		d.low = src[len(src)-1]
	}
	return AppendDecode(dst, d.Encoding, src)
}

// Reset forgets half a sample that is waiting for its other half.
func (d *ChunkDecoder) Reset() { d.half = false }
