package callecho

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// cores are two that this process may use: one for the server and one for the
// carrier.
func cores() (server, carrier unix.CPUSet, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return server, carrier, err
	}
	found := 0
	for core := 0; found < 2 && core < 8*len(all)*strconv.IntSize/8; core++ {
		if !all.IsSet(core) {
			continue
		}
		if found++; found == 1 {
			carrier.Set(core)
		} else {
			server.Set(core)
		}
	}
	if found < 2 {
		return server, carrier, errors.New("callecho: there is one core only")
	}
	return server, carrier, nil
}

// CanPart tells why servers and the carrier cannot be given a core each, if so.
func CanPart() error {
	server, _, err := cores()
	if err != nil {
		return err
	}
	return startOn(server, exec.Command("true"), (*exec.Cmd).Run)
}

// startOn starts a command that is confined to some cores.
func startOn(where unix.CPUSet, cmd *exec.Cmd, start func(*exec.Cmd) error) error {
	// A child inherits the cores of the thread that makes it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &where); err != nil {
		return fmt.Errorf("callecho: core for the server: %w", err)
	}
	err := start(cmd)
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

// confine keeps all threads of this process to some cores, and returns what
// undoes that.
func confine(where unix.CPUSet) (undo func() error, err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	undo = func() error { return moveThreads(before) }
	return undo, moveThreads(where)
}

// moveThreads repeats itself for threads that were made meanwhile by one that
// had not been moved.
func moveThreads(where unix.CPUSet) error {
	moved := map[int]bool{}
	for before := -1; before < len(moved); {
		before = len(moved)
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || moved[id] {
				continue
			}
			if err := unix.SchedSetaffinity(id, &where); err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
				return fmt.Errorf("callecho: core for the carrier: %w", err)
			}
			moved[id] = true
		}
	}
	return nil
}
