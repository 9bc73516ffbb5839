package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/switchboard-voice/switchboard/bench/callecho"
	"github.com/switchboard-voice/switchboard/bench/measure"
	"github.com/switchboard-voice/switchboard/bench/micro"
	"github.com/switchboard-voice/switchboard/bench/report"
)

// rounds are runs of several servers under one load, by turns.
type rounds map[callecho.Mode][]callecho.Run

func (s *session) rounds(n, calls int, modes ...callecho.Mode) (rounds, error) {
	load := callecho.Load{
		Calls: calls,
		Warm:  pick(s, time.Second, 500*time.Millisecond),
		// Few calls take longer until enough frames have been seen.
		Measure: pick(s, 4*time.Second, 2*time.Second),
	}
	s.starter.Apart = s.apart && calls <= mostApart
	defer func() { s.starter.Apart = false }()
	all := rounds{}
	for range n {
		for _, mode := range modes {
			run, err := s.starter.Try(mode, load, s.words)
			if err != nil {
				return nil, err
			}
			s.say("    %4d calls  %-8s %5.1f µs a frame, %5.2f allocations, delay p50 %v p99 %v, carrier late by %v, %d lost",
				calls, mode, micros(run.CPU), run.Allocs, short(run.P50), short(run.P99), short(run.Lag), lost(run))
			all[mode] = append(all[mode], run)
		}
	}
	t := all.table(calls, modes)
	if s.starter.Apart {
		t.Title += ", server and carrier on a core each"
	}
	s.report.Tables = append(s.report.Tables, t)
	return all, nil
}

// mostApart is how many calls a core bears, whatever the server; more than that
// share all cores.
const mostApart = 400

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

func short(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// lost is how many frames did not come back; a few are always under way at the
// beginning and at the end.
func lost(r callecho.Run) int64 {
	if missing := r.Sent - r.Received; missing > int64(r.Calls) || -missing > int64(r.Calls) {
		return missing
	}
	return r.OutOfOrder + r.Unmatched
}

// median is the middle of a figure over the rounds.
func (r rounds) median(mode callecho.Mode, figure func(callecho.Run) float64) float64 {
	var all []float64
	for _, run := range r[mode] {
		all = append(all, figure(run))
	}
	return measure.Median(all)
}

func cpu(r callecho.Run) float64 { return float64(r.CPU) }
func p50(r callecho.Run) float64 { return float64(r.P50) }
func p99(r callecho.Run) float64 { return float64(r.P99) }

// ratio is the median of the ratios of two servers' costs in each round.
func (r rounds) ratio(ours, peer callecho.Mode) float64 {
	var all []float64
	for i, run := range r[ours] {
		all = append(all, cpu(run)/cpu(r[peer][i]))
	}
	return measure.Median(all)
}

func (r rounds) table(calls int, modes []callecho.Mode) report.Table {
	t := report.Table{
		Title: fmt.Sprintf("Echo of %d calls (%d rounds, medians)", calls, len(r[modes[0]])),
		Header: []string{"Server", "CPU a frame", "least", "user", "system", "Calls a core", "Allocations", "Bytes",
			"Delay p50", "p99", "p99.9", "Gap p90", "p99", "Lost"},
	}
	for _, mode := range modes {
		duration := func(figure func(callecho.Run) time.Duration) string {
			return short(time.Duration(r.median(mode, func(run callecho.Run) float64 { return float64(figure(run)) }))).String()
		}
		µs := func(figure func(callecho.Run) time.Duration) string {
			return fmt.Sprintf("%.1f µs", r.median(mode, func(run callecho.Run) float64 { return micros(figure(run)) }))
		}
		least := slices.MinFunc(r[mode], func(a, b callecho.Run) int { return int(a.CPU - b.CPU) }).CPU
		allocs, bytes := "–", "–"
		if mode != callecho.FastAPI && mode != callecho.Node {
			allocs = fmt.Sprintf("%.2f", r.median(mode, func(run callecho.Run) float64 { return run.Allocs }))
			bytes = fmt.Sprintf("%.0f", r.median(mode, func(run callecho.Run) float64 { return run.AllocBytes }))
		}
		gone := int64(0)
		for _, run := range r[mode] {
			gone += lost(run)
		}
		t.Rows = append(t.Rows, []string{
			title(mode),
			µs(func(run callecho.Run) time.Duration { return run.CPU }),
			fmt.Sprintf("%.1f µs", micros(least)),
			µs(func(run callecho.Run) time.Duration { return run.User }),
			µs(func(run callecho.Run) time.Duration { return run.System }),
			fmt.Sprintf("%.0f", 1e9/50/r.median(mode, cpu)),
			allocs, bytes,
			duration(func(run callecho.Run) time.Duration { return run.P50 }),
			duration(func(run callecho.Run) time.Duration { return run.P99 }),
			duration(func(run callecho.Run) time.Duration { return run.P999 }),
			duration(func(run callecho.Run) time.Duration { return run.GapP90 }),
			duration(func(run callecho.Run) time.Duration { return run.GapP99 }),
			fmt.Sprint(gone),
		})
	}
	return t
}

func title(mode callecho.Mode) string {
	return map[callecho.Mode]string{
		callecho.TCP: "bare TCP", callecho.Naive: "naive Go", callecho.Stream: "package stream",
		callecho.Call: "whole product", callecho.CallDry: "whole product, not recording",
		callecho.FastAPI: "FastAPI", callecho.Node: "Node ws",
	}[mode]
}

// peers are the servers that are not in Go and can be started here.
func (s *session) peers() []callecho.Mode {
	var modes []callecho.Mode
	if exec.Command("/usr/bin/python3", "-c", "import fastapi, uvicorn, websockets, uvloop, httptools").Run() == nil {
		modes = append(modes, callecho.FastAPI)
	}
	if _, err := os.Stat(filepath.Join(s.starter.Peers, "node_modules", "ws")); err == nil {
		modes = append(modes, callecho.Node)
	}
	return modes
}

var ownServers = []callecho.Mode{callecho.TCP, callecho.Naive, callecho.Stream, callecho.Call}

func (s *session) echo() error {
	peers := s.peers()
	withPeers := slices.Concat(ownServers, peers)
	if !s.quick {
		if _, err := s.rounds(1, 30, withPeers...); err != nil {
			return err
		}
	}
	hundred, err := s.rounds(pick(s, 3, 1), 100, withPeers...)
	if err != nil {
		return err
	}
	many, err := s.rounds(pick(s, 5, 1), 400, ownServers...)
	if err != nil {
		return err
	}
	s.compare(many)
	s.comparePeers(hundred, peers)
	if s.quick {
		return nil
	}
	var errs []error
	for _, calls := range []int{700, 1000} {
		_, err := s.rounds(1, calls, ownServers...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// compare judges the load of 400 calls.
func (s *session) compare(r rounds) {
	frames := func(number int, what, want string, mode, peer callecho.Mode, most float64, note string) report.Goal {
		ratio := r.ratio(mode, peer)
		return report.Goal{
			Number: number, What: what, Want: want, Section: "echo",
			Ours: fmt.Sprintf("%.1f µs", r.median(mode, cpu)/1e3), Peer: fmt.Sprintf("%.1f µs", r.median(peer, cpu)/1e3),
			Ratio: times(ratio), Met: report.Reached(ratio <= most), Note: note,
		}
	}
	allocs := r.median(callecho.Stream, func(run callecho.Run) float64 { return run.Allocs })
	bytes := r.median(callecho.Stream, func(run callecho.Run) float64 { return run.AllocBytes })
	s.goals(
		frames(4, "media echo of 400 calls, CPU a frame, against bare TCP", "≤ 1.10 ×", callecho.Stream, callecho.TCP, 1.10, ""),
		frames(4, "media echo of 400 calls, CPU a frame, against naive Go", "≤ 0.62 ×", callecho.Stream, callecho.Naive, 0.62, ""),
		report.Goal{
			Number: 5, What: "allocations a frame, socket to samples to socket", Want: "≤ 1 (8 bytes), stretch 0", Section: "echo",
			Ours: fmt.Sprintf("%.2f (%.0f bytes)", allocs, bytes),
			Peer: fmt.Sprintf("%.2f", r.median(callecho.Naive, func(run callecho.Run) float64 { return run.Allocs })),
			// The rest of a hundredth is the runtime's, and the counting itself.
			Met: report.Reached(allocs < 1.05 && bytes < 12),
		},
		frames(16, "whole product (service, agent, recording, events) against package stream, 400 calls", "≤ 1.35 ×", callecho.Call, callecho.Stream, 1.35, ""),
	)
}

// comparePeers judges the load of 100 calls.
func (s *session) comparePeers(r rounds, peers []callecho.Mode) {
	for _, p := range []struct {
		mode callecho.Mode
		want float64
	}{{callecho.FastAPI, 2.5}, {callecho.Node, 1.6}} {
		g := report.Goal{Number: 8, What: "calls a core at 100 calls, against " + title(p.mode), Want: fmt.Sprintf("≥ %.1f ×", p.want), Section: "echo"}
		g.Ours = fmt.Sprintf("%.0f", 1e9/50/r.median(callecho.Stream, cpu))
		g.Peer = "not installed"
		if slices.Contains(peers, p.mode) {
			ratio := r.ratio(p.mode, callecho.Stream)
			g.Peer, g.Ratio, g.Met = fmt.Sprintf("%.0f", 1e9/50/r.median(p.mode, cpu)), times(ratio), report.Reached(ratio >= p.want)
		}
		s.goals(g)
	}
	added := time.Duration(r.median(callecho.Stream, p99) - r.median(callecho.TCP, p99))
	s.goals(report.Goal{
		Number: 9, What: "added delay at 100 calls: p99 of the echo less that of bare TCP", Want: "< 0.5 ms", Section: "echo",
		Ours: short(time.Duration(r.median(callecho.Stream, p99))).String(), Peer: short(time.Duration(r.median(callecho.TCP, p99))).String(),
		Ratio: fmt.Sprintf("%+v", short(added)), Met: report.Reached(added < 500*time.Microsecond),
		Note: fmt.Sprintf("in the median the delay is %v, and that of bare TCP %v.",
			short(time.Duration(r.median(callecho.Stream, p50))), short(time.Duration(r.median(callecho.TCP, p50)))),
	})
}

func times(ratio float64) string { return fmt.Sprintf("%.2f ×", ratio) }

// recording measures the sinks alone, in real time, and takes that for a part of
// what a whole call costs.
func (s *session) recording() error {
	const calls = 400
	var costs []float64
	allocs := 0.0
	for range pick(s, 3, 1) {
		r, err := micro.Recording(calls, pick(s, 4*time.Second, 2*time.Second))
		if err != nil {
			return err
		}
		s.say("    %4d recordings: %v for 20 ms, %.2f allocations", calls, r.Frame, r.Allocs)
		costs = append(costs, float64(r.Frame))
		allocs = max(allocs, r.Allocs)
	}
	r, err := s.rounds(pick(s, 3, 1), calls, callecho.CallDry, callecho.Call)
	if err != nil {
		return err
	}
	cost, whole := measure.Median(costs), r.median(callecho.Call, cpu)
	s.goals(report.Goal{
		Number: 15, What: "recording both sides during the call", Want: "≤ 3 % of the call's CPU, 0 allocations a frame", Section: "recording",
		Ours: fmt.Sprintf("%.2f µs for 20 ms, %.0f allocations", cost/1e3, allocs), Peer: fmt.Sprintf("%.1f µs, the whole call", whole/1e3),
		Ratio: fmt.Sprintf("%.1f %%", 100*cost/whole), Met: report.Reached(cost <= 0.03*whole && allocs < 0.01),
		Note: fmt.Sprintf("400 recordings to disk in real time, less the same loop without. With and without recording, the whole product differs by %+.1f %%.",
			100*(r.ratio(callecho.Call, callecho.CallDry)-1)),
	})
	return nil
}

// idle measures the memory of calls on which nothing is said.
func (s *session) idle() error {
	calls := pick(s, 1000, 300)
	found := map[callecho.Mode]callecho.Footprint{}
	table := report.Table{
		Title:  fmt.Sprintf("Memory of an idle call (%d calls)", calls),
		Header: []string{"Server", "Heap and stacks", "of which live", "of which stacks", "Resident"},
	}
	for _, mode := range []callecho.Mode{callecho.TCP, callecho.Naive, callecho.Stream, callecho.CallDry, callecho.Call} {
		f, err := s.starter.Idle(mode, calls, s.words)
		if err != nil {
			return err
		}
		s.say("    %-8s %.1f KiB, live %.1f, stacks %.1f, resident %.1f", mode, kib(f.InUse), kib(f.Live), kib(f.Stacks), kib(f.Resident))
		found[mode] = f
		table.Rows = append(table.Rows, []string{title(mode),
			fmt.Sprintf("%.1f KiB", kib(f.InUse)), fmt.Sprintf("%.1f KiB", kib(f.Live)),
			fmt.Sprintf("%.1f KiB", kib(f.Stacks)), fmt.Sprintf("%.1f KiB", kib(f.Resident))})
	}
	s.report.Tables = append(s.report.Tables, table)
	ours, naive := found[callecho.Stream].InUse, found[callecho.Naive].InUse
	s.goals(
		report.Goal{Number: 6, What: "memory of an idle connected call", Want: "≤ 12 KiB", Section: "idle",
			Ours: fmt.Sprintf("%.1f KiB", kib(ours)), Met: report.Reached(ours <= 12<<10),
			Note: "heap spans and stacks in use after a collection, of calls that have spoken for a moment and are silent; the kernel's socket buffers are not in it."},
		report.Goal{Number: 6, What: "memory of an idle connected call against naive Go", Want: "≤ 0.50 ×", Section: "idle",
			Ours: fmt.Sprintf("%.1f KiB", kib(ours)), Peer: fmt.Sprintf("%.1f KiB", kib(naive)),
			Ratio: times(ours / naive), Met: report.Reached(ours <= 0.5*naive)},
	)
	return nil
}

func kib(bytes float64) float64 { return bytes / 1024 }

// most searches for the most calls.
func (s *session) most() error {
	ramp := callecho.Ramp{
		From: 200, Step: pick(s, 100, 200), To: 3000,
		Settle: pick(s, 500*time.Millisecond, 300*time.Millisecond), Measure: pick(s, 2*time.Second, 1200*time.Millisecond),
		Limit: 20 * time.Millisecond,
	}
	modes := []callecho.Mode{callecho.Naive, callecho.Stream}
	if !s.quick {
		modes = []callecho.Mode{callecho.TCP, callecho.Naive, callecho.Stream, callecho.Call}
	}
	found := map[callecho.Mode]callecho.Outcome{}
	table := report.Table{
		Title:  "Most calls with a p99 delay below 20 ms, the carrier on the same cores",
		Header: []string{"Server", "Calls", "Delay p50", "p99", "p99.9"},
	}
	for _, mode := range modes {
		o, err := s.starter.Most(mode, ramp, s.words, func(o callecho.Outcome) {
			s.say("    %4d calls  %-8s delay p50 %v p99 %v, carrier late by %v, %d of %d frames",
				o.Calls, mode, short(o.P50), short(o.P99), short(o.Lag), o.Received, o.Sent)
		})
		if err != nil {
			return err
		}
		found[mode] = o
		table.Rows = append(table.Rows, []string{title(mode), fmt.Sprint(o.Calls), short(o.P50).String(), short(o.P99).String(), short(o.P999).String()})
	}
	s.report.Tables = append(s.report.Tables, table)
	ours, naive := found[callecho.Stream].Calls, found[callecho.Naive].Calls
	ratio := float64(ours) / float64(max(naive, 1))
	s.goals(report.Goal{
		Number: 7, What: "most calls with a p99 delay below 20 ms, the carrier on the same cores, against naive Go", Want: "≥ 2 ×", Section: "most",
		Ours: fmt.Sprint(ours), Peer: fmt.Sprint(naive), Ratio: times(ratio), Met: report.Reached(naive > 0 && ratio >= 2),
		Note: strings.TrimSpace(fmt.Sprintf("in steps of %d calls. The carrier's own work is in it: it costs as much whatever the server.", ramp.Step)),
	})
	return nil
}
