package schedule_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/call/schedule"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// A week of daily calls over a network, with the carrier's adapter and all; the
// policy is asked each day.
func TestSchedulerWithAService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := calltest.NewNetwork(t)
		asked := 0
		svc, err := call.New(call.Config{
			PublicURL: calltest.PublicURL,
			Providers: []call.Provider{network.Provider},
			Agents: call.Agents{"reminders": call.AgentFunc(func(_ context.Context, s *call.Session) error {
				s.Speak(audio.NewSamples(audiotest.Tone(440, 2*time.Second, 8000), 8000))
				return nil
			})},
			Policy: call.PolicyFunc(func(context.Context, call.Leg) error {
				if asked++; time.Now().Weekday() == time.Wednesday {
					return errors.New("not on Wednesdays")
				}
				return nil
			}),
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		network.Connect(svc)
		network.Phone("+12025550142").Behave(sim.Behavior{Ring: 3 * time.Second})
		s, err := schedule.New(schedule.Config{Service: svc, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- s.Run(ctx) }()
		added, err := s.Add(t.Context(), schedule.Spec{
			Cron: "0 9 * * *", Zone: "America/New_York",
			Request: call.Request{AgentID: "reminders", From: calltest.Number, To: "+12025550142"},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * 24 * time.Hour)
		cancel()
		if err := <-ran; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}

		results, err := s.Results(t.Context(), added.ID)
		if err != nil || len(results) != 7 {
			t.Fatalf("%d results, %v", len(results), err)
		}
		for _, r := range results {
			if r.At.Weekday() == time.Wednesday {
				if r.Outcome != schedule.Refused {
					t.Errorf("on %v: %+v", r.Local, r)
				}
				continue
			}
			c, err := svc.Call(t.Context(), r.CallID)
			if err != nil || c.State != call.Completed || !c.CreatedAt.Equal(r.At) || c.IdempotencyKey != added.ID+"@"+r.Local.String() {
				t.Errorf("on %v: %+v, %v", r.Local, c, err)
			}
		}
		if dials := len(network.Phone("+12025550142").Talks()); dials != 6 || asked != 7 {
			t.Errorf("the phone rang %d times, the policy was asked %d times", dials, asked)
		}
	})
}
