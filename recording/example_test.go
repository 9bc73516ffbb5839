package recording_test

import (
	"context"
	"fmt"
	"os"
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

// What is finished is brought to the other storage in the background; whatever is
// left when the process ends is brought there by the next one.
func ExampleSpool() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	far := recording.NewMemory("far")
	spool := &recording.Spool{Local: &recording.Dir{Path: dir}, Remote: far}
	if err := spool.Start(); err != nil {
		fmt.Println(err)
		return
	}
	file, err := spool.Create(ctx, "2026/03/14/call_1.wav")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = file.Write([]byte("sound"))
	fmt.Println("written:", err, "committed:", file.Commit(ctx))
	fmt.Println("closed:", spool.Close(ctx), "far away:", far.Keys())
	// Output:
	// written: <nil> committed: <nil>
	// closed: <nil> far away: [2026/03/14/call_1.wav]
}
