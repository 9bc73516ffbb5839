package recordingtest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/recording"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	TestStorage(t, func(*testing.T) recording.Storage { return &recording.Memory{} })
}

func newDir(t *testing.T) *recording.Dir {
	return &recording.Dir{Path: t.TempDir(), BaseURL: "https://voice.example.com/recordings", SigningKey: make([]byte, 16)}
}

func TestDir(t *testing.T) {
	TestStorage(t, func(t *testing.T) recording.Storage { return newDir(t) })
}

func TestDirWithoutAddresses(t *testing.T) {
	TestStorage(t, func(t *testing.T) recording.Storage { return &recording.Dir{Path: t.TempDir()} })
}

// A spool is a storage whether its files have been brought away or not.
func TestSpool(t *testing.T) {
	for name, start := range map[string]bool{"that brings away": true, "whose files stay": false} {
		t.Run(name, func(t *testing.T) {
			TestStorage(t, func(t *testing.T) recording.Storage {
				s := &recording.Spool{Local: newDir(t), Remote: recording.NewMemory("far"), MinFree: -1}
				if start {
					if err := s.Start(); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() {
						if err := s.Close(context.Background()); err != nil {
							t.Error(err)
						}
					})
				}
				return s
			})
		})
	}
}

func TestWAV(t *testing.T) {
	t.Run("in memory", func(t *testing.T) {
		TestRecorder(t, func(*testing.T) (recording.Recorder, recording.Storage) {
			st := &recording.Memory{}
			return &recording.WAV{Storage: st}, st
		})
	})
	t.Run("in a directory", func(t *testing.T) {
		TestRecorder(t, func(t *testing.T) (recording.Recorder, recording.Storage) {
			st := newDir(t)
			return &recording.WAV{Storage: st}, st
		})
	})
}

// badStorage is a Memory with faults; each must be found.
type badStorage struct {
	recording.Memory
	name   string
	create func(s *badStorage, ctx context.Context, key string) (recording.File, error)
	open   func(s *badStorage, ctx context.Context, key string) (io.ReadSeekCloser, error)
	url    func() (string, error)
	remove func(s *badStorage, ctx context.Context, key string) error
}

func (s *badStorage) Name() string {
	if s.name != "" {
		return s.name
	}
	return s.Memory.Name()
}

func (s *badStorage) Create(ctx context.Context, key string) (recording.File, error) {
	if s.create != nil {
		return s.create(s, ctx, key)
	}
	return s.Memory.Create(ctx, key)
}

func (s *badStorage) Open(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	if s.open != nil {
		return s.open(s, ctx, key)
	}
	return s.Memory.Open(ctx, key)
}

func (s *badStorage) URL(ctx context.Context, key string, ttl time.Duration) (string, error) {
	if s.url != nil && recording.CheckKey(key) == nil {
		return s.url()
	}
	return s.Memory.URL(ctx, key, ttl)
}

func (s *badStorage) Remove(ctx context.Context, key string) error {
	if s.remove != nil {
		return s.remove(s, ctx, key)
	}
	return s.Memory.Remove(ctx, key)
}

// badFile is a file with faults.
type badFile struct {
	recording.File
	writeAt func(f recording.File, p []byte, off int64) (int, error)
	commit  func() error
	abort   func() error
}

func (f *badFile) WriteAt(p []byte, off int64) (int, error) {
	if f.writeAt != nil {
		return f.writeAt(f.File, p, off)
	}
	return f.File.WriteAt(p, off)
}

func (f *badFile) Commit(ctx context.Context) error {
	if f.commit != nil {
		return f.commit()
	}
	return f.File.Commit(ctx)
}

func (f *badFile) Abort() error {
	if f.abort != nil {
		return f.abort()
	}
	return f.File.Abort()
}

// withFile makes a storage whose files have faults.
func withFile(fault func(f recording.File) *badFile) *badStorage {
	return &badStorage{create: func(s *badStorage, ctx context.Context, key string) (recording.File, error) {
		f, err := s.Memory.Create(ctx, key)
		if err != nil {
			return nil, err
		}
		return fault(f), nil
	}}
}

func TestStorageFindsFaults(t *testing.T) {
	tests := map[string]*badStorage{
		"a name with spaces": {name: "My Storage"},
		"a commit that does nothing": withFile(func(f recording.File) *badFile {
			return &badFile{File: f, commit: func() error { return nil }}
		}),
		"an abort after commit fails": withFile(func(f recording.File) *badFile {
			return &badFile{File: f, abort: func() error { return errors.New("no") }}
		}),
		"WriteAt appends": withFile(func(f recording.File) *badFile {
			return &badFile{File: f, writeAt: func(f recording.File, p []byte, _ int64) (int, error) { return f.Write(p) }}
		}),
		"open shows what is not committed": {open: func(s *badStorage, ctx context.Context, key string) (io.ReadSeekCloser, error) {
			f, err := s.Memory.Create(ctx, key)
			if err == nil {
				f.Abort()
				return s.Memory.Open(ctx, key)
			}
			return &file{}, nil
		}},
		"open hides why it failed": {open: func(s *badStorage, ctx context.Context, key string) (io.ReadSeekCloser, error) {
			f, err := s.Memory.Open(ctx, key)
			if err != nil {
				return nil, errors.New("no")
			}
			return f, nil
		}},
		"create writes over": {create: func(s *badStorage, ctx context.Context, key string) (recording.File, error) {
			f, err := s.Memory.Create(ctx, key)
			if errors.Is(err, recording.ErrExists) {
				s.Memory.Remove(ctx, key)
				return s.Memory.Create(ctx, key)
			}
			return f, err
		}},
		"remove does nothing": {remove: func(_ *badStorage, _ context.Context, key string) error { return recording.CheckKey(key) }},
		"remove fails where nothing is": {remove: func(s *badStorage, ctx context.Context, key string) error {
			if _, err := s.Memory.Open(ctx, key); err != nil {
				return err
			}
			return s.Memory.Remove(ctx, key)
		}},
		"remove takes any key":     {remove: func(s *badStorage, ctx context.Context, key string) error { s.Memory.Remove(ctx, key); return nil }},
		"a URL of what is missing": {url: func() (string, error) { return "https://example.com/", nil }},
	}
	for name, s := range tests {
		t.Run(name, func(t *testing.T) {
			found := 0
			for _, rule := range storageRules {
				fresh := &badStorage{name: s.name, create: s.create, open: s.open, url: s.url, remove: s.remove}
				if rule.check(t.Context(), fresh) != nil {
					found++
				}
			}
			if found == 0 {
				t.Error("the fault was not found")
			}
		})
	}
}

type file struct{ io.ReadSeeker }

func (*file) Read([]byte) (int, error)       { return 0, io.EOF }
func (*file) Seek(int64, int) (int64, error) { return 0, nil }
func (*file) Close() error                   { return nil }

// badRecorder changes what the sinks of a WAV do.
type badRecorder struct {
	recording.WAV
	wrap func(s recording.Sink) recording.Sink
}

func (r *badRecorder) Record(ctx context.Context, info recording.Info) (recording.Sink, error) {
	s, err := r.WAV.Record(ctx, info)
	if err != nil {
		return nil, err
	}
	return r.wrap(s), nil
}

type badSink struct {
	recording.Sink
	write func(f *audio.Frame)
	close func(ctx context.Context, end time.Duration) (recording.Recording, error)
}

func (s *badSink) WriteFrame(f *audio.Frame) {
	if s.write != nil {
		s.write(f)
		return
	}
	s.Sink.WriteFrame(f)
}

func (s *badSink) Close(ctx context.Context, end time.Duration) (recording.Recording, error) {
	if s.close != nil {
		return s.close(ctx, end)
	}
	return s.Sink.Close(ctx, end)
}

func TestRecorderFindsFaults(t *testing.T) {
	tests := map[string]func(recording.Sink) recording.Sink{
		"frames are thrown away": func(s recording.Sink) recording.Sink {
			return &badSink{Sink: s, write: func(*audio.Frame) {}}
		},
		"frames are kept": func(s recording.Sink) recording.Sink {
			var mine []*audio.Frame
			return &badSink{Sink: s, write: func(f *audio.Frame) { mine = append(mine, f) },
				close: func(ctx context.Context, end time.Duration) (recording.Recording, error) {
					for _, f := range mine {
						s.WriteFrame(f)
					}
					return s.Close(ctx, end)
				}}
		},
		"frames are copied to the heap": func(s recording.Sink) recording.Sink {
			var last *audio.Frame
			return &badSink{Sink: s, write: func(f *audio.Frame) {
				c := *f
				last = &c
				s.WriteFrame(last)
			}}
		},
		"the end is not padded": func(s recording.Sink) recording.Sink {
			return &badSink{Sink: s, close: func(ctx context.Context, _ time.Duration) (recording.Recording, error) { return s.Close(ctx, 0) }}
		},
		"the second Close fails": func(s recording.Sink) recording.Sink {
			closed := false
			return &badSink{Sink: s, close: func(ctx context.Context, end time.Duration) (recording.Recording, error) {
				if closed {
					return recording.Recording{}, errors.New("closed")
				}
				closed = true
				return s.Close(ctx, end)
			}}
		},
		"the size is wrong": func(s recording.Sink) recording.Sink {
			return &badSink{Sink: s, close: func(ctx context.Context, end time.Duration) (recording.Recording, error) {
				rec, err := s.Close(ctx, end)
				rec.Size++
				return rec, err
			}}
		},
		"what was not waited for counts as whole": func(s recording.Sink) recording.Sink {
			return &badSink{Sink: s, close: func(ctx context.Context, end time.Duration) (recording.Recording, error) {
				rec, err := s.Close(ctx, end)
				rec.Truncated = false
				return rec, cmp.Or(err, ctx.Err()) // even if it was whole by then
			}}
		},
	}
	for name, wrap := range tests {
		t.Run(name, func(t *testing.T) {
			found := 0
			for _, rule := range recorderRules {
				st := &recording.Memory{}
				r := &badRecorder{recording.WAV{Storage: st}, wrap}
				if rule.check(t.Context(), r, st) != nil {
					found++
				}
			}
			if found == 0 {
				t.Error("the fault was not found")
			}
		})
	}
}
