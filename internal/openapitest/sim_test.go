package openapitest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/telephony/twilio"
)

// watched is a carrier whose replies are judged on their way.
type watched struct {
	*judge
	carrier http.Handler
}

func (c *watched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what cannot be read is judged as nothing
	replay := func() *http.Request {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		return again
	}
	reply := httptest.NewRecorder()
	c.carrier.ServeHTTP(reply, replay())
	c.mu.Lock()
	c.problems = append(c.problems, c.check(replay(), &exchange{Response: response{reply.Code, reply.Body.Bytes()}})...)
	c.mu.Unlock()
	maps.Copy(w.Header(), reply.Header())
	w.WriteHeader(reply.Code)
	_, _ = w.Write(reply.Body.Bytes())
}

// The simulated carrier replies as Twilio describes, to what our adapter asks in
// the life of a call.
func TestSimulatedCarrierRepliesAsTwilioDescribes(t *testing.T) {
	router, err := gorillamux.NewRouter(describe(t))
	if err != nil {
		t.Fatal(err)
	}
	carrier := sim.New(sim.Config{AccountSID: account, AuthToken: "12345"})
	defer func() {
		if err := carrier.Close(); err != nil {
			t.Error(err)
		}
	}()
	j := &watched{judge: &judge{router: router}, carrier: carrier}
	api := httptest.NewServer(j)
	defer api.Close()
	recorded := make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("RecordingStatus") == "completed" {
			close(recorded) // it is told once
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, `<Response><Pause length="60"/></Response>`)
	}))
	defer app.Close()

	p := &twilio.Provider{AccountSID: account, AuthToken: "12345", BaseURL: api.URL}
	defer p.CloseIdleConnections()
	begin := time.Now()
	req := &telephony.DialRequest{
		To: "+14155550100", From: "+15005550001", AnswerURL: app.URL, StatusURL: app.URL,
		RingTimeout: 30 * time.Second, MaxDuration: 10 * time.Minute,
		MachineDetection: true, MachineURL: app.URL,
	}
	var leg, recording string
	for _, step := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"dial", func(ctx context.Context) (err error) {
			if leg, err = p.Dial(ctx, req); err == nil {
				_, err = carrier.Phone(string(req.To)).NextTalk(ctx)
			}
			return err
		}},
		{"status of a live call", func(ctx context.Context) error { _, err := p.Status(ctx, leg); return err }},
		{"find", func(ctx context.Context) error { _, err := p.Find(ctx, req, begin.Add(-time.Second)); return err }},
		{"start recording", func(ctx context.Context) (err error) {
			recording, err = p.StartRecording(ctx, leg, &telephony.RecordRequest{StatusURL: app.URL})
			return err
		}},
		{"pause recording", func(ctx context.Context) error { return p.PauseRecording(ctx, leg, recording) }},
		{"resume recording", func(ctx context.Context) error { return p.ResumeRecording(ctx, leg, recording) }},
		{"redirect", func(ctx context.Context) error { return p.Redirect(ctx, leg, app.URL) }},
		{"stop recording", func(ctx context.Context) error { return p.StopRecording(ctx, leg, recording) }},
		{"hang up", func(ctx context.Context) error { return p.Hangup(ctx, leg) }},
		{"status of a call that is over", func(ctx context.Context) error { _, err := p.Status(ctx, leg); return err }},
		{"delete recording", func(ctx context.Context) error {
			<-recorded
			return p.DeleteRecording(ctx, recording)
		}},
	} {
		j.mu.Lock()
		j.problems = nil
		j.mu.Unlock()
		if err := step.do(t.Context()); err != nil {
			t.Fatalf("%s: the adapter: %v", step.name, err)
		}
		j.mu.Lock()
		for _, problem := range j.problems {
			t.Errorf("%s: %v", step.name, problem)
		}
		j.mu.Unlock()
	}
	if len(j.seen) < 11 {
		t.Errorf("only %d requests were seen", len(j.seen))
	}
}
