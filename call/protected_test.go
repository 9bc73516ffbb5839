package call_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/call"
)

// What is protected is heard whole, also if it is said while the agent is
// silenced by a caller who goes on to speak.
func TestProtectedDuringAPause(t *testing.T) {
	speech := voice(t)
	synctest.Test(t, func(t *testing.T) {
		heard := make(chan call.Heard, 1)
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			s.Speak(tone(440, 5*time.Second))
			time.Sleep(2*time.Second + 250*time.Millisecond) // between the pause and its confirmation
			h, err := s.Say(call.Utterance{Audio: tone(880, 2*time.Second), Protected: true}).Wait(ctx)
			heard <- h
			return err
		}), nil)
		talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		talk.Listen(2 * time.Second)
		if err := talk.Say(audio.NewSamples(speech, 8000)); err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		if h := <-heard; h.Status != call.HeardAll || h.Duration != 2*time.Second {
			t.Errorf("heard %v of it, %v", h.Duration, h.Status)
		}
		synctest.Wait()
	})
}
