package call_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/transcript"
)

// Recognisers tell words a while after they were said, when the agent may be
// answering them.
func TestWordsInterruptWhatTheyWereSaidInto(t *testing.T) {
	tests := []struct {
		name string
		end  time.Duration // of the words
		want call.HeardStatus
	}{
		{"words that the agent is answering", 900 * time.Millisecond, call.HeardAll},
		{"words that were said into the answer", 1400 * time.Millisecond, call.HeardCut},
		{"words of which nobody knows the time", 0, call.HeardCut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				heard := make(chan call.Heard, 1)
				o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
					time.Sleep(time.Second - s.Now())
					answer := s.Speak(tone(440, 2*time.Second))
					time.Sleep(500 * time.Millisecond)
					s.AddSegment(transcript.Segment{Speaker: transcript.Customer, Text: "What about Monday?", At: 0, End: tt.end, Final: true})
					h, err := answer.Wait(ctx)
					heard <- h
					return err
				}), quiet)
				talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
				if err != nil {
					t.Fatal(err)
				}
				<-talk.Done()
				if h := <-heard; h.Status != tt.want {
					t.Errorf("the answer was heard %v, %v; want %v", h.Duration, h.Status, tt.want)
				}
				synctest.Wait()
			})
		})
	}
}
