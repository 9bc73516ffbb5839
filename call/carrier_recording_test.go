package call_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// The carrier records both sides, pauses where it can, tells when the recording
// is there, hands it out and deletes it.
func TestCarrierRecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o *office
		var recordingID string
		o = newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			id := s.Call().ID
			var err error
			if recordingID, err = o.StartCarrierRecording(ctx, id, telephony.RecordRequest{}); err != nil {
				t.Errorf("start: %v", err)
			}
			if _, err := s.Speak(tone(440, 2*time.Second)).Wait(ctx); err != nil {
				t.Error(err)
			}
			if *carrier == "twilio" {
				if err := o.PauseCarrierRecording(ctx, id, recordingID); err != nil {
					t.Errorf("pause: %v", err)
				}
				if _, err := s.Speak(tone(1000, 2*time.Second)).Wait(ctx); err != nil {
					t.Error(err)
				}
				if err := o.ResumeCarrierRecording(ctx, id, recordingID); err != nil {
					t.Errorf("resume: %v", err)
				}
			} else if err := o.PauseCarrierRecording(ctx, id, recordingID); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("pause: %v, want ErrUnsupported", err)
			}
			if err := o.StopCarrierRecording(ctx, id, "another"); !errors.Is(err, call.ErrNotFound) {
				t.Errorf("stop of one that is not the call's: %v", err)
			}
			_, err = s.Speak(tone(880, 2*time.Second)).Wait(ctx)
			return err
		}), nil)
		o.Phone(callee).Behave(sim.Behavior{Ring: time.Second, Talk: func(k *sim.Talk) {
			_ = k.Say(tone(600, time.Second)) // the agent may have ended first
			<-k.Done()
		}})
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
		time.Sleep(time.Minute)

		if _, err := o.StartCarrierRecording(t.Context(), c.ID, telephony.RecordRequest{}); !errors.Is(err, call.ErrEnded) {
			t.Errorf("of a call that is over: %v", err)
		}
		c, err := o.Call(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.CarrierRecordings) != 1 || c.CarrierRecordings[0].ID != recordingID || c.CarrierRecordings[0].Status != telephony.RecordingCompleted {
			t.Fatalf("recordings are %+v", c.CarrierRecordings)
		}
		if d := c.CarrierRecordings[0].Duration; d < 3*time.Second || d > 10*time.Second {
			t.Errorf("it is %v long", d)
		}
		file, err := o.OpenCarrierRecording(t.Context(), c.ID, recordingID)
		if err != nil {
			t.Fatal(err)
		}
		channels, rate, err := audio.ReadWAV(file)
		if err := errors.Join(err, file.Close()); err != nil || len(channels) != 2 || rate != 8000 {
			t.Fatalf("the file has %d channels at %d Hz, %v", len(channels), rate, err)
		}
		both := [2]int{0, 1}
		if longestTone(channels[0], 600) < longestTone(channels[1], 600) {
			both = [2]int{1, 0}
		}
		audiotest.HasTone(t, channels[both[0]], rate, 600)
		audiotest.HasTone(t, channels[both[1]], rate, 440)
		audiotest.HasTone(t, channels[both[1]], rate, 880)
		audiotest.NoTone(t, channels[both[1]], rate, 1000)

		events, err := o.Events(t.Context(), c.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			if e.Seq != int64(i+1) {
				t.Errorf("event %d has the number %d", i, e.Seq)
			}
		}
		if last := events[len(events)-1]; last.Type != call.EventCarrierRecording || last.Detail != "completed" {
			t.Errorf("the last event is %+v", last)
		}

		if err := o.DeleteCarrierRecording(t.Context(), c.ID, recordingID); err != nil {
			t.Fatal(err)
		}
		if _, err := o.OpenCarrierRecording(t.Context(), c.ID, recordingID); !errors.Is(err, call.ErrNotFound) {
			t.Errorf("after it was deleted: %v", err)
		}
	})
}

// unresponsive is a carrier that does not answer when it is asked to pause.
type unresponsive struct {
	call.Provider
	telephony.CallRecorder
}

func (unresponsive) PauseRecording(ctx context.Context, _, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// A request about a recording that the carrier does not answer is ended, not only
// left behind.
func TestCarrierDoesNotAnswerAboutItsRecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o *office
		o = newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			id := s.Call().ID
			recordingID, err := o.StartCarrierRecording(ctx, id, telephony.RecordRequest{})
			if err != nil {
				t.Errorf("start: %v", err)
			}
			began := time.Now()
			err = o.PauseCarrierRecording(ctx, id, recordingID)
			if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 15*time.Second {
				t.Errorf("pause: %v after %v", err, took)
			}
			if n := o.Stats().HostHeld; n != 0 {
				t.Errorf("%d requests are left behind", n)
			}
			return nil
		}), func(c *call.Config) {
			c.Providers = []call.Provider{unresponsive{c.Providers[0], c.Providers[0].(telephony.CallRecorder)}}
		})
		c := o.wait(o.place(call.Options{}).ID)
		o.check(c, call.Completed, call.AgentDone, allStates...)
	})
}

// longestTone is how much of pcm is mostly a tone, about.
func longestTone(pcm []int16, hz float64) int {
	var v silent
	n := 0
	for len(pcm) >= 800 {
		v.failed = false
		audiotest.HasTone(&v, pcm[:800], 8000, hz)
		if !v.failed {
			n++
		}
		pcm = pcm[800:]
	}
	return n
}

// silent is a testing.TB that keeps failures to itself.
type silent struct {
	testing.TB
	failed bool
}

func (v *silent) Helper()               {}
func (v *silent) Errorf(string, ...any) { v.failed = true }
