package callhttp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// office is an API over a service on a telephone network, whose agents "patient"
// and "other" wait for the end of their calls.
type office struct {
	*bench
	*calltest.Network
}

const desk = "+12025550177"

var networks = map[string]func(testing.TB, ...sim.Faults) *calltest.Network{
	"Twilio": calltest.NewNetwork,
	"Plivo":  calltest.NewPlivoNetwork,
}

func newOffice(t *testing.T, network *calltest.Network) *office {
	t.Helper()
	patient := call.AgentFunc(func(ctx context.Context, _ *call.Session) error {
		<-ctx.Done()
		return nil
	})
	b := setup(t, func(c *call.Config, _ *Config) {
		c.PublicURL = calltest.PublicURL
		c.Providers = []call.Provider{network.Provider}
		c.Agents = call.Agents{"patient": patient, "other": patient}
		c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	})
	network.Connect(b.svc)
	return &office{bench: b, Network: network}
}

// onEach runs a test on each network.
func onEach(t *testing.T, test func(t *testing.T, o *office)) {
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, newOffice(t, network(t))) })
		})
	}
}

// talk places a call to somebody who stays on the line, and waits until sound
// travels.
func (o *office) talk(fields ...string) (id string, callee *sim.Talk) {
	o.t.Helper()
	o.Phone("+12025550123").Behave(sim.Behavior{Ring: time.Second})
	id = decode[placed](o.t, o.ask("acme", "POST", "/api/calls", strings.Replace(with(strings.Join(append(fields, `"metadata":{}`), ",")), "echo", "patient", 1)), 201).CallID
	callee, err := o.Phone("+12025550123").NextTalk(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	_ = callee.WaitConnected(5 * time.Second)
	time.Sleep(time.Second) // of the bubble's time
	return id, callee
}

func (o *office) post(id, deed, body string, status int) controlled {
	o.t.Helper()
	return decode[controlled](o.t, o.ask("acme", "POST", "/api/calls/"+id+"/"+deed, body), status)
}

// events are the call's so far of a type, by name and detail.
func (o *office) events(id string, kind call.EventType) string {
	o.t.Helper()
	time.Sleep(time.Second) // for the store, which may lag
	all, err := o.svc.Events(o.t.Context(), id, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	var names []string
	for _, e := range all {
		if e.Type == kind {
			names = append(names, strings.TrimSpace(e.Name+" "+e.Detail))
		}
	}
	return strings.Join(names, ", ")
}

const toDesk = `{"to_phone":"` + desk + `","ring_timeout_seconds":20}`

// The request ends when the carrier has been told; the two may talk for hours.
func TestTransferDoesNotHoldItsRequest(t *testing.T) {
	onEach(t, func(t *testing.T, o *office) {
		o.Phone(desk).Behave(sim.Behavior{Ring: 5 * time.Second, Talk: func(k *sim.Talk) {
			k.Listen(20 * time.Minute)
			k.Hangup()
		}})
		id, callee := o.talk()
		asked := time.Now()
		if got := o.post(id, "transfer", toDesk, 202); got.CallID != id || got.Status != "active" {
			t.Errorf("answer %+v", got)
		}
		if took := time.Since(asked); took > 2*time.Second {
			t.Errorf("the answer took %v", took)
		}
		p := wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/transfer", toDesk), 409, "call_state")
		if p.Detail == "" {
			t.Error("the problem says no detail")
		}
		o.ask("acme", "POST", "/api/calls/"+id+"/hold", "")
		colleague, err := o.Phone(desk).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-colleague.Done()
		<-callee.Done()
		c, err := o.svc.Wait(t.Context(), id)
		if err != nil || c.State != call.Completed || c.Cause != call.Transferred {
			t.Errorf("ended %v because of %s, %v", c.State, c.Cause, err)
		}
		if got := o.events(id, call.EventMove); got != "transfer" {
			t.Errorf("moves %q", got)
		}
	})
}

func TestTransferToABusyNumberBringsTheCallerBack(t *testing.T) {
	onEach(t, func(t *testing.T, o *office) {
		o.Phone(desk).Behave(sim.Behavior{Outcome: sim.Busy, Ring: time.Second})
		id, _ := o.talk()
		o.post(id, "transfer", toDesk, 202)
		time.Sleep(10 * time.Second)
		if got := o.events(id, call.EventMove); !strings.HasPrefix(got, "transfer, back") {
			t.Errorf("moves %q", got)
		}
		if got := decode[detail](t, o.ask("acme", "GET", "/api/calls/"+id, ""), 200); got.Status != "active" {
			t.Errorf("status %q, want active", got.Status)
		}
		o.post(id, "transfer", toDesk, 202) // again
	})
}

func TestTransferThatCannotBeTellsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, calltest.NewNetwork(t))
		id, _ := o.talk()
		tests := []struct {
			name, body     string
			status         int
			word, location string
		}{
			{"no body", "", 400, "invalid_request", ""},
			{"to nobody", `{}`, 400, "invalid_request", "body"},
			{"to two", `{"to_phone":"` + desk + `","agent_id":"other"}`, 400, "invalid_request", "body"},
			{"an unknown field", `{"to_phone":"` + desk + `","loud":true}`, 400, "invalid_request", "body.loud"},
			{"a field in other letters", `{"TO_PHONE":"` + desk + `"}`, 400, "invalid_request", "body.TO_PHONE"},
			{"a field twice", `{"to_phone":"` + desk + `","to_phone":"` + desk + `"}`, 400, "invalid_request", "body.to_phone"},
			{"a number that is none", `{"to_phone":"+0123"}`, 400, "invalid_phone_number", "body.to_phone"},
			{"a caller id that is none", `{"to_phone":"` + desk + `","from_phone":"x"}`, 400, "invalid_phone_number", "body.from_phone"},
			{"a costly number", `{"to_phone":"+19005550123"}`, 403, "destination_not_allowed", "body.to_phone"},
			{"a costly number, warmly", `{"to_phone":"+19005550123","warm":true}`, 403, "destination_not_allowed", "body.to_phone"},
			{"an unknown agent", `{"agent_id":"nobody"}`, 404, "agent_not_found", "body.agent_id"},
			{"an agent, warmly", `{"agent_id":"other","warm":true}`, 400, "invalid_request", "body.warm"},
			{"an agent that rings", `{"agent_id":"other","ring_timeout_seconds":5}`, 400, "invalid_request", "body.ring_timeout_seconds"},
			{"an agent with a caller id", `{"agent_id":"other","from_phone":"` + desk + `"}`, 400, "invalid_request", "body.from_phone"},
			{"words for nobody", `{"to_phone":"` + desk + `","announce":"Hello."}`, 400, "invalid_request", "body.announce"},
			{"to ring for ever", `{"to_phone":"` + desk + `","ring_timeout_seconds":601}`, 400, "invalid_request", "body.ring_timeout_seconds"},
		}
		for _, tt := range tests {
			p := wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/transfer", tt.body), tt.status, tt.word)
			if tt.location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != tt.location) {
				t.Errorf("%s: faults %+v, want the first at %s", tt.name, p.Errors, tt.location)
			}
		}
		if got := o.events(id, call.EventMove); got != "" || len(o.Carrier.Calls()) != 1 {
			t.Errorf("moves %q, %d calls at the carrier", got, len(o.Carrier.Calls()))
		}
	})
}

func TestWarmTransferTellsOfTheOtherCall(t *testing.T) {
	onEach(t, func(t *testing.T, o *office) {
		o.Phone(desk).Behave(sim.Behavior{Ring: 3 * time.Second, Talk: func(k *sim.Talk) {
			k.Listen(time.Minute)
			k.Hangup()
		}})
		id, _ := o.talk()
		asked := time.Now()
		got := o.post(id, "transfer", `{"to_phone":"`+desk+`","warm":true,"announce":"A customer."}`, 202)
		if took := time.Since(asked); took > 2*time.Second || got.ConsultCallID == "" || got.ConsultCallID == id {
			t.Errorf("answer %+v after %v", got, took)
		}
		colleague, err := o.Phone(desk).NextTalk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{id, got.ConsultCallID} {
			if c, err := o.svc.Wait(t.Context(), id); err != nil || c.State != call.Completed || c.Cause != call.Transferred {
				t.Errorf("ended %v because of %s (%s), %v", c.State, c.Cause, c.Detail, err)
			}
			if moves := o.events(id, call.EventMove); moves != "conference" {
				t.Errorf("moves %q", moves)
			}
		}
		if other := decode[detail](t, o.ask("acme", "GET", "/api/calls/"+got.ConsultCallID, ""), 200); other.ParentCallID != id {
			t.Errorf("the other call is %+v", other)
		}
		if loud := audio.Duration(len(colleague.Heard()), 8000); loud < time.Minute {
			t.Errorf("the desk was on the line for %v", loud)
		}
	})
}

func TestHandOverIsATransferToAnAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, calltest.NewNetwork(t))
		id, callee := o.talk()
		for _, status := range []int{202, 200, 200} {
			if got := o.post(id, "transfer", `{"agent_id":"other"}`, status); got.AgentID != "other" {
				t.Errorf("answer %+v", got)
			}
		}
		if got := o.events(id, call.EventAgentChange); got != "other" {
			t.Errorf("agents %q", got)
		}
		callee.Hangup()
		if c, err := o.svc.Wait(t.Context(), id); err != nil || c.Cause != call.HangupRemote {
			t.Errorf("ended because of %s, %v", c.Cause, err)
		}
	})
}

func TestKeysReachThePersonOnTheLine(t *testing.T) {
	onEach(t, func(t *testing.T, o *office) {
		id, callee := o.talk()
		o.post(id, "dtmf", `{"digits":"42#"}`, 202)
		time.Sleep(10 * time.Second)
		o.post(id, "dtmf", `{"digits":"7"}`, 202)
		time.Sleep(10 * time.Second)
		if got := callee.Keys(); got != "42#7" {
			t.Errorf("keys %q", got)
		}
		for _, body := range []string{`{"digits":""}`, `{"digits":"12x"}`, `{"digits":"` + strings.Repeat("1", 33) + `"}`, `{"digits":"1","to":"2"}`, `{"DIGITS":"1"}`, `{}`} {
			wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/dtmf", body), 400, "invalid_request")
		}
		if got := decode[detail](t, o.ask("acme", "GET", "/api/calls/"+id, ""), 200); got.Status != "active" {
			t.Errorf("status %q, want active", got.Status)
		}
	})
}

func TestHoldAndResumeMayBeSaidTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, calltest.NewNetwork(t))
		id, _ := o.talk()
		for _, step := range []struct {
			deed string
			held bool
		}{{"resume", false}, {"hold", true}, {"hold", true}, {"resume", false}, {"resume", false}} {
			if got := o.post(id, step.deed, "", 200); got.OnHold != step.held {
				t.Errorf("after %s: %+v", step.deed, got)
			}
			if got := decode[detail](t, o.ask("acme", "GET", "/api/calls/"+id, ""), 200); got.OnHold != step.held {
				t.Errorf("after %s on_hold is %t", step.deed, got.OnHold)
			}
		}
		if got := o.events(id, call.EventHold); got != "on, off" {
			t.Errorf("events %q", got)
		}
	})
}

func TestRecordingIsPausedAndResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, calltest.NewNetwork(t))
		id, _ := o.talk()
		for _, step := range []struct {
			deed   string
			paused bool
		}{{"resume", false}, {"pause", true}, {"pause", true}, {"resume", false}, {"resume", false}} {
			if got := o.post(id, "recording/"+step.deed, "", 200); got.RecordingPaused != step.paused {
				t.Errorf("after %s: %+v", step.deed, got)
			}
			if got := decode[detail](t, o.ask("acme", "GET", "/api/calls/"+id, ""), 200); got.RecordingPaused != step.paused {
				t.Errorf("after %s recording_paused is %t", step.deed, got.RecordingPaused)
			}
		}
		if got := o.events(id, call.EventPause); got != "on, off" {
			t.Errorf("events %q", got)
		}
	})
}

// Who may see a call may listen to it, and nobody else.
func TestListeningInvited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, calltest.NewNetwork(t))
		id, callee := o.talk()
		path := "/api/calls/" + id + "/listen"
		got := decode[listenTicket](t, o.ask("acme", "POST", path, ""), 201)
		if got.CallID != id || len(got.Ticket) < 26 || time.Until(got.ExpiresAt) != 30*time.Second {
			t.Errorf("answer %+v", got)
		}
		wantProblem(t, o.ask("other", "POST", path, ""), 404, "call_not_found")
		callee.Hangup()
		if _, err := o.svc.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, o.ask("acme", "POST", path, ""), 409, "call_state")
	})
}

func TestConsentIsAskedForAndGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, calltest.NewNetwork(t))
		asked, _ := o.talk(`"await_consent":true`)
		for _, body := range []string{`{}`, `{"agrees":"yes"}`, `{"agrees":true,"by":"key"}`, ``} {
			wantProblem(t, o.ask("acme", "POST", "/api/calls/"+asked+"/recording/consent", body), 400, "invalid_request")
		}
		o.post(asked, "recording/consent", `{"agrees":true}`, 200)
		o.post(asked, "recording/consent", `{"agrees":true}`, 200)
		wantProblem(t, o.ask("acme", "POST", "/api/calls/"+asked+"/recording/consent", `{"agrees":false}`), 409, "call_state")
		if got := decode[detail](t, o.ask("acme", "GET", "/api/calls/"+asked, ""), 200); got.Consent != "given" {
			t.Errorf("consent is %q", got.Consent)
		}
		if got := o.events(asked, call.EventConsent); got != "given" {
			t.Errorf("events %q", got)
		}
	})
}

func TestCallThatIsNotLiveCannotBeControlled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, calltest.NewNetwork(t))
		o.Phone("+12025550123").Behave(sim.Behavior{Ring: 20 * time.Second})
		id := decode[placed](t, o.ask("acme", "POST", "/api/calls", strings.Replace(ordinary, "echo", "patient", 1)), 201).CallID
		time.Sleep(2 * time.Second)
		refused := func(detail string) {
			t.Helper()
			for _, deed := range []string{
				"transfer " + toDesk, `transfer {"agent_id":"other"}`, `transfer {"to_phone":"` + desk + `","warm":true}`,
				`dtmf {"digits":"1"}`, "hold", "resume", "carrier-recordings {}",
				"recording/pause", "recording/resume", `recording/consent {"agrees":true}`,
			} {
				path, body, _ := strings.Cut(deed, " ")
				p := wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/"+path, body), 409, "call_state")
				if p.Detail != detail {
					t.Errorf("%s: detail %q, want %q", deed, p.Detail, detail)
				}
			}
		}
		refused("call is connecting")
		o.ask("acme", "POST", "/api/calls/"+id+"/disconnect", "")
		if _, err := o.svc.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		refused("the call is over")
	})
}

// obstinate is a carrier that redirects nothing.
type obstinate struct{ *twilio.Provider }

func (obstinate) Redirect(context.Context, string, string) error {
	return &telephony.Error{Provider: "sim", Op: "redirect", Outcome: telephony.Rejected, Reason: telephony.ErrRefused}
}

func TestCarrierThatWillNotTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := calltest.NewNetwork(t)
		network.Provider = obstinate{network.Provider.(*twilio.Provider)}
		o := newOffice(t, network)
		id, _ := o.talk()
		wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/transfer", toDesk), 502, "transfer_failed")
		wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/dtmf", `{"digits":"1"}`), 502, "call_connection_failed")
		if got := decode[detail](t, o.ask("acme", "GET", "/api/calls/"+id, ""), 200); got.Status != "active" {
			t.Errorf("status %q, want active", got.Status)
		}
	})
}

// simple is a carrier that can do what every carrier can.
type simple struct{ call.Provider }

func TestWhatACarrierCannotIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := calltest.NewNetwork(t)
		network.Provider = simple{network.Provider}
		o := newOffice(t, network)
		id, _ := o.talk()
		for _, deed := range []string{"transfer " + toDesk, `transfer {"to_phone":"` + desk + `","warm":true}`, `dtmf {"digits":"1"}`, "carrier-recordings {}"} {
			path, body, _ := strings.Cut(deed, " ")
			wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/"+path, body), 501, "not_supported")
		}
	})
}

func TestTransfersAreBoundedAndEndWithTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, calltest.NewNetwork(t))
		o.Phone(desk).Behave(sim.Behavior{Ring: time.Minute})
		id, callee := o.talk()
		o.deeds.count += maxDeeds
		wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/transfer", toDesk), 503, "overloaded")
		o.deeds.count -= maxDeeds

		got := o.post(id, "transfer", `{"to_phone":"`+desk+`","warm":true,"ring_timeout_seconds":50}`, 202)
		o.Close()
		c, err := o.svc.Wait(t.Context(), got.ConsultCallID)
		if err != nil || c.State != call.Canceled {
			t.Errorf("the other call ended %v, %v", c.State, err)
		}
		wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/transfer", toDesk), 503, "draining")
		o.post(id, "hold", "", 200) // as before
		callee.Hangup()
	})
}

// A policy that panics concerns one request.
func TestPanicOfThePolicyInATransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, calltest.NewNetwork(t))
		result, err := o.deeds.start(t.Context(), func(context.Context) error { panic("host code") })
		if err != nil {
			t.Fatal(err)
		}
		if err := <-result; err == nil || strings.Contains(err.Error(), "host code") {
			t.Errorf("error %v, want one that does not tell what was panicked with", err)
		}
	})
}

func TestCarrierRecordsAndGivesTheSound(t *testing.T) {
	onEach(t, func(t *testing.T, o *office) {
		id, callee := o.talk()
		w := o.ask("acme", "POST", "/api/calls/"+id+"/carrier-recordings", `{"mono":true}`)
		rec := decode[carrierRecording](t, w, 201)
		path := "/api/calls/" + id + "/carrier-recordings/" + rec.RecordingID
		if rec.RecordingID == "" || rec.Status != "in_progress" || w.Header().Get("Location") != "/phone"+path {
			t.Errorf("recording %+v at %s", rec, w.Header().Get("Location"))
		}
		wantProblem(t, o.ask("acme", "POST", "/api/calls/"+id+"/carrier-recordings", `{"stereo":true}`), 400, "invalid_request")
		for _, deed := range []string{"POST /pause", "POST /resume", "POST /stop", "GET ", "DELETE "} {
			method, rest, _ := strings.Cut(deed, " ")
			wantProblem(t, o.ask("acme", method, "/api/calls/"+id+"/carrier-recordings/other"+rest, ""), 404, "recording_not_found")
		}
		time.Sleep(3 * time.Second)
		pauses := telephony.PowersOf(o.Provider).Has(telephony.CanPauseRecording)
		for _, deed := range []string{"/pause", "/resume"} {
			w := o.ask("acme", "POST", path+deed, "")
			if !pauses {
				wantProblem(t, w, 501, "not_supported")
			} else if w.Code != 204 {
				t.Errorf("%s: %d %s", deed, w.Code, w.Body)
			}
		}
		for range 2 {
			if w := o.ask("acme", "POST", path+"/stop", ""); w.Code != 204 {
				t.Errorf("stop: %d %s", w.Code, w.Body)
			}
			time.Sleep(30 * time.Second) // until the carrier has it
		}
		callee.Hangup()
		if _, err := o.svc.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		got := decode[detail](t, o.ask("acme", "GET", "/api/calls/"+id, ""), 200).CarrierRecordings
		if len(got) != 1 || got[0].RecordingID != rec.RecordingID || got[0].Status != "completed" {
			t.Errorf("recordings %+v", got)
		}
		w = o.ask("acme", "GET", path, "")
		body, _ := io.ReadAll(w.Body)
		if channels, _, err := audio.ReadWAV(bytes.NewReader(body)); w.Code != 200 || err != nil || len(channels) != 1 || len(channels[0]) < 8000 {
			t.Errorf("status %d, %d channels, %v", w.Code, len(channels), err)
		}
		if ct := w.Header().Get("Content-Type"); ct != "audio/wav" {
			t.Errorf("content type %q", ct)
		}
		time.Sleep(time.Second)
		if w := o.ask("acme", "DELETE", path, ""); w.Code != 204 {
			t.Errorf("delete: %d %s", w.Code, w.Body)
		}
		wantProblem(t, o.ask("acme", "GET", path, ""), 404, "recording_not_found")
		if got := o.events(id, call.EventCarrierRecording); got != fmt.Sprintf("%[1]s in_progress, %[1]s completed, %[1]s deleted", rec.RecordingID) {
			t.Errorf("events %q", got)
		}
	})
}

// What happens on a call is told as it happens, whatever its kind.
func TestEventsOfAllKindsAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		c := finished()
		var want []call.Event
		for i, e := range []call.Event{
			{Type: call.EventHold, Name: "on"}, {Type: call.EventHold, Name: "off"},
			{Type: call.EventMove, Name: "transfer"}, {Type: call.EventMove, Name: "back", Detail: "busy"},
			{Type: call.EventAgentChange, Name: "other"}, {Type: call.EventAnsweredBy, Name: "human"}, {Type: call.EventMachine, Name: "message_left"},
			{Type: call.EventFailover, Name: "fake", Detail: "the line was down"},
			{Type: call.EventCarrierRecording, Name: "RE1", Detail: "completed"},
		} {
			e.CallID, e.Tenant, e.Seq, e.At, e.State = c.ID, c.Tenant, int64(i+1), c.CreatedAt, call.Active
			want = append(want, e)
		}
		end := call.Event{CallID: c.ID, Tenant: c.Tenant, Seq: int64(len(want) + 1), At: c.EndedAt, Type: call.EventState, State: call.Completed}
		b.keep(c, append(want, end)...)
		events, stop := b.follow("acme", "/api/calls/"+c.ID+"/events")
		defer stop()
		for _, w := range want {
			e, ok := events.next()
			if !ok || e.Type != string(w.Type) || e.Name != w.Name || e.Detail != w.Detail || e.Status != "" || e.CallID != c.ID {
				t.Errorf("event %+v, want %+v", e, w)
			}
		}
	})
}

func TestTicketMakesACallThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		w := b.ask("acme", "POST", "/api/tickets", `{"agent_id":"echo","customer_data":{"name":"Ann","vip":true},"metadata":{"page":"home"},"timeout_seconds":60,"record_call":true}`)
		got := decode[ticket](t, w, http.StatusCreated)
		if got.Ticket == "" || !got.ExpiresAt.After(time.Now()) || w.Header().Get("Location") != "/phone/api/calls/"+got.CallID {
			t.Errorf("ticket %+v at %q", got, w.Header().Get("Location"))
		}
		c, err := b.svc.Call(t.Context(), got.CallID)
		if err != nil || c.Tenant != "acme" || c.Context["vip"] != "true" || c.Metadata["page"] != "home" ||
			!c.Options.Record || c.Options.MaxDuration != time.Minute || c.Provider != "browser" {
			t.Errorf("call %+v, %v", c, err)
		}
		wantProblem(t, b.ask("other", "GET", "/api/calls/"+got.CallID, ""), 404, "call_not_found")
		wantProblem(t, b.ask("acme", "POST", "/api/calls/"+got.CallID+"/transfer", toDesk), 501, "not_supported")
		tests := []struct {
			body     string
			status   int
			word     string
			location string
		}{
			{`{}`, 400, "invalid_request", "body"},
			{`{"agent_id":"nobody"}`, 404, "agent_not_found", "body.agent_id"},
			{`{"agent_id":"echo","to_phone":"+12025550123"}`, 400, "invalid_request", "body.to_phone"},
			{`{"agent_id":"echo","Metadata":{}}`, 400, "invalid_request", "body.Metadata"},
			{`{"agent_id":"echo","record_storage":"s3"}`, 400, "invalid_request", "body.record_storage"},
			{`{"agent_id":"echo","enable_transcription":true}`, 400, "invalid_request", "body.enable_transcription"},
			{`{"agent_id":"echo","customer_data":{},"customer_context":{}}`, 400, "invalid_request", "body.customer_context"},
		}
		for _, tt := range tests {
			p := wantProblem(t, b.ask("acme", "POST", "/api/tickets", tt.body), tt.status, tt.word)
			if len(p.Errors) == 0 || p.Errors[0].Location != tt.location {
				t.Errorf("%s: faults %+v", tt.body, p.Errors)
			}
		}
		if st := b.svc.Stats(); st.Live != 1 {
			t.Errorf("%d calls are live, want one", st.Live)
		}
	})
}
