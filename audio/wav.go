package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrWAV tells that what was read is not a WAV file of a kind this package
// reads.
var ErrWAV = errors.New("audio: unreadable WAV file")

// ErrWAVFull tells that a WAV file cannot grow: its sizes are 32 bits wide.
var ErrWAVFull = errors.New("audio: WAV file is full")

// Format tags of a WAV file (RFC 2361, appendix A, and the extensible format
// that names one of them in its GUID).
const (
	wavPCM        = 0x0001
	wavALaw       = 0x0006
	wavMuLaw      = 0x0007
	wavExtensible = 0xFFFE
)

// wavUnknown in place of a length says that the writer could not tell.
const wavUnknown = 0xFFFFFFFF

// maxWAVRate keeps nonsense out of the arithmetic.
const maxWAVRate = 384000

// A WAVReader reads the samples of a WAV file from a stream: 16-bit PCM,
// mu-law or A-law, one or two channels, any rate. It is used by one goroutine
// at a time.
//
// It reads what a writer that was killed has left behind: a length that is
// zero, unknown or too large stands for all that follows. Chunks that it does
// not know are passed over.
//
// A WAVReader of a mono file is a [Reader] of its sound. Of a stereo file,
// ReadPCM reads interleaved samples; [WAVReader.Channel] reads one side.
type WAVReader struct {
	r        io.Reader
	format   Format
	channels int
	left     int64 // bytes of audio still to come, at most

	buf  [4096]byte
	held int // bytes at the start of buf that are part of a frame
	err  error
}

// NewWAVReader reads the header of a WAV file, up to its first sample. The
// error is [ErrWAV], or that of r.
func NewWAVReader(r io.Reader) (*WAVReader, error) {
	w := &WAVReader{r: r}
	if err := w.readHeader(); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: it ends within its header", ErrWAV)
		}
		return nil, err
	}
	return w, nil
}

func (w *WAVReader) readHeader() error {
	head := w.buf[:12]
	if _, err := io.ReadFull(w.r, head); err != nil {
		return err
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return fmt.Errorf("%w: it does not begin with RIFF and WAVE", ErrWAV)
	}
	riff := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	for at := int64(12); ; {
		head := w.buf[:8]
		if _, err := io.ReadFull(w.r, head); err != nil {
			return err
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		at += 8
		switch string(head[:4]) {
		case "data":
			return w.begin(size, at, riff)
		case "fmt ":
			if err := w.readFormat(size); err != nil {
				return err
			}
		default:
			if _, err := io.CopyN(io.Discard, w.r, size+size%2); err != nil {
				return err
			}
		}
		at += size + size%2
	}
}

func (w *WAVReader) readFormat(size int64) error {
	if size < 16 || size > int64(len(w.buf))-1 {
		return fmt.Errorf("%w: its format chunk has %d bytes", ErrWAV, size)
	}
	chunk := w.buf[:size+size%2]
	if _, err := io.ReadFull(w.r, chunk); err != nil {
		return err
	}
	tag := binary.LittleEndian.Uint16(chunk)
	if tag == wavExtensible && size >= 26 {
		tag = binary.LittleEndian.Uint16(chunk[24:])
	}
	channels := int(binary.LittleEndian.Uint16(chunk[2:]))
	rate := binary.LittleEndian.Uint32(chunk[4:])
	bits := int(binary.LittleEndian.Uint16(chunk[14:]))
	switch tag {
	case wavPCM:
		w.format.Encoding = PCM16
	case wavMuLaw:
		w.format.Encoding = MuLaw
	case wavALaw:
		w.format.Encoding = ALaw
	default:
		return fmt.Errorf("%w: its format tag is %#04x", ErrWAV, tag)
	}
	if bits != 8*w.format.Encoding.SampleBytes() {
		return fmt.Errorf("%w: it has %d bits a sample", ErrWAV, bits)
	}
	if channels != 1 && channels != 2 {
		return fmt.Errorf("%w: it has %d channels", ErrWAV, channels)
	}
	if rate == 0 || rate > maxWAVRate {
		return fmt.Errorf("%w: its rate is %d", ErrWAV, rate)
	}
	w.channels = channels
	w.format.Rate = int(rate)
	return nil
}

// begin is called at the first byte of audio, which is at offset at.
func (w *WAVReader) begin(size, at, riff int64) error {
	if w.channels == 0 {
		return fmt.Errorf("%w: it has no format chunk before its data", ErrWAV)
	}
	w.left = size
	// A file that was never finished says 0 and ends where its header did. If
	// it goes on to tell of other chunks, the data is really empty.
	unfinished := size == 0 && (riff <= at || riff == wavUnknown+8)
	if unfinished || size == wavUnknown {
		w.left = 1<<63 - 1
	}
	return nil
}

// Rate is the number of samples per second of each channel.
func (w *WAVReader) Rate() int { return w.format.Rate }

// Format is how the samples are written in the file.
func (w *WAVReader) Format() Format { return w.format }

// Channels is 1 or 2.
func (w *WAVReader) Channels() int { return w.channels }

// Left is how many bytes of audio the header tells of that have not been read. It
// is 0 for a file that does not tell.
func (w *WAVReader) Left() int64 {
	if w.left > wavUnknown {
		return 0
	}
	return w.left
}

// ReadPCM reads samples as [Reader] says; those of a stereo file are
// interleaved, and p must have room for one of each side. A frame that is cut
// off by the end of the file is dropped.
func (w *WAVReader) ReadPCM(p []int16) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	size := w.format.Encoding.SampleBytes() * w.channels
	frames := len(p) / w.channels
	if frames == 0 {
		return 0, io.ErrShortBuffer
	}
	want := min(frames*size, len(w.buf)/size*size)
	for empty := 0; w.held < size && w.err == nil; {
		n := int(min(int64(want-w.held), w.left))
		if n == 0 {
			w.err = io.EOF
			break
		}
		n, w.err = w.r.Read(w.buf[w.held : w.held+n])
		w.held += n
		w.left -= int64(n)
		if n > 0 {
			empty = 0
		} else if empty++; empty == 100 {
			return 0, io.ErrNoProgress
		}
	}
	whole := min(w.held/size*size, want)
	n := Decode(p, w.format.Encoding, w.buf[:whole])
	w.held = copy(w.buf[:], w.buf[whole:w.held])
	if w.held >= size {
		return n, nil
	}
	return n, w.err
}

// Channel returns a Reader of channel i alone, counted from 0; the samples of
// the other are dropped. It panics if there is no such channel. Use it instead
// of ReadPCM, not beside it.
func (w *WAVReader) Channel(i int) Reader {
	if i < 0 || i >= w.channels {
		panic(fmt.Sprintf("audio: WAV file has no channel %d", i))
	}
	if w.channels == 1 {
		return w
	}
	return &wavChannel{wav: w, side: i}
}

type wavChannel struct {
	wav  *WAVReader
	side int
	buf  [1024]int16
}

func (c *wavChannel) Rate() int { return c.wav.Rate() }

func (c *wavChannel) ReadPCM(p []int16) (int, error) {
	n, err := c.wav.ReadPCM(c.buf[:min(2*len(p), len(c.buf))])
	for i := range n / 2 {
		p[i] = c.buf[2*i+c.side]
	}
	return n / 2, err
}

// maxReadWAV is the most samples that ReadWAV holds in memory.
const maxReadWAV = 16 << 20

// ReadWAV reads a small WAV file whole, for tests and prompts: one slice of
// samples for each channel. More than 16 Mi samples are refused with [ErrWAV].
func ReadWAV(r io.Reader) (samples [][]int16, rate int, err error) {
	w, err := NewWAVReader(r)
	if err != nil {
		return nil, 0, err
	}
	samples = make([][]int16, w.channels)
	var buf [2048]int16
	for err == nil {
		var n int
		n, err = w.ReadPCM(buf[:])
		for c := range samples {
			for i := c; i < n; i += w.channels {
				samples[c] = append(samples[c], buf[i])
			}
		}
		if len(samples[0])*w.channels > maxReadWAV {
			return nil, 0, fmt.Errorf("%w: it is too long to hold in memory", ErrWAV)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	return samples, w.Rate(), nil
}

// A WAVFile is what a [WAVWriter] needs of a file. [os.File] is one, unless it
// was opened to append.
type WAVFile interface {
	io.WriterAt
}

// A WAVWriter writes a WAV file whose header is valid at any moment: it tells
// of no audio before [WAVWriter.Flush], and of all audio written before a Flush
// after it. Whoever is killed between two leaves a file that players read up to
// the last Flush; [RepairWAV] brings back the rest. It is used by one goroutine
// at a time and allocates nothing as it writes.
//
// Audio goes to the file at once, one write for each call; put together what
// comes in small pieces. If a write fails, the audio of that call is lost and
// the file stays sound: the next write takes its place.
type WAVWriter struct {
	file     WAVFile
	format   Format
	channels int
	size     int64 // bytes of audio
	header   [wavMaxHeader]byte
	buf      [4096]byte
}

// wavMaxHeader is the length of the header of G.711, which has a longer format
// chunk and a fact chunk, as all but PCM must.
const wavMaxHeader = 58

// NewWAVWriter writes the header of an empty WAV file to w, at offset 0, and
// returns a writer of its audio: one or two channels, each of format.
func NewWAVWriter(w WAVFile, format Format, channels int) (*WAVWriter, error) {
	if channels != 1 && channels != 2 {
		return nil, fmt.Errorf("audio: a WAV file of %d channels", channels)
	}
	if format.Rate <= 0 || format.Rate > maxWAVRate {
		return nil, fmt.Errorf("%w: %d", ErrUnsupportedRate, format.Rate)
	}
	if format.Encoding > ALaw {
		return nil, fmt.Errorf("audio: a WAV file of %s", format.Encoding)
	}
	wav := &WAVWriter{file: w, format: format, channels: channels}
	if err := wav.Flush(); err != nil {
		return nil, err
	}
	return wav, nil
}

// Rate is the number of samples per second of each channel.
func (w *WAVWriter) Rate() int { return w.format.Rate }

// Frames is how many samples of each channel were written.
func (w *WAVWriter) Frames() int64 { return w.size / int64(w.frameBytes()) }

func (w *WAVWriter) frameBytes() int { return w.format.Encoding.SampleBytes() * w.channels }

// Write writes samples, interleaved if there are two channels: always whole
// frames.
func (w *WAVWriter) Write(frames []int16) error {
	if len(frames)%w.channels != 0 {
		return io.ErrShortWrite
	}
	perBuf := len(w.buf) / w.frameBytes() * w.channels
	for len(frames) > 0 {
		n := min(len(frames), perBuf)
		size := Encode(w.buf[:], w.format.Encoding, frames[:n])
		if err := w.WriteEncoded(w.buf[:size]); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

// WritePCM is Write in the words of a [Writer], which a WAVWriter of one
// channel is.
func (w *WAVWriter) WritePCM(p []int16) (int, error) {
	before := w.Frames()
	err := w.Write(p)
	return int(w.Frames()-before) * w.channels, err
}

// WriteEncoded writes audio that is in the format of the file already,
// interleaved if there are two channels: always whole frames.
func (w *WAVWriter) WriteEncoded(p []byte) error {
	if len(p)%w.frameBytes() != 0 {
		return io.ErrShortWrite
	}
	head := int64(w.headerBytes())
	if w.size+int64(len(p))+head > wavUnknown-1 {
		return ErrWAVFull
	}
	if _, err := w.file.WriteAt(p, head+w.size); err != nil {
		return err
	}
	w.size += int64(len(p))
	return nil
}

// Flush makes the header tell of all audio written so far. It does not ask the
// system to put the file on disk.
func (w *WAVWriter) Flush() error {
	head := w.putHeader()
	if w.size%2 == 1 {
		// A chunk of odd length is followed by a byte of padding; the next
		// audio takes its place.
		w.buf[0] = 0
		if _, err := w.file.WriteAt(w.buf[:1], int64(len(head))+w.size); err != nil {
			return err
		}
	}
	_, err := w.file.WriteAt(head, 0)
	return err
}

// RepairWAV makes the header of a file that a [WAVWriter] left unfinished tell
// of all whole frames that the file holds. size is the length of the file. The
// error is [ErrWAV] if the header is not one that a WAVWriter writes.
func RepairWAV(f interface {
	io.ReaderAt
	WAVFile
}, size int64) error {
	section := io.NewSectionReader(f, 0, size)
	r, err := NewWAVReader(section)
	if err != nil {
		return err
	}
	w := &WAVWriter{file: f, format: r.format, channels: r.channels}
	head := int64(w.headerBytes())
	if at, err := section.Seek(0, io.SeekCurrent); err != nil || at != head {
		return fmt.Errorf("%w: its header is of another writer", ErrWAV)
	}
	audio := min(size-head, wavUnknown-1-head)
	w.size = audio - audio%int64(w.frameBytes())
	return w.Flush()
}

// Close flushes. It does not close the file, which belongs to the caller.
func (w *WAVWriter) Close() error { return w.Flush() }

func (w *WAVWriter) headerBytes() int { return wavHeaderBytes(w.format.Encoding) }

func wavHeaderBytes(e Encoding) int {
	if e == PCM16 {
		return 44
	}
	return wavMaxHeader
}

// putHeader builds the header in w.header and returns it.
func (w *WAVWriter) putHeader() []byte {
	return AppendWAVHeader(w.header[:0], w.format, w.channels, w.Frames())
}

// AppendWAVHeader appends what stands before the samples in a WAV file with so
// many samples of each of its channels, one or two, and with nothing after them
// but a byte of padding if their bytes are odd: 44 bytes for PCM16; 58 for G.711,
// whose format is 0x0007 (WAVE_FORMAT_MULAW) or 0x0006 (WAVE_FORMAT_ALAW) of RFC
// 2361. The layout is Microsoft's and IBM's (Multimedia Programming Interface and
// Data Specifications 1.0, 1991, and New Multimedia Data Types and Data Techniques
// 3.0, 1994, for all but PCM).
func AppendWAVHeader(dst []byte, format Format, channels int, frames int64) []byte {
	le := binary.LittleEndian
	frame := format.Encoding.SampleBytes() * channels
	size := frames * int64(frame)

	h := dst
	h = append(h, "RIFF"...)
	h = le.AppendUint32(h, uint32(int64(wavHeaderBytes(format.Encoding))-8+size+size%2))
	h = append(h, "WAVEfmt "...)
	fmtBytes, tag := uint32(16), uint16(wavPCM)
	switch format.Encoding {
	case MuLaw:
		fmtBytes, tag = 18, wavMuLaw
	case ALaw:
		fmtBytes, tag = 18, wavALaw
	}
	h = le.AppendUint32(h, fmtBytes)
	h = le.AppendUint16(h, tag)
	h = le.AppendUint16(h, uint16(channels))
	h = le.AppendUint32(h, uint32(format.Rate))
	h = le.AppendUint32(h, uint32(format.Rate*frame))
	h = le.AppendUint16(h, uint16(frame))
	h = le.AppendUint16(h, uint16(8*format.Encoding.SampleBytes()))
	if format.Encoding != PCM16 {
		h = le.AppendUint16(h, 0)
		h = append(h, "fact"...)
		h = le.AppendUint32(h, 4)
		h = le.AppendUint32(h, uint32(frames))
	}
	h = append(h, "data"...)
	return le.AppendUint32(h, uint32(size))
}
