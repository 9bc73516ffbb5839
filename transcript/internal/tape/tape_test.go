package tape

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/switchboard-voice/switchboard/audio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// frame is 20 ms of one sample.
func frame(track audio.Track, at time.Duration, b byte) *audio.Frame {
	return &audio.Frame{Track: track, Format: audio.Telephone, At: at, Payload: bytes.Repeat([]byte{b}, 160), PCM: make([]int16, 160)}
}

// step is something that happens to a tape.
type step struct {
	write *audio.Frame
	close bool
	from  int64 // of a reading
	all   bool
	want  []byte // one for each 20 ms, both tracks
	lost  bool
}

func TestRead(t *testing.T) {
	const s = 0xFF // silence
	in := func(at time.Duration, b byte) step { return step{write: frame(audio.Inbound, at, b)} }
	out := func(at time.Duration, b byte) step { return step{write: frame(audio.Outbound, at, b)} }
	tests := []struct {
		name  string
		steps []step
	}{
		{"nothing was written", []step{{}}},
		{"both sides at once", []step{in(0, 1), out(0, 2), in(20*ms, 3), out(20*ms, 4), {want: []byte{1, 2, 3, 4}}}},
		{"the caller waits for the agent", []step{in(0, 1), in(20*ms, 2), {want: nil}, out(0, 3), {want: []byte{1, 3}}}},
		{"but not for long", []step{in(0, 1), in(20*ms, 2), in(120*ms, 3), {want: []byte{1, s, 2, s}}}},
		{"all there is", []step{in(0, 1), {all: true, want: []byte{1, s}}}},
		{"all there is at the end", []step{in(0, 1), {close: true}, {want: []byte{1, s}}}},
		{"the agent waits for the caller", []step{out(0, 1), out(20*ms, 2), {want: nil}, in(0, 3), {want: []byte{3, 1}}}},
		{"a gap is silence", []step{in(0, 1), in(40*ms, 2), {close: true}, {want: []byte{1, s, s, s, 2, s}}}},
		{"silence that was filled in", []step{{write: &audio.Frame{Format: audio.Telephone, PCM: make([]int16, 160), Filled: true}}, {close: true}, {want: []byte{s, s}}}},
		{"from the middle", []step{in(0, 1), in(20*ms, 2), {close: true}, {from: 160, want: []byte{2, s}}}},
		{"frames that overlap", []step{in(0, 1), in(10*ms, 2), {close: true}, {want: []byte{1, s}}}},
		{"after the end", []step{in(0, 1), {close: true}, in(20*ms, 2), {want: []byte{1, s}}}},
		{"a hole is not read across", []step{in(0, 1), {all: true, want: []byte{1, s}}, in(10*time.Second, 2), {from: 160, want: nil}, {from: 80000, all: true, want: []byte{2, s}}}},
		{"what is gone is lost", []step{in(0, 1), in(980*ms, 2), in(1000*ms, 3), {from: 0, lost: true}, {from: 160, all: true, want: []byte{s, s}}}},
		{"another format", []step{{write: &audio.Frame{Format: audio.Format{Rate: 8000}, Payload: make([]byte, 320), PCM: make([]int16, 160)}}, {close: true}, {want: nil}}},
		{"a clock that is broken", []step{in(0, 1), in(time.Hour, 2), {close: true}, {want: []byte{1, s}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tape := New(audio.Telephone, 2, time.Second, 60*ms)
			for i, st := range tt.steps {
				switch {
				case st.write != nil:
					tape.WriteFrame(st.write)
				case st.close:
					tape.Close()
				default:
					p := make([]byte, max(len(st.want), 2)*160)
					if len(st.want) == 0 {
						p = make([]byte, 4096)
					}
					n, lost := tape.Read(p, st.from, st.all)
					if lost != st.lost || n != len(st.want)/2*160 {
						t.Fatalf("step %d: read %d positions, lost %v; want %d", i, n, lost, len(st.want)/2*160)
					}
					for j, want := range st.want {
						if got := p[j/2*320+j%2]; got != want {
							t.Errorf("step %d: byte %d is %#x, want %#x", i, j, got, want)
						}
					}
				}
			}
		})
	}
}

// Property: what is read is what was written, whatever the frames are and
// however the reader keeps up.
func TestReadIsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]audio.Format{audio.Telephone, {Rate: 8000}, {Rate: 16000}}).Draw(t, "format")
		tracks := rapid.IntRange(1, 2).Draw(t, "tracks")
		tape := New(format, tracks, time.Second, 60*ms)
		width := format.Encoding.SampleBytes()
		var written [maxTracks][]byte
		var read []byte
		value := uint16(0)
		drain := func(all bool) {
			p := make([]byte, 4000)
			for {
				n, lost := tape.Read(p, int64(len(read)/tape.Width()), all)
				if lost {
					t.Fatal("lost, though the reader keeps up")
				}
				if n == 0 {
					return
				}
				read = append(read, p[:n*tape.Width()]...)
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "frames") {
			n := rapid.IntRange(0, 400).Draw(t, "samples")
			for track := range tracks {
				f := &audio.Frame{Track: audio.Track(track), Format: format, At: tape.Time(int64(len(written[track]) / width)), PCM: make([]int16, n)}
				for range n {
					value++
					if width == 1 {
						f.Payload = append(f.Payload, byte(value))
					} else {
						f.Payload = binary.LittleEndian.AppendUint16(f.Payload, value)
					}
				}
				written[track] = append(written[track], f.Payload...)
				tape.WriteFrame(f)
			}
			if rapid.Bool().Draw(t, "read") || tape.Ready()-int64(len(read)/tape.Width()) > 4000 {
				drain(false)
			}
		}
		tape.Close()
		drain(false)
		for track := range tracks {
			var got []byte
			for i := track * width; i < len(read); i += tape.Width() {
				got = append(got, read[i:i+width]...)
			}
			if !bytes.Equal(got, written[track]) {
				t.Fatalf("track %d: %d bytes read, %d written, or they differ", track, len(got), len(written[track]))
			}
		}
	})
}

func TestNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tape := New(audio.Telephone, 1, time.Second, 60*ms)
		news := func() bool {
			select {
			case <-tape.News():
				return true
			default:
				return false
			}
		}
		for i := range 2 {
			tape.WriteFrame(frame(audio.Inbound, time.Duration(i)*20*ms, 1))
		}
		if news() {
			t.Error("40 ms are news")
		}
		tape.WriteFrame(frame(audio.Inbound, 40*ms, 1))
		if !news() {
			t.Error("60 ms are no news")
		}
		tape.Close()
		if !news() {
			t.Error("the end is no news")
		}
	})
}

func TestDropped(t *testing.T) {
	tape := New(audio.Telephone, 2, time.Second, 60*ms)
	tape.WriteFrame(frame(audio.Inbound, 0, 1))
	tape.WriteFrame(frame(audio.Inbound, 200*ms, 1))
	tape.Read(make([]byte, 4096), 0, false) // as far as 120 ms
	tape.WriteFrame(frame(audio.Outbound, 0, 1))
	if d := tape.Dropped(); d != 20*ms {
		t.Errorf("%v came too late, want 20ms", d)
	}
}

func TestWriteFrameAllocatesNothing(t *testing.T) {
	tape := New(audio.Telephone, 2, time.Second, 60*ms)
	f := frame(audio.Inbound, 0, 1)
	if n := testing.AllocsPerRun(1000, func() {
		tape.WriteFrame(f)
		f.At += 20 * ms
	}); n != 0 {
		t.Errorf("%v allocations for a frame", n)
	}
}
