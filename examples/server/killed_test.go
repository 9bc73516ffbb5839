package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/servertest"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

var (
	rounds     = flag.Int("rounds", 3, "kill the server so often")
	roundsSeed = flag.Uint64("rounds.seed", 1, "of the first round")
)

const (
	// settleTime is how long after it was started again a server may take until
	// every call is over, in the store and at the carrier, on a busy machine. Tests in
	// virtual time want it within half a minute, of which the search for a call that
	// may have been placed takes nearly all.
	settleTime = 2 * time.Minute
	// mostLost is how much sound of a recording a kill may cost.
	mostLost = time.Second
	// roundsAtOnce is how many servers are tormented side by side.
	roundsAtOnce = 6
)

// kills counts what became of all rounds.
type kills struct {
	rounds, calls, dialed, live, recordings  atomic.Int64
	doubles, unsettled, standing, unplayable atomic.Int64
	slowest, mostMissing                     atomic.Int64
	moments                                  [momentKinds]atomic.Int64
}

// moment is when a server is killed.
type moment int

const (
	whenever       moment = iota // some time in the first seconds
	beforeTheReply               // while the carrier places a call, whose reply is never read
	afterTheReply                // as the reply arrives
	atThePlace                   // as the API answers, or is about to
	momentKinds
)

var momentNames = [momentKinds]string{"at some time", "before the reply to a dial", "after it", "as a call is asked for"}

// The server is killed, at any moment, with calls that are being placed, ring, are
// talked on and recorded. When it is started again, every call is settled in
// time, none has been dialed twice, none stands, a request that is made
// again is the same call, and the recordings play, but for the last moment.
func TestServerThatIsKilled(t *testing.T) {
	t.Parallel()
	binary := build(t)
	var k kills
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(roundsAtOnce, *rounds) {
		workers.Go(func() {
			v := newVictim(t, binary, &k)
			defer v.close()
			v.start()
			for n := next.Add(1); n <= int64(*rounds) && !t.Failed(); n = next.Add(1) {
				v.round(*roundsSeed + uint64(n) - 1)
			}
		})
	}
	workers.Wait()
	t.Logf("%d rounds, %d calls asked for, %d dialed, %d talked on as the server died, %d recordings",
		k.rounds.Load(), k.calls.Load(), k.dialed.Load(), k.live.Load(), k.recordings.Load())
	for m := range k.moments {
		t.Logf("killed %s: %d", momentNames[m], k.moments[m].Load())
	}
	t.Logf("double dials %d, calls not settled in time %d, legs left %d, recordings unplayable %d",
		k.doubles.Load(), k.unsettled.Load(), k.standing.Load(), k.unplayable.Load())
	t.Logf("settled after %v at most; %v of sound lost at most",
		time.Duration(k.slowest.Load()).Round(time.Millisecond), time.Duration(k.mostMissing.Load()))
}

// build builds the server.
func build(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "server")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// victim is a server in a process of its own that is killed again and again, and
// a carrier that lives on.
type victim struct {
	t       *testing.T
	kills   *kills
	binary  string
	dir     string
	address string   // host:port of the server
	env     []string // more variables
	carrier *sim.Carrier
	rest    *http.Server
	client  *http.Client
	process *exec.Cmd
	log     bytes.Buffer
	calls   int // asked for so far: each has a number of its own

	onCreate atomic.Pointer[func()] // called as the carrier is asked to place a call
}

func newVictim(t *testing.T, binary string, k *kills) *victim {
	t.Helper()
	v := &victim{t: t, kills: k, binary: binary, dir: t.TempDir(), client: &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}}
	v.carrier = sim.New(sim.Config{Faults: sim.Faults{Create: func(int) sim.CreateFault {
		if f := v.onCreate.Swap(nil); f != nil {
			(*f)()
		}
		return sim.CreateFault{}
	}}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return v
	}
	v.rest = &http.Server{Handler: v.carrier, ReadHeaderTimeout: 5 * time.Second, Addr: l.Addr().String()}
	go func() { _ = v.rest.Serve(l) }() // until it is closed
	v.address = freeAddress(t)
	return v
}

// freeAddress is where nobody listens, also while a server is dead.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := servertest.FreeAddress()
	if err != nil {
		t.Error(err)
	}
	return address
}

func (v *victim) close() {
	if v.process != nil {
		v.kill()
	}
	_ = v.carrier.Close()
	_ = v.rest.Close()
	v.client.CloseIdleConnections()
}

// start runs the server and waits until it says that it is ready.
func (v *victim) start() {
	v.process = exec.Command(v.binary)
	v.process.Env = append(os.Environ(),
		"LISTEN_ADDR="+v.address, "PROVIDERS=twilio", "TWILIO_API_URL=http://"+v.rest.Addr,
		"TWILIO_ACCOUNT_SID="+sim.DefaultAccountSID, "TWILIO_AUTH_TOKEN="+sim.DefaultAuthToken,
		"DATABASE_URL=sqlite:"+filepath.Join(v.dir, "calls.db"), "RECORDING_URL=file:"+filepath.Join(v.dir, "recordings"),
		"API_TOKENS=mine", "CALLS_PER_SECOND=100", "RING_TIMEOUT=5s", "MAX_DURATION=60s", "DEFAULT_AGENT=echo")
	v.process.Env = append(v.process.Env, v.env...)
	v.process.Stderr = &v.log
	stdout, err := v.process.StdoutPipe()
	if err != nil {
		v.t.Error(err)
		return
	}
	if err := v.process.Start(); err != nil {
		v.t.Error(err)
		return
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "Switchboard is ready.\n" {
		v.kill() // so that its log is complete
		v.t.Errorf("the server says %q, %v:\n%s", line, err, v.log.String())
	}
}

// kill ends the process as nothing else does.
func (v *victim) kill() {
	_ = v.process.Process.Kill()
	_ = v.process.Wait() // which says that it was killed
}

// asked is a call that was asked for.
type asked struct {
	key, number string
	id          string // empty if the server did not get to answer

	mu     sync.Mutex
	begun  time.Time // when the person began to talk, to somebody who hears it
	killed time.Time
}

// round places calls, kills the server, starts it again and judges.
func (v *victim) round(seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 0))
	v.kills.rounds.Add(1)
	m := moment(max(0, dice.IntN(2*int(momentKinds)-2)-int(momentKinds)+2)) // half of them whenever
	v.kills.moments[m].Add(1)
	wait := time.Duration(dice.IntN(3500)) * time.Millisecond
	calls := make([]*asked, 2+dice.IntN(3))
	chosen := dice.IntN(len(calls))
	died := make(chan struct{})
	var once sync.Once
	kill := func() {
		once.Do(func() {
			_ = v.process.Process.Kill()
			close(died)
		})
	}
	for i := range calls {
		v.calls++
		a := &asked{key: fmt.Sprintf("round %d call %d", seed, i), number: fmt.Sprintf("+1202555%04d", v.calls)}
		calls[i] = a
		b := sim.Behavior{Ring: time.Duration(dice.IntN(1000)) * time.Millisecond, Talk: a.talk}
		if dice.IntN(5) == 0 {
			b.Outcome = sim.Busy
		}
		v.carrier.Phone(a.number).Behave(b)
	}
	for i, a := range calls {
		if i == chosen {
			if m != whenever {
				<-time.After(time.Duration(dice.IntN(2500)) * time.Millisecond) // at any time of the others' lives
			}
			switch m {
			case beforeTheReply:
				v.onCreate.Store(&kill)
			case afterTheReply:
				later := func() { time.AfterFunc(time.Duration(dice.IntN(3000))*time.Microsecond, kill) }
				v.onCreate.Store(&later)
			case atThePlace:
				time.AfterFunc(time.Duration(dice.IntN(20_000))*time.Microsecond, kill)
			}
		}
		a.id, _ = v.place(a)
		v.kills.calls.Add(1)
	}
	select {
	case <-died:
	case <-time.After(wait):
		kill()
	}
	now := time.Now()
	_ = v.process.Wait()
	v.onCreate.Store(nil)
	for _, a := range calls {
		a.mu.Lock()
		a.killed = now
		if !a.begun.IsZero() {
			v.kills.live.Add(1)
		}
		a.mu.Unlock()
	}
	restarted := time.Now()
	v.start()
	for _, a := range calls {
		again, err := v.place(a)
		switch {
		case err != nil:
			v.t.Errorf("round %d: the same request again: %v", seed, err)
		case a.id != "" && again != a.id:
			v.t.Errorf("round %d: the same request is another call: %s and %s", seed, again, a.id)
		}
		a.id = again
	}
	v.settle(seed, calls, restarted)
	for _, a := range calls {
		v.listen(seed, a)
	}
}

// pattern is what people say: a scale whose every step tells its place.
const (
	patternStep  = 100 * time.Millisecond
	patternTones = 24
)

func patternTone(step int) float64 { return 400 + 100*float64(step%patternTones) }

// talk says the scale, for longer than servers live, and hangs up.
func (a *asked) talk(t *sim.Talk) {
	if t.WaitConnected(10*time.Second) != nil {
		return
	}
	a.mu.Lock()
	a.begun = time.Now()
	a.mu.Unlock()
	var pcm []int16
	for step := range 60 {
		w := 2 * math.Pi * patternTone(step) / 8000
		for i := range audio.Samples(patternStep, 8000) {
			pcm = append(pcm, int16(8000*math.Sin(w*float64(i))))
		}
	}
	_ = t.Say(audio.NewSamples(pcm, 8000)) // which fails if the call is over
	t.Hangup()
}

// place asks for a call.
func (v *victim) place(a *asked) (id string, err error) {
	body := fmt.Sprintf(`{"agent_id":"echo","to_phone":%q,"from_phone":"+12025550100","record_call":true}`, a.number)
	req, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+v.address+"/api/calls", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Idempotency-Key", a.key)
	req.Header.Set("Content-Type", "application/json")
	var c callView
	err = v.do(req, &c)
	return c.CallID, err
}

func (v *victim) do(req *http.Request, into any) error {
	req.Header.Set("Authorization", "Bearer mine")
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("HTTP %d: %s", resp.StatusCode, body)
	}
	return json.Unmarshal(body, into)
}

func (v *victim) view(id string) (c callView, err error) {
	req, err := http.NewRequest("GET", "http://"+v.address+"/api/calls/"+id, nil)
	if err == nil {
		err = v.do(req, &c)
	}
	return c, err
}

// reaches follows a call until it is in a state or beyond, or ctx ends, and
// returns the last state that was told.
func (v *victim) reaches(ctx context.Context, id string, state call.State) (last call.State, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+v.address+"/api/calls/"+id+"/events", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer mine")
	patient := http.Client{Transport: v.client.Transport} // as long as ctx lasts
	resp, err := patient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for e := range eventsOf(v.t, resp.Body) {
		if e.Type != "state" {
			continue
		}
		if last, err = call.ParseState(e.Status); err != nil || last >= state {
			return last, err
		}
	}
	return last, errors.Join(ctx.Err(), errors.New("the events have ended"))
}

// settle waits until every call is over and compares with the carrier's books.
func (v *victim) settle(seed uint64, calls []*asked, restarted time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), restarted.Add(settleTime))
	defer cancel()
	for _, a := range calls {
		if state, err := v.reaches(ctx, a.id, call.Completed); err != nil {
			v.kills.unsettled.Add(1)
			v.t.Errorf("round %d: %s is %v after %v (%v)", seed, a.id, state, time.Since(restarted), err)
		}
	}
	took := int64(time.Since(restarted))
	raise(&v.kills.slowest, took)
	dials := make(map[string]int)
	for _, k := range v.carrier.Calls() {
		dials[string(k.To)]++
		if dials[string(k.To)] == 2 {
			v.kills.doubles.Add(1)
			v.t.Errorf("round %d: a number was dialed twice", seed)
		}
		if !k.Status.Final() && k.Direction == telephony.Outbound {
			v.kills.standing.Add(1)
			v.t.Errorf("round %d: the carrier's call %s is left %v", seed, k.SID, k.Status)
		}
	}
	for _, a := range calls {
		v.kills.dialed.Add(int64(min(1, dials[a.number])))
	}
}

// listen plays the recording of a call.
func (v *victim) listen(seed uint64, a *asked) {
	a.mu.Lock()
	begun, killed := a.begun, a.killed
	a.mu.Unlock()
	c, err := v.view(a.id)
	if err != nil {
		v.t.Errorf("round %d: %v", seed, err)
		return
	}
	spoken := killed.Sub(begun)
	switch {
	case c.RecordingURL == nil && (begun.IsZero() || spoken < mostLost):
		return
	case c.RecordingURL == nil:
		v.kills.unplayable.Add(1)
		v.t.Errorf("round %d: %s has no recording, after %v of talk (%s, %s)", seed, a.id, spoken, c.Status, c.EndReason)
		return
	}
	v.kills.recordings.Add(1)
	heard, err := v.play(*c.RecordingURL)
	if err != nil {
		v.kills.unplayable.Add(1)
		v.t.Errorf("round %d: the recording of %s: %v", seed, a.id, err)
		return
	}
	if begun.IsZero() || begun.After(killed) { // it was placed when the server was there again
		return
	}
	lost := spoken - heard
	raise(&v.kills.mostMissing, int64(lost))
	if lost > mostLost {
		v.t.Errorf("round %d: of %v that were said on %s, %v are recorded", seed, spoken, a.id, heard)
	}
}

// play fetches a recording, has every player that is installed read it, and
// returns how much of the scale is on the caller's track, from its beginning and
// without a gap.
func (v *victim) play(address string) (time.Duration, error) {
	resp, err := v.client.Get(address)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("HTTP %d, %w", resp.StatusCode, err)
	}
	for _, player := range [][]string{{"sox", "-t", "wav", "-", "-n", "stat"}, {"ffprobe", "-v", "error", "-"}} {
		if _, err := exec.LookPath(player[0]); err != nil {
			continue
		}
		cmd := exec.Command(player[0], player[1:]...)
		cmd.Stdin = bytes.NewReader(data)
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w: %s", player[0], err, out)
		}
	}
	wav, err := audio.NewWAVReader(bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	var caller []int16
	for buf := make([]int16, 4096); ; {
		n, err := wav.ReadPCM(buf)
		for i := 0; i < n; i += wav.Channels() {
			caller = append(caller, buf[i])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	return scaleIn(caller), nil
}

// scaleIn is how far a track follows the scale.
func scaleIn(pcm []int16) time.Duration {
	const window = 160 // 20 ms
	step, seen := 0, 0 // which tone, and how much of it
	for ; len(pcm) >= window; pcm = pcm[window:] {
		tone := toneOf(pcm[:window])
		switch {
		case math.Abs(tone-patternTone(step)) < 40:
			seen++
		case math.Abs(tone-patternTone(step+1)) < 40:
			step++
			seen = 1
		}
	}
	return time.Duration(step)*patternStep + min(patternStep, time.Duration(seen)*20*time.Millisecond)
}

// toneOf tells a tone by its zero crossings.
func toneOf(pcm []int16) float64 {
	first, last, crossings := 0, 0, 0
	for i := 1; i < len(pcm); i++ {
		if (pcm[i-1] < 0) != (pcm[i] < 0) {
			if crossings == 0 {
				first = i
			}
			last = i
			crossings++
		}
	}
	if crossings < 3 {
		return 0
	}
	return 4000 * float64(crossings-1) / float64(last-first)
}

// raise makes most the greater of itself and n.
func raise(most *atomic.Int64, n int64) {
	for old := most.Load(); n > old; old = most.Load() {
		if most.CompareAndSwap(old, n) {
			return
		}
	}
}
