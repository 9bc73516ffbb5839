package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// WAV records calls as WAV files at the rate of the call's stream: stereo, the
// caller left and the agent right, with 16 bits a sample, if nothing else is
// said. A file lies in its Storage under the day it began (in UTC) and the id of
// its call: "2006/01/02/<call id>.wav"; a call that is recorded again gets "-2"
// and so on.
//
// A file can be played at every moment while it is written, and holds all that
// was heard until a second ago. Each recording has one goroutine, which ends
// before Close returns; if Close did not wait for a slow disk, it ends as soon
// as the disk answers, and a second Close waits for that.
//
// A WAV is an Opener, an Eraser, a Salvager and a Keeper. The fields must not
// change once calls are recorded.
type WAV struct {
	// Storage takes the recordings of calls that do not name another.
	Storage Storage
	// Others are storages that Info.Storage may name.
	Others []Storage

	// Mono mixes both sides into one channel, which halves the file. What one side
	// says while the other speaks cannot be told apart in it any more.
	Mono bool
	// Encoding is how samples are written. The zero value, audio.PCM16, is what
	// every player takes. audio.MuLaw and audio.ALaw (G.711) halve the file, and
	// cost a call that comes from the telephone so nothing of its sound.
	Encoding audio.Encoding

	// Buffer is how far, in time, a recording may be ahead of its disk before
	// audio is dropped, and how far one track may lag behind the other: at first,
	// and later twice as far as it did so far, and three quarters of a second in
	// any case. It costs 32 kB of memory a second and call at 8 kHz, as far as
	// it is needed, which in a usual call is a second of it. Zero means 10
	// seconds.
	Buffer time.Duration
	// Sync is how often what was written is handed to the device, which bounds
	// what a loss of power takes; the end of the process takes no more than half
	// a second in any case. Many calls that sync often keep a disk busy with
	// little else. Zero means every 10 seconds; negative means only at the end.
	Sync time.Duration
}

// Bounds and defaults of a WAV.
const (
	defaultBuffer = 10 * time.Second
	minBuffer     = time.Second
	maxBuffer     = 10 * time.Minute
	defaultSync   = 10 * time.Second

	// flushEvery is how much audio is gathered for one write.
	flushEvery = 500 * time.Millisecond

	minRate, maxRate = 4000, 192000

	// maxTakes bounds the search for a free key of one call.
	maxTakes = 100
)

// Validate tells what is wrong with the settings, those of the storages
// included.
func (w *WAV) Validate() error {
	if w.Buffer != 0 && (w.Buffer < minBuffer || w.Buffer > maxBuffer) {
		return fmt.Errorf("recording: Buffer %v is not between %v and %v", w.Buffer, minBuffer, maxBuffer)
	}
	if w.Encoding > audio.ALaw {
		return fmt.Errorf("recording: Encoding %v is none of a WAV file's", w.Encoding)
	}
	names := make(map[string]bool)
	for _, st := range w.storages() {
		if st == nil {
			return errors.New("recording: a Storage is nil")
		}
		if names[st.Name()] {
			return fmt.Errorf("recording: two storages are named %q", st.Name())
		}
		names[st.Name()] = true
		if v, ok := st.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// storages are all of them, the default first.
func (w *WAV) storages() []Storage { return append([]Storage{w.Storage}, w.Others...) }

// layout is what a file of a call looks like whose stream has this rate.
func (w *WAV) layout(rate int) layout {
	l := layout{audio.Format{Encoding: w.Encoding, Rate: rate}, sides}
	if w.Mono {
		l.channels = 1
	}
	return l
}

// Record begins the recording of one call.
func (w *WAV) Record(ctx context.Context, info Info) (Sink, error) {
	s, err := w.record(ctx, info)
	if err != nil {
		return nil, fmt.Errorf("recording: record: %w", err)
	}
	return s, nil
}

func (w *WAV) record(ctx context.Context, info Info) (*wavSink, error) {
	if err := checkRate(info.Format.Rate); err != nil {
		return nil, err
	}
	file, key, err := w.create(ctx, &info)
	if err != nil {
		return nil, err
	}
	s := newWAVSink(w, info, file)
	s.storage, s.key = info.Storage, key
	if s.writeHeader(); s.err != nil {
		return nil, errors.Join(s.err, file.Abort())
	}
	go s.run()
	return s, nil
}

// Erase deletes the audio of rec from the storage it is in.
func (w *WAV) Erase(ctx context.Context, rec Recording) error {
	storage, err := w.Lookup(rec.Storage)
	if err == nil {
		err = storage.Remove(ctx, rec.Key)
	}
	if err != nil {
		return fmt.Errorf("recording: erase: %w", err)
	}
	return nil
}

// Open opens the audio of rec in the storage it is in.
func (w *WAV) Open(ctx context.Context, rec Recording) (io.ReadSeekCloser, error) {
	storage, err := w.Lookup(rec.Storage)
	if err == nil {
		var file io.ReadSeekCloser
		if file, err = storage.Open(ctx, rec.Key); err == nil {
			return file, nil
		}
	}
	return nil, fmt.Errorf("recording: open: %w", err)
}

// Lookup returns the storage of that name, such as that of a Recording, or the
// default for an empty one. It fails with ErrUnknownStorage.
func (w *WAV) Lookup(name string) (Storage, error) {
	if w.Storage != nil && (name == "" || name == w.Storage.Name()) {
		return w.Storage, nil
	}
	for _, st := range w.Others {
		if name == st.Name() {
			return st, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownStorage, name)
}

// create makes a new file under the first key of the call that is free. What info
// leaves open, the name of the storage and when the call began, it fills in.
func (w *WAV) create(ctx context.Context, info *Info) (file File, key string, err error) {
	if info.CallID == "" {
		return nil, "", errors.New("no call id")
	}
	storage, err := w.Lookup(info.Storage)
	if err != nil {
		return nil, "", err
	}
	info.Storage = storage.Name()
	if info.StartedAt.IsZero() {
		info.StartedAt = time.Now()
	}
	for take := 1; take <= maxTakes; take++ {
		key = callKey(info.CallID, info.StartedAt, take)
		file, err = storage.Create(ctx, key)
		if !errors.Is(err, ErrExists) {
			break
		}
	}
	return file, key, err
}

func checkRate(rate int) error {
	if rate < minRate || rate > maxRate {
		return fmt.Errorf("rate %d is not between %d and %d", rate, minRate, maxRate)
	}
	return nil
}
