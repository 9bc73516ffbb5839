package call_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/recording"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// ordered is a recorder that notes whether a frame of the caller's is put before
// one that came earlier.
type ordered struct {
	last time.Duration
	back time.Duration
}

func (o *ordered) Record(context.Context, recording.Info) (recording.Sink, error) { return o, nil }

func (o *ordered) WriteFrame(f *audio.Frame) {
	if f.Track != audio.Inbound {
		return
	}
	o.back = max(o.back, o.last-f.At)
	o.last = f.At
}

func (o *ordered) Close(context.Context, time.Duration) (recording.Recording, error) {
	return recording.Recording{}, nil
}

// A carrier whose timestamps have jumped is ahead of our clock. When the caller
// comes back, on a new stream, the call's clock does not go back for that.
func TestClockGoesOnAfterTimestampsHaveJumped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock ordered
		agent := call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			if _, err := s.Speak(tone(440, 2*time.Second)).Wait(ctx); err != nil {
				return err
			}
			if err := s.SendKeys(ctx, "1"); err != nil {
				return err
			}
			s.Speak(tone(440, time.Second))
			return nil
		})
		o := newOffice(t, agent, func(c *call.Config) { c.Recorder = &clock },
			sim.Faults{Seed: 1, FrameGap: 0.02, GapTime: time.Second})
		o.wait(o.place(call.Options{Record: true}).ID)
		if n := o.Carrier.Fired()[sim.FaultFrameGap]; n == 0 {
			t.Error("no timestamp has jumped")
		}
		if clock.back > 0 {
			t.Errorf("a frame was put %v before the one before it", clock.back)
		}
	})
}
