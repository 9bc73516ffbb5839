package plivo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/internal/guard/guardtest"
	"github.com/switchboard-voice/switchboard/telephony"
)

// carrier is a REST API that answers as it is told and counts.
type carrier struct {
	*httptest.Server
	requests, creates, conns atomic.Int32
}

func newCarrier(t testing.TB, answer http.HandlerFunc) (*carrier, *Provider) {
	c := &carrier{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, testAccount+"/Call/") {
			c.creates.Add(1)
		}
		answer(w, r)
	}))
	c.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			c.conns.Add(1)
		}
	}
	c.Start()
	t.Cleanup(c.Close)
	p := testProvider()
	p.BaseURL = c.URL
	t.Cleanup(p.CloseIdleConnections)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return c, p
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// route answers by method, path below the account and query, 404 to all else,
// and keeps what it was asked.
type route struct {
	mu      sync.Mutex
	replies map[string]string // "204" alone, or a body of a 200
	asked   []string
}

func (r *route) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	key := req.Method + " " + strings.TrimPrefix(req.URL.Path, "/v1/Account/"+testAccount+"/")
	if req.URL.RawQuery != "" {
		key += "?" + req.URL.RawQuery
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, key)
	switch body, ok := r.replies[key]; {
	case !ok:
		reply(404, `{"api_id":"a","error":"call not found"}`)(w, req)
	case body == "204":
		w.WriteHeader(204)
	default:
		io.WriteString(w, body)
	}
}

var dialRequest = &telephony.DialRequest{
	To: "+14155550100", From: "+15005550001",
	AnswerURL: "https://voice.example.com/plivo/answer?x=1&y=a b",
	StatusURL: "https://voice.example.com/plivo/status",
}

type restFixtures struct {
	Exchanges []struct {
		Name, Method, Path string
		Request            struct{ JSON map[string]any }
		Response           struct {
			Status int
			Body   json.RawMessage
		}
	}
	Errors []struct {
		Name, Class string
		Response    struct {
			Status   int
			Body     json.RawMessage
			BodyText string `json:"body_text"`
		}
	}
}

func TestCapturedExchanges(t *testing.T) {
	var file restFixtures
	readFixture(t, "rest.json", &file)
	full := *dialRequest
	full.RingTimeout, full.MaxDuration, full.SendDigits = 30*time.Second, 10*time.Minute, "1w2w3"
	full.MachineDetection, full.MachineURL, full.DetectBeep = true, "https://voice.example.com/plivo/amd", true
	full.CallerName, full.SIPHeaders = "Acme", map[string]string{"Test2": "v2", "Test1": "v1"}

	// What we never ask for, and what we ask for otherwise.
	adapt := map[string]func(map[string]any){
		"record_start": func(m map[string]any) { m["callback_method"] = "POST" },
		"create_call": func(m map[string]any) {
			for _, name := range []string{"fallback_url", "machine_detection_time"} {
				delete(m, name)
			}
			m["sip_headers"] = "Test1=v1,Test2=v2" // the prefix is Plivo's
			m["ring_url"], m["hangup_url"] = full.StatusURL, full.StatusURL
			for _, name := range []string{"ring_method", "hangup_method", "machine_detection_method"} {
				m[name] = "POST"
			}
		},
	}
	const recording = "c2186400-1c8c-11e4-a664-0026b945b52b"
	do := map[string]func(p *Provider, ctx context.Context) error{
		"record_start": func(p *Provider, ctx context.Context) error {
			id, err := p.StartRecording(ctx, testCall, &telephony.RecordRequest{MaxDuration: time.Hour, StatusURL: "https://voice.example.com/plivo/rec"})
			if id != recording {
				return fmt.Errorf("id %q, %w", id, err)
			}
			return err
		},
		"record_stop":      func(p *Provider, ctx context.Context) error { return p.StopRecording(ctx, testCall, recording) },
		"recording_delete": func(p *Provider, ctx context.Context) error { return p.DeleteRecording(ctx, recording) },
		"create_call": func(p *Provider, ctx context.Context) error {
			id, err := p.Dial(ctx, &full)
			if id != testRequest {
				return fmt.Errorf("id %q, %w", id, err)
			}
			return err
		},
		"live_call": func(p *Provider, ctx context.Context) error {
			e, err := p.Status(ctx, testCall)
			if e.Status != telephony.StatusInProgress || e.From != "+15005550001" || e.To != "+14155550100" || e.RequestID != testRequest || e.ProviderCallID != testCall || e.Sequence != -1 {
				return fmt.Errorf("event %+v, %w", e, err)
			}
			return err
		},
		"hangup": func(p *Provider, ctx context.Context) error { return p.Hangup(ctx, testCall) },
		"transfer": func(p *Provider, ctx context.Context) error {
			return p.Redirect(ctx, testCall, "https://voice.example.com/plivo/transfer")
		},
	}
	for _, x := range file.Exchanges {
		act, ours := do[x.Name]
		if !ours {
			continue
		}
		delete(do, x.Name)
		t.Run(x.Name, func(t *testing.T) {
			c, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Method + " " + r.URL.RequestURI(); got != x.Method+" "+x.Path {
					t.Errorf("request is %s, want %s %s", got, x.Method, x.Path)
				}
				var got map[string]any
				if r.Method == http.MethodPost {
					if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
						t.Error(err)
					}
				}
				if change := adapt[x.Name]; change != nil {
					change(x.Request.JSON)
				}
				if diff := cmp.Diff(x.Request.JSON, got); diff != "" {
					t.Errorf("body (-want +got)\n%s", diff)
				}
				if user, password, _ := r.BasicAuth(); user != testAccount || password != testToken {
					t.Errorf("credentials are %q, %q", user, password)
				}
				w.WriteHeader(x.Response.Status)
				if x.Response.Status != http.StatusNoContent {
					w.Write(x.Response.Body)
				}
			})
			if err := act(p, t.Context()); err != nil {
				t.Error(err)
			}
			if n := c.requests.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
	for name := range do {
		t.Errorf("no exchange %s is captured", name)
	}
}

// captured returns the body of a captured reply.
func captured(t *testing.T, name string) string {
	var file restFixtures
	readFixture(t, "rest.json", &file)
	for _, x := range file.Exchanges {
		if x.Name == name {
			return string(x.Response.Body)
		}
	}
	t.Fatalf("no exchange %s is captured", name)
	return ""
}

func TestCapturedErrors(t *testing.T) {
	reasons := map[string]error{
		"auth": telephony.ErrAuth, "call_gone": telephony.ErrRefused, "rate_limited": telephony.ErrThrottled,
		"invalid_request": telephony.ErrRefused, "invalid_from": telephony.ErrInvalidFrom, "invalid_to": telephony.ErrInvalidNumber,
		"geo_permission": telephony.ErrNotAllowed, "provider_down": telephony.ErrUnavailable,
	}
	outcomes := map[string]telephony.Outcome{"rate_limited": telephony.Throttled, "provider_down": telephony.Ambiguous}
	var file restFixtures
	readFixture(t, "rest.json", &file)
	if len(file.Errors) < 12 {
		t.Fatalf("%d captured errors", len(file.Errors))
	}
	for _, x := range file.Errors {
		t.Run(x.Name, func(t *testing.T) {
			body := x.Response.BodyText
			if x.Response.Body != nil {
				body = string(x.Response.Body)
			}
			c, p := newCarrier(t, reply(x.Response.Status, body))
			_, err := p.Dial(t.Context(), dialRequest)
			var e *telephony.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			outcome, listed := outcomes[x.Class]
			if !listed {
				outcome = telephony.Rejected
			}
			if e.Outcome != outcome || !errors.Is(err, reasons[x.Class]) || e.HTTPStatus != x.Response.Status || e.Op != "dial" || e.Provider != "plivo" {
				t.Errorf("error is %+v; want %v, %v", e, outcome, reasons[x.Class])
			}
			if n := c.creates.Load(); n != 1 {
				t.Errorf("%d creates, want 1", n)
			}
		})
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	_, p := newCarrier(t, reply(400, `{"error":"From +15005550001 is not associated with account `+testAccount+`"}`))
	_, err := p.Dial(t.Context(), dialRequest)
	if !errors.Is(err, telephony.ErrInvalidFrom) {
		t.Errorf("error is %v, want ErrInvalidFrom", err)
	}
	for _, secret := range []string{testAccount, testToken, "5005550001"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q stands in %q", secret, err)
		}
	}
}

// Whatever comes back, one create has left.
func TestOneCreateLeavesWhateverComesBack(t *testing.T) {
	hijack := func(end func(net.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			conn, _, _ := w.(http.Hijacker).Hijack()
			end(conn)
			conn.Close()
		}
	}
	redirect := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", r.URL.Path)
			w.WriteHeader(status)
		}
	}
	fired := func(id string) string { return `{"api_id":"a","message":"call fired","request_uuid":` + id + `}` }
	for _, tt := range []struct {
		name    string
		answer  http.HandlerFunc
		timeout time.Duration
		outcome telephony.Outcome
		reason  error
	}{
		{"no reply in time", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, 50 * time.Millisecond, telephony.Ambiguous, telephony.ErrUnavailable},
		{"one byte at a time", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(201)
			io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, 50 * time.Millisecond, telephony.Ambiguous, telephony.ErrBadReply},
		{"connection reset", hijack(func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"connection closed", hijack(func(net.Conn) {}), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"half a reply", hijack(func(c net.Conn) { io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{") }), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"500", reply(500, `{"api_id":"a","error":"internal server error"}`), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"503", reply(503, ``), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"502 in HTML", reply(502, `<html>`+strings.Repeat("x", 300<<10)), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"408", reply(408, ``), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"201 without a body", reply(201, ``), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 of an empty object", reply(201, `{}`), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 in HTML", reply(201, `<html>`), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 of null", reply(201, `null`), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 without an id", reply(201, fired(`null`)), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 with an empty id", reply(201, fired(`""`)), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 with an id of a number", reply(201, fired(`7`)), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 with an id of another shape", reply(201, fired(`"../x"`)), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 with no ids", reply(201, fired(`[]`)), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 with two ids", reply(201, fired(`["`+testRequest+`","`+testCall+`"]`)), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 without end", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(201)
			for chunk := make([]byte, 1<<20); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"301", redirect(301), 0, telephony.Rejected, telephony.ErrRefused},
		{"302", redirect(302), 0, telephony.Rejected, telephony.ErrRefused},
		{"303", redirect(303), 0, telephony.Ambiguous, telephony.ErrRefused},
		{"307", redirect(307), 0, telephony.Rejected, telephony.ErrRefused},
		{"308", redirect(308), 0, telephony.Rejected, telephony.ErrRefused},
		{"429", reply(429, ``), 0, telephony.Throttled, telephony.ErrThrottled},
		{"401", reply(401, ``), 0, telephony.Rejected, telephony.ErrAuth},
		{"422", reply(422, ``), 0, telephony.Rejected, telephony.ErrRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, p := newCarrier(t, tt.answer)
			p.Timeout = tt.timeout
			id, err := p.Dial(t.Context(), dialRequest)
			if telephony.OutcomeOf(err) != tt.outcome || !errors.Is(err, tt.reason) || id != "" {
				t.Errorf("id %q, error %v; want %v, %v", id, err, tt.outcome, tt.reason)
			}
			if n := c.requests.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

func TestOneIDInAnArrayIsAnID(t *testing.T) {
	_, p := newCarrier(t, reply(201, `{"request_uuid":["`+testRequest+`"]}`))
	if id, err := p.Dial(t.Context(), dialRequest); id != testRequest || err != nil {
		t.Errorf("id %q, error %v", id, err)
	}
}

func TestDialWithoutAStatusAddressTellsTheEndAllTheSame(t *testing.T) {
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		var got map[string]any
		json.NewDecoder(r.Body).Decode(&got)
		if got["hangup_url"] != "https://x/answer" || got["ring_url"] != nil || got["machine_detection"] != nil || got["ring_timeout"] != nil {
			t.Errorf("body is %v", got)
		}
		reply(201, `{"request_uuid":"`+testRequest+`"}`)(w, r)
	})
	if _, err := p.Dial(t.Context(), &telephony.DialRequest{To: "+14155550100", AnswerURL: "https://x/answer"}); err != nil {
		t.Error(err)
	}
}

func TestCarrierThatCannotBeReachedGotNothing(t *testing.T) {
	c, p := newCarrier(t, reply(201, `{}`))
	c.Close()
	_, err := p.Dial(t.Context(), dialRequest)
	if telephony.OutcomeOf(err) != telephony.NotSent || !errors.Is(err, telephony.ErrUnavailable) {
		t.Errorf("error is %v, want not sent", err)
	}
	if strings.Contains(err.Error(), testAccount) || strings.Contains(err.Error(), testToken) {
		t.Errorf("error text is %q", err)
	}
}

func TestEndOfContextEndsADial(t *testing.T) {
	arrived := make(chan struct{})
	c, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := p.Dial(ctx, dialRequest)
		result <- err
	}()
	<-arrived
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) || telephony.OutcomeOf(err) != telephony.Ambiguous {
		t.Errorf("error is %v, want canceled and ambiguous", err)
	}
	if _, err := p.Dial(ctx, dialRequest); !errors.Is(err, context.Canceled) || telephony.OutcomeOf(err) != telephony.NotSent {
		t.Errorf("error is %v, want canceled and not sent", err)
	}
	if n := c.creates.Load(); n != 1 {
		t.Errorf("%d creates, want 1", n)
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3")
		reply(429, `{"error":"Too Many Requests"}`)(w, r)
	})
	_, err := p.Dial(t.Context(), dialRequest)
	var e *telephony.Error
	if !errors.As(err, &e) || e.RetryAfter != 3*time.Second || e.Message != "Too Many Requests" {
		t.Errorf("error is %+v", e)
	}
}

const dialed1 = `{"request_uuid":"` + testRequest + `"}`

// liveCall is a live call whose id is not that of its dial.
const liveCall = `{"call_status":"ringing","call_uuid":"` + testCall + `","request_uuid":"` + testRequest + `","direction":"outbound","from":"15005550001","to":"14155550100"}`

func TestHangup(t *testing.T) {
	const call, request = "DELETE Call/" + testCall + "/", "DELETE Request/" + testRequest + "/"
	const byRequest = "DELETE Call/" + testRequest + "/"
	const list, show = "GET Call/?status=live", "GET Call/" + testCall + "/?status=live"
	for _, tt := range []struct {
		name    string
		dialed  bool // by this provider, lately
		told    bool // a webhook has told the call of the dial
		id      string
		replies map[string]string
		asked   []string
	}{
		{"a live call", false, false, testCall, map[string]string{call: "204"}, []string{call}},
		{"a call that is over", false, false, testCall, nil, []string{call, "DELETE Request/" + testCall + "/"}},
		{"a queued call", true, false, testRequest, map[string]string{request: "204"}, []string{byRequest, request}},
		{"a queued call, after a restart", false, false, testRequest, map[string]string{request: "204"}, []string{byRequest, request}},
		{"a live call with the id of its dial", true, false, testRequest, map[string]string{byRequest: "204"}, []string{byRequest}},
		{"a live call by its dial, told by a webhook", true, true, testRequest, map[string]string{call: "204"}, []string{call}},
		{"a call that is over by its dial, told by a webhook", true, true, testRequest, nil, []string{call}},
		{"a live call that no webhook has told of", true, false, testRequest,
			map[string]string{list: `{"calls":["` + testCall + `"]}`, show: liveCall, call: "204"}, []string{byRequest, request, list, show, call}},
		{"a call that is over, and no webhook has told of", true, false, testRequest,
			map[string]string{list: `{"calls":[]}`}, []string{byRequest, request, list}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &route{replies: tt.replies}
			_, p := newCarrier(t, r.ServeHTTP)
			if tt.dialed {
				p.dials.add(testRequest, "+14155550100")
			}
			if tt.told {
				if _, err := p.ParseEvent(capturedWebhooks(t)["outbound_ring"].webhook()); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Hangup(t.Context(), tt.id); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.asked, r.asked); diff != "" {
				t.Errorf("requests (-want +got)\n%s", diff)
			}
		})
	}
}

func TestHangupThatFailsIsAnError(t *testing.T) {
	_, p := newCarrier(t, reply(503, ``))
	if err := p.Hangup(t.Context(), testCall); !errors.Is(err, telephony.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
	_, p = newCarrier(t, reply(401, ``))
	if err := p.Hangup(t.Context(), testCall); !errors.Is(err, telephony.ErrAuth) {
		t.Errorf("error is %v", err)
	}
}

func TestStatus(t *testing.T) {
	at := func(id, status string) string {
		key := "GET Call/" + id + "/"
		if status != "" {
			key += "?status=" + status
		}
		return key
	}
	queued := `{"call_status":"queued","call_uuid":"` + testRequest + `","request_uuid":"` + testRequest + `","direction":"outbound","from":"15005550001","to":"14155550100"}`
	record := captured(t, "call_detail_record")
	asEnded := func(state, answer string, code int) string {
		var m map[string]any
		json.Unmarshal([]byte(record), &m)
		m["call_state"], m["answer_time"], m["hangup_cause_code"], m["call_duration"] = state, answer, code, 0
		b, _ := json.Marshal(m)
		return string(b)
	}
	for _, tt := range []struct {
		name    string
		dialed  bool
		id      string
		replies map[string]string
		want    telephony.Status
	}{
		{"live", false, testCall, map[string]string{at(testCall, "live"): captured(t, "live_call")}, telephony.StatusInProgress},
		{"over", false, testCall, map[string]string{at(testCall, ""): record}, telephony.StatusCompleted},
		{"busy", false, testCall, map[string]string{at(testCall, ""): asEnded("BUSY", "", 3010)}, telephony.StatusBusy},
		{"no answer", false, testCall, map[string]string{at(testCall, ""): asEnded("", "", 3000)}, telephony.StatusNoAnswer},
		{"rung out", false, testCall, map[string]string{at(testCall, ""): asEnded("", "", 6010)}, telephony.StatusNoAnswer},
		{"canceled", false, testCall, map[string]string{at(testCall, ""): asEnded("", "", 1010)}, telephony.StatusCanceled},
		{"rejected", false, testCall, map[string]string{at(testCall, ""): asEnded("", "", 3020)}, telephony.StatusFailed},
		{"queued", true, testRequest, map[string]string{at(testRequest, "queued"): queued}, telephony.StatusQueued},
		{"live under another id", true, testRequest, map[string]string{
			"GET Call/?status=live": `{"calls":["` + testCall + `"]}`, at(testCall, "live"): liveCall}, telephony.StatusRinging},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &route{replies: tt.replies}
			_, p := newCarrier(t, r.ServeHTTP)
			if tt.dialed {
				p.dials.add(testRequest, "+14155550100")
			}
			e, err := p.Status(t.Context(), tt.id)
			if err != nil || e.Status != tt.want || e.From != "+15005550001" || e.To != "+14155550100" || e.Sequence != -1 {
				t.Errorf("event %+v, error %v", e, err)
			}
			if tt.name == "over" && (e.Duration != 62*time.Second || e.Cause != "Normal Hangup" || !e.At.Equal(time.Date(2026, 10, 20, 10, 1, 6, 0, time.UTC))) {
				t.Errorf("event %+v", e)
			}
			if tt.name == "live under another id" {
				if known, pending := p.dials.get(testRequest); pending || known.call != testCall || e.ProviderCallID != testCall {
					t.Errorf("learned %+v", known)
				}
			}
		})
	}
}

func TestStatusOfACallThatIsGone(t *testing.T) {
	r := &route{}
	_, p := newCarrier(t, r.ServeHTTP)
	if _, err := p.Status(t.Context(), testCall); !errors.Is(err, telephony.ErrCallGone) {
		t.Errorf("error is %v, want ErrCallGone", err)
	}
	if len(r.asked) != 3 {
		t.Errorf("asked %v", r.asked)
	}
}

// deeds are what is done to a call or a recording, by the names that errors give
// them.
func deeds(p *Provider, call, recording string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"hangup":   func(ctx context.Context) error { return p.Hangup(ctx, call) },
		"status":   func(ctx context.Context) error { _, err := p.Status(ctx, call); return err },
		"redirect": func(ctx context.Context) error { return p.Redirect(ctx, call, "https://x/next") },
		"start recording": func(ctx context.Context) error {
			_, err := p.StartRecording(ctx, call, &telephony.RecordRequest{})
			return err
		},
		"stop recording":   func(ctx context.Context) error { return p.StopRecording(ctx, call, recording) },
		"delete recording": func(ctx context.Context) error { return p.DeleteRecording(ctx, recording) },
		"open recording": func(ctx context.Context) error {
			f, err := p.OpenRecording(ctx, recording)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(io.Discard, f)
			return err
		},
	}
}

func TestWhatIsGone(t *testing.T) {
	_, p := newCarrier(t, new(route).ServeHTTP)
	for name, deed := range deeds(p, testCall, testStream) {
		err := deed(t.Context())
		if name == "hangup" || name == "stop recording" || name == "delete recording" {
			if err != nil {
				t.Errorf("%s: %v, want success", name, err)
			}
			continue
		}
		var e *telephony.Error
		if !errors.As(err, &e) || e.Reason != telephony.ErrCallGone || e.Op != name || strings.Contains(err.Error(), testAccount) {
			t.Errorf("%s: %v, want ErrCallGone and no account", name, err)
		}
	}
}

// Plivo says of all of them that there is no such call.
func TestCallThatIsOverIsToldFromOneThatIsNotAnswered(t *testing.T) {
	const live = "GET Call/" + testCall + "/?status=live"
	const byDial = "GET Call/" + testRequest + "/?status=queued"
	shown := func(status, call string) string {
		return `{"call_status":"` + status + `","call_uuid":"` + call + `","request_uuid":"` + testRequest + `","direction":"outbound","from":"15005550001","to":"14155550100"}`
	}
	for _, tt := range []struct {
		name    string
		id      string
		dialed  bool
		replies map[string]string
		reason  error // nil for success
	}{
		{"ringing", testCall, false, map[string]string{live: shown("ringing", testCall)}, telephony.ErrCallState},
		{"queued", testRequest, false, map[string]string{byDial: shown("queued", testRequest)}, telephony.ErrCallState},
		{"over", testCall, false, map[string]string{"GET Call/" + testCall + "/": captured(t, "call_detail_record")}, telephony.ErrCallGone},
		{"unknown", testCall, false, nil, telephony.ErrCallGone},
		{"over while we asked", testCall, false, map[string]string{live: shown("in-progress", testCall)}, telephony.ErrCallGone},
		{"answered, under another id", testRequest, true, map[string]string{
			"GET Call/?status=live": `{"calls":["` + testCall + `"]}`, live: shown("in-progress", testCall),
			"POST Call/" + testCall + "/":          `{"message":"call transfered"}`,
			"POST Call/" + testCall + "/Record/":   `{"recording_id":"` + testStream + `"}`,
			"DELETE Call/" + testCall + "/Record/": "204",
		}, nil},
	} {
		for _, name := range []string{"redirect", "start recording", "stop recording"} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				r := &route{replies: tt.replies}
				_, p := newCarrier(t, r.ServeHTTP)
				if tt.dialed {
					p.dials.add(testRequest, "+14155550100")
				}
				err := deeds(p, tt.id, testStream)[name](t.Context())
				reason := tt.reason
				if name == "stop recording" && reason == telephony.ErrCallGone {
					reason = nil // there is nothing to stop
				}
				if reason == nil {
					if err != nil {
						t.Errorf("error is %v after %q", err, r.asked)
					}
					return
				}
				var e *telephony.Error
				if !errors.As(err, &e) || e.Reason != reason || e.Op != name || e.Outcome != telephony.Rejected {
					t.Errorf("error is %v, want %v, after %q", err, reason, r.asked)
				}
			})
		}
	}
}

func TestWhatPlivoHasNotGotDoesNotLeave(t *testing.T) {
	c, p := newCarrier(t, reply(202, `{}`))
	for _, err := range []error{
		p.PauseRecording(t.Context(), testCall, testStream),
		p.ResumeRecording(t.Context(), testCall, testStream),
	} {
		if !errors.Is(err, errors.ErrUnsupported) || telephony.OutcomeOf(err) != telephony.NotSent {
			t.Errorf("error is %v, want ErrUnsupported, not sent", err)
		}
	}
	if n := c.requests.Load(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func TestDialsThatPlivoWouldRefuseDoNotLeave(t *testing.T) {
	c, p := newCarrier(t, reply(201, dialed1))
	for name, change := range map[string]func(r *telephony.DialRequest){
		"a long name":                  func(r *telephony.DialRequest) { r.CallerName = strings.Repeat("é", 51) },
		"a header with an equals sign": func(r *telephony.DialRequest) { r.SIPHeaders = map[string]string{"a": "b=c"} },
		"a header with a comma":        func(r *telephony.DialRequest) { r.SIPHeaders = map[string]string{"a": "b,To=1"} },
		"a header with a hyphen":       func(r *telephony.DialRequest) { r.SIPHeaders = map[string]string{"X-PH-A": "b"} },
		"a header with a line break":   func(r *telephony.DialRequest) { r.SIPHeaders = map[string]string{"a": "b\r\nTo: x"} },
		"a header without a name":      func(r *telephony.DialRequest) { r.SIPHeaders = map[string]string{"": "b"} },
		"a header without a value":     func(r *telephony.DialRequest) { r.SIPHeaders = map[string]string{"a": ""} },
	} {
		req := *dialRequest
		change(&req)
		_, err := p.Dial(t.Context(), &req)
		if !errors.Is(err, telephony.ErrRefused) || telephony.OutcomeOf(err) != telephony.Rejected {
			t.Errorf("%s: error is %v, want refused", name, err)
		}
	}
	if n := c.requests.Load(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
	req := *dialRequest
	req.CallerName = strings.Repeat("é", 50)
	if _, err := p.Dial(t.Context(), &req); err != nil {
		t.Errorf("a name of 50 characters: %v", err)
	}
}

func TestStatusOfAnotherCallIsRefused(t *testing.T) {
	_, p := newCarrier(t, reply(200, `{"call_uuid":"`+testStream+`"}`))
	if _, err := p.Status(t.Context(), testCall); !errors.Is(err, telephony.ErrBadReply) {
		t.Errorf("error is %v, want ErrBadReply", err)
	}
}

func TestIDsThatAreNoneDoNotLeave(t *testing.T) {
	c, p := newCarrier(t, reply(200, `{}`))
	refused := func(id, name string, err error) {
		if !errors.Is(err, telephony.ErrCallGone) || telephony.OutcomeOf(err) != telephony.Rejected {
			t.Errorf("%s of %q: error is %v", name, id, err)
		}
	}
	for _, id := range []string{"", "x", "../../Account", testCall + "/x", testCall[:35], testCall[:35] + "%", strings.ReplaceAll(testCall, "-", "0")} {
		for name, deed := range deeds(p, id, id) {
			refused(id, name, deed(t.Context()))
		}
		refused(id, "stop recording", p.StopRecording(t.Context(), testCall, id))
		refused(id, "stop recording", p.StopRecording(t.Context(), id, testStream))
	}
	if n := c.requests.Load(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func uuidOf(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

func TestFindLooksEverywhereNewestFirst(t *testing.T) {
	since := time.Date(2026, 10, 20, 10, 0, 0, 500e6, time.UTC)
	shown := func(n int, from, to, direction, started string) string {
		return fmt.Sprintf(`{"call_uuid":%q,"request_uuid":%q,"call_status":"ringing","from":%q,"to":%q,"direction":%q,"session_start":%q}`,
			uuidOf(n), uuidOf(100+n), from, to, direction, started)
	}
	record := func(n int, from, to, direction, began string) string {
		return fmt.Sprintf(`{"call_uuid":%q,"call_state":"ANSWER","from_number":%q,"to_number":%q,"call_direction":%q,"initiation_time":%q}`,
			uuidOf(n), from, to, direction, began)
	}
	list := func(ids ...int) string {
		var all []string
		for _, n := range ids {
			all = append(all, uuidOf(n))
		}
		b, _ := json.Marshal(map[string]any{"calls": all})
		return string(b)
	}
	const us, them = "15005550001", "14155550100"
	query := "GET Call/?end_time__gte=2026-10-20+10%3A00%3A00&limit=20"
	r := &route{replies: map[string]string{
		"GET Call/?status=queued":                   list(1, 2),
		"GET Call/" + uuidOf(1) + "/?status=queued": shown(1, us, them, "outbound", ""),
		"GET Call/?status=live":                     list(2, 3, 4, 5, 6),
		"GET Call/" + uuidOf(2) + "/?status=live":   shown(2, us, them, "outbound", "2026-10-20 10:00:05.111756"),
		"GET Call/" + uuidOf(3) + "/?status=live":   shown(3, us, "14155550101", "outbound", "2026-10-20 10:00:05"),
		"GET Call/" + uuidOf(4) + "/?status=live":   shown(4, us, them, "inbound", "2026-10-20 10:00:05"),
		"GET Call/" + uuidOf(5) + "/?status=live":   shown(5, us, them, "outbound", "2026-10-20 09:59:59"),
		query:               `{"meta":{"next":"/x"},"objects":[` + record(7, "+"+us, them, "outbound", "2026-10-20 10:00:09+00:00") + `,` + record(2, us, them, "outbound", "2026-10-20 10:00:05+00:00") + `]}`,
		query + "&offset=2": `{"meta":{"next":null},"objects":[` + record(8, us, "+"+them, "outbound", "2026-10-20 10:00:00+00:00") + `]}`,
	}}
	_, p := newCarrier(t, r.ServeHTTP)
	events, err := p.Find(t.Context(), dialRequest, since)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, strings.TrimLeft(e.ProviderCallID[24:], "0")+" "+e.Status.String())
	}
	if want := []string{"1 queued", "7 completed", "2 ringing", "8 completed"}; !reflect.DeepEqual(got, want) {
		t.Errorf("found %v, want %v\nasked %q", got, want, r.asked)
	}
}

func TestFindAsksForOneNumberWhenThereAreManyCalls(t *testing.T) {
	var ids []string
	for n := range findMost + 1 {
		ids = append(ids, uuidOf(n))
	}
	many, _ := json.Marshal(map[string]any{"calls": ids})
	r := &route{replies: map[string]string{
		"GET Call/?status=queued":                                  `{"calls":[]}`,
		"GET Call/?status=live":                                    string(many),
		"GET Call/?status=live&to_number=14155550100":              `{"calls":["` + testCall + `"]}`,
		"GET Call/" + testCall + "/?status=live":                   liveCall,
		"GET Call/?end_time__gte=2026-10-20+10%3A00%3A00&limit=20": `{"objects":[]}`,
	}}
	_, p := newCarrier(t, r.ServeHTTP)
	since := time.Date(2026, 10, 20, 10, 0, 0, 0, time.UTC)
	events, err := p.Find(t.Context(), dialRequest, since)
	if err != nil || len(events) != 1 || events[0].ProviderCallID != testCall || events[0].RequestID != testRequest {
		t.Errorf("found %+v, error %v", events, err)
	}
	r.replies["GET Call/?status=live&to_number=14155550100"] = string(many)
	if _, err := p.Find(t.Context(), dialRequest, since); !errors.Is(err, telephony.ErrBadReply) {
		t.Errorf("error is %v, want ErrBadReply", err)
	}
}

func TestFindDoesNotPageForEver(t *testing.T) {
	c, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("status") != "" {
			io.WriteString(w, `{"calls":[]}`)
			return
		}
		io.WriteString(w, `{"meta":{"next":"x"},"objects":[{"call_uuid":"`+testCall+`"}]}`)
	})
	if _, err := p.Find(t.Context(), dialRequest, time.Now()); !errors.Is(err, telephony.ErrBadReply) {
		t.Errorf("error is %v, want ErrBadReply", err)
	}
	if n := c.requests.Load(); n != findMaxPages+2 {
		t.Errorf("%d requests, want %d", n, findMaxPages+2)
	}
}

func TestFindWithListsThatMakeNoSense(t *testing.T) {
	for name, body := range map[string]string{
		"ids that are none": `{"calls":["../x"]}`, "not JSON": `<html>`, "an array": `[]`,
	} {
		_, p := newCarrier(t, reply(200, body))
		if _, err := p.Find(t.Context(), dialRequest, time.Now()); !errors.Is(err, telephony.ErrBadReply) {
			t.Errorf("%s: error is %v, want ErrBadReply", name, err)
		}
	}
}

func TestRequestsGoToTheBaseURLOnly(t *testing.T) {
	t.Setenv("PLIVO_AUTH_ID", "MAYYYYYYYYYYYYYYYYYY")
	t.Setenv("PLIVO_AUTH_TOKEN", "another")
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != testAccount || password != testToken {
			t.Errorf("credentials are %q, %q", user, password)
		}
		if r.URL.Path != "/prefix/v1/Account/"+testAccount+"/Call/" {
			t.Errorf("path is %s", r.URL.Path)
		}
		if u, _ := url.Parse("http://" + r.Host); u.Hostname() != "127.0.0.1" {
			t.Errorf("host is %s", r.Host)
		}
		reply(201, dialed1)(w, r)
	})
	p.BaseURL += "/prefix/"
	if _, err := p.Dial(t.Context(), dialRequest); err != nil {
		t.Error(err)
	}
}

func TestStormOfFailuresLeavesNothingBehind(t *testing.T) {
	guardtest.Storm(t, 10000, func(address string) (func(int) error, func()) {
		p := testProvider()
		p.BaseURL, p.Timeout = address, 50*time.Millisecond
		all := deeds(p, testCall, testStream)
		all["dial"] = func(ctx context.Context) error { _, err := p.Dial(ctx, dialRequest); return err }
		all["find"] = func(ctx context.Context) error { _, err := p.Find(ctx, dialRequest, time.Now()); return err }
		for _, forgiving := range []string{"hangup", "stop recording", "delete recording"} {
			delete(all, forgiving) // for which a 404 is success
		}
		names := slices.Sorted(maps.Keys(all))
		return func(n int) error { return all[names[n%len(names)]](t.Context()) }, p.CloseIdleConnections
	})
}

func TestParallelDialsShareConnections(t *testing.T) {
	c, p := newCarrier(t, reply(201, dialed1))
	for range 10 {
		var round sync.WaitGroup
		for range 32 {
			round.Go(func() {
				if _, err := p.Dial(t.Context(), dialRequest); err != nil {
					t.Error(err)
				}
			})
		}
		round.Wait()
	}
	if n := c.conns.Load(); n > 64 {
		t.Errorf("%d connections, want at most 64", n)
	}
}

func TestDialsAreForgottenOldestFirst(t *testing.T) {
	var d dials
	for n := range rememberedDials + 1 {
		d.add(uuidOf(n), "+14155550100")
		d.add(uuidOf(n), "+14155550100") // a second time changes nothing
	}
	d.learn(uuidOf(7), testCall)
	d.learn("", testCall)
	if _, pending := d.get(uuidOf(0)); pending || len(d.byID) != rememberedDials {
		t.Errorf("%d dials are remembered", len(d.byID))
	}
	if known, pending := d.get(uuidOf(7)); pending || known.call != testCall {
		t.Errorf("learned %+v", known)
	}
	if !slices.Contains(d.oldest, uuidOf(1)) {
		t.Error("the second oldest is forgotten")
	}
	d.learn(testRequest, testCall) // a webhook that overtakes the reply
	d.add(testRequest, "+14155550100")
	if known, pending := d.get(testRequest); pending || known.call != testCall {
		t.Errorf("learned %+v", known)
	}
}

func BenchmarkDial(b *testing.B) {
	_, p := newCarrier(b, reply(201, dialed1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Dial(b.Context(), dialRequest); err != nil {
			b.Fatal(err)
		}
	}
}
