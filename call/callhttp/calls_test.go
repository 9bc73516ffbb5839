package callhttp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/transcript"
)

func TestWhatCannotBePlacedIsRefusedWithItsReason(t *testing.T) {
	b := setup(t, nil)
	tests := []struct {
		name     string
		body     string
		header   []string
		status   int
		word     string
		location string // of the first fault
	}{
		{"no body", "", nil, 400, "invalid_request", ""},
		{"not JSON", "{", nil, 400, "invalid_request", "body"},
		{"not an object", "[]", nil, 400, "invalid_request", "body"},
		{"two objects", ordinary + ordinary, nil, 400, "invalid_request", "body"},
		{"a field is missing", `{"agent_id":"echo","to_phone":"+12025550123"}`, nil, 400, "invalid_request", "body"},
		{"a field is unknown", with(`"colour":"red"`), nil, 400, "invalid_request", "body.colour"},
		{"a field in other letters is unknown", with(`"Provider":"fake"`), nil, 400, "invalid_request", "body.Provider"},
		{"a field is there twice", with(`"to_phone":"+12025550124"`), nil, 400, "invalid_request", "body.to_phone"},
		{"a field has the wrong type", with(`"record_call":"yes"`), nil, 400, "invalid_request", "body.record_call"},
		{"a form is not JSON", ordinary, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", "body"},
		{"a number is too short", strings.Replace(ordinary, "+12025550123", "+123", 1), nil, 400, "invalid_phone_number", "body.to_phone"},
		{"a number begins with zero", strings.Replace(ordinary, "+12025550100", "+0987654321", 1), nil, 400, "invalid_phone_number", "body.from_phone"},
		{"a number is no text", strings.Replace(ordinary, `"+12025550123"`, "12025550123", 1), nil, 400, "invalid_request", "body.to_phone"},
		{"the agent is unknown", strings.Replace(ordinary, "echo", "nobody", 1), nil, 404, "agent_not_found", "body.agent_id"},
		{"the provider is unknown", with(`"provider":"other"`), nil, 400, "invalid_request", "body.provider"},
		{"the destination is costly", strings.Replace(ordinary, "+12025550123", "+19005550123", 1), nil, 403, "destination_not_allowed", "body.to_phone"},
		{"the storage is unknown", with(`"record_storage":"s3"`), nil, 400, "invalid_request", "body.record_storage"},
		{"the storage has no such name", with(`"record_storage":"attic"`), nil, 400, "invalid_request", "body.record_storage"},
		{"there is no transcriber", with(`"enable_transcription":true`), nil, 400, "invalid_request", "body.enable_transcription"},
		{"a time is negative", with(`"timeout_seconds":-1`), nil, 400, "invalid_request", "body.timeout_seconds"},
		{"a time is above the limit", with(`"timeout_seconds":7200`), nil, 400, "invalid_request", "body.timeout_seconds"},
		{"a time does not fit anywhere", with(`"timeout_seconds":1e30`), nil, 400, "invalid_request", "body.timeout_seconds"},
		{"the data has two names", with(`"customer_data":{"a":"1"},"customer_context":{"a":"1"}`), nil, 400, "invalid_request", "body.customer_context"},
		{"the data has too many entries", with(`"customer_data":` + manyEntries(65)), nil, 400, "invalid_request", "body.customer_data"},
		{"the key is too long", ordinary, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "invalid_request", "header.Idempotency-Key"},
		{"the body has more than 64 KiB", with(`"metadata":{"a":"` + strings.Repeat("x", 64<<10) + `"}`), nil, 413, "request_too_large", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := wantProblem(t, b.ask("acme", "POST", "/api/calls", tt.body, tt.header...), tt.status, tt.word)
			if tt.location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != tt.location) {
				t.Errorf("faults %+v, want the first at %s", p.Errors, tt.location)
			}
			if p.Detail == "" {
				t.Errorf("problem %+v says no detail", p)
			}
		})
	}
	if st := b.svc.Stats(); st.Placed != 0 {
		t.Errorf("%d calls were placed", st.Placed)
	}
}

// with is the ordinary request with more fields.
func with(fields string) string { return ordinary[:len(ordinary)-1] + "," + fields + "}" }

func manyEntries(n int) string {
	entries := make(map[string]string)
	for i := range n {
		entries[fmt.Sprint(i)] = "x"
	}
	b, _ := json.Marshal(entries)
	return string(b)
}

func TestBodyOfJust64KiBIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		body := with(`"metadata":{"a":""}`)
		body += strings.Repeat(" ", maxBody-len(body))
		if w := b.ask("acme", "POST", "/api/calls", body); w.Code != http.StatusCreated {
			t.Errorf("status %d, body %s", w.Code, w.Body)
		}
		wantProblem(t, b.ask("acme", "POST", "/api/calls", body+" "), 413, "request_too_large")
	})
}

func TestPlacedCallIsWhatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		w := b.ask("acme", "POST", "/api/calls", `{
			"agent_id": "echo", "to_phone": "+1234567890", "from_phone": "+1 202-555-0100", "provider": "fake",
			"customer_data": {"name": "Ann", "orders": 3, "vip": true, "tags": ["a", "b"], "none": null},
			"metadata": {"campaign": "spring"},
			"record_call": true, "record_storage": "local",
			"timeout_seconds": 300, "silence_timeout_seconds": 20, "machine_detection": true}`)
		got := decode[placed](t, w, http.StatusCreated)
		if got.Status != "initiated" || got.CreatedAt.IsZero() || got.EstimatedStartTime.Before(got.CreatedAt) {
			t.Errorf("answer %+v", got)
		}
		if want := "/phone/api/calls/" + got.CallID; w.Header().Get("Location") != want {
			t.Errorf("location %q, want %q", w.Header().Get("Location"), want)
		}
		c, err := b.svc.Call(t.Context(), got.CallID)
		if err != nil {
			t.Fatal(err)
		}
		want := call.Call{
			ID: got.CallID, Tenant: "acme", AgentID: "echo", Provider: "fake",
			From: "+12025550100", To: "+1234567890",
			Context:  map[string]string{"name": "Ann", "orders": "3", "vip": "true", "tags": `["a","b"]`, "none": "null"},
			Metadata: map[string]string{"campaign": "spring"},
			Options: call.Options{
				Record: true, RecordStorage: "local", MaxDuration: 5 * time.Minute, Silence: 20 * time.Second, MachineDetection: true,
			},
		}
		kept := call.Call{
			ID: c.ID, Tenant: c.Tenant, AgentID: c.AgentID, Provider: c.Provider,
			From: c.From, To: c.To, Context: c.Context, Metadata: c.Metadata, Options: c.Options,
		}
		if diff := cmp.Diff(want, kept); diff != "" {
			t.Errorf("call (-want +got):\n%s", diff)
		}
	})
}

func TestCustomerContextIsCustomerData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		w := b.ask("acme", "POST", "/api/calls", with(`"customer_context":{"name":"Ann"}`))
		id := decode[placed](t, w, http.StatusCreated).CallID
		got := decode[detail](t, b.ask("acme", "GET", "/api/calls/"+id, ""), http.StatusOK)
		if got.CustomerData["name"] != "Ann" {
			t.Errorf("customer data %v", got.CustomerData)
		}
	})
}

func TestSameKeyIsSameCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		ask := func(tenant, body string) string {
			return decode[placed](t, b.ask(tenant, "POST", "/api/calls", body, "Idempotency-Key", "k1"), http.StatusCreated).CallID
		}
		first := ask("acme", ordinary)
		if again := ask("acme", ordinary); again != first {
			t.Errorf("the same key and body made call %s and then %s", first, again)
		}
		wantProblem(t, b.ask("acme", "POST", "/api/calls", with(`"record_call":true`), "Idempotency-Key", "k1"), 409, "idempotency_conflict")
		if other := ask("other", ordinary); other == first {
			t.Errorf("another tenant's key found the call of this one")
		}
	})
}

func TestNoRoomIsSaidWithATimeToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *call.Config, _ *Config) { c.MaxCalls = 1 })
		b.place("acme")
		refusal := func(word string) {
			t.Helper()
			w := b.ask("acme", "POST", "/api/calls", ordinary)
			wantProblem(t, w, 503, word)
			if w.Header().Get("Retry-After") != "5" {
				t.Errorf("Retry-After %q, want 5", w.Header().Get("Retry-After"))
			}
		}
		refusal("overloaded")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.svc.Shutdown(ctx)
		refusal("draining")
	})
}

// ownedRoutes are the routes of the API's own description that are about somebody's
// call or campaign.
func (b *bench) ownedRoutes() []string {
	b.t.Helper()
	doc := decode[struct {
		Paths map[string]map[string]any
	}](b.t, b.ask("acme", "GET", "/openapi.json", ""), 200)
	var routes []string
	for path, methods := range doc.Paths {
		for method := range methods {
			if route := strings.ToUpper(method) + " " + path; strings.Contains(path, "{") {
				routes = append(routes, route)
			} else if !slices.Contains([]string{
				"GET /api/calls", "POST /api/calls", "POST /api/calls/batch", "GET /api/events",
				"POST /api/tickets", "GET /api/campaigns", "POST /api/campaigns",
			}, route) {
				b.t.Errorf("%s: is it about something that a tenant owns?", route)
			}
		}
	}
	slices.Sort(routes)
	return routes
}

// Whatever route there is, also one that will be added, another tenant's id is
// answered as one that nobody has.
func TestAnotherTenantsCallDoesNotExist(t *testing.T) {
	bodies := map[string][]string{ // of the routes that need one
		"POST /api/calls/{id}/transfer": {
			`{"to_phone":"+12025550177"}`, `{"agent_id":"echo"}`, `{"to_phone":"+12025550177","warm":true}`,
		},
		"POST /api/calls/{id}/dtmf":               {`{"digits":"1"}`},
		"POST /api/calls/{id}/recording/consent":  {`{"agrees":true}`},
		"POST /api/calls/{id}/carrier-recordings": {`{}`},
		"POST /api/campaigns/{id}/contacts":       {`{"contacts":[{"phone_number":"+12127550109"}]}`},
	}
	synctest.Test(t, func(t *testing.T) {
		b := withCampaigns(t)
		b.keep(finished())
		campaign := decode[campaignView](t, b.ask("acme", "POST", "/api/campaigns", campaignBody), 201).CampaignID
		fill := func(path, id string) string {
			return strings.NewReplacer("{id}", id, "{recording_id}", "RE1").Replace(path)
		}
		asked := 0
		for _, route := range b.ownedRoutes() {
			method, path, _ := strings.Cut(route, " ")
			foreign, word := "call_1", "call_not_found"
			if strings.HasPrefix(path, "/api/campaigns/") {
				foreign, word = campaign, "campaign_not_found"
			}
			needed := bodies[route]
			if needed == nil {
				needed = []string{""}
			}
			for _, body := range needed {
				a := b.ask("other", method, fill(path, foreign), body)
				u := b.ask("other", method, fill(path, strings.Repeat("9", len(foreign))), body)
				wantProblem(t, a, 404, word)
				if a.Code != u.Code || a.Body.String() != u.Body.String() || !cmp.Equal(a.Header(), u.Header()) {
					t.Errorf("%s: a foreign one is answered with %d %s, an unknown one with %d %s", route, a.Code, a.Body, u.Code, u.Body)
				}
				asked++
			}
		}
		if asked < 25 {
			t.Errorf("%d routes were asked", asked)
		}
		if list := decode[struct{ Calls []Summary }](t, b.ask("other", "GET", "/api/calls", ""), 200); len(list.Calls) != 0 {
			t.Errorf("the list of another tenant has %v", list.Calls)
		}
		if list := decode[struct{ Campaigns []CampaignSummary }](t, b.ask("other", "GET", "/api/campaigns", ""), 200); len(list.Campaigns) != 0 {
			t.Errorf("the list of another tenant has %v", list.Campaigns)
		}
		if _, err := b.svc.Call(t.Context(), "call_1"); err != nil {
			t.Errorf("the call is gone: %v", err)
		}
		if c := decode[campaignView](t, b.ask("acme", "GET", "/api/campaigns/"+campaign, ""), 200); c.Status != "paused" || c.Progress.Waiting != 2 {
			t.Errorf("the campaign is %+v", c)
		}
	})
}

func TestNobodyGetsNothing(t *testing.T) {
	b := setup(t, nil)
	b.keep(finished())
	for _, route := range []string{"GET /api/calls", "POST /api/calls", "GET /api/calls/call_1", "GET /api/events", "DELETE /api/calls/call_1", "GET /api/nothing", "GET /api"} {
		method, path, _ := strings.Cut(route, " ")
		w := b.ask("nobody", method, path, "")
		wantProblem(t, w, 401, "unauthorized")
		if w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", route)
		}
	}
}

func TestAddressesThatAreNotThere(t *testing.T) {
	b := setup(t, nil)
	wantProblem(t, b.ask("acme", "GET", "/api/nothing", ""), 404, "not_found")
	w := b.ask("acme", "PUT", "/api/calls", "")
	wantProblem(t, w, 405, "method_not_allowed")
	if allow := w.Header().Get("Allow"); allow != "GET, HEAD, POST" {
		t.Errorf("Allow %q", allow)
	}
}

// finished is a call with everything.
func finished() call.Call {
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	return call.Call{
		ID: "call_1", Tenant: "acme", AgentID: "echo", Direction: telephony.Inbound, Provider: "fake", ProviderCallID: "leg_1",
		From: "+12025550123", To: "+12025550100",
		State: call.Completed, Cause: call.HangupRemote,
		CreatedAt: at, AnsweredAt: at.Add(2 * time.Second), EndedAt: at.Add(14600 * time.Millisecond),
		Context: map[string]string{"order": "7"},
		Route:   "default", ParentID: "call_0", AnsweredBy: telephony.AnsweredByHuman, Machine: call.MessageLeft,
		CarrierRecordings: []telephony.RecordingReport{{
			ID: "RE1", Status: telephony.RecordingCompleted, Duration: 12 * time.Second, Channels: 2, URL: "https://carrier.test/RE1",
		}},
		Recording: &recording.Recording{
			Storage: "local", Key: "there.wav", Format: "wav", Channels: 2, Rate: 8000,
			Duration: 12400 * time.Millisecond, Size: 396844, CreatedAt: at.Add(2 * time.Second), Truncated: true,
		},
		Transcript: []transcript.Segment{
			{Speaker: transcript.Agent, Text: "Hello.", At: 400 * time.Millisecond, Confidence: 1, Final: true},
			{Speaker: transcript.Customer, At: 2 * time.Second, Gap: true},
			{Speaker: transcript.Customer, Text: "Hi there.", At: 3 * time.Second, Confidence: 0.75},
		},
		Metrics: call.Metrics{
			ResponseLatency: 1500 * time.Microsecond, TranscriptionLatency: 2 * time.Second,
			AudioQuality: 0.5, SpeakerChanges: 3, Interruptions: 1, CallerTalk: 2500 * time.Millisecond, FramesIn: 600,
		},
	}
}

const finishedJSON = `{
	"call_id": "call_1", "agent_id": "echo", "direction": "inbound", "provider": "fake", "provider_call_id": "leg_1",
	"from_phone": "+12025550123", "to_phone": "+12025550100", "status": "completed", "end_reason": "hangup_remote",
	"created_at": "2026-05-04T12:00:00Z", "started_at": "2026-05-04T12:00:02Z", "ended_at": "2026-05-04T12:00:14.6Z", "duration": 13,
	"caller_talk_seconds": 2.5, "agent_talk_seconds": 0, "on_hold": false, "recorded": true, "recording_paused": false, "parent_call_id": "call_0", "answered_by": "human", "machine": "message_left",
	"carrier_recordings": [{"recording_id": "RE1", "status": "completed", "duration": 12, "channels": 2}],
	"customer_data": {"order": "7"}, "metadata": {}, "route": "default",
	"transcript": [
		{"speaker": "agent", "text": "Hello.", "timestamp": "0:00:00", "confidence": 1},
		{"speaker": "customer", "text": "Hi there.", "timestamp": "0:00:03", "confidence": 0.75}],
	"recording_url": "https://archive.test/there.wav?ttl=15m0s",
	"metrics": {
		"transcription_latency_ms": 2000, "response_latency_ms": 1.5, "audio_quality": 0.5, "speaker_changes": 3,
		"interruptions": 1, "caller_talk_seconds": 2.5, "agent_talk_seconds": 0, "frames_in": 600, "frames_out": 0,
		"frames_lost": 0, "jitter_ms": 0, "keys": 0, "transcription_latency_p95_ms": 0, "response_latency_p95_ms": 0,
		"response_heard_ms": 0, "response_heard_p95_ms": 0, "speech_level_dbov": 0, "noise_level_dbov": 0, "clipped": 0,
		"silence_seconds": 0, "crosstalk_seconds": 0}}`

func TestCallInFull(t *testing.T) {
	b := setup(t, nil)
	b.keep(finished())
	tests := []struct{ path, want string }{
		{"/api/calls/call_1", finishedJSON},
		{"/api/calls/call_1/transcript", `{"call_id": "call_1", "transcript": [
			{"speaker": "agent", "text": "Hello.", "timestamp": "0:00:00", "confidence": 1},
			{"speaker": "customer", "text": "Hi there.", "timestamp": "0:00:03", "confidence": 0.75}]}`},
		{"/api/calls/call_1/recording", `{"call_id": "call_1", "recording_url": "https://archive.test/there.wav?ttl=15m0s",
			"duration": 12, "size_bytes": 396844, "format": "wav", "created_at": "2026-05-04T12:00:02Z", "truncated": true}`},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			var want any
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, decode[any](t, b.ask("acme", "GET", tt.path, ""), 200)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallWithLittle(t *testing.T) {
	b := setup(t, nil)
	lost := finished()
	lost.ID, lost.ProviderCallID, lost.Recording.Key = "call_2", "", "gone.wav"
	lost.AnsweredAt, lost.Transcript = time.Time{}, nil
	b.keep(lost)
	got := decode[map[string]any](t, b.ask("acme", "GET", "/api/calls/call_2", ""), 200)
	for _, name := range []string{"provider_call_id", "started_at", "recording_url"} {
		if v, there := got[name]; !there || v != nil {
			t.Errorf("%s is %v, want null", name, v)
		}
	}
	if words, ok := got["transcript"].([]any); !ok || len(words) != 0 {
		t.Errorf("transcript is %v, want []", got["transcript"])
	}
	wantProblem(t, b.ask("acme", "GET", "/api/calls/call_2/recording", ""), 404, "recording_not_found")
}

func TestTimestampsAreHoursMinutesSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0:00:00", 3999 * time.Millisecond: "0:00:03", 61 * time.Second: "0:01:01", 25*time.Hour + 59*time.Minute: "25:59:00",
	} {
		if got := timestamp(d); got != want {
			t.Errorf("timestamp of %v is %q, want %q", d, got, want)
		}
	}
}

func TestListIsNewestFirstAndInPages(t *testing.T) {
	b := setup(t, nil)
	base := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for i := range 7 {
		c := finished()
		c.ID, c.ProviderCallID = fmt.Sprintf("call_%d", i), fmt.Sprintf("leg_%d", i)
		c.CreatedAt = base.Add(time.Duration(i/2) * time.Minute) // some at the same time
		b.keep(c)
	}
	var got []string
	next := ""
	for page := 0; page == 0 || next != ""; page++ {
		w := b.ask("acme", "GET", "/api/calls?limit=3&cursor="+next, "")
		list := decode[struct {
			Calls []Summary
			Next  string `json:"next_cursor"`
		}](t, w, 200)
		for _, c := range list.Calls {
			got = append(got, c.CallID)
		}
		next = list.Next
		if page > 3 {
			t.Fatal("the list has no end")
		}
	}
	want := []string{"call_6", "call_5", "call_4", "call_3", "call_2", "call_1", "call_0"}
	if !slices.Equal(got, want) {
		t.Errorf("list %v, want %v", got, want)
	}
}

func TestListFilters(t *testing.T) {
	b := setup(t, nil)
	base := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for i, state := range []call.State{call.Completed, call.Busy, call.Failed} {
		c := finished()
		c.ID, c.State, c.CreatedAt = "call_"+state.String(), state, base.Add(time.Duration(i)*time.Minute)
		c.ProviderCallID = "leg_" + state.String()
		if state == call.Busy {
			c.Direction, c.AgentID = telephony.Outbound, "desk"
		}
		b.keep(c)
	}
	tests := []struct{ query, want string }{
		{"", "failed busy completed"},
		{"status=busy", "busy"},
		{"status=busy,failed", "failed busy"},
		{"status=active", ""},
		{"agent_id=desk", "busy"},
		{"direction=inbound", "failed completed"},
		{"since=2026-05-04T12:01:00Z", "failed busy"},
		{"until=2026-05-04T14:01:00%2B02:00", "completed"},
		{"direction=inbound&status=failed&limit=1", "failed"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			list := decode[struct{ Calls []Summary }](t, b.ask("acme", "GET", "/api/calls?"+tt.query, ""), 200)
			var got []string
			for _, c := range list.Calls {
				got = append(got, c.Status)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
	for _, bad := range []string{"status=lost", "status=busy,", "direction=up", "limit=0", "limit=1001", "limit=ten", "since=yesterday", "cursor=%21", "cursor=AAAA", "colour=red"} {
		t.Run(bad, func(t *testing.T) {
			p := wantProblem(t, b.ask("acme", "GET", "/api/calls?"+bad, ""), 400, "invalid_request")
			name, _, _ := strings.Cut(bad, "=")
			if len(p.Errors) == 0 || !strings.HasPrefix(p.Errors[0].Location, "query."+name) {
				t.Errorf("faults %+v", p.Errors)
			}
		})
	}
}

func TestDisconnectAndErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		id := b.place("acme")
		synctest.Wait()
		disconnect := func(status int) string {
			t.Helper()
			return decode[struct{ Status string }](t, b.ask("acme", "POST", "/api/calls/"+id+"/disconnect", ""), status).Status
		}

		wantProblem(t, b.ask("acme", "DELETE", "/api/calls/"+id, ""), 409, "call_live")
		disconnect(202)
		disconnect(200)
		if _, err := b.svc.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if status := disconnect(200); status != "canceled" {
			t.Errorf("status %q, want canceled", status)
		}
		if w := b.ask("acme", "DELETE", "/api/calls/"+id, ""); w.Code != http.StatusNoContent || w.Body.Len() != 0 {
			t.Errorf("erase: status %d, body %s", w.Code, w.Body)
		}
		wantProblem(t, b.ask("acme", "GET", "/api/calls/"+id, ""), 404, "call_not_found")
		wantProblem(t, b.ask("acme", "DELETE", "/api/calls/"+id, ""), 404, "call_not_found")
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(encodeCursor(call.Position{CreatedAt: time.Unix(1, 2), ID: "call_1"}))
	f.Add("")
	f.Add("MSBh")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := decodeCursor(s)
		if err != nil {
			return
		}
		again, err := decodeCursor(encodeCursor(p))
		if err != nil || !again.CreatedAt.Equal(p.CreatedAt) || again.ID != p.ID {
			t.Errorf("%q is %+v, and then %+v, %v", s, p, again, err)
		}
	})
}

func FuzzPlace(f *testing.F) {
	b := setup(f, nil)
	b.carrier.refuseAll = true
	f.Add(ordinary)
	f.Add(with(`"metadata":{"a":[1,{"b":null}]}`))
	f.Add(with(`"timeout_seconds":1e9`))
	f.Add(`{"agent_id":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		b.t = t
		w := b.ask("acme", "POST", "/api/calls", body, "Content-Type", "application/json")
		if w.Code == http.StatusCreated {
			return
		}
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != p.Status {
			t.Errorf("status %d, body %s", w.Code, w.Body)
		}
		if w.Code >= 500 && w.Code != 503 {
			t.Errorf("status %d for %q", w.Code, body)
		}
	})
}
