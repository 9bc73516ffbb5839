package sqlstore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/switchboard-voice/switchboard/call"
)

const (
	victimEnv     = "SQLSTORE_TEST_VICTIM"
	victimWriters = 4
	victimWrites  = 5 // of one call, its Create included
)

// victim writes calls into the store at address until it is killed. Each write
// that has returned it tells on standard output: "<call> <version>".
func victim(address string) {
	s, err := Open(context.Background(), address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	var (
		writers sync.WaitGroup
		mu      sync.Mutex // guards standard output
		failed  = make(chan error, victimWriters)
	)
	for w := range victimWriters {
		writers.Go(func() {
			for n := 0; ; n++ {
				c := sample(fmt.Sprintf("call-%d-%d", w, n))
				for c.Version = 1; c.Version <= victimWrites; c.Version++ {
					if err := put(s, c); err != nil {
						failed <- err
						return
					}
					mu.Lock()
					_, err := fmt.Printf("%s %d\n", c.ID, c.Version)
					mu.Unlock()
					if err != nil {
						failed <- err
						return
					}
				}
			}
		})
	}
	writers.Wait() // never, unless writes fail
	fmt.Fprintln(os.Stderr, <-failed)
}

// put writes c with one event for its version.
func put(s *Store, c *call.Call) error {
	events := []call.Event{{CallID: c.ID, Seq: c.Version, At: c.CreatedAt, Type: call.EventState}}
	if c.Version > 1 {
		return s.Update(context.Background(), c, events)
	}
	existing, err := s.Create(context.Background(), c, events)
	if existing != nil {
		return fmt.Errorf("%s is there already", c.ID)
	}
	return err
}

func TestStoreSurvivesKill(t *testing.T) {
	for _, writes := range []int{1, 50, 400} { // acknowledged before the kill
		onEach(t, func(t *testing.T, address string) {
			acked := killAfter(t, address, writes)
			s := mustOpen(t, address)
			for id, version := range acked {
				c, err := s.Get(t.Context(), id)
				if err != nil {
					t.Fatalf("%s was acknowledged in version %d: %v", id, version, err)
				}
				if c.Version < version || c.Version > version+1 {
					t.Errorf("%s is there in version %d, the last acknowledged is %d", id, c.Version, version)
				}
				events, err := s.Events(t.Context(), id, 0)
				if err != nil || int64(len(events)) != c.Version {
					t.Errorf("%s in version %d has %d events, %v", id, c.Version, len(events), err)
				}
			}
			if !s.db.Postgres() {
				var verdict string
				if err := s.db.Write.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
					t.Errorf("integrity check: %s, %v", verdict, err)
				}
			}
			t.Logf("%d calls acknowledged after %d writes", len(acked), writes)
		})
	}
}

// killAfter starts a victim, kills it after that many writes and returns the last
// version of each call that it has acknowledged.
func killAfter(t *testing.T, address string, writes int) map[string]int64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+address)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := make(map[string]int64)
	lines := bufio.NewScanner(stdout)
	for n := 1; lines.Scan(); n++ { // to the end: what it wrote before it died counts
		id, number, _ := strings.Cut(lines.Text(), " ")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatalf("victim wrote %q", lines.Text())
		}
		acked[id] = version
		if n == writes {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the victim was not killed: %v\n%s", err, stderr.String())
	}
	return acked
}
