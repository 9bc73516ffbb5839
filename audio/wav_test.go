package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// memoryFile is a file in memory that can run out of room.
type memoryFile struct {
	data []byte
	most int // 0 means no bound
}

func (f *memoryFile) WriteAt(p []byte, at int64) (int, error) {
	end := int(at) + len(p)
	if f.most > 0 && end > f.most {
		return 0, errFull
	}
	if end > len(f.data) {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	return copy(f.data[at:], p), nil
}

func (f *memoryFile) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(f.data).ReadAt(p, at)
}

var wavKinds = []struct {
	format   Format
	channels int
}{
	{Format{PCM16, 8000}, 1},
	{Format{PCM16, 48000}, 2},
	{Format{MuLaw, 8000}, 1},
	{Format{MuLaw, 8000}, 2},
	{Format{ALaw, 8000}, 1},
	{Format{ALaw, 16000}, 2},
}

func newWAVWriter(t testing.TB, f WAVFile, format Format, channels int) *WAVWriter {
	t.Helper()
	w, err := NewWAVWriter(f, format, channels)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// through is what is left of pcm after encoding.
func through(e Encoding, pcm []int16) []int16 {
	return AppendDecode(nil, e, AppendEncode(nil, e, pcm))
}

func TestWAVRoundTrip(t *testing.T) {
	for _, kind := range wavKinds {
		t.Run(fmt.Sprintf("%v with %d channels", kind.format, kind.channels), func(t *testing.T) {
			pcm := sine(440, 20000, 5001*kind.channels, 8000)
			var f memoryFile
			w := newWAVWriter(t, &f, kind.format, kind.channels)
			if err := w.Write(pcm[:1000]); err != nil {
				t.Fatal(err)
			}
			if err := w.WriteEncoded(AppendEncode(nil, kind.format.Encoding, pcm[1000:])); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if w.Frames() != 5001 {
				t.Errorf("%d frames", w.Frames())
			}
			checkHeader(t, f.data, 5001)
			samples, rate, err := ReadWAV(bytes.NewReader(f.data))
			if err != nil || rate != kind.format.Rate || len(samples) != kind.channels {
				t.Fatalf("%d channels at %d, %v", len(samples), rate, err)
			}
			want := through(kind.format.Encoding, pcm)
			for c := range samples {
				for i, s := range samples[c] {
					if s != want[i*kind.channels+c] {
						t.Fatalf("channel %d differs at %d", c, i)
					}
				}
			}
			for c := range kind.channels {
				r, err := NewWAVReader(iotest.OneByteReader(bytes.NewReader(f.data)))
				if err != nil {
					t.Fatal(err)
				}
				if r.Format() != kind.format {
					t.Errorf("format %v", r.Format())
				}
				if got := readAll(t, r.Channel(c), 77); !slices.Equal(got, samples[c]) {
					t.Errorf("channel %d alone differs", c)
				}
			}
		})
	}
}

// checkHeader walks the chunks of a file as a strict player does.
func checkHeader(t testing.TB, file []byte, frames int) {
	t.Helper()
	le := binary.LittleEndian
	if got := int(le.Uint32(file[4:])) + 8; got != len(file) {
		t.Errorf("RIFF says %d bytes, the file has %d", got, len(file))
	}
	var block int
	for at := 12; at < len(file); {
		name, size := string(file[at:at+4]), int(le.Uint32(file[at+4:]))
		body := file[at+8:]
		switch name {
		case "fmt ":
			rate, bytesPerSecond := le.Uint32(body[4:]), le.Uint32(body[8:])
			block = int(le.Uint16(body[12:]))
			if bytesPerSecond != rate*uint32(block) {
				t.Errorf("%d bytes a second at %d", bytesPerSecond, rate)
			}
		case "fact":
			if got := int(le.Uint32(body)); got != frames {
				t.Errorf("fact says %d frames, want %d", got, frames)
			}
		case "data":
			if size != frames*block {
				t.Errorf("data says %d bytes, want %d", size, frames*block)
			}
			if size+size%2 != len(body) {
				t.Errorf("data says %d bytes of %d", size, len(body))
			}
			return
		}
		at += 8 + size + size%2
	}
	t.Error("no data chunk")
}

// A copy of the file after each step is what a kill would have left.
func TestWAVHeaderIsValidAtAnyMoment(t *testing.T) {
	for _, kind := range wavKinds {
		t.Run(fmt.Sprintf("%v with %d channels", kind.format, kind.channels), func(t *testing.T) {
			var f memoryFile
			w := newWAVWriter(t, &f, kind.format, kind.channels)
			checkHeader(t, f.data, 0)
			told := 0
			for i := range 20 {
				if err := w.Write(make([]int16, (2*i+1)*kind.channels)); err != nil {
					t.Fatal(err)
				}
				if i > 0 { // without a Flush, an old length holds; 0 stands for all
					samples, _, err := ReadWAV(bytes.NewReader(f.data))
					if err != nil || len(samples[0]) != told {
						t.Fatalf("before Flush %d: %d frames, want %d; %v", i, len(samples[0]), told, err)
					}
				}
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
				told = int(w.Frames())
				checkHeader(t, f.data, told)
			}
		})
	}
}

func TestRepairWAVBringsBackWhatWasNotFlushed(t *testing.T) {
	for _, kind := range wavKinds {
		t.Run(fmt.Sprintf("%v with %d channels", kind.format, kind.channels), func(t *testing.T) {
			pcm := sine(440, 20000, 333*kind.channels, 8000)
			var f memoryFile
			w := newWAVWriter(t, &f, kind.format, kind.channels)
			must(t, w.Write(pcm[:100*kind.channels]))
			must(t, w.Flush())
			must(t, w.Write(pcm[100*kind.channels:]))
			if kind.format.Encoding.SampleBytes()*kind.channels > 1 {
				f.data = append(f.data, 1) // part of a frame
			}
			if err := RepairWAV(&f, int64(len(f.data))); err != nil {
				t.Fatal(err)
			}
			samples, _, err := ReadWAV(bytes.NewReader(f.data))
			if err != nil || len(samples[0]) != 333 {
				t.Errorf("%d frames, want 333; %v", len(samples[0]), err)
			}
		})
	}
	if err := RepairWAV(&memoryFile{data: []byte("RIFF")}, 4); !errors.Is(err, ErrWAV) {
		t.Errorf("not a WAV file: error %v", err)
	}
}

func TestWAVWriterOutlivesAFullDisk(t *testing.T) {
	f := memoryFile{most: 58 + 10}
	w := newWAVWriter(t, &f, Telephone, 1)
	if err := w.WriteEncoded([]byte("12345678")); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteEncoded([]byte("lost")); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
	f.most = 0
	must(t, w.WriteEncoded([]byte("90")))
	must(t, w.Close())
	checkHeader(t, f.data, 10)
	if got := string(f.data[58:]); got != "1234567890" {
		t.Errorf("file holds %q", got)
	}
}

func TestWAVWriterRefuses(t *testing.T) {
	for _, kind := range []struct {
		name     string
		format   Format
		channels int
	}{
		{"no channels", Telephone, 0},
		{"three channels", Telephone, 3},
		{"no rate", Format{}, 1},
		{"an absurd rate", Format{PCM16, 1 << 30}, 1},
		{"an unknown encoding", Format{Encoding(9), 8000}, 1},
	} {
		if _, err := NewWAVWriter(&memoryFile{}, kind.format, kind.channels); err == nil {
			t.Errorf("%s: no error", kind.name)
		}
	}
	if _, err := NewWAVWriter(&memoryFile{most: 1}, Telephone, 1); !errors.Is(err, errFull) {
		t.Errorf("no room for the header: %v", err)
	}
	w := newWAVWriter(t, &memoryFile{}, Format{PCM16, 8000}, 2)
	if err := w.Write(make([]int16, 3)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("half a frame of samples: %v", err)
	}
	if err := w.WriteEncoded(make([]byte, 6)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("half a frame of bytes: %v", err)
	}
	w.size = 1<<32 - 50
	if err := w.WriteEncoded(make([]byte, 8)); !errors.Is(err, ErrWAVFull) {
		t.Errorf("4 GiB: %v", err)
	}
}

func TestWAVWriterIsAWriter(t *testing.T) {
	var f memoryFile
	w := newWAVWriter(t, &f, Format{PCM16, 8000}, 1)
	n, err := Copy(w, NewSamples(make([]int16, 500), 8000))
	if n != 500 || err != nil || w.Frames() != 500 {
		t.Errorf("copied %d, wrote %d, %v", n, w.Frames(), err)
	}
}

// chunk is one chunk of a RIFF file, with its padding.
func chunk(name string, body string) string {
	size := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body)))
	if len(body)%2 == 1 {
		body += "\x00"
	}
	return string(size) + body
}

const (
	fmtMono  = "\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
	dataHead = "data\x04\x00\x00\x00"
	sound    = "\x01\x00\x02\x00"
)

func riff(chunks ...string) string {
	body := "WAVE" + strings.Join(chunks, "")
	return chunk("RIFF", body)
}

func TestWAVReaderTakesWhatWritersLeave(t *testing.T) {
	extensible := "\xfe\xff" + fmtMono[2:] + "\x16\x00\x10\x00\x04\x00\x00\x00" +
		"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
	whole := riff(chunk("fmt ", fmtMono), chunk("data", sound))
	for _, test := range []struct {
		name string
		file string
		want []int16
	}{
		{"a plain file", whole, []int16{1, 2}},
		{"other chunks before and between", riff(chunk("JUNK", "odd"), chunk("fmt ", fmtMono), chunk("LIST", "even"), chunk("data", sound)), []int16{1, 2}},
		{"chunks after the sound", riff(chunk("fmt ", fmtMono), chunk("data", sound), chunk("LIST", "more")), []int16{1, 2}},
		{"a longer format chunk", riff(chunk("fmt ", fmtMono+"\x00\x00"), chunk("data", sound)), []int16{1, 2}},
		{"an extensible format chunk", riff(chunk("fmt ", extensible), chunk("data", sound)), []int16{1, 2}},
		{"lengths of zero", "RIFF\x00\x00\x00\x00WAVE" + chunk("fmt ", fmtMono) + "data\x00\x00\x00\x00" + sound, []int16{1, 2}},
		{"unknown lengths", "RIFF\xff\xff\xff\xffWAVE" + chunk("fmt ", fmtMono) + "data\xff\xff\xff\xff" + sound, []int16{1, 2}},
		{"a header that tells of nothing yet", riff(chunk("fmt ", fmtMono), chunk("data", "")) + sound, []int16{1, 2}},
		{"really empty data", riff(chunk("fmt ", fmtMono), chunk("data", ""), chunk("LIST", "more")), nil},
		{"cut off", whole[:len(whole)-1], []int16{1}},
		{"no sound at all", whole[:len(whole)-4], nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			samples, rate, err := ReadWAV(strings.NewReader(test.file))
			if err != nil || rate != 8000 {
				t.Fatalf("rate %d, %v", rate, err)
			}
			if !slices.Equal(samples[0], test.want) {
				t.Errorf("got %v, want %v", samples[0], test.want)
			}
		})
	}
}

func TestWAVReaderRefuses(t *testing.T) {
	patched := func(at int, b string) string { return fmtMono[:at] + b + fmtMono[at+len(b):] }
	for _, test := range []struct{ name, file string }{
		{"nothing", ""},
		{"text", "this is not a WAV file at all"},
		{"RIFF of another kind", "RIFF\x04\x00\x00\x00AVI "},
		{"a header that is cut off", riff(chunk("fmt ", fmtMono))[:30]},
		{"no data", riff(chunk("fmt ", fmtMono))},
		{"no format", riff(chunk("data", sound))},
		{"a short format", riff(chunk("fmt ", fmtMono[:14]), dataHead)},
		{"an endless format", riff("fmt \xff\xff\xff\xff" + fmtMono)},
		{"another codec", riff(chunk("fmt ", patched(0, "\x02")), dataHead)},
		{"8 bits of PCM", riff(chunk("fmt ", patched(14, "\x08")), dataHead)},
		{"no channels", riff(chunk("fmt ", patched(2, "\x00")), dataHead)},
		{"six channels", riff(chunk("fmt ", patched(2, "\x06")), dataHead)},
		{"no rate", riff(chunk("fmt ", patched(4, "\x00\x00")), dataHead)},
		{"an absurd rate", riff(chunk("fmt ", patched(4, "\xff\xff\xff\xff")), dataHead)},
	} {
		if _, _, err := ReadWAV(strings.NewReader(test.file)); !errors.Is(err, ErrWAV) {
			t.Errorf("%s: error %v", test.name, err)
		}
	}
	broken := errors.New("broken")
	if _, err := NewWAVReader(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the reader", err)
	}
	if _, _, err := ReadWAV(io.MultiReader(strings.NewReader("RIFF\xff\xff\xff\xffWAVE"+chunk("fmt ", fmtMono)+"data\xff\xff\xff\xff"), endless{})); !errors.Is(err, ErrWAV) {
		t.Errorf("endless sound: error %v", err)
	}
}

func TestWAVReaderOfAFileOfAnotherWriter(t *testing.T) {
	names, _ := filepath.Glob("testdata/speech/*.wav")
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewWAVReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if r.Format() != Telephone || r.Channels() != 1 {
			t.Errorf("%s: %v, %d channels", name, r.Format(), r.Channels())
		}
		if n := len(readAll(t, r, 160)); n < 16000 {
			t.Errorf("%s: %d samples", name, n)
		}
	}
}

func TestWAVDoesNotAllocate(t *testing.T) {
	header := riff(chunk("fmt ", fmtMono), "data\xff\xff\xff\xff")
	r, err := NewWAVReader(io.MultiReader(strings.NewReader(header), endless{}))
	if err != nil {
		t.Fatal(err)
	}
	w := newWAVWriter(t, nowhere{}, Telephone, 2)
	p, b := make([]int16, 320), make([]byte, 320)
	noAllocs(t, func() {
		mustRead(t, r, p)
		must(t, w.Write(p))
		must(t, w.WriteEncoded(b))
		must(t, w.Flush())
	})
}

// nowhere takes all that is written.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

func FuzzWAVReader(f *testing.F) {
	f.Add([]byte(riff(chunk("fmt ", fmtMono), chunk("data", sound))))
	f.Add([]byte(riff(chunk("JUNK", "odd"), chunk("fmt ", fmtMono), chunk("data", ""))))
	f.Add([]byte("RIFF\xff\xff\xff\xffWAVE" + chunk("fmt ", fmtMono) + "data\xff\xff\xff\xff" + sound))
	f.Fuzz(func(t *testing.T, file []byte) {
		samples, rate, err := ReadWAV(bytes.NewReader(file))
		if err != nil {
			if !errors.Is(err, ErrWAV) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if len(samples)*len(samples[0]) > len(file) || rate <= 0 {
			t.Fatalf("%d bytes made %d samples at %d", len(file), len(samples)*len(samples[0]), rate)
		}
		// What was read can be written, and reads the same.
		var mem memoryFile
		w := newWAVWriter(t, &mem, Format{PCM16, rate}, len(samples))
		frame := make([]int16, len(samples))
		for i := range samples[0] {
			for c := range samples {
				frame[c] = samples[c][i]
			}
			if err := w.Write(frame); err != nil {
				t.Fatal(err)
			}
		}
		must(t, w.Close())
		again, _, err := ReadWAV(bytes.NewReader(mem.data))
		if err != nil {
			t.Fatal(err)
		}
		for c := range samples {
			if !slices.Equal(samples[c], again[c]) {
				t.Fatal("samples differ")
			}
		}
	})
}
