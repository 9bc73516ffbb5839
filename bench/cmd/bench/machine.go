package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// intro says what was measured, when and where.
func intro(s *session) string {
	length := fmt.Sprintf("a full run of %v", time.Since(s.begin).Round(time.Second))
	if s.quick {
		length = fmt.Sprintf("a quick run of %v, whose figures are rough", time.Since(s.begin).Round(time.Second))
	}
	return fmt.Sprintf(`# Performance

Measured on %s with `+"`bench/run.sh`"+`, in %s. Every goal is a ratio to something else that was
measured in the same run, by turns: on another machine the nanoseconds differ, the ratios hardly.

- Machine: %s, %d cores, shared by the server and the carrier that calls it; Linux %s.
- Load by others when it began: %s (the load average of five minutes). On a quiet machine the ratios are good to
  about ±10 %%; on a busy one delays mean nothing and the ratios little.
- Versions: %s.
`, time.Now().UTC().Format("2 January 2006"), length, processor(), runtime.NumCPU(), kernel(), s.load, strings.Join(versions(), ", "))
}

const outro = `## How

Processor time is the kernel's count for the process, to the nanosecond; of single deeds that of many
repetitions, by turns with the peers, as the median of the rounds' ratios. Allocations are the runtime's count.

The echo: a carrier in a process of its own speaks Twilio's media protocol over loopback, 50 frames a second
for each call, the calls spread evenly over 20 ms, with speech as audio. Each server takes every frame to
samples and back and returns it. A frame is one message in and one out. The delay runs from before the
carrier's write to after its read and includes the carrier's own waking up; its frames bear numbers in their audio,
by which they are recognised. The servers:

- *bare TCP*: as many bytes in and out, without any protocol: the floor.
- *naive Go*: gorilla/websocket, encoding/json, encoding/base64 and zaf/g711 in the handler, as their documentation shows.
- *package stream*: this library's media path: paced, with timeline, marks and position kept.
- *whole product*: this library's service with agent, speech detector, recording to disk and a reader of events.
- *FastAPI*: with uvicorn, uvloop, httptools and websockets. *Node ws*: as its documentation shows. Each in one process.

The cost of a frame falls with the number of calls, since they share wake-ups: compare within a table only.

%s

The soak keeps 200 calls up, which last ten seconds in the mean, and begin anew: the carrier says stop, closes, or
cuts the socket; the product hangs up, or its agent is done. The network stalls now and then, a fifth of the calls
never returns a mark. Before and after, when no call is there, the server's goroutines, descriptors and live heap are
counted, after a collection of garbage.

## What was dropped

- A deadline for each message that is written, a change of a timer every 20 ms: one in half a second does.
- gorilla's frames beyond the handshake: an allocation for each message and, with its buffers, 4 KiB a call.
- A goroutine that waits to write on each stream: 4 KiB a call.
- Memory that all streams share for the samples shown to handlers: it would save 1 KiB a call, no time, and let a
  handler that keeps what it was lent hear another call.
- Ten seconds of a recording in memory, 320 KiB a call: to touch them for the first time cost more than the file.
- Not tried: to ask the kernel only when there is something to read. A read that finds nothing is one of three system
  calls a frame, of bare TCP's too, but Go's poller would miss an end that came together with the last bytes.
`

// how says which server had which cores.
func how(s *session) string {
	if !s.apart {
		return `Server and carrier shared all cores: the kernel would not give them one each.`
	}
	return fmt.Sprintf(`Up to %d calls, every server is confined to one core and the carrier to another: a call a core means just that, and
Go has one thread that runs, as Node and Python have. More calls, and the search for the most, have all cores, which
the carrier shares.`, mostApart)
}

func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "of an unknown version"
	}
	release := unix.ByteSliceToString(u.Release[:])
	number, _, _ := strings.Cut(release, "-")
	return number
}

// loadAverage is that of the last five minutes.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) > 1 {
		return fields[1]
	}
	return "unknown"
}

// versions are those of the peers.
func versions() []string {
	all := []string{strings.Replace(runtime.Version(), "go", "Go ", 1)}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			name := strings.TrimPrefix(m.Path, "github.com/")
			if slices.Contains([]string{"gorilla/websocket", "zaf/g711", "valyala/fastjson", "tphakala/go-audio-resampler", "maxhawkins/go-webrtcvad"}, name) {
				all = append(all, name+" "+m.Version)
			}
		}
	}
	for _, tool := range []struct{ name, program, arg1, arg2 string }{
		{"Python", "/usr/bin/python3", "-c", "import platform; print(platform.python_version())"},
		{"FastAPI", "/usr/bin/python3", "-c", "import fastapi; print(fastapi.__version__)"},
		{"uvicorn", "/usr/bin/python3", "-c", "import uvicorn; print(uvicorn.__version__)"},
		{"Node", "node", "-p", "process.versions.node"},
		{"spandsp", "pkg-config", "--modversion", "spandsp"},
	} {
		if out, err := exec.Command(tool.program, tool.arg1, tool.arg2).Output(); err == nil {
			all = append(all, tool.name+" "+strings.TrimSpace(string(out)))
		}
	}
	return append(all, "ws "+wsVersion)
}

// wsVersion is that of peers/package.json.
const wsVersion = "8.23.0"
