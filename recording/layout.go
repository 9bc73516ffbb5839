package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/switchboard-voice/switchboard/audio"
)

// sides is how many tracks a call has: the caller, who is left, and the agent.
const sides = 2

// layout is what a WAV file of ours looks like: the header that an
// audio.WAVWriter writes, so that audio.RepairWAV knows it, and then frames of a
// sample for each channel to the end of the file. That writer itself only
// appends, while a recording fills in what comes late.
type layout struct {
	audio.Format
	channels int // 1: both sides mixed; 2
}

func (l layout) frameBytes() int64 { return int64(l.channels * l.Encoding.SampleBytes()) }

// headerBytes is where the sound begins.
func (l layout) headerBytes() int64 {
	var room [64]byte
	return int64(len(audio.AppendWAVHeader(room[:0], l.Format, l.channels, 0)))
}

// maxFrames is what fits in a file whose sizes have 32 bits.
func (l layout) maxFrames() int64 { return (math.MaxUint32 - 1 - l.headerBytes()) / l.frameBytes() }

// header returns the header of a file with so many frames.
func (l layout) header(frames int64) []byte {
	return audio.AppendWAVHeader(nil, l.Format, l.channels, frames)
}

// padding is how many bytes follow the last frame, because a chunk of an odd
// length is followed by one.
func (l layout) padding(frames int64) int64 { return frames * l.frameBytes() % 2 }

// size is the length of a file with so many frames.
func (l layout) size(frames int64) int64 {
	return l.headerBytes() + frames*l.frameBytes() + l.padding(frames)
}

// put writes stereo samples of the ring as the file has them, and returns how
// many bytes they are.
func (l layout) put(dst []byte, stereo []int16) int {
	if l.channels == sides {
		return audio.Encode(dst, l.Encoding, stereo)
	}
	mixed := stereo[:len(stereo)/sides] // its samples are read before they are written over
	for i := range mixed {
		sum := int(stereo[sides*i]) + int(stereo[sides*i+1])
		mixed[i] = int16(min(max(sum, math.MinInt16), math.MaxInt16))
	}
	return audio.Encode(dst, l.Encoding, mixed)
}

// errForeign tells of a WAV file that is none of a call.
var errForeign = fmt.Errorf("%w: not one of a call", audio.ErrWAV)

// readLayout reads the header of a file, and how many frames it tells of.
func readLayout(r io.ReadSeeker) (l layout, frames int64, err error) {
	wav, err := audio.NewWAVReader(r)
	if err != nil {
		return l, 0, err
	}
	l = layout{wav.Format(), wav.Channels()}
	// A WAVReader reads no further than it must: what it has read ends with the
	// length of the sound.
	var length [4]byte
	if at, err := r.Seek(-int64(len(length)), io.SeekCurrent); err != nil || at+int64(len(length)) != l.headerBytes() {
		return l, 0, errors.Join(errForeign, err)
	}
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return l, 0, err
	}
	return l, int64(binary.LittleEndian.Uint32(length[:])) / l.frameBytes(), nil
}

// recording describes a file with so many frames.
func (l layout) recording(frames int64) Recording {
	return Recording{
		Format:   "wav",
		Channels: l.channels,
		Rate:     l.Rate,
		Duration: audio.Duration(int(frames), l.Rate),
		Size:     l.size(frames),
	}
}
