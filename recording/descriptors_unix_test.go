//go:build unix

package recording

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
)

// useDescriptors leaves the process none, until the returned function is called.
func useDescriptors(t *testing.T) (release func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := before
	few.Cur = 200
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, f)
	}
	return func() {
		for _, f := range held {
			_ = f.Close()
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}
}

// A file that is finished while no descriptor is left is published as soon as there
// is one, and can be salvaged if that takes too long.
func TestCommitWaitsForADescriptor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dir{Path: t.TempDir()}
		soon, never := begin(t, d, "2026/11/a.wav", string(unfinished(100, 100))), begin(t, d, "2026/11/b.wav", string(unfinished(100, 100)))
		release := useDescriptors(t)
		committed := make(chan error)
		go func() { committed <- soon.Commit(t.Context()) }()
		synctest.Wait() // it has tried, and waits
		select {
		case err := <-committed:
			t.Errorf("Commit without a descriptor: %v", err)
		default:
		}
		release()
		if err := <-committed; err != nil {
			t.Error(err)
		}
		release = useDescriptors(t)
		err := never.Commit(t.Context())
		release()
		if !errors.Is(err, syscall.EMFILE) {
			t.Errorf("Commit without a descriptor for long: %v", err)
		}
		if f, err := d.Open(t.Context(), "2026/11/a.wav"); err != nil || f.Close() != nil {
			t.Error(err)
		}
		if _, err := d.Open(t.Context(), "2026/11/b.wav"); !errors.Is(err, ErrNotFound) {
			t.Errorf("what was not published: %v", err)
		}
		if _, err := d.Salvage(t.Context(), "2026/11/b.wav"); err != nil {
			t.Error(err)
		}
	})
}
