// Package recordingtest judges implementations of the contracts of package
// recording: ours and others'.
package recordingtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/recording"
)

// TestStorage tests that the storages that newStorage returns do what
// recording.Storage says. Each must be empty, and may be used until the test
// that it was made for ends.
func TestStorage(t *testing.T, newStorage func(t *testing.T) recording.Storage) {
	for _, rule := range storageRules {
		t.Run(rule.name, func(t *testing.T) {
			if err := rule.check(t.Context(), newStorage(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A storageRule returns an error if the storage breaks it.
type storageRule struct {
	name  string
	check func(ctx context.Context, s recording.Storage) error
}

var storageRules = []storageRule{
	{"a name is of lower-case letters, digits and hyphens", checkName},
	{"what was committed can be opened", checkCommit},
	{"what was never written between reads as zero", checkHole},
	{"nothing can be opened before it is committed", checkUncommitted},
	{"an aborted file leaves its key free", checkAbort},
	{"a key that is taken cannot be created", checkTaken},
	{"a removed file is gone and its key free", checkRemove},
	{"a file that was removed while written is never published", checkRemoveWriting},
	{"what is not a key is refused by every method", checkKeys},
	{"a URL is an address or not supported", checkURL},
	{"many files are written at once", checkParallel},
	{"each Open reads for itself", checkReaders},
}

const key = "2026/03/14/a-call.wav"

// put writes data under key and commits it.
func put(ctx context.Context, s recording.Storage, key string, data []byte) error {
	f, err := s.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(fmt.Errorf("write: %w", err), f.Abort())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync: %w", err), f.Abort())
	}
	if err := f.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// expect fails if there is anything else than data under key.
func expect(ctx context.Context, s recording.Storage, key string, data []byte) error {
	f, err := s.Open(ctx, key)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	got, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	if !bytes.Equal(got, data) {
		return fmt.Errorf("%s holds %q, want %q", key, got, data)
	}
	return nil
}

// expectNone fails if there is anything under key.
func expectNone(ctx context.Context, s recording.Storage, key string) error {
	f, err := s.Open(ctx, key)
	if err == nil {
		return errors.Join(errors.New("open finds a file that must not be there"), f.Close())
	}
	if !errors.Is(err, recording.ErrNotFound) {
		return fmt.Errorf("open of what is not there: %w; want ErrNotFound", err)
	}
	return nil
}

func checkName(_ context.Context, s recording.Storage) error {
	if name := s.Name(); name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("name is %q", name)
	}
	return nil
}

func checkCommit(ctx context.Context, s recording.Storage) error {
	f, err := s.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	for _, part := range []string{"head", "er and ", "sound"} {
		if n, err := f.Write([]byte(part)); n != len(part) || err != nil {
			return errors.Join(fmt.Errorf("write returned %d, %w", n, err), f.Abort())
		}
		if n, err := f.WriteAt([]byte("HEAD"), 0); n != 4 || err != nil {
			return errors.Join(fmt.Errorf("WriteAt returned %d, %w", n, err), f.Abort())
		}
	}
	if err := f.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := f.Abort(); err != nil {
		return fmt.Errorf("abort after Commit: %w", err)
	}
	return expect(ctx, s, key, []byte("HEADer and sound"))
}

func checkHole(ctx context.Context, s recording.Storage) error {
	f, err := s.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if _, err := f.WriteAt([]byte("end"), 5000); err != nil {
		return errors.Join(fmt.Errorf("WriteAt: %w", err), f.Abort())
	}
	if _, err := f.WriteAt([]byte("begin"), 0); err != nil {
		return errors.Join(fmt.Errorf("WriteAt: %w", err), f.Abort())
	}
	if err := f.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	want := make([]byte, 5003)
	copy(want, "begin")
	copy(want[5000:], "end")
	return expect(ctx, s, key, want)
}

func checkUncommitted(ctx context.Context, s recording.Storage) error {
	f, err := s.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	_, err = f.Write([]byte("sound"))
	return errors.Join(err, f.Sync(), expectNone(ctx, s, key), f.Abort())
}

func checkAbort(ctx context.Context, s recording.Storage) error {
	f, err := s.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := errors.Join(f.Abort(), expectNone(ctx, s, key)); err != nil {
		return err
	}
	if err := put(ctx, s, key, []byte("second")); err != nil {
		return err
	}
	return expect(ctx, s, key, []byte("second"))
}

func checkTaken(ctx context.Context, s recording.Storage) error {
	f, err := s.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if _, err := s.Create(ctx, key); !errors.Is(err, recording.ErrExists) {
		return errors.Join(fmt.Errorf("create of a key that is being written: %v; want ErrExists", err), f.Abort())
	}
	if _, err := f.Write([]byte("first")); err != nil {
		return errors.Join(err, f.Abort())
	}
	if err := f.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if _, err := s.Create(ctx, key); !errors.Is(err, recording.ErrExists) {
		return fmt.Errorf("create of a key that is taken: %v; want ErrExists", err)
	}
	return expect(ctx, s, key, []byte("first"))
}

func checkRemove(ctx context.Context, s recording.Storage) error {
	if err := s.Remove(ctx, key); err != nil {
		return fmt.Errorf("remove of what is not there: %w", err)
	}
	if err := put(ctx, s, key, []byte("first")); err != nil {
		return err
	}
	if err := s.Remove(ctx, key); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	if err := expectNone(ctx, s, key); err != nil {
		return err
	}
	if err := put(ctx, s, key, []byte("second")); err != nil {
		return err
	}
	return expect(ctx, s, key, []byte("second"))
}

func checkRemoveWriting(ctx context.Context, s recording.Storage) error {
	old, err := s.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if _, err := old.Write([]byte("old")); err != nil {
		return errors.Join(err, old.Abort())
	}
	if err := s.Remove(ctx, key); err != nil {
		return errors.Join(fmt.Errorf("remove: %w", err), old.Abort())
	}
	next, err := s.Create(ctx, key)
	if err != nil {
		return errors.Join(fmt.Errorf("create after Remove: %w", err), old.Abort())
	}
	if err := old.Commit(ctx); err == nil {
		return errors.Join(errors.New("commit of a removed file says that it was published"), next.Abort())
	}
	if err := expectNone(ctx, s, key); err != nil {
		return errors.Join(err, next.Abort())
	}
	if _, err := next.Write([]byte("new")); err != nil {
		return errors.Join(err, next.Abort())
	}
	if err := next.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return expect(ctx, s, key, []byte("new"))
}

// hostileKeys are not keys, for one reason each.
var hostileKeys = []string{
	"", ".", "..", "/", "/a", "a/", "a//b", "../a", "a/../b", "a/..", "./a", "a/./b", ".hidden", "a/.hidden",
	"a\\b", "..\\a", "C:a", "a b", "a\x00", "a\n", "ä", "\xff", "a?b", "a%2fb", "a*", "~a/$HOME`",
	strings.Repeat("a", 201), strings.Repeat("a/", 256) + "a",
}

func checkKeys(ctx context.Context, s recording.Storage) error {
	for _, key := range hostileKeys {
		f, err := s.Create(ctx, key)
		if err == nil {
			err = f.Abort()
		}
		if !errors.Is(err, recording.ErrInvalidKey) {
			return fmt.Errorf("Create(%q): %v; want ErrInvalidKey", key, err)
		}
		if _, err := s.Open(ctx, key); !errors.Is(err, recording.ErrInvalidKey) {
			return fmt.Errorf("Open(%q): %v; want ErrInvalidKey", key, err)
		}
		if _, err := s.URL(ctx, key, time.Minute); !errors.Is(err, recording.ErrInvalidKey) {
			return fmt.Errorf("URL(%q): %v; want ErrInvalidKey", key, err)
		}
		if err := s.Remove(ctx, key); !errors.Is(err, recording.ErrInvalidKey) {
			return fmt.Errorf("Remove(%q): %v; want ErrInvalidKey", key, err)
		}
	}
	longest := strings.Repeat("a.", 100) + "/" + strings.Repeat("-", 200) + "/" + strings.Repeat("_", 110)
	for _, key := range []string{"a", "A-_.9", "a.b/c..d/e", longest} {
		if err := put(ctx, s, key, []byte(key)); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		if err := expect(ctx, s, key, []byte(key)); err != nil {
			return err
		}
	}
	return nil
}

func checkURL(ctx context.Context, s recording.Storage) error {
	_, err := s.URL(ctx, key, time.Minute)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if !errors.Is(err, recording.ErrNotFound) {
		return fmt.Errorf("URL of what is not there: %v; want ErrNotFound or errors.ErrUnsupported", err)
	}
	if err := put(ctx, s, key, []byte("sound")); err != nil {
		return err
	}
	url, err := s.URL(ctx, key, time.Minute)
	if err != nil {
		return fmt.Errorf("URL: %w", err)
	}
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return fmt.Errorf("URL is %q", url)
	}
	return nil
}

func checkParallel(ctx context.Context, s recording.Storage) error {
	const files = 16
	var failed [files]error
	var wg sync.WaitGroup
	for i := range files {
		wg.Go(func() {
			key := fmt.Sprintf("2026/03/%02d/call-%d.wav", i%3+1, i)
			data := bytes.Repeat([]byte{byte(i)}, 10000+i)
			if err := put(ctx, s, key, data); err != nil {
				failed[i] = err
				return
			}
			failed[i] = expect(ctx, s, key, data)
			if i%2 == 1 {
				failed[i] = errors.Join(failed[i], s.Remove(ctx, key), expectNone(ctx, s, key))
			}
		})
	}
	wg.Wait()
	return errors.Join(failed[:]...)
}

func checkReaders(ctx context.Context, s recording.Storage) error {
	if err := put(ctx, s, key, []byte("0123456789")); err != nil {
		return err
	}
	a, err := s.Open(ctx, key)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = a.Close() }()
	if _, err := a.Seek(-3, io.SeekEnd); err != nil {
		return fmt.Errorf("seek: %w", err)
	}
	if err := expect(ctx, s, key, []byte("0123456789")); err != nil {
		return err
	}
	rest, err := io.ReadAll(a)
	if err != nil || string(rest) != "789" {
		return fmt.Errorf("after Seek the rest is %q, %v; want 789", rest, err)
	}
	return nil
}
