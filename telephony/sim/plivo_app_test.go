package sim_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
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

// A plivoApp is an application of Plivo's, written by hand from its
// documentation.
type plivoApp struct {
	t       *testing.T
	carrier *sim.Carrier
	client  *http.Client
	answer  func(form url.Values) string // at /answer...
	media   func(s *plivoSocket)

	mu    sync.Mutex
	hooks []received
	wg    sync.WaitGroup
}

func inPlivoBubble(t *testing.T, cfg sim.Config, test func(t *testing.T, a *plivoApp)) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		cfg.Dialect, cfg.Dial = sim.Plivo, network.DialContext
		a := &plivoApp{t: t, carrier: sim.New(cfg), answer: func(url.Values) string { return "<Response/>" }}
		helper := &app{t: t}
		defer helper.serve(t, network, "app.test:80", a)()
		defer helper.serve(t, network, "api.test:80", a.carrier)()
		transport := &http.Transport{DialContext: network.DialContext}
		a.client = &http.Client{Transport: transport}
		defer transport.CloseIdleConnections()
		defer a.wg.Wait()
		defer a.carrier.Close()
		test(t, a)
	})
}

// plivoSignature is computed as Plivo tells, without a look at the package under
// test. It suits addresses and forms in which no name comes twice.
func plivoSignature(token, address string, query, form url.Values, nonce string) string {
	var pairs, fields []string
	for name := range query {
		pairs = append(pairs, name+"="+query.Get(name))
	}
	for name := range form {
		fields = append(fields, name+form.Get(name))
	}
	byName := func(a, b string) int { return strings.Compare(nameOf(a, query, form), nameOf(b, query, form)) }
	slices.Sort(pairs)
	slices.SortFunc(fields, byName)
	text := address
	switch {
	case len(pairs) > 0 && len(fields) > 0:
		text += "?" + strings.Join(pairs, "&") + "." + strings.Join(fields, "")
	case len(pairs) > 0 || len(fields) > 0:
		text += "?" + strings.Join(pairs, "&") + strings.Join(fields, "")
	}
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(text + "." + nonce))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// nameOf is the longest name with which a field can begin.
func nameOf(field string, sets ...url.Values) string {
	best := ""
	for _, set := range sets {
		for name := range set {
			if strings.HasPrefix(field, name+set.Get(name)) && len(name) > len(best) {
				best = name
			}
		}
	}
	return best
}

func (a *plivoApp) verify(r *http.Request, scheme string) {
	nonce := r.Header.Get("X-Plivo-Signature-V3-Nonce")
	want := plivoSignature(a.carrier.AuthToken(), scheme+"://"+r.Host+r.URL.Path, r.URL.Query(), r.PostForm, nonce)
	for _, name := range []string{"X-Plivo-Signature-V3", "X-Plivo-Signature-Ma-V3"} {
		if got := r.Header.Get(name); got != want || nonce == "" {
			a.t.Errorf("%s: %s %q; want %q", r.RequestURI, name, got, want)
		}
	}
}

func (a *plivoApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) {
		a.verify(r, "ws")
		a.accept(w, r)
		return
	}
	if err := r.ParseForm(); err != nil {
		a.t.Errorf("%s: %v", r.RequestURI, err)
	}
	a.verify(r, "http")
	a.mu.Lock()
	a.hooks = append(a.hooks, received{path: r.URL.Path, at: time.Now(), form: r.Form, token: r.Method})
	a.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/broken") {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	if r.URL.Path == "/slow" {
		time.Sleep(20 * time.Second)
	}
	w.Header().Set("Content-Type", "application/xml")
	if strings.HasPrefix(r.URL.Path, "/answer") && r.Form.Get("Event") != "Hangup" {
		io.WriteString(w, a.answer(r.Form))
		return
	}
	io.WriteString(w, "<Response/>")
}

// events lists what came, with the milliseconds since the first.
func (a *plivoApp) events() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []string
	for _, h := range a.hooks {
		list = append(list, fmt.Sprintf("%s:%s:%s@%d", h.path, h.form.Get("Event"), h.form.Get("CallStatus"), h.at.Sub(a.hooks[0].at).Milliseconds()))
	}
	return strings.Join(list, " ")
}

// hook is the last form with this event.
func (a *plivoApp) hook(event string) url.Values {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range slices.Backward(a.hooks) {
		if h.form.Get("Event") == event {
			return h.form
		}
	}
	a.t.Errorf("nothing of %s came", event)
	return nil
}

// A plivoSocket is a stream as the application sees it.
type plivoSocket struct {
	*websocket.Conn
	t     *testing.T
	query string
	begun time.Time
	start plivoMessage
	log   []plivoMessage // all but media
	media []plivoMessage
}

// Numbers are numbers and strings are strings: anything else fails to decode.
type plivoMessage struct {
	at             time.Time
	Event          string
	SequenceNumber int
	StreamID       string `json:"streamId"`
	ExtraHeaders   string `json:"extra_headers"`
	Start          struct {
		CallID, StreamID, AccountID string
		MediaFormat                 struct {
			Encoding   string
			SampleRate int
		}
	}
	Media struct {
		Track, Timestamp, Payload string
		Chunk                     int
	}
	Dtmf struct{ Track, Digit, Timestamp string }
	Name string
}

func (a *plivoApp) accept(w http.ResponseWriter, r *http.Request) {
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		a.t.Error(err)
		return
	}
	defer conn.Close()
	a.wg.Add(1)
	defer a.wg.Done()
	s := &plivoSocket{Conn: conn, t: a.t, begun: time.Now(), query: r.URL.RawQuery}
	m, ok := s.next()
	if !ok || m.Event != "start" || m.SequenceNumber != 1 || m.Start.AccountID != a.carrier.AccountSID() {
		a.t.Errorf("first message is %+v; want start", m)
	}
	s.start = m
	a.media(s)
}

func (s *plivoSocket) next() (plivoMessage, bool) {
	_, data, err := s.ReadMessage()
	if err != nil {
		return plivoMessage{}, false
	}
	m := plivoMessage{at: time.Now()}
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

// until reads up to the event, or the end.
func (s *plivoSocket) until(event string) (plivoMessage, bool) {
	for {
		m, ok := s.next()
		if !ok || m.Event == event {
			return m, ok
		}
	}
}

func (s *plivoSocket) drain() { s.until("") }

func (s *plivoSocket) send(format string, args ...any) {
	if err := s.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, format, args...)); err != nil {
		s.t.Error(err)
	}
}

func (s *plivoSocket) encoding() audio.Encoding {
	if s.start.Start.MediaFormat.Encoding == "audio/x-mulaw" {
		return audio.MuLaw
	}
	return audio.PCM16
}

// play sends samples of the stream's rate, as much in each message as one holds.
func (s *plivoSocket) play(pcm []int16) {
	f := s.start.Start.MediaFormat
	for part := range slices.Chunk(pcm, 4000) {
		s.send(`{"event":"playAudio","media":{"contentType":%q,"sampleRate":%d,"payload":%q}}`, f.Encoding, f.SampleRate,
			base64.StdEncoding.EncodeToString(audio.AppendEncode(nil, s.encoding(), part)))
	}
}

func (s *plivoSocket) checkpoint(name string) {
	s.send(`{"event":"checkpoint","streamId":%q,"name":%q}`, s.start.Start.StreamID, name)
}

func (s *plivoSocket) clear() {
	s.send(`{"event":"clearAudio","streamId":%q}`, s.start.Start.StreamID)
}

// heard is what the application was sent.
func (s *plivoSocket) heard() []int16 {
	var pcm []int16
	for _, m := range s.media {
		payload, err := base64.StdEncoding.DecodeString(m.Media.Payload)
		if err != nil {
			s.t.Error(err)
		}
		pcm = audio.AppendDecode(pcm, s.encoding(), payload)
	}
	return pcm
}

// said lists the messages but media, with the milliseconds since the start.
func (s *plivoSocket) said() string {
	var list []string
	for _, m := range s.log[1:] {
		list = append(list, fmt.Sprintf("%s%s%s@%d", m.Event, m.Name, m.Dtmf.Digit, m.at.Sub(s.begun).Milliseconds()))
	}
	return strings.Join(list, " ")
}

// rest sends a request to the REST API and returns its status and JSON. Params
// are nil for a request without a body.
func (a *plivoApp) rest(method, path string, params map[string]any) (int, map[string]any) {
	var body io.Reader
	if params != nil {
		data, err := json.Marshal(params)
		if err != nil {
			a.t.Fatal(err)
		}
		body = strings.NewReader(string(data))
	}
	req, err := http.NewRequest(method, "http://api.test/v1/Account/"+a.carrier.AccountSID()+path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	req.SetBasicAuth(a.carrier.AccountSID(), a.carrier.AuthToken())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		a.t.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	v := make(map[string]any)
	if len(data) > 0 {
		if err := json.Unmarshal(data, &v); err != nil {
			a.t.Errorf("%v: %s", err, data)
		}
	}
	return resp.StatusCode, v
}

// order is an ordinary call, with changes: name, value, name, value.
func (a *plivoApp) order(changes ...any) map[string]any {
	params := map[string]any{
		"from": us, "to": strings.TrimPrefix(them, "+"),
		"answer_url": "http://app.test/answer?ref=1", "ring_url": "http://app.test/ring", "hangup_url": "http://app.test/hangup",
	}
	for i := 0; i < len(changes); i += 2 {
		params[changes[i].(string)] = changes[i+1]
		if changes[i+1] == nil {
			delete(params, changes[i].(string))
		}
	}
	return params
}

// place places a call and returns the id of the request.
func (a *plivoApp) place(changes ...any) string {
	status, v := a.rest("POST", "/Call/", a.order(changes...))
	id, _ := v["request_uuid"].(string)
	if status != 201 || v["message"] != "call fired" || v["api_id"] == "" || id == "" {
		a.t.Fatalf("create: %d, %v", status, v)
	}
	return id
}

const plivoStream = `<Response><Stream bidirectional="true" keepCallAlive="true" contentType="%s" extraHeaders="ref=42" statusCallbackUrl="http://app.test/stream">ws://app.test/media?token=1</Stream></Response>`

func plivoStreamOf(contentType string) func(url.Values) string {
	return func(url.Values) string { return fmt.Sprintf(plivoStream, contentType) }
}
