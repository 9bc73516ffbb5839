package recordingtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/recording"
)

// TestRecorder tests that the recorders that newRecorder returns do what
// recording.Recorder and recording.Sink say. Each keeps its recordings in the
// storage returned with it, which is empty.
func TestRecorder(t *testing.T, newRecorder func(t *testing.T) (recording.Recorder, recording.Storage)) {
	for _, rule := range recorderRules {
		t.Run(rule.name, func(t *testing.T) {
			r, s := newRecorder(t)
			if err := rule.check(t.Context(), r, s); err != nil {
				t.Error(err)
			}
		})
	}
}

// A recorderRule returns an error if the recorder breaks it.
type recorderRule struct {
	name  string
	check func(ctx context.Context, r recording.Recorder, s recording.Storage) error
}

var recorderRules = []recorderRule{
	{"a recording can be opened and says what it is", checkRecording},
	{"both tracks are padded to the end", checkPadding},
	{"frames are not kept", checkBorrowed},
	{"WriteFrame does not allocate", checkAllocs},
	{"Close returns the same again", checkCloseTwice},
	{"WriteFrame after Close does nothing", checkWriteAfterClose},
	{"Close returns when its context has ended", checkCloseContext},
	{"many calls are recorded at once, each for itself", checkCalls},
	{"hostile call ids have valid keys", checkHostileIDs},
}

const rate = 8000

func info(callID string) recording.Info {
	return recording.Info{CallID: callID, Format: audio.Telephone, StartedAt: time.Now()}
}

// frames returns d of audio of both tracks in frames of 20 ms, all samples of
// one value.
func frames(value int16, d time.Duration) []*audio.Frame {
	var all []*audio.Frame
	for at := time.Duration(0); at < d; at += 20 * time.Millisecond {
		for track := range audio.Outbound + 1 {
			all = append(all, &audio.Frame{
				Track: track, Format: audio.Telephone, At: at,
				PCM: slices.Repeat([]int16{value}, rate/50),
			})
		}
	}
	return all
}

// wrote records frames of value until end, and returns what was kept.
func wrote(ctx context.Context, r recording.Recorder, callID string, value int16, end time.Duration) (recording.Recording, error) {
	sink, err := r.Record(ctx, info(callID))
	if err != nil {
		return recording.Recording{}, fmt.Errorf("record: %w", err)
	}
	for _, f := range frames(value, end) {
		sink.WriteFrame(f)
	}
	rec, err := sink.Close(ctx, end)
	if err != nil {
		return rec, fmt.Errorf("close: %w", err)
	}
	return rec, nil
}

// open returns both tracks of a recording, if it is a WAV file, and checks what
// was said of it.
func open(ctx context.Context, s recording.Storage, rec recording.Recording) ([][]int16, error) {
	if err := recording.CheckKey(rec.Key); err != nil {
		return nil, err
	}
	f, err := s.Open(ctx, rec.Key)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { _ = f.Close() }()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size != rec.Size {
		return nil, fmt.Errorf("the file has %d bytes, %v; Size is %d", size, err, rec.Size)
	}
	if rec.Format != "wav" {
		return nil, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	pcm, got, err := audio.ReadWAV(f)
	if err != nil {
		return nil, err
	}
	if got != rec.Rate || len(pcm) != rec.Channels || audio.Duration(len(pcm[0]), got) != rec.Duration {
		return nil, fmt.Errorf("the file has %d channels of %d samples at %d; the recording says %+v", len(pcm), len(pcm[0]), got, rec)
	}
	return pcm, nil
}

// holds fails if a sample before n of either track is not of value.
func holds(pcm [][]int16, value int16, n int) error {
	for side, track := range pcm {
		if i := slices.IndexFunc(track[:min(n, len(track))], func(v int16) bool { return v != value }); i >= 0 {
			return fmt.Errorf("track %d has %d at sample %d, want %d", side, track[i], i, value)
		}
	}
	return nil
}

func checkRecording(ctx context.Context, r recording.Recorder, s recording.Storage) error {
	rec, err := wrote(ctx, r, "call", 1234, time.Second)
	if err != nil {
		return err
	}
	pcm, err := open(ctx, s, rec)
	if err != nil {
		return err
	}
	switch {
	case rec.Storage != s.Name():
		return fmt.Errorf("storage is %q, want %q", rec.Storage, s.Name())
	case rec.Duration != time.Second:
		return fmt.Errorf("duration is %v, want 1s", rec.Duration)
	case rec.Truncated || rec.Interrupted || rec.Dropped != 0:
		return fmt.Errorf("recording says that something is missing: %+v", rec)
	case rec.CreatedAt.IsZero():
		return errors.New("CreatedAt is not set")
	}
	return holds(pcm, 1234, rate)
}

func checkPadding(ctx context.Context, r recording.Recorder, s recording.Storage) error {
	sink, err := r.Record(ctx, info("call"))
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	sink.WriteFrame(frames(5, 20*time.Millisecond)[0])
	rec, err := sink.Close(ctx, 3*time.Second)
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if rec.Duration != 3*time.Second {
		return fmt.Errorf("duration is %v, want 3s", rec.Duration)
	}
	pcm, err := open(ctx, s, rec)
	if err != nil || pcm == nil {
		return err
	}
	if len(pcm[0]) != 3*rate || len(pcm[1]) != 3*rate {
		return fmt.Errorf("tracks have %d and %d samples, want %d", len(pcm[0]), len(pcm[1]), 3*rate)
	}
	return nil
}

func checkBorrowed(ctx context.Context, r recording.Recorder, s recording.Storage) error {
	sink, err := r.Record(ctx, info("call"))
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	for _, f := range frames(77, time.Second) {
		sink.WriteFrame(f)
		for i := range f.PCM {
			f.PCM[i] = -1 // the frame belongs to us again
		}
		f.At = -1
	}
	rec, err := sink.Close(ctx, time.Second)
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	pcm, err := open(ctx, s, rec)
	if err != nil {
		return err
	}
	return holds(pcm, 77, rate)
}

func checkAllocs(ctx context.Context, r recording.Recorder, _ recording.Storage) error {
	sink, err := r.Record(ctx, info("call"))
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	all := frames(1, time.Second)
	i := 0
	allocs := testing.AllocsPerRun(len(all)-1, func() { // it runs once more to warm up
		sink.WriteFrame(all[i])
		i++
	})
	if _, err := sink.Close(ctx, 0); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if allocs != 0 {
		return fmt.Errorf("WriteFrame allocates %v times", allocs)
	}
	return nil
}

func checkCloseTwice(ctx context.Context, r recording.Recorder, _ recording.Storage) error {
	sink, err := r.Record(ctx, info("call"))
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	first, err := sink.Close(ctx, time.Second)
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	again, err := sink.Close(ctx, 2*time.Second)
	if again != first || err != nil {
		return fmt.Errorf("close again returned %+v, %v; want %+v", again, err, first)
	}
	return nil
}

func checkWriteAfterClose(ctx context.Context, r recording.Recorder, s recording.Storage) error {
	sink, err := r.Record(ctx, info("call"))
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	rec, err := sink.Close(ctx, time.Second)
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	for _, f := range frames(9, 2*time.Second) {
		sink.WriteFrame(f)
	}
	if again, err := sink.Close(ctx, time.Second); again != rec || err != nil {
		return fmt.Errorf("close again returned %+v, %v; want %+v", again, err, rec)
	}
	pcm, err := open(ctx, s, rec)
	if err != nil {
		return err
	}
	return holds(pcm, 0, rate)
}

func checkCloseContext(ctx context.Context, r recording.Recorder, _ recording.Storage) error {
	sink, err := r.Record(ctx, info("call"))
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	for _, f := range frames(9, time.Second) {
		sink.WriteFrame(f)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	rec, err := sink.Close(ended, time.Second)
	if err != nil && rec.Key != "" && !rec.Truncated {
		return fmt.Errorf("close returned %+v, %v: neither whole nor marked as truncated", rec, err)
	}
	if again, _ := sink.Close(ctx, time.Second); again != rec {
		return fmt.Errorf("close again returned %+v, want %+v", again, rec)
	}
	return nil
}

func checkCalls(ctx context.Context, r recording.Recorder, s recording.Storage) error {
	const calls = 16
	var failed [calls]error
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			value := int16(100 + i)
			rec, err := wrote(ctx, r, fmt.Sprintf("call-%d", i), value, time.Second)
			if err != nil {
				failed[i] = err
				return
			}
			pcm, err := open(ctx, s, rec)
			failed[i] = errors.Join(err, holds(pcm, value, rate))
		})
	}
	wg.Wait()
	return errors.Join(failed[:]...)
}

func checkHostileIDs(ctx context.Context, r recording.Recorder, s recording.Storage) error {
	seen := make(map[string]string)
	for _, id := range hostileKeys {
		if id == "" {
			continue
		}
		rec, err := wrote(ctx, r, id, 1, 20*time.Millisecond)
		if err != nil {
			return fmt.Errorf("call id %q: %w", id, err)
		}
		if _, err := open(ctx, s, rec); err != nil {
			return fmt.Errorf("call id %q: %w", id, err)
		}
		if other, taken := seen[rec.Key]; taken {
			return fmt.Errorf("call ids %q and %q have the same key %q", id, other, rec.Key)
		}
		seen[rec.Key] = id
	}
	return nil
}
