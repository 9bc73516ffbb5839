package openapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account   = "AC0123456789abcdef0123456789abcdef"
	call      = "CA0123456789abcdef0123456789abcdef"
	recording = "RE0123456789abcdef0123456789abcdef"
)

// describe reads the description, with its paths on this machine.
func describe(t *testing.T) *openapi3.T {
	t.Helper()
	dir := os.Getenv("TWILIO_OPENAPI")
	if dir == "" {
		t.Skip("TWILIO_OPENAPI names no folder with Twilio's OpenAPI description")
	}
	var files []string
	for _, name := range []string{"twilio_calls_v2010.json", "twilio_api_v2010.json"} {
		if f := filepath.Join(dir, name); exists(f) {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		t.Fatalf("%s holds no description", dir)
	}
	doc, err := openapi3.NewLoader().LoadFromFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil
	for _, item := range doc.Paths.Map() {
		item.Servers = nil
	}
	return doc
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

type exchange struct {
	Name, Method, Path string
	Response           response
}

type response struct {
	Status int
	Body   json.RawMessage
}

// captured returns the replies with which the adapter is tested, by name.
func captured(t *testing.T) map[string]exchange {
	t.Helper()
	b, err := os.ReadFile("../../telephony/twilio/testdata/rest.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Exchanges []exchange }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]exchange)
	for _, x := range file.Exchanges {
		all[x.Name] = x
	}
	return all
}

// judge is a server that answers with captured replies, and keeps what is wrong
// with a request or a reply.
type judge struct {
	router  routers.Router
	replies map[string]exchange

	mu       sync.Mutex
	next     string   // which reply comes next
	problems []error  // with the last exchange
	seen     []string // operations
}

func (j *judge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	x, ok := j.replies[j.next]
	if !ok {
		j.problems = append(j.problems, fmt.Errorf("no exchange %q is captured", j.next))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	j.problems = append(j.problems, j.check(r, &x)...)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(x.Response.Status)
	if x.Response.Status != http.StatusNoContent {
		_, _ = w.Write(x.Response.Body)
	}
}

func (j *judge) check(r *http.Request, x *exchange) []error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return []error{err}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := j.router.FindRoute(r)
	if err != nil {
		return []error{fmt.Errorf("%s %s: %w", r.Method, r.URL, err)}
	}
	j.seen = append(j.seen, route.Operation.OperationID)
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{MultiError: true, IncludeResponseStatus: true, AuthenticationFunc: authenticate},
	}
	problems := []error{openapi3filter.ValidateRequest(r.Context(), input)}
	problems = append(problems, unknown(route.Operation, r.URL.Query(), body)...)

	header := http.Header{}
	header.Set("Content-Type", "application/json")
	if x.Response.Status == http.StatusNoContent {
		header = http.Header{}
	}
	reply := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: x.Response.Status, Header: header, Options: input.Options,
	}
	if x.Response.Status != http.StatusNoContent {
		reply.SetBodyBytes(x.Response.Body)
	}
	problems = append(problems, openapi3filter.ValidateResponse(r.Context(), reply))
	return slices.DeleteFunc(problems, func(err error) bool { return err == nil })
}

// authenticate demands HTTP Basic with the account.
func authenticate(_ context.Context, a *openapi3filter.AuthenticationInput) error {
	user, password, ok := a.RequestValidationInput.Request.BasicAuth()
	if !ok || user != account || password != "12345" {
		return a.NewError(errors.New("not authenticated"))
	}
	return nil
}

// unknown reports what is sent and not described: validation lets it pass.
func unknown(o *openapi3.Operation, query url.Values, body []byte) (problems []error) {
	for name := range query {
		if o.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			problems = append(problems, fmt.Errorf("the query holds %q, which is not described", name))
		}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return append(problems, err)
	}
	var described openapi3.Schemas
	if o.RequestBody != nil {
		if media := o.RequestBody.Value.Content.Get("application/x-www-form-urlencoded"); media != nil {
			described = media.Schema.Value.Properties
		}
	}
	for name := range form {
		if described[name] == nil {
			problems = append(problems, fmt.Errorf("the form holds %q, which is not described", name))
		}
	}
	return problems
}

func TestRequestsAndRepliesAreWhatTwilioDescribes(t *testing.T) {
	router, err := gorillamux.NewRouter(describe(t))
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{router: router, replies: captured(t)}
	srv := httptest.NewServer(j)
	defer srv.Close()
	p := &twilio.Provider{AccountSID: account, AuthToken: "12345", BaseURL: srv.URL}
	defer p.CloseIdleConnections()

	full := &telephony.DialRequest{
		To: "+14155550100", From: "+15005550001",
		AnswerURL: "https://voice.example.com/twilio/answer?x=1&y=a%20b", StatusURL: "https://voice.example.com/twilio/status",
		RingTimeout: 30 * time.Second, MaxDuration: 10 * time.Minute, SendDigits: "w1234#",
		MachineDetection: true, MachineURL: "https://voice.example.com/twilio/amd", DetectBeep: true,
	}
	least := &telephony.DialRequest{To: full.To, From: full.From, AnswerURL: full.AnswerURL}
	since := time.Date(2026, 10, 20, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		reply string // the captured one
		do    func(ctx context.Context) error
	}{
		{"dial with everything", "create_call_url", func(ctx context.Context) error { _, err := p.Dial(ctx, full); return err }},
		{"dial with the least", "create_call_url", func(ctx context.Context) error { _, err := p.Dial(ctx, least); return err }},
		{"status of a live call", "fetch_call_in_progress", func(ctx context.Context) error { _, err := p.Status(ctx, call); return err }},
		{"status of a call that is over", "fetch_call_completed", func(ctx context.Context) error { _, err := p.Status(ctx, call); return err }},
		{"find", "list_calls_for_reconciliation", func(ctx context.Context) error { _, err := p.Find(ctx, full, since); return err }},
		{"hang up", "hangup", func(ctx context.Context) error { return p.Hangup(ctx, call) }},
		{"redirect", "redirect_to_url", func(ctx context.Context) error { return p.Redirect(ctx, call, "https://voice.example.com/next") }},
		{"start recording", "recording_start", func(ctx context.Context) error {
			_, err := p.StartRecording(ctx, call, &telephony.RecordRequest{StatusURL: "https://voice.example.com/rec"})
			return err
		}},
		{"start recording in one channel", "recording_start", func(ctx context.Context) error {
			_, err := p.StartRecording(ctx, call, &telephony.RecordRequest{Mono: true})
			return err
		}},
		{"pause recording", "recording_pause", func(ctx context.Context) error { return p.PauseRecording(ctx, call, recording) }},
		{"resume recording", "recording_resume", func(ctx context.Context) error { return p.ResumeRecording(ctx, call, recording) }},
		{"stop recording", "recording_stop", func(ctx context.Context) error { return p.StopRecording(ctx, call, recording) }},
		{"delete recording", "recording_delete", func(ctx context.Context) error { return p.DeleteRecording(ctx, recording) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j.mu.Lock()
			before := len(j.seen)
			j.next, j.problems = tt.reply, nil
			j.mu.Unlock()
			if err := tt.do(t.Context()); err != nil {
				t.Errorf("the adapter: %v", err)
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			for _, problem := range j.problems {
				t.Error(problem)
			}
			if len(j.seen) != before+1 {
				t.Errorf("%d described requests, want 1", len(j.seen)-before)
			}
		})
	}
	slices.Sort(j.seen)
	want := []string{
		"CreateCall", "CreateCallRecording", "DeleteRecording", "FetchCall", "ListCall", "UpdateCall", "UpdateCallRecording",
	}
	if got := slices.Compact(j.seen); !slices.Equal(got, want) {
		t.Errorf("operations are %q, want %q", got, want)
	}
}

// The judge sees what is wrong, lest it pass everything.
func TestWhatIsNotDescribedIsSeen(t *testing.T) {
	router, err := gorillamux.NewRouter(describe(t))
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{router: router, replies: captured(t)}
	good := j.replies["hangup"]
	bad := good
	bad.Response.Body = json.RawMessage(`{"sid":7}`)
	const path = "/2010-04-01/Accounts/" + account + "/Calls/" + call + ".json"
	for _, tt := range []struct {
		name, method, path, form string
		reply                    exchange
		ok                       bool
	}{
		{"as it should be", http.MethodPost, path, "Status=completed", good, true},
		{"a status that is none", http.MethodPost, path, "Status=asleep", good, false},
		{"a method that is none", http.MethodPost, path, "Url=https://x/y&Method=BREW", good, false},
		{"a number that is none", http.MethodPost, path, "TimeLimit=soon", good, false},
		{"a field that is none", http.MethodPost, path, "Status=completed&Colour=red", good, false},
		{"a query that is none", http.MethodGet, path + "?Colour=red", "", good, false},
		{"an id that is none", http.MethodPost, strings.Replace(path, call, "CA1", 1), "Status=completed", good, false},
		{"a path that is none", http.MethodGet, strings.Replace(path, "Calls", "Cats", 1), "", good, false},
		{"a reply that is none", http.MethodPost, path, "Status=completed", bad, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.form))
			r.SetBasicAuth(account, "12345")
			if tt.form != "" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			problems := j.check(r, &tt.reply)
			if tt.ok != (len(problems) == 0) {
				t.Errorf("problems are %v, want none %t", problems, tt.ok)
			}
		})
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("Status=completed"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(j.check(r, &good)) == 0 {
		t.Error("a request without credentials passes")
	}
}
