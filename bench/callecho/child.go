package callecho

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/bench/measure"
	"golang.org/x/sys/unix"
)

// A Child is the process of a server. It ends with Close, and at the latest
// with this process, when its standard input ends.
type Child struct {
	Mode Mode
	Addr string

	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// A Starter knows how to start servers.
type Starter struct {
	// Peers is the directory of the servers that are not in Go.
	Peers string
	// Profiles, if it is not empty, is where servers in Go leave profiles of
	// their processor time.
	Profiles string
	// Apart gives the server one core and the carrier another; see CanPart.
	Apart bool
	runs  int
}

// Start starts a server and waits until it listens.
func (s *Starter) Start(mode Mode) (*Child, error) {
	cmd, err := s.command(mode)
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := s.start(cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", mode, err)
	}
	c := &Child{Mode: mode, cmd: cmd, in: in, out: bufio.NewReader(out)}
	line, err := c.readLine(15 * time.Second)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", mode, err)
	}
	c.Addr = line
	return c, nil
}

func (s *Starter) start(cmd *exec.Cmd) error {
	if !s.Apart {
		return cmd.Start()
	}
	server, _, err := cores()
	if err != nil {
		return err
	}
	return startOn(server, cmd, (*exec.Cmd).Start)
}

func (s *Starter) command(mode Mode) (*exec.Cmd, error) {
	switch mode {
	case FastAPI:
		// The system's own Python, which has the system's packages.
		return exec.Command("/usr/bin/python3", filepath.Join(s.Peers, "fastapi_echo.py")), nil
	case Node:
		return exec.Command("node", filepath.Join(s.Peers, "node_echo.mjs")), nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "-mode", string(mode)}
	if s.Profiles != "" {
		s.runs++
		args = append(args, "-profile", filepath.Join(s.Profiles, fmt.Sprintf("%s-%d.prof", mode, s.runs)))
	}
	return exec.Command(self, args...), nil
}

// readLine reads a line, and ends the process if there is none in time: a server
// in Go then says what its goroutines do.
func (c *Child) readLine(timeout time.Duration) (string, error) {
	watch := time.AfterFunc(timeout, func() { _ = c.cmd.Process.Signal(unix.SIGQUIT) })
	defer watch.Stop()
	line, err := c.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("server says nothing: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// inGo reports whether the server tells Stats.
func (m Mode) inGo() bool { return m != FastAPI && m != Node }

// Stats asks the server for its figures, after a collection of garbage if gc
// is set. Servers that are not in Go have none.
func (c *Child) Stats(gc bool) (Stats, error) {
	var s Stats
	if !c.Mode.inGo() {
		return s, nil
	}
	question := "stats\n"
	if gc {
		question = "gc\n"
	}
	if _, err := io.WriteString(c.in, question); err != nil {
		return s, err
	}
	line, err := c.readLine(time.Minute) // on a busy machine a collection takes its time
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(line), &s)
}

// CPU is the processor time that the server has used.
func (c *Child) CPU() time.Duration { return measure.Of(c.cmd.Process.Pid) }

// Split is the same, of its own code and of the kernel, less exactly.
func (c *Child) Split() (user, system time.Duration, err error) {
	return measure.Split(c.cmd.Process.Pid)
}

// Files is how many descriptors the server has open.
func (c *Child) Files() (int, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid))
	return len(open), err
}

// Resident is the memory of the server that lies in RAM.
func (c *Child) Resident() int64 { return measure.Resident(c.cmd.Process.Pid) }

// Close ends the server: it is asked to, and ended if it does not.
func (c *Child) Close() error {
	err := c.in.Close()
	watch := time.AfterFunc(time.Minute, func() { _ = c.cmd.Process.Signal(unix.SIGQUIT) })
	defer watch.Stop()
	_, _ = io.Copy(io.Discard, c.out) // ends with the process
	if waitErr := c.cmd.Wait(); waitErr != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w", c.Mode, waitErr))
	}
	return err
}
