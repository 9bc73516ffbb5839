package recording

import (
	"encoding/binary"
	"math"
)

// What a WAV file of ours looks like: one "fmt " chunk for 16-bit linear PCM in
// two channels, then one "data" chunk to the end of the file. The layout is
// Microsoft's and IBM's (Multimedia Programming Interface and Data
// Specifications 1.0, 1991, "Waveform Audio File Format").
const (
	headerBytes = 44
	channels    = 2 // caller left, agent right
	frameBytes  = channels * 2

	// maxFrames is what fits in a file whose sizes have 32 bits.
	maxFrames = (math.MaxUint32 - headerBytes) / frameBytes
)

// header returns the header of a file with that many stereo samples. It is the
// one that an audio.WAVWriter writes, so that audio.RepairWAV knows it; that
// writer itself only appends, while a recording fills in what comes late.
func header(rate int, frames int64) [headerBytes]byte {
	var h [headerBytes]byte
	le := binary.LittleEndian
	copy(h[0:], "RIFF")
	le.PutUint32(h[4:], uint32(headerBytes-8+frames*frameBytes))
	copy(h[8:], "WAVEfmt ")
	le.PutUint32(h[16:], 16) // size of the fmt chunk
	le.PutUint16(h[20:], 1)  // linear PCM
	le.PutUint16(h[22:], channels)
	le.PutUint32(h[24:], uint32(rate))
	le.PutUint32(h[28:], uint32(rate*frameBytes))
	le.PutUint16(h[32:], frameBytes)
	le.PutUint16(h[34:], 16) // bits per sample
	copy(h[36:], "data")
	le.PutUint32(h[40:], uint32(frames*frameBytes))
	return h
}
