// Server answers and places phone calls. Without any setting it needs nothing
// else: the carrier is simulated, calls are kept in SQLite and recordings in a
// directory. Run it with -h to see what can be set.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr, signals))
}

// run runs the server until it is told to stop and returns the exit status: 2 if
// a setting is wrong.
func run(args []string, getenv func(string) string, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	cfg, err := parseSettings(args, getenv)
	if errors.Is(err, flag.ErrHelp) {
		printHelp(stdout)
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "server:", err)
		return 2
	}
	log := slog.New(cfg.logHandler(stderr))
	s, err := newServer(cfg, log)
	switch {
	case errors.Is(err, errSettings):
		fmt.Fprintln(stderr, "server:", err)
		return 2
	case err != nil:
		fmt.Fprintln(stderr, "server:", err)
		return 1
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(context.Background()) }()
	s.welcome(stdout)

	select {
	case err = <-served:
		s.drain(context.Background())
	case <-signals:
		log.Info("stopping; live calls may go on", "for", cfg.drainTimeout)
		if !s.stop(signals) {
			return 1
		}
		err = <-served
	}
	if err = errors.Join(err, s.close()); err != nil {
		fmt.Fprintln(stderr, "server:", err)
		return 1
	}
	return 0
}

// hangUpTime is how long the carriers may take to end the calls that are left
// when a second signal comes.
const hangUpTime = 3 * time.Second

// stop drains the server. At a second signal it hangs up what is left, and
// reports false if that was not done in time.
func (s *server) stop(signals <-chan os.Signal) bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.drainTimeout)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.drain(ctx)
	}()
	select {
	case <-drained:
		return true
	case <-signals:
	}
	cancel()
	select {
	case <-drained:
		return true
	case <-time.After(hangUpTime):
		s.log.Error("calls were left behind")
		return false
	}
}

func (s *settings) logHandler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.logFormat == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// welcome says where the server is, and how to place the first call.
func (s *server) welcome(w io.Writer) {
	fmt.Fprintf(w, "Switchboard is ready.\n\n  page:  %s\n", s.url)
	token := "$TOKEN"
	if s.token != "" {
		token = s.token
		fmt.Fprintf(w, "  token: %s   (for this run; set API_TOKENS to have your own)\n", token)
	}
	to := "+1234567890"
	fmt.Fprintf(w, `
Place a call:

  curl -H "Authorization: Bearer %s" -H "Content-Type: application/json" \
    -d '{"agent_id":"receptionist","to_phone":"%s","from_phone":"%s","record_call":true}' \
    %sapi/calls

`, token, to, ownNumber, s.url)
}
