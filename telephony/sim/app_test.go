package sim_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/internal/memnet"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// An app is the application's side of the wire, written by hand from the
// carrier's documentation.
type app struct {
	t       *testing.T
	carrier *sim.Carrier
	client  *http.Client
	base    string // of its own addresses
	answer  func(form url.Values) string
	media   func(s *socket)
	refuse  string // a path that takes no webhooks: it answers with file, or 404
	file    []byte
	page    func(w http.ResponseWriter, r *http.Request) bool // answers what it likes

	mu    sync.Mutex
	hooks []received
	wg    sync.WaitGroup
}

type received struct {
	path  string
	at    time.Time
	token string
	form  url.Values
}

// inBubble runs test with an app and a carrier in memory and virtual time.
func inBubble(t *testing.T, cfg sim.Config, test func(t *testing.T, a *app)) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		cfg.Dial = network.DialContext
		a := &app{t: t, carrier: sim.New(cfg), base: "http://app.test"}
		a.answer = func(url.Values) string { return "<Response/>" }
		defer a.serve(t, network, "app.test:80", a)()
		defer a.serve(t, network, "api.test:80", a.carrier)()
		transport := &http.Transport{DialContext: network.DialContext}
		a.client = &http.Client{Transport: transport}
		defer transport.CloseIdleConnections()
		defer a.wg.Wait()
		defer a.carrier.Close()
		test(t, a)
	})
}

func (a *app) serve(t *testing.T, n *memnet.Network, addr string, h http.Handler) (stop func()) {
	l, err := n.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	return func() { srv.Close() }
}

// signature is computed as the carrier's documentation tells, without a look at
// the package under test.
func signature(token, url string, form url.Values) string {
	var names []string
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Sorted(slices.Values(form[name]))
		for _, v := range slices.Compact(values) {
			url += name + v
		}
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(url))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.refuse != "" && r.URL.Path == a.refuse {
		if a.file == nil {
			http.NotFound(w, r)
		} else {
			w.Write(a.file)
		}
		return
	}
	if websocket.IsWebSocketUpgrade(r) {
		want := signature(a.carrier.AuthToken(), "ws://"+r.Host+r.RequestURI, nil)
		if got := r.Header.Get("X-Twilio-Signature"); got != want {
			a.t.Errorf("%s: signature %q; want %q", r.RequestURI, got, want)
		}
		if r.URL.RawQuery != "" {
			a.t.Errorf("the query %q came with the socket", r.URL.RawQuery)
		}
		a.accept(w, r)
		return
	}
	if err := r.ParseForm(); err != nil {
		a.t.Errorf("%s: %v", r.RequestURI, err)
	}
	want := signature(a.carrier.AuthToken(), "http://"+r.Host+r.RequestURI, r.PostForm)
	if got := r.Header.Get("X-Twilio-Signature"); got != want {
		a.t.Errorf("%s: signature %q; want %q", r.RequestURI, got, want)
	}
	a.mu.Lock()
	a.hooks = append(a.hooks, received{r.URL.Path, time.Now(), r.Header.Get("I-Twilio-Idempotency-Token"), r.Form})
	a.mu.Unlock()
	if a.page != nil && a.page(w, r) {
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	if strings.HasPrefix(r.URL.Path, "/answer") {
		io.WriteString(w, a.answer(r.Form))
		return
	}
	io.WriteString(w, "<Response/>")
}

// A socket is a media stream as the application sees it.
type socket struct {
	*websocket.Conn
	t     *testing.T
	begun time.Time
	start message
	log   []message // all but media
	media []message
}

type message struct {
	at             time.Time
	Event          string
	StreamSid      string
	SequenceNumber string
	Start          struct {
		AccountSid, StreamSid, CallSid string
		CustomParameters               map[string]string
		MediaFormat                    struct {
			Encoding   string
			SampleRate int
			Channels   int
		}
	}
	Media struct{ Track, Chunk, Timestamp, Payload string }
	Mark  struct{ Name string }
	Dtmf  struct{ Track, Digit string }
	Stop  struct{ AccountSid, CallSid string }
}

func (a *app) accept(w http.ResponseWriter, r *http.Request) {
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		a.t.Error(err)
		return
	}
	defer conn.Close()
	a.wg.Add(1)
	defer a.wg.Done()
	s := &socket{Conn: conn, t: a.t, begun: time.Now()}
	if m, ok := s.next(); !ok || m.Event != "connected" {
		a.t.Errorf("first message is %+v; want connected", m)
	}
	m, ok := s.next()
	if !ok || m.Event != "start" || m.SequenceNumber != "1" || m.Start.StreamSid != m.StreamSid {
		a.t.Errorf("second message is %+v; want start", m)
	}
	s.start = m
	a.media(s)
}

// next reads a message.
func (s *socket) next() (message, bool) {
	_, data, err := s.ReadMessage()
	if err != nil {
		return message{}, false
	}
	m := message{at: time.Now()}
	if err := json.Unmarshal(data, &m); err != nil {
		s.t.Errorf("%v: %s", err, data)
	}
	if m.Event == "media" {
		s.media = append(s.media, m)
	} else {
		s.log = append(s.log, m)
	}
	return m, true
}

// until reads up to an event that fits, or the end.
func (s *socket) until(fits func(m message) bool) (message, bool) {
	for {
		m, ok := s.next()
		if !ok || fits(m) {
			return m, ok
		}
	}
}

func (s *socket) drain() { s.until(func(message) bool { return false }) }

func (s *socket) send(format string, args ...any) {
	if err := s.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, format, args...)); err != nil {
		s.t.Error(err)
	}
}

func (s *socket) play(pcm []int16) {
	s.send(`{"event":"media","streamSid":%q,"media":{"payload":%q}}`, s.start.StreamSid,
		base64.StdEncoding.EncodeToString(audio.AppendEncode(nil, audio.MuLaw, pcm)))
}

func (s *socket) mark(name string) {
	s.send(`{"event":"mark","streamSid":%q,"mark":{"name":%q}}`, s.start.StreamSid, name)
}

func (s *socket) clear() { s.send(`{"event":"clear","streamSid":%q}`, s.start.StreamSid) }

// heard is what the application was sent, in the order of arrival.
func (s *socket) heard() []int16 {
	var pcm []int16
	for _, m := range s.media {
		payload, err := base64.StdEncoding.DecodeString(m.Media.Payload)
		if err != nil {
			s.t.Error(err)
		}
		pcm = audio.AppendDecode(pcm, audio.MuLaw, payload)
	}
	return pcm
}

// isMark fits the return of a mark.
func isMark(name string) func(message) bool {
	return func(m message) bool { return m.Event == "mark" && m.Mark.Name == name }
}

// rest sends a request to the REST API and returns its status and JSON.
func (a *app) rest(method, path string, form url.Values) (int, map[string]any) {
	req, err := http.NewRequest(method, "http://api.test/2010-04-01/Accounts/"+a.carrier.AccountSID()+path, strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	req.SetBasicAuth(a.carrier.AccountSID(), a.carrier.AuthToken())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := a.client.Do(req)
	if err != nil {
		a.t.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	v := make(map[string]any)
	if len(body) > 0 {
		if err := json.Unmarshal(body, &v); err != nil {
			a.t.Errorf("%v: %s", err, body)
		}
	}
	return resp.StatusCode, v
}

const (
	us   = "+15005550001"
	them = "+14155550100"
)

// order is the form of an ordinary call, with changes: name, value, name, value.
func (a *app) order(changes ...string) url.Values {
	form := url.Values{
		"To": {them}, "From": {us},
		"Url":                 {a.base + "/answer"},
		"StatusCallback":      {a.base + "/status"},
		"StatusCallbackEvent": {"initiated", "ringing", "answered", "completed"},
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return form
}

// place places a call and returns its id.
func (a *app) place(changes ...string) string {
	status, v := a.rest("POST", "/Calls.json", a.order(changes...))
	if status != 201 || v["status"] != "queued" {
		a.t.Fatalf("create: %d, %v; want 201 and queued", status, v)
	}
	return v["sid"].(string)
}

// statuses lists the call statuses that came to /status, with the whole seconds
// since the first.
func (a *app) statuses() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []string
	var first time.Time
	for _, h := range a.hooks {
		if h.path != "/status" {
			continue
		}
		if first.IsZero() {
			first = h.at
		}
		list = append(list, fmt.Sprintf("%s:%s@%d", h.form.Get("SequenceNumber"), h.form.Get("CallStatus"), int(h.at.Sub(first).Seconds())))
	}
	return strings.Join(list, " ")
}

func (a *app) hook(path string) url.Values {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range slices.Backward(a.hooks) {
		if h.path == path {
			return h.form
		}
	}
	a.t.Errorf("nothing came to %s", path)
	return nil
}

// settle waits until nothing happens any more but by time.
func settle() { synctest.Wait() }

// ramp is n samples that are all different where it matters, loud, and survive
// mu-law.
func ramp(n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(1000 + i%7000)
	}
	return audio.AppendDecode(nil, audio.MuLaw, audio.AppendEncode(nil, audio.MuLaw, pcm))
}

const stream = `<Response><Connect><Stream url="ws://app.test/media?dropped=1"><Parameter name="ref" value="c-&lt;42&gt;"/></Stream></Connect></Response>`

func atoi(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Error(err)
	}
	return n
}
