package recording

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

const rate = 8000

// stereo is the layout of the files of these tests, if nothing else is said.
var stereo = (&WAV{}).layout(rate)

// day is when the calls of these tests were.
var day = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// faultyStorage is a Memory whose files do what a test wants.
type faultyStorage struct {
	Memory
	writeAt func(f File, p []byte, off int64) (int, error)
	sync    func() error
	commit  func(ctx context.Context) error
}

func (s *faultyStorage) Create(ctx context.Context, key string) (File, error) {
	f, err := s.Memory.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: f, storage: s}, nil
}

type faultyFile struct {
	File
	storage *faultyStorage
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if f.storage.writeAt == nil {
		return f.File.WriteAt(p, off)
	}
	return f.storage.writeAt(f.File, p, off)
}

func (f *faultyFile) Sync() error {
	if f.storage.sync == nil {
		return f.File.Sync()
	}
	return f.storage.sync()
}

func (f *faultyFile) Commit(ctx context.Context) error {
	if f.storage.commit != nil {
		if err := f.storage.commit(ctx); err != nil {
			return err
		}
	}
	return f.File.Commit(ctx)
}

// record begins a recording that started now.
func record(t *testing.T, w *WAV) *wavSink {
	t.Helper()
	sink, err := w.Record(t.Context(), Info{CallID: "call-1", Format: audio.Telephone, StartedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return sink.(*wavSink)
}

// frame makes a frame of n samples of which each tells its place: pos+1, pos+2
// and so on, modulo a prime so that no stretch looks like another.
func frame(track audio.Track, pos, n int) *audio.Frame {
	f := &audio.Frame{Track: track, Format: audio.Telephone, At: audio.Duration(pos, rate)}
	for i := range n {
		f.PCM = append(f.PCM, value(track, pos+i))
	}
	return f
}

func value(track audio.Track, pos int) int16 { return int16(1+pos%9973) + 10000*int16(track) }

// wavFile is what the tests' own parser finds in a file.
type wavFile struct {
	rate   int
	tracks [2][]int16
}

// parse reads a stereo WAV file and fails if anything about it is not as it
// must be, the lengths included.
func parse(t *testing.T, data []byte) wavFile {
	t.Helper()
	w, problem := parseWAV(data)
	if problem != "" {
		t.Fatalf("WAV file of %d bytes: %s", len(data), problem)
	}
	return w
}

func parseWAV(data []byte) (w wavFile, problem string) {
	if len(data) < 44 {
		return w, "no header"
	}
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(data[at:])) }
	u32 := func(at int) int { return int(binary.LittleEndian.Uint32(data[at:])) }
	w.rate = u32(24)
	size := u32(40)
	switch {
	case string(data[:4]) != "RIFF" || string(data[8:16]) != "WAVEfmt " || string(data[36:40]) != "data":
		return w, "wrong chunks"
	case u32(16) != 16 || u16(20) != 1 || u16(22) != 2 || u16(32) != 4 || u16(34) != 16:
		return w, "not stereo PCM of 16 bits"
	case u32(28) != 4*w.rate:
		return w, "wrong bytes per second"
	case u32(4) != size+36:
		return w, "the two sizes differ"
	case size > len(data)-44:
		return w, "the header tells of more than there is"
	case size%4 != 0:
		return w, "no whole samples"
	}
	for at := 44; at < 44+size; at += 4 {
		w.tracks[0] = append(w.tracks[0], int16(u16(at)))
		w.tracks[1] = append(w.tracks[1], int16(u16(at+2)))
	}
	return w, ""
}

// readBack returns what was committed under key.
func readBack(t *testing.T, st Storage, key string) []byte {
	t.Helper()
	f, err := st.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// finish closes the sink and returns the recording and its file, which must be
// exactly as long as the recording says.
func finish(t *testing.T, st Storage, sink Sink, end time.Duration) (Recording, wavFile) {
	t.Helper()
	rec, err := sink.Close(t.Context(), end)
	if err != nil {
		t.Fatal(err)
	}
	data := readBack(t, st, rec.Key)
	w := parse(t, data)
	if rec.Size != int64(len(data)) {
		t.Errorf("Size is %d, the file has %d bytes", rec.Size, len(data))
	}
	if want := audio.Duration(len(w.tracks[0]), rate); rec.Duration != want {
		t.Errorf("Duration is %v, the file plays %v", rec.Duration, want)
	}
	if rec.Truncated || rec.Interrupted {
		t.Errorf("the recording is marked as damaged: %+v", rec)
	}
	return rec, w
}

// want is a track of n samples that is silent but for the given stretches of
// value.
func want(track audio.Track, n int, stretches ...[2]int) []int16 {
	pcm := make([]int16, n)
	for _, s := range stretches {
		for pos := s[0]; pos < s[1]; pos++ {
			pcm[pos] = value(track, pos)
		}
	}
	return pcm
}

func checkTrack(t *testing.T, name string, got, want []int16) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d samples, want %d", name, len(got), len(want))
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s differs first at sample %d: %d, want %d", name, i, got[i], want[i])
			return
		}
	}
}

func TestWAVPutsEverySampleInItsPlace(t *testing.T) {
	type frames []*audio.Frame
	in, out := audio.Inbound, audio.Outbound
	tests := []struct {
		name    string
		frames  frames
		end     time.Duration
		left    [][2]int
		right   [][2]int
		samples int
		dropped int
	}{
		{"no audio and no time", nil, 0, nil, nil, 0, 0},
		{"no audio in two seconds", nil, 2 * time.Second, nil, nil, 16000, 0},
		{"an end before zero is zero", nil, -time.Second, nil, nil, 0, 0},
		{"a call of 200 ms", frames{frame(in, 0, 160), frame(in, 160, 160), frame(out, 800, 160)},
			200 * time.Millisecond, [][2]int{{0, 320}}, [][2]int{{800, 960}}, 1600, 0},
		{"the agent alone", frames{frame(out, 4000, 160)}, time.Second, nil, [][2]int{{4000, 4160}}, 8000, 0},
		{"audio after the end is kept", frames{frame(in, 8000, 160)}, time.Second, [][2]int{{8000, 8160}}, nil, 8160, 0},
		{"a gap is silence of its length", frames{frame(in, 0, 160), frame(in, 12345, 160)},
			2 * time.Second, [][2]int{{0, 160}, {12345, 12505}}, nil, 16000, 0},
		{"one track behind the other", frames{frame(in, 40000, 160), frame(out, 0, 160), frame(out, 160, 160)},
			0, [][2]int{{40000, 40160}}, [][2]int{{0, 320}}, 40160, 0},
		{"frames that touch", frames{frame(in, 0, 1), frame(in, 1, 1), frame(in, 2, 3)},
			0, [][2]int{{0, 5}}, nil, 5, 0},
		{"a frame for the second time", frames{frame(in, 0, 160), frame(in, 0, 160), frame(in, 160, 160)},
			0, [][2]int{{0, 320}}, nil, 320, 160},
		{"a frame that overlaps the one before", frames{frame(in, 0, 160), frame(in, 100, 160)},
			0, [][2]int{{0, 260}}, nil, 260, 60},
		{"a frame that comes after its successor", frames{frame(in, 320, 160), frame(in, 160, 160), frame(in, 480, 160)},
			0, [][2]int{{320, 640}}, nil, 640, 160},
		{"a frame before zero", frames{{Track: in, Format: audio.Telephone, At: -1, PCM: make([]int16, 160)}},
			0, nil, nil, 0, 160},
		{"a frame of another rate counts in ours", frames{{Track: in, Format: audio.Format{Rate: 16000}, PCM: make([]int16, 320)}},
			0, nil, nil, 0, 160},
		{"a frame of no track", frames{{Track: 7, Format: audio.Telephone, PCM: make([]int16, 160)}}, 0, nil, nil, 0, 0},
		{"an empty frame", frames{{Track: in, Format: audio.Telephone, At: time.Second}}, 0, nil, nil, 0, 0},
		{"a leap of more than a minute", frames{frame(in, 0, 160), frame(in, 61*rate, 160), frame(in, 160, 160)},
			0, [][2]int{{0, 320}}, nil, 320, 160},
		{"an end more than a minute ahead", frames{frame(in, 0, 160)}, time.Hour, [][2]int{{0, 160}}, nil, 160, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var st Memory
				sink := record(t, &WAV{Storage: &st})
				for _, f := range tt.frames {
					sink.WriteFrame(f)
				}
				rec, w := finish(t, &st, sink, tt.end)
				checkTrack(t, "left", w.tracks[0], want(in, tt.samples, tt.left...))
				checkTrack(t, "right", w.tracks[1], want(out, tt.samples, tt.right...))
				if want := audio.Duration(tt.dropped, rate); rec.Dropped != want {
					t.Errorf("Dropped is %v, want %v", rec.Dropped, want)
				}
			})
		})
	}
}

// A call of 40 seconds in real order: the caller all the time, the agent now
// and then and late, each with silence that was filled in.
func TestWAVKeepsALongCallAsItWas(t *testing.T) {
	for _, lag := range []time.Duration{0, 300 * time.Millisecond, 3 * time.Second, 9 * time.Second} {
		t.Run("the agent is recorded "+lag.String()+" late", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var st Memory
				sink := record(t, &WAV{Storage: &st})
				const frames = 40 * 50
				late := int(lag / (20 * time.Millisecond))
				speaks := func(i int) bool { return i/100%3 == 1 && i < frames-late }
				wantLeft, wantRight := make([]int16, 160*frames), make([]int16, 160*frames)
				for i := range frames {
					f := frame(audio.Inbound, 160*i, 160)
					if i%7 == 3 {
						f.Filled, f.Payload = true, nil
						clear(f.PCM)
					}
					copy(wantLeft[160*i:], f.PCM)
					sink.WriteFrame(f)
					if j := i - late; j >= 0 && speaks(j) {
						f := frame(audio.Outbound, 160*j, 160)
						copy(wantRight[160*j:], f.PCM)
						sink.WriteFrame(f)
					}
					time.Sleep(20 * time.Millisecond)
				}
				rec, w := finish(t, &st, sink, 40*time.Second)
				checkTrack(t, "left", w.tracks[0], wantLeft)
				checkTrack(t, "right", w.tracks[1], wantRight)
				if rec.Dropped != 0 || rec.Duration != 40*time.Second {
					t.Errorf("recording is %+v", rec)
				}
			})
		})
	}
}

func TestWAVRingIsAsLongAsTheCallNeedsIt(t *testing.T) {
	both := func(sink *wavSink, from, to int) {
		for i := from; i < to; i++ {
			sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
			sink.WriteFrame(frame(audio.Outbound, 160*i, 160))
			time.Sleep(20 * time.Millisecond)
		}
	}
	tests := []struct {
		name string
		do   func(sink *wavSink)
		want time.Duration // of the ring at the end
		lost time.Duration
	}{
		{"both speak", func(sink *wavSink) { both(sink, 0, 1000) }, time.Second, 0},
		{"the agent is silent for long", func(sink *wavSink) {
			both(sink, 0, 10)
			for i := range 500 {
				sink.WriteFrame(frame(audio.Inbound, 160*(10+i), 160))
				time.Sleep(20 * time.Millisecond)
			}
			both(sink, 510, 520)
		}, time.Second, 0},
		{"the agent has yet to speak", func(sink *wavSink) {
			for i := range 200 {
				sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
				time.Sleep(20 * time.Millisecond)
			}
			sink.WriteFrame(frame(audio.Outbound, 0, 160))
		}, 4 * time.Second, 0},
		{"a muted caller returns, and what it heard comes after that", func(sink *wavSink) {
			both(sink, 0, 100)
			time.Sleep(5 * time.Second)
			sink.WriteFrame(frame(audio.Inbound, 160*350, 160))
			for i := range 250 {
				sink.WriteFrame(frame(audio.Outbound, 160*(100+i), 160))
			}
			time.Sleep(time.Second)
			both(sink, 351, 400)
		}, 8 * time.Second, 0},
		{"the agent begins to lag far, and loses what it was late at first", func(sink *wavSink) {
			both(sink, 0, 100)
			for i := range 400 {
				sink.WriteFrame(frame(audio.Inbound, 160*(100+i), 160))
				if i >= 150 {
					sink.WriteFrame(frame(audio.Outbound, 160*(100+i-150), 160))
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, 8 * time.Second, 2*time.Second + 20*time.Millisecond},
		{"the disk is slow", func(sink *wavSink) {
			for i := range 120 { // at once: nothing is written meanwhile
				sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
				sink.WriteFrame(frame(audio.Outbound, 160*i, 160))
			}
			time.Sleep(time.Second)
			both(sink, 120, 400)
		}, 4 * time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var st Memory
				sink := record(t, &WAV{Storage: &st})
				tt.do(sink)
				rec, w := finish(t, &st, sink, 0)
				if got := audio.Duration(int(sink.size), rate); got != tt.want || len(sink.ring) != sides*int(sink.size) {
					t.Errorf("the ring holds %v, want %v", got, tt.want)
				}
				if rec.Dropped != tt.lost {
					t.Errorf("Dropped is %v, want %v", rec.Dropped, tt.lost)
				}
				for side, track := range w.tracks {
					for pos, v := range track {
						if v != 0 && v != value(audio.Track(side), pos) {
							t.Fatalf("track %d, sample %d is %d", side, pos, v)
						}
					}
				}
			})
		})
	}
}

func TestWAVIsReadByTheAudioPackage(t *testing.T) {
	var st Memory
	sink := record(t, &WAV{Storage: &st})
	sink.WriteFrame(frame(audio.Inbound, 80, 160))
	sink.WriteFrame(frame(audio.Outbound, 100, 160))
	rec, _ := finish(t, &st, sink, 0)
	samples, got, err := audio.ReadWAV(bytes.NewReader(readBack(t, &st, rec.Key)))
	if err != nil || got != rate || len(samples) != 2 {
		t.Fatalf("ReadWAV: %d channels at %d, %v", len(samples), got, err)
	}
	checkTrack(t, "left", samples[0], want(audio.Inbound, 260, [2]int{80, 240}))
	checkTrack(t, "right", samples[1], want(audio.Outbound, 260, [2]int{100, 260}))
}

// Not every rate has a whole number of nanoseconds in a sample.
func TestWAVFramesThatTouchDoSoAtEveryRate(t *testing.T) {
	for _, rate := range []int{8000, 11025, 16000, 22050, 24000, 44100, 48000} {
		synctest.Test(t, func(t *testing.T) {
			var st Memory
			w := &WAV{Storage: &st}
			format := audio.Format{Rate: rate}
			sink, err := w.Record(t.Context(), Info{CallID: "c", Format: format, StartedAt: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			pcm := make([]int16, rate/50)
			for i := range 250 {
				for j := range pcm {
					pcm[j] = value(audio.Inbound, i*len(pcm)+j)
				}
				sink.WriteFrame(&audio.Frame{Format: format, PCM: pcm, At: audio.Duration(i*len(pcm), rate)})
				time.Sleep(20 * time.Millisecond)
			}
			rec, err := sink.Close(t.Context(), 0)
			if err != nil || rec.Dropped != 0 {
				t.Fatalf("%d: %+v, %v", rate, rec, err)
			}
			got := parse(t, readBack(t, &st, rec.Key))
			checkTrack(t, "left", got.tracks[0], want(audio.Inbound, 250*len(pcm), [2]int{0, 250 * len(pcm)}))
		})
	}
}

func TestWAVBelievesALongSilenceThatReallyPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var st Memory
		sink := record(t, &WAV{Storage: &st})
		sink.WriteFrame(frame(audio.Inbound, 0, 160))
		time.Sleep(5 * time.Minute)
		sink.WriteFrame(frame(audio.Inbound, 300*rate, 160))
		time.Sleep(5 * time.Minute)
		rec, w := finish(t, &st, sink, 10*time.Minute)
		checkTrack(t, "left", w.tracks[0], want(audio.Inbound, 600*rate, [2]int{0, 160}, [2]int{300 * rate, 300*rate + 160}))
		if rec.Dropped != 0 {
			t.Errorf("Dropped is %v", rec.Dropped)
		}
	})
}

// Whatever moment the process is killed at, the file plays, and is at most
// a second behind.
func TestWAVFilePlaysAtEveryMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var onDisk []byte
		begun := time.Now()
		st := &faultyStorage{}
		checks := 0
		st.writeAt = func(f File, p []byte, off int64) (int, error) {
			n, err := f.WriteAt(p, off)
			if end := int(off) + n; end > len(onDisk) {
				onDisk = append(onDisk, make([]byte, end-len(onDisk))...)
			}
			copy(onDisk[off:], p)
			w, problem := parseWAV(onDisk)
			if problem != "" {
				t.Fatalf("after %v: %s", time.Since(begun), problem)
			}
			if off == 0 { // the header comes last
				checks++
				behind := time.Since(begun) - audio.Duration(len(w.tracks[0]), rate)
				if behind > 100*time.Millisecond {
					t.Errorf("after %v the file is %v behind", time.Since(begun), behind)
				}
				checkTrack(t, "left", w.tracks[0], want(audio.Inbound, len(w.tracks[0]), [2]int{0, len(w.tracks[0])}))
			}
			return n, err
		}
		sink := record(t, &WAV{Storage: st})
		for i := range 500 {
			sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
			time.Sleep(20 * time.Millisecond)
		}
		if checks < 15 {
			t.Errorf("the header was written %d times in 10 s", checks)
		}
		if _, err := sink.Close(t.Context(), 0); err != nil {
			t.Error(err)
		}
	})
}

// The disk stalls; what does not fit is counted to the sample, and silence
// stands in its place.
func TestWAVCountsExactlyWhatASlowDiskCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := make(chan struct{})
		var once sync.Once
		st := &faultyStorage{}
		st.writeAt = func(f File, p []byte, off int64) (int, error) {
			if off > 0 {
				once.Do(func() { <-stalled })
			}
			return f.WriteAt(p, off)
		}
		sink := record(t, &WAV{Storage: st, Buffer: 2 * time.Second})
		write := func(from, to int) {
			for i := from; i < to; i++ {
				sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
				sink.WriteFrame(frame(audio.Outbound, 160*i, 160))
				time.Sleep(20 * time.Millisecond)
			}
		}
		write(0, 200) // 4 s, of which 2 s are taken
		close(stalled)
		synctest.Wait()
		write(200, 300)
		rec, w := finish(t, st, sink, 6*time.Second)
		// 100 frames of each track are in the ring when it is full.
		for track := range audio.Outbound + 1 {
			checkTrack(t, track.String(), w.tracks[track], want(track, 6*rate, [2]int{0, 2 * rate}, [2]int{4 * rate, 6 * rate}))
		}
		if want := 4 * time.Second; rec.Dropped != want { // 2 s of both tracks
			t.Errorf("Dropped is %v, want %v", rec.Dropped, want)
		}
	})
}

// Two seconds of frames come at once.
func TestWAVLosesNothingOfABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var st Memory
		sink := record(t, &WAV{Storage: &st})
		for i := range 450 { // 9 s at once
			sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
		}
		rec, w := finish(t, &st, sink, 0)
		checkTrack(t, "left", w.tracks[0], want(audio.Inbound, 9*rate, [2]int{0, 9 * rate}))
		if rec.Dropped != 0 {
			t.Errorf("Dropped is %v", rec.Dropped)
		}
	})
}

var errDisk = errors.New("no space left")

// The disk is full after some bytes; the file ends at exactly the last
// whole sample.
func TestWAVOnAFullDiskEndsTruncatedAtItsExactLength(t *testing.T) {
	for _, room := range []int64{44, 45, 48, 44 + 4*4000, 44 + 4*4000 + 3, 100_002} {
		synctest.Test(t, func(t *testing.T) {
			st := &faultyStorage{}
			st.writeAt = func(f File, p []byte, off int64) (int, error) {
				if off+int64(len(p)) <= room {
					return f.WriteAt(p, off)
				}
				n, _ := f.WriteAt(p[:max(0, room-off)], off)
				return n, errDisk
			}
			sink := record(t, &WAV{Storage: st})
			for i := range 250 {
				sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
				time.Sleep(20 * time.Millisecond)
			}
			rec, err := sink.Close(t.Context(), 5*time.Second)
			if !errors.Is(err, errDisk) {
				t.Errorf("room for %d: Close: %v", room, err)
			}
			samples := int(room-44) / 4
			w := parse(t, readBack(t, st, rec.Key))
			checkTrack(t, "left", w.tracks[0], want(audio.Inbound, samples, [2]int{0, samples}))
			if !rec.Truncated || rec.Duration != audio.Duration(samples, rate) || rec.Size != int64(44+4*samples) {
				t.Errorf("room for %d: %+v", room, rec)
			}
		})
	}
}

// What the device refused is never reported as complete.
func TestWAVNeverReportsAsCompleteWhatFailed(t *testing.T) {
	tests := []struct {
		name string
		st   *faultyStorage
	}{
		{"a sync fails", &faultyStorage{sync: func() error { return errDisk }}},
		{"the commit fails", &faultyStorage{commit: func(context.Context) error { return errDisk }}},
		{"a header cannot be written", &faultyStorage{writeAt: func() func(File, []byte, int64) (int, error) {
			first := true
			return func(f File, p []byte, off int64) (int, error) {
				if off == 0 && !first {
					return 0, errDisk
				}
				first = false
				return f.WriteAt(p, off)
			}
		}()}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := record(t, &WAV{Storage: tt.st, Sync: time.Second})
				for i := range 100 {
					sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
					time.Sleep(20 * time.Millisecond)
				}
				rec, err := sink.Close(t.Context(), 2*time.Second)
				if !errors.Is(err, errDisk) || !rec.Truncated {
					t.Errorf("Close: %+v, %v", rec, err)
				}
			})
		})
	}
}

func TestWAVCloseIsBoundedByItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := make(chan struct{})
		var stall bool
		st := &faultyStorage{}
		st.writeAt = func(f File, p []byte, off int64) (int, error) {
			if stall {
				<-stalled
			}
			return f.WriteAt(p, off)
		}
		sink := record(t, &WAV{Storage: st})
		for i := range 50 {
			sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
			time.Sleep(20 * time.Millisecond)
		}
		synctest.Wait()
		stall = true
		for i := range 50 {
			sink.WriteFrame(frame(audio.Inbound, rate+160*i, 160))
			time.Sleep(20 * time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		rec, err := sink.Close(ctx, 2*time.Second)
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("Close took %v", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !rec.Truncated || rec.Duration != time.Second {
			t.Errorf("Close: %+v, %v", rec, err)
		}
		close(stalled)
		again, err2 := sink.Close(t.Context(), time.Hour)
		if again != rec || err2 != err {
			t.Errorf("Close again: %+v, %v; want %+v, %v", again, err2, rec, err)
		}
		w := parse(t, readBack(t, st, rec.Key))
		checkTrack(t, "left", w.tracks[0], want(audio.Inbound, rate, [2]int{0, rate}))
	})
}

func TestWAVSyncsAtItsInterval(t *testing.T) {
	tests := []struct {
		every    time.Duration
		min, max int
	}{{0, 1, 2}, {time.Second, 9, 11}, {3 * time.Second, 3, 4}, {-1, 0, 0}}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			syncs := 0
			st := &faultyStorage{sync: func() error { syncs++; return nil }}
			sink := record(t, &WAV{Storage: st, Sync: tt.every})
			for i := range 500 {
				sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
				time.Sleep(20 * time.Millisecond)
			}
			time.Sleep(time.Minute) // nothing to sync
			finish(t, st, sink, 0)
			if syncs < tt.min || syncs > tt.max {
				t.Errorf("every %v: %d syncs in 10 s, want %d to %d", tt.every, syncs, tt.min, tt.max)
			}
		})
	}
}

func TestWAVFileCannotOutgrowItsFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &faultyStorage{}
		var end int64
		st.writeAt = func(_ File, p []byte, off int64) (int, error) {
			end = max(end, off+int64(len(p)))
			return len(p), nil
		}
		sink := record(t, &WAV{Storage: st})
		maxFrames := int(stereo.maxFrames())
		at := audio.Duration(maxFrames-80, rate)
		time.Sleep(at)
		sink.WriteFrame(frame(audio.Inbound, maxFrames-80, 160))
		sink.WriteFrame(frame(audio.Outbound, maxFrames+80, 160))
		rec, err := sink.Close(t.Context(), at+time.Minute)
		if err != nil || !rec.Truncated || rec.Dropped != audio.Duration(240, rate) {
			t.Errorf("Close: %+v, %v", rec, err)
		}
		if end != stereo.size(int64(maxFrames)) || rec.Size != end {
			t.Errorf("the file has %d bytes, Size is %d, want %d", end, rec.Size, stereo.size(int64(maxFrames)))
		}
	})
}

func TestWAVTakesFramesWhileItIsClosed(t *testing.T) {
	for range 50 {
		var st Memory
		sink := record(t, &WAV{Storage: &st})
		var wg sync.WaitGroup
		started := make(chan struct{})
		wg.Go(func() {
			for i := range 400 {
				sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
				if i == 100 {
					close(started)
				}
			}
		})
		<-started
		var recs [3]Recording
		for i := range recs {
			wg.Go(func() {
				rec, err := sink.Close(t.Context(), 0)
				if err != nil {
					t.Error(err)
				}
				recs[i] = rec
			})
		}
		wg.Wait()
		if recs[0] != recs[1] || recs[0] != recs[2] {
			t.Fatalf("Close returned different recordings: %+v", recs)
		}
		w := parse(t, readBack(t, &st, recs[0].Key))
		n := len(w.tracks[0])
		checkTrack(t, "left", w.tracks[0], want(audio.Inbound, n, [2]int{0, n}))
		if n < 101*160 {
			t.Errorf("%d samples were kept of %d written before Close", n, 101*160)
		}
	}
}

func TestWAVWriteFrameDoesNotAllocate(t *testing.T) {
	var st Memory
	sink := record(t, &WAV{Storage: &st, Buffer: time.Second})
	f := frame(audio.Inbound, 0, 160)
	i := 0
	allocs := testing.AllocsPerRun(40, func() {
		f.Track = audio.Track(i % 2)
		f.At = time.Duration(i/2) * 20 * time.Millisecond
		sink.WriteFrame(f)
		i++
	})
	if allocs != 0 {
		t.Errorf("WriteFrame allocates %v times", allocs)
	}
	if rec, _ := finish(t, &st, sink, 0); rec.Dropped != 0 {
		t.Errorf("Dropped is %v: not the usual path", rec.Dropped)
	}
}

func TestWAVRecordRefuses(t *testing.T) {
	var st Memory
	full := &faultyStorage{writeAt: func(File, []byte, int64) (int, error) { return 0, errDisk }}
	good := Info{CallID: "c", Format: audio.Telephone}
	tests := []struct {
		name string
		w    *WAV
		info Info
		want error // or nil for any
	}{
		{"a call without an id", &WAV{Storage: &st}, Info{Format: audio.Telephone}, nil},
		{"a format without a rate", &WAV{Storage: &st}, Info{CallID: "c"}, nil},
		{"a rate that is nonsense", &WAV{Storage: &st}, Info{CallID: "c", Format: audio.Format{Rate: 1e9}}, nil},
		{"no storage", &WAV{}, good, ErrUnknownStorage},
		{"a storage it does not know", &WAV{Storage: &st, Others: []Storage{&Dir{}}}, Info{CallID: "c", Format: audio.Telephone, Storage: "s3"}, ErrUnknownStorage},
		{"a disk that is full already", &WAV{Storage: full}, good, errDisk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sink, err := tt.w.Record(t.Context(), tt.info)
			if err == nil || sink != nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Record: %v, %v; want error %v", sink, err, tt.want)
			}
		})
	}
	if len(full.files) != 0 {
		t.Error("a file was left behind")
	}
}

func TestWAVChoosesTheStorageByName(t *testing.T) {
	var st Memory
	dir := &Dir{Path: t.TempDir()}
	w := &WAV{Storage: &st, Others: []Storage{dir}}
	for name, want := range map[string]Storage{"": &st, "memory": &st, "local": dir} {
		sink, err := w.Record(t.Context(), Info{CallID: "c-" + name, Storage: name, Format: audio.Telephone, StartedAt: day})
		if err != nil {
			t.Fatal(err)
		}
		rec, _ := finish(t, want, sink, time.Second)
		if rec.Storage != want.Name() || rec.Key != "2026/03/14/c-"+name+".wav" {
			t.Errorf("%q: %+v", name, rec)
		}
	}
}

func TestWAVErases(t *testing.T) {
	st, other := NewMemory("one"), NewMemory("two")
	w := &WAV{Storage: st, Others: []Storage{other}}
	var recs []Recording
	for _, storage := range []*Memory{st, other} {
		sink, err := w.Record(t.Context(), Info{CallID: "c", Storage: storage.Name(), Format: audio.Telephone, StartedAt: day})
		if err != nil {
			t.Fatal(err)
		}
		rec, _ := finish(t, storage, sink, 0)
		recs = append(recs, rec)
	}
	for range 2 { // the second time there is nothing left
		if err := w.Erase(t.Context(), recs[1]); err != nil {
			t.Errorf("Erase: %v", err)
		}
	}
	if len(st.Keys()) != 1 || len(other.Keys()) != 0 {
		t.Errorf("what is left: %v, %v", st.Keys(), other.Keys())
	}
	if err := w.Erase(t.Context(), Recording{Storage: "three", Key: "a"}); !errors.Is(err, ErrUnknownStorage) {
		t.Errorf("Erase elsewhere: %v", err)
	}
	if err := w.Erase(t.Context(), Recording{}); !errors.Is(err, ErrInvalidKey) {
		t.Errorf("Erase of nothing: %v", err)
	}
}

func TestWAVDescribesWhatItKept(t *testing.T) {
	var st Memory
	w := &WAV{Storage: &st}
	sink, err := w.Record(t.Context(), Info{CallID: "c", Format: audio.Telephone, StartedAt: day})
	if err != nil {
		t.Fatal(err)
	}
	rec, _ := finish(t, &st, sink, time.Second)
	want := Recording{Storage: "memory", Key: "2026/03/14/c.wav", Format: "wav", Channels: 2, Rate: rate,
		Duration: time.Second, Size: 44 + 4*rate, CreatedAt: day}
	if rec != want {
		t.Errorf("recording is %+v, want %+v", rec, want)
	}
}

func TestWAVNeverWritesOverARecording(t *testing.T) {
	var st Memory
	w := &WAV{Storage: &st}
	info := Info{CallID: "c", Format: audio.Telephone, StartedAt: day}
	for _, want := range []string{"2026/03/14/c.wav", "2026/03/14/c-2.wav", "2026/03/14/c-3.wav"} {
		sink, err := w.Record(t.Context(), info)
		if err != nil {
			t.Fatal(err)
		}
		if rec, _ := finish(t, &st, sink, 0); rec.Key != want {
			t.Errorf("key is %q, want %q", rec.Key, want)
		}
	}
}

func TestWAVValidate(t *testing.T) {
	var a, b Memory
	tests := []struct {
		name string
		w    WAV
		ok   bool
	}{
		{"a storage is enough", WAV{Storage: &a}, true},
		{"no storage", WAV{}, false},
		{"nil among the others", WAV{Storage: &a, Others: []Storage{nil}}, false},
		{"two of one name", WAV{Storage: &a, Others: []Storage{&b}}, false},
		{"a storage that is not valid", WAV{Storage: &Dir{}}, false},
		{"hardly a buffer", WAV{Storage: &a, Buffer: time.Millisecond}, false},
		{"a buffer without end", WAV{Storage: &a, Buffer: time.Hour}, false},
		{"never sync", WAV{Storage: &a, Sync: -1}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.w.Validate(); (err == nil) != tt.ok {
				t.Errorf("Validate: %v", err)
			}
		})
	}
}

// Whatever the id, the key is one, and no two ids have the same.
func TestCallKeyOfHostileIDs(t *testing.T) {
	ids := []string{"", "a", "A", "../../etc/passwd", "..", ".", "/", "a/b", "a_b", "a\\b", "a\x00b", "a b", "ümlaut", "\xff\xfe",
		strings.Repeat("x", 128), strings.Repeat("x", 129), strings.Repeat("x", 4096), strings.Repeat("/", 4096), "CON", "a.wav", " ", "\n"}
	seen := make(map[string]string)
	for _, id := range ids {
		key := callKey(id, day, 1)
		if err := CheckKey(key); err != nil {
			t.Errorf("id %q: key %q: %v", id, key, err)
		}
		if !strings.HasPrefix(key, "2026/03/14/") || strings.Count(key, "/") != 3 {
			t.Errorf("id %q: key %q lies elsewhere", id, key)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("ids %q and %q have the same key", id, other)
		}
		seen[key] = id
	}
}

func FuzzCallKey(f *testing.F) {
	f.Add("call-1", int64(0), 1)
	f.Add("../x", int64(1<<40), 7)
	f.Fuzz(func(t *testing.T, id string, seconds int64, take int) {
		start := time.Unix(seconds%(1<<36), 0)
		if y := start.UTC().Year(); y < 0 || y > 9999 {
			return // no such day in a key
		}
		if err := CheckKey(callKey(id, start, take)); err != nil {
			t.Error(err)
		}
	})
}

// The recording goes on as fast as its disk, which costs nothing here, lets it.
func BenchmarkWAVWriteFrame(b *testing.B) {
	flushed := make(chan struct{}, 1)
	st := &faultyStorage{writeAt: func(_ File, p []byte, off int64) (int, error) {
		if off == 0 {
			select {
			case flushed <- struct{}{}:
			default:
			}
		}
		return len(p), nil
	}}
	w := &WAV{Storage: st}
	info := Info{CallID: "c", Format: audio.Telephone, StartedAt: day}
	var sink Sink
	f := frame(audio.Inbound, 0, 160)
	const length = 1 << 20 // frames; a file does not hold many times as many
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%length == 0 {
			b.StopTimer()
			sink = again(b, w, info, sink)
			b.StartTimer()
		}
		f.Track = audio.Track(i % 2)
		f.At = time.Duration(i%length/2) * 20 * time.Millisecond
		sink.WriteFrame(f)
		if i%400 == 399 { // 4 s are more than what wakes the writer
			b.StopTimer()
			<-flushed
			b.StartTimer()
		}
	}
	b.StopTimer()
	rec, err := sink.Close(b.Context(), 0)
	if err != nil || rec.Dropped != 0 {
		b.Fatalf("%+v, %v", rec, err)
	}
}

// again ends a recording, if there is one, and begins the next.
func again(b *testing.B, w *WAV, info Info, sink Sink) Sink {
	if sink != nil {
		rec, err := sink.Close(b.Context(), 0)
		if err != nil || rec.Dropped != 0 {
			b.Fatalf("%+v, %v", rec, err)
		}
		if err := w.Erase(b.Context(), rec); err != nil {
			b.Fatal(err)
		}
	}
	sink, err := w.Record(b.Context(), info)
	if err != nil {
		b.Fatal(err)
	}
	return sink
}
