package callotel_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
	"github.com/switchboard-voice/switchboard/transcript"
)

func tone(d time.Duration) audio.Reader {
	return audio.NewSamples(audiotest.Tone(440, d, 8000), 8000)
}

// receptionist greets, thinks, waits for a key, and says goodbye.
func receptionist(ctx context.Context, s *call.Session) error {
	s.Say(call.Utterance{Audio: tone(2 * second), Text: "Hello, press one."})
	<-s.Keys()
	_, thought := trace.SpanFromContext(ctx).TracerProvider().Tracer("model").Start(ctx, "think")
	time.Sleep(second)
	thought.End()
	if err := s.Hold(nil); err != nil {
		return err
	}
	time.Sleep(second)
	if err := s.Resume(); err != nil {
		return err
	}
	s.AddSegment(transcript.Segment{Speaker: transcript.Customer, Text: "Yes.", At: 3 * second, End: 4 * second, Final: true})
	s.Say(call.Utterance{Audio: tone(second), Text: "Goodbye."})
	return nil
}

func TestTraceOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := calltest.NewNetwork(t)
		d := newDesk(t, n, nil, receptionist, nil).watchNow()
		n.Phone(callee).Behave(sim.Behavior{Ring: 3 * second, Talk: func(t *sim.Talk) {
			t.Listen(4 * second)
			_ = t.Press("1")
		}})
		c := d.wait(d.place(callee).ID)
		if c.State != call.Completed {
			t.Fatalf("the call ended %v, %q", c.State, c.Cause)
		}
		const want = `call agent=agent cause=agent_done direction=outbound provider=sim state=completed
  ! key
  ! hold hold=on
  ! hold hold=off
  initiated
  connecting
  POST http.request.method=POST http.response.status_code=201
  connected
  turn speaker=agent
  active
  turn speaker=customer
  think
  turn speaker=agent
  ending
`
		got := d.traces()
		got = got[:strings.Index(got, "  ending\n")+len("  ending\n")] // what the carrier is told after that may come too late
		if got != want {
			t.Errorf("trace:\n%s\nwant:\n%s", got, want)
		}
		span := d.spanOf(c.ID)
		if !span.StartTime.Equal(c.CreatedAt) || span.EndTime.Before(c.EndedAt) {
			t.Errorf("the span is from %v to %v, the call from %v to %v", span.StartTime, span.EndTime, c.CreatedAt, c.EndedAt)
		}
		for _, s := range d.spans.GetSpans() {
			if s.EndTime.Before(s.StartTime) || s.StartTime.Before(span.StartTime) || s.EndTime.After(span.EndTime) {
				t.Errorf("%s is from %v to %v", s.Name, s.StartTime, s.EndTime)
			}
		}
	})
}

func TestSpanOfABrokenCallIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := calltest.NewNetwork(t)
		agent := func(context.Context, *call.Session) error { return errors.New("out of ideas") }
		d := newDesk(t, n, nil, agent, nil).watchNow()
		c := d.wait(d.place(callee).ID)
		if s := d.spanOf(c.ID); s.Status.Description != "agent_error" {
			t.Errorf("status %+v, want the cause %q", s.Status, c.Cause)
		}
	})
}

// A canary is in everything that is about somebody.
func TestNothingPersonalIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const canary = "canary"
		agent := func(_ context.Context, s *call.Session) error {
			s.AddSegment(transcript.Segment{Speaker: canary, Text: canary, End: second, Final: true, ID: canary})
			s.Say(call.Utterance{Audio: tone(second), Text: canary})
			s.Log(canary, map[string]string{canary: canary})
			if err := s.LogMetrics(map[string]float64{canary: 1}); err != nil {
				t.Error(err)
			}
			<-s.Keys()
			return errors.New(canary)
		}
		n := calltest.NewNetwork(t)
		d := newDesk(t, n, nil, agent, nil).watchNow()
		n.Phone(callee).Behave(sim.Behavior{Talk: func(t *sim.Talk) {
			t.Listen(3 * second)
			_ = t.Press("7")
		}})
		c, err := d.Place(t.Context(), call.Request{
			AgentID: "agent", To: callee, From: calltest.Number, Tenant: canary, IdempotencyKey: canary,
			Context: map[string]string{canary: canary}, Metadata: map[string]string{canary: canary},
		})
		if err != nil {
			t.Fatal(err)
		}
		c = d.wait(c.ID)
		if c.Cause != call.AgentError || !strings.Contains(c.Detail, canary) {
			t.Fatalf("the call ended by %q, %q", c.Cause, c.Detail)
		}
		told := d.traces()
		for name, points := range d.figures() {
			told += name + strings.Join(points, "\n")
		}
		for _, s := range d.spans.GetSpans() {
			for _, a := range s.Attributes {
				told += a.Value.String() + "\n"
			}
		}
		for what, s := range map[string]string{
			"something personal": canary, "a number": "2025550", "the carrier's id": c.ProviderCallID,
			"a key": "=7", "a path": "/",
		} {
			if strings.Contains(told, s) {
				t.Errorf("%s is told: %q in\n%s", what, s, told)
			}
		}
	})
}
