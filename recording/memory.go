package recording

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory is a Storage for tests: it holds files in memory, without limit, until
// they are removed. The zero Memory is empty, ready for use and named "memory".
type Memory struct {
	name string

	mu    sync.Mutex
	files map[string]*memoryFile // those being written too
}

// NewMemory returns an empty Memory of another name, for tests that need
// several.
func NewMemory(name string) *Memory { return &Memory{name: name} }

// Name returns the name.
func (m *Memory) Name() string { return cmp.Or(m.name, "memory") }

// Create begins a new file.
func (m *Memory) Create(_ context.Context, key string) (File, error) {
	if err := CheckKey(key); err != nil {
		return nil, fmt.Errorf("recording: memory: create: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[key] != nil {
		return nil, fmt.Errorf("recording: memory: create: %w: %s", ErrExists, key)
	}
	if m.files == nil {
		m.files = make(map[string]*memoryFile)
	}
	f := &memoryFile{memory: m, key: key}
	m.files[key] = f
	return f, nil
}

// Open opens what was committed.
func (m *Memory) Open(_ context.Context, key string) (io.ReadSeekCloser, error) {
	data, err := m.bytes(key)
	if err != nil {
		return nil, fmt.Errorf("recording: memory: open: %w", err)
	}
	return nopCloser{bytes.NewReader(data)}, nil
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// bytes returns what was committed. It does not change any more.
func (m *Memory) bytes(key string) ([]byte, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[key]
	if f == nil || !f.committed {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	return f.data, nil
}

// Keys returns the keys of what was committed, sorted.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := slices.Sorted(maps.Keys(m.files))
	return slices.DeleteFunc(keys, func(key string) bool { return !m.files[key].committed })
}

// URL returns errors.ErrUnsupported.
func (m *Memory) URL(_ context.Context, key string, _ time.Duration) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", fmt.Errorf("recording: memory: url: %w", err)
	}
	return "", fmt.Errorf("recording: memory: url: %w", errors.ErrUnsupported)
}

// Remove deletes the file. Who still writes it cannot publish it any more.
func (m *Memory) Remove(_ context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return fmt.Errorf("recording: memory: remove: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, key)
	return nil
}

// memoryFile belongs to who writes it until it is committed.
type memoryFile struct {
	memory *Memory
	key    string
	data   []byte
	offset int64 // of the next Write
	ended  bool

	committed bool // under memory.mu
}

func (f *memoryFile) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.offset)
	f.offset += int64(n)
	return n, err
}

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	if f.ended {
		return 0, fs.ErrClosed
	}
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if end := int(off) + len(p); end > len(f.data) {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	return copy(f.data[off:], p), nil
}

func (f *memoryFile) Sync() error { return nil }

func (f *memoryFile) Commit(context.Context) error {
	f.memory.mu.Lock()
	defer f.memory.mu.Unlock()
	if f.ended || f.memory.files[f.key] != f {
		return fmt.Errorf("recording: memory: commit: %w", fs.ErrClosed)
	}
	f.ended, f.committed = true, true
	return nil
}

func (f *memoryFile) Abort() error {
	f.memory.mu.Lock()
	defer f.memory.mu.Unlock()
	if f.ended {
		return nil
	}
	f.ended = true
	if f.memory.files[f.key] == f {
		delete(f.memory.files, f.key)
	}
	return nil
}
