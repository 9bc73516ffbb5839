package micro

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/recording"
)

// Recorded is what recording costs.
type Recorded struct {
	Frame  time.Duration // processor time for 20 ms of a call: a frame of each side
	Allocs float64       // for those two, in WriteFrame
}

// Recording has as many calls recorded to disk as long as said, in real time,
// and measures what the process spends more than with nobody listening: the
// goroutines that write the files are part of it.
func Recording(calls int, span time.Duration) (Recorded, error) {
	silent, _, err := feed(make([]audio.FrameWriter, calls), span)
	if err != nil {
		return Recorded{}, err
	}
	dir, err := os.MkdirTemp("", "recording")
	if err != nil {
		return Recorded{}, err
	}
	defer os.RemoveAll(dir)
	wav := &recording.WAV{Storage: &recording.Dir{Path: dir}}
	sinks, writers := make([]recording.Sink, calls), make([]audio.FrameWriter, calls)
	for i := range sinks {
		info := recording.Info{CallID: fmt.Sprintf("call_%d", i), Format: audio.Telephone, StartedAt: time.Now()}
		if sinks[i], err = wav.Record(context.Background(), info); err != nil {
			return Recorded{}, err
		}
		writers[i] = sinks[i]
	}
	cost, end, err := feed(writers, span)
	var errs []error
	for _, s := range sinks {
		_, err := s.Close(context.Background(), end)
		errs = append(errs, err)
	}
	allocs, allocErr := recordingAllocs()
	return Recorded{Frame: cost - silent, Allocs: allocs}, errors.Join(err, allocErr, errors.Join(errs...))
}

// feed gives each writer frames of both sides in real time, and says what that
// cost for one such pair. A nil writer gets none.
func feed(writers []audio.FrameWriter, span time.Duration) (cost, end time.Duration, err error) {
	pcm, _, _ := voice()
	f := audio.Frame{Format: audio.Telephone, PCM: pcm}
	begin, cpu := time.Now(), measure.Own()
	pairs := 0
	for f.At = 0; f.At < span; f.At += pace {
		time.Sleep(time.Until(begin.Add(f.At)))
		for _, w := range writers {
			for _, f.Track = range []audio.Track{audio.Inbound, audio.Outbound} {
				if w != nil {
					w.WriteFrame(&f)
				}
			}
			pairs++
		}
	}
	return (measure.Own() - cpu) / time.Duration(max(pairs, 1)), f.At, nil
}

// recordingAllocs counts what WriteFrame allocates for a frame of each side.
func recordingAllocs() (float64, error) {
	wav := &recording.WAV{Storage: recording.NewMemory("memory")}
	sink, err := wav.Record(context.Background(), recording.Info{CallID: "call", Format: audio.Telephone})
	if err != nil {
		return 0, err
	}
	pcm, _, _ := voice()
	f := audio.Frame{Format: audio.Telephone, PCM: pcm}
	write := func() {
		for _, f.Track = range []audio.Track{audio.Inbound, audio.Outbound} {
			sink.WriteFrame(&f)
		}
		f.At += pace
	}
	// The frames come faster than they are written to the file, so that the
	// recording's buffer grows to its bound first.
	for range time.Minute / pace {
		write()
	}
	r := measure.Compare(measure.Settings{Rounds: 1, Span: time.Millisecond}, measure.Case{Name: "WriteFrame", Do: write})
	_, err = sink.Close(context.Background(), f.At)
	return r[0].Allocs, err
}
