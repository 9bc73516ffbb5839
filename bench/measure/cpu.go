// Package measure compares how much processor time things cost. It reads
// Linux's clocks of processes.
package measure

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Own is the processor time that this process has used, to the nanosecond.
func Own() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// Of is the processor time that another process has used.
func Of(pid int) time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
	return clock(int32(^pid<<3 | scheduled))
}

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0 // the process is gone
	}
	return time.Duration(ts.Nano())
}

// Split is how much of its processor time a process has spent in its own code
// and in the kernel, as the kernel's statistics tell it (proc(5), stat).
func Split(pid int) (user, system time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name may hold anything
	fields := bytes.Fields(rest)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	var times [2]time.Duration
	for i := range times {
		if len(fields) < 13 {
			return 0, 0, fmt.Errorf("short stat of process %d", pid)
		}
		n, err := strconv.ParseInt(string(fields[11+i]), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		times[i] = time.Duration(n) * tick
	}
	return times[0], times[1], nil
}

// Resident is the memory of a process that lies in RAM, in bytes.
func Resident(pid int) int64 {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64) // 0 if unreadable, as above
	return pages * int64(os.Getpagesize())
}
