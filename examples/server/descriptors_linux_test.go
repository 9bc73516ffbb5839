package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// A server that has no file descriptors left goes on with its live call, which is
// heard and recorded to its end; what was asked for meanwhile is refused or settled;
// and with descriptors again it places calls again.
func TestServerWithoutDescriptors(t *testing.T) {
	t.Parallel()
	v := newVictim(t, build(t), new(kills))
	defer v.close()
	v.env = []string{"LOG_LEVEL=debug"}
	v.start()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	calls := make([]*asked, 3)
	for i := range calls {
		calls[i] = &asked{key: fmt.Sprint(i), number: fmt.Sprintf("+1202555010%d", i)}
		v.carrier.Phone(calls[i].number).Behave(sim.Behavior{Talk: calls[i].talk})
	}
	live, meanwhile, after := calls[0], calls[1], calls[2]
	var err error
	if live.id, err = v.place(live); err != nil {
		t.Fatal(err)
	}
	talk, err := v.carrier.Phone(live.number).NextTalk(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if state, err := v.reaches(ctx, live.id, call.Active); err != nil || state != call.Active {
		t.Fatalf("the call is %v, %v", state, err)
	}

	v.limitDescriptors(lowestFree(t, v.process.Process.Pid))
	var held []net.Conn
	for range 20 { // who find nobody that answers
		c, err := net.Dial("tcp", v.address)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		id, err := v.place(meanwhile)
		t.Logf("what was asked for meanwhile is %q, %v", id, err)
	}()
	<-talk.Done()
	over, heard := time.Now(), talk.Heard()
	v.limitDescriptors(1024) // soon: its recording waits for one
	<-answered
	if loud := loudShare(heard); loud < 0.5 { // it is an echo, but for the way there and back
		t.Errorf("%.0f %% of what was said came back", 100*loud)
	}

	for _, c := range held {
		_ = c.Close()
	}
	live.mu.Lock()
	live.killed = over
	live.mu.Unlock()
	relieved := time.Now()
	for _, a := range []*asked{meanwhile, after} {
		if a.id, err = v.place(a); err != nil {
			t.Fatalf("call %s: %v", a.key, err)
		}
	}
	v.settle(0, calls, relieved)
	v.listen(0, live)
	if c, err := v.view(after.id); err != nil || c.Status != "completed" {
		t.Errorf("the call after it is %+v, %v", c, err)
	}
	v.kill() // so that its log is complete
	if !strings.Contains(v.log.String(), "too many open files") {
		t.Error("there were descriptors left")
	}
}

// lowestFree is the descriptor that a process gets next.
func lowestFree(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	var used []int
	for _, e := range list {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		used = append(used, n)
	}
	free := 0
	for slices.Contains(used, free) {
		free++
	}
	return free
}

// limitDescriptors has the server's descriptors end below n.
func (v *victim) limitDescriptors(n int) {
	v.t.Helper()
	out, err := exec.Command("prlimit", fmt.Sprintf("--pid=%d", v.process.Process.Pid), fmt.Sprintf("--nofile=%d:", n)).CombinedOutput()
	if err != nil {
		v.t.Fatalf("%v: %s", err, out)
	}
}

// loudShare is how much of some sound is not silent.
func loudShare(pcm []int16) float64 {
	const frame = 160
	loud := 0
	for part := range slices.Chunk(pcm, frame) {
		if audio.RMS(part) > 1000 {
			loud++
		}
	}
	return float64(loud*frame) / float64(len(pcm))
}
