package callhttp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/switchboard-voice/switchboard/call"
)

type results struct{ Results []batchResult }

func TestBatchAnswersEachRequestInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *call.Config, _ *Config) { c.MaxCalls = 3 })
		items := []string{
			ordinary,
			strings.Replace(ordinary, "+12025550123", "+0987654321", 1),
			strings.Replace(ordinary, "echo", "nobody", 1),
			strings.Replace(ordinary, "+12025550123", "+19005550123", 1),
			with(`"record_storage":"s3"`),
			strings.Replace(ordinary, "+12025550123", "+12025550124", 1),
		}
		want := []struct {
			status         int
			word, location string
		}{
			{201, "", ""},
			{400, "invalid_phone_number", "body.calls[1].to_phone"},
			{404, "agent_not_found", "body.calls[2].agent_id"},
			{403, "destination_not_allowed", "body.calls[3].to_phone"},
			{400, "invalid_request", "body.calls[4].record_storage"},
			{201, "", ""},
		}
		body := `{"calls":[` + strings.Join(items, ",") + `]}`
		got := decode[results](t, b.ask("acme", "POST", "/api/calls/batch", body), http.StatusMultiStatus).Results
		if len(got) != len(want) {
			t.Fatalf("%d results of %d requests", len(got), len(want))
		}
		for i, r := range got {
			w := want[i]
			if r.Status != w.status {
				t.Errorf("result %d has status %d, want %d", i, r.Status, w.status)
			}
			if w.word == "" {
				if c, err := b.svc.Call(t.Context(), r.Call.CallID); err != nil || c.Tenant != "acme" || r.Problem != nil {
					t.Errorf("result %d: %+v, call %v, %v", i, r, c, err)
				}
				continue
			}
			p := r.Problem
			if r.Call != nil || p == nil || p.Type != TypePrefix+w.word || p.Status != w.status || len(p.Errors) != 1 ||
				p.Errors[0].Location != w.location || !strings.HasPrefix(p.Detail, w.location) {
				t.Errorf("result %d: problem %+v, want %+v", i, p, w)
			}
		}
		// There is room for one more.
		got = decode[results](t, b.ask("acme", "POST", "/api/calls/batch", body), http.StatusMultiStatus).Results
		if statuses := []int{got[0].Status, got[5].Status}; statuses[0]+statuses[1] != 201+503 {
			t.Errorf("statuses %v, want 201 and 503", statuses)
		}
	})
}

func TestSameBatchUnderTheSameKeyIsTheSameCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		ask := func(items ...string) []batchResult {
			w := b.ask("acme", "POST", "/api/calls/batch", `{"calls":[`+strings.Join(items, ",")+`]}`, "Idempotency-Key", "monday")
			return decode[results](t, w, http.StatusMultiStatus).Results
		}
		first, again := ask(ordinary, ordinary), ask(ordinary, ordinary)
		for i := range first {
			if first[i].Call.CallID != again[i].Call.CallID {
				t.Errorf("request %d made two calls", i)
			}
		}
		if first[0].Call.CallID == first[1].Call.CallID {
			t.Error("two requests made one call")
		}
		changed := ask(ordinary, with(`"record_call":true`))
		if changed[0].Status != 201 || changed[1].Status != 409 || changed[1].Problem.Errors[0].Location != "header.Idempotency-Key" {
			t.Errorf("with another second request: %+v", changed)
		}
	})
}

func TestBatchThatCannotBeReadPlacesNothing(t *testing.T) {
	b := setup(t, nil)
	many := strings.TrimSuffix(strings.Repeat(`{},`, 1001), ",")
	tests := []struct {
		name, body     string
		status         int
		word, location string
	}{
		{"no body", "", 400, "invalid_request", ""},
		{"no calls", `{"calls":[]}`, 400, "invalid_request", "body.calls"},
		{"calls that are null", `{"calls":null}`, 400, "invalid_request", "body.calls"},
		{"a list alone", `[` + ordinary + `]`, 400, "invalid_request", "body"},
		{"an unknown field", `{"calls":[` + ordinary + `],"pace":1}`, 400, "invalid_request", "body.pace"},
		{"an unknown field of a call", `{"calls":[` + ordinary + `,` + with(`"colour":"red"`) + `]}`, 400, "invalid_request", "body.calls[1].colour"},
		{"a field of a call twice", `{"calls":[` + with(`"agent_id":"echo"`) + `]}`, 400, "invalid_request", "body.calls[0].agent_id"},
		{"a field of a call in other letters", `{"calls":[` + with(`"Provider":"fake"`) + `]}`, 400, "invalid_request", "body.calls[0].Provider"},
		{"calls twice", `{"calls":[` + ordinary + `],"calls":[` + ordinary + `]}`, 400, "invalid_request", "body.calls"},
		{"a call that is none", `{"calls":[` + ordinary + `,7]}`, 400, "invalid_request", "body.calls[1]"},
		{"a field is missing", `{"calls":[{"agent_id":"echo"}]}`, 400, "invalid_request", "body.calls[0]"},
		{"more than a thousand", `{"calls":[` + many + `]}`, 400, "invalid_request", "body.calls"},
		{"more than 64 KiB", `{"calls":[` + with(`"metadata":{"a":"`+strings.Repeat("x", 64<<10)+`"}`) + `]}`, 413, "request_too_large", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := wantProblem(t, b.ask("acme", "POST", "/api/calls/batch", tt.body), tt.status, tt.word)
			if tt.location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != tt.location) {
				t.Errorf("faults %+v, want the first at %s", p.Errors, tt.location)
			}
		})
	}
	if st := b.svc.Stats(); st.Placed != 0 {
		t.Errorf("%d calls were placed", st.Placed)
	}
}

func FuzzBatch(f *testing.F) {
	b := setup(f, nil)
	b.carrier.refuseAll = true
	f.Add(fmt.Sprintf(`{"calls":[%s,%s]}`, ordinary, ordinary))
	f.Add(`{"calls":[{"agent_id":"echo"}]}`)
	f.Add(`{"calls":[null,[]]}`)
	f.Add(`{"calls":{"agent_id":1}}`)
	f.Fuzz(func(t *testing.T, body string) {
		b.t = t
		w := b.ask("acme", "POST", "/api/calls/batch", body, "Content-Type", "application/json")
		if w.Code == http.StatusMultiStatus {
			for _, r := range decode[results](t, w, w.Code).Results {
				if (r.Call == nil) == (r.Problem == nil) || r.Problem != nil && r.Problem.Status != r.Status {
					t.Errorf("result %+v of %q", r, body)
				}
			}
			return
		}
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("status %d for %q", w.Code, body)
		}
	})
}
