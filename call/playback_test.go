package call_test

import (
	"context"
	"flag"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-voice/switchboard/audio"
	"github.com/switchboard-voice/switchboard/audio/audiotest"
	"github.com/switchboard-voice/switchboard/call"
	"github.com/switchboard-voice/switchboard/telephony/sim"
)

// thorough makes the tests below do 1,000 rounds, which takes minutes under the
// race detector.
var thorough = flag.Bool("thorough", false, "do 1,000 rounds instead of 100")

func rounds() int {
	if *thorough {
		return 1000
	}
	return 100
}

// voice is a second of speech.
func voice(t *testing.T) []int16 {
	t.Helper()
	return audiotest.Speech(t, "../audio/testdata/speech/en-f.wav", time.Second)
}

// quiet drops the service's own log: these tests make thousands of calls.
func quiet(c *call.Config) { c.Logger = slog.New(slog.DiscardHandler) }

// The caller interrupts at random moments, by speaking. What the ledger says was
// heard is what the ear has heard, and the agent falls silent soon.
func TestInterruptionAtAnyMoment(t *testing.T) {
	const perCall = 20
	speech := voice(t)
	var worst time.Duration
	var reactions []time.Duration
	for seed := range rounds() / perCall {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(uint64(seed), 7))
			type told struct {
				heard call.Heard
			}
			spoken := make(chan told, perCall)
			o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
				for range perCall {
					h, err := s.Speak(tone(440, 30*time.Second)).Wait(ctx)
					if err != nil {
						return nil
					}
					spoken <- told{h}
					time.Sleep(2 * time.Second) // the caller has finished by then
				}
				return nil
			}), quiet)
			talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
			if err != nil {
				t.Fatal(err)
			}
			var before time.Duration // of the agent's sound in the ear
			for range perCall {
				talk.Listen(300*time.Millisecond + time.Duration(rnd.Int64N(int64(3*time.Second))))
				began := talk.Duration()
				if err := talk.Say(audio.NewSamples(speech, 8000)); err != nil {
					t.Fatal(err)
				}
				h := <-spoken
				ear := heardBy(talk)
				if h.heard.Status != call.HeardCut {
					t.Fatalf("the agent was heard %v", h.heard.Status)
				}
				if d := (ear - before - h.heard.Duration).Abs(); d > worst {
					worst = d
				}
				before = ear
				reactions = append(reactions, lastEnd(talk)-began)
				talk.Listen(2 * time.Second)
			}
			talk.Hangup()
			synctest.Wait()
		})
	}
	if worst > 20*time.Millisecond {
		t.Errorf("ledger and ear differ by %v, want at most 20 ms", worst)
	}
	slices.Sort(reactions)
	p50, p95, most := reactions[len(reactions)/2], reactions[len(reactions)*95/100], reactions[len(reactions)-1]
	if p95 > 200*time.Millisecond {
		t.Errorf("the agent was silent after %v (95 %%), want 200 ms", p95)
	}
	t.Logf("%d interruptions: ledger and ear differ by at most %v; silent after %v (median), %v (95 %%), %v (most)",
		len(reactions), worst, p50, p95, most)
}

// heardBy is how much sound the phone has heard in all.
func heardBy(talk *sim.Talk) time.Duration {
	n := 0
	for _, p := range talk.Playback() {
		n += len(p.Samples)
	}
	return audio.Duration(n, 8000)
}

// lastEnd is when the last sound ended, on the phone's clock.
func lastEnd(talk *sim.Talk) time.Duration {
	played := talk.Playback()
	return played[len(played)-1].End()
}

// A cough does not cost the caller a word.
func TestCoughLosesNothing(t *testing.T) {
	speech := voice(t)
	synctest.Test(t, func(t *testing.T) {
		story := audiotest.Sweep(300, 3000, 8*time.Second, 8000)
		heard := make(chan call.Heard, 1)
		o := newOffice(t, call.AgentFunc(func(ctx context.Context, s *call.Session) error {
			h, err := s.Speak(audio.NewSamples(story, 8000)).Wait(ctx)
			heard <- h
			return err
		}), nil)
		talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		talk.Listen(2 * time.Second)
		if err := talk.Say(audio.NewSamples(speech[:1200], 8000)); err != nil { // 150 ms
			t.Fatal(err)
		}
		<-talk.Done()
		if h := <-heard; h.Status != call.HeardAll || h.Duration != 8*time.Second {
			t.Errorf("heard %v of the story, %v", h.Duration, h.Status)
		}
		var pcm []int16
		for _, p := range talk.Playback() {
			pcm = append(pcm, p.Samples...)
		}
		if len(pcm) != len(story) {
			t.Errorf("the ear heard %d samples, want %d", len(pcm), len(story))
		}
		if offset, similarity := audiotest.Align(story, pcm); offset != 0 || similarity < 0.999 {
			t.Errorf("the ear heard something else: %v, offset %d", similarity, offset)
		}
		synctest.Wait()
	})
}

// Goodbyes of any length are heard to their end, whatever becomes of the
// acknowledgements, and the line is not held much longer than that.
func TestGoodbyesWithBadAcknowledgements(t *testing.T) {
	faults := []sim.Faults{
		{},
		{MarkLost: 1},
		{MarkDoubled: 1},
		{MarkLate: 1, MarkDelay: 700 * time.Millisecond},
		{MarkLost: 0.3, MarkLate: 0.3, MarkDoubled: 0.3},
	}
	var cut int
	var waited time.Duration
	for round := range rounds() {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(uint64(round), 9))
			length := 20*time.Millisecond + time.Duration(rnd.Int64N(int64(6*time.Second)))
			f := faults[round%len(faults)]
			f.Seed = uint64(round)
			o := newOffice(t, hello(length), quiet, f)
			talk, err := o.Phone("+12025550199").Call(t.Context(), ours)
			if err != nil {
				t.Fatal(err)
			}
			<-talk.Done()
			want := audio.Duration(audio.Samples(length, 8000), 8000)
			if heardBy(talk) < want {
				cut++
			}
			waited = max(waited, talk.Duration()-lastEnd(talk))
			synctest.Wait()
		})
	}
	if cut > 0 {
		t.Errorf("%d of %d goodbyes were cut off", cut, rounds())
	}
	if limit := 2500 * time.Millisecond; waited > limit {
		t.Errorf("the line was held %v longer than needed, want at most %v", waited, limit)
	}
	t.Logf("%d goodbyes: %d cut off, the line held at most %v longer than needed", rounds(), cut, waited)
}
