package s3store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/switchboard-voice/switchboard/recording"
)

// Create begins a file in Staging, which Commit uploads. If that fails the file
// stays there, under the name that the error tells.
func (s *Storage) Create(ctx context.Context, key string) (recording.File, error) {
	f, err := s.create(ctx, key)
	if err != nil {
		return nil, wrap("create", err)
	}
	return f, nil
}

func (s *Storage) create(ctx context.Context, key string) (_ *file, err error) {
	if err := recording.CheckKey(key); err != nil {
		return nil, err
	}
	client, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	f := &file{storage: s, key: key}
	if !s.reserve(key, f) {
		return nil, fmt.Errorf("%w: %s is being written", recording.ErrExists, key)
	}
	defer func() {
		if err != nil {
			s.release(key, f)
		}
	}()
	if _, err := s.head(ctx, client, key); err == nil {
		return nil, fmt.Errorf("%w: %s", recording.ErrExists, key)
	} else if !errors.Is(reasonOf(err), recording.ErrNotFound) {
		return nil, err
	}
	f.File, err = os.CreateTemp(s.Staging, "recording-*")
	return f, err
}

// reserve says that f is written under key, if nothing else is.
func (s *Storage) reserve(key string, f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing[key] != nil {
		return false
	}
	if s.writing == nil {
		s.writing = make(map[string]*file)
	}
	s.writing[key] = f
	return true
}

// release reports whether f was still the one to be written under key, and says
// that it is not any more.
func (s *Storage) release(key string, f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing[key] != f {
		return false
	}
	delete(s.writing, key)
	return true
}

// file is a file of Staging.
type file struct {
	*os.File // of which Write, WriteAt and Sync are used
	storage  *Storage
	key      string
	ended    bool
}

func (f *file) Commit(ctx context.Context) error {
	return wrap("commit", f.commit(ctx))
}

func (f *file) commit(ctx context.Context) error {
	if f.ended {
		return fs.ErrClosed
	}
	f.ended = true
	if !f.storage.isWriting(f.key, f) {
		return errors.Join(fmt.Errorf("%s was removed: %w", f.key, fs.ErrNotExist), f.discard())
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	err = f.storage.upload(ctx, f.key, f.File, info.Size())
	removed := !f.storage.release(f.key, f)
	switch {
	case removed && err == nil:
		client, _ := f.storage.open(ctx) // which is there
		err = f.storage.delete(ctx, client, f.key)
		return errors.Join(fmt.Errorf("%s was removed: %w", f.key, fs.ErrNotExist), err, f.discard())
	case err != nil:
		return errors.Join(fmt.Errorf("%s is kept in %s: %w", f.key, f.File.Name(), err), f.File.Close())
	}
	return f.discard()
}

func (s *Storage) isWriting(key string, f *file) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writing[key] == f
}

// Abort drops the file.
func (f *file) Abort() error {
	if f.ended {
		return nil
	}
	f.ended = true
	f.storage.release(f.key, f)
	return wrap("abort", f.discard())
}

func (f *file) discard() error {
	return errors.Join(f.File.Close(), os.Remove(f.File.Name()))
}
