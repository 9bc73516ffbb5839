package recording

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/switchboard-voice/switchboard/audio"
)

// A Keeper is a Recorder that can take a WAV file that somebody else has made,
// such as a carrier.
type Keeper interface {
	// Keep stores the file that r holds as a recording of the call that info
	// tells of; it closes nothing. A file that is none, or not whole, is refused
	// with an error that wraps audio.ErrWAV, and nothing is kept of it.
	Keep(ctx context.Context, info Info, r io.Reader) (Recording, error)
}

// Keep stores a WAV file as it is.
func (w *WAV) Keep(ctx context.Context, info Info, r io.Reader) (Recording, error) {
	rec, err := w.keep(ctx, info, r)
	if err != nil {
		return Recording{}, fmt.Errorf("recording: keep: %w", err)
	}
	return rec, nil
}

func (w *WAV) keep(ctx context.Context, info Info, r io.Reader) (rec Recording, err error) {
	file, key, err := w.create(ctx, &info)
	if err != nil {
		return rec, err
	}
	rec, err = copyWAV(file, heedful{ctx, r})
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		return rec, errors.Join(err, file.Abort())
	}
	rec.Storage, rec.Key, rec.CreatedAt = info.Storage, key, info.StartedAt
	return rec, file.Commit(ctx)
}

// copyWAV copies a WAV file, and describes what it has copied.
func copyWAV(dst io.Writer, src io.Reader) (rec Recording, err error) {
	count := &counter{w: dst}
	src = io.TeeReader(src, count)
	wav, err := audio.NewWAVReader(src)
	if err != nil {
		return rec, err
	}
	samples, pcm := 0, make([]int16, 4096)
	for {
		n, err := wav.ReadPCM(pcm)
		samples += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return rec, err
		}
	}
	if left := wav.Left(); left > 0 {
		return rec, fmt.Errorf("%w: %d bytes of it are missing", audio.ErrWAV, left)
	}
	if _, err := io.Copy(io.Discard, src); err != nil { // what may stand behind the sound
		return rec, err
	}
	return Recording{
		Format: "wav", Channels: wav.Channels(), Rate: wav.Rate(), Size: count.n,
		Duration: audio.Duration(samples/wav.Channels(), wav.Rate()),
	}, nil
}

// counter counts what is written, and lets no more through than a WAV file can
// be.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	if c.n+int64(len(p)) > maxKept {
		return 0, fmt.Errorf("%w: it is too long", audio.ErrWAV)
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// maxKept is as far as the sizes in a WAV file count.
const maxKept = 4 << 30
