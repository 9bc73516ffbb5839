package recording_test

import (
	"context"
	"fmt"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/recording"
)

// A recorder takes the frames of both sides as a call delivers them.
func ExampleWAV() {
	ctx := context.Background()
	storage := recording.NewMemory("memory")
	recorder := &recording.WAV{Storage: storage}
	sink, err := recorder.Record(ctx, recording.Info{
		CallID: "call_1", Format: audio.Telephone, StartedAt: time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for at := time.Duration(0); at < time.Second; at += 20 * time.Millisecond {
		for _, side := range []audio.Track{audio.Inbound, audio.Outbound} {
			sink.WriteFrame(&audio.Frame{Track: side, Format: audio.Telephone, PCM: make([]int16, 160), At: at})
		}
	}
	kept, err := sink.Close(ctx, time.Second)
	fmt.Println(kept.Key, kept.Duration, kept.Channels, err)
	// Output:
	// 2026/03/14/call_1.wav 1s 2 <nil>
}
