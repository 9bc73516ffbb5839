//go:build unix

package servertest

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProcessKeepsItsFilesUntilItIsStopped(t *testing.T) {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	told, kept := filepath.Join(dir, "pid"), filepath.Join(dir, "kept")
	pid := 0
	p := &Process{Dir: dir, Signal: "KILL", Ready: func(context.Context) error {
		b, err := os.ReadFile(told)
		if err != nil {
			return err
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
		return err
	}}
	run := func() {
		t.Helper()
		if err := p.Run("/bin/sh", "-c", "echo $$ > pid; exec sleep 1000"); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); err != nil {
			t.Errorf("it is ready and does not run: %v", err)
		}
	}
	gone := func() {
		t.Helper()
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("it runs still: %v", err)
		}
	}

	run()
	if err := errors.Join(os.WriteFile(kept, nil, 0o600), os.Remove(told), p.Halt()); err != nil {
		t.Fatal(err)
	}
	gone()
	run()
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	gone()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its files are left: %v", err)
	}
}

// What does not start leaves nothing.
func TestProcessThatCannotStart(t *testing.T) {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Dir: dir, Signal: "KILL"}
	if err := p.Run("/bin/sh", "\x00"); err == nil { // no argument can be that
		t.Error("it runs")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its files are left: %v", err)
	}
}

func TestFreeAddressStaysFree(t *testing.T) {
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(address)
	if n, _ := strconv.Atoi(port); err != nil || n < 1024 || n >= 32768 { // where the system takes ports from, on Linux
		t.Errorf("%s, %v", address, err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
