package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/internal/s3test"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestMain(m *testing.M) { s3test.Main(m) }

// running is a server at work on loopback, and a client of it.
type running struct {
	*server
	t      *testing.T
	client *http.Client
}

// start runs a server with these variables, in memory if they do not say
// otherwise, until the test ends.
func start(t *testing.T, variables ...string) *running {
	t.Helper()
	env := from(append(variables,
		"LISTEN_ADDR", "127.0.0.1:0", "DATABASE_URL", "memory:", "RECORDING_URL", "file:"+t.TempDir(),
		"API_TOKENS", "mine,acme=theirs")...)
	cfg, err := parseSettings(nil, env)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.http.Handler = newContract(t, s.http.Handler)
	served := make(chan error, 1)
	go func() { served <- s.serve(context.Background()) }()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.drain(ctx)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := s.close(); err != nil {
			t.Errorf("close: %v", err)
		}
		client.CloseIdleConnections()
	})
	return &running{server: s, t: t, client: client}
}

// ask sends a request with a token, if it is not empty. An address that does not
// begin with http is below the public URL.
func (r *running) ask(token, method, address, body string) *http.Response {
	r.t.Helper()
	if !strings.HasPrefix(address, "http") {
		address = r.url + address
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// answer is the body of an answer that is expected to have that status.
func (r *running) answer(resp *http.Response, status int) []byte {
	r.t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != status {
		r.t.Fatalf("%s %s: status %d, want %d; body %s", resp.Request.Method, resp.Request.URL, resp.StatusCode, status, body)
	}
	return body
}

func (r *running) json(resp *http.Response, status int, v any) {
	r.t.Helper()
	if body := r.answer(resp, status); json.Unmarshal(body, v) != nil {
		r.t.Fatalf("%s: body %s", resp.Request.URL, body)
	}
}

type callView struct {
	CallID       string  `json:"call_id"`
	Status       string  `json:"status"`
	EndReason    string  `json:"end_reason"`
	RecordingURL *string `json:"recording_url"`
	Transcript   []struct{ Speaker, Text string }
}

// place places a call.
func (r *running) place(body string) string {
	r.t.Helper()
	var c callView
	r.json(r.ask("mine", "POST", "api/calls", body), http.StatusCreated, &c)
	return c.CallID
}

// eventView is what tests read of an event.
type eventView struct {
	CallID             string `json:"call_id"`
	Type, Status, Name string
	Segment            struct{ Text string }
}

// eventsOf are the events of a stream, until it ends.
func eventsOf(t *testing.T, stream io.Reader) iter.Seq[eventView] {
	return func(yield func(eventView) bool) {
		for lines := bufio.NewScanner(stream); lines.Scan(); {
			data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
			if !ok {
				continue
			}
			var e eventView
			if err := json.Unmarshal(data, &e); err != nil {
				t.Errorf("event %s: %v", data, err)
				return
			}
			if !yield(e) {
				return
			}
		}
	}
}

// follow returns the status words of a call up to its end, or up to last.
func (r *running) follow(id string, last ...string) []string {
	r.t.Helper()
	resp := r.ask("mine", "GET", "api/calls/"+id+"/events", "")
	defer resp.Body.Close()
	var words []string
	for e := range eventsOf(r.t, resp.Body) {
		if e.Type == "state" {
			words = append(words, e.Status)
		}
		if slices.Contains(last, e.Status) {
			return words
		}
	}
	if _, err := r.svc.Wait(r.t.Context(), id); err != nil { // its last event is told a moment before it is over
		r.t.Fatal(err)
	}
	return words
}

// seedCall is a request as the first users of this API send it.
const seedCall = `{
	"agent_id": "receptionist",
	"to_phone": "+1234567890",
	"from_phone": "+12025550100",
	"customer_data": {"name": "John Doe", "order_id": "ORD-456"},
	"metadata": {"campaign": "spring"},
	"record_call": true,
	"record_storage": "local",
	"timeout_seconds": 300
}`

// hasty answers at once, asks for the opening hours and says goodbye.
var hasty = sim.Behavior{Ring: 100 * time.Millisecond, Talk: func(p *sim.Talk) {
	_ = p.WaitSpeech(5 * time.Second)
	_ = p.Say(prompts["hello"].sound())
	_ = p.Press("9")
}}

func TestPlacedCallFromItsBeginningToItsRecording(t *testing.T) {
	t.Parallel()
	r := start(t, "DATABASE_URL", "sqlite:"+t.TempDir()+"/calls/calls.db")
	r.carrier.Otherwise(hasty)
	id := r.place(seedCall)

	words := r.follow(id)
	want := []string{"initiated", "connecting", "connected", "active", "ending", "completed"}
	if !slices.Equal(words, want) {
		t.Errorf("statuses %v, want %v", words, want)
	}

	var c callView
	r.json(r.ask("mine", "GET", "api/calls/"+id, ""), 200, &c)
	if c.Status != "completed" || c.EndReason != "agent_done" || c.RecordingURL == nil {
		t.Errorf("call %+v", c)
	}
	r.json(r.ask("mine", "GET", "api/calls/"+id+"/transcript", ""), 200, &c)
	if n := len(c.Transcript); n == 0 || c.Transcript[n-1].Speaker != "agent" || c.Transcript[n-1].Text != prompts["goodbye"].words {
		t.Errorf("transcript %+v, want the goodbye at its end", c.Transcript)
	}

	var kept struct {
		URL  string `json:"recording_url"`
		Size int    `json:"size_bytes"`
	}
	r.json(r.ask("mine", "GET", "api/calls/"+id+"/recording", ""), 200, &kept)
	wav := r.answer(r.ask("", "GET", kept.URL, ""), 200)
	if len(wav) != kept.Size {
		t.Errorf("the recording has %d bytes, want %d", len(wav), kept.Size)
	}
	channels, rate, err := audio.ReadWAV(bytes.NewReader(wav))
	if err != nil || len(channels) != 2 || rate != 8000 {
		t.Fatalf("the recording has %d channels at %d Hz, %v", len(channels), rate, err)
	}
	for i, name := range []string{"hello", "goodbye"} { // the caller left, the agent right
		if share, _ := heardShare(prompts[name].pcm, channels[i]); share < 0.7 {
			t.Errorf("%.0f %% of %q is in channel %d", 100*share, name, i)
		}
	}
	r.answer(r.ask("", "GET", strings.Split(kept.URL, "?")[0], ""), 403)

	r.answer(r.ask("mine", "DELETE", "api/calls/"+id, ""), 204)
	r.answer(r.ask("mine", "GET", "api/calls/"+id, ""), 404)
	r.answer(r.ask("", "GET", kept.URL, ""), 404)
}

func TestInboundCallerHearsTheWholeGoodbyeBeforeTheEnd(t *testing.T) {
	t.Parallel()
	r := start(t)
	talk, err := r.carrier.Phone("+12025550199").Call(t.Context(), ownNumber)
	if err != nil {
		t.Fatal(err)
	}
	if err := talk.WaitSpeech(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	_ = talk.Press("9")
	<-talk.Done()

	if by := talk.HungUpBy(); by != sim.ByCallee {
		t.Errorf("hung up by %s, want by the agent", by)
	}
	share, end := heardShare(prompts["goodbye"].pcm, talk.Heard())
	if share < 0.7 || end < 0 {
		t.Errorf("%.0f %% of the goodbye was heard, its last word until sample %d", 100*share, end)
	}

	// Calls that come in are those of the tenant without a name.
	var list struct{ Calls []callView }
	r.json(r.ask("mine", "GET", "api/calls?direction=inbound", ""), 200, &list)
	if len(list.Calls) != 1 {
		t.Fatalf("calls %+v, want one", list.Calls)
	}
	words := r.follow(list.Calls[0].CallID)
	if len(words) == 0 || words[len(words)-1] != "completed" {
		t.Errorf("statuses %v, want completed at the end", words)
	}
}

// A caller interrupts the greeting, asks for somebody who is busy, is told so,
// and says goodbye: over real sockets, whichever carrier it is.
func TestCallerWhomNobodyTakesIsBackOnEachDialect(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"twilio", "plivo"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			r := start(t, "SIM_DIALECT", dialect, "TRANSFER_TO", "+12025550142")
			r.carrier.Phone("+12025550142").Behave(sim.Behavior{Outcome: sim.Busy, Ring: 100 * time.Millisecond})
			talk, err := r.carrier.Phone("+12025550199").Call(t.Context(), ownNumber)
			if err != nil {
				t.Fatal(err)
			}
			_ = talk.WaitSpeech(10 * time.Second)
			var list struct{ Calls []callView }
			r.json(r.ask("mine", "GET", "api/calls", ""), 200, &list)
			id := list.Calls[0].CallID
			_ = talk.Say(prompts["hello"].sound())
			_ = talk.Press("0")
			before := r.await(id, "transcript "+prompts["busy"].words)
			_ = talk.Press("9")
			<-talk.Done()

			for _, want := range []string{"interruption speech", "key", "transcript " + prompts["connect"].words, "move transfer", "agent transfer failed", "move back"} {
				if !slices.Contains(before, want) {
					t.Errorf("no %q among the events %q", want, before)
				}
			}
			for _, name := range []string{"busy", "goodbye"} {
				if share, _ := heardShare(prompts[name].pcm[:8000], talk.Heard()); share < 0.5 {
					t.Errorf("%.0f %% of how %q begins was heard", 100*share, name)
				}
			}
			if words := r.follow(id); words[len(words)-1] != "completed" {
				t.Errorf("statuses %v, want completed at the end", words)
			}
		})
	}
}

// await returns the events of a call up to one, or up to the end: each as its
// type and its name or what was said.
func (r *running) await(id, last string) []string {
	r.t.Helper()
	resp := r.ask("mine", "GET", "api/calls/"+id+"/events", "")
	defer resp.Body.Close()
	var all []string
	for e := range eventsOf(r.t, resp.Body) {
		all = append(all, strings.TrimSpace(e.Type+" "+e.Name+e.Segment.Text))
		if slices.Contains(all, last) {
			break
		}
	}
	return all
}

// An operator transfers a caller over the API, and sees in the events how it
// goes on, whichever carrier it is.
func TestOperatorTransfersACallerOnEachDialect(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"twilio", "plivo"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			r := start(t, "SIM_DIALECT", dialect)
			r.carrier.Phone("+12025550123").Behave(sim.Behavior{})
			r.carrier.Phone("+12025550142").Behave(sim.Behavior{Talk: func(k *sim.Talk) {
				k.Listen(500 * time.Millisecond)
				k.Hangup()
			}})
			id := r.place(`{"agent_id":"receptionist","to_phone":"+12025550123","from_phone":"+12025550100"}`)
			r.follow(id, "active")
			var held struct {
				OnHold bool `json:"on_hold"`
			}
			r.json(r.ask("mine", "POST", "api/calls/"+id+"/hold", ""), 200, &held)
			if !held.OnHold {
				t.Error("the caller is not on hold")
			}
			r.json(r.ask("mine", "POST", "api/calls/"+id+"/resume", ""), 200, &held)
			r.answer(r.ask("mine", "POST", "api/calls/"+id+"/dtmf", `{"digits":"7"}`), 202)
			if dialect == "twilio" { // whose calls leave their streams for keys
				r.await(id, "move back")
			}
			r.answer(r.ask("mine", "POST", "api/calls/"+id+"/transfer", `{"to_phone":"+12025550142"}`), 202)
			events := r.await(id, "")
			var c callView
			r.json(r.ask("mine", "GET", "api/calls/"+id, ""), 200, &c)
			if c.Status != "completed" || c.EndReason != "transferred" {
				t.Errorf("call %+v", c)
			}
			for _, want := range []string{"hold on", "hold off", "move transfer"} {
				if !slices.Contains(events, want) {
					t.Errorf("no %q among the events %q", want, events)
				}
			}
		})
	}
}

// heardShare is how much of what was said is found in what was heard, in order,
// and where the last of it ends: -1 if the last is missing. It looks for pieces
// of a fifth of a second, because a busy machine makes real time stutter; the
// tests in virtual time want all in one piece.
func heardShare(said, heard []int16) (share float64, end int) {
	const piece = 1600
	loud, found, at := 0, 0, 0
	end = -1
	for ; len(said) >= piece; said = said[piece:] {
		if peak(said[:piece]) < 1000 {
			continue
		}
		loud++
		offset, likeness := audiotest.Align(said[:piece], heard[at:])
		if end = -1; likeness < 0.8 || offset < 0 || at+offset+piece > len(heard) {
			continue
		}
		found++
		at += offset + piece
		end = at
	}
	return float64(found) / float64(max(1, loud)), end
}

func peak(pcm []int16) int {
	loudest := 0
	for _, s := range pcm {
		loudest = max(loudest, int(s), -int(s))
	}
	return loudest
}

func TestNumbersOfTheFirstUsers(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.carrier.Otherwise(sim.Behavior{Outcome: sim.Busy})
	id := r.place(`{"agent_id":"echo","to_phone":"+1234567890","from_phone":"+12025550100"}`)
	if words := r.follow(id); len(words) == 0 || words[len(words)-1] != "busy" {
		t.Errorf("statuses %v, want busy at the end", words)
	}
	for _, body := range []string{
		`{"agent_id":"echo","to_phone":"+0987654321","from_phone":"+12025550100"}`,
		`{"agent_id":"echo","to_phone":"+1234567890","from_phone":"+0987654321"}`,
	} {
		var problem struct{ Type string }
		r.json(r.ask("mine", "POST", "api/calls", body), 400, &problem)
		if !strings.HasSuffix(problem.Type, ":invalid_phone_number") {
			t.Errorf("problem %q, want invalid_phone_number", problem.Type)
		}
	}
}

func TestIntrudersChangeNothing(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.carrier.Otherwise(sim.Behavior{}) // answers and listens
	id := r.place(`{"agent_id":"echo","to_phone":"+1234567890","from_phone":"+12025550100"}`)
	r.follow(id, "active")

	form := url.Values{"CallSid": {"CA00000000000000000000000000000001"}, "CallStatus": {"completed"}, "AccountSid": {r.carrier.AccountSID()}}.Encode()
	forge := func(path string) int {
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+path, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Twilio-Signature", "Zm9yZ2VkIGZvcmdlZCBmb3JnZWQh")
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	tests := []struct {
		name   string
		status int
		try    func() int
	}{
		{"no token", 401, func() int { return r.status("", "GET", "api/calls/"+id, "") }},
		{"a wrong token", 401, func() int { return r.status("min", "POST", "api/calls/"+id+"/disconnect", "") }},
		{"a wrong token places a call", 401, func() int { return r.status("wrong", "POST", "api/calls", seedCall) }},
		{"a foreign tenant looks", 404, func() int { return r.status("theirs", "GET", "api/calls/"+id, "") }},
		{"a foreign tenant listens", 404, func() int { return r.status("theirs", "GET", "api/calls/"+id+"/events", "") }},
		{"a foreign tenant hangs up", 404, func() int { return r.status("theirs", "POST", "api/calls/"+id+"/disconnect", "") }},
		{"a foreign tenant erases", 404, func() int { return r.status("theirs", "DELETE", "api/calls/"+id, "") }},
		{"a forged report", 403, func() int { return forge("webhook/sim/status/" + id) }},
		{"a forged call", 403, func() int { return forge("webhook/sim/incoming") }},
		{"a carrier that is not there", 404, func() int { return forge("webhook/twilio/incoming") }},
		{"a media socket without token", 403, func() int { return dial(t, r.url+"ws/stream/AAAAAAAAAAAAAAAAAAAAAAAAAA") }},
		{"a media socket of a bench client", 404, func() int { return dial(t, r.url+"ws/stream/sim/echo") }},
		{"a recording without signature", 403, func() int { return r.status("mine", "GET", "recordings/2026/01/01/x.wav", "") }},
	}
	for _, tt := range tests {
		if status := tt.try(); status != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, status, tt.status)
		}
		var list struct{ Calls []callView }
		r.json(r.ask("mine", "GET", "api/calls", ""), 200, &list)
		if len(list.Calls) != 1 || list.Calls[0].Status != "active" {
			t.Fatalf("%s: calls are now %+v", tt.name, list.Calls)
		}
	}
	r.answer(r.ask("mine", "POST", "api/calls/"+id+"/disconnect", ""), 202)
	r.answer(r.ask("mine", "POST", "api/calls/"+id+"/disconnect", ""), 200)
	words := r.follow(id)
	if words[len(words)-1] != "completed" {
		t.Errorf("statuses %v, want completed at the end", words)
	}
}

func (r *running) status(token, method, path, body string) int {
	r.t.Helper()
	resp := r.ask(token, method, path, body)
	resp.Body.Close()
	return resp.StatusCode
}

// dial tries to open a WebSocket and returns the status of the answer.
func dial(t *testing.T, address string) int {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(address, "http"), nil)
	if err == nil {
		conn.Close()
		return http.StatusSwitchingProtocols
	}
	if resp == nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestEverythingIsServedWithAndWithoutThePrefix(t *testing.T) {
	t.Parallel()
	r := start(t, "PUBLIC_URL", "https://voice.example.com/phone")
	r.carrier.Otherwise(hasty)
	bare := "http://" + r.listener.Addr().String()
	for _, base := range []string{bare, bare + "/phone"} {
		for _, path := range []string{"/", "/page.js", "/healthz", "/readyz", "/metrics", "/openapi.json"} {
			r.answer(r.ask("", "GET", base+path, ""), 200)
		}
		r.answer(r.ask("mine", "GET", base+"/api/calls", ""), 200)
	}
	resp := r.ask("mine", "POST", bare+"/api/calls", seedCall)
	location := resp.Header.Get("Location")
	var c callView
	r.json(resp, 201, &c)
	if location != "/phone/api/calls/"+c.CallID {
		t.Errorf("location %q", location)
	}
	// The carrier reaches us below the prefix, behind what would be a proxy.
	end := time.Now().Add(20 * time.Second)
	ctx, cancel := context.WithDeadline(t.Context(), end)
	defer cancel()
	if _, err := r.svc.Wait(ctx, c.CallID); err != nil {
		t.Fatal(err)
	}
	r.json(r.ask("mine", "GET", bare+location, ""), 200, &c)
	if c.Status != "completed" || c.RecordingURL == nil {
		t.Fatalf("call %+v", c)
	}
	path, ok := strings.CutPrefix(*c.RecordingURL, "https://voice.example.com")
	if !ok || !strings.HasPrefix(path, "/phone/recordings/") {
		t.Errorf("recording at %q", *c.RecordingURL)
	}
	r.answer(r.ask("", "GET", bare+path, ""), 200)
	r.answer(r.ask("", "GET", bare+strings.TrimPrefix(path, "/phone"), ""), 200)
}

func TestPageUsesNothingFromOutside(t *testing.T) {
	t.Parallel()
	r := start(t)
	outside := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9]`)
	files, err := pageFiles.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{""}
	for _, f := range files {
		paths = append(paths, f.Name())
	}
	for _, path := range paths {
		resp := r.ask("", "GET", path, "")
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%q: policy %q", path, csp)
		}
		for line := range strings.Lines(string(r.answer(resp, 200))) {
			line = strings.Replace(line, ` xmlns="http://www.w3.org/2000/svg"`, "", 1) // is a name
			if strings.HasPrefix(line, "//") {
				continue // an example of a host's
			}
			if outside.MatchString(line) || strings.Contains(line, "style=") || strings.Contains(line, "onclick") {
				t.Errorf("%q: %s", path, line)
			}
		}
	}
	r.answer(r.ask("", "GET", "settings.go", ""), 404)
}

func TestMetricsAreFiguresOnly(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.carrier.Otherwise(sim.Behavior{Outcome: sim.Busy})
	id := r.place(seedCall)
	r.follow(id)
	if err := r.svc.Shutdown(t.Context()); err != nil { // it has let go of the call
		t.Fatal(err)
	}
	text := string(r.answer(r.ask("", "GET", "metrics", ""), 200))
	for _, want := range []string{"switchboard_calls_placed_total 1\n", `switchboard_calls_ended_total{status="busy"} 1` + "\n", "switchboard_calls_live 0\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, id) || strings.Contains(text, "1234567890") {
		t.Errorf("metrics tell whom they are about:\n%s", text)
	}
}

// program is run in a goroutine.
type program struct {
	signals chan os.Signal
	status  chan int
	lines   *bufio.Scanner // what it prints
	stderr  *bytes.Buffer  // to be read after the end
}

func launch(t *testing.T, variables ...string) *program {
	t.Helper()
	out, in := io.Pipe()
	p := &program{
		signals: make(chan os.Signal, 2), status: make(chan int, 1),
		lines: bufio.NewScanner(out), stderr: &bytes.Buffer{},
	}
	env := from(append(variables, "LISTEN_ADDR", "127.0.0.1:0", "DATABASE_URL", "memory:", "RECORDING_URL", "file:"+t.TempDir())...)
	go func() {
		p.status <- run(nil, env, in, p.stderr, p.signals)
		in.Close()
	}()
	t.Cleanup(func() { out.Close() })
	return p
}

// welcome reads what is printed at start: the address, the token and the body
// and address of the curl command.
func (p *program) welcome(t *testing.T) (address, token, body, target string) {
	t.Helper()
	for target == "" && p.lines.Scan() {
		line := p.lines.Text()
		if _, after, ok := strings.Cut(line, "page:"); ok {
			address = strings.TrimSpace(after)
		}
		if _, after, ok := strings.Cut(line, "token:"); ok {
			token = strings.Fields(after)[0]
		}
		if _, after, ok := strings.Cut(line, "-d '"); ok {
			body, _, _ = strings.Cut(after, "'")
		}
		if trimmed := strings.TrimSpace(line); strings.HasSuffix(trimmed, "/api/calls") {
			target = trimmed
		}
	}
	if address == "" || body == "" || target == "" {
		t.Fatalf("it printed address %q, body %q, target %q", address, body, target)
	}
	return address, token, body, target
}

func TestFirstSignalLetsCallsEndAndTheSecondDoesNot(t *testing.T) {
	t.Parallel()
	p := launch(t)
	address, token, body, target := p.welcome(t)
	r := &running{server: &server{url: address}, t: t, client: &http.Client{Transport: &http.Transport{}}}
	defer r.client.CloseIdleConnections()

	// The command that it printed works as it stands.
	var c callView
	r.json(r.ask(token, "POST", target, body), 201, &c)
	resp := r.ask(token, "GET", "api/calls/"+c.CallID+"/events", "")
	defer resp.Body.Close()
	events := bufio.NewScanner(resp.Body)
	wait := func(word string) {
		for events.Scan() {
			if strings.Contains(events.Text(), `"status":"`+word+`"`) {
				return
			}
		}
		t.Fatalf("the events end without %s", word)
	}
	r.answer(r.ask("", "GET", "readyz", ""), 200)
	wait("active")

	p.signals <- syscall.SIGTERM
	for status := 0; status != http.StatusServiceUnavailable; {
		status = r.status("", "GET", "readyz", "")
	}
	r.answer(r.ask("", "GET", "healthz", ""), 200)
	var problem struct{ Type string }
	r.json(r.ask(token, "POST", target, body), 503, &problem)
	if !strings.HasSuffix(problem.Type, ":draining") {
		t.Errorf("problem %q, want draining", problem.Type)
	}

	p.signals <- syscall.SIGTERM
	wait("completed")
	if status := <-p.status; status != 0 {
		t.Errorf("exit status %d, want 0; it said:\n%s", status, p.stderr)
	}
	if strings.Contains(p.stderr.String(), token) || strings.Contains(p.stderr.String(), "+1234567890") {
		t.Errorf("the log says too much:\n%s", p.stderr)
	}
}

func TestCallsOutliveARestart(t *testing.T) {
	t.Parallel()
	variables := []string{"DATABASE_URL", "sqlite:" + t.TempDir() + "/calls.db", "API_TOKENS", "mine"}
	var id string
	for run := range 2 {
		p := launch(t, variables...)
		address, token, _, _ := p.welcome(t)
		if token != "" {
			t.Errorf("it printed a token that was set: %q", token)
		}
		r := &running{server: &server{url: address}, t: t, client: &http.Client{Transport: &http.Transport{}}}
		if run == 0 {
			id = r.place(seedCall) // which is then cut off
		} else {
			var c callView
			r.json(r.ask("mine", "GET", "api/calls/"+id, ""), 200, &c)
			if state, err := call.ParseState(c.Status); err != nil || !state.Terminal() {
				t.Errorf("call %+v, want that it is over", c)
			}
		}
		r.client.CloseIdleConnections()
		p.signals <- syscall.SIGINT
		p.signals <- syscall.SIGINT
		if status := <-p.status; status != 0 {
			t.Errorf("exit status %d; it said:\n%s", status, p.stderr)
		}
	}
}
