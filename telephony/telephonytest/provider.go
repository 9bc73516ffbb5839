// Package telephonytest judges carriers: what implements [telephony.Provider],
// ours and others'.
package telephonytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-voice/switchboard/telephony"
)

// Carrier is a provider to be judged, and what the suite has to know of the
// carrier's side to do so.
type Carrier struct {
	// New returns a provider whose REST requests go to base, which is an address
	// on loopback, and which accepts the Webhooks. It is called often.
	New func(t testing.TB, base string) telephony.Provider
	// Secrets are what New gives the provider and nothing may tell, errors least
	// of all.
	Secrets []string

	// Creates reports whether a request asks the carrier to place a call.
	Creates func(r *http.Request) bool
	// Placed answers such a request: a call with this id has been placed.
	Placed func(w http.ResponseWriter, callID string)
	// CallID is an id as the carrier makes them.
	CallID string
	// Gone is how the carrier answers a request about a call that it does not
	// know (any more).
	Gone func(w http.ResponseWriter)

	// Webhooks are genuine ones: at least one that begins a call and one that
	// ends it.
	Webhooks []Webhook
}

// Webhook is a genuine one, and what it says.
type Webhook struct {
	Name    string
	Webhook *telephony.Webhook
	// Want is compared by its fields that are not zero.
	Want telephony.Event
}

// TestProvider judges a provider. Each subtest is a rule of the contract and has
// its name.
func TestProvider(t *testing.T, c Carrier) {
	for _, rule := range providerRules {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, c) })
	}
}

var providerRules = []struct {
	name  string
	check func(t testing.TB, c Carrier)
}{
	{"its name fits a path", nameFits},
	{"its powers are those of its methods", powersAgree},
	{"a dial leaves once, whatever comes back", dialsOnce},
	{"a dial that never left says so", dialNotSent},
	{"a dial that was accepted returns the call", dialAccepted},
	{"a context that ends, ends the method", contextEnds},
	{"a call that is gone is hung up", goneIsHungUp},
	{"a call that is gone has no status", goneHasNoStatus},
	{"errors tell no secret and no number", errorsAreDiscreet},
	{"a genuine webhook is read", webhooksAreRead},
	{"a webhook says the same when it comes again", webhooksRepeat},
	{"a webhook that was changed is refused", changedWebhooksAreRefused},
	{"a webhook without signature is refused", bareWebhooksAreRefused},
	{"every answer can be written", answersAreWritten},
	{"what a caller says is no instruction", answersAreEscaped},
}

func nameFits(t testing.TB, c Carrier) {
	p := c.New(t, "http://127.0.0.1:1")
	name := p.Name()
	if !regexp.MustCompile(`^[a-z0-9-]{1,32}$`).MatchString(name) || p.Name() != name {
		t.Errorf("it is named %q", name)
	}
}

func powersAgree(t testing.TB, c Carrier) {
	p := c.New(t, "http://127.0.0.1:1")
	powers := telephony.PowersOf(p)
	_, redirects := p.(telephony.Redirector)
	_, finds := p.(telephony.Finder)
	_, records := p.(telephony.CallRecorder)
	for _, tt := range []struct {
		power telephony.Powers
		has   bool
	}{
		{telephony.CanRedirect, redirects}, {telephony.CanFind, finds}, {telephony.CanRecord, records},
	} {
		if powers.Has(tt.power) != tt.has {
			t.Errorf("it says that it can %v: %t; its methods say %t", tt.power, powers.Has(tt.power), tt.has)
		}
	}
	if powers.Has(telephony.CanPauseRecording) && !records {
		t.Error("it can pause what it cannot record")
	}
	if _, keys := p.(interface {
		AppendKeys([]byte, string, string) []byte
	}); powers.Has(telephony.CanStreamKeys) != keys {
		t.Errorf("it says that its stream sends keys: %t; its methods say %t", !keys, keys)
	}
	for _, missing := range []struct {
		power telephony.Powers
		do    func(ctx context.Context) error
	}{
		{telephony.CanPauseRecording, func(ctx context.Context) error {
			return p.(telephony.CallRecorder).PauseRecording(ctx, c.CallID, c.CallID)
		}},
		{telephony.CanSIPHeaders, func(ctx context.Context) error {
			req := request()
			req.SIPHeaders = map[string]string{"Room": "12"}
			_, err := p.Dial(ctx, req)
			return err
		}},
	} {
		if powers.Has(missing.power) || missing.power == telephony.CanPauseRecording && !records {
			continue
		}
		if err := missing.do(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("it cannot %v, and says %v", missing.power, err)
		}
	}
}

func request() *telephony.DialRequest {
	return &telephony.DialRequest{
		To: "+12025550142", From: "+12025550100",
		AnswerURL: "https://voice.example.com/answer/c-1",
		StatusURL: "https://voice.example.com/status/c-1",
	}
}

// far is a REST API that counts what it is asked to place.
type far struct {
	*httptest.Server
	creates, requests atomic.Int32
}

func newFar(t testing.TB, c Carrier, answer http.HandlerFunc) *far {
	f := &far{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		if c.Creates(r) {
			f.creates.Add(1)
		}
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

// reset breaks the connection without a reply.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func dialsOnce(t testing.TB, c Carrier) {
	const html = "<html><body>Bad gateway</body></html>"
	for _, tt := range []struct {
		name    string
		answer  http.HandlerFunc
		outcome telephony.Outcome
	}{
		{"reset", reset, telephony.Ambiguous},
		{"500", status(500, ""), telephony.Ambiguous},
		{"500 with a reason", status(500, `{"message":"oops","error":"oops"}`), telephony.Ambiguous},
		{"502 with HTML", status(502, html), telephony.Ambiguous},
		{"503", status(503, html), telephony.Ambiguous},
		{"201 and nothing", status(201, ""), telephony.Ambiguous},
		{"201 and an empty object", status(201, "{}"), telephony.Ambiguous},
		{"201 and HTML", status(201, html), telephony.Ambiguous},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, telephony.Ambiguous},
		{"401", status(401, ""), telephony.Rejected},
		{"400", status(400, "{}"), telephony.Rejected},
		{"429", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			status(429, "")(w, r)
		}, telephony.Throttled},
	} {
		f := newFar(t, c, tt.answer)
		p := c.New(t, f.URL)
		_, err := p.Dial(t.Context(), request())
		var e *telephony.Error
		switch {
		case !errors.As(err, &e):
			t.Errorf("%s: the error is %v, of type %T", tt.name, err, err)
			continue
		case e.Outcome != tt.outcome && !(tt.name == "a redirect" && e.Outcome == telephony.Rejected):
			t.Errorf("%s: outcome %v, want %v", tt.name, e.Outcome, tt.outcome)
		case e.Provider != p.Name() || e.Op != "dial" || e.Reason == nil:
			t.Errorf("%s: the error is %+v", tt.name, e)
		case tt.outcome == telephony.Throttled && e.RetryAfter != 7*time.Second:
			t.Errorf("%s: retry after %v, want 7s", tt.name, e.RetryAfter)
		}
		if n := f.requests.Load(); n != 1 {
			t.Errorf("%s: %d requests left, want 1", tt.name, n)
		}
		f.Close()
	}
}

func dialNotSent(t testing.TB, c Carrier) {
	gone := httptest.NewServer(nil)
	gone.Close() // nobody is there now
	_, err := c.New(t, gone.URL).Dial(t.Context(), request())
	if telephony.OutcomeOf(err) != telephony.NotSent || !errors.Is(err, telephony.ErrUnavailable) {
		t.Errorf("%v; want an outcome of NotSent, and ErrUnavailable", err)
	}
}

func dialAccepted(t testing.TB, c Carrier) {
	f := newFar(t, c, func(w http.ResponseWriter, _ *http.Request) { c.Placed(w, c.CallID) })
	id, err := c.New(t, f.URL).Dial(t.Context(), request())
	if id != c.CallID || err != nil {
		t.Errorf("%q, %v; want %q", id, err, c.CallID)
	}
	if n := f.creates.Load(); n != 1 {
		t.Errorf("%d calls were asked for", n)
	}
}

func contextEnds(t testing.TB, c Carrier) {
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	f := newFar(t, c, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	defer close(release)
	p := c.New(t, f.URL)
	for name, do := range map[string]func(ctx context.Context) error{
		"dial":   func(ctx context.Context) error { _, err := p.Dial(ctx, request()); return err },
		"hangup": func(ctx context.Context) error { return p.Hangup(ctx, c.CallID) },
		"status": func(ctx context.Context) error { _, err := p.Status(ctx, c.CallID); return err },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		if err := do(ctx); !errors.Is(err, context.Canceled) || telephony.OutcomeOf(err) != telephony.Ambiguous {
			t.Errorf("%s: %v; want context.Canceled and Ambiguous: the request had left", name, err)
		}
		cancel()
	}
}

func goneIsHungUp(t testing.TB, c Carrier) {
	f := newFar(t, c, func(w http.ResponseWriter, _ *http.Request) { c.Gone(w) })
	if err := c.New(t, f.URL).Hangup(t.Context(), c.CallID); err != nil {
		t.Error(err)
	}
}

func goneHasNoStatus(t testing.TB, c Carrier) {
	f := newFar(t, c, func(w http.ResponseWriter, _ *http.Request) { c.Gone(w) })
	if _, err := c.New(t, f.URL).Status(t.Context(), c.CallID); !errors.Is(err, telephony.ErrCallGone) {
		t.Errorf("%v, want ErrCallGone", err)
	}
}

func errorsAreDiscreet(t testing.TB, c Carrier) {
	req := request()
	told := append([]string{strings.TrimPrefix(string(req.To), "+"), strings.TrimPrefix(string(req.From), "+")}, c.Secrets...)
	for name, answer := range map[string]http.HandlerFunc{
		"reset":          reset,
		"an explanation": status(400, fmt.Sprintf(`{"code":21211,"message":"%s is no number","error":"%s is no number"}`, req.To, req.To)),
		"500":            status(500, string(req.To)),
	} {
		f := newFar(t, c, answer)
		p := c.New(t, f.URL)
		_, dial := p.Dial(t.Context(), req)
		_, st := p.Status(t.Context(), c.CallID)
		for _, err := range []error{dial, st, p.Hangup(t.Context(), c.CallID)} {
			for _, secret := range told {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s: the error tells %q: %v", name, secret, err)
				}
			}
		}
	}
}

func webhooksAreRead(t testing.TB, c Carrier) {
	if len(c.Webhooks) < 2 {
		t.Fatal("there are fewer than two webhooks to judge by")
	}
	final := 0
	for _, w := range c.Webhooks {
		e, err := c.New(t, "http://127.0.0.1:1").ParseEvent(w.Webhook)
		if err != nil {
			t.Errorf("%s: %v", w.Name, err)
			continue
		}
		if e.Status.Final() {
			final++
		}
		if diff := difference(w.Want, e); diff != "" {
			t.Errorf("%s: %s", w.Name, diff)
		}
		if e.ID == "" {
			t.Errorf("%s: the event has no ID", w.Name)
		}
	}
	if final == 0 {
		t.Error("no webhook ends a call")
	}
}

// difference compares the fields of want that are not zero.
func difference(want, got telephony.Event) string {
	var all []string
	check := func(name string, set bool, want, got any) {
		if set && want != got {
			all = append(all, fmt.Sprintf("%s is %v, want %v", name, got, want))
		}
	}
	check("ProviderCallID", want.ProviderCallID != "", want.ProviderCallID, got.ProviderCallID)
	check("Direction", true, want.Direction, got.Direction)
	check("From", want.From != "", string(want.From), string(got.From))
	check("To", want.To != "", string(want.To), string(got.To))
	check("Status", want.Status != 0, want.Status, got.Status)
	check("Duration", want.Duration != 0, want.Duration, got.Duration)
	check("AnsweredBy", want.AnsweredBy != "", want.AnsweredBy, got.AnsweredBy)
	check("Dialed", want.Dialed != 0, want.Dialed, got.Dialed)
	return strings.Join(all, "; ")
}

func webhooksRepeat(t testing.TB, c Carrier) {
	seen := make(map[string]string)
	for _, w := range c.Webhooks {
		first, err := c.New(t, "http://127.0.0.1:1").ParseEvent(w.Webhook)
		again, err2 := c.New(t, "http://127.0.0.1:1").ParseEvent(w.Webhook)
		if err != nil || err2 != nil || first.ID != again.ID || first.Status != again.Status {
			t.Errorf("%s: first %v, %v, then %v, %v", w.Name, first.ID, err, again.ID, err2)
		}
		if other, ok := seen[first.ID]; ok {
			t.Errorf("%s and %s have the same ID", w.Name, other)
		}
		seen[first.ID] = w.Name
	}
}

// changes is how many changed copies of each webhook are tried.
const changes = 300

func changedWebhooksAreRefused(t testing.TB, c Carrier) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, w := range c.Webhooks {
		p := c.New(t, "http://127.0.0.1:1")
		for range changes {
			changed, what := change(rnd, w.Webhook)
			e, err := p.ParseEvent(changed)
			if err == nil {
				t.Errorf("%s: accepted with %s, as %v", w.Name, what, e)
			}
		}
	}
}

// change returns a copy of w that says something else, and says what.
func change(rnd *rand.Rand, w *telephony.Webhook) (*telephony.Webhook, string) {
	d := &telephony.Webhook{Method: w.Method, URL: w.URL, Header: w.Header.Clone(), Body: bytes.Clone(w.Body)}
	for {
		switch rnd.IntN(4) {
		case 0: // a letter or digit in the body
			i, ok := letter(rnd, string(d.Body))
			if !ok {
				continue
			}
			d.Body[i] = other(d.Body[i])
			return d, fmt.Sprintf("byte %d of the body changed", i)
		case 1: // a letter in the address
			i, ok := letter(rnd, d.URL)
			if !ok {
				continue
			}
			b := []byte(d.URL)
			b[i] = other(b[i])
			d.URL = string(b)
			return d, fmt.Sprintf("byte %d of the address changed", i)
		case 2:
			if len(d.Body) == 0 {
				continue
			}
			d.Body = append(d.Body, "&Added=1"...)
			return d, "a field added"
		default:
			d.Header = make(http.Header)
			for name, values := range w.Header {
				if strings.Contains(strings.ToLower(name), "signature") && !strings.Contains(strings.ToLower(name), "nonce") {
					continue
				}
				d.Header[name] = values
			}
			return d, "no signature"
		}
	}
}

// letter picks a letter or digit, but not one of an escape, which can be written
// in two ways.
func letter(rnd *rand.Rand, s string) (int, bool) {
	var at []int
	for i := range len(s) {
		c := s[i]
		escape := i >= 1 && s[i-1] == '%' || i >= 2 && s[i-2] == '%'
		if !escape && (c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return 0, false
	}
	return at[rnd.IntN(len(at))], true
}

// other is a letter or digit that differs in more than its case.
func other(c byte) byte {
	switch {
	case c >= '0' && c < '9', c >= 'a' && c < 'z', c >= 'A' && c < 'Z':
		return c + 1
	case c == '9':
		return '0'
	}
	return c - 1
}

func bareWebhooksAreRefused(t testing.TB, c Carrier) {
	for _, w := range c.Webhooks {
		bare := &telephony.Webhook{Method: w.Webhook.Method, URL: w.Webhook.URL, Header: http.Header{}, Body: w.Webhook.Body}
		if ct := w.Webhook.Header.Get("Content-Type"); ct != "" {
			bare.Header.Set("Content-Type", ct)
		}
		if _, err := c.New(t, "http://127.0.0.1:1").ParseEvent(bare); !errors.Is(err, telephony.ErrUnverified) {
			t.Errorf("%s: %v, want ErrUnverified", w.Name, err)
		}
	}
	if _, err := c.New(t, "http://127.0.0.1:1").ParseEvent(&telephony.Webhook{}); err == nil {
		t.Error("nothing at all is accepted")
	}
}

// answers are every kind of thing that can be said, with text in it.
func answers(text string) map[string]*telephony.Answer {
	stream := &telephony.StreamAnswer{URL: "wss://voice.example.com/ws/stream/token", StatusURL: "https://voice.example.com/stream"}
	return map[string]*telephony.Answer{
		"nothing":    {},
		"hang up":    {Hangup: true},
		"busy":       {Reject: telephony.RejectBusy},
		"refused":    {Reject: telephony.RejectRefused},
		"say":        {Say: text, Language: "en-US", Hangup: true},
		"stream":     {Say: text, Stream: stream},
		"replaced":   {Stream: stream, Next: "https://voice.example.com/next"},
		"dial":       {Dial: &telephony.DialAnswer{To: "+12025550142", CallerID: "+12025550100", Timeout: 20 * time.Second, ResultURL: "https://voice.example.com/back"}},
		"keys":       {Keys: "12w#", Stream: stream},
		"conference": {Conference: &telephony.ConferenceAnswer{Name: "room-1", EndOnExit: true}},
		"go on":      {Next: "https://voice.example.com/next?a=1&b=2"},
	}
}

func answersAreWritten(t testing.TB, c Carrier) {
	p := c.New(t, "http://127.0.0.1:1")
	written := make(map[string]string)
	for name, a := range answers("Good morning.") {
		first, second := httptest.NewRecorder(), httptest.NewRecorder()
		if err := errors.Join(p.WriteAnswer(first, a), p.WriteAnswer(second, a)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if first.Code/100 != 2 || first.Body.String() != second.Body.String() {
			t.Errorf("%s: status %d, %q and then %q", name, first.Code, first.Body, second.Body)
		}
		written[name] = first.Body.String()
	}
	for name, body := range written {
		for other, same := range written {
			if name < other && body == same {
				t.Errorf("%s and %s are written alike: %q", name, other, body)
			}
		}
	}
}

func answersAreEscaped(t testing.TB, c Carrier) {
	p := c.New(t, "http://127.0.0.1:1")
	for _, hostile := range []string{
		`</Say><Dial>+19005550100</Dial><Say>`, `</Speak><Dial><Number>19005550100</Number></Dial>`,
		`"><Dial>1`, `]]><Dial>1`, `","action":"dial"`, "&lt;Dial&gt;", "\x00\x01<Dial>",
	} {
		plain, bad := httptest.NewRecorder(), httptest.NewRecorder()
		if err := errors.Join(p.WriteAnswer(plain, answers("plain")["say"]), p.WriteAnswer(bad, answers(hostile)["say"])); err != nil {
			continue // to refuse it is as good
		}
		for _, mark := range []string{"<", `"action"`} {
			if strings.Count(bad.Body.String(), mark) != strings.Count(plain.Body.String(), mark) {
				t.Errorf("%q is written as %s", hostile, bad.Body)
			}
		}
	}
}
