package callecho

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

// A Mode is a kind of server.
type Mode string

// The modes.
const (
	TCP     Mode = "tcp"     // as many bytes, without any protocol
	Naive   Mode = "naive"   // gorilla/websocket, encoding/json, encoding/base64, zaf/g711
	Stream  Mode = "stream"  // the library's package stream
	Call    Mode = "call"    // the library's service, with agent, recording and events
	CallDry Mode = "calldry" // the same without recording

	Restless Mode = "restless" // the same with recording, and an agent that does not echo only
	FastAPI  Mode = "fastapi"  // peers/fastapi_echo.py
	Node     Mode = "node"     // peers/node_echo.mjs
)

// Stats are what a server tells of itself. Those that are not in Go tell
// nothing.
type Stats struct {
	Mallocs    uint64 // objects allocated so far
	TotalAlloc uint64 // bytes allocated so far
	InUse      uint64 // bytes of spans of the heap and of stacks
	Live       uint64 // bytes of objects and stacks
	Stacks     uint64 // bytes of stacks
	Goroutines int
}

// Serve is the process of a server. It serves on a free port of loopback, tells
// the address in a line on out, answers each line of in with its Stats as JSON,
// after a garbage collection if the line is "gc", and ends with in. With a
// profile it writes one of its processor time to that file.
func Serve(mode Mode, in io.Reader, out io.Writer, profile string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop, err := serve(mode, l)
	if err != nil {
		return err
	}
	defer stop()
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	fmt.Fprintln(out, l.Addr())
	lines := bufio.NewScanner(in)
	reply := json.NewEncoder(out)
	for lines.Scan() {
		if lines.Text() == "gc" {
			runtime.GC()
			runtime.GC() // what finalizers and pools held on to goes with the second
		}
		if err := reply.Encode(readStats()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func readStats() Stats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Stats{
		Mallocs: m.Mallocs, TotalAlloc: m.TotalAlloc,
		InUse: m.HeapInuse + m.StackInuse, Live: m.HeapAlloc + m.StackInuse, Stacks: m.StackInuse,
		Goroutines: runtime.NumGoroutine(),
	}
}

// serve starts to serve and returns what ends it.
func serve(mode Mode, l net.Listener) (stop func(), err error) {
	switch mode {
	case TCP:
		go serveTCP(l)
		return func() { _ = l.Close() }, nil // the process ends with it
	case Naive:
		return serveHTTP(l, naive{}), nil
	case Stream:
		return serveHTTP(l, newStreams()), nil
	case Call, CallDry, Restless:
		p, err := newProduct("http://"+l.Addr().String(), mode)
		if err != nil {
			return nil, err
		}
		stopHTTP := serveHTTP(l, p)
		return func() { p.close(); stopHTTP() }, nil
	}
	return nil, fmt.Errorf("no server is called %q", mode)
}

func serveHTTP(l net.Listener, h http.Handler) (stop func()) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends with ErrServerClosed
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // connections that were taken over are not its concern
		<-done
	}
}

// path is where a server of this mode takes media streams.
func (m Mode) path() string {
	switch m {
	case Call, CallDry, Restless:
		return "/ws/stream/twilio/echo"
	}
	return "/"
}
