// Command bench measures the library against its goals and against its peers,
// prints one table and writes it down.
//
//	bench [-quick] [-only section,…] [-out file] [-profiles directory]
//
// The sections are codec, resample, vad, dtmf, pacer, recording, echo, idle, most
// and soak. Without -only all of them run, and the table goes to
// docs/performance.md.
//
//	bench try [-mode mode] [-calls n] [-span time] [-profiles directory]
//
// puts one load on one server, to look into it.
//
//	bench serve -mode mode [-profile file]
//
// is what it starts as the servers that are measured: tcp, naive, stream, call,
// calldry (which does not record), restless (of the soak), fastapi and node.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/bench/callecho"
	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/report"
	"github.com/switchboard-voice/switchboard/bench/speech"
)

func main() {
	run, args := bench, os.Args[1:]
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			run, args = serve, args[1:]
		case "try":
			run, args = try, args[1:]
		}
	}
	if err := run(args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	mode := flags.String("mode", string(callecho.Stream), "which server")
	profile := flags.String("profile", "", "write a profile of the processor time to this file")
	_ = flags.Parse(args) // exits on an error
	return callecho.Serve(callecho.Mode(*mode), os.Stdin, os.Stdout, *profile)
}

func try(args []string) error {
	flags := flag.NewFlagSet("try", flag.ExitOnError)
	mode := flags.String("mode", string(callecho.Stream), "which server")
	calls := flags.Int("calls", 400, "how many calls")
	span := flags.Duration("span", 5*time.Second, "how long to measure")
	warm := flags.Duration("warm", time.Second, "how long to wait before that")
	profiles := flags.String("profiles", "", "a directory for a profile of the processor time")
	apart := flags.Bool("apart", false, "give the server one core and the carrier another")
	_ = flags.Parse(args) // exits on an error
	root, err := speech.Root()
	if err != nil {
		return err
	}
	words, err := speech.Whole()
	if err != nil {
		return err
	}
	starter := callecho.Starter{Peers: filepath.Join(root, "bench", "callecho", "peers"), Profiles: *profiles, Apart: *apart}
	run, err := starter.Try(callecho.Mode(*mode), callecho.Load{Calls: *calls, Warm: *warm, Measure: *span}, words)
	fmt.Printf("%+v\n", run)
	return err
}

// session is one run of the benchmark.
type session struct {
	quick   bool
	micro   measure.Settings
	starter callecho.Starter
	apart   bool // server and carrier can have a core each
	words   []int16
	report  report.Report
	begin   time.Time
	load    string // of the machine, at the beginning
}

// sections are the parts, in the order in which they run.
var sections = []struct {
	name string
	run  func(*session) error
}{
	{"codec", (*session).codec},
	{"resample", (*session).resample},
	{"vad", (*session).vad},
	{"dtmf", (*session).dtmf},
	{"pacer", (*session).pacer},
	{"recording", (*session).recording},
	{"echo", (*session).echo},
	{"idle", (*session).idle},
	{"most", (*session).most},
	{"soak", (*session).soak},
}

func bench(args []string) error {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	quick := flags.Bool("quick", false, "take four minutes instead of twenty; the figures are rougher")
	only := flags.String("only", "", "sections to run, separated by commas")
	out := flags.String("out", "", "the file for the result; by default docs/performance.md if all sections run, else none")
	profiles := flags.String("profiles", "", "a directory for profiles of the servers' processor time")
	_ = flags.Parse(args) // exits on an error

	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	chosen := names
	if *only != "" {
		chosen = strings.Split(*only, ",")
	}
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return fmt.Errorf("no section is called %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	root, err := speech.Root()
	if err != nil {
		return err
	}
	if *out == "" && *only == "" {
		*out = filepath.Join(root, "docs", "performance.md")
	}
	words, err := speech.Whole()
	if err != nil {
		return err
	}
	s := &session{
		quick: *quick, micro: measure.Full, words: words, begin: time.Now(), load: loadAverage(),
		starter: callecho.Starter{Peers: filepath.Join(root, "bench", "callecho", "peers"), Profiles: *profiles},
	}
	if s.quick {
		s.micro = measure.Quick
	}
	if err := callecho.CanPart(); err != nil {
		s.say("server and carrier share the cores: %v", err)
	} else {
		s.apart = true
	}
	failed := s.run(chosen)
	s.report.Intro, s.report.Outro = intro(s), fmt.Sprintf(outro, how(s))
	fmt.Println()
	if err := s.report.WriteText(os.Stdout); err != nil {
		return err
	}
	if *out == "" || failed != nil {
		return failed
	}
	return s.write(*out)
}

// run runs the sections. One that fails does not keep the others from running.
func (s *session) run(chosen []string) error {
	var errs []error
	for _, section := range sections {
		if !slices.Contains(chosen, section.name) {
			continue
		}
		s.say("%s", section.name)
		if err := section.run(s); err != nil {
			s.say("%s: %v", section.name, err)
			errs = append(errs, fmt.Errorf("%s: %w", section.name, err))
		}
	}
	s.say("done")
	return errors.Join(errs...)
}

func (s *session) write(name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return s.report.WriteMarkdown(f)
}

// say shows how it goes on.
func (s *session) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(s.begin).Seconds(), fmt.Sprintf(format, args...))
}

// goals adds what was found.
func (s *session) goals(goals ...report.Goal) {
	for _, g := range goals {
		s.say("    %d %s: %s, peer %s, ratio %s; met: %v", g.Number, g.What, g.Ours, g.Peer, g.Ratio, g.Met)
	}
	s.report.Goals = append(s.report.Goals, goals...)
}

// pick is the one of two that suits the length of the run.
func pick[T any](s *session, full, quick T) T {
	if s.quick {
		return quick
	}
	return full
}
