package audio

import (
	"fmt"
	"time"
)

// Encoding is how one sample is written on the wire.
type Encoding uint8

const (
	// PCM16 is signed 16-bit linear, little endian: two bytes a sample.
	PCM16 Encoding = iota
	// MuLaw is G.711 mu-law: one byte a sample (ITU-T G.711, table 2).
	MuLaw
	// ALaw is G.711 A-law: one byte a sample (ITU-T G.711, table 1).
	ALaw
)

// String returns "pcm16", "mulaw" or "alaw".
func (e Encoding) String() string {
	switch e {
	case PCM16:
		return "pcm16"
	case MuLaw:
		return "mulaw"
	case ALaw:
		return "alaw"
	}
	return fmt.Sprintf("encoding(%d)", uint8(e))
}

// SampleBytes is the size of one sample: 2 for PCM16, 1 for G.711.
func (e Encoding) SampleBytes() int {
	if e == PCM16 {
		return 2
	}
	return 1
}

// Silence is the byte that, repeated, is silence in this encoding.
func (e Encoding) Silence() byte {
	switch e {
	case MuLaw:
		return 0xFF
	case ALaw:
		return 0xD5
	}
	return 0
}

// Format says how mono audio is written: its encoding and its sampling rate.
type Format struct {
	Encoding Encoding
	Rate     int // samples per second
}

// Telephone is what nearly every telephone network carries: mu-law at 8 kHz.
var Telephone = Format{Encoding: MuLaw, Rate: 8000}

// String returns, for example, "mulaw/8000".
func (f Format) String() string { return fmt.Sprintf("%s/%d", f.Encoding, f.Rate) }

// Samples is how many whole samples d holds.
func (f Format) Samples(d time.Duration) int { return Samples(d, f.Rate) }

// Bytes is the size of the whole samples that d holds.
func (f Format) Bytes(d time.Duration) int { return f.Samples(d) * f.Encoding.SampleBytes() }

// Duration is how long n bytes of this format play. A Format without a rate
// has no duration: 0.
func (f Format) Duration(n int) time.Duration {
	return Duration(n/f.Encoding.SampleBytes(), f.Rate)
}

// Samples is how many whole samples d holds at rate samples per second.
func Samples(d time.Duration, rate int) int {
	return int(int64(d) * int64(rate) / int64(time.Second))
}

// Duration is how long n samples last at rate samples per second, 0 if rate
// is not positive. It is exact for every length below 2,900 hours at 48 kHz.
func Duration(n, rate int) time.Duration {
	if rate <= 0 {
		return 0
	}
	whole, rest := n/rate, n%rate
	return time.Duration(whole)*time.Second + time.Duration(rest)*time.Second/time.Duration(rate)
}
