package recording

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
)

// ErrInUse tells that a file is still being written.
var ErrInUse = errors.New("recording: still being written")

// Unfinished returns the keys, sorted, of files that were begun and neither
// committed nor aborted, without those that this Dir is writing now: what a
// process that was killed has left, and what could not be committed. Either
// [Dir.Salvage] or [Dir.Remove] is to follow.
func (d *Dir) Unfinished() ([]string, error) {
	var keys []string
	err := d.walk(func(name string, _ fs.DirEntry) error {
		dir, base := path.Split(name)
		base, hidden := strings.CutPrefix(base, partPrefix)
		base, part := strings.CutSuffix(base, partSuffix)
		key := dir + base
		if hidden && part && CheckKey(key) == nil && d.isWriting(key) == nil {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("recording: dir: unfinished: %w", err)
	}
	return keys, nil
}

// walk visits every file, in the order of their names. What goes away meanwhile
// is passed over.
func (d *Dir) walk(visit func(name string, e fs.DirEntry) error) error {
	root, err := os.OpenRoot(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		return visit(name, e)
	})
}

// Salvage publishes an unfinished WAV file: it mends the header, which may tell
// of less audio than the file holds, and commits the file. The Recording is
// marked Interrupted; when it was created is told by the file's own time.
//
// The error wraps ErrNotFound if nothing unfinished lies under the key, ErrInUse
// if this Dir is writing it, or audio.ErrWAV if it is no WAV file; such a file
// stays where it is.
func (d *Dir) Salvage(ctx context.Context, key string) (Recording, error) {
	rec, err := d.salvage(ctx, key)
	if err != nil {
		return Recording{}, fmt.Errorf("recording: dir: salvage: %w", err)
	}
	return rec, nil
}

func (d *Dir) salvage(ctx context.Context, key string) (Recording, error) {
	if err := CheckKey(key); err != nil {
		return Recording{}, err
	}
	if d.isWriting(key) != nil {
		return Recording{}, fmt.Errorf("%w: %s", ErrInUse, key)
	}
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return Recording{}, notFound(err, key)
	}
	defer root.Close()
	f, err := root.OpenFile(partName(key), os.O_RDWR, 0)
	if err != nil {
		return Recording{}, notFound(err, key)
	}
	rec, err := mend(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return Recording{}, err
	}
	rec.Storage, rec.Key = d.Name(), key
	return rec, d.publish(ctx, key)
}

// mend makes a whole WAV file of an unfinished one and describes it.
func mend(f *os.File) (Recording, error) {
	info, err := f.Stat()
	if err != nil {
		return Recording{}, err
	}
	if err := audio.RepairWAV(f, info.Size()); err != nil {
		return Recording{}, err
	}
	l, frames, err := readLayout(f)
	if err != nil {
		return Recording{}, err
	}
	if err := errors.Join(f.Truncate(l.size(frames)), f.Sync()); err != nil {
		return Recording{}, err
	}
	rec := l.recording(frames)
	rec.CreatedAt = info.ModTime().Add(-rec.Duration)
	rec.Interrupted = true
	return rec, nil
}

// A salvager is a Storage in which files outlive the process that writes them.
type salvager interface {
	Salvage(ctx context.Context, key string) (Recording, error)
}

// Salvage implements [Salvager] on storages that have a method Salvage as
// [Dir.Salvage] is, and finds what was finished on all others. Of several
// recordings of a call it returns the last.
func (w *WAV) Salvage(ctx context.Context, info Info) (Recording, error) {
	rec, err := w.salvage(ctx, info)
	if err != nil {
		return Recording{}, fmt.Errorf("recording: salvage: %w", err)
	}
	return rec, nil
}

func (w *WAV) salvage(ctx context.Context, info Info) (rec Recording, err error) {
	storage, err := w.Lookup(info.Storage)
	if err != nil {
		return rec, err
	}
	err = ErrNotFound
	for _, day := range []time.Time{info.StartedAt, info.StartedAt.AddDate(0, 0, 1)} { // it may have begun after midnight
		for take := 1; take <= maxTakes; take++ {
			found, missing := bringBack(ctx, storage, callKey(info.CallID, day, take))
			if errors.Is(missing, ErrNotFound) {
				break
			}
			if missing != nil {
				return rec, missing
			}
			rec, err = found, nil
		}
	}
	return rec, err
}

// bringBack finishes the file of key, or describes it if it was finished.
func bringBack(ctx context.Context, storage Storage, key string) (Recording, error) {
	if s, ok := storage.(salvager); ok {
		if rec, err := s.Salvage(ctx, key); !errors.Is(err, ErrNotFound) {
			return rec, err
		}
	}
	f, err := storage.Open(ctx, key)
	if err != nil {
		return Recording{}, err
	}
	defer func() { _ = f.Close() }()
	l, frames, err := readLayout(f)
	if err != nil {
		return Recording{}, err
	}
	rec := l.recording(frames)
	rec.Storage, rec.Key = storage.Name(), key
	return rec, nil
}
