package recording

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// Whatever a file is like, what was said stands in its place, and what was not
// said is silence.
func TestWAVInEveryLayout(t *testing.T) {
	for _, encoding := range []audio.Encoding{audio.PCM16, audio.MuLaw, audio.ALaw} {
		for _, mono := range []bool{false, true} {
			for _, rate := range []int{8000, 16000} {
				synctest.Test(t, func(t *testing.T) {
					var st Memory
					w := &WAV{Storage: &st, Mono: mono, Encoding: encoding}
					if err := w.Validate(); err != nil {
						t.Fatal(err)
					}
					format := audio.Format{Encoding: audio.MuLaw, Rate: rate}
					sink, err := w.Record(t.Context(), Info{CallID: "c", Format: format, StartedAt: time.Now()})
					if err != nil {
						t.Fatal(err)
					}
					say := func(track audio.Track, at time.Duration, value int16) {
						pcm := slices.Repeat([]int16{value}, rate/50)
						sink.WriteFrame(&audio.Frame{Track: track, Format: format, PCM: pcm, At: at})
					}
					say(audio.Inbound, 0, 8031) // which both laws have exactly, or nearly
					time.Sleep(3 * time.Second)
					say(audio.Outbound, 2*time.Second, 8031)
					say(audio.Inbound, 2*time.Second, 16000)
					say(audio.Inbound, 2990*time.Millisecond, -8031)
					time.Sleep(time.Second)
					end := 3500*time.Millisecond + audio.Duration(1, rate) // an odd number of samples
					rec, err := sink.Close(t.Context(), end)
					if err != nil || rec.Duration != end || rec.Truncated {
						t.Fatalf("Close: %+v, %v", rec, err)
					}
					data := readBack(t, &st, rec.Key)
					if rec.Size != int64(len(data)) || len(data)%2 != 0 {
						t.Errorf("%d bytes, Size is %d", len(data), rec.Size)
					}
					wav, err := audio.NewWAVReader(bytes.NewReader(data))
					if err != nil || wav.Format() != (audio.Format{Encoding: encoding, Rate: rate}) || wav.Channels() != rec.Channels || mono != (rec.Channels == 1) {
						t.Fatalf("%+v is a file of %v, %v", rec, wav, err)
					}
					tracks, _, err := audio.ReadWAV(bytes.NewReader(data))
					if err != nil || len(tracks[0]) != audio.Samples(end, rate) {
						t.Fatalf("%d samples, %v", len(tracks[0]), err)
					}
					near := func(side int, at time.Duration, want int) {
						t.Helper()
						if got := int(tracks[side][audio.Samples(at, rate)]); max(got-want, want-got) > 500 {
							t.Errorf("%v mono=%t, %d Hz: side %d has %d at %v, want %d", encoding, mono, rate, side, got, at, want)
						}
					}
					right := 1
					if mono {
						right = 0
						near(0, 2010*time.Millisecond, 24031)
					} else {
						near(0, 2010*time.Millisecond, 16000)
						near(1, 2010*time.Millisecond, 8031)
					}
					near(0, 10*time.Millisecond, 8031)
					near(0, 3*time.Second, -8031)
					for _, at := range []time.Duration{30 * time.Millisecond, time.Second, 2500 * time.Millisecond, 3400 * time.Millisecond} {
						near(0, at, 0)
						near(right, at, 0)
					}
				})
			}
		}
	}
}

// Both speak as loudly as they can.
func TestWAVMixesWithoutWrappingAround(t *testing.T) {
	var st Memory
	sink, err := (&WAV{Storage: &st, Mono: true}).Record(t.Context(), Info{CallID: "c", Format: audio.Telephone, StartedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for track := range audio.Outbound + 1 {
		sink.WriteFrame(&audio.Frame{Track: track, Format: audio.Telephone, PCM: []int16{32767, -32768, 5}})
	}
	rec, err := sink.Close(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	tracks, _, err := audio.ReadWAV(bytes.NewReader(readBack(t, &st, rec.Key)))
	if err != nil {
		t.Fatal(err)
	}
	checkTrack(t, "both", tracks[0], []int16{32767, -32768, 10})
}

func TestWAVRefusesAnEncodingThatIsNone(t *testing.T) {
	if err := (&WAV{Storage: &Memory{}, Encoding: 9}).Validate(); err == nil {
		t.Error("Validate says nothing")
	}
}
