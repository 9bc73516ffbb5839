//go:build unix

package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is a server in a process of its own. Its methods are for one goroutine
// at a time.
type Process struct {
	// Dir is where it runs, what it owns, and what is removed when it is stopped.
	// It writes its log there.
	Dir string
	// Signal ends it, by the name that kill gives it: "KILL".
	Signal string
	// Credential is whom it runs as; nil is who we are.
	Credential *syscall.Credential
	// Ready returns nil once it can be used.
	Ready func(ctx context.Context) error

	cmd  *exec.Cmd
	life io.WriteCloser // ends the server when it is closed, if only by the end of this process
}

// startTimeout is how long a server may take until it is ready.
const startTimeout = 30 * time.Second

// guard runs a program until its own standard input ends, as it does when the
// process that holds the other end is gone, and then sends it the signal. It
// removes the directory that it is given, unless it has read a word.
const guard = `dir=$1 signal=$2; shift 2; "$@" </dev/null & read word; kill -s "$signal" $! 2>/dev/null; wait $! 2>/dev/null; [ "$word" ] || rm -rf "$dir"`

// Command is a command that runs as the server does, but not for as long.
func (p *Process) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Dir = p.Dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	// A group of its own, so that an interrupt from the terminal ends the tests
	// first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.Credential, Setpgid: true}
	return cmd
}

// Run starts the server and waits until it is ready. If that fails, it is stopped.
func (p *Process) Run(program string, args ...string) error {
	if err := p.start(program, args); err != nil {
		return errors.Join(err, p.Stop())
	}
	if err := p.wait(); err != nil {
		said, _ := os.ReadFile(p.log()) // it may have said nothing
		return errors.Join(fmt.Errorf("the server does not start: %w\n%s", err, bytes.TrimSpace(said)), p.Stop())
	}
	return nil
}

func (p *Process) start(program string, args []string) error {
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	p.cmd = p.Command("/bin/sh", append([]string{"-c", guard, "sh", p.Dir, p.Signal, program}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	life, err := p.cmd.StdinPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err == nil {
		p.life = life
	}
	return errors.Join(err, log.Close())
}

func (p *Process) log() string { return filepath.Join(p.Dir, "log") }

// wait asks again and again: servers do not tell when they are ready.
func (p *Process) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := p.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// Halt ends the server and keeps its files, for another Run.
func (p *Process) Halt() error {
	if _, err := io.WriteString(p.life, "stay\n"); err != nil {
		return err
	}
	return p.end()
}

// Stop ends the server, if it runs, and removes its files.
func (p *Process) Stop() error {
	if p.life == nil {
		return os.RemoveAll(p.Dir)
	}
	return p.end()
}

func (p *Process) end() error {
	err := p.life.Close()
	p.life = nil
	if waited := p.cmd.Wait(); waited != nil && !errors.As(waited, new(*exec.ExitError)) {
		err = errors.Join(err, waited)
	}
	return err
}

// FreeAddress returns an address on loopback on which nobody listens, nor will: the
// system gives its port to nobody who does not ask for just this one, which are
// those from 32768 on. So a server can be ended and started there again.
func FreeAddress() (string, error) {
	const first, end, tries = 20000, 32768, 100
	for try := 0; ; try++ {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.N(end-first)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
		if try == tries {
			return "", err
		}
	}
}
