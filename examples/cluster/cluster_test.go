package cluster

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/internal/pgtest"
	"github.com/switchboard-voice/switchboard/internal/s3test"
	"github.com/switchboard-voice/switchboard/internal/servertest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestMain(m *testing.M) { s3test.Main(m) }

// patience is for a busy machine.
const patience = 3 * time.Minute

// replica is one of the servers, in a process of its own.
type replica struct {
	t       *testing.T
	address string
	process *exec.Cmd
	log     bytes.Buffer
}

func (r *replica) start(binary string, env []string) {
	r.process = exec.Command(binary)
	r.process.Env = append(env, "LISTEN_ADDR="+r.address, "CLUSTER_ADDRESS=http://"+r.address)
	r.process.Dir = r.t.TempDir()
	r.process.Stderr = &r.log
	stdout, err := r.process.StdoutPipe()
	if err == nil {
		err = r.process.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "Switchboard is ready.\n" {
		r.kill()
		r.t.Fatalf("the server says %q, %v:\n%s", line, err, r.log.String())
	}
}

func (r *replica) kill() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait() // which says that it was killed
}

// told is what server.env tells, with its hosts and secrets replaced.
func told(t *testing.T, replace map[string]string) []string {
	t.Helper()
	file, err := os.ReadFile("server.env")
	if err != nil {
		t.Fatal(err)
	}
	env := os.Environ()
	for line := range strings.Lines(string(file)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if other, ok := replace[name]; ok {
			value = other
			delete(replace, name)
		}
		env = append(env, name+"="+value)
	}
	for name, value := range replace {
		env = append(env, name+"="+value)
	}
	return env
}

// town is a balancer with servers behind it, and a carrier.
type town struct {
	t        *testing.T
	carrier  *sim.Carrier
	balancer *httptest.Server
	first    atomic.Pointer[replica] // who gets what comes
	client   *http.Client
}

// ask sends a request to the servers. It reports false if they do not answer as
// they are to, which may change.
func (w *town) ask(method, path, body string, status int, into any) bool {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.balancer.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer mine")
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode == status && json.NewDecoder(resp.Body).Decode(into) == nil
}

// until asks again and again until it is so.
func (w *town) until(what string, so func() bool) {
	w.t.Helper()
	for began := time.Now(); !so(); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > patience {
			w.t.Fatalf("after %v: not %s", patience, what)
		}
	}
}

// record is what the servers tell of a call.
type record struct {
	CallID       string `json:"call_id"`
	Status       string `json:"status"`
	EndReason    string `json:"end_reason"`
	RecordingURL string `json:"recording_url"`
}

// talk places a call, and returns it and the person at the other end, who is
// heard.
func (w *town) talk(number string) (id string, talk *sim.Talk) {
	w.t.Helper()
	var c record
	w.until("placed", func() bool { // a server that has lost its lease for a moment takes none
		return w.ask("POST", "/api/calls", `{"agent_id":"echo","record_call":true,"to_phone":"`+number+`","from_phone":"+12025550100"}`, 201, &c)
	})
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	talk, err := w.carrier.Phone(number).NextTalk(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.until("heard", func() bool { return heard(w.t, talk) })
	return c.CallID, talk
}

// heard reports whether somebody who says something hears the echo.
func heard(t *testing.T, talk *sim.Talk) bool {
	t.Helper()
	select {
	case <-talk.Done():
		t.Fatalf("the call is over: %v", talk.Err())
	default:
	}
	if err := talk.Say(audio.NewSamples(audiotest.Tone(600, 500*time.Millisecond, 8000), 8000)); err != nil {
		return false
	}
	return slices.ContainsFunc(talk.Listen(time.Second), func(s int16) bool { return s > 1000 })
}

// Of two servers each has a call. One is killed. The other's call goes on, and is
// recorded to the bucket; that of the one that died is settled; and who is called
// next is heard.
func TestCallSurvivesTheDeathOfTheOtherServer(t *testing.T) {
	s3, database := s3test.Start(t), pgtest.Start(t).Schema(t) // the servers end with this process
	w := &town{t: t, carrier: sim.New(sim.Config{}), client: &http.Client{Transport: &http.Transport{}}}
	rest := httptest.NewServer(w.carrier)
	w.balancer = httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: w.first.Load().address})
	}})
	t.Cleanup(func() {
		_ = w.carrier.Close() // it hangs up first
		rest.Close()
		w.balancer.Close()
		w.client.CloseIdleConnections()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() // of the balancer
	})
	binary := filepath.Join(t.TempDir(), "server")
	if out, err := exec.Command("go", "build", "-o", binary, "../server").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bucket := s3.Bucket(t)
	replicas := make([]*replica, 2)
	for i := range replicas {
		address, err := servertest.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		r := &replica{t: t, address: address}
		replicas[i] = r
		r.start(binary, told(t, map[string]string{
			"PUBLIC_URL": w.balancer.URL, "API_TOKENS": "mine", "DATABASE_URL": database,
			"RECORDING_URL": fmt.Sprintf("s3://%s/calls?region=%s&endpoint=%s&path_style=true&spool=spool&local=recordings",
				bucket, s3test.Region, url.QueryEscape(s3.URL())),
			"AWS_ACCESS_KEY_ID": s3test.AccessKeyID, "AWS_SECRET_ACCESS_KEY": s3test.SecretAccessKey,
			"PROVIDERS": "twilio", "TWILIO_API_URL": rest.URL, "TWILIO_ACCOUNT_SID": sim.DefaultAccountSID, "TWILIO_AUTH_TOKEN": sim.DefaultAuthToken,
		}))
		t.Cleanup(r.kill)
		t.Cleanup(func() {
			if t.Failed() {
				r.kill() // so that its log is complete
				t.Logf("%s:\n%s", r.address, r.log.String())
			}
		})
	}
	one, two := replicas[0], replicas[1]

	w.first.Store(two)
	lost, gone := w.talk("+12025550102")
	w.first.Store(one)
	kept, alive := w.talk("+12025550101")

	two.kill()
	<-gone.Done()
	w.until("heard, on the call of the other", func() bool { return heard(t, alive) })
	var c record
	w.until("settled", func() bool { return w.ask("GET", "/api/calls/"+lost, "", 200, &c) && c.Status == "completed" })
	t.Logf("the call of the server that was killed has ended: %s", c.EndReason)
	_, another := w.talk("+12025550103")
	another.Hangup()

	alive.Hangup()
	w.until("over", func() bool { return w.ask("GET", "/api/calls/"+kept, "", 200, &c) && c.Status == "completed" })
	if c.EndReason != "hangup_remote" {
		t.Errorf("the call that went on has ended: %s", c.EndReason)
	}
	w.until("in the bucket", func() bool {
		return w.ask("GET", "/api/calls/"+kept+"/recording", "", 200, &c) && strings.HasPrefix(c.RecordingURL, s3.URL())
	})
	resp, err := w.client.Get(c.RecordingURL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	wav, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	channels, rate, err := audio.ReadWAV(bytes.NewReader(wav))
	if err != nil || len(channels) != 2 {
		t.Fatalf("the recording has %d channels, %v", len(channels), err)
	}
	for i, side := range []string{"caller", "agent"} {
		if !slices.ContainsFunc(channels[i], func(s int16) bool { return s > 1000 }) {
			t.Errorf("the %s is not in the recording of %v", side, audio.Duration(len(channels[i]), rate))
		}
	}
}

// Both servers of compose.yaml are told what the test tells, and the versions are
// those of the module.
func TestComposeFileIsOfThisModule(t *testing.T) {
	compose, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(module), "\ngo ")
	version = version[:strings.LastIndex(version[:strings.Index(version, "\n")], ".")]
	_, gateway, _ := strings.Cut(string(makefile), "VERSITYGW   = ")
	gateway, _, _ = strings.Cut(gateway, "\n")
	for _, want := range []string{"image: golang:" + version + "\n", gateway, "env_file: server.env", "http://one.test:8010", "http://two.test:8010", "reverse_proxy one.test:8010 two.test:8010", "lb_policy first"} {
		if !strings.Contains(string(compose), want) {
			t.Errorf("compose.yaml has no %q", want)
		}
	}
}
