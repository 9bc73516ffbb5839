package call_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
)

// Hold music plays as long as there is nothing to say, loses none of what is
// said, and does not keep the call from ending.
func TestBackgroundGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		music := audio.FadeIn(audio.Loop(audiotest.Tone(600, time.Second, 8000), 8000, 0), 200*time.Millisecond)
		o := newOffice(t, call.AgentFunc(func(_ context.Context, s *call.Session) error {
			s.Speak(tone(440, time.Second))
			held := s.Say(call.Utterance{Audio: music, Background: true})
			time.Sleep(5 * time.Second)
			s.Speak(tone(880, time.Second))
			if h, err := held.Wait(context.Background()); err != nil || h.Status != call.HeardCut || h.Duration < 3900*time.Millisecond {
				t.Errorf("music was heard %v, %v, %v", h.Status, h.Duration, err)
			}
			s.Say(call.Utterance{Audio: audio.RingbackEurope.Reader(8000), Background: true})
			time.Sleep(3 * time.Second)
			s.Speak(tone(1000, time.Second))
			s.Say(call.Utterance{Audio: music, Background: true}) // is left behind
			return nil
		}), nil)
		talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		<-talk.Done()
		heard := talk.Heard()
		at := func(from, to time.Duration) []int16 {
			return heard[audio.Samples(from, 8000):audio.Samples(to, 8000)]
		}
		const ms = time.Millisecond
		audiotest.HasTone(t, at(50*ms, 1000*ms), 8000, 440)
		audiotest.HasTone(t, at(1500*ms, 4900*ms), 8000, 600)
		audiotest.HasTone(t, at(5150*ms, 6050*ms), 8000, 880)
		audiotest.HasTone(t, at(6200*ms, 7000*ms), 8000, 425)
		audiotest.HasTone(t, heard[len(heard)-8000:], 8000, 1000)
		if lasts := talk.Duration(); lasts > 10*time.Second {
			t.Errorf("the call lasted %v", lasts)
		}
		synctest.Wait()
	})
}
