package callecho

import (
	"flag"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/bench/speech"
	"go.uber.org/goleak"
)

// TestMain is the server when a test starts one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		flags := flag.NewFlagSet("serve", flag.ExitOnError)
		mode := flags.String("mode", "", "")
		_ = flags.Parse(os.Args[2:])
		if err := Serve(Mode(*mode), os.Stdin, os.Stdout, ""); err != nil {
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func TestEveryServerReturnsEveryFrame(t *testing.T) {
	words, err := speech.Whole()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []Mode{TCP, Naive, Stream, Call, CallDry, FastAPI, Node} {
		if why := missing(mode); why != "" { // only of the servers of others
			t.Logf("%s is not tried: %s", mode, why)
			continue
		}
		t.Run(string(mode), func(t *testing.T) {
			s := &Starter{Peers: "peers"}
			run, err := s.Try(mode, Load{Calls: 3, Warm: 200 * time.Millisecond, Measure: 400 * time.Millisecond}, words)
			if err != nil {
				t.Fatal(err)
			}
			if run.Received == 0 || run.OutOfOrder != 0 || run.Unmatched != 0 || run.Failed != 0 {
				t.Errorf("%+v", run)
			}
			if run.CPU <= 0 {
				t.Errorf("a frame costs %v", run.CPU)
			}
		})
	}
}

// missing says why a server cannot be started here, if so.
func missing(mode Mode) string {
	switch mode {
	case FastAPI:
		if exec.Command("/usr/bin/python3", "-c", "import fastapi, uvicorn, websockets").Run() != nil {
			return "FastAPI is not installed"
		}
	case Node:
		if _, err := os.Stat("peers/node_modules/ws"); err != nil {
			return "ws is not installed"
		}
	}
	return ""
}

func TestIdleCallsHaveMemory(t *testing.T) {
	words, err := speech.Whole()
	if err != nil {
		t.Fatal(err)
	}
	f, err := (&Starter{}).Idle(Stream, 30, words)
	if err != nil {
		t.Fatal(err)
	}
	if f.Live <= 0 {
		t.Errorf("%+v", f)
	}
}

func TestMarksSurviveMuLaw(t *testing.T) {
	words, err := speech.Whole()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newScript(words)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []uint32{0, 1, 255, 4711, 1<<24 - 1} {
		var text [markText]byte
		markFrame(text[:], number)
		if got, ok := readMark(text[:]); !ok || got != number {
			t.Errorf("%d is read as %d, %v", number, got, ok)
		}
	}
	if _, ok := readMark([]byte(s[0])[:markText]); ok {
		t.Error("speech is taken for a mark")
	}
}

func TestCallsOfASoakEndInEveryWay(t *testing.T) {
	words, err := speech.Whole()
	if err != nil {
		t.Fatal(err)
	}
	looks := 0
	found, err := (&Starter{}).Soak(Soak{Calls: 20, Warm: time.Second, Span: 4 * time.Second, Settle: time.Second}, words,
		func(int64, Stats) { looks++ })
	if err != nil {
		t.Fatal(err)
	}
	if found.Broken != 0 || found.Calls == 0 || found.Calls != found.Stopped+found.Cut+found.HungUp {
		t.Errorf("%+v", found)
	}
	if looks == 0 || found.Before.Goroutines == 0 || found.After.Files == 0 {
		t.Errorf("%d looks, %+v", looks, found)
	}
}
