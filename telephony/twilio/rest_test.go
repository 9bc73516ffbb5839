package twilio

import (
	"context"
	"encoding/base64"
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
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Calls.json") {
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

var dialRequest = &telephony.DialRequest{
	To: "+14155550100", From: "+15005550001",
	AnswerURL: "https://voice.example.com/twilio/answer?x=1&y=a%20b",
	StatusURL: "https://voice.example.com/twilio/status",
}

type restFixtures struct {
	Exchanges []struct {
		Name, Method, Path string
		Request            struct{ Body string }
		Response           struct {
			Status int
			Body   json.RawMessage
		}
	}
	Errors []struct {
		Name, Class string
		Response    struct {
			Status   int
			Headers  map[string]string
			Body     json.RawMessage
			BodyText string `json:"body_text"`
		}
	}
}

func TestCapturedExchanges(t *testing.T) {
	var file restFixtures
	readFixture(t, "rest.json", &file)
	since := time.Date(2026, 10, 20, 10, 0, 0, 0, time.UTC)
	full := *dialRequest
	full.RingTimeout, full.MaxDuration, full.SendDigits = 30*time.Second, 10*time.Minute, "W1234#"
	full.MachineDetection, full.MachineURL = true, "https://voice.example.com/twilio/amd"

	// What we never ask for, such as the recording of a call from its create, and
	// what we ask for otherwise.
	adapt := map[string]func(url.Values){
		"create_call_url": func(f url.Values) {
			for name := range f {
				if strings.HasPrefix(name, "Record") {
					f.Del(name)
				}
			}
		},
		"recording_start": func(f url.Values) {
			f.Set("RecordingStatusCallback", "https://voice.example.com/twilio/rec")
			f.Set("RecordingStatusCallbackMethod", "POST")
			f["RecordingStatusCallbackEvent"] = []string{"completed", "absent"}
		},
	}
	do := map[string]func(p *Provider, ctx context.Context) error{
		"create_call_url": func(p *Provider, ctx context.Context) error {
			id, err := p.Dial(ctx, &full)
			if id != testCall {
				return fmt.Errorf("id %q, %w", id, err)
			}
			return err
		},
		"fetch_call_in_progress": func(p *Provider, ctx context.Context) error {
			e, err := p.Status(ctx, testCall)
			if e.Status != telephony.StatusInProgress || e.AnsweredBy != telephony.AnsweredByHuman || e.From != "+15005550001" || e.To != "+14155550100" || e.Sequence != -1 {
				return fmt.Errorf("event %+v, %w", e, err)
			}
			return err
		},
		"fetch_call_completed": func(p *Provider, ctx context.Context) error {
			e, err := p.Status(ctx, testCall)
			if e.Status != telephony.StatusCompleted || e.Duration != 62*time.Second || !e.At.Equal(since.Add(66*time.Second)) {
				return fmt.Errorf("event %+v, %w", e, err)
			}
			return err
		},
		"list_calls_for_reconciliation": func(p *Provider, ctx context.Context) error {
			events, err := p.Find(ctx, dialRequest, since)
			if len(events) != 1 || events[0].ProviderCallID != testCall || events[0].Status != telephony.StatusRinging {
				return fmt.Errorf("events %+v, %w", events, err)
			}
			return err
		},
		"hangup": func(p *Provider, ctx context.Context) error { return p.Hangup(ctx, testCall) },
		"redirect_to_url": func(p *Provider, ctx context.Context) error {
			return p.Redirect(ctx, testCall, "https://voice.example.com/twilio/transfer")
		},
		"recording_start": func(p *Provider, ctx context.Context) error {
			id, err := p.StartRecording(ctx, testCall, &telephony.RecordRequest{StatusURL: "https://voice.example.com/twilio/rec"})
			if id != testRecording {
				return fmt.Errorf("id %q, %w", id, err)
			}
			return err
		},
		"recording_pause": func(p *Provider, ctx context.Context) error {
			return p.PauseRecording(ctx, testCall, testRecording)
		},
		"recording_resume": func(p *Provider, ctx context.Context) error {
			return p.ResumeRecording(ctx, testCall, testRecording)
		},
		"recording_stop": func(p *Provider, ctx context.Context) error {
			return p.StopRecording(ctx, testCall, testRecording)
		},
		"recording_delete": func(p *Provider, ctx context.Context) error {
			return p.DeleteRecording(ctx, testRecording)
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
				// Which recording is current, we know.
				want, _ := url.Parse(strings.Replace(x.Path, "Twilio.CURRENT", testRecording, 1))
				if r.Method != x.Method || r.URL.Path != want.Path {
					t.Errorf("request is %s %s, want %s %s", r.Method, r.URL.Path, x.Method, want.Path)
				}
				body, _ := io.ReadAll(r.Body)
				got, _ := url.ParseQuery(string(body))
				wanted, _ := url.ParseQuery(x.Request.Body)
				if change := adapt[x.Name]; change != nil {
					change(wanted)
				}
				if !reflect.DeepEqual(got, wanted) {
					t.Errorf("form is %v\nwant %v", got, wanted)
				}
				query, wantedQuery := r.URL.Query(), want.Query()
				if day, given := wantedQuery["StartTime>"]; given {
					wantedQuery["StartTime>"] = []string{day[0] + "T00:00:00Z"}
				}
				if !reflect.DeepEqual(query, wantedQuery) {
					t.Errorf("query is %v\nwant %v", query, wantedQuery)
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

func TestCapturedErrors(t *testing.T) {
	reasons := map[string]error{
		"auth": telephony.ErrAuth, "call_gone": telephony.ErrRefused, "rate_limited": telephony.ErrThrottled,
		"invalid_request": telephony.ErrRefused, "invalid_from": telephony.ErrInvalidFrom, "invalid_to": telephony.ErrInvalidNumber,
		"geo_permission": telephony.ErrNotAllowed, "forbidden_to": telephony.ErrNotAllowed, "unverified": telephony.ErrNotAllowed,
		"call_state": telephony.ErrCallState, "provider_down": telephony.ErrUnavailable, "unknown_outcome": telephony.ErrBadReply,
	}
	outcomes := map[string]telephony.Outcome{
		"rate_limited": telephony.Throttled, "provider_down": telephony.Ambiguous, "unknown_outcome": telephony.Ambiguous,
	}
	var file restFixtures
	readFixture(t, "rest.json", &file)
	if len(file.Errors) < 20 {
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
			var said struct{ Code json.Number }
			json.Unmarshal(x.Response.Body, &said)
			if e.Outcome != outcome || !errors.Is(err, reasons[x.Class]) || e.HTTPStatus != x.Response.Status || e.Code != said.Code.String() || e.Op != "dial" || e.Provider != "twilio" {
				t.Errorf("error is %+v; want %v, %v", e, outcome, reasons[x.Class])
			}
			for _, secret := range []string{testAccount, "5005550009", "9005550100", "4155550100", base64.StdEncoding.EncodeToString([]byte(testAccount))} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q stands in %q", secret, err)
				}
			}
			if n := c.creates.Load(); n != 1 {
				t.Errorf("%d creates, want 1", n)
			}
		})
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
		{"500", reply(500, `{"code":20500,"message":"x","status":500}`), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"503", reply(503, ``), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"502 in HTML", reply(502, `<html>`+strings.Repeat("x", 300<<10)), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"408", reply(408, ``), 0, telephony.Ambiguous, telephony.ErrUnavailable},
		{"201 without a body", reply(201, ``), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 of an empty object", reply(201, `{}`), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 in HTML", reply(201, `<html>`), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 with another id", reply(201, `{"sid":"SM0123456789abcdef0123456789abcdef"}`), 0, telephony.Ambiguous, telephony.ErrBadReply},
		{"201 of null", reply(201, `null`), 0, telephony.Ambiguous, telephony.ErrBadReply},
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
		{"400 with a code of throttling", reply(400, `{"code":10004}`), 0, telephony.Throttled, telephony.ErrThrottled},
		{"400 with a code in quotes", reply(400, `{"code":"21211"}`), 0, telephony.Rejected, telephony.ErrInvalidNumber},
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

func TestDialAsksForWhatThereIs(t *testing.T) {
	for _, tt := range []struct {
		name string
		req  telephony.DialRequest
		want map[string]string
	}{
		{"nothing more", telephony.DialRequest{}, map[string]string{"MachineDetection": "", "AsyncAmd": "", "Timeout": "", "TimeLimit": "", "StatusCallback": ""}},
		{"a machine", telephony.DialRequest{MachineDetection: true, MachineURL: "https://x/m"}, map[string]string{"MachineDetection": "Enable", "AsyncAmd": "true", "AsyncAmdStatusCallback": "https://x/m"}},
		{"the beep of a machine", telephony.DialRequest{MachineDetection: true, DetectBeep: true, MachineURL: "https://x/m"}, map[string]string{"MachineDetection": "DetectMessageEnd", "AsyncAmd": "true", "AsyncAmdStatusCallback": "https://x/m"}},
		{"a beep without a machine", telephony.DialRequest{DetectBeep: true}, map[string]string{"MachineDetection": "", "AsyncAmd": ""}},
		{"a name, which Twilio does not show", telephony.DialRequest{CallerName: "Acme"}, map[string]string{"CallerName": "", "CallerId": ""}},
		{"seconds begun", telephony.DialRequest{RingTimeout: 29001 * time.Millisecond, MaxDuration: time.Minute}, map[string]string{"Timeout": "30", "TimeLimit": "60"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
				for name, want := range tt.want {
					if got := r.PostFormValue(name); got != want {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
				reply(201, `{"sid":"`+testCall+`"}`)(w, r)
			})
			tt.req.To, tt.req.From, tt.req.AnswerURL = "+14155550100", "+15005550001", "https://x/a"
			if _, err := p.Dial(t.Context(), &tt.req); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatTwilioHasNotGotDoesNotLeave(t *testing.T) {
	c, p := newCarrier(t, reply(201, `{}`))
	req := *dialRequest
	req.SIPHeaders = map[string]string{"Agent": "sales"}
	_, dialErr := p.Dial(t.Context(), &req)
	_, recordErr := p.StartRecording(t.Context(), testCall, &telephony.RecordRequest{MaxDuration: time.Minute})
	for _, err := range []error{dialErr, recordErr} {
		if !errors.Is(err, errors.ErrUnsupported) || telephony.OutcomeOf(err) != telephony.NotSent {
			t.Errorf("error is %v, want ErrUnsupported, not sent", err)
		}
	}
	if n := c.requests.Load(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3")
		reply(429, `{"code":20429,"message":"Too Many Requests"}`)(w, r)
	})
	_, err := p.Dial(t.Context(), dialRequest)
	var e *telephony.Error
	if !errors.As(err, &e) || e.RetryAfter != 3*time.Second || e.Message != "Too Many Requests" {
		t.Errorf("error is %+v", e)
	}
}

func TestWhatIsGone(t *testing.T) {
	gone := `{"code":20404,"message":"The requested resource /2010-04-01/Accounts/` + testAccount + `/Calls was not found","status":404}`
	_, p := newCarrier(t, reply(404, gone))
	for name, deed := range deeds(p, testCall, testRecording) {
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
		"pause recording":  func(ctx context.Context) error { return p.PauseRecording(ctx, call, recording) },
		"resume recording": func(ctx context.Context) error { return p.ResumeRecording(ctx, call, recording) },
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

// Twilio refuses both in the same words.
func TestCallThatIsOverIsToldFromOneThatIsNotAnswered(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status string // of the call, as JSON; "" if it cannot be asked
		reason error
	}{
		{"ringing", `"ringing"`, telephony.ErrCallState},
		{"queued", `"queued"`, telephony.ErrCallState},
		{"over", `"completed"`, telephony.ErrCallGone},
		{"never answered", `"no-answer"`, telephony.ErrCallGone},
		{"unknown", ``, telephony.ErrCallState},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPost:
					reply(400, `{"code":21220,"message":"Call is not in-progress. Cannot redirect.","status":400}`)(w, r)
				case tt.status == "":
					reply(503, "")(w, r)
				default:
					reply(200, `{"sid":"`+testCall+`","status":`+tt.status+`}`)(w, r)
				}
			})
			for _, name := range []string{"redirect", "start recording", "pause recording", "resume recording"} {
				before := c.requests.Load()
				err := deeds(p, testCall, testRecording)[name](t.Context())
				var e *telephony.Error
				if !errors.As(err, &e) || e.Reason != tt.reason || e.Code != "21220" || e.Outcome != telephony.Rejected || e.Op != name {
					t.Errorf("%s: %v, want %v", name, err, tt.reason)
				}
				if n := c.requests.Load() - before; n != 2 {
					t.Errorf("%s: %d requests, want 2", name, n)
				}
			}
			if err := p.Hangup(t.Context(), testCall); (err == nil) != (tt.reason == telephony.ErrCallGone) {
				t.Errorf("hangup: %v", err)
			}
			if err := p.StopRecording(t.Context(), testCall, testRecording); err != nil {
				t.Errorf("stop of a recording that is not in progress: %v", err)
			}
		})
	}
}

func TestHangupThatFailsIsAnError(t *testing.T) {
	_, p := newCarrier(t, reply(503, ``))
	if err := p.Hangup(t.Context(), testCall); !errors.Is(err, telephony.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
}

func TestIDsThatAreNoneDoNotLeave(t *testing.T) {
	c, p := newCarrier(t, reply(200, `{}`))
	refused := func(id, name string, err error) {
		if !errors.Is(err, telephony.ErrCallGone) || telephony.OutcomeOf(err) != telephony.Rejected {
			t.Errorf("%s of %q: error is %v", name, id, err)
		}
	}
	for _, id := range []string{"", "CA1", "../../Accounts", testCall + "/x", testStream} {
		for name, deed := range deeds(p, id, id) {
			refused(id, name, deed(t.Context()))
		}
		for _, name := range []string{"pause recording", "resume recording", "stop recording"} {
			refused(id, name, deeds(p, testCall, id)[name](t.Context()))
			refused(id, name, deeds(p, id, testRecording)[name](t.Context()))
		}
	}
	if n := c.requests.Load(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func TestStatusOfAnotherCallIsRefused(t *testing.T) {
	_, p := newCarrier(t, reply(200, `{"sid":"CAffffffffffffffffffffffffffffffff"}`))
	if _, err := p.Status(t.Context(), testCall); !errors.Is(err, telephony.ErrBadReply) {
		t.Errorf("error is %v, want ErrBadReply", err)
	}
}

func TestFindReadsAllPagesNewestFirst(t *testing.T) {
	since := time.Date(2026, 10, 20, 10, 0, 0, 500e6, time.UTC)
	call := func(n int, created, direction string) string {
		return fmt.Sprintf(`{"sid":"CA%032x","date_created":%s,"direction":%q,"status":"queued"}`, n, created, direction)
	}
	at := func(second int) string {
		return `"` + since.Add(time.Duration(second)*time.Second).Format(time.RFC1123Z) + `"`
	}
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("PageToken") != "PA1" {
			fmt.Fprintf(w, `{"calls":[%s,%s,%s],"next_page_uri":"/2010-04-01/x?Page=1&PageToken=PA1"}`,
				call(1, at(5), "outbound-api"), call(2, at(-2), "outbound-api"), call(3, at(6), "inbound"))
			return
		}
		fmt.Fprintf(w, `{"calls":[%s,%s,%s],"next_page_uri":null}`,
			call(4, at(9), "outbound-api"), call(5, "null", "outbound-api"), call(6, at(0), "outbound-api"))
	})
	events, err := p.Find(t.Context(), dialRequest, since)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, strings.TrimLeft(e.ProviderCallID, "CA0"))
	}
	if want := []string{"5", "4", "1", "6"}; !reflect.DeepEqual(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestFindDoesNotPageForEver(t *testing.T) {
	c, p := newCarrier(t, reply(200, `{"calls":[],"next_page_uri":"/x?Page=1&PageToken=PA1"}`))
	if _, err := p.Find(t.Context(), dialRequest, time.Now()); !errors.Is(err, telephony.ErrBadReply) {
		t.Errorf("error is %v, want ErrBadReply", err)
	}
	if n := c.requests.Load(); n != findMaxPages {
		t.Errorf("%d requests, want %d", n, findMaxPages)
	}
}

func TestAPIKeyAuthenticatesRequests(t *testing.T) {
	t.Setenv("TWILIO_EDGE", "dublin")
	t.Setenv("TWILIO_REGION", "ie1")
	_, p := newCarrier(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "SK1" || password != "key_secret-1" {
			t.Errorf("credentials are %q, %q", user, password)
		}
		if !strings.HasPrefix(r.URL.Path, "/prefix/2010-04-01/Accounts/"+testAccount+"/") {
			t.Errorf("path is %s", r.URL.Path)
		}
		reply(201, `{"sid":"`+testCall+`"}`)(w, r)
	})
	p.APIKey, p.APISecret = "SK1", "key_secret-1"
	p.BaseURL += "/prefix/"
	if _, err := p.Dial(t.Context(), dialRequest); err != nil {
		t.Error(err)
	}
}

func TestStormOfFailuresLeavesNothingBehind(t *testing.T) {
	guardtest.Storm(t, 10000, func(address string) (func(int) error, func()) {
		p := testProvider()
		p.BaseURL, p.Timeout = address, 50*time.Millisecond
		all := deeds(p, testCall, testRecording)
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
	c, p := newCarrier(t, reply(201, `{"sid":"`+testCall+`"}`))
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
