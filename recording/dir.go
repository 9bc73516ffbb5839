package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Dir is a Storage in a local directory, which one process at a time may use.
// Directories and files are for its user alone (0700, 0600), and no key, nor a
// symbolic link, leads out of it. A file that is being written, or was when the
// process ended, has a hidden name beside the one it is to get.
//
// A Dir that has a BaseURL gives out signed addresses, at which it serves its
// files itself: it is an http.Handler.
//
// The fields must not change once the Dir is in use.
type Dir struct {
	// Path is the directory. It is made if it is not there.
	Path string

	// BaseURL is where the host serves this Dir, with http.StripPrefix:
	// "https://voice.example.com/recordings". Empty means that it has no
	// addresses.
	BaseURL string
	// SigningKey signs the addresses, 16 random bytes or more. Whoever knows it
	// can read every recording. Other processes that use the same key accept
	// the same addresses; a new key ends all that were given out.
	SigningKey []byte

	mu      sync.Mutex
	writing map[string]*dirFile // what this Dir is writing, by key
}

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Name returns "local".
func (d *Dir) Name() string { return "local" }

// Validate tells what is wrong with the settings. It makes the directory and
// tries whether a file can be written there.
func (d *Dir) Validate() error {
	if err := d.validateURL(); err != nil {
		return fmt.Errorf("recording: dir: %w", err)
	}
	root, err := d.makeRoot()
	if err != nil {
		return fmt.Errorf("recording: dir: %w", err)
	}
	defer root.Close()
	const probe = ".probe"
	f, err := root.OpenFile(probe, os.O_WRONLY|os.O_CREATE, fileMode)
	if err != nil {
		return fmt.Errorf("recording: dir: %w", err)
	}
	if err := errors.Join(f.Close(), root.Remove(probe)); err != nil {
		return fmt.Errorf("recording: dir: %w", err)
	}
	return nil
}

// makeRoot opens the directory, which it makes if need be. A Dir does not hold
// it open, so that it need not be closed.
func (d *Dir) makeRoot() (*os.Root, error) {
	if d.Path == "" {
		return nil, errors.New("no path")
	}
	if err := os.MkdirAll(d.Path, dirMode); err != nil {
		return nil, err
	}
	return os.OpenRoot(d.Path)
}

// partName is the name under which the file of key is written. No key has it,
// because none has a part that begins with a dot.
func partName(key string) string {
	dir, base := path.Split(key)
	return dir + partPrefix + base + partSuffix
}

const (
	partPrefix = "."
	partSuffix = ".part"
)

// Create begins a new file. What a crash has left under the key counts as
// taken: see [Dir.Unfinished].
func (d *Dir) Create(_ context.Context, key string) (File, error) {
	f, err := d.create(key)
	if err != nil {
		return nil, fmt.Errorf("recording: dir: create: %w", err)
	}
	return f, nil
}

func (d *Dir) create(key string) (*dirFile, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	root, err := d.makeRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(key), dirMode); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(partName(key), os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: %s is being written", ErrExists, key)
	}
	if err != nil {
		return nil, err
	}
	// Only who has the part can publish the key, so it cannot be taken later.
	if _, err := root.Lstat(key); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%w: %s", ErrExists, key)
		}
		return nil, errors.Join(err, f.Close(), root.Remove(partName(key)))
	}
	file := &dirFile{File: f, dir: d, key: key}
	d.setWriting(key, file)
	return file, nil
}

// setWriting says which file this Dir writes under key. Nobody salvages that,
// and only that can be published.
func (d *Dir) setWriting(key string, f *dirFile) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writing == nil {
		d.writing = make(map[string]*dirFile)
	}
	d.writing[key] = f
}

// isWriting returns the file that this Dir writes under key, or nil.
func (d *Dir) isWriting(key string) *dirFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writing[key]
}

// ended says that f will not be written any more.
func (d *Dir) ended(f *dirFile) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writing[f.key] == f {
		delete(d.writing, f.key)
	}
}

// Open opens what was committed.
func (d *Dir) Open(_ context.Context, key string) (io.ReadSeekCloser, error) {
	f, _, err := d.open(key)
	if err != nil {
		return nil, fmt.Errorf("recording: dir: open: %w", err)
	}
	return f, nil
}

func (d *Dir) open(key string) (*os.File, fs.FileInfo, error) {
	if err := CheckKey(key); err != nil {
		return nil, nil, err
	}
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, nil, notFound(err, key)
	}
	defer root.Close()
	f, err := root.Open(key)
	if err != nil {
		return nil, nil, notFound(err, key)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, nil, errors.Join(notFound(err, key), f.Close())
	}
	return f, info, nil
}

func notFound(err error, key string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	return err
}

// Remove deletes the file, and one that is being written or was left over. Who
// still writes it cannot publish it any more.
func (d *Dir) Remove(_ context.Context, key string) error {
	if err := d.remove(key); err != nil {
		return fmt.Errorf("recording: dir: remove: %w", err)
	}
	return nil
}

func (d *Dir) remove(key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	root, err := os.OpenRoot(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	if f := d.isWriting(key); f != nil {
		d.ended(f)
	}
	var failed []error
	for _, name := range []string{partName(key), key} { // in the order in which it would be renamed
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// dirFile is a file of a Dir that is being written.
type dirFile struct {
	*os.File // of which Write, WriteAt and Sync are used
	dir      *Dir
	key      string
	ended    bool
}

// Commit heeds ctx only while it waits for a descriptor: to rename a file cannot be
// given up halfway.
func (f *dirFile) Commit(ctx context.Context) error {
	if f.ended {
		return fmt.Errorf("recording: dir: commit: %w", fs.ErrClosed)
	}
	f.ended = true
	defer f.dir.ended(f)
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("recording: dir: commit: %w", err)
	}
	if f.dir.isWriting(f.key) != f {
		return fmt.Errorf("recording: dir: commit: %s was removed: %w", f.key, fs.ErrNotExist)
	}
	if err := f.dir.publish(ctx, f.key); err != nil {
		return fmt.Errorf("recording: dir: commit: %w", err)
	}
	return nil
}

// Abort drops the file.
func (f *dirFile) Abort() error {
	if f.ended {
		return nil
	}
	f.ended = true
	defer f.dir.ended(f)
	if f.dir.isWriting(f.key) != f {
		return f.Close()
	}
	root, err := os.OpenRoot(f.dir.Path)
	if err != nil {
		return errors.Join(fmt.Errorf("recording: dir: abort: %w", err), f.Close())
	}
	defer root.Close()
	if err := errors.Join(f.Close(), root.Remove(partName(f.key))); err != nil {
		return fmt.Errorf("recording: dir: abort: %w", err)
	}
	return nil
}

// publish gives the part, which is on the device, the name of its key, and
// brings that to the device too. While no file descriptor is left it waits for one:
// for a few seconds, or until ctx ends.
func (d *Dir) publish(ctx context.Context, key string) error {
	renamed := false
	publish := func() error {
		root, err := os.OpenRoot(d.Path)
		if err != nil {
			return err
		}
		defer root.Close()
		if !renamed {
			if err := root.Rename(partName(key), key); err != nil {
				return err
			}
			renamed = true
		}
		for dir := path.Dir(key); ; dir = path.Dir(dir) {
			if err := syncDir(root, dir); err != nil {
				return err
			}
			if dir == "." {
				return nil
			}
		}
	}
	return backoff.Retry(func() error {
		err := publish()
		if err == nil || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			return err
		}
		return backoff.Permanent(err)
	}, backoff.WithContext(backoff.WithMaxRetries(backoff.NewConstantBackOff(100*time.Millisecond), 40), ctx))
}

// syncDir makes the names in a directory last through a loss of power.
func syncDir(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call for directories
	}
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
