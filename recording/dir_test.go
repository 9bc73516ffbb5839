package recording

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

func TestCheckKey(t *testing.T) {
	good := []string{"a", "a/b.wav", "2026/03/14/call-1_x.wav", "a..b", "a.", strings.Repeat("a", 200)}
	for _, key := range good {
		if err := CheckKey(key); err != nil {
			t.Errorf("CheckKey(%q): %v", key, err)
		}
	}
	bad := []string{"", "/", "/a", "a/", "a//b", ".", "..", "a/..", ".a", "a/.b", "a b", "a\\b", "a:b", "é", "a\x00",
		strings.Repeat("a", 201), strings.Repeat("a/", 260) + "a"}
	for _, key := range bad {
		if err := CheckKey(key); !errors.Is(err, ErrInvalidKey) {
			t.Errorf("CheckKey(%q): %v; want ErrInvalidKey", key, err)
		}
	}
}

// What CheckKey lets pass stays within a directory and never meets the name of
// a file that is being written.
func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"a/b.wav", "../a", "a/../../b", ".a.part", "a/.b.part", "C:\\a", "a\x00"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if CheckKey(key) != nil {
			return
		}
		if !filepath.IsLocal(key) || filepath.ToSlash(filepath.Clean(key)) != key {
			t.Errorf("%q is a key", key)
		}
		if part := partName(key); CheckKey(part) == nil || len(filepath.Base(part)) > 255 {
			t.Errorf("the part of %q is %q", key, part)
		}
	})
}

// begin makes a file of a Dir and writes data.
func begin(t *testing.T, d *Dir, key, data string) File {
	t.Helper()
	f, err := d.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDirIsForItsUserAlone(t *testing.T) {
	d := &Dir{Path: filepath.Join(t.TempDir(), "new", "recordings")}
	f := begin(t, d, "2026/03/a.wav", "sound")
	if err := f.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(d.Path, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDirFollowsNoLinkOutside(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &Dir{Path: t.TempDir()}
	if err := os.Symlink(outside, filepath.Join(d.Path, "link")); err != nil {
		t.Fatal(err)
	}
	if f, err := d.Open(t.Context(), "link/secret"); err == nil {
		f.Close()
		t.Error("Open reads a file outside")
	}
	if f, err := d.Create(t.Context(), "link/new.wav"); err == nil {
		f.Abort()
		t.Error("Create makes a file outside")
	}
	if err := d.Remove(t.Context(), "link/secret"); err == nil {
		t.Error("Remove of a file outside says that it is done")
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside there is now %v, %v", entries, err)
	}
}

func TestDirValidate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	signing := make([]byte, 16)
	tests := []struct {
		name string
		d    *Dir
		ok   bool
	}{
		{"a path is enough", &Dir{Path: filepath.Join(t.TempDir(), "a", "b")}, true},
		{"no path", &Dir{}, false},
		{"the path is a file", &Dir{Path: file}, false},
		{"an address and a key", &Dir{Path: t.TempDir(), BaseURL: "https://example.com/rec/", SigningKey: signing}, true},
		{"an address without a key", &Dir{Path: t.TempDir(), BaseURL: "https://example.com/rec"}, false},
		{"a short key", &Dir{Path: t.TempDir(), BaseURL: "https://example.com/rec", SigningKey: signing[:15]}, false},
		{"an address without a host", &Dir{Path: t.TempDir(), BaseURL: "/rec", SigningKey: signing}, false},
		{"an address with a query", &Dir{Path: t.TempDir(), BaseURL: "https://example.com/?a=b", SigningKey: signing}, false},
		{"an address with a password", &Dir{Path: t.TempDir(), BaseURL: "https://a:b@example.com/", SigningKey: signing}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.d.Validate(); (err == nil) != tt.ok {
				t.Errorf("Validate: %v", err)
			}
			if entries, _ := os.ReadDir(tt.d.Path); tt.ok && len(entries) != 0 {
				t.Errorf("Validate left %v behind", entries)
			}
		})
	}
}

// The directory is removed during a call.
func TestDirThatIsRemovedDuringACall(t *testing.T) {
	d := &Dir{Path: filepath.Join(t.TempDir(), "recordings")}
	sink := record(t, &WAV{Storage: d})
	sink.WriteFrame(frame(audio.Inbound, 0, 160))
	if err := os.RemoveAll(d.Path); err != nil {
		t.Fatal(err)
	}
	sink.WriteFrame(frame(audio.Inbound, 160, 160))
	rec, err := sink.Close(t.Context(), time.Second)
	if !errors.Is(err, fs.ErrNotExist) || !rec.Truncated || rec.Duration != time.Second {
		t.Errorf("Close: %+v, %v; want it truncated and fs.ErrNotExist", rec, err)
	}
	if _, err := d.Open(t.Context(), rec.Key); !errors.Is(err, ErrNotFound) {
		t.Errorf("Open: %v", err)
	}
}

// killed leaves what a process that was killed during a call would have left:
// data under the hidden name of key.
func killed(t *testing.T, d *Dir, key string, data []byte) {
	t.Helper()
	name := filepath.Join(d.Path, filepath.FromSlash(partName(key)))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// unfinished returns a WAV file whose header tells of told samples and which
// holds held, and some bytes more.
func unfinished(told, held int64, more ...byte) []byte {
	data := stereo.header(told)
	for pos := range held {
		data = binary.LittleEndian.AppendUint16(data, uint16(value(audio.Inbound, int(pos))))
		data = binary.LittleEndian.AppendUint16(data, 0)
	}
	return append(data, more...)
}

// The process was killed during a call.
func TestDirSalvagesWhatAKilledProcessLeft(t *testing.T) {
	tests := []struct {
		name    string
		data    []byte
		samples int
	}{
		{"the header is of the last flush", unfinished(4000, 6000), 6000},
		{"the last sample is half written", unfinished(4000, 6000, 1, 2, 3), 6000},
		{"the header is right", unfinished(6000, 6000), 6000},
		{"the header tells of what was lost", unfinished(9000, 6000), 6000},
		{"no audio had been written", unfinished(0, 0), 0},
		{"the header is the first one", unfinished(0, 100), 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &Dir{Path: t.TempDir()}
			const key = "2026/03/14/c.wav"
			killed(t, d, key, tt.data)
			rec, err := d.Salvage(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			data := readBack(t, d, key)
			w := parse(t, data)
			checkTrack(t, "left", w.tracks[0], want(audio.Inbound, tt.samples, [2]int{0, tt.samples}))
			if len(data) != 44+4*tt.samples {
				t.Errorf("the file has %d bytes", len(data))
			}
			if time.Since(rec.CreatedAt) > time.Minute || rec.CreatedAt.After(time.Now()) {
				t.Errorf("CreatedAt is %v", rec.CreatedAt)
			}
			rec.CreatedAt = time.Time{}
			want := Recording{Storage: "local", Key: key, Format: "wav", Channels: 2, Rate: rate,
				Duration: audio.Duration(tt.samples, rate), Size: int64(len(data)), Interrupted: true}
			if rec != want {
				t.Errorf("recording is %+v, want %+v", rec, want)
			}
			if keys, err := d.Unfinished(); err != nil || len(keys) != 0 {
				t.Errorf("Unfinished after Salvage: %v, %v", keys, err)
			}
		})
	}
}

func TestDirSalvageGuessesNothing(t *testing.T) {
	foreign := append(unfinished(0, 0)[:36:36], "LIST\x04\x00\x00\x00info data\x00\x00\x00\x00"...) // as editors write them
	const key = "c.wav"
	for name, data := range map[string][]byte{
		"an empty file":      {},
		"half a header":      unfinished(0, 0)[:20],
		"text":               []byte(strings.Repeat("not a WAV file. ", 10)),
		"another writer's":   foreign,
		"a header of zeroes": make([]byte, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			d := &Dir{Path: t.TempDir()}
			killed(t, d, key, data)
			if rec, err := d.Salvage(t.Context(), key); !errors.Is(err, audio.ErrWAV) {
				t.Errorf("Salvage: %+v, %v; want audio.ErrWAV", rec, err)
			}
			if keys, err := d.Unfinished(); err != nil || !slices.Equal(keys, []string{key}) {
				t.Errorf("Unfinished: %v, %v; want it to stay", keys, err)
			}
			if err := d.Remove(t.Context(), key); err != nil {
				t.Error(err)
			}
			if keys, err := d.Unfinished(); err != nil || len(keys) != 0 {
				t.Errorf("Unfinished after Remove: %v, %v", keys, err)
			}
		})
	}
}

func TestDirKnowsWhatIsUnfinished(t *testing.T) {
	d := &Dir{Path: filepath.Join(t.TempDir(), "recordings")}
	if keys, err := d.Unfinished(); err != nil || keys != nil {
		t.Errorf("without a directory: %v, %v", keys, err)
	}
	sink := record(t, &WAV{Storage: d})
	killed(t, d, "b.wav", unfinished(0, 1))
	killed(t, d, "2026/a.wav", unfinished(0, 1))
	for name, data := range map[string]string{".hidden": "", ".part": "", "..part": "", "committed.wav": "sound"} {
		if err := os.WriteFile(filepath.Join(d.Path, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := d.Unfinished()
	slices.Sort(keys)
	if want := []string{"2026/a.wav", "b.wav"}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("Unfinished: %v, %v; want %v", keys, err, want)
	}
	if _, err := d.Salvage(t.Context(), sink.key); !errors.Is(err, ErrInUse) {
		t.Errorf("Salvage of a live recording: %v; want ErrInUse", err)
	}
	if _, err := d.Salvage(t.Context(), "c.wav"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Salvage of nothing: %v; want ErrNotFound", err)
	}
	if _, err := d.Salvage(t.Context(), "../c.wav"); !errors.Is(err, ErrInvalidKey) {
		t.Errorf("Salvage outside: %v; want ErrInvalidKey", err)
	}
	finish(t, d, sink, 0)
}

// What could not be published can be later.
func TestDirSalvagesAFailedCommit(t *testing.T) {
	d := &Dir{Path: t.TempDir()}
	f := begin(t, d, "a/b.wav", string(unfinished(100, 100)))
	if err := f.(*dirFile).File.Close(); err != nil { // so that Sync fails
		t.Fatal(err)
	}
	if err := f.Commit(t.Context()); err == nil {
		t.Fatal("Commit of a file that cannot be synced succeeds")
	}
	if _, err := d.Open(t.Context(), "a/b.wav"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Open: %v; want ErrNotFound", err)
	}
	if rec, err := d.Salvage(t.Context(), "a/b.wav"); err != nil || rec.Size != 444 {
		t.Errorf("Salvage: %+v, %v", rec, err)
	}
}

// A recording that is killed at any moment is salvaged with all that was heard
// until half a second before, to the sample.
func TestDirHoldsWhatWasHeardUntilJustNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dir{Path: t.TempDir()}
		sink := record(t, &WAV{Storage: d})
		for i := range 123 {
			sink.WriteFrame(frame(audio.Inbound, 160*i, 160))
			time.Sleep(20 * time.Millisecond)
		}
		synctest.Wait()
		part, err := os.ReadFile(filepath.Join(d.Path, partName(sink.key)))
		if err != nil {
			t.Fatal(err)
		}
		finish(t, d, sink, 0)

		other := &Dir{Path: t.TempDir()}
		killed(t, other, sink.key, part)
		rec, err := other.Salvage(t.Context(), sink.key)
		if err != nil {
			t.Fatal(err)
		}
		w := parse(t, readBack(t, other, sink.key))
		n := len(w.tracks[0])
		checkTrack(t, "left", w.tracks[0], want(audio.Inbound, n, [2]int{0, n}))
		if lost := 123*20*time.Millisecond - rec.Duration; lost > 520*time.Millisecond {
			t.Errorf("%v were lost", lost)
		}
	})
}

func TestMemoryKeys(t *testing.T) {
	var m Memory
	for _, key := range []string{"b", "a", "c"} {
		f, err := m.Create(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if key == "c" {
			continue
		}
		if err := f.Commit(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("late")); err == nil {
			t.Error("a committed file can be written")
		}
	}
	if keys := m.Keys(); !slices.Equal(keys, []string{"a", "b"}) {
		t.Errorf("Keys: %v", keys)
	}
	f, err := m.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if data, err := io.ReadAll(f); err != nil || len(data) != 0 {
		t.Errorf("a holds %q, %v", data, err)
	}
}
