package story

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/call/calltest"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tell calls an agent that tells three sentences of three seconds, and returns the
// record when the caller has done what it does.
func tell(t *testing.T, caller func(*sim.Talk)) *call.Call {
	t.Helper()
	network := calltest.NewNetwork(t)
	sound := func() audio.Reader {
		return audio.NewSamples(audiotest.Tone(440, 3*time.Second, 8000), 8000)
	}
	svc, err := call.New(call.Config{
		PublicURL: calltest.PublicURL,
		Providers: []call.Provider{network.Provider},
		Agents:    call.Agents{"story": Agent{Sentences: []Sentence{{"Once.", sound}, {"Then it rained.", sound}, {"The end.", sound}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	network.Connect(svc)
	network.Phone("+12025550142").Behave(sim.Behavior{Talk: caller})
	c, err := svc.Place(t.Context(), call.Request{AgentID: "story", From: calltest.Number, To: "+12025550142"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if c, err = svc.Wait(ctx, c.ID); err != nil {
		t.Fatal(err)
	}
	return c
}

// voice is speech of so long.
func voice(t *testing.T, d time.Duration) audio.Reader {
	t.Helper()
	return audio.NewSamples(audiotest.Speech(t, "../../audio/testdata/speech/en-f.wav", d), 8000)
}

func words(c *call.Call) (texts []string) {
	for _, s := range c.Transcript {
		texts = append(texts, s.Text)
	}
	return texts
}

func TestStory(t *testing.T) {
	tests := []struct {
		name   string
		caller func(t *testing.T) func(*sim.Talk)
		words  []string
		cause  call.Cause
	}{
		{"a caller who listens", func(*testing.T) func(*sim.Talk) { return func(*sim.Talk) {} },
			[]string{"Once.", "Then it rained.", "The end."}, call.AgentDone},
		{"a caller who asks hears the sentence again", func(t *testing.T) func(*sim.Talk) {
			speech := voice(t, time.Second)
			return func(talk *sim.Talk) {
				talk.Listen(5 * time.Second)
				_ = talk.Say(speech)
			}
		}, []string{"Once.", "Then it", "Then it rained.", "The end."}, call.AgentDone},
		{"a caller who coughs misses nothing", func(t *testing.T) func(*sim.Talk) {
			cough := voice(t, 150*time.Millisecond)
			return func(talk *sim.Talk) {
				talk.Listen(5 * time.Second)
				_ = talk.Say(cough)
			}
		}, []string{"Once.", "Then it rained.", "The end."}, call.AgentDone},
		{"a caller who has heard enough", func(*testing.T) func(*sim.Talk) {
			return func(talk *sim.Talk) {
				talk.Listen(5 * time.Second)
				talk.Hangup()
			}
		}, []string{"Once.", "Then it"}, call.HangupRemote},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := tell(t, tt.caller(t))
				if c.Cause != tt.cause || !slices.Equal(words(c), tt.words) {
					t.Errorf("ended because of %s after %q, want %s after %q", c.Cause, words(c), tt.cause, tt.words)
				}
			})
		})
	}
}
